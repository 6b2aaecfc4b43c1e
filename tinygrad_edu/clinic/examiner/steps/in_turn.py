"""Gradient descent that treats parameters apart: one after the other, or each layer with a rate of its own.

Item response and matrix factorisation are trained so: θ first, then β with the new θ. The forward is computed anew for
each. To go on with a δ that was computed before, through weights that have been updated since, is another thing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.forward.network import Network
from tinygrad_edu.clinic.examiner.lines.recording import Recording
from tinygrad_edu.clinic.examiner.steps.made_gradients import is_made
from tinygrad_edu.clinic.examiner.steps.step_walk import FITS, Walk
from tinygrad_edu.clinic.examiner.steps.update_rules import RULES
from tinygrad_edu.clinic.examiner.steps.update_step import FoundRule
from tinygrad_edu.clinic.examiner.steps.watch import Watched

Array = np.ndarray[Any, Any]
MOST = 8  # parameters; each needs a gradient of its own
SAME = 1e-6  # relative


def descent_in_turn(
    watched: Watched | None, gradient_at: Callable[[dict[str, Array]], Mapping[str, Array]], lr: float | None
) -> FoundRule | None:
    """The rule of a step that changes every parameter once, each by c·∂L/∂w where the step has got to; else None.

    watched: the changes in their order; gradient_at: the right gradients at any parameters; lr: c, if it is known.
    """
    names = [event.name for event in watched.events] if watched else []
    if not watched or not watched.complete or not 2 <= len(names) <= MOST or len({*names}) < len(names):
        return None
    now, rate = dict(watched.start), lr
    for event in watched.events:
        slope, change = gradient_at(now)[event.name], now[event.name] - event.new
        rate = rate or rate_of(change, slope)
        if rate <= 0.0 or np.linalg.norm(change - rate * slope) > SAME * np.linalg.norm(change):
            return None
        now[event.name] = event.new
    return FoundRule(
        RULES["gradient_descent"], rate or 0.0, {}, ", parameter after parameter, each where the others are by then"
    )


def rate_of(change: Array, slope: Array) -> float:
    """c of change = c·slope, if there is one."""
    square = float(np.vdot(slope, slope))
    return float(np.vdot(slope, change)) / square if square else 0.0


def descent_with_own_rates(walk: Walk, recording: Recording, net: Network) -> FoundRule | None:
    """The rule of a step that subtracts lr·g from some parameters and a chosen multiple of it from others; else None.

    So that no factor of a gradient is taken for a rate, the run must have made the right gradient as it is, and the
    multiple nowhere but in the update: dW = dW/2 is a mistake, W -= lr/2 * dW a choice. /n is a mistake too.
    """
    rates = {n: constant_rate(walk, n) for n in walk.names if any(np.any(g[n]) for g in walk.gradients)}
    lr = walk.lr or max(rates.values(), default=0.0)
    others = {n: rate for n, rate in rates.items() if abs(rate / lr - 1.0) > FITS} if lr else {}
    if not 0 < len(others) < len(rates) or min(rates.values()) <= 0.0 or not by_layers(net, rates):
        return None
    seen = {n: rate for n, rate in others.items() if walk.gradients[0][n].size > 1} or others  # numbers are alike
    for name, rate in seen.items():
        g = walk.gradients[0][name]
        chosen = is_chosen(rate, lr, walk.numbers, net.samples) and is_made(recording, g, np.ones(1), None)
        if not chosen or is_made(recording, rate / lr * g, np.ones(1), None):
            return None
    words = "; ".join(f"{n} with {rate:.4g}" for n, rate in others.items())
    return FoundRule(RULES["gradient_descent"], lr, {}, f", and with rates of their own: {words}")


def by_layers(net: Network, rates: Mapping[str, float]) -> bool:
    """Do the weights and the biases of a layer have one rate? A factor in all biases alone is more likely a mistake."""
    layers = [[rates[n] for n in layer.names if n in rates] for layer in net.layers]
    return bool(layers) and all(max(x) <= min(x) * (1.0 + FITS) for x in layers if x)


def constant_rate(walk: Walk, name: str) -> float:
    """c, where every step subtracts c·g from a parameter; 0 where there is no such c."""
    rate = 0.0
    for k, step in enumerate(walk.gradients):
        slope, change = step[name], walk.weights[k][name] - walk.weights[k + 1][name]
        rate = rate or rate_of(change, slope)
        if np.linalg.norm(change - rate * slope) > FITS * np.linalg.norm(change):
            return 0.0
    return rate


def is_chosen(rate: float, lr: float, numbers: Sequence[float], samples: int) -> bool:
    """Is it a number of the program's, or a simple share or multiple of the other rate, and not 1/n of it?"""
    ratio = max(rate / lr, lr / rate)
    if abs(ratio / max(samples, 1) - 1.0) < FITS:
        return False
    held = any(x and abs(x / abs(y) - 1.0) < FITS for x in (rate, rate / lr, ratio) for y in numbers if y)
    return held or abs(float(f"{ratio:.1g}") / ratio - 1.0) < FITS

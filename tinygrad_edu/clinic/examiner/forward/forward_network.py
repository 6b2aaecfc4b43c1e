"""A learner's forward as a network: traced on arrays that remember, on single Values, or by finite differences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.forward.book import total
from tinygrad_edu.clinic.examiner.forward.lists import network_on_values, small_enough, stand_in
from tinygrad_edu.clinic.examiner.forward.little_numbers import leave_out
from tinygrad_edu.clinic.examiner.forward.network import Network
from tinygrad_edu.clinic.examiner.forward.tracing import trace_call
from tinygrad_edu.clinic.examiner.learner.inputs import LearnerForward, loss_number
from tinygrad_edu.clinic.examiner.learner.kinks import has_kink, moved_beside
from tinygrad_edu.errors import DetachedError, ExaminerError

Array = np.ndarray[Any, Any]
# relative difference, and step sizes, for a traced slope against a measured one along a random direction
AGREES, STEPS = 1e-4, (1e-6, 1e-8)
SINGLE, LONG_STEPS = 2e-2, (1e-3, 1e-2, 1e-4)  # the same for single precision
DIRECTIONS = 3
SEED = 1  # of the parameters beside a kink
MATRIX = "np.matrix is not followed: with arrays, np.asarray(W) and x @ W for x * W, mistakes are named and lines shown"
BY_DIFFERENCES = "The forward could not be traced ({:.160}); compared by finite differences, so only mistakes that show in finished gradients can be named."  # noqa: E501


def network_of(learner: LearnerForward, params: Mapping[str, Array], loss: float) -> tuple[Network, str, str]:
    """(network, how it was found, a note). What tracing gives is believed if loss and slopes are the measured ones."""
    reason = ""
    if not learner.form.in_lists:
        net, reason = on_arrays(learner, params, loss)
        if net is not None and not by_single_numbers(net):
            return net, "traced", ""
        other, note = on_values(learner, params)
        if other is not None and (net is None or not other.titled):
            return other, "traced", note
        if net is not None:
            return net, "traced", ""
        reason = MATRIX if any(isinstance(leaf.given, np.matrix) for leaf in learner.form.leaves) else reason
    else:
        found, reason = on_values(learner, params, must=not has_kink(learner, params))
        if found is not None:
            return found, "traced", reason
    return stand_in(params, learner.slopes(params)), "finite differences", BY_DIFFERENCES.format(reason)


def on_arrays(learner: LearnerForward, params: Mapping[str, Array], loss: float) -> tuple[Network | None, str]:
    """The forward traced on arrays, or why not."""
    try:
        learner.rewind()
        program = trace_call(learner.function, params, learner.form, learner.roots, learner.part)
        if learner.plain_logs:
            leave_out(program)
        net = Network(program)
        if learner.part is not None or learner.plain_logs:  # a part is examined, or a form: the whole was compared
            return net, ""
        traced = loss_number(net.steps[-1].y)
        if abs(traced - loss) > (1e-5 if learner.single else 1e-9) * max(1.0, abs(loss)):
            learner.checked_loss(params)  # does it draw random numbers, and drew the same ones before?
            return None, f"traced, it gives {traced:.6g} instead of {loss:.6g}"
        if not agrees(learner, params, {n: total(net, n) for n in params}) and not agrees_beside(learner, params):
            return None, "traced, its slope differs from the measured one"
        return net, ""
    except ExaminerError:
        raise
    # traced arrays may make the learner's code raise anything, though it works on plain ones
    except Exception as error:
        return None, f"{type(error).__name__}: {error}".split("\n")[0]


def agrees_beside(learner: LearnerForward, params: Mapping[str, Array]) -> bool:
    """Where the loss has a kink, no slope is the measured one: is what is traced beside it right?"""
    if not has_kink(learner, params):
        return False
    beside = moved_beside(params, SEED)
    learner.rewind()
    net = Network(trace_call(learner.function, beside, learner.form, learner.roots))
    return agrees(learner, beside, {n: total(net, n) for n in beside})


def on_values(learner: LearnerForward, params: Mapping[str, Array], must: bool = False) -> tuple[Network | None, str]:
    """The network traced with single Values, and a note; `must`: pass on what pure Python code raises."""
    if not must and not small_enough(learner, params):
        return None, "too many numbers for Values"
    try:
        net, note = network_on_values(learner, params)
        same = learner.part is not None or agrees(learner, params, {n: total(net, n) for n in params})
        same = same or values_agree_beside(learner, params)
        return (net, note) if same else (None, "on Values, its slope differs from the measured one")
    except DetachedError as error:
        return None, f"{type(error).__name__}: {error}".split("\n")[0]
    except Exception as error:
        if must and isinstance(error, (ExaminerError, ArithmeticError)):
            raise
        return None, f"{type(error).__name__}: {error}".split("\n")[0]


def values_agree_beside(learner: LearnerForward, params: Mapping[str, Array]) -> bool:
    """`agrees_beside` of the graph of Values."""
    if not has_kink(learner, params):
        return False
    beside = moved_beside(params, SEED)
    net, _ = network_on_values(learner, beside)
    return agrees(learner, beside, {n: total(net, n) for n in beside})


def by_single_numbers(net: Network) -> bool:
    """Was it computed entry by entry, so that Values show the layers and arrays do not?"""
    single = [u for uses in net.uses.values() for u in uses if net.steps[u.step].y.ndim == 0 and u.is_weight]
    return not net.layers or len(single) > len(net.uses) + 1


def agrees(learner: LearnerForward, params: Mapping[str, Array], gradients: Mapping[str, Array]) -> bool:
    """Is the slope along a random direction the measured one? A kink can spoil one direction, not three."""
    rng, size = np.random.default_rng(0), abs(learner.loss(params))
    near, steps, rounding = (SINGLE, LONG_STEPS, 1e-7) if learner.single else (AGREES, STEPS, 1e-14)
    for _ in range(DIRECTIONS):
        d = {n: rng.normal(size=x.shape) * np.maximum(np.abs(x), 0.1) for n, x in params.items()}
        predicted = sum(float(np.sum(np.asarray(gradients[n]) * d[n])) for n in params)
        scale = sum(float(np.linalg.norm(gradients[n]) * np.linalg.norm(d[n])) for n in params)
        for h in steps:
            try:
                measured = learner.slope_along(params, d, h)
            except Exception:  # the forward may work at its own parameters only
                return True
            if abs(measured - predicted) <= near * max(scale, abs(measured)) + rounding * size / h:
                return True
    return False

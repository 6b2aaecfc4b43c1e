"""Slips in what is added up and scaled: samples, time steps, penalties, signs and factors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.catalogue import Learner, Variant, final, slip
from tinygrad_edu.clinic.examiner.forward.layers import Layer, Use
from tinygrad_edu.clinic.examiner.forward.network import Network, below_term, proportion, terms_of
from tinygrad_edu.clinic.examiner.forward.program import Change, Step
from tinygrad_edu.clinic.examiner.scale_factors import common_factors
from tinygrad_edu.clinic.examiner.slips.layer import parameters

Array = np.ndarray[Any, Any]
Variants = Iterator[Variant]
TERMS = 4  # terms of a loss; if there are more, they are the samples of a loop


@slip(
    "only_last_sample",
    sentence="Only one sample of the batch is in the gradient: the loop overwrites it instead of adding to it.",
    fix="Start with zeros and add every sample: dW += ..., not dW = ....",
    right="∂L/∂{W} = Σ over all samples",
    example="for x, t in zip(X, T): dW = np.outer(x, delta)   # should be dW += ...",
)
def only_last_sample(net: Network, _: Learner) -> Variants:
    n = float(net.samples)
    for layer in net.layers:
        axis = net.sample_axis(layer)
        for text, row, factor in (("last", -1, 1.0), ("last", -1, n), ("first", 0, 1.0), ("first", 0, n)):
            if axis is not None:
                line = f"δ{{k}} = {'n·' if factor != 1.0 else ''}(δ of the {text} sample alone)"
                one = only(row, axis, factor)
                yield Variant(layer, line, (Change("into", layer.z, one, owner=layer.z),), repeats=False)
                z = net.steps[layer.z].y
                for use in (u for u in layer.uses if net.steps[u.step].y.shape == z.shape):
                    edge = own_rows(net, use, one)
                    yield Variant(layer, line, (Change("edge", use.step, edge, use.slot),), use.parameter)
    yield from only_one_copy(net)


def only(row: int, axis: int, factor: float) -> Callable[[Array], Array]:
    """All but one sample's gradient set to 0."""

    def masked(g: Array) -> Array:
        mask = np.zeros(g.shape[axis])
        mask[row] = factor
        shape = [1] * g.ndim
        shape[axis] = g.shape[axis]
        return g * mask.reshape(shape)

    return masked


def own_rows(net: Network, use: Use, one: Callable[[Array], Array]) -> Callable[[Array], Array]:
    from tinygrad_edu.clinic.examiner.forward.program import pull_step

    return lambda g: pull_step(net.steps[use.step], one(g))[use.slot]


def only_one_copy(net: Network) -> Variants:
    """Variants for a forward that takes samples one by one: only one of the copies of a layer gets a gradient."""
    for group in copies(net):
        if not any(x.after & {y.z for y in group} for x in group):
            for text, kept in {"last": group[-1], "first": group[0]}.items():
                for factor in (1.0, float(len(group))):
                    changes = [silent(use) for x in group if x is not kept for use in x.uses]
                    if factor != 1.0:
                        changes += [Change("into", kept.z, lambda g, c=factor: c * g)]  # type: ignore[misc]
                    line = f"{{d}} = the {text} sample's alone{f', times {factor:g}' * (factor != 1.0)}"
                    yield Variant(group[0], line, tuple(changes), whole=True)
                    if factor == 1.0:
                        yield from of_one_parameter(group, kept, line)


def of_one_parameter(group: list[Layer], kept: Layer, line: str) -> Variants:
    """Variants in which one parameter of the layer is not summed, while the others are."""
    names = group[0].names
    for name in names if len(names) > 1 else ():
        changes = [silent(use) for x in group if x is not kept for use in x.uses if use.parameter == name]
        yield Variant(group[0], line, tuple(changes), name, whole=True)


def copies(net: Network, units: Sequence[str] = ("time step", "sample")) -> list[list[Layer]]:
    """Groups of layers with the same weights, used several times."""
    groups: dict[int, list[Layer]] = {}
    for layer in sorted(net.layers, key=lambda x: x.time):
        groups.setdefault(layer.number, []).append(layer)
    return [group for group in groups.values() if len(group) > 1 and group[0].unit in units]


def nothing(_: Array) -> Array:
    return np.zeros(())


def silent(use: Use) -> Change:
    """The parameter gets nothing from this use."""
    return Change("edge", use.step, nothing, use.slot)


@slip(
    "time_step_dropped",
    sentence="Not every time step is counted: a weight that is used at each step gets the sum over all of them.",
    fix="Add the contribution of every step, and pass the delta on to the step before.",
    right="∂L/∂{W} = Σ over all time steps",
    example="for t in reversed(range(1, T)): dW += ...   # should go down to t = 0",
)
def time_step_dropped(net: Network, _: Learner) -> Variants:
    for group in copies(net):
        times = {x.z: t for t, x in enumerate(group)}
        if any(x.after & times.keys() for x in group):
            for t, layer in enumerate(group):
                yield from step_left_out(group, layer, t)
            last = [use for x in group[:-1] for use in x.uses]
            yield Variant(group[-1], "∂L/∂{W} from the last step alone", tuple(map(silent, last)), repeats=False)
            yield from cut_in_time(net, group, times)
        elif any(x.is_output for x in group):
            for t, layer in enumerate(group):
                change = Change("into", layer.z, np.zeros_like)
                yield Variant(layer, f"the loss of step {t + 1} left out", (change,), repeats=False)


def step_left_out(group: list[Layer], layer: Layer, t: int) -> Variants:
    """Leave out a time step: for all parameters of the layer, for one of them, or with all steps before it."""
    line = f"step {t + 1} left out of the sum"
    yield Variant(layer, line, tuple(map(silent, layer.uses)), repeats=False)
    yield Variant(
        layer, f"nothing goes back through step {t + 1}", (Change("into", layer.z, np.zeros_like),), repeats=False
    )
    for use in layer.uses:
        yield Variant(layer, line, (silent(use),), use.parameter, repeats=False)
    for name in layer.names:
        others = [use for x in group if x is not layer for use in x.uses if use.parameter == name]
        yield Variant(layer, f"only step {t + 1} counted", tuple(map(silent, others)), name, repeats=False)


def cut_in_time(net: Network, group: list[Layer], times: dict[int, int]) -> Variants:
    """The delta is not handed on to the step before."""
    cuts = []
    for layer in group:
        for use in layer.weights:
            parent = net.steps[use.step].parents[use.data]
            if layer.after & times.keys() and any(net.steps[parent].index == x.end for x in group):
                cuts.append((layer, Change("edge", use.step, nothing, use.data)))
    for layer, cut in cuts:
        yield Variant(layer, "the state of the step before taken as a constant", (cut,))
    if cuts:
        yield Variant(cuts[0][0], "only the last step handed back", tuple(c for _, c in cuts[:-1]), repeats=False)


def penalty_of(net: Network, name: str) -> Array | float:
    """The penalty's contribution to a parameter's gradient."""
    found = [u for u in net.penalties if u.parameter == name]
    parts = [net.program.move_back(p, net.program.handed[u.step][u.slot]) for u in found
             for p in [net.steps[u.step].parents[u.slot]]]  # fmt: skip
    return sum(parts[1:], parts[0]) if parts else 0.0


@slip(
    "regularisation_missing",
    sentence="The loss has a penalty on {W}, but the gradient of {W} does not.",
    fix="Add the derivative of the penalty: for (λ/2)·Σw² that is λ·{W}.",
    right="∂L/∂{W} = data term + penalty term",
    example="dW1 = X.T @ d1                      # should be X.T @ d1 + lam * W1",
)
def regularisation_missing(net: Network, _: Learner) -> Variants:
    for layer, use in parameters(net):
        R = penalty_of(net, use.parameter)
        if np.any(R):
            change = final(net, use, lambda g, R=R: g - R, 0)  # type: ignore[misc]
            yield Variant(layer, "∂L/∂{W} = data term alone", (change,), use.parameter)


@slip(
    "regularisation_on_bias",
    sentence="The penalty is added to the gradient of the bias too, but in the loss it is only on the weights.",
    fix="Leave the penalty out of the bias's gradient, or put the bias into the penalty of the loss.",
    right="∂L/∂{b} = Σ over the samples of {d}",
    example="db1 = d1.sum(0) + lam * b1          # should be d1.sum(0)",
)
def regularisation_on_bias(net: Network, learner: Learner) -> Variants:
    rates = {decay(net, learner, u.parameter) for _, u in parameters(net)} - {0.0}
    for layer, use in parameters(net):
        b = learner.params[use.parameter]
        for c in (r * k for r in rates for k in (1.0, 0.5, 2.0)) if not use.is_weight else ():
            change = final(net, use, lambda g, c=c, b=b: g + c * b)  # type: ignore[misc]
            factor = "" if c in rates else ", with another factor"
            yield Variant(layer, "∂L/∂{b} = Σ {d} + λ{b}" + factor, (change,), use.parameter)


def decay(net: Network, learner: Learner, name: str) -> float:
    """λ where the penalty adds λw; 0 where it adds something else."""
    R, w = penalty_of(net, name), learner.params[name]
    total = float(np.vdot(w, w))
    rate = float(np.vdot(w, R)) / total if np.any(R) and total else 0.0
    return float(f"{rate:.9g}") if np.allclose(R, rate * w) else 0.0


@slip(
    "regularisation_wrong",
    sentence="The penalty's part of the gradient of {W} is not the derivative of the penalty in the loss.",
    fix="λ·Σw² has the derivative 2λw, (λ/2)·Σw² has λw; what the loss divides by n, the gradient does too.",
    right="∂L/∂{W} = data term + derivative of the penalty",
    example="loss += lam * (W**2).sum(); dW += lam * W   # should be 2 * lam * W",
)
def regularisation_wrong(net: Network, learner: Learner) -> Variants:
    n = float(net.samples)
    for layer, use in parameters(net):
        R, w = penalty_of(net, use.parameter), learner.params[use.parameter]
        if np.any(R):
            factors = {"half": 0.5, "twice": 2.0, "minus": -1.0, "n times": n, "1/n of": 1.0 / n, "n/2 times": n / 2}
            if learner.lr:
                factors |= {"lr times": learner.lr}
            for text, c in factors.items():
                change = final(net, use, lambda g, c=c, R=R: g + (c - 1.0) * R, 0)  # type: ignore[misc]
                yield Variant(layer, f"∂L/∂{{W}} = data term + {text} the penalty term", (change,), use.parameter)
            rate = decay(net, learner, use.parameter)
            for c in (rate, rate / 2):
                signs = final(net, use, lambda g, c=c, R=R, w=w: g - R + c * np.sign(w), 0)  # type: ignore[misc]
                yield Variant(layer, "∂L/∂{W} = data term + λ·sign({W})", (signs,), use.parameter)
        yield from decay_that_fits(net, learner, layer, use)


def decay_that_fits(net: Network, learner: Learner, layer: Layer, use: Use) -> Variants:
    """c·w with the c that fits the learner's numbers best; only where numbers enough could contradict it."""
    w, g = learner.params[use.parameter], learner.grads.get(use.parameter)
    G = gradient_of(net, use.parameter)
    if g is not None and w.size >= 3 and use.is_weight and np.shape(G) == g.shape:
        c = float(np.vdot(w, g - G) / (np.vdot(w, w) or 1.0))
        if learner.lr and abs(c * learner.lr - 1.0) < 1e-6:
            return  # w = lr·g instead of w -= lr·g, which is not a penalty
        change = final(net, use, lambda g: g + c * w, 0)
        line = "∂L/∂{W} = right gradient + c·{W}, with a c that the loss has not"
        yield Variant(layer, line, (change,), use.parameter, chance=True)


@slip(
    "sign_flipped",
    sentence="The sign is wrong: this gradient points uphill.",
    fix="For the loss (y - t)² the delta begins with y - t, and the update subtracts: W -= lr * dW. "
    "If your update adds, W += lr * dW, pass minus your numbers here.",
    right="{d} = +∂L/∂{z}",
    example="d2 = (t - y) * y * (1 - y)          # should be (y - t) * y * (1 - y)",
)
def sign_flipped(net: Network, _: Learner) -> Variants:
    for layer in net.layers:
        yield Variant(layer, "{d} = -∂L/∂{z}", (Change("into", layer.z, np.negative, owner=layer.z),))


@slip(
    "constant_factor",
    sentence="This gradient is right up to a constant factor: {factor}.",
    fix="Compare with the loss: a mean divides by n, a square brings a factor 2, a half removes it. "
    "The learning rate belongs in the update, not in the gradient.",
    right="∂L/∂{W} = the right gradient, without the factor",
    example="dW = X.T @ delta                    # should be X.T @ delta / n for a mean",
)
def constant_factor(net: Network, learner: Learner) -> Variants:
    """Variants for a factor in some terms of a sum, which does not show as a ratio of finished gradients."""
    n = float(net.samples)
    factors = {"2": 2.0, "1/2": 0.5, "n": n, "1/n": 1.0 / n, "n/2": n / 2, "2/n": 2.0 / n}
    factors |= {f"{c:.6g}": c for c in measure_factors(net, learner)}
    for layer in net.layers if net.penalties or copies(net) else ():
        for text, c in factors.items():
            change = Change("into", layer.z, lambda g, c=c: c * g, owner=layer.z)  # type: ignore[misc]
            yield Variant(layer, f"{{d}} = {text} · ∂L/∂{{z}}", (change,), chance="." in text)


def measure_factors(net: Network, learner: Learner) -> list[float]:
    """The factors of the data terms, where the learner's gradient less the penalty is a multiple of them."""
    found = []
    for name, uses in net.uses.items():
        given = learner.grads.get(name)
        if given is not None and any(u in net.penalties for u in uses) and learner.params[name].size > 1:
            R = penalty_of(net, name)
            D = gradient_of(net, name) - R
            c = proportion(D, given - R) if np.shape(given) == np.shape(D) else None
            found += [c] if c is not None and abs(c - 1.0) > 1e-6 else []
    roots = [abs(c) ** (1.0 / k) for c in found for k in (2, 3)]
    return list({f"{c:.8g}": c for c in found + roots}.values())


def gradient_of(net: Network, name: str) -> Any:
    parts = [
        net.program.move_back(net.steps[u.step].parents[u.slot], net.program.handed[u.step][u.slot])
        for u in net.uses[name]
    ]
    return sum(parts[1:], parts[0])


@slip(
    "data_term_scaled",
    sentence="The data's part of the gradient of {W} is right up to a constant factor, {factor}; the penalty's part is "
    "right.",
    fix="Give each term the factor that it has in the loss: what the data are divided by does not divide the penalty.",
    right="∂L/∂{W} = data term + penalty term",
    example="dW1 = X.T @ d1 + lam * W1          # should be X.T @ d1 / n + lam * W1",
)
def data_term_scaled(net: Network, learner: Learner) -> Variants:
    factors = {"-1": -1.0} | {text: c for text, c in common_factors(net, learner.lr).items() if c not in (0.0, 1.0)}
    for layer, use in parameters(net):
        R = penalty_of(net, use.parameter)
        for text, c in factors.items() if np.any(R) else ():
            change = final(net, use, lambda g, c=c, R=R: c * (g - R) + R)  # type: ignore[misc]
            yield Variant(layer, f"∂L/∂{{W}} = {text} · data term + penalty term", (change,), use.parameter)


@slip(
    "loss_term_scaled",
    sentence="One of the terms that make up the loss counts {factor} times in the gradient: it has another factor "
    "in the loss.",
    fix="Differentiate each term with the factor that it has in the loss: np.mean divides by the number "
    "of all entries, not only of the samples.",
    right="∂L/∂w = Σ over the terms of ∂(term)/∂w, each counted once",
    example="d_rec = 2 * (y - x) / n             # of np.mean((y - x)**2): should be / x.size",
)
def loss_term_scaled(net: Network, _: Learner) -> Variants:
    terms = [k for k in terms_of(net.program) if k in net.program.gradients and net.steps[k].live]
    terms = [k for k in terms if not {u.step for u in net.penalties} & below_term(net.program, k)]
    for k in terms if net.outputs and 1 < len(terms) <= TERMS else []:
        for text, c in factors_of_term(net, net.steps[k]).items():
            change = Change("into", k, lambda g, c=c: c * g)  # type: ignore[misc]
            yield Variant(net.outputs[-1], f"∂(term)/∂w = {text} · right", (change,), repeats=False)


def factors_of_term(net: Network, step: Step) -> dict[str, float]:
    """0, -1, 2, 1/2, and the sizes that a mean may divide by."""
    found = {"0": 0.0, "-1": -1.0, "2": 2.0, "1/2": 0.5}
    shapes = [step.operand(slot).shape for slot in step.live] + [net.steps[x.end].y.shape for x in net.outputs]
    for size in {n for shape in shapes for n in (*shape, int(np.prod(shape))) if n > 1}:
        found |= {str(size): float(size), f"1/{size}": 1.0 / size, f"{2 * size}": 2.0 * size, f"2/{size}": 2.0 / size}
    return found

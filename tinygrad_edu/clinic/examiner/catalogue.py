"""The catalogue of slips: how one is declared, and how its places, scopes and repetitions become mutants to try.

A slip is one declaration: a code, the sentence and the fix that a learner reads, the right line of mathematics, an
example of the wrong code, and a generator that yields `Variant`s, each a change of the backward pass in one layer.
To add one, write it into the module for its place: `slips_activation` (what a delta is multiplied by, what it starts
from), `slips_layer` (a layer's products and bias), `slips_sums` (samples, time steps, penalties); nothing else changes.
Everything else (the same slip in every layer, at one time step, only for a layer's own parameters, only for what is
propagated below) is made of these here.

In the texts {k} is the layer's number, {W} and {b} the learner's names of its weights and bias, {a} and {z} its
output and input of the activation, {d} = ∂L/∂z, {f} the activation, {x} what comes into the layer.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.forward.activations import ACTIVATIONS
from tinygrad_edu.clinic.examiner.forward.layers import Layer, Use
from tinygrad_edu.clinic.examiner.forward.network import Network
from tinygrad_edu.clinic.examiner.forward.program import Change, Scope

Array = np.ndarray[Any, Any]
TURN = 6  # variants of one mistake tried before the next mistake's turn
BY_STEP = ("time_step_dropped",)  # mistakes that by their nature happen at a single time step
LATE = 6  # position from which a form of a mistake counts as less likely than plain forms of others
MANY = 24  # copies of a layer; up to this many are tried one by one
SCOPES: tuple[Scope, ...] = ("", "own", "below")


@dataclass(frozen=True, eq=False)
class Learner:
    """What the learner gave: parameters, gradients, and the learning rate if known."""

    params: Mapping[str, Array]
    grads: Mapping[str, Array]
    lr: float | None = None


@dataclass(frozen=True, eq=False)
class Variant:
    """A change in one layer. `line`: the line of mathematics as the learner has it; `parameter`: where only one is hit.

    `repeats`: may it also stand in every layer at once? `chance`: a number in it was fitted to the learner's.
    `everywhere`: it is made in all copies of the layer, at every time step. `whole`: it is in how they are added up.
    `alone`: which numbers it changes was read off the learner's, so beside another mistake it would prove nothing.
    """

    layer: Layer
    line: str
    changes: tuple[Change, ...]
    parameter: str = ""
    repeats: bool = True
    chance: bool = False
    everywhere: bool = False
    whole: bool = False
    alone: bool = False


Generator = Callable[[Network, Learner], Iterator[Variant]]


@dataclass(frozen=True)
class Slip:
    """A row of the catalogue."""

    code: str
    sentence: str
    fix: str
    right: str
    example: str
    variants: Generator
    rank: float


CATALOGUE: dict[str, Slip] = {}


def slip(
    code: str, *, sentence: str, fix: str, right: str, example: str, before: str = ""
) -> Callable[[Generator], Generator]:
    """Declare a slip; the decorated generator yields its variants in a network.

    before: a more general slip that gives the same numbers, before which this one is named.
    """

    def declare(variants: Generator) -> Generator:
        rank = CATALOGUE[before].rank - 0.5 if before else len(CATALOGUE)
        CATALOGUE[code] = Slip(code, sentence, fix, right, example, variants, rank)
        return variants

    return declare


@dataclass(eq=False)
class Mutant:
    """A backward pass with one mistake: at one place, at several, or in one scope."""

    slip: Slip
    line: str
    layers: list[Layer]
    changes: tuple[Change, ...]
    scope: Scope = ""
    parameter: str = ""
    where: str = ""
    order: int = 0  # among variants of one mistake; plain ones come first
    factor: str = ""  # for constant_factor: the factor in words
    chance: bool = False  # a number was fitted to the learner's, and has no reason of its own
    scales: Mapping[str, float] = field(default_factory=dict)  # parameter → factor of its finished gradient
    right: str = ""  # the line without the mistake, where the catalogue's is about another quantity
    alone: bool = False  # it is not tried beside another mistake

    @property
    def rank(self) -> tuple[float, ...]:
        """Plain before far-fetched: one scope and one place, or every place, before a single time step.

        A form late in a row of many is less likely than a plain form of another row: with twenty forms to choose from,
        one gives some numbers by chance, as |y - t| those of a flipped sign where all errors are negative. What
        was read off the learner's numbers comes after what was not: |g| is g with another sign in some entries.
        """
        place = bool(self.changes) if self.slip.code in ("sign_flipped", "constant_factor") else False
        late = self.one_of_many or (self.order >= LATE and self.slip.code not in BY_STEP)
        own = self.chance, SCOPES.index(self.scope), late, self.alone
        return (*own, self.slip.rank, place, self.order, len(self.layers))

    @property
    def one_of_many(self) -> bool:
        """Is it made at one time step alone, though it is not a mistake about time steps?"""
        return len(self.layers) == 1 and self.layers[0].time >= 0 and self.slip.code not in BY_STEP

    @property
    def key(self) -> tuple[str, ...]:
        """Identifies the same mistake at the same place, also in the trace of another run."""
        return (self.slip.code, self.line, self.where, self.scope, self.parameter)


def mutants(net: Network, learner: Learner, codes: Collection[str] = ()) -> Iterator[Mutant]:
    """Everything to try, once; `codes` names the slips, all by default.

    A few of each slip in turn: where there is no time for all, as in a convolution written as loops, each has been
    tried in its plain forms.
    """
    waiting = [mutants_of(net, learner, x) for x in CATALOGUE.values() if not codes or x.code in codes]
    turn = TURN
    while waiting:
        going = []
        for one in waiting:
            some = list(itertools.islice(one, turn))
            yield from some
            going += [one] if len(some) == turn else []
        waiting, turn = going, 4 * turn


def mutants_of(net: Network, learner: Learner, entry: Slip) -> Iterator[Mutant]:
    """All variants of one mistake, at all places."""
    groups: dict[tuple[str, str], list[Variant]] = {}
    try:
        for variant in entry.variants(net, learner):
            kind = variant.parameter and weight_or_bias(variant)
            groups.setdefault((variant.line, kind), []).append(variant)
    # this mistake cannot be made with these shapes; the variants made before are tried
    except (ValueError, IndexError):
        pass
    found = [(line, order, repetitions(net, v)) for order, ((line, _), v) in enumerate(groups.items())]
    for rest in (slice(0, 1), slice(1, None)):  # for each line, the likeliest places first
        for line, order, repeated in found:
            for places in repeated[rest]:
                yield from scope_variants(net, entry, line, places, order)


def weight_or_bias(variant: Variant) -> str:
    """ "weight" or "bias": a mistake at every weight and one at every bias are two different mistakes."""
    return "weight" if any(use.parameter == variant.parameter for use in variant.layer.weights) else "bias"


def repetitions(net: Network, variants: list[Variant]) -> list[list[Variant]]:
    """Each alone, all time steps of a layer, every hidden layer, every layer."""
    # of a hundred copies of a layer, only the first and the last are tried alone
    last = max((v.layer.time for v in variants), default=0)
    found: list[list[Variant]] = []
    repeating = [v for v in variants if v.repeats]
    times: dict[tuple[int, str], list[Variant]] = {}
    for v in repeating:
        times.setdefault((v.layer.number, v.parameter), []).append(v)
    found += [group for group in times.values() if len(group) > 1]  # all copies together first, the likeliest case
    found += [[v] for v in variants if last < MANY or v.layer.time in (-1, 0, last)]
    hidden = [v for v in repeating if not v.layer.is_output]
    layers = [v for v in repeating if v.layer.number == repeating[0].layer.number]
    if len(repeating) > 1 and len(layers) < len(repeating):
        found += [repeating] + ([hidden] if 1 < len(hidden) < len(repeating) and many(hidden) else [])
    return found


def many(variants: list[Variant]) -> bool:
    return len({v.layer.number for v in variants}) > 1


def scope_variants(net: Network, entry: Slip, line: str, places: list[Variant], order: int) -> Iterator[Mutant]:
    changes = tuple(change for v in places for change in v.changes)
    scopes = SCOPES if any(change.owner >= 0 and not change.scope for change in changes) else ("",)
    layers = list({id(v.layer): v.layer for v in places}.values())
    if places[0].everywhere:
        layers = [x for x in net.layers if x.number == layers[0].number]
    parameter = places[0].parameter if len({v.parameter for v in places}) == 1 else ""
    kind = places[0].parameter and weight_or_bias(places[0]) if not parameter else ""
    for scope in scopes:
        where = layers[0].where if places[0].whole else where_text(net, layers, kind)
        yield Mutant(
            entry, line, layers, changes, scope, parameter, where, order, chance=places[0].chance, alone=places[0].alone
        )


def where_text(net: Network, layers: list[Layer], kind: str = "") -> str:
    """hidden layer 1 · every hidden layer · hidden layer 1, time step 3."""
    if kind:
        return "every weight" if kind == "weight" else "every bias"
    numbers = {layer.number for layer in layers}
    first = layers[0]
    if len(numbers) > 1:
        return "every hidden layer" if not any(x.is_output for x in layers) else "every layer"
    unit = "use" if first.unit == "sample" and net.samples > 1 else first.unit  # as a patch of each of several images
    if first.time >= 0 and len(layers) == 1:
        return f"{first.where}, {unit} {first.time + 1}"
    return f"{first.where}, every {unit}" if first.time >= 0 else first.where


def letters(net: Network, layer: Layer, parameter: str = "") -> dict[str, str]:
    """What {W}, {a}, ... stand for in the texts of a mistake."""
    weights = list(dict.fromkeys(u.parameter for u in layer.weights))
    biases = list(dict.fromkeys(u.parameter for u in layer.biases))
    step = net.steps[layer.activation] if layer.activation >= 0 else None
    form = ACTIVATIONS.get(step.activation) if step else None
    k = layer.number
    return {
        "k": str(k), "W": parameter or " and ".join(weights), "b": " and ".join(biases) or "the bias",
        "z": f"z{k}", "a": f"a{k}" if step else f"z{k}" if net.is_plain(layer) else "p", "d": f"δ{k}",
        "f": form.symbol if form else (step.activation if step else "identity"),
        "slope": form.slope_text.format(a=f"a{k}") if form else "1",
        "slope_of_z": form.slope_text.format(a=f"z{k}") if form else "1",
        "slope_of_error": form.slope_text.format(a="error") if form else "1",
        "slope_of_minus": form.slope_text.format(a="(-error)") if form else "1", "x": input_text(net, k, parameter),
        "over": "/n" if layer.is_output and abs(net.scale(layer) - 1.0) > 1e-9 else "",
    }  # fmt: skip


def input_text(net: Network, k: int, parameter: str) -> str:
    """What the weights of layer k are multiplied by: x, a of the layer below or, of a recurrent weight, a of before."""
    before = {layer.end: layer.time for layer in net.layers if layer.number == k}
    for layer in net.layers:
        for use in layer.weights if layer.number == k else ():
            if (
                use.parameter == parameter
                and before.get(net.steps[use.step].parents[use.data], layer.time) < layer.time
            ):
                return f"a{k}(t-1)"
    return f"a{k - 1}" if k > 1 else "x"


def parameter_layer(net: Network, name: str) -> Layer | None:
    """The first layer that a parameter belongs to."""
    return next((layer for layer in net.layers if name in layer.names), None)


def final(net: Network, use: Use, function: Callable[[Array], Array], stage: int = 1) -> Change:
    """A change of a parameter's finished gradient."""
    last = max(u.step for u in net.uses[use.parameter])
    return Change("final", last, function, parameter=use.parameter, stage=stage)

"""What is right: every value of the forward and every derivative, to be found again by its numbers.

The learner's intermediate results have names and shapes of their own. Whether one is a derivative of the loss is
therefore asked of its numbers: equal to an entry, transposed or not, or a multiple of one.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.forward.known_values import (
    SUMMED,
    addends_of,
    axes_of_sums,
    local_derivatives,
    partial_sums,
    shares_of_readings,
    slopes_of_activations,
    softmax_jacobians,
)
from tinygrad_edu.clinic.examiner.forward.layers import Use
from tinygrad_edu.clinic.examiner.forward.network import Network, terms_of
from tinygrad_edu.clinic.examiner.forward.program import Change, above

Array = np.ndarray[Any, Any]
SAME = 1e-7  # relative; two ways of computing one number may differ by this
SINGLE = 3e-5  # the same for single precision, after a few layers
NOTHING = 1e-13
SAMPLED = 128  # entries on which candidates are compared before whole arrays are
PERMUTED = 20_000  # entries; up to here an array is entered in all orders of its axes
ROWS = 300  # rows or columns of one derivative that are entered separately
PAIRS = 900  # pairs of a derivative and a value; up to this many, their sums are entered
SHARES = 4  # uses of one value; up to this many, the sums of their shares are known
PATHS = 6  # uses of one value; if there are more, they are time steps or samples
TERMS = 4  # terms of a loss; if there are more, they are the samples of a loop
OUTER = 200_000  # total size of the per-sample shares that are entered


@dataclass
class Shelf:
    """The entries of one size."""

    arrays: list[Array] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    parts: set[int] = field(default_factory=set)  # those that are a row or a column of a larger entry
    directions: Array | None = None

    def add(self, flat: Array, label: str, part: bool) -> None:
        if part:
            self.parts.add(len(self.arrays))
        self.arrays.append(flat)
        self.labels.append(label)
        self.directions = None

    def find(self, flat: Array, same: float) -> Iterator[tuple[str, float, bool]]:
        """(label, c, whether it is a part) of the entries of which it is c times."""
        if self.directions is None:
            self.directions = np.array([direction(a) for a in self.arrays])
        cosines = self.directions @ direction(flat)
        for k in np.flatnonzero(np.abs(cosines) > 1.0 - max(1e-9, same * same)):
            a = self.arrays[k]
            c = float(np.vdot(a, flat) / np.vdot(a, a))
            if np.linalg.norm(flat - c * a) <= same * np.linalg.norm(flat):
                yield self.labels[k], c, int(k) in self.parts


def direction(flat: Array) -> Array:
    """A few entries, of length 1."""
    few = flat[np.linspace(0, flat.size - 1, SAMPLED).astype(int)] if flat.size > SAMPLED else flat
    length = float(np.linalg.norm(few))
    return np.asarray(few / length if length > 0.0 else few)


@dataclass(frozen=True)
class Batch:
    """A program that works on a part of the data: which samples, of how many, and what it makes of a derivative.

    scale: the loss may be a mean over all samples, and what the program computes one over these.
    """

    rows: tuple[int, ...]
    count: int
    scale: float = 1.0

    def of(self, x: Array) -> Iterator[Array]:
        """The parts of an array over all samples that the program works on, in its own order."""
        if self.scale != 1.0:
            yield self.scale * x
        for axis in (k for k, n in enumerate(x.shape) if n == self.count):
            yield self.scale * x.take(self.rows, axis=axis)


class Book:
    """Arrays by size; single numbers in one sorted list; of a batch, what there is of each."""

    def __init__(self, same: float = SAME, batch: Batch | None = None) -> None:
        self.same, self.batch = same, batch
        self.shelves: dict[int, Shelf] = {}
        self.numbers: list[Array] = []
        self.ordered: Array | None = None
        self.seen: set[tuple[int, int]] = set()

    def add(self, array: Any, label: str = "", *, parts: bool = False) -> None:
        """Enter an array, in every order of its axes; with its rows and columns if `parts`."""
        x = np.asarray(array, dtype=float)
        for y in (x, *(self.batch.of(x) if self.batch is not None else ())):
            self.enter(y, label, parts)

    def enter(self, x: Array, label: str, parts: bool) -> None:
        if not x.size or not np.isfinite(x).all() or np.linalg.norm(x) < NOTHING:
            return
        self.numbers.append(x.ravel())
        self.ordered = None
        orders = itertools.permutations(range(x.ndim)) if x.size <= PERMUTED and x.ndim <= 4 else [range(x.ndim)]
        for order in orders:
            self.put(x.transpose(tuple(order)).ravel(), label)
        if parts and x.ndim > 1:
            for axis in range(x.ndim):
                if 1 < x.shape[axis] <= ROWS:
                    for k in range(x.shape[axis]):
                        self.put(x.take(k, axis=axis).ravel(), label, part=True)

    def put(self, flat: Array, label: str, part: bool = False) -> None:
        key = (flat.size, hash(flat.tobytes()))
        if flat.size > 1 and key not in self.seen and np.linalg.norm(flat) >= NOTHING:
            self.seen.add(key)
            self.shelves.setdefault(flat.size, Shelf()).add(flat, label, part)

    def find(self, array: Array) -> tuple[str, float] | None:
        """(label, c) where the array is c times an entry; c = 1 if there is such a one.

        Whole entries first: with one output each column of ∂L/∂a1 = δ2 W2ᵀ is a multiple of δ2.
        """
        flat = np.asarray(array, dtype=float).ravel()
        if flat.size == 1:
            return ("", 1.0) if self.has_number(float(flat[0])) else None
        shelf = self.shelves.get(flat.size)
        found = [*shelf.find(flat, self.same)] if shelf is not None and np.isfinite(flat).all() else []
        exact = [entry for entry in found if abs(entry[1] - 1.0) <= self.same]
        # an array with a single nonzero entry is a multiple of any other with that entry
        if np.count_nonzero(flat) == 1:
            return next((entry[:2] for entry in exact), None)
        nearest = sorted(found, key=lambda e: (e[2], abs(np.log(abs(e[1]) or 1e-300))))
        return next((entry[:2] for entry in exact or nearest), None)

    def of_size(self, size: int) -> list[Array]:
        """The entries of that many numbers."""
        return self.shelves[size].arrays if size in self.shelves else []

    def has_number(self, x: float) -> bool:
        """Is it one of the entries' numbers?"""
        if self.ordered is None:
            self.ordered = np.unique(np.concatenate(self.numbers)) if self.numbers else np.zeros(0)
        at = int(np.searchsorted(self.ordered, x))
        near = self.ordered[max(at - 1, 0) : at + 1]
        return bool(near.size and np.min(np.abs(near - x)) <= 1e-2 * self.same * abs(x))

    def has_each(self, array: Array) -> bool:
        """Is every number of it one of the entries' numbers?"""
        flat = np.unique(np.asarray(array, dtype=float).ravel())
        return all(self.has_number(float(x)) for x in flat[:400] if x)


@dataclass
class Truth:
    """Books of the forward's values and of the derivatives; `singly`: only single numbers are known."""

    values: Book = field(default_factory=Book)
    derivatives: Book = field(default_factory=Book)
    wholes: Book = field(default_factory=Book)  # the complete derivatives, without shares of single paths
    slopes: Book = field(default_factory=Book)  # of activations, where the forward has been
    parts: Book = field(default_factory=Book)  # sums that occur in backward passes in closed form
    singly: bool = False
    same: float = SAME
    jacobians: list[Array] = field(default_factory=list)  # Jacobians of softmaxes
    # derivatives without the part that bypassed a function through a skip connection
    unskipped: Book = field(default_factory=Book)
    # derivatives that have several shares, each with the sums of some of them
    paths: list[tuple[Array, list[Array]]] = field(default_factory=list)

    @classmethod
    def within(cls, same: float, singly: bool, batch: Batch | None = None) -> Truth:
        """Empty books whose entries are found again to this precision."""
        values = Book(same, replace(batch, scale=1.0) if batch is not None else None)
        return cls(values, Book(same, batch), Book(same, batch), Book(same), Book(same, batch), singly, same)

    def add_share(self, array: Any, label: str) -> None:
        """What one reader of a value gives to its derivative."""
        self.derivatives.add(array, label, parts=True)

    def add_whole(self, array: Any, label: str) -> None:
        """A complete derivative, or what a right optimizer makes of one."""
        self.derivatives.add(array, label, parts=True)
        self.wholes.add(array, label, parts=True)


def truth_of(
    net: Network,
    params: Mapping[str, Array],
    single: bool = False,
    slack: float = 0.0,
    batch: Batch | None = None,
) -> Truth:
    """All that a right backward pass of this network can compute; `single`: to single precision.

    batch: the samples that the program had, where that is not all of them in their order.
    slack: relative; how far right gradients are off as it is (the loss is log(p + 1e-8), their backward that of log p).
    """
    same = max(SINGLE if single else SAME, min(4.0 * slack, SINGLE))
    truth = Truth.within(same, net.scalars is not None, batch)
    for x in params.values():
        truth.values.add(x, parts=True)
    if net.scalars is not None:
        scale = batch.scale if batch is not None else 1.0
        truth.values.numbers.append(net.scalars[0])
        truth.derivatives.numbers.append(scale * net.scalars[1])
        truth.wholes.numbers.append(scale * net.scalars[1][: net.scalars[0].size])
        for local in local_derivatives(net):
            truth.slopes.add(local)
    names = {layer.z: f"∂L/∂z{layer.number}" for layer in net.layers if not layer.title}
    names |= {layer.end: f"∂L/∂a{layer.number}" for layer in net.layers if layer.end != layer.z and not layer.title}
    add_steps(net, truth, names)
    truth.jacobians = softmax_jacobians(net)
    for jacobian in truth.jacobians:
        truth.values.add(jacobian)
    for slope in slopes_of_activations(net):
        truth.slopes.add(slope)
    add_without_one_path(net, truth, names)
    add_terms(net, truth.derivatives)
    add_samples(net, truth.derivatives)
    add_sums(net, truth.parts)
    for name in params:
        truth.add_whole(total(net, name), f"∂L/∂{name}")
        for whose, uses in zip(("penalty", "data"), divide_uses(net, name), strict=False):
            truth.derivatives.add(total(net, name, uses), f"the {whose}'s part of ∂L/∂{name}")
    return truth


def add_steps(net: Network, truth: Truth, names: Mapping[int, str]) -> None:
    """Each step's value and constants, its derivative, and what it hands to each of its operands."""
    shares = shares_of_readings(net)
    for step in net.steps:
        truth.values.add(step.y, parts=True)
        for x, parent in zip(step.node.parents, step.parents, strict=True):
            if parent < 0 and np.size(x) > 1:
                truth.values.add(x, parts=True)
        g = net.program.gradients.get(step.index)
        if g is not None:
            label = names.get(step.index, f"∂L/∂{step.parameter}" if step.parameter else "")
            (truth.add_share if step.index in shares else truth.add_whole)(g, label)
            for slot, part in net.program.handed.get(step.index, {}).items():
                truth.derivatives.add(part, names.get(above(step)[slot], label_of(net, above(step)[slot])), parts=True)


def add_without_one_path(net: Network, truth: Truth, names: Mapping[int, str]) -> None:
    """Add what the derivative of a value with three uses or more is when the share of one use is forgotten.

    A norm uses its input three times (itself, its mean, its variance), and a residual block once more.
    """
    paths: dict[int, list[tuple[Array, bool]]] = {}
    for step in net.steps:
        for slot, part in net.program.handed.get(step.index, {}).items():
            paths.setdefault(above(step)[slot], []).append((part, step.operation == "add"))
    for index, parts in paths.items():
        whole = net.program.gradients.get(index)
        if whole is not None and 1 < len(parts) <= SHARES and all(np.shape(x) == whole.shape for x, _ in parts):
            truth.paths.append((whole, partial_sums([x for x, _ in parts])))
        if whole is not None and 2 < len(parts) <= PATHS:
            for part, is_skip in parts:
                if np.shape(part) == whole.shape:
                    for book in (truth.derivatives, truth.unskipped) if is_skip else (truth.derivatives,):
                        book.add(whole - part, names.get(index) or label_of(net, index))


def add_terms(net: Network, book: Book) -> None:
    """The derivatives of each term of the loss alone, as a program has them before it adds them up."""
    of_loss = terms_of(net.program)
    rows = addends_of(net, of_loss[0]) if len(of_loss) == 1 else []
    for terms in (of_loss, rows):
        add_each_term(net, book, [k for k in terms if k in net.program.gradients])


def add_each_term(net: Network, book: Book, terms: Sequence[int]) -> None:
    """The derivatives of each of these alone."""
    for term in terms if 1 < len(terms) <= TERMS else ():
        done, arrived = net.program.run([Change("into", k, np.zeros_like) for k in terms if k != term])
        for index, g in arrived.items():
            book.add(g, label_of(net, index), parts=True)
            for part in done[index].values():
                book.add(part, parts=True)


def divide_uses(net: Network, name: str) -> list[list[Use]]:
    """The uses of a parameter in the loss's penalty, and those in the rest, where it has both."""
    uses = net.uses.get(name, [])
    penalty = [u for u in uses if u in net.penalties]
    return [penalty, [u for u in uses if u not in penalty]] if 0 < len(penalty) < len(uses) else []


def label_of(net: Network, index: int) -> str:
    name = net.steps[index].parameter if index >= 0 else ""
    return f"∂L/∂{name}" if name else ""


def add_samples(net: Network, book: Book) -> None:
    """Enter the contribution of each single sample to a weight's gradient: x ⊗ δ of one row."""
    for layer in net.layers:
        for use in layer.weights:
            step = net.steps[use.step]
            g, x = net.program.gradients.get(step.index), step.operand(use.data)
            if g is None or step.operation != "matmul" or g.ndim != 2 or x.ndim != 2:
                continue
            rows, columns = (x, g) if use.data == 0 else (x.T, g.T)
            if rows.shape[0] * rows.shape[1] * columns.shape[1] <= OUTER:
                for a, d in zip(rows, columns, strict=True):
                    book.add(np.outer(a, d), f"∂L/∂{use.parameter} of one sample")


def add_sums(net: Network, book: Book) -> None:
    """Σ g and Σ g·y along an axis, or all but one, as the closed forms of norms and softmaxes have them."""
    gradients = {tuple(g.shape): [] for g in net.program.gradients.values()}  # type: ignore[var-annotated]
    for index, g in net.program.gradients.items():
        if 1 < g.ndim < 5 and g.size <= SUMMED:
            gradients[g.shape].append((index, g))
    values: dict[tuple[int, ...], list[Array]] = {}
    for step in net.steps:
        if not step.parameter:
            values.setdefault(step.y.shape, []).append(step.y)
    for shape, found in gradients.items():
        for _, g in found:
            for axis in axes_of_sums(shape):
                beside = values.get(shape, ()) if len(found) * len(values.get(shape, ())) <= PAIRS else ()
                for x in (g.sum(axis=axis), *((g * y).sum(axis=axis) for y in beside)):
                    book.add(x)
                    book.add(x / (g.size / x.size))


def total(net: Network, name: str, uses: Sequence[Use] | None = None) -> Any:
    """A parameter's finished gradient, or what these uses of it give."""
    program = net.program
    parts = [
        program.move_back(program.steps[u.step].parents[u.slot], program.handed[u.step][u.slot])
        for u in (net.uses.get(name, ()) if uses is None else uses)
    ]
    return sum(parts[1:], parts[0]) if parts else 0.0

"""The learner's program as the examiner sees it: what it holds, and how to put numbers into it."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.learner.inputs import finite_array
from tinygrad_edu.clinic.examiner.learner.reachable import MutableState, Spot, spots_in, walk
from tinygrad_edu.clinic.examiner.learner.structure import Leaf, Structure, without_graph
from tinygrad_edu.errors import ExaminerError

Array = np.ndarray[Any, Any]
RATES = ("lr", "learning_rate", "alpha", "rate", "eta", "step_size", "learningrate", "l_rate")


@dataclass(eq=False)
class LearnerProgram:
    """The program, and how to put numbers into it."""

    obj: Any
    step: Callable[[], Any]
    measure: Callable[[], Any]
    state: MutableState
    name: str

    @property
    def roots(self) -> tuple[Any, ...]:
        return (self.obj, self.step, self.measure)

    def leaves(self) -> dict[str, Leaf]:
        """The numbers in the object, each once, by their path."""
        found: dict[str, Leaf] = {}
        seen: set[Any] = set()
        for leaf in Structure.of(self.obj, defaults=True).leaves:
            array = isinstance(leaf.given, (np.ndarray, list))
            # by identity, because two units may refer to each other
            place = id(leaf.given) if array else self.place_of(leaf)
            if place not in seen:
                seen.add(place)
                found[self.named(leaf)] = leaf
        return found

    def place_of(self, leaf: Leaf) -> tuple[Any, ...]:
        """The identity of the object that holds a number, and the number's name in it."""
        return (id(self.follow(leaf.path[:-1])), *leaf.path[-1:])

    def named(self, leaf: Leaf) -> str:
        if not self.name or not leaf.path:
            return leaf.name
        return f"{self.name}{leaf.name}" if leaf.name.startswith("[") else f"{self.name}.{leaf.name}"

    def numbers(self) -> dict[str, Array]:
        return {
            name: finite_array(name, without_graph(leaf.given))
            for name, leaf in self.leaves().items()
            if self.finite(leaf)
        }

    def plain_numbers(self) -> list[float]:
        """The numbers that the program holds or writes, no arrays."""
        return [float(x) for x in floats_in(self.roots)[1]]

    def finite(self, leaf: Leaf) -> bool:
        return bool(np.isfinite(leaf.array).all())

    def held(self, leaf: Leaf) -> Any:
        """What the program holds now at the place of this leaf."""
        return self.follow(leaf.path)

    def array_held(self, leaf: Leaf) -> Array:
        return np.asarray(without_graph(self.held(leaf)), dtype=float)

    def follow(self, path: Iterable[Any]) -> Any:
        """What the object holds at the end of a path."""
        found = self.obj
        for kind, key in path:
            found = getattr(found, key) if kind == "attribute" else found[key]
        return found

    def put(self, leaf: Leaf, new: Any) -> None:
        """New numbers wherever the program holds this leaf."""
        if isinstance(leaf.given, np.ndarray):
            for place in self.spots.get(id(leaf.given), ()):
                place.put(new)
        else:
            self.put_here(leaf, new)

    def put_here(self, leaf: Leaf, new: Any) -> None:
        """New numbers at the path of this leaf alone."""
        end, (kind, key) = self.follow(leaf.path[:-1]), leaf.path[-1]
        module = isinstance(end, types.ModuleType)
        Spot(vars(end) if module else end, key, None, attribute=kind == "attribute" and not module).put(new)

    def find_spots(self) -> None:
        self.spots: dict[int, list[Spot]] = {}
        for place in spots_in(self.roots):
            if isinstance(place.value, np.ndarray):
                self.spots.setdefault(id(place.value), []).append(place)

    def loss(self, leaves: Mapping[str, Leaf]) -> Callable[[Any], Any]:
        """The loss as a function of the parameters."""

        def forward(p: Mapping[str, Any]) -> Any:
            for name, leaf in leaves.items():
                self.put(leaf, p[name])
            return self.measure()

        return forward

    def matters(self, leaf: Leaf) -> bool:
        """Does the loss depend on it?"""
        refuse_tensor(leaf)
        rng = np.random.default_rng(0)
        plain = self.number_or_none()
        for size in (0.1, 1.0):
            moved = leaf.array + size * rng.normal(size=np.shape(leaf.array))
            self.state.restore()
            self.put(leaf, Structure.of(leaf.given).fill({"params": moved}))
            try:
                other = self.number_or_none()
            # it may be a size or an index, which cannot be changed a little; any error shows that it matters
            except Exception:
                other = plain
            self.state.restore()
            if plain != other:
                return True
        return False

    def is_read(self, leaf: Leaf) -> bool:
        """Does the loss depend on it, and leave it as it is?"""
        return self.matters(leaf) and not self.is_written_by_loss(leaf)

    def is_written_by_loss(self, leaf: Leaf) -> bool:
        """Does the loss alone write other numbers there? So it is with the state of a recurrent net, or a cache."""
        if not leaf.path:
            return False
        moved = leaf.array + 0.1 * np.random.default_rng(1).normal(size=np.shape(leaf.array))
        self.state.restore()
        try:
            self.put_here(leaf, Structure.of(leaf.given).fill({"params": moved}))
            put = self.array_held(leaf).copy()  # as it is kept there: in single precision, say
            self.measure()
            return not are_equal(self.array_held(leaf), put)
        except Exception:  # it needs a number of this kind there, so it reads it
            return False
        finally:
            self.state.restore()

    def number_or_none(self) -> Any:
        try:
            return float(np.asarray(self.measure(), dtype=float).reshape(-1)[0])
        except ArithmeticError:
            return None


def refuse_tensor(leaf: Leaf) -> None:
    """Errors: ExaminerError for a weight whose gradient is not made by hand."""
    if hasattr(type(leaf.given), "backward"):
        raise ExaminerError(
            f"{leaf.name}: a {type(leaf.given).__name__} gets its gradient from backward(), which needs no "
            "examination. To have gradients of your own examined, keep the weights as arrays of NumPy"
        )


def form_of(leaves: Mapping[str, Leaf]) -> Structure:
    """A dict of the chosen leaves, each as the learner has it."""
    given = {name: leaf.given for name, leaf in leaves.items()}
    return Structure(given, [Leaf(name, (("item", name),), x) for name, x in given.items()])


def are_equal(a: Array, b: Array) -> bool:
    return a.shape == b.shape and bool(np.array_equal(a, b))


def floats_in(roots: Iterable[Any]) -> tuple[list[Array], list[Any]]:
    """(copies of all float arrays, all plain numbers) that can be reached."""
    arrays, numbers = [], []
    for x in walk(roots):
        if isinstance(x, np.ndarray) and x.dtype.kind == "f":
            arrays.append(x.copy())
        elif isinstance(x, types.FunctionType):
            numbers += [c for c in constants_of(x.__code__) if isinstance(c, float)]
    numbers += [place.value for place in spots_in(roots) if isinstance(place.value, (int, float))]
    for place in spots_in(roots):
        if isinstance(place.value, tuple):
            numbers += [x for x in place.value if isinstance(x, (int, float))]
    return arrays, [x for x in numbers if not isinstance(x, bool)]


def constants_of(code: types.CodeType) -> list[Any]:
    found: list[Any] = []
    for x in code.co_consts:
        found += constants_of(x) if isinstance(x, types.CodeType) else [x]
    return found


def whole_numbers(numbers: Iterable[Any]) -> list[int]:
    return [*dict.fromkeys(int(x) for x in numbers if isinstance(x, int) and 0 <= x < 10**7)]


def rate_of(
    program: LearnerProgram, weights: Mapping[str, Array], new: Mapping[str, Array], right: Mapping[str, Array]
) -> float:
    """The learning rate if it is not given: from the parameters whose change is a multiple of the gradient."""
    ratios = []
    for n, g in right.items():
        d = weights[n] - new[n] if weights[n].shape == new[n].shape else np.empty(0)
        c = float(np.vdot(g, d)) / (float(np.vdot(g, g)) or 1.0) if d.shape == g.shape else 0.0
        if c > 0.0 and np.linalg.norm(d - c * g) <= 1e-6 * np.linalg.norm(d):
            ratios.append(c)
    held = [p.value for p in spots_in(program.roots) if str(p.key).lower() in RATES and isinstance(p.value, float)]
    return float(np.median(ratios)) if ratios else (held[0] if held else 1.0)

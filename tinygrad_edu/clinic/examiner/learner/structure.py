"""Parameters in the form in which a learner keeps them: dicts, lists, tuples, objects, nested; arrays, numbers, lists.

`Structure.of` finds the leaves (arrays, numbers, nested lists of numbers) and gives each a name by its path;
`fill` makes the same form again with other numbers.

>>> form = Structure.of({"layers": [{"W": np.ones((2, 1)), "b": 0.5}], "v": [1.0, 2.0]})
>>> list(form.names)
['layers[0].W', 'layers[0].b', 'v']
>>> form.fill({"layers[0].W": np.zeros((2, 1)), "layers[0].b": np.array(1.0), "v": np.zeros(2)})["v"]
[0.0, 0.0]
"""

from __future__ import annotations

import copy
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.learner.reachable import attributes, attributes_with_defaults

Array = np.ndarray[Any, Any]
DEEPEST = 12  # deepest nesting of containers
# (numbers, the leaf as the learner has it) → the same kind of leaf with these numbers
Put = Callable[[Array, Any], Any]


@dataclass(frozen=True)
class Leaf:
    """Numbers, their place, and the form in which the learner keeps them."""

    name: str
    path: tuple[tuple[str, Any], ...]  # ("item", key) or ("attribute", name) per level, from the outside in
    given: Any

    @property
    def array(self) -> Array:
        return np.array(without_graph(self.given), dtype=float)


@dataclass
class Structure:
    """The form of a learner's parameters."""

    given: Any
    leaves: list[Leaf] = field(default_factory=list)

    @classmethod
    def of(cls, given: Any, *, defaults: bool = False) -> Structure:
        """defaults: what an object has of its class, until it is given its own, is part of it."""
        return cls(given, [*leaves(given, "", (), set(), attributes_with_defaults if defaults else attributes)])

    @property
    def names(self) -> list[str]:
        return [leaf.name for leaf in self.leaves]

    @property
    def in_lists(self) -> bool:
        """Pure Python: no array anywhere."""
        return all(is_number(leaf.given) or isinstance(leaf.given, (list, tuple)) for leaf in self.leaves)

    def only(self, names: Any) -> Structure:
        """The structure with only these leaves; the rest is passed on unchanged."""
        return Structure(self.given, [leaf for leaf in self.leaves if leaf.name in names])

    def fill(self, numbers: Mapping[str, Any], put: Put | None = None) -> Any:
        """A new structure of this form with these numbers; what is not a leaf is the learner's own."""
        made = renew_containers(self.given, set())
        for leaf in self.leaves:
            made = place_at(made, leaf.path, (put or like_given)(numbers[leaf.name], leaf.given))
        return made


def without_graph(x: Any) -> Any:
    """The numbers of a Tensor, ours or PyTorch's; anything else as it is."""
    return x.detach().numpy() if hasattr(type(x), "detach") else x


def leaves(
    x: Any, name: str, path: tuple[tuple[str, Any], ...], above: set[int], held: Callable[[Any], dict[str, Any]]
) -> Iterator[Leaf]:
    """The leaves below x, in order."""
    if is_leaf(x):
        yield Leaf(name or "params", path, x)
    elif id(x) not in above and len(path) < DEEPEST and not (path and isinstance(x, types.ModuleType)):
        for kind, key, inner in parts_with_labels(x, held):
            yield from leaves(inner, f"{name}{suffix(kind, key, name)}", (*path, (kind, key)), above | {id(x)}, held)


def parts_with_labels(x: Any, held: Callable[[Any], dict[str, Any]]) -> list[tuple[str, Any, Any]]:
    """(kind, key, what is there) of a container."""
    if isinstance(x, Mapping):
        return [("item", key, inner) for key, inner in x.items() if not is_dunder(key)]
    if isinstance(x, types.ModuleType):
        return [("attribute", key, inner) for key, inner in [*vars(x).items()] if not is_dunder(key)]
    if isinstance(x, (list, tuple)):
        return [("item", k, inner) for k, inner in enumerate(x)]
    return [("attribute", key, inner) for key, inner in held(x).items()]


def is_dunder(key: Any) -> bool:
    """Is it one of Python's own names, as a module and `globals()` have them?"""
    return isinstance(key, str) and key.startswith("__") and key.endswith("__")


def suffix(kind: str, key: Any, name: str) -> str:
    """How a path goes on: .W, [0], ['the key']."""
    if isinstance(key, int):
        return f"[{key}]"
    if not name:
        return str(key)
    return f".{key}" if str(key).isidentifier() else f"[{key!r}]"


def is_number(x: Any) -> bool:
    return isinstance(x, (int, float, np.integer, np.floating)) and not isinstance(x, (bool, np.bool_))


def is_leaf(x: Any) -> bool:
    """A number, an array of numbers, or a nested list of numbers of one shape."""
    if isinstance(x, np.ndarray):
        return x.dtype.kind in "fiu"
    if isinstance(x, (list, tuple)):
        return bool(x) and is_rectangular(x) and not has_arrays(x)
    return is_number(x) or hasattr(type(x), "__array__")


def has_arrays(x: Any) -> bool:
    return isinstance(x, np.ndarray) or (isinstance(x, (list, tuple)) and any(map(has_arrays, x)))


def is_rectangular(x: Any) -> bool:
    """Are these numbers, or lists of the same length of numbers?"""
    if all(map(is_number, x)):
        return True
    inner = [y for y in x if isinstance(y, (list, tuple)) and y]
    return len(inner) == len(x) and len(set(map(len, inner))) == 1 and all(map(is_rectangular, inner)) and (
        len({shape_of_lists(y) for y in inner}) == 1
    )  # fmt: skip


def shape_of_lists(x: Any) -> tuple[int, ...]:
    return (len(x), *shape_of_lists(x[0])) if isinstance(x, (list, tuple)) and x else ()


def renew_containers(x: Any, above: set[int]) -> Any:
    """Containers copied, so that what is put into them does not reach the learner's."""
    if is_leaf(x) or id(x) in above or len(above) >= DEEPEST:
        return x
    above = above | {id(x)}
    if isinstance(x, dict):
        made = copy.copy(x)
        for key, inner in x.items():
            made[key] = renew_containers(inner, above)
        return made
    if isinstance(x, (list, tuple)):
        items = [renew_containers(inner, above) for inner in x]
        return type(x)(*items) if hasattr(x, "_fields") else type(x)(items)
    held = attributes(x)
    if not held:
        return x
    made = copy.copy(x)
    for key, inner in held.items():
        object.__setattr__(made, key, renew_containers(inner, above))
    return made


def place_at(x: Any, path: tuple[tuple[str, Any], ...], new: Any) -> Any:
    """x with something else at the end of the path."""
    if not path:
        return new
    (kind, key), *rest = path
    if kind == "attribute":
        object.__setattr__(x, key, place_at(getattr(x, key), tuple(rest), new))
    elif isinstance(x, tuple):
        items = [place_at(inner, tuple(rest), new) if k == key else inner for k, inner in enumerate(x)]
        return type(x)(*items) if hasattr(x, "_fields") else type(x)(items)
    else:
        x[key] = place_at(x[key], tuple(rest), new)
    return x


def like_given(numbers: Any, given: Any) -> Any:
    """Fresh numbers as the learner has them: a matrix, an array, a number, nested lists or tuples, PyTorch's tensor."""
    if isinstance(given, np.matrix):
        return np.atleast_2d(np.array(numbers, dtype=float)).view(np.matrix)
    if isinstance(given, np.ndarray):
        return np.array(numbers, dtype=given.dtype if given.dtype.kind == "f" else float)
    if isinstance(given, (list, tuple)):
        return type(given)(like_given(inner, like) for inner, like in zip(numbers, given, strict=True))
    if hasattr(given, "new_tensor"):  # a PyTorch tensor
        return given.detach().new_tensor(np.asarray(numbers))
    if np.ndim(numbers) or hasattr(type(given), "__array__"):
        return np.array(numbers, dtype=float)
    return float(numbers)

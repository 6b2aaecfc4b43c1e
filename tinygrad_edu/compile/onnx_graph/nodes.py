"""An ONNX graph under construction: nodes, constants, and which type each value has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import numpy as np

from tinygrad_edu import packages
from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.errors import TraceError

FLOAT, WHOLE, TRUTH = "float", "whole", "truth"
TYPES = {WHOLE: np.int64, TRUTH: np.bool_}


@dataclass(frozen=True)
class Edge:
    """A value in the graph: its name, and the kind of its numbers (those of the graph, int64 or bool)."""

    name: str
    kind: str = FLOAT


@dataclass
class Nodes:
    """The nodes written so far; real: the dtype of the numbers, float32 or float64."""

    real: Any = np.float32
    nodes: list[Any] = field(default_factory=list)
    initializers: list[Any] = field(default_factory=list)
    constants: dict[Any, Edge] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.onnx = packages.find("onnx", "export to .onnx")

    @property
    def wide(self) -> bool:
        return bool(self.real is np.float64)

    def dtype(self, kind: str) -> Any:
        """NumPy's type of a kind."""
        return TYPES.get(kind, self.real)

    def onnx_type(self, kind: str) -> Any:
        """ONNX's number for a kind."""
        return self.onnx.helper.np_dtype_to_tensor_dtype(np.dtype(self.dtype(kind)))

    def fresh(self, hint: str) -> str:
        """A name that nothing else has."""
        numbered = (f"{hint}_{i}" for i in count(1))
        name = hint if hint not in self.names else next(n for n in numbered if n not in self.names)
        self.names.add(name)
        return name

    def add(self, kind: str, given: Sequence[Edge], result: str = FLOAT, **attributes: Any) -> Edge:
        """One node with one output."""
        name = self.fresh(kind)
        inputs = [x.name for x in given]
        self.nodes.append(self.onnx.helper.make_node(kind, inputs, [name], name=name, **attributes))
        return Edge(name, result)

    def constant(self, x: ArrayLike, kind: str = FLOAT, hint: str = "constant") -> Edge:
        """The name of an initializer with these numbers; equal ones share it."""
        array: np.ndarray[Any, Any] = self.fitting(x, hint) if kind == FLOAT else np.asarray(x, self.dtype(kind))
        key = (kind, array.shape, array.tobytes())
        if key not in self.constants:
            name = self.fresh(hint)
            self.initializers.append(self.onnx.numpy_helper.from_array(array, name))
            self.constants[key] = Edge(name, kind)
        return self.constants[key]

    def fitting(self, x: ArrayLike, hint: str) -> np.ndarray[Any, Any]:
        """The numbers in the file's dtype. Errors: TraceError where that has no number as large."""
        with np.errstate(over="ignore"):
            array: np.ndarray[Any, Any] = np.asarray(x, self.real)
        if np.isinf(array).sum() > np.isinf(np.asarray(x, float)).sum():
            raise TraceError(f"{hint}: {np.abs(x).max():g} is infinite in float32: export with dtype='float64'")
        return array

    def cast(self, x: Edge, kind: str) -> Edge:
        """The same numbers as another kind."""
        if x.kind == kind:
            return x
        return self.add("Cast", [x], kind, to=self.onnx_type(kind))

    def initializers_in_use(self) -> list[Any]:
        """The initializers that some node reads; runtimes warn about others, such as constants that were folded."""
        read = set(names_read(self.nodes))
        return [x for x in self.initializers if x.name in read]


def names_read(nodes: Iterable[Any]) -> Iterator[str]:
    """All names that nodes read, and that the graphs inside them (the body of a Scan) read or return."""
    for node in nodes:
        yield from node.input
        for inner in (attribute.g for attribute in node.attribute if attribute.HasField("g")):
            yield from names_read(inner.node)
            yield from (x.name for x in inner.output)

"""A compiled function inside a graph: its value and its gradient are those of the function itself.

If an argument is a node of the graph, the plain function runs and every operation in it is recorded as usual. If only
what the function closes over is part of the graph (a model's parameters), the call becomes one node: its value is the
compiled one, and its derivative is that of the plain function, which runs again when backward arrives. So it can be
differentiated again, and a call that nobody differentiates costs nothing extra. Such a result may also be read as
plain numbers, by float(y) and np.asarray(y), because many compiled calls are made for the numbers alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.core import value
from tinygrad_edu.core.aliases import ArrayLike, Samples
from tinygrad_edu.core.backward import pull_with_care, tensor_gradients, wanting
from tinygrad_edu.core.graph import cotangents, topological
from tinygrad_edu.core.modes import MODES, recording
from tinygrad_edu.core.operation import ArrayOperation, Operation
from tinygrad_edu.core.stretched_targets import SQUARES, warn_stretched
from tinygrad_edu.core.tensor import Tensor, record
from tinygrad_edu.core.transforms.depth import DEPTH, inside_loss
from tinygrad_edu.core.value import Value, node
from tinygrad_edu.errors import SavedArrayChangedError

Thunk = Callable[[], Any]
PLAIN = frozenset([float, int, np.ndarray])


def meets_graph(given: Iterable[Any]) -> bool:
    """Is a graph being recorded that these arguments belong to, or may belong to; or is every operation watched?"""
    if not MODES.recording:
        return False
    if MODES.anomaly or DEPTH.level:
        return True
    return not PLAIN.issuperset(map(type, given)) and any(map(wants_gradient, given))


def wants_gradient(x: ArrayLike) -> bool:
    return isinstance(x, Value) or (isinstance(x, Tensor) and x.requires_grad)


class ArrayCall(ArrayOperation):
    """One call as an operation on the Tensors that the function closes over; `again` runs the plain function."""

    compiled = True

    def __init__(self, name: str, again: Thunk, count: int) -> None:
        super().__init__(run_already, self.pull_back, "-", linear=False)
        self.name, self.again = name, again
        self.arrays = [f"closed over {i}" for i in range(count)]

    def pull_back(self, g: Any, _y: Any, *closed_over: Any) -> tuple[Any, ...]:
        """g·∂y/∂x for each Tensor that the function closes over: arrays, or Tensors where g is one."""
        with recording(), inside_loss():
            y = self.again()
            inputs = self.tensors
            if not isinstance(y, Tensor) or not y.requires_grad:
                found: dict[Any, Any] = {}
            elif isinstance(g, Tensor):
                found = dict(zip(inputs, tensor_gradients(y, inputs, g), strict=True))
            else:
                with np.errstate(all="ignore"):
                    found = cotangents(order := topological(y, wanting), g, pull_with_care)
                if SQUARES:
                    warn_stretched(order)
        zeros = [np.zeros_like(x.array) if found.get(x) is None else found[x] for x in inputs]
        return tuple(Tensor(z) if isinstance(g, Tensor) and isinstance(z, np.ndarray) else z for z in zeros)

    tensors: Sequence[Tensor] = ()


def refuse_change(name: str, what: str) -> None:
    """Errors: SavedArrayChangedError where what a compiled call closes over has changed before its backward pass."""
    if what:
        raise SavedArrayChangedError(
            f"{name} closes over {what}, which has changed since the call, and the gradient runs {name} again. Change "
            f"it after backward(), or take the gradient by {name}.value_and_grad"
        )


def run_already(*_: Any) -> Any:
    raise NotImplementedError("a node of a compiled call has its result: it is not run again")


def array_node(name: str, y: Samples, again: Thunk, closed_over: Sequence[Tensor]) -> Tensor:
    """The result of a compiled call as a Tensor of the graph."""
    operation = ArrayCall(name, again, len(closed_over))
    operation.tensors = closed_over
    dtype = np.result_type(*[x.dtype for x in closed_over])
    return record(operation, np.asarray(y, dtype=None if np.ndim(y) else dtype), tuple(closed_over), {})


class NumberCall(Operation):
    """The node of a compiled call with Values; `now` returns the compiled gradient with respect to each of them."""

    compiled = True

    def __init__(self, name: str, again: Thunk, now: Callable[[], Sequence[float]], count: int) -> None:
        self.name, self.numpy_name, self.scipy_name = name, "-", ""
        self.parameters, self.defaults = tuple(f"closed over {i}" for i in range(count)), ()
        self.function, self.partials, self.saves = again, self.derivatives, (True,) * (1 + count)
        self.again, self.now = again, now

    def derivatives(self, _y: Any, *closed_over: Any) -> tuple[Any, ...]:
        """∂y/∂x as Values that can be differentiated again."""
        with inside_loss():
            y = self.again()
        if not isinstance(y, Value):
            return (0.0,) * len(closed_over)
        return tuple(value.gradients(y, closed_over))

    def partials_on_floats(self, y: float, arguments: Sequence[float]) -> tuple[Any, ...]:
        return tuple(self.now())


def number_node(
    name: str,
    y: float,
    partials: Sequence[float],
    now: Callable[[], Sequence[float]],
    again: Thunk,
    closed_over: Sequence[Value],
) -> Value:
    """The result of a compiled call as a Value of the graph."""
    return node(y, NumberCall(name, again, now, len(closed_over)), tuple(closed_over), tuple(partials))

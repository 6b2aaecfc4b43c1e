"""The scalar back end: one number, the operation that made it, and its local derivatives. Standard library only.

Forward: each operation calls its float function and keeps ∂y/∂x for each parent x.
Backward: from the last node to the first, every node hands its gradient times that derivative to its parents.

>>> a, b = Value(2.0, label="a"), Value(-3.0, label="b")
>>> y = (a * b + 10.0).tanh()
>>> y.backward()
>>> round(a.grad, 6), round(b.grad, 6)
(-0.004023, 0.002682)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from tinygrad_edu.core import ops
from tinygrad_edu.core.added_numbers import LEFT, SUMS, warn_added
from tinygrad_edu.core.aliases import ArrayLike, Node, Option
from tinygrad_edu.core.conversions import copies
from tinygrad_edu.core.conversions.plain_numbers import number_error
from tinygrad_edu.core.conversions.printing import in_percent_format, is_compiled
from tinygrad_edu.core.fast.collector import spare_older
from tinygrad_edu.core.fast.flat_node import CONSTANT, FlatNode
from tinygrad_edu.core.fast.values import install_for_values
from tinygrad_edu.core.fast.values_backward import accumulate, inner_nodes, plain_order, plain_sweep
from tinygrad_edu.core.flat_rows import stop_gradients
from tinygrad_edu.core.graph import ACCUMULATING, cotangents, topological, warn_forgotten
from tinygrad_edu.core.lost_gradients import MARKED, RECENT, REMEMBERING, warn_lost
from tinygrad_edu.core.methods.spellings import OF_VALUE, SLIPS_OF_VALUE, NameSlip, tell
from tinygrad_edu.core.modes import MODES, forgive
from tinygrad_edu.core.one_name import refuse_graph_of_gradients
from tinygrad_edu.core.operation import TABLE, Operation
from tinygrad_edu.core.places import find_place
from tinygrad_edu.core.stretched_values import LEFT as LEFT_OF_PAIRS
from tinygrad_edu.core.stretched_values import warn_stretched_values
from tinygrad_edu.core.tracing.node_class import NodeClass
from tinygrad_edu.errors import (
    AnomalyError,
    BackwardTwiceError,
    OperandError,
    SavedArrayChangedError,
)

PARENTS = attrgetter("parents")
SIGNS = {"add": "+", "sub": "-", "mul": "*", "div": "/", "pow": "**", "square": "**2", "neg": "-", "relu": "ReLU"}


class Value(FlatNode, metaclass=NodeClass):
    """A number that remembers how it was computed.

    data: a real number.
    label: the name shown in pictures and errors.
    Attributes: `.grad`, d(root)/d(self) after `root.backward()`; `.op`, `.parents` and `.partials`, the operation,
    its inputs and ∂self/∂input. Errors: OperandError where `data` is not a real number.

    >>> x = Value(3.0, label="x")
    >>> x * x + 1.0
    Value(data=10.0, grad=0.0, op='add')
    """

    __slots__ = ()

    if TYPE_CHECKING:  # tells type checkers that a Value is neither array nor sequence, so that np.tanh(v) is a Value
        _spent: Any  # True once backward() has run, or a step has used the gradient; Unused
        __array__: None
        __buffer__: None
        __len__: None

    def __init__(self, data: ArrayLike, label: str = "") -> None:
        self.data = data if data.__class__ is float else real_number(data)
        self.grad, self._label, self._spent = 0.0, label, False
        self.op = self.left = None  # a leaf: no operation, no parents

    @staticmethod
    def __apply__(operation: Operation, arguments: Sequence[Any]) -> Any:
        """An operation on Values: compute the number, keep the local derivatives."""
        if MODES.value_trace is not None:
            return MODES.value_trace.__apply__(operation, arguments)
        try:
            parents = tuple([x if x.__class__ is Value else constant(x) for x in arguments])
        except OperandError as error:
            if any(map(is_array, arguments)):
                forgive(error)
                return over_arrays(operation, arguments)
            raise
        inputs = [x.data for x in parents]
        try:
            y = operation.float_function(*inputs)
            partials = operation.float_partials(y, *inputs)
        except (ArithmeticError, ValueError):  # 1/0, log 0 or an overflow: the result is what IEEE 754 says
            y = operation.on_floats(*inputs)
            partials = operation.partials_on_floats(y, inputs)
        if operation.partials is None:
            return y  # a comparison: a plain bool
        if MODES.anomaly:
            refuse_anomaly(operation, y, parents)
        made = node(y, operation, parents, partials) if MODES.recording else Value(y)
        if MODES.lines:
            made.place = find_place()
        return made

    def backward(self, *, retain_graph: bool = False, create_graph: bool = False) -> None:
        """Add d(self)/d(leaf) to the `.grad` of every leaf; inner nodes show the gradient of this pass.

        Errors: BackwardTwiceError when run again from the same node, unless `retain_graph` says that adding
        the same gradients again is meant; OperandError for PyTorch's create_graph=True.

        >>> x = Value(3.0)
        >>> (x * x).backward()
        >>> x.grad
        6.0
        """
        if create_graph:
            refuse_graph_of_gradients()
        if getattr(self, "_spent", False) and self.parents and not retain_graph:
            raise BackwardTwiceError(
                f"backward() has already run from {self!r}: its gradients would be counted twice. "
                "Compute the expression again, or pass retain_graph=True to add them on purpose"
            )
        if self.left is None:  # a leaf: d(self)/d(self) = 1
            self.grad += 1.0
            return
        with ACCUMULATING.freed(), ACCUMULATING.taken:
            order, spent = inner_nodes(self)  # a topological order, in which all gradients are 0 now
            refuse_forgotten(spent)
            if "Values" in MARKED:
                warn_lost(order, {p: None for x in order for p in x.parents})
            if LEFT[0] > 0 and self.op is not None and (RECENT or self.op.name in SUMS):
                warn_added(self, lambda: plain_order(self)[1])
            if LEFT_OF_PAIRS[0] > 0:
                warn_stretched_values(order)
            self.grad, self._spent = 1.0, True
            accumulate(order)  # parent.grad += node.grad · ∂node/∂parent, from the root down
            if MODES.anomaly:
                refuse_bad_gradient(order)
        spare_older(len(order))

    @property
    def _prev(self) -> tuple[Value, ...]:
        """micrograd's name for the parents, each once: programs that draw its graphs run here."""
        return tuple(dict.fromkeys(self.parents))

    @property
    def _op(self) -> str:
        """micrograd's name for the operation: its sign or name, "" for a leaf."""
        return "" if self.op is None else SIGNS.get(self.op.name, self.op.name)

    def detach(self) -> Value:
        """The same number as a leaf of its own, cut off from its history."""
        return Value(self.data, self.label)

    def item(self) -> float:
        """The plain number."""
        return self.data

    def __repr__(self) -> str:
        label = f", label={self.label!r}" if self.label else ""
        op = f", op={self.op.name!r}" if self.op else ""
        return f"Value(data={self.data!r}, grad={self.grad!r}{label}{op})"

    def __bool__(self) -> bool:
        if MODES.value_trace is not None:
            # raises: a trace would keep the branch taken for this number and use it for all
            MODES.value_trace.__bool__(self)
        return bool(self.data)

    def __format__(self, spec: str) -> str:
        return format(self.data, spec) if spec else str(self)

    def __round__(self, digits: int | None = None) -> float:
        return round(self.data, digits)

    def __float__(self) -> float:
        if in_percent_format() or not MODES.recording or is_compiled(self):
            return self.data
        graph = "use x.tanh() or tg.ops.tanh(x) to stay in the graph, x.data for the plain number"
        raise number_error("float", self, f", and so would math.tanh(x) or float('...'): {graph}")

    def __int__(self) -> int:
        if in_percent_format() or not MODES.recording or is_compiled(self):
            return int(self.data)
        raise number_error("int", self, ": int(x.data) gives the plain number without its decimals")

    def __matmul__(self, other: ArrayLike) -> Any:
        if isinstance(other, (Value, int, float)):
            raise OperandError("x @ y is for arrays, and a Value is one number: write x * y for the product of two")
        return NotImplemented

    def conjugate(self) -> Value:
        """Itself, as of every real number: np.var of a list of Values asks for it."""
        return self

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Node, **options: Option) -> Any:
        from tinygrad_edu.core.numpy_protocol.dispatch import call_ufunc

        return call_ufunc(ufunc, method, inputs, options)

    def __array_function__(self, function: Any, types: ArrayLike, arguments: ArrayLike, options: Option) -> Any:
        from tinygrad_edu.core.numpy_protocol.dispatch import call_function

        return call_function(function, arguments, options)


def node(y: float, operation: Operation, parents: tuple[Value, ...], partials: tuple[float, ...]) -> Value:
    """A Value that an operation made. It skips __init__: half of an expression's time is spent here."""
    made = Value.__new__(Value)
    made.data, made.grad = y, 0.0
    made.op, made.parents, made.partials = operation, parents, partials
    return made


def constant(x: Node) -> Value:
    """A plain number as a leaf, marked as one that was written in the expression."""
    if isinstance(x, Value):
        return x
    made = Value(x)
    made.right = CONSTANT
    if REMEMBERING and getattr(x, "_origins", None):
        made.d_left = x._origins
        MARKED.add("Values")
    return made


def is_array(x: Node) -> bool:
    if isinstance(x, Value):  # its `ndim` raises an error with advice, which costs 0.5 µs
        return False
    return getattr(x, "ndim", 0) > 0 and not hasattr(x, "parents")


def over_arrays(operation: Operation, arguments: Sequence[Any]) -> Any:
    """An operation on a Value and arrays: an array of Values, one for each entry."""
    from tinygrad_edu.core.numpy_protocol.dispatch import box_value

    return operation.on_arrays(*map(box_value, arguments))


def real_number(data: ArrayLike) -> float:
    """int, bool and NumPy's real scalars as a float; text, complex numbers, arrays and Values are refused."""
    if isinstance(data, (int, float)):
        try:
            return float(data)
        except OverflowError:
            raise OperandError("a Value holds a float, up to 1.8e308: this whole number is larger") from None
    if getattr(data, "shape", None) == () and data.dtype.kind in "fiub" and not hasattr(data, "parents"):
        return float(data)
    if isinstance(data, Value):
        raise OperandError(
            f"a Value holds a plain number, not {data!r}, which is a Value already: use it as it is, or x.detach() for "
            "a leaf with the same number"
        )
    raise OperandError(
        f"a Value holds one real number, not {type(data).__name__} {data!r:.60}. For arrays use tg.Tensor; "
        "a list of numbers is [Value(x) for x in numbers]"
    )


def refuse_forgotten(spent: Iterable[Value]) -> None:
    """Warn about leaves whose gradient was used by an optimizer and not set back to 0 since."""
    leaves = list(dict.fromkeys(spent))
    for x in leaves:
        x._spent = False
    if forgotten := [x for x in leaves if x.grad]:
        warn_forgotten(forgotten)


def gradients(root: Value, inputs: Sequence[Value], seed: Node = 1.0) -> list[Value]:
    """d root / d input as Values that can be differentiated again: the table's partials, run on Values."""
    if MODES.value_trace is not None:
        return MODES.value_trace.derivatives(root, inputs, seed)  # type: ignore[no-any-return]

    def pull(x: Value, g: Value) -> Iterable[tuple[Value, Value]]:
        return [(p, g * d) for p, d in zip(x.parents, check_partials(x), strict=True) if not is_lost(g, d)]

    found = cotangents(topological(root, PARENTS), constant(seed), pull)
    return [found.get(x, Value(0.0)) for x in inputs]


def is_lost(g: Value, partial: ArrayLike) -> bool:
    """No gradient flows through a derivative of 0, nor 0 through an infinite one."""
    d = partial.data if partial.__class__ is Value else partial
    return (d == 0.0 and partial.__class__ is not Value) or (g.data == 0.0 and d - d != 0.0)


def check_partials(x: Value) -> tuple[Any, ...]:
    """The partials as Values. Errors: SavedArrayChangedError if a `.data` was changed since the forward pass."""
    assert x.op is not None
    assert x.op.partials is not None
    now = x.op.partials_on_floats(x.data, [p.data for p in x.parents])
    if any(a != b and a == a for a, b in zip(now, x.partials, strict=True)):
        raise SavedArrayChangedError(
            f"the inputs of {x!r} were written to after it was computed: its derivatives were {x.partials} "
            f"and are now {now}. Compute the expression again after changing .data"
        )
    return x.op.partials(x, *x.parents)


def refuse_anomaly(operation: Operation, y: float, parents: Sequence[Value]) -> None:
    if y - y != 0.0:  # true for exactly NaN and ±inf
        names = [p.label or (f"argument {i}" if p.parents else f"{p.data:g}") for i, p in enumerate(parents)]
        given = [(name, p) for name, p in zip(names, parents, strict=True) if p.label or p.parents]
        inputs = ", ".join(f"{name} = {p.data!r}" for name, p in given or zip(names, parents, strict=True))
        raise AnomalyError(f"{operation.name}({', '.join(names)}) gave {y!r}. Its inputs: {inputs}")


def refuse_bad_gradient(order: Sequence[Value]) -> None:
    for node in reversed(order):
        for x in (node, *node.parents):
            if x.grad - x.grad != 0.0:
                raise AnomalyError(f"backward gave the gradient {x.grad!r} at {x!r}, the first such node from the root")


def identity(x: Value) -> Value:
    """x as a node of its own, so that a derivative with respect to it does not see other uses of x."""
    return ops.pos(x)  # type: ignore[no-any-return]


stop_gradients(TABLE.values())
install_for_values(Value)
copies.install(Value)
tell(Value, OF_VALUE)
tell(Value, SLIPS_OF_VALUE, NameSlip)


def plain_gradients(y: Value, inputs: list[Any], seed: float) -> list[Any]:
    """The derivatives of a number by each input times the seed, as numbers, from the partials that the nodes kept."""
    found = plain_sweep(y, plain_order(y)[0], float(seed))
    return [found.get(x, 0.0) for x in inputs]

"""The array back end: a NumPy array, the operation that made it, and eager reverse mode over whole arrays.

Forward: each operation is one NumPy call and a thin node. Backward: from the last node to the first, an elementwise
operation multiplies by its partials, an array operation runs its pull-back.

>>> x = Tensor([[1.0, 2.0]], requires_grad=True, label="x")
>>> W = Tensor([[0.5], [-1.0]], requires_grad=True, label="W")
>>> y = (x @ W).tanh().sum()
>>> y.backward()
>>> W.grad.round(6).tolist()
[[0.180707], [0.361413]]
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.core import one_name
from tinygrad_edu.core.aliases import ArrayLike, Node, Option
from tinygrad_edu.core.anomaly import refuse_anomaly
from tinygrad_edu.core.backward import backward, shape_error
from tinygrad_edu.core.conversions import copies
from tinygrad_edu.core.conversions.conversion import (
    FLOATS,
    elementwise_operand,
    first_dtype,
    float_array,
    float_operand,
    plain_index,
    unpack,
)
from tinygrad_edu.core.conversions.plain_numbers import number_error
from tinygrad_edu.core.conversions.printing import in_percent_format, is_compiled
from tinygrad_edu.core.fast.tensors import install_for_tensors
from tinygrad_edu.core.fast.whole_tensors import install_for_arrays
from tinygrad_edu.core.lost_gradients import REMEMBERING, mark
from tinygrad_edu.core.methods import pairs, plain_arrays, torch_meanings, torch_names
from tinygrad_edu.core.methods.array_methods import array_method
from tinygrad_edu.core.methods.plain_arrays import PlainArray
from tinygrad_edu.core.methods.plain_scalars import read_gradient
from tinygrad_edu.core.methods.spellings import OF_TENSOR, SLIPS_OF_TENSOR, Missing, read_only, refuse_slips, tell
from tinygrad_edu.core.methods.tensor_methods import TensorMethods, count_of
from tinygrad_edu.core.modes import MODES, UNUSUAL
from tinygrad_edu.core.numpy_protocol.dispatch import call_function, call_ufunc
from tinygrad_edu.core.operation import ARRAY_TABLE, COMPOSED, ArrayOperation, Operation
from tinygrad_edu.core.places import Place, find_place
from tinygrad_edu.core.tracing.node_class import NodeClass
from tinygrad_edu.core.writes import augmented
from tinygrad_edu.core.writes.other_names import refuse_old
from tinygrad_edu.core.writes.overwrite import overwrite, refuse_plain_write
from tinygrad_edu.core.writes.write_guard import CLOCK, WriteGuard, guard_of, protect_view
from tinygrad_edu.errors import GraphError, ShapeError

if TYPE_CHECKING:
    from tinygrad_edu.core.typed import Arithmetic as Operators
    from tinygrad_edu.core.typed import Results
else:
    from tinygrad_edu.core.operators import Operators

Array = np.ndarray[Any, Any]
AnyOperation = Operation | ArrayOperation
NO_OPTIONS: Mapping[str, Any] = {}
new = object.__new__


class Tensor(TensorMethods, Operators, metaclass=NodeClass):
    """An array of float32 or float64 that remembers how it was computed.

    data: an array, nested lists of floats, or a number (copied).
    requires_grad: whether gradients are wanted.
    dtype: float32 or float64; integers are converted only when it is given.
    label: the name shown in pictures and errors.
    Attributes: `.grad`, an array of the same shape after `backward()`, else None.
    Errors: DtypeError for integers, complex numbers, objects and text.

    >>> x = Tensor([1.0, 2.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    array([2., 4.])
    """

    __slots__ = (
        "__dict__",  # for the user's own attributes, as in w.velocity = 0.0: 9 ns and 32 bytes per Tensor
        *("_guard", "_kept", "_made", "_op", "_options", "_origins", "_parameter", "_parents"),
        *("_place", "_spent", "array", "gradient", "label", "requires_grad"),
    )

    array: Array
    gradient: Array | None  # set by backward; users read `grad`
    label: str
    requires_grad: bool
    _parents: tuple[Any, ...]  # Tensors, and plain numbers and arrays for constants
    _op: AnyOperation | None
    _options: Mapping[str, Any]
    _place: Place | None  # where the program made it; only with `record_lines` on
    _made: int  # tick of write_guard's clock at which it was made or computed
    _guard: WriteGuard | None  # notices writes to the array; made once somebody else can hold the array
    _kept: Any  # saved by the forward pass of a few operations for their derivative; unset for the others
    _parameter: bool  # of a leaf: has it needed a gradient? A parameter that is frozen stays one
    _origins: Any  # of a constant, or of a node with one: the derivative it comes from (lost_gradients.py)
    _spent: Any  # of a root: True once backward has run; of a leaf: the gradient array that an optimizer has used

    op, parents, options, place = map(read_only, ("op", "parents", "options", "place"))

    def __init__(self, data: ArrayLike, requires_grad: bool = False, dtype: Option = None, label: str = "") -> None:
        start(self, float_array(data, dtype), label)
        self.requires_grad = self._parameter = requires_grad
        if REMEMBERING and not requires_grad:
            mark(self, (data,))

    @staticmethod
    def __apply__(operation: Operation, arguments: Sequence[Any]) -> Any:
        """An elementwise operation on Tensors: one NumPy call over the whole arrays."""
        if UNUSUAL and MODES.tensor_trace is not None:
            return MODES.tensor_trace.__apply__(operation, arguments)
        kinds = (Tensor, float)
        operands = [x if x.__class__ in kinds else elementwise_operand(x, first_dtype(arguments)) for x in arguments]
        arrays = [x.array if x.__class__ is Tensor else x for x in operands]
        try:
            y = operation.array_function(*arrays)
        except ValueError as error:
            raise shape_error(operation, operands, error) from None
        if operation.partials is None:
            if UNUSUAL and MODES.written:
                refuse_old(operands, GraphError)
            return y.view(PlainArray) if y.__class__ is np.ndarray else y  # a comparison: a boolean array
        if y.dtype.kind != "f":  # where(x, 1, 0), for example
            y = y.astype(first_dtype(operands))
        made = record(operation, y, tuple(operands), NO_OPTIONS)
        return mark(made, arguments) if REMEMBERING else made

    @staticmethod
    def __apply_array__(operation: ArrayOperation, arrays: Sequence[Any], options: Mapping[str, Any]) -> Any:
        """An array operation on Tensors: its function on the arrays."""
        if UNUSUAL and MODES.tensor_trace is not None:
            return MODES.tensor_trace.__apply_array__(operation, arrays, options)
        if "index" in options:
            options = {**options, "index": plain_index(options["index"])}
        operands = tuple([x if x.__class__ is Tensor else float_operand(x, arrays, operation) for x in arrays])
        try:
            y = operation.array_function(*[x.array if x.__class__ is Tensor else x for x in operands], **options)
        except (ValueError, IndexError) as error:
            raise shape_error(operation, operands, error) from None
        made = record(operation, y, operands, options)
        if REMEMBERING:
            mark(made, arrays)
        return made if y.base is None else protect_view(made, *operands)

    grad = property(read_gradient, plain_arrays.set_gradient)

    @property
    def data(self) -> Array:
        """The array itself (read-only if it is a view). Writing to it between forward and backward is noticed."""
        return self.numpy().view(PlainArray)

    @data.setter
    def data(self, value: ArrayLike) -> None:
        if self._parents:
            raise GraphError(f"{self!r} was computed by {self._op}; only the data of a leaf can be replaced")
        if plain_arrays.is_view_of(value, self.array):  # after `x.data -= step`; views of the array still share it
            guard_of(self).report()
        else:
            self.assign(float_array(value, None if np.asarray(value).dtype in FLOATS else self.array.dtype))

    def assign(self, array: Array) -> None:
        """Take a new array without copying it, as an optimizer does; earlier graphs notice."""
        self.array = array
        guard_of(self).replace()

    def backward(self, grad: ArrayLike = None, *, retain_graph: bool = False, gradient: ArrayLike = None) -> None:
        """Add d(self)/d(leaf) to the `.grad` of every leaf that requires it; inner nodes show this pass's gradient.

        `grad`, PyTorch's `gradient`: d(root)/d(self), of this Tensor's shape; 1 by default, which needs one number.
        Errors: NonScalarBackwardError, BackwardTwiceError (unless `retain_graph`), SavedArrayChangedError.
        """
        backward(self, gradient if grad is None else grad, retain_graph)

    def detach(self) -> Tensor:
        """The same numbers (shared, not copied) as a leaf without history and without gradient."""
        alias = leaf(self.numpy(), self.label)
        alias._guard = WriteGuard(guard_of(self).known, guard_of(self).viewed)
        return alias

    def numpy(self) -> Array:
        """The array itself, without the graph."""
        if UNUSUAL and MODES.written:
            refuse_old((self,), GraphError)
        guard_of(self).hand_out(self.array)
        return self.array

    def item(self, *index: int) -> float:
        """The one number that this Tensor holds, or the one at an index. Errors: ShapeError when it holds more."""
        if self.size != 1 and not index:
            raise ShapeError(
                f"item() gives one number, and a Tensor of shape {self.shape} holds {self.size}: take one, as in "
                "x[0].item(), reduce them, as in x.mean().item(), or take all as a list, x.data.tolist()"
            )
        return float(self.array.item(*index))

    shape = property(lambda self: self.array.shape, plain_arrays.refuse_shape)
    dtype = property(lambda self: self.array.dtype)
    ndim = property(lambda self: self.array.ndim)
    size = property(count_of)

    @property
    def T(self) -> Tensor:  # noqa: N802  (NumPy's name)
        """The axes in reverse order."""
        return ARRAY_TABLE["transpose"](self)  # type: ignore[no-any-return]

    def __matmul__(self, other: ArrayLike) -> Any:
        return ARRAY_TABLE["matmul"](self, other)

    def __rmatmul__(self, other: ArrayLike) -> Any:
        return ARRAY_TABLE["matmul"](other, self)

    def reshape(self, *shape: ArrayLike, order: str = "C") -> Tensor:
        """The same numbers in another shape: x.reshape(2, 3), x.reshape((2, 3)) or x.reshape(-1)."""
        return torch_meanings.reshape_by(self, unpack(shape), order)  # type: ignore[no-any-return]

    def __getitem__(self, index: ArrayLike) -> Tensor:
        return ARRAY_TABLE["getitem"](self, index)  # type: ignore[no-any-return]

    def __setitem__(self, index: ArrayLike, value: ArrayLike) -> None:
        in_graph = self._parents or getattr(value, "requires_grad", False)
        if in_graph and MODES.recording and MODES.tensor_trace is None and (self._parents or not self.requires_grad):
            overwrite(self, plain_index(index), value)
            return
        if not self._parents or MODES.tensor_trace is not None:
            refuse_plain_write(self, value)
        if self._parents or (self.requires_grad and MODES.recording):
            raise GraphError(
                f"{self!r}[...] = value would lose the gradient of what it overwrites: build the result with "
                "tg.ops.where or concatenate, or change a leaf under tg.no_grad()"
            )
        self.array[plain_index(index)] = value.array if value.__class__ is Tensor else value
        guard_of(self).report()

    def __len__(self) -> int:
        return len(self.array)

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    def __bool__(self) -> bool:
        return bool(MODES.tensor_trace.__bool__(self) if MODES.tensor_trace else self.array)  # a trace refuses

    def __format__(self, spec: str) -> str:
        return format(self.one_number("f'{x:" + spec + "}'"), spec) if spec else str(self)

    def __round__(self, digits: int | None = None) -> float:
        return round(self.one_number("round(x)"), digits)

    def __float__(self) -> float:
        if in_percent_format() or not (self.requires_grad and MODES.recording) or is_compiled(self):
            return self.one_number("float(x)")
        plain = "x.item() gives the plain number" if self.size == 1 else "x[i].item() gives one number, x.data all"
        raise number_error("float", self, f": {plain}. {plain_arrays.TO_FILL}")

    def __int__(self) -> int:
        return int(self.one_number("int(x)") if in_percent_format() else float(self))

    def one_number(self, call: str) -> float:
        """The number of a Tensor that holds one. Errors: TypeError, as of a list, that names `call`."""
        if self.size != 1:
            raise TypeError(f"{call} is for one number, and x holds {self.size}: x = {self!r}. Take x[i], or x.data")
        return self.item()

    def __array__(self, dtype: Option = None, copy: bool | None = None) -> Results:
        return plain_arrays.as_plain_array(self, dtype, copy)  # type: ignore[no-any-return]

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Node, **options: Option) -> Any:
        return call_ufunc(ufunc, method, inputs, options)

    def __array_function__(self, function: Any, types: ArrayLike, arguments: ArrayLike, options: Option) -> Any:
        return call_function(function, arguments, options)

    def __repr__(self) -> str:
        body = np.array2string(self.array, precision=4, threshold=12, separator=", ", prefix="Tensor(")
        facts = [f"shape={self.shape}"] if self.array.size > 12 else []
        facts += ["dtype=float32"] if self.array.dtype == np.float32 else []
        facts += [f"label={self.label!r}"] if self.label else []
        facts += [f"op={self._op.name!r}"] if self._op else []
        facts += ["requires_grad=True"] if self.requires_grad and not self._parents else []
        return f"Tensor({', '.join([body, *facts])})"


def start(x: Tensor, array: Array, label: str = "") -> None:
    """A Tensor without history."""
    x.array, x.gradient, x.label, x.requires_grad = array, None, label, False
    x._op, x._parents, x._options = None, (), NO_OPTIONS
    x._made, x._guard, x._spent, x._parameter = next(CLOCK), None, False, False


def leaf(array: Array, label: str = "") -> Tensor:
    """A Tensor around an array that is not copied."""
    made = Tensor.__new__(Tensor)
    start(made, array, label)
    return made


def record(operation: AnyOperation, y: Node, operands: tuple[Any, ...], options: Mapping[str, Any]) -> Tensor:
    """The result of an operation; it keeps its parents where a gradient may be asked for."""
    made = new(Tensor)  # like `leaf`, but without two calls: this runs for every operation
    made.array = y if y.__class__ is np.ndarray else np.asarray(y)
    made.gradient = made._guard = made._op = None
    made.label, made._parents, made._options = "", (), NO_OPTIONS
    made._made, made._spent, made.requires_grad = 0, False, False
    if UNUSUAL:
        if MODES.written:
            refuse_old(operands, GraphError)
        if MODES.anomaly:
            refuse_anomaly(operation, y, operands)
        if MODES.lines:
            made._place = find_place()
        if not MODES.recording:
            made._made = next(CLOCK)
            return made
    for x in operands:
        if x.__class__ is Tensor:
            if x.requires_grad:
                made.requires_grad = True
            if x._guard is not None:
                x._guard.look(x.array)
        elif x.__class__ is np.ndarray:
            operands = tuple([x.copy() if x.__class__ is np.ndarray else x for x in operands])
    made._made = next(CLOCK)
    if made.requires_grad or (UNUSUAL and MODES.tensor_trace is not None):
        made._op, made._parents, made._options = operation, operands, options
    elif REMEMBERING:
        mark(made, operands)
    return made


install_for_tensors(Tensor, record, NO_OPTIONS)
augmented.install(Tensor)
copies.install(Tensor)
plain_arrays.install(Tensor, leaf, lambda x: guard_of(x).report())
install_for_arrays(Tensor, record, protect_view, NO_OPTIONS)
pairs.install(Tensor)
for name, entry in {**ARRAY_TABLE, **COMPOSED}.items():
    if not hasattr(Tensor, name) and getattr(entry, "method", True):
        setattr(Tensor, name, array_method(entry))
torch_names.install(Tensor)
for kind in (TensorMethods, Tensor):
    one_name.install(kind)
tell(Tensor, SLIPS_OF_TENSOR | OF_TENSOR | torch_names.INSTEAD, Missing)
refuse_slips(Tensor)

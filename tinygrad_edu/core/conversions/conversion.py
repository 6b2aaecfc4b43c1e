"""What may become a Tensor or be combined with one in an operation, and the errors for the rest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_edu.core.aliases import ArrayLike, Axis, Node, Option
from tinygrad_edu.core.conversions.printing import preview
from tinygrad_edu.core.formulas.readings import refuse_masked, refuse_own_operands, refuse_own_rules
from tinygrad_edu.errors import DetachedError, DtypeError, OperandError, ShapeError

Array = np.ndarray[Any, Any]
LONGEST = 1024  # bits; 2**1024 is the first whole number that no float64 holds
FLOATS = (np.dtype(np.float64), np.dtype(np.float32))


def float_array(data: ArrayLike, dtype: Option = None) -> Array:
    """A copy as a float32 or float64 array; integers only if a dtype is given."""
    array = as_plain_array(data)
    if dtype is not None and not is_float(dtype):
        raise DtypeError(f"a Tensor holds float32 or float64, not dtype={dtype!r}")
    if getattr(data, "requires_grad", False):
        raise DetachedError(
            f"a new Tensor made of {preview(data)} would silently lose its gradient: "
            "use that one as it is, or leave the graph on purpose with .detach()"
        )
    if array.dtype in FLOATS or (dtype is not None and array.dtype.kind in "fiub"):
        return np.array(array, dtype=dtype)
    raise DtypeError(f"a Tensor holds float32 or float64, not {array.dtype}: {preview(data)}. {remedy(array)}")


def is_float(dtype: Option) -> bool:
    try:
        return np.dtype(dtype) in FLOATS
    except TypeError:  # not one of NumPy's dtypes
        return False


def dtype_asked(caller: str, target: ArrayLike, device: Option, dtype: Option) -> Any:
    """The dtype that PyTorch's x.to(target) asks for; None where it names the CPU or nothing. Errors: DtypeError."""
    for place in (device, target):
        if str(place).split(":")[0] in ("cuda", "mps", "xpu"):
            raise DtypeError(
                f"{caller}.to({str(place)!r}): this library computes on the CPU: leave it out, or write 'cpu'"
            )
    if dtype is None:
        dtype = target if isinstance(target, type) else getattr(target, "dtype", target)
    text = str(dtype)  # PyTorch's dtypes print as torch.float32
    return None if dtype is None or text.split(":")[0] == "cpu" else text[6:] if text.startswith("torch.") else dtype


def as_plain_array(data: ArrayLike) -> Array:
    """The array inside a Tensor, an array as it is, lists as an array."""
    refuse_masked(data)
    try:
        return np.asarray(getattr(data, "array", data))
    except ValueError as error:
        if isinstance(data, (list, tuple)) and any(hasattr(x, "requires_grad") for x in data):
            raise OperandError(f"{preview(data)} is a list of Tensors: join them with tg.ops.stack first") from None
        raise ShapeError(f"the rows of {preview(data)} differ in length: {error}") from None


def remedy(array: Array) -> str:
    """What to write instead, by kind of dtype."""
    if array.dtype.kind in "iub":
        return (
            "Integers have no gradient: write 1.0 for 1, or ask for dtype=float. "
            "Class numbers, the targets of a loss, need no Tensor: give the loss the plain list or array of integers"
        )
    if array.dtype.kind == "c":
        return "Complex numbers are not supported: use .real and .imag as two Tensors"
    if array.dtype.kind == "O" and array.size and hasattr(array.flat[0], "parents"):
        return (
            "Values belong to the scalar back end: make a Tensor of their plain numbers, or a model of Values too, "
            'as in nn.MLP([2, 8, 1], backend="scalar")'
        )
    if array.dtype.kind in "US" or any(isinstance(x, str) for x in array.flat):
        return "Text has to become numbers first, such as float(text) or one column for each category"
    return "Convert it with .astype(float) first"


def elementwise_operand(x: ArrayLike, dtype: Option) -> Any:
    """A number as a Python number (it takes the array's dtype), booleans as they are, other arrays as floats."""
    if isinstance(x, (bool, int, float)):
        return check_size(x) if x.__class__ in (bool, int) else float(x)
    if x.__class__ is not np.ndarray:
        refuse_own_rules(x)
    array = array_operand(x)
    if array.ndim == 0 and array.dtype.kind == "f":
        return float(array)
    return array if array.dtype.kind == "b" or array.dtype in FLOATS else array.astype(dtype)


def check_size(x: int) -> int:
    """Return x. Errors: OperandError for a whole number beyond the floats, such as 10**400."""
    if x.bit_length() > LONGEST:
        raise OperandError(f"a whole number of {x.bit_length()} bits beside a Tensor: a float holds at most 1.8e308")
    return x


def array_operand(x: ArrayLike) -> Array:
    """Lists and arrays of real numbers; Values, text, None and objects are refused."""
    if isinstance(x, np.ndarray) and x.__class__ is not np.ndarray:
        refuse_own_rules(x)
    if hasattr(x, "partials"):
        raise OperandError(
            f"{preview(x)} is a Value and does not mix with Tensors: use Tensor({x.data!r}, requires_grad=True), "
            "or stay with Values throughout"
        )
    array = as_plain_array(x)
    if array.dtype.kind not in "fiub":
        raise OperandError(f"{preview(x)} (dtype {array.dtype}) cannot be combined with a Tensor. {remedy(array)}")
    return array


def float_operand(x: Node, others: Sequence[Any], operation: Any) -> Any:
    """A constant of an operation on whole arrays, as floats in the dtype of the Tensors."""
    refuse_own_operands(operation, (x,))
    array = array_operand(x)
    return array if array.dtype.kind == "f" else array.astype(first_dtype(others))


def first_dtype(operands: Sequence[Any]) -> Any:
    """The dtype of the first Tensor."""
    return next(x.array.dtype for x in operands if hasattr(x, "requires_grad") and hasattr(x, "parents"))


def check_cast(old: Any, dtype: Option, order: str = "K", casting: str = "unsafe", subok: bool = True) -> None:
    """Check the further arguments of NumPy's astype. Errors: DtypeError where `casting` does not allow it."""
    if casting != "unsafe" and not np.can_cast(old, np.dtype(dtype), casting):  # type: ignore[arg-type]
        raise DtypeError(f"x.astype({np.dtype(dtype)}, casting={casting!r}) of {old}: that rule does not allow it")


def unpack(arguments: Sequence[Any]) -> Any:
    """The arguments as one tuple: f(2, 3), f((2, 3)) and f(np.array([2, 3])) mean the same."""
    if len(arguments) == 1 and type(arguments[0]) is np.ndarray:
        return arguments[0].tolist()
    return arguments[0] if len(arguments) == 1 and not isinstance(arguments[0], (int, np.integer)) else tuple(arguments)


def refuse_dtype(shape: Any) -> Any:
    """The shape. Errors: DtypeError for x.view(np.int64), NumPy's other reading of the same bytes."""
    if isinstance(shape, (type, str, np.dtype)):
        raise DtypeError(
            f"view({shape!r}) reads the same bytes as other numbers, which has no derivative: x.data.view(...)"
        )
    return shape


def plain_index(index: Axis) -> Any:
    """An index as it is now: Tensors in it as arrays, and arrays and lists copied, since they may change later."""
    if isinstance(index, tuple):
        return tuple(map(plain_index, index))
    index = getattr(index, "array", index)
    return index.copy() if isinstance(index, (np.ndarray, list)) else index

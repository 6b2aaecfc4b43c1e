"""Options of NumPy's functions that our operations lack, made of operations: np.sum(x, where=, initial=, dtype=),
np.take(x, i, mode="wrap"), np.pad(x, 1, mode="reflect").

>>> from tinygrad_edu.core.tensor import Tensor
>>> np.max(Tensor([1.0, 5.0, 2.0]), where=[True, False, True], initial=0.0).item()
2.0
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu.core import ops
from tinygrad_edu.core.aliases import ArrayLike, Option
from tinygrad_edu.core.arrays.chosen import index_by_mode, pad_by_mode, size_along
from tinygrad_edu.core.arrays.positions import in_dtype_of
from tinygrad_edu.core.broadcasting import Axes, broadcast_to
from tinygrad_edu.core.conversions.conversion import is_float
from tinygrad_edu.core.operation import ARRAY_TABLE, COMPOSED, TABLE
from tinygrad_edu.core.reductions import degrees_of_freedom, root
from tinygrad_edu.core.shapes import concatenate
from tinygrad_edu.errors import OperandError

ABSENT = (None, getattr(np, "_NoValue", None))  # of an option that NumPy fills in itself
# reduction -> (the number that changes nothing, the operation that joins `initial`)
JOINED: dict[str, tuple[float | None, str]] = {
    "sum": (0.0, "add"), "prod": (1.0, "mul"), "max": (None, "maximum"), "min": (None, "minimum"),
}  # fmt: skip
CASTS = {*JOINED, "mean", "var", "std", "cumsum", "cumprod", "nansum", "nanprod", "nanmean", "trace"}
OF_REDUCTIONS = {"axis", "keepdims", "where", "initial", "dtype", "ddof", "include_initial", "offset", "axis1", "axis2"}
UNDERSTOOD = {"pad": {"pad_width", "mode"}, "take": {"indices", "axis", "mode"}}  # others are not passed over
MODES_OF_PAD = ("edge", "reflect", "symmetric", "wrap")


def by_options(name: str, arrays: list[Any], named: dict[str, Any]) -> tuple[Any, ...]:
    """(the result,) of our operation of that name with such options among the named ones; () where it has none."""
    given = {key: x for key, x in named.items() if not any(x is absent for absent in ABSENT)}
    if given.get("reflect_type") == "even":
        del given["reflect_type"]
    if "correction" in given:
        given["ddof"] = given.pop("correction")
    if not given.keys() <= UNDERSTOOD.get(name, OF_REDUCTIONS):
        return ()
    if name == "pad" and given.get("mode") in MODES_OF_PAD:
        return (pad_by_mode(arrays[0], given["pad_width"], given["mode"]),)
    if name == "take" and given.get("mode") in ("wrap", "clip"):
        return (take_by_mode(arrays[0], **given),)
    if given.pop("include_initial", False):
        return (with_initial(name, arrays[0], **given),)
    x = in_dtype_asked(name, arrays[0], given)
    if x is None:
        return ()
    if "where" in given and given["where"] is not True and name in PARTS:
        return (PARTS[name](x, **given),)
    if name in JOINED and not given.keys().isdisjoint({"where", "initial"}):
        return (reduce_with(name, x, **given),)
    return (entry_tables()[name](x, **given),) if "dtype" in named and "dtype" not in given else ()


def entry_tables() -> dict[str, Any]:
    return {**COMPOSED, **ARRAY_TABLE}


def in_dtype_asked(name: str, x: ArrayLike, given: dict[str, Any]) -> Any:
    """x in the dtype of floats that is asked for, which is taken out of the options; None for another dtype."""
    dtype = given.get("dtype")
    if dtype is None:
        return x
    if name not in CASTS or not is_float(dtype) or not hasattr(x, "astype"):
        return None
    del given["dtype"]
    return x.astype(np.dtype(dtype), copy=False)


def reduce_with(name: str, x: ArrayLike, where: ArrayLike = True, initial: ArrayLike = None, **options: Option) -> Any:
    """The reduction of the entries where the condition holds, and of one further number, `initial`."""
    neutral, join = JOINED[name]
    if where is not True:
        if neutral is None and initial is None:
            raise OperandError(f"np.{name}(where=...) needs initial=, for where the condition holds nowhere")
        x = ops.where(where, x, initial if neutral is None else neutral)
    y = ARRAY_TABLE[name](x, **options)
    return y if initial is None else TABLE[join](y, initial)


def mean_where(x: ArrayLike, where: ArrayLike, axis: Axes = None, keepdims: bool = False) -> Any:
    """The mean of the entries where the condition holds; NaN where it holds nowhere."""
    return sum_over(ops.where(where, x, 0.0), axis, keepdims) / count_where(x, where, axis, keepdims)


def var_where(x: ArrayLike, where: ArrayLike, axis: Axes = None, ddof: float = 0, keepdims: bool = False) -> Any:
    """Their variance; as `var` gives it, inf or NaN where there are no more than `ddof` of them."""
    centred = ops.where(where, x - mean_where(x, where, axis, True), 0.0)
    free = ops.maximum(degrees_of_freedom(count_where(x, where, axis, keepdims), ddof), 0.0)
    return sum_over(ops.square(centred), axis, keepdims) / free


def std_where(x: ArrayLike, where: ArrayLike, axis: Axes = None, ddof: float = 0, keepdims: bool = False) -> Any:
    """Their standard deviation, whose derivative counts as 0 where all of them are equal."""
    return root(var_where(x, where, axis, ddof, keepdims))


PARTS: dict[str, Callable[..., Any]] = {"mean": mean_where, "var": var_where, "std": std_where}


def sum_over(x: ArrayLike, axis: Axes, keepdims: bool) -> Any:
    return ARRAY_TABLE["sum"](x, axis=axis, keepdims=keepdims)


def count_where(x: ArrayLike, where: ArrayLike, axis: Axes, keepdims: bool) -> Any:
    """How many entries the condition holds for."""
    hits = broadcast_to(ops.where(where, 1.0, 0.0), np.shape(x))
    return sum_over(in_dtype_of(np.asarray(hits) if isinstance(hits, float) else hits, x), axis, keepdims)


def take_by_mode(x: ArrayLike, indices: ArrayLike, mode: str, axis: int | None = None) -> Any:
    """Errors: OperandError for indices that are nodes."""
    if hasattr(indices, "parents"):
        raise OperandError(f"np.take(mode={mode!r}) takes plain indices: bring them into the range of the axis first")
    return COMPOSED["take"](x, index_by_mode(indices, size_along(x, axis), mode), axis=axis)


def with_initial(name: str, x: ArrayLike, axis: int | None = None, **options: Option) -> Any:
    """np.cumulative_sum or np.cumulative_prod that begins with 0 or 1."""
    y = entry_tables()[name](x, axis=0 if axis is None else axis, **options)
    at = 0 if axis is None else axis % np.ndim(y)
    sizes = [1 if i == at else n for i, n in enumerate(np.shape(y))]
    first = in_dtype_of(np.full(sizes, 1.0 if name == "cumprod" else 0.0), x)
    return concatenate([first, y], axis=at)

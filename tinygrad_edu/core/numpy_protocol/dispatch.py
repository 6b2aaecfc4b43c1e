"""Plain NumPy code on Values and Tensors: np.tanh(x) finds the operation, an unknown function is refused by name."""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
import types
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_edu.core.aliases import ArrayLike, Option
from tinygrad_edu.core.arrays.special_arrays import SCIPYS
from tinygrad_edu.core.formulas.readings import numbers_of_frame
from tinygrad_edu.core.formulas.whole_numbers import as_floats, is_mask, is_whole, typed
from tinygrad_edu.core.modes import MODES, forgive
from tinygrad_edu.core.numpy_protocol.names import (
    INSTEAD,
    METHODS,
    WHOLE_MODULES,
    differentiable,
    find,
    outer,
    without_derivative,
)
from tinygrad_edu.core.numpy_protocol.options import by_options
from tinygrad_edu.core.numpy_protocol.without_numbers import WITHOUT_NUMBERS
from tinygrad_edu.core.one_name import SECOND, refuse_second_name
from tinygrad_edu.core.operation import ARRAY_TABLE, COMPOSED, TABLE, ArrayOperation, Operation
from tinygrad_edu.core.pytree import tree_leaves, tree_map
from tinygrad_edu.errors import DetachedError, OperandError, UnsupportedNumpyError
from tinygrad_edu.spelling import near_names

# Step functions: their gradient is 0, so the plain numbers do for a Tensor that requires no gradient.
STEPS = frozenset({np.round, np.around, np.rint, np.floor, np.ceil, np.trunc, getattr(np, "fix", np.trunc)})
# they share a table row with another function, but return floats for integers
OF_WHOLE_ORDER = ("kn", "yn")  # of scipy.special, which cuts other orders off, with a warning
OF_FLOATS = frozenset({np.fabs, np.float_power})
SHAPE_OF = {np.shape: "shape", np.ndim: "ndim", np.size: "size"}  # read from the node, whose numbers are not needed
OURS = {"axis", "keepdims", "axes", "a", "shape", "ddof", "k"}  # no option that is made of operations
JOINS = {np.stack: COMPOSED["stack"], np.concatenate: ARRAY_TABLE["concatenate"]}  # same call signature as NumPy's


@functools.cache
def scipys() -> dict[Any, Any]:
    """Universal functions of scipy.special, which is not loaded for this: a caller who passes one has loaded it."""
    special = importlib.import_module("scipy.special")
    named: list[tuple[Any, Any]] = [(getattr(special, x.scipy_name or x.name, None), x) for x in TABLE.values()]
    named += [(getattr(special, theirs, None), ARRAY_TABLE[ours]) for theirs, ours in SCIPYS.items()]
    return {ufunc: row for ufunc, row in named if isinstance(ufunc, np.ufunc)}


def call_ufunc(ufunc: Any, method: str, inputs: Sequence[Any], options: dict[str, Any]) -> Any:
    """np.add(x, y), np.tanh(x), and array + x, which NumPy spells np.add(array, x)."""
    if ufunc not in STEPS or wants_gradient([inputs, options]):
        try:
            return call_operation(ufunc, method, inputs, options)
        except (DetachedError, UnsupportedNumpyError) as error:
            if wants_gradient([inputs, options]):
                raise
            forgive(error)
    return getattr(ufunc, method)(*tree_map(copy_numbers, inputs), **tree_map(copy_numbers, options))


def call_operation(ufunc: Any, method: str, inputs: Sequence[Any], options: dict[str, Any]) -> Any:
    """The operation of that ufunc. Errors: if it has no derivative, or if NumPy's options would lose it."""
    by_method = METHODS.get(method, {}).get(ufunc.__name__)
    if by_method is not None and options.keys() <= {"axis", "keepdims"}:
        return by_method(*inputs, **options)
    if options.get("out") is not None:
        raise DetachedError(
            f"np.{ufunc.__name__} would write a {kind(inputs)} into a plain array and lose its gradient: "
            f"write a = a {'+' if ufunc is np.add else 'op'} x in place of a += x or out="
        )
    if method == "outer" and ufunc in differentiable() and not options:
        return outer(ufunc, inputs)
    if method != "__call__" or (options and ufunc.signature is None):
        raise UnsupportedNumpyError(refusal(f"{ufunc.__name__}.{method}({', '.join(options)})"))
    if ufunc in without_derivative() or (has_no_numbers() and ufunc in WITHOUT_NUMBERS):
        return plain_answer(ufunc, inputs, {})
    if ufunc is np.divmod and not options:
        return differentiable()[np.floor_divide](*inputs), differentiable()[np.mod](*inputs)
    operation = differentiable().get(ufunc) or ("scipy.special" in sys.modules and scipys().get(ufunc))
    if not operation:
        numpys = getattr(np, ufunc.__name__, None) is ufunc
        raise UnsupportedNumpyError(refusal(ufunc.__name__, "np" if numpys else "scipy.special"))
    if ufunc.__name__ in OF_WHOLE_ORDER and np.any(np.mod(np.asarray(inputs[0]), 1.0)):
        raise OperandError(f"scipy.special.{ufunc.__name__} takes whole orders: for others there is {operation.name}")
    if not isinstance(operation, Operation):
        return operation(*inputs, **options)  # matmul, vecdot and similar: not elementwise
    if kind(inputs) == "Value" and any(isinstance(x, np.ndarray) and (x.ndim or x.dtype == object) for x in inputs):
        return operation.on_arrays(*map(box_value, inputs))
    if ufunc is np.power and is_mask(inputs[0]):
        inputs = inputs[0], typed(inputs[1], inputs[0])
    return operation(*(map(as_floats, inputs) if ufunc in OF_FLOATS else inputs))


def call_function(function: Any, arguments: Sequence[Any], options: dict[str, Any]) -> Any:
    """np.sum(x, axis=0), np.where(...), np.concatenate([...]): everything that is not a ufunc."""
    if function not in STEPS or wants_gradient([list(arguments), options]):
        try:
            return call_differentiable(function, arguments, options)
        except (DetachedError, UnsupportedNumpyError) as error:
            if wants_gradient([list(arguments), options]):
                raise
            forgive(error)
    return function(*tree_map(copy_numbers, list(arguments)), **tree_map(copy_numbers, options))


def call_differentiable(function: Any, arguments: Sequence[Any], options: dict[str, Any]) -> Any:
    """Our function of that name. Errors: if it has no derivative, or if an option of NumPy's would change it."""
    if options and not SECOND.isdisjoint(options):
        refuse_second_name(f"np.{name_with_dots(function)}", [*parameter_names(function)[: len(arguments)], *options])
    same = JOINS.get(function)
    if same is not None and len(arguments) <= 2 and options.keys() <= {"axis"}:
        return same(*arguments, **options)
    if function in SHAPE_OF and hasattr(arguments[0], "parents") and len(arguments) == 1 and not options:
        return getattr(arguments[0], SHAPE_OF[function], function(0.0))  # a Value has the shape of a single number
    if function is np.full_like and any(hasattr(x, "parents") for x in [*arguments[1:], *options.values()]):
        raise UnsupportedNumpyError(
            "np.full_like would lose the gradient of its fill value: write np.broadcast_to(value, np.shape(x))"
        )
    if function in without_derivative():
        return plain_answer(function, arguments, options)
    if function not in differentiable():
        raise UnsupportedNumpyError(refusal(name_with_dots(function)))
    entry = differentiable()[function]
    if function is not np.clip:  # made of universal functions, which give a frame of a frame
        arguments = [numbers_of_frame(x) for x in arguments]
    if isinstance(entry, types.FunctionType):
        return entry(*arguments, **dict(option for x in options.items() for option in translate(function, entry, *x)))
    if isinstance(entry, Operation):
        return entry(*(bounds(*arguments, **options) if function is np.clip else arguments))
    arrays, named = by_name(function, arguments, options, len(getattr(entry, "arrays", "x")) or 1)
    if not OURS.issuperset(named) and (made := by_options(entry.name, arrays, named)):
        return made[0]
    y = entry(*arrays, **dict(option for x in named.items() for option in translate(function, entry, *x)))
    if function is np.nan_to_num and not named.get("copy", True) and np.ndim(y):
        MODES.memory.note_write(arrays[0], y)
    return y


def has_no_numbers() -> bool:
    """Is a trace running, or a `vmap`?"""
    return MODES.tensor_trace is not None or MODES.value_trace is not None


def plain_answer(function: Any, arguments: Sequence[Any], options: dict[str, Any]) -> Any:
    """NumPy's answer for the plain numbers; for nodes without numbers yet, one made of comparisons if possible."""
    if has_no_numbers() and function in WITHOUT_NUMBERS:
        return WITHOUT_NUMBERS[function](*arguments, **options)
    return function(*tree_map(plain_of, list(arguments)), **tree_map(plain_of, options))


# NumPy's option names and ours; and values of NumPy's options that ask for the default behaviour.
ALIASES = {"newshape": "shape", "correction": "ddof"}
NEUTRAL = {
    "order": ("C",), "mode": ("constant", "raise"), "copy": (True, False), "subok": (True, False),
    "kind": ("quicksort", "mergesort", "heapsort", "stable", "introselect"), "stable": (True, False),
    "overwrite_input": (True, False), "hermitian": (False,), "casting": ("same_kind",),
}  # fmt: skip


def bounds(
    x: ArrayLike, a_min: ArrayLike = None, a_max: ArrayLike = None, out: Option = None, **options: Option
) -> tuple[Any, Any, Any]:
    """The arguments of np.clip, which has two names for each bound; None means no bound."""
    low, high = options.pop("min", a_min), options.pop("max", a_max)
    for name, value in {"out": out, **options}.items():
        refuse_option(np.clip, name, value)
    # without bounds: x itself for integers, which keeps them integers
    none = (x, x) if is_whole(x) else (-np.inf, np.inf)
    return x, none[0] if low is None else low, none[1] if high is None else high


def by_name(
    function: Any, arguments: Sequence[Any], options: dict[str, Any], count: int
) -> tuple[list[Any], dict[str, Any]]:
    """(the first `count` arguments, the others by NumPy's names): np.sum(x, 0, None) has axis=0 and dtype=None."""
    names = parameter_names(function)
    if len(arguments) > len(names):
        return list(arguments), options
    named = dict(zip(names, arguments, strict=False)) | options
    count = max(count, nameless(function))
    return [named.pop(name) for name in names[:count] if name in named], named


@functools.cache
def nameless(function: Any) -> int:
    """How many arguments are given by their places alone, as x1 and x2 of np.linalg.cross."""
    return sum(x.kind is x.POSITIONAL_ONLY for x in parameters_of(function))


@functools.cache
def parameter_names(function: Any) -> tuple[str, ...]:
    return tuple(x.name for x in parameters_of(function) if x.kind in (x.POSITIONAL_ONLY, x.POSITIONAL_OR_KEYWORD))


def parameters_of(function: Any) -> list[inspect.Parameter]:
    """Empty if NumPy's C code has no signature."""
    try:
        return list(inspect.signature(function).parameters.values())
    except ValueError:
        return []


@functools.cache
def option_names(entry: Any) -> tuple[str, ...]:
    parameters = inspect.signature(entry).parameters.values()
    return tuple(x.name for x in parameters if x.kind is not x.VAR_POSITIONAL)


def translate(function: Any, entry: Any, name: str, value: ArrayLike) -> list[tuple[str, Any]]:
    """An option by our name; none if it asks for what is done anyway. Any other is refused, never ignored."""
    ours = ALIASES.get(name, name)
    if ours == "shape" and isinstance(value, np.ndarray):
        value = value.tolist()
    if ours in (entry.options if isinstance(entry, ArrayOperation) else option_names(entry)):
        return [(ours, value)]
    refuse_option(function, name, value)
    return []


def refuse_option(function: Any, name: str, value: ArrayLike) -> None:
    if function is np.nan_to_num and name == "copy" and not value and MODES.memory is None:
        raise UnsupportedNumpyError("np.nan_to_num(x, copy=False) would write into x: write x = np.nan_to_num(x)")
    if value is None or (isinstance(value, (str, bool)) and value in NEUTRAL.get(name, ())):
        return
    if name == "out":
        raise DetachedError(
            f"np.{name_with_dots(function)}(out=) would write into a plain array and lose the gradient: use the result"
        )
    raise UnsupportedNumpyError(
        f"np.{name_with_dots(function)}({name}={value!r:.60}) has no derivative here; without {name} it has one"
    )


def box_value(x: ArrayLike) -> Any:
    """A Value as an array of one object, which ufuncs take as it is; a column of a data frame as its array."""
    if isinstance(x, np.ndarray) or (hasattr(x, "__array__") and not hasattr(x, "parents")):
        return np.asarray(x)
    box = np.empty((), dtype=object)
    box[()] = x
    return box


def kind(inputs: Sequence[Any]) -> str:
    return next((type(x).__name__ for x in inputs if hasattr(x, "parents")), "node")


def wants_gradient(arguments: ArrayLike) -> bool:
    """Is there a node whose gradient may be needed? Not a Tensor that requires none, and not under `no_grad`."""
    nodes = [x for x in tree_leaves(arguments) if hasattr(x, "parents")]
    traced = MODES.tensor_trace is not None or MODES.value_trace is not None
    return traced or (MODES.recording and any(getattr(x, "requires_grad", True) for x in nodes))


def copy_numbers(x: ArrayLike) -> Any:
    """A copy of a node's numbers: a result of NumPy may be a view of it."""
    return (x.numpy() if hasattr(x, "requires_grad") else x.data) if hasattr(x, "parents") else x


def plain_of(x: ArrayLike) -> Any:
    """A node's numbers, to be read only."""
    return (x.array if hasattr(x, "requires_grad") else x.data) if hasattr(x, "parents") else x


def name_with_dots(function: Any) -> str:
    module = getattr(function, "__module__", "numpy").removeprefix("numpy").strip(".")
    return f"{module}.{function.__name__}" if module in ("linalg", "fft") else str(function.__name__)


def refusal(name: str, module: str = "np") -> str:
    """What to use instead of a NumPy function that has no derivative here."""
    bare = name.split("(")[0]
    hint = INSTEAD.get(bare) or WHOLE_MODULES.get(bare.partition(".")[0])
    if hint is None:
        known = sorted({entry.numpy_name for entry in differentiable().values() if hasattr(entry, "numpy_name")} - {""})
        nearest = near_names(bare, [x for x in known if find(x) is not None], most=3)
        hint = ", ".join("np." + x for x in nearest) or "what dir(tg.ops) lists"
    return (
        f"{module}.{name} has no derivative here. Use {hint}; dir(tg.ops) lists all that have one, and tg.operation "
        "declares one of your own. Or leave the graph on purpose with x.detach().data"
    )

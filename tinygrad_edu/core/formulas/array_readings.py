"""One body, read for plain arrays alone: every operation that it names is NumPy's function, without asking each time.

`sum`, `reshape` and their like ask what they are given, and sort their options: about 3 µs for a call that takes NumPy
1 µs. A pull-back of the table makes two to eight such calls, on nothing but arrays while a backward pass runs. Here its
code is bound once to functions of arrays, and so are the helpers that it calls: `spread`, `unbroadcast`, `choose`.
`tests/core/fast/test_array_pulls.py` holds the two readings of each row against each other, bit for bit.
"""

from __future__ import annotations

import builtins
import dis
import functools
import inspect
import types
from collections.abc import Callable, Iterator
from typing import Any

from tinygrad_edu.core.aliases import ArrayLike, Option
from tinygrad_edu.core.formulas.readings import bind
from tinygrad_edu.core.modes import UNUSUAL
from tinygrad_edu.core.mutex import Mutex
from tinygrad_edu.errors import OperandError, TinygradError

PACKAGE = __name__.rsplit(".", 2)[0]  # functions of core are rebound for arrays; all others stay as they are
BOUND: dict[Any, Any] = {}  # what is bound already, by function and by module
BEGUN: dict[Any, Any] = {}  # functions being bound: not all the names they read are bound yet
BINDING = Mutex()
AXES = {"axis", "axes", "axis1", "axis2", "axisa", "axisb", "axisc", "source", "destination", "dim"}


def for_arrays(x: Any) -> Any:
    """An operation, a function or a module of the engine as it is for plain arrays; anything else as it is."""
    if hasattr(type(x), "array_function"):
        return x.array_function
    name = getattr(x, "__module__" if isinstance(x, types.FunctionType) else "__name__", None)
    if not isinstance(x, (types.FunctionType, types.ModuleType)) or not str(name).startswith(PACKAGE):
        return x
    if x in BOUND:
        return BOUND[x]
    with BINDING.freed(), BINDING.taken:
        return BEGUN[x] if x in BEGUN else bind_all(x)


def bind_all(x: Any) -> Any:
    """x bound, with all that it reads; where Ctrl-C or an error comes in between, none of it, and once more later."""
    outermost = not BEGUN
    try:
        found = LazyNames(x) if isinstance(x, types.ModuleType) else bind_function(x)
        if outermost:
            BOUND.update(BEGUN | {x: found})
        else:
            BEGUN[x] = found
        return found
    finally:
        if outermost:
            BEGUN.clear()


def bind_for_arrays(function: Any) -> Any:
    """A function for plain arrays: the engine's own version of it, or a user's function with its globals bound."""
    found = for_arrays(function)
    return bind(function, "array_function") if found is function else found


def bind_function(function: types.FunctionType) -> Any:
    """The same code with its global names bound for arrays."""
    names: dict[str, Any] = {"__builtins__": builtins}  # some of NumPy's C code looks up the builtins under this name
    made = types.FunctionType(function.__code__, names, function.__name__, function.__defaults__, function.__closure__)
    made.__kwdefaults__ = function.__kwdefaults__
    BEGUN[function] = made  # so that a function that calls itself finds this version
    given = function.__globals__
    names.update({name: for_arrays(given[name]) for name in global_names(function.__code__) if name in given})
    return made


def global_names(code: types.CodeType) -> Iterator[str]:
    """The global names that a function reads, and those that functions written inside it read."""
    for step in dis.get_instructions(code):
        if step.opname == "LOAD_GLOBAL":
            yield step.argval
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            yield from global_names(inner)


class Body:
    """Something with a `function` written for arrays and nodes alike, called with arrays and options."""

    function: Callable[..., Any]

    def __call__(self, *arguments: ArrayLike, **options: Option) -> Any:
        quick = self.quick.get(arguments[0].__class__) if arguments else None
        if quick is not None and not UNUSUAL:
            return quick(*arguments, **options)
        return self.call(arguments, options)

    def call(self, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """The result for arguments of any kind. Errors: OperandError for an axis that is not an integer."""
        try:
            return self.evaluate(arguments, options)
        except (TypeError, OverflowError) as error:
            found = no_axes(self.function, arguments, options, str(error))
            if isinstance(error, TinygradError) or not found:
                raise
            words = f"{self.function.__name__}: {found}: an axis is a whole number such as 0 or -1, or a tuple of them"
            raise OperandError(words) from None

    def evaluate(self, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """`call`, but errors about axes are not translated."""
        raise NotImplementedError

    @functools.cached_property
    def quick(self) -> dict[type, Callable[..., Any]]:
        """Fast versions by class of the arrays."""
        return {}

    @functools.cached_property
    def array_function(self) -> Callable[..., Any]:
        """The function for plain arrays alone."""
        return for_arrays(self.function)  # type: ignore[no-any-return]


def no_axes(function: Callable[..., Any], arguments: tuple[Any, ...], options: dict[str, Any], error: str) -> str:
    """The axis among these arguments that can be none, as axis='a'; "" if there is no such thing.

    Python's error says whether a list, or None, cannot be one here.
    """
    names = list(inspect.signature(function).parameters)
    named = {**dict(zip(names, arguments, strict=False)), **options}
    given = {name: x for name, x in named.items() if name in AXES}
    wrong = (
        name for name, x in given.items() if f"'{type(x).__name__}'" in error or not all(map(is_axis_number, listed(x)))
    )
    return next((f"{name}={given[name]!r:.40}" for name in wrong), "")


def listed(x: Any) -> Any:
    """One axis, several of them, or None for all."""
    return x if isinstance(x, (list, tuple)) else [] if x is None else [x]


def is_axis_number(x: Any) -> bool:
    """Can it be the number of an axis, of which NumPy allows 64?"""
    whole = hasattr(x, "__index__") and not isinstance(x, bool) and not hasattr(x, "__array_function__")
    return whole and abs(x) < 2**31


class LazyNames:
    """A module whose names are bound when they are first read: `ops.exp` is np.exp."""

    def __init__(self, module: types.ModuleType) -> None:
        self.module = module

    def __getattr__(self, name: str) -> Any:
        found = for_arrays(getattr(self.module, name))
        setattr(self, name, found)
        return found

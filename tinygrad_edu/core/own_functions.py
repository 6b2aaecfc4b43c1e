"""A function of plain floats written by a user: how it runs on arrays, and whether a program may contain its text."""

from __future__ import annotations

import dis
import functools
import inspect
import math
import types
from collections.abc import Callable, Sequence
from typing import Any

from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.core.formulas.readings import Live
from tinygrad_edu.core.operation import Operation
from tinygrad_edu.errors import OperandError, ShapeError

NUMPYS_NAMES = {  # NumPy's names for functions of `math`
    "asin": "arcsin", "acos": "arccos", "atan": "arctan", "atan2": "arctan2", "asinh": "arcsinh", "acosh": "arccosh",
    "atanh": "arctanh", "pow": "power",
}  # fmt: skip
SCIPYS_NAMES = {"erf": "erf", "erfc": "erfc", "gamma": "gamma", "lgamma": "gammaln"}
PLAIN_WORDS = ("abs", "min", "max", "float", "int", "range")  # builtins that generated programs may use too


class OwnOperation(Operation):
    """An elementwise operation that a user declared.

    On arrays its function runs once if it has neither a branch nor a call that takes floats only, else entry by entry,
    with NaN where Python's own functions raise.
    """

    def partials_on_arrays(self, y: ArrayLike, arguments: Sequence[Any]) -> tuple[Any, ...]:
        """As those of any operation. Errors: OperandError for partials that decide by `if`."""
        try:
            return super().partials_on_arrays(y, arguments)
        except ValueError as error:
            if "truth value" not in str(error):
                raise
            raise OperandError(
                f"the partials of {self.name} decide by `if`, and get whole arrays here: choose entry by entry, "
                "np.where(x > 0, 1.0, 0.2) for 1.0 if x > 0 else 0.2. (The function itself may decide by `if`.)"
            ) from error

    @functools.cached_property
    def float_function(self) -> Callable[..., Any]:
        plain = super().float_function

        def number(*arguments: float) -> Any:
            y = plain(*arguments)
            try:
                return float(y)
            except TypeError:
                raise OperandError(
                    f"operation {self.name}: its function must return one number for plain floats, not {y!r:.60}"
                ) from None

        return number

    @functools.cached_property
    def array_function(self) -> Callable[..., Any]:
        import numpy as np

        whole = over_arrays(self.function) if is_straight(self.function) else np.vectorize(self.element, otypes=[float])

        def run(*arrays: ArrayLike) -> Any:
            y = whole(*arrays)
            shape = np.broadcast_shapes(*map(np.shape, arrays))
            if np.shape(y) != shape:
                raise ShapeError(
                    f"operation {self.name} gave shape {np.shape(y)} for inputs of shape {shape}: with partials= it is "
                    "computed entry by entry. An operation on whole arrays is declared with vjp="
                )
            kinds = [x.dtype for x in arrays if hasattr(x, "dtype") and x.dtype.kind == "f"]
            return np.asarray(y, dtype=np.result_type(*kinds) if kinds else float)[()]

        return run

    def element(self, *arguments: float) -> float:
        try:
            return self.float_function(*map(float, arguments))  # type: ignore[no-any-return]
        except (ArithmeticError, ValueError):
            return math.nan

    @property
    def refusal(self) -> str:
        """Why no program can contain this function's text; nothing if one can: its globals may be others by now."""
        return why_not_text(self.function)


def globals_of(function: Any) -> dict[str, Any]:
    """The names that the function's code uses from outside, except builtins."""
    names = {step.argval for step in dis.get_instructions(function) if step.opname == "LOAD_GLOBAL"}
    return {name: function.__globals__.get(name, name) for name in names}


def attributes_of(function: Any) -> set[str]:
    return {step.argval for step in dis.get_instructions(function) if step.opname in ("LOAD_ATTR", "LOAD_METHOD")}


def is_straight(function: Any) -> bool:
    """Does its code run on whole arrays too, having no branches, loops or calls that take floats only?"""
    if any("JUMP" in step.opname or step.opname == "FOR_ITER" for step in dis.get_instructions(function)):
        return False
    if function.__closure__ and not all(isinstance(c.cell_contents, (int, float)) for c in function.__closure__):
        return False
    named = globals_of(function)
    if named.get("math") is math and any(
        hasattr(math, n) and not hasattr(array_math(), n) for n in attributes_of(function)
    ):
        return False
    return all(isinstance(x, (int, float, Operation, types.ModuleType)) or x == "abs" for x in named.values())


def over_arrays(function: Any) -> Callable[..., Any]:
    """The same code with NumPy's functions instead of math's."""
    space = Live({n: array_math() for n, x in globals_of(function).items() if x is math}, function.__globals__)
    return types.FunctionType(function.__code__, space, function.__name__, function.__defaults__, function.__closure__)


@functools.cache
def array_math() -> types.SimpleNamespace:
    """The functions of `math` for arrays, by NumPy and SciPy."""
    import numpy as np
    import scipy.special

    space = types.SimpleNamespace(pi=math.pi, e=math.e, inf=math.inf, nan=math.nan, tau=math.tau)
    for name in vars(math):
        found = getattr(np, NUMPYS_NAMES.get(name, name), None)
        if isinstance(found, np.ufunc):
            setattr(space, name, found)
    for name, scipys in SCIPYS_NAMES.items():
        setattr(space, name, getattr(scipy.special, scipys))
    return space


def why_not_text(function: Any, seen: tuple[Any, ...] = ()) -> str:
    """A program is text: arithmetic, `math`, numbers that have names, and functions written like that."""
    name = function.__name__
    if function.__closure__:
        free = ", ".join(function.__code__.co_freevars)
        return f"{name} reads {free} of the function around it: make it a parameter with a default, or a global float"
    try:
        inspect.getsource(function)
    except (OSError, TypeError):
        return f"the source of {name} is not at hand; declare it in a file"
    for word, thing in globals_of(function).items():
        if thing is math or type(thing) in (int, float) or isinstance(thing, Operation) or word in PLAIN_WORDS:
            continue
        if isinstance(thing, types.FunctionType) and function not in seen:
            reason = why_not_text(thing, (*seen, function))
            if reason:
                return reason
        else:
            return (
                f"{name} uses {word}, which a program cannot contain: write it with math.exp and its like, floats, and "
                "operations by their bare names (from tinygrad_edu.ops import exp)"
            )
    return ""

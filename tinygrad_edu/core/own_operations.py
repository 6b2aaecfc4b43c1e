"""Operations of one's own: declared like a row of the table, and then known to every back end.

>>> import math
>>> from tinygrad_edu import Tensor, ops, operation
>>> @operation(partials=lambda y, x: (-2.0 * x * y,))
... def bell(x):
...     '''e^(-x²).  dy/dx = -2x·y.'''
...     return math.exp(-x * x)
>>> bell(0.0), bell(Tensor([0.0, 1.0], requires_grad=True)).sum().item()
(1.0, 1.3678794411714423)
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from tinygrad_edu.core.aliases import ArrayLike, Option
from tinygrad_edu.core.operation import (
    ARRAY_TABLE,
    COMPOSED,
    EVERYWHERE,
    TABLE,
    ArrayOperation,
    Box,
    Composed,
)
from tinygrad_edu.core.own_functions import OwnOperation
from tinygrad_edu.errors import OperandError, SettingError, ShapeError
from tinygrad_edu.pen import check_arguments

OWN: dict[str, Any] = {}
PLACES: dict[str, tuple[str, str, int]] = {}  # module, file and line of each declaration


@check_arguments
def operation(
    function: Callable[..., Any] | None = None,
    *,
    partials: Callable[..., tuple[Any, ...]] | None = None,
    vjp: Callable[..., Any] | None = None,
    made_of: Callable[..., Any] | None = None,
    domain: Sequence[Box] = EVERYWHERE,
    replace: bool = False,
) -> Any:
    """Declare an operation with its derivative; a decorator. It works on numbers, arrays, Values and Tensors.

    function: the function to declare.
    partials: of an elementwise operation, a function of plain floats: partials(y, x₁, x₂, ...) = (∂y/∂x₁, ∂y/∂x₂, ...).
    vjp: of an operation on whole arrays: vjp(g, y, array₁, ..., **options) = (g·∂y/∂array₁, ...), each of its array's
        shape. The function's parameters without a default are the arrays, the others options.
    Neither: the function is written with other operations, so that its derivative follows from theirs.
    made_of: of an operation with vjp, its body written with operations, for `jit`. Default: refused there by name.
    domain: boxes, an interval for each argument, away from kinks and poles. Default: -3 to 3.
    replace: whether an operation of this name may be there already. Default: False.
    Write partials and vjp with operators and `tg.ops` (or NumPy's functions): then derivatives of every order exist.
    Errors: SettingError for a taken name, OperandError for another number of derivatives, ShapeError for a wrong shape.

    >>> from tinygrad_edu import grad, ops
    >>> @operation
    ... def smooth_step(x):
    ...     return ops.sigmoid(4.0 * x) * x
    >>> round(grad(grad(smooth_step))(0.0), 6)
    2.0
    """

    def declare(function: Callable[..., Any]) -> Any:
        name = getattr(function, "__name__", "")
        refuse_taken(name, function, replace)
        if partials is not None and vjp is not None:
            raise SettingError(f"operation {name}: either partials= (entry by entry) or vjp= (whole arrays), not both")
        made: Any = made_of_others(function)
        if partials is not None:
            made = elementwise(function, partials, domain)
        elif vjp is not None:
            made = OwnArrayOperation(function, vjp, made_of)
        OWN[name], PLACES[name] = made, place_in_source(function)
        return made

    return declare if function is None else declare(function)


def made_of_others(function: Callable[..., Any]) -> Composed:
    """An operation whose derivative follows from those of the operations in it."""
    made: Any = Composed(function, "-")
    made.calls_others = True
    return made  # type: ignore[no-any-return]


def place_in_source(function: Callable[..., Any]) -> tuple[str, str, int]:
    code = getattr(function, "__code__", None)
    if code is None:
        raise SettingError(f"operation({function!r}): an operation is declared from a function written with def")
    return function.__module__, code.co_filename, code.co_firstlineno


def refuse_taken(name: str, function: Any, replace: bool) -> None:
    """A name means one operation. The same lines run again (a cell, a reload) may declare it again."""
    if not name.isidentifier():
        raise SettingError(f"operation: a function named {name!r} has no usable name: write it with def")
    with suppress(ModuleNotFoundError):  # without NumPy there are no array operations
        import tinygrad_edu.core.array_operations  # noqa: F401  (fills the tables: those names are taken too)
    if name in TABLE or name in ARRAY_TABLE or name in COMPOSED:
        raise SettingError(f"operation {name}: tg.ops.{name} exists already; choose another name")
    module, file, line = place_in_source(function)
    interactive = module == "__main__" and (file.startswith("<") or "ipykernel" in file)
    if name in OWN and not replace and not interactive and PLACES[name] != (module, file, line):
        _, file, line = PLACES[name]
        raise SettingError(
            f"operation {name} was already declared in {file}, line {line}. Choose another name, or say replace=True"
        )


def elementwise(function: Any, partials: ArrayLike, domain: Sequence[Box]) -> OwnOperation:
    """An operation of floats, once its derivatives have been counted at a point of its domain."""
    name, parameters = function.__name__, inspect.signature(function).parameters
    kinds = {p.kind for p in parameters.values()}
    if not parameters or kinds - {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}:
        raise OperandError(
            f"operation {name}: its function must take one float for each input, by position, without *args"
        )
    wanted = f"partials(y, {', '.join(parameters)})"
    try:
        inspect.signature(partials).bind(*range(1 + len(parameters)))
    except TypeError:
        raise OperandError(
            f"operation {name}: partials are called as {wanted}, with the output y first, and these take "
            f"{inspect.signature(partials)}"
        ) from None
    refuse_math(name, partials)
    made = OwnOperation(function, partials, domain, "-", "")
    found = at_a_point(made)
    if found is not None and (not isinstance(found, tuple) or len(found) != len(parameters)):
        raise OperandError(
            f"operation {name}: {wanted} gives one derivative for each of its {len(parameters)} inputs as a tuple, as "
            f"in ({', '.join('d' + p for p in parameters)},), and these gave {found!r:.80}"
        )
    return made


def at_a_point(made: OwnOperation) -> Any:
    """The partials at a point of the domain; None where the function has no value there."""
    box = made.domain[0]
    ends = [box[min(i, len(box) - 1)] for i in range(len(made.parameters))]
    point = [low + 0.75 * (high - low) for low, high in ends]
    try:
        return made.float_partials(made.float_function(*point), *point)
    except (ArithmeticError, ValueError):
        return None


def refuse_math(name: str, partials: ArrayLike) -> None:
    """math.exp takes no arrays and no Values."""
    names = getattr(getattr(partials, "__code__", None), "co_names", ())
    used = [n for n in names if callable(getattr(math, n, None))]
    if used and "math" in names and partials.__globals__.get("math") is math:
        raise OperandError(
            f"operation {name}: its partials use math.{used[0]}, which takes plain floats only, and partials run on "
            f"arrays, Values and Tensors too: write tg.ops.{used[0]}"
        )


class OwnArrayOperation(ArrayOperation):
    """An operation on whole arrays that a user declared: the results of its pull-back are checked."""

    def __init__(self, function: Callable[..., Any], vjp: Callable[..., Any], made_of: ArrayLike) -> None:
        instead = "an operation of your own with vjp= has no loops; give it made_of=, or call the function without jit"
        super().__init__(function, vjp, "-", False, made_of=made_of, instead=instead)
        parameters = inspect.signature(function).parameters.values()
        if any(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in parameters):
            raise OperandError(f"operation {self.name}: give each array and each option a name, in place of * and **")
        self.arrays = [p.name for p in parameters if p.default is p.empty and p.kind is not p.KEYWORD_ONLY]
        self.options = {p.name: p.default for p in parameters if p.name not in self.arrays}
        self.variadic = False
        if not self.arrays:
            raise OperandError(f"operation {self.name}: its function takes no array (a parameter without a default)")
        self.given_vjp, self.vjp = vjp, self.check_pullback
        wanted = f"vjp(g, y, {', '.join([*self.arrays, *(f'{n}={n}' for n in self.options)])})"
        try:
            inspect.signature(vjp).bind(*range(2 + len(self.arrays)), **self.options)
        except TypeError:
            raise OperandError(
                f"operation {self.name}: its pull-back is called as {wanted}, with the gradient g of the output y, and "
                f"takes {inspect.signature(vjp)}"
            ) from None

    def check_pullback(self, g: ArrayLike, y: ArrayLike, *arrays: ArrayLike, **options: Option) -> tuple[Any, ...]:
        """The pull-back's results, one for each array and of its shape; None is not a gradient."""
        found = self.given_vjp(g, y, *arrays, **options)
        found = tuple(found) if isinstance(found, (tuple, list)) else (found,)
        if len(found) != len(arrays):
            raise OperandError(
                f"the pull-back of {self.name} gave {len(found)} gradients for its {len(arrays)} arrays "
                f"({', '.join(self.arrays)}): one for each, None where there is none"
            )
        named = zip(self.arrays, arrays, found, strict=True)
        return tuple([self.fitting(name, x, gradient) for name, x, gradient in named])

    def fitting(self, name: str, x: ArrayLike, gradient: ArrayLike) -> Any:
        import numpy as np

        if gradient is None:
            return np.zeros(np.shape(x), getattr(x, "dtype", float))
        if np.shape(gradient) != np.shape(x):
            raise ShapeError(
                f"the pull-back of {self.name} gave a gradient of shape {np.shape(gradient)} for {name} of shape "
                f"{np.shape(x)}: a gradient has the shape of its array (sum over what was broadcast)"
            )
        return gradient if hasattr(gradient, "dtype") else np.asarray(gradient, dtype=getattr(x, "dtype", float))

"""Functions of `scipy.special` that SciPy computes and whose derivatives are such functions again: Bessel functions,
incomplete gamma and beta functions, exponential integrals.

No formula of a few lines gives them for all numbers, so they are for arrays and Tensors, and are not compiled. The
order of a Bessel function and the parameters of an incomplete function have no derivative here: asking is an error.

>>> from tinygrad_edu import Tensor
>>> from scipy import special
>>> x = Tensor([0.5, 2.0], requires_grad=True)
>>> special.j0(x).sum().backward()
>>> bool((abs(x.grad + special.j1([0.5, 2.0])) < 1e-15).all())
True
"""

from __future__ import annotations

import functools
import importlib
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu.core import ops
from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.core.elementwise.fixed_arguments import refuse_gradient
from tinygrad_edu.core.operation import ARRAY_TABLE, ArrayOperation
from tinygrad_edu.errors import UnsupportedNumpyError

WITHOUT_JIT = "SciPy computes it: call the function without jit, which computes it eagerly"
LARGE = 10.0  # from here on an asymptotic series is exact to a relative error of 1e-15
TWO_OVER_SQRT_PI = 2.0 / math.sqrt(math.pi)
SCIPYS: dict[str, str] = {}  # SciPy's name -> the row's name
Partial = Callable[..., Any]  # dy/dx as a function of y and the arguments


@functools.cache
def scipys(name: str) -> Any:
    return getattr(importlib.import_module("scipy.special"), name)


class Special(ArrayOperation):
    """A row of this file. `fixed`: the places and names of the arguments that have no derivative."""

    fixed: tuple[tuple[int, str], ...] = ()

    def evaluate(self, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        if any(hasattr(x, "partials") for x in arguments):
            raise UnsupportedNumpyError(
                f"scipy.special.{self.name} is for arrays and Tensors here: of a Value x take tg.Tensor(x.data)"
            )
        arguments = in_common_precision(arguments)
        for i, name in self.fixed:
            if i < len(arguments):
                refuse_gradient(f"scipy.special.{self.name}", name, arguments[i])
        return super().evaluate(arguments, options)


def in_common_precision(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """Plain numbers beside arrays take these arrays' precision, as in NumPy."""
    kinds = {x.dtype for x in arguments if hasattr(x, "dtype") and hasattr(x, "__array_ufunc__")}
    if kinds != {np.dtype(np.float32)}:
        return arguments
    return tuple([np.float32(x) if x.__class__ in (float, int) else x for x in arguments])


def declare(name: str, *rules: Partial | str, others: tuple[str, ...] = ()) -> None:
    """A row: SciPy's function, with a derivative by each argument, or the name of an argument that has none.

    `others`: further names that SciPy has for it.
    """
    partials = [rule if callable(rule) else lambda *_: math.nan for rule in rules]
    pulls = tuple([lambda g, y, *xs, rule=rule: g * rule(y, *xs) for rule in partials])

    def one(x: ArrayLike, /) -> Any:
        return scipys(name)(x)

    def two(a: ArrayLike, b: ArrayLike, /) -> Any:
        return scipys(name)(a, b)

    def three(a: ArrayLike, b: ArrayLike, c: ArrayLike, /) -> Any:
        return scipys(name)(a, b, c)

    function = (one, two, three)[len(rules) - 1]
    function.__name__, function.__doc__ = name, f"SciPy's `special.{name}`, of arrays and Tensors; not compiled."
    row = Special(function, pulls, "-", False, instead=WITHOUT_JIT)
    row.fixed = tuple([(i, rule) for i, rule in enumerate(rules) if isinstance(rule, str)])
    ARRAY_TABLE[name] = row
    SCIPYS.update(dict.fromkeys((name, *others), name))


def slope_of_rgamma(y: ArrayLike, x: ArrayLike) -> Any:
    """-ψ(x)/Γ(x); below 0.5 the derivative of sin(πx)·Γ(1 - x)/π, which is the same without poles."""
    low = ops.where(ops.less(x, 0.5), x, 0.0)
    mirrored = ops.cos(math.pi * low) - ops.sin(math.pi * low) * ops.digamma(1.0 - low) / math.pi
    high = ops.where(ops.less(x, 0.5), 1.0, x)
    return ops.where(ops.less(x, 0.5), of("gamma", 1.0 - low) * mirrored, -y * ops.digamma(high))


def gamma_density(a: ArrayLike, x: ArrayLike) -> Any:
    """x^(a - 1)·e^(-x)/Γ(a), the slope of `gammainc`; 0 at ∞."""
    end = ops.equal(x, math.inf)
    inner = ops.where(end, 1.0, x)
    return ops.where(end, 0.0, ops.exp(ops.xlogy(a - 1.0, inner) - inner - ops.gammaln(a)))


def far_series(x: ArrayLike, sign: float) -> Any:
    """q·(1 + 3q·(1 + 5q·(1 + 7q ...))) of q = ±1/(2x²), to q¹³, from |x| = LARGE on; 0 at ∞.

    There 1 - 2x·dawsn(x) and its like are the difference of two equal numbers: this is what is left of it.
    """
    q = 0.5 / ops.square(ops.where(ops.less(abs(x), LARGE), LARGE, x))
    total: Any = 1.0
    for k in range(25, 1, -2):
        total = 1.0 + sign * k * q * total
    return q * total


def of(name: str, *arguments: ArrayLike) -> Any:
    return ARRAY_TABLE[name](*arguments)


# Bessel functions (Abramowitz and Stegun 9.1.27, 9.6.26)
declare("jv", "v", lambda _, v, x: 0.5 * (of("jv", v - 1.0, x) - of("jv", v + 1.0, x)), others=("jn",))
declare("yv", "v", lambda _, v, x: 0.5 * (of("yv", v - 1.0, x) - of("yv", v + 1.0, x)), others=("yn",))
declare("iv", "v", lambda _, v, x: 0.5 * (of("iv", v - 1.0, x) + of("iv", v + 1.0, x)))
declare("kv", "v", lambda _, v, x: -0.5 * (of("kv", v - 1.0, x) + of("kv", v + 1.0, x)), others=("kn",))
declare("ive", "v", lambda y, v, x: 0.5 * (of("ive", v - 1.0, x) + of("ive", v + 1.0, x)) - ops.sign(x) * y)
declare("j0", lambda _, x: -of("j1", x))
declare("j1", lambda _, x: 0.5 * (of("j0", x) - of("jv", 2.0, x)))
declare("y0", lambda _, x: -of("y1", x))
declare("y1", lambda _, x: 0.5 * (of("y0", x) - of("yv", 2.0, x)))
declare("i0", lambda _, x: of("i1", x))
declare("i1", lambda _, x: 0.5 * (of("i0", x) + of("iv", 2.0, x)))
declare("i0e", lambda y, x: of("i1e", x) - ops.sign(x) * y)
declare("i1e", lambda y, x: 0.5 * (of("i0e", x) + of("ive", 2.0, x)) - ops.sign(x) * y)
declare("k0", lambda _, x: -of("k1", x))
declare("k1", lambda _, x: -0.5 * (of("k0", x) + of("kv", 2.0, x)))

# Γ, and the incomplete gamma and beta functions
declare("gamma", lambda y, x: y * ops.digamma(x))
declare("rgamma", lambda y, x: slope_of_rgamma(y, x))
declare("beta", lambda y, a, b: y * (ops.digamma(a) - ops.digamma(a + b)),
        lambda y, a, b: y * (ops.digamma(b) - ops.digamma(a + b)))  # fmt: skip
declare("gammainc", "a", lambda _, a, x: gamma_density(a, x))
declare("gammaincc", "a", lambda _, a, x: -gamma_density(a, x))
declare("betainc", "a", "b", lambda _, a, b, x: ops.exp(
    ops.xlogy(a - 1.0, x) + ops.xlog1py(b - 1.0, -x) - ops.betaln(a, b)))  # fmt: skip

# Exponential integrals and the relatives of the error function
declare("expi", lambda _, x: ops.exp(x) / x)
declare("exp1", lambda _, x: -ops.exp(-x) / x)
declare("erfcx", lambda y, x: ops.where(
    ops.less(x, LARGE), ops.where(ops.less(x, LARGE), 2.0 * x, 0.0) * y - TWO_OVER_SQRT_PI,
    -TWO_OVER_SQRT_PI * far_series(x, -1.0)))  # fmt: skip
declare("erfi", lambda _, x: TWO_OVER_SQRT_PI * ops.exp(x * x))
declare(
    "dawsn",
    lambda y, x: ops.where(
        ops.less(abs(x), LARGE), 1.0 - 2.0 * ops.where(ops.less(abs(x), LARGE), x, 0.0) * y, -far_series(x, 1.0)
    ),
)
declare("erfcinv", lambda y, _: -ops.exp(y * y) / TWO_OVER_SQRT_PI)
declare("exp10", lambda y, _: math.log(10.0) * y)
declare("rel_entr", lambda _, a, b: ops.log(a / b) + 1.0, lambda _, a, b: -a / b)

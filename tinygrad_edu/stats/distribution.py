"""A distribution of numbers: the row of the table, and its densities and distribution functions."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_edu.core import ops
from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.errors import OperandError

INF = math.inf
METHODS = ("cdf", "sf", "logcdf", "logsf")  # computed besides the density, for distributions that have them
INVERSE = {"cdf": "logcdf", "sf": "logsf", "logcdf": "cdf", "logsf": "sf"}


@dataclass(frozen=True, repr=False)
class Distribution:
    """A distribution of numbers, as scipy.stats has it: pdf or pmf, logpdf or logpmf, cdf, logcdf, sf, logsf.

    Args of each method: x, the shape parameters in SciPy's order, then `loc` (0) and, of continuous ones, `scale` (1).
    Outside of the support the density is 0, its logarithm -∞, and gradients are 0; NaN where scale ≤ 0.
    Calling the distribution itself fixes the parameters: norm(0.0, 2.0).logpdf(x).
    Errors: OperandError for parameters that it does not have; AttributeError for what is not offered, with the reason.
    """

    name: str
    shapes: dict[str, Callable[[Any], Any]]  # parameters besides loc and scale -> whether a value is valid
    log_density: Callable[..., Any]  # for loc 0 and scale 1, given z inside the support
    support: Callable[..., tuple[Any, Any]]  # from the parameters; both ends are included
    inside: float = 0.5  # a number inside the support, used in place of those outside
    known: Mapping[str, Callable[..., Any]] = field(default_factory=dict)  # cdf, logcdf, sf or logsf inside the support
    discrete: bool = False
    above: bool = False  # the lower end is excluded

    @property
    def __name__(self) -> str:
        return self.name

    def __call__(self, *parameters: ArrayLike, **named: ArrayLike) -> Frozen:
        return Frozen(self, parameters, named)

    def __repr__(self) -> str:
        return f"<distribution {self.name}({', '.join(self.parameters)})>"

    @property
    def parameters(self) -> list[str]:
        """The names of its parameters, in order."""
        return [*self.shapes, "loc", *([] if self.discrete else ["scale"])]

    @property
    def offered(self) -> list[str]:
        """The names of its methods."""
        kind = "pmf" if self.discrete else "pdf"
        return [f"log{kind}", kind, *[name for name in METHODS if {name, INVERSE[name]} & {*self.known}]]

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("__") or name not in self.offered:
            raise AttributeError(
                f"tg.stats.{self.name} has {', '.join(self.offered)}, not {name!r}. On plain numbers, without "
                f"gradients, scipy.stats.{self.name} has all"
            )
        compute = self.density if name.endswith(("pdf", "pmf")) else self.distribution

        def method(x: ArrayLike, *parameters: ArrayLike, **named: ArrayLike) -> Any:
            shapes, loc, scale = self.sort_parameters(name, parameters, named)
            x, loc, scale, *shapes = in_one_dtype(x, loc, scale, *shapes)
            known = zip(self.shapes.values(), shapes, strict=True)
            shapes = [ops.where(is_one(value), value, math.nan) for is_one, value in known]
            return compute(name, x, shapes, loc, scale)

        method.__name__ = name
        return method

    def sort_parameters(self, method: str, given: Sequence[Any], named: dict[str, Any]) -> tuple[list[Any], Any, Any]:
        """(the shape parameters, loc, scale) from what a call gives in SciPy's order or by name."""
        found = {"loc": 0.0, "scale": 1.0} | dict(zip(self.parameters, given, strict=False)) | named
        missing = [name for name in self.shapes if name not in found]
        strange = sorted(found.keys() - {*self.parameters, "scale"}) + ["scale"] * (self.discrete and "scale" in named)
        if missing or strange or len(given) > len(self.parameters):
            raise OperandError(
                f"tg.stats.{self.name}.{method}(x, {', '.join(self.parameters)}): given {len(given)} parameters by "
                f"place and {sorted(named)} by name" + (f"; missing {', '.join(missing)}" if missing else "")
            )
        return [found[name] for name in self.shapes], found["loc"], found["scale"]

    def density(self, name: str, x: ArrayLike, shapes: list[Any], loc: ArrayLike, scale: ArrayLike) -> Any:
        """The density or its logarithm."""
        z = self.place(x, loc, scale)
        low, high = self.support(*shapes)
        inside = self.within(z, low, high)
        whole = ops.equal(ops.floor(z), z) if self.discrete else True
        y = self.log_density(ops.where(inside, ops.where(whole, z, self.inside), self.inside), *shapes)
        y = y if self.discrete else y - ops.log(positive(scale))
        y = ops.where(inside, ops.where(whole, y, -INF), -INF)
        return where_known(y if name.startswith("log") else ops.exp(y), z, *shapes)

    def distribution(self, name: str, x: ArrayLike, shapes: list[Any], loc: ArrayLike, scale: ArrayLike) -> Any:
        """P(X ≤ x), P(X > x) or the logarithm of one of them."""
        z = self.place(x, loc, scale)
        z = ops.floor(z) if self.discrete else z
        low, high = self.support(*shapes)
        safe = ops.where(self.within(z, low, high), z, self.inside)
        log, of_lower = name.startswith("log"), name.endswith("cdf")
        given = self.known.get(name)
        y = given(safe, *shapes) if given else self.other_way(name, safe, shapes)
        none, all_ = (-INF, 0.0) if log else (0.0, 1.0)
        below, above = (none, all_) if of_lower else (all_, none)
        y = ops.where(ops.less(z, low), below, ops.where(ops.greater(z, high), above, y))
        y = ops.where(ops.equal(z, low), below, y) if self.above else y
        y = ops.where(ops.equal(z, -INF), below, ops.where(ops.equal(z, INF), above, y))
        return where_known(y, z, *shapes)

    def other_way(self, name: str, z: ArrayLike, shapes: list[Any]) -> Any:
        """A distribution function by its logarithm; a logarithm log F by F, or near F = 1 by the other tail 1 - F."""
        if not name.startswith("log"):
            return ops.exp(self.known[f"log{name}"](z, *shapes))
        y = self.known[INVERSE[name]](z, *shapes)
        small = ops.where(ops.less(y, 0.5), ops.greater(y, 0.0), False)
        near_0 = ops.where(ops.greater(y, 0.0), ops.log(ops.where(small, y, 0.5)), -INF)
        tail = "sf" if name == "logcdf" else "cdf"
        rest = self.known[tail](z, *shapes) if tail in self.known else ops.exp(self.known[f"log{tail}"](z, *shapes))
        return ops.where(ops.less(y, 0.5), near_0, ops.log1p(-ops.where(ops.less(y, 0.5), 0.0, rest)))

    def within(self, z: ArrayLike, low: ArrayLike, high: ArrayLike) -> Any:
        """Does it lie in the support?"""
        starts = ops.greater(z, low) if self.above else ops.greater_equal(z, low)
        return ops.where(starts, ops.less_equal(z, high), False)

    def place(self, x: ArrayLike, loc: ArrayLike, scale: ArrayLike) -> Any:
        """x measured from loc in units of scale; NaN where scale is not above 0."""
        z = x - loc
        return z if self.discrete else z / positive(scale)


@dataclass(frozen=True)
class Frozen:
    """A distribution with its parameters: norm(0.0, 2.0).logpdf(x)."""

    distribution: Any
    parameters: tuple[Any, ...]
    named: dict[str, Any]

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self.distribution, name)
        return lambda x, **options: method(x, *self.parameters, **self.named, **options)


def as_floats(x: ArrayLike) -> Any:
    """Numbers, arrays and Tensors as they are, lists and whole numbers as arrays of floats."""
    if hasattr(x, "parents") or isinstance(x, float):
        return x
    array = np.asarray(x)
    return array if array.dtype.kind == "f" else array.astype(float)


def in_one_dtype(*given: ArrayLike) -> list[Any]:
    """All of them as floats, in the dtype of the arrays and Tensors among them: plain numbers decide nothing."""
    dtypes = [x.dtype for x in given if getattr(getattr(x, "dtype", None), "kind", "") == "f"]
    if not dtypes:
        return [as_floats(x) for x in given]
    dtype = np.result_type(*dtypes)
    return [x if hasattr(x, "parents") else np.asarray(x, dtype=dtype) for x in given]


def where_known(y: ArrayLike, *inputs: ArrayLike) -> Any:
    """y, and NaN where one of the inputs is."""
    for x in inputs:
        y = ops.where(ops.not_equal(x, x), math.nan, y)
    return y


def positive(scale: ArrayLike) -> Any:
    return ops.where(ops.greater(scale, 0.0), scale, math.nan)

"""Initializers: functions of a random generator and the two widths that give a (fan_out, fan_in) array.

`zeros` or "zeros" are used directly; `constant(0.1)`, `normal(std=0.5)` and the like make an initializer. One that
has a method `bias(rng, fan_in, fan_out)` draws the bias too, after the weight; otherwise the bias starts at 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.checks import number
from tinygrad_edu.elsewhere import habits
from tinygrad_edu.errors import SettingError, ShapeError, unknown_name
from tinygrad_edu.names import ActivationName

__all__ = [
    "constant", "glorot_normal", "glorot_uniform", "he_normal", "he_uniform", "lecun_normal", "lecun_uniform", "normal",
    "orthogonal", "scikit_learn", "uniform", "zeros",
]  # fmt: skip

if not TYPE_CHECKING:
    __getattr__, __dir__ = habits(__name__, __all__)

Array = np.ndarray[Any, Any]
Initializer = Callable[[np.random.Generator, int, int], Array]


def zeros(rng: np.random.Generator, fan_in: int, fan_out: int) -> Array:
    """0 everywhere: all units of a layer then stay equal to each other.

    >>> zeros(np.random.default_rng(0), 2, 1)
    array([[0., 0.]])
    """
    return np.zeros((fan_out, fan_in))


def glorot_uniform(rng: np.random.Generator, fan_in: int, fan_out: int) -> Array:
    """U(-a, a), a = √(6/(fan_in + fan_out)). (Glorot and Bengio 2010)

    >>> bool(abs(glorot_uniform(np.random.default_rng(0), 100, 50)).max() <= 0.2)
    True
    """
    return symmetric(rng, math.sqrt(6.0 / (fan_in + fan_out)), fan_in, fan_out)


def glorot_normal(rng: np.random.Generator, fan_in: int, fan_out: int) -> Array:
    """N(0, 2/(fan_in + fan_out)). (Glorot and Bengio 2010)

    >>> round(float(glorot_normal(np.random.default_rng(0), 100, 100).var() * 100), 1)
    1.0
    """
    return rng.standard_normal((fan_out, fan_in)) * math.sqrt(2.0 / (fan_in + fan_out))


def he_uniform(rng: np.random.Generator, fan_in: int, fan_out: int) -> Array:
    """U(-a, a), a = √(6/fan_in), for ReLU layers. (He et al. 2015)

    >>> bool(abs(he_uniform(np.random.default_rng(0), 100, 50)).max() <= 0.06**0.5)
    True
    """
    return symmetric(rng, math.sqrt(6.0 / fan_in), fan_in, fan_out)


def he_normal(rng: np.random.Generator, fan_in: int, fan_out: int) -> Array:
    """N(0, 2/fan_in), for ReLU layers. (He et al. 2015)

    >>> round(float(he_normal(np.random.default_rng(0), 100, 100).var() * 50), 1)
    1.0
    """
    return rng.standard_normal((fan_out, fan_in)) * math.sqrt(2.0 / fan_in)


def lecun_uniform(rng: np.random.Generator, fan_in: int, fan_out: int) -> Array:
    """U(-a, a), a = √(3/fan_in). (LeCun et al. 1998)

    >>> bool(abs(lecun_uniform(np.random.default_rng(0), 100, 50)).max() <= 0.03**0.5)
    True
    """
    return symmetric(rng, math.sqrt(3.0 / fan_in), fan_in, fan_out)


def lecun_normal(rng: np.random.Generator, fan_in: int, fan_out: int) -> Array:
    """N(0, 1/fan_in). (LeCun et al. 1998)

    >>> round(float(lecun_normal(np.random.default_rng(0), 100, 100).var() * 100), 1)
    1.0
    """
    return rng.standard_normal((fan_out, fan_in)) * math.sqrt(1.0 / fan_in)


def symmetric(rng: np.random.Generator, bound: float, fan_in: int, fan_out: int) -> Array:
    return rng.uniform(-bound, bound, (fan_out, fan_in))


def refuse_not_finite(name: str, **settings: Any) -> None:
    for key, x in settings.items():
        number(key, x, owner=name)


def constant(c: float) -> Initializer:
    """c everywhere.

    >>> constant(0.1)(np.random.default_rng(0), 2, 1)
    array([[0.1, 0.1]])
    """
    refuse_not_finite("constant", c=c)
    return lambda rng, fan_in, fan_out: np.full((fan_out, fan_in), float(c))


def uniform(a: float = -1.0, b: float = 1.0) -> Initializer:
    """U(a, b).

    >>> bool(uniform(2.0, 3.0)(np.random.default_rng(0), 5, 4).min() >= 2.0)
    True
    """
    refuse_not_finite("uniform", a=a, b=b)
    if not a < b:
        raise SettingError(f"uniform(a={a!r}, b={b!r}): a must be below b")
    return lambda rng, fan_in, fan_out: rng.uniform(a, b, (fan_out, fan_in))


def normal(std: float = 1.0) -> Initializer:
    """N(0, std²).

    >>> round(float(normal(std=0.1)(np.random.default_rng(0), 100, 100).std()), 2)
    0.1
    """
    refuse_not_finite("normal", std=std)
    if std < 0.0:
        raise SettingError(f"normal(std={std!r}): a standard deviation is at least 0")
    return lambda rng, fan_in, fan_out: rng.standard_normal((fan_out, fan_in)) * std


def orthogonal(gain: float = 1.0) -> Initializer:
    """gain·Q with QᵀQ = I, or QQᵀ = I if fan_in is larger; every such Q is equally likely. (Saxe et al. 2014)

    >>> W = orthogonal()(np.random.default_rng(0), 2, 3)
    >>> (W.T @ W).round(12) + 0.0
    array([[1., 0.],
           [0., 1.]])
    """
    refuse_not_finite("orthogonal", gain=gain)

    def draw(rng: np.random.Generator, fan_in: int, fan_out: int) -> Array:
        long, short = max(fan_in, fan_out), min(fan_in, fan_out)
        q, r = np.linalg.qr(rng.standard_normal((long, short)))
        q = q * np.where(np.diagonal(r) < 0.0, -1.0, 1.0)  # the signs that QR chooses are not random (Mezzadri 2007)
        return gain * (q if fan_out == long else q.T)

    return draw


@dataclass(frozen=True)
class ScikitLearn:
    """U(-a, a), a = √(factor/(fan_in + fan_out)), for the weight, then for the bias: scikit-learn's order of draws."""

    factor: float

    def limit(self, fan_in: int, fan_out: int) -> float:
        return math.sqrt(self.factor / (fan_in + fan_out))

    def __call__(self, rng: np.random.Generator, fan_in: int, fan_out: int) -> Array:
        # scikit-learn draws weights of shape (fan_in, fan_out)
        return symmetric(rng, self.limit(fan_in, fan_out), fan_out, fan_in).T

    def bias(self, rng: np.random.Generator, fan_in: int, fan_out: int) -> Array:
        """(fan_out,)"""
        bound = self.limit(fan_in, fan_out)
        return rng.uniform(-bound, bound, fan_out)


def scikit_learn(activation: ActivationName = "relu") -> Initializer:
    """The start of scikit-learn's MLPs: Glorot uniform, narrower (2 instead of 6) for "logistic"; biases are drawn too.

    With rng=np.random.RandomState(seed) as the generator, the draws are those of random_state=seed.

    >>> begin = scikit_learn("logistic")
    >>> begin(np.random.default_rng(0), 3, 2).shape, begin.bias(np.random.default_rng(0), 3, 2).shape
    ((2, 3), (2,))
    """
    return ScikitLearn(2.0 if activation in ("logistic", "sigmoid") else 6.0)


PLAIN = (zeros, glorot_uniform, glorot_normal, he_uniform, he_normal, lecun_uniform, lecun_normal)
MAKERS: dict[str, Any] = {f.__name__: f for f in (uniform, normal, orthogonal, scikit_learn)}
INITIALIZERS: dict[str, Initializer] = {f.__name__: f for f in PLAIN} | {name: f() for name, f in MAKERS.items()}


def find(name: str | Initializer) -> Initializer:
    """An initializer by name, made with its default settings, or the function itself.

    >>> find("glorot")
    Traceback (most recent call last):
        ...
    tinygrad_edu.errors.NameNotFoundError: unknown init 'glorot'. Did you mean 'glorot_uniform'? Known: ...
    """
    if callable(name):
        made = getattr(name, "__name__", "")
        # `init.normal` without a call means init.normal()
        return INITIALIZERS[made] if MAKERS.get(made) is name else name
    if not isinstance(name, str) or name not in INITIALIZERS:
        raise unknown_name("init", name, INITIALIZERS)
    return INITIALIZERS[name]


def draw_weight(init: str | Initializer, rng: np.random.Generator, fan_in: int, fan_out: int) -> Array:
    """A weight's first value. Errors: ShapeError if the initializer gives another shape."""
    weight = np.asarray(find(init)(rng, fan_in, fan_out))
    if weight.shape != (fan_out, fan_in):
        raise ShapeError(f"init={init!r} gave shape {weight.shape}, but W is {(fan_out, fan_in)}: (out, in)")
    return weight


def draw_linear(
    init: str | Initializer, rng: np.random.Generator, fan_in: int, fan_out: int, bias: bool
) -> tuple[Array, Array | None]:
    """The first values of a linear layer, in the order in which they are drawn: W, then b where there is one."""
    weight = draw_weight(init, rng, fan_in, fan_out)
    return weight, draw_bias(init, rng, fan_in, fan_out) if bias else None


def draw_bias(init: str | Initializer, rng: np.random.Generator, fan_in: int, fan_out: int) -> Array:
    """A bias's first value: 0 unless the initializer draws it."""
    bias = getattr(find(init), "bias", None)
    return np.zeros(fan_out) if bias is None else np.asarray(bias(rng, fan_in, fan_out))

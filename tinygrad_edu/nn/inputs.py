"""Checks of what layers are given: inputs, widths and random generators."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.checks import is_whole, whole
from tinygrad_edu.core.aliases import ArrayLike, Model
from tinygrad_edu.core.conversions.conversion import as_plain_array
from tinygrad_edu.core.modes import MODES
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.errors import OperandError, SettingError, ShapeError, TraceError


class Unseeded(np.random.SeedSequence):
    """The seed of generators that layers have without being given one; copies and pickles keep it. `fit` seeds them."""


SHARED = np.random.default_rng(Unseeded(0))  # shared by all layers without one; each continues its stream


def as_array(x: ArrayLike) -> Any:
    """Lists as arrays and integers as floats; Tensors unchanged."""
    x = x if isinstance(x, (Tensor, np.ndarray)) else as_plain_array(x)
    return x.astype(float) if isinstance(x, np.ndarray) and x.dtype.kind in "iub" else x


def as_input(x: ArrayLike, layer: Model) -> Any:
    """x for a layer of one back end; the last axis must have the layer's width."""
    x = of_back_end(x, layer)
    if not x.ndim or x.shape[-1] != layer.in_features:
        raise ShapeError(
            f"{name_in_model(layer)}the input has shape {x.shape}, but its last axis must be {layer.in_features} wide "
            f"(one row for each sample, one column for each of the {layer.in_features} features)"
        )
    return x


def name_in_model(layer: Model) -> str:
    """A layer as its model labels it, "layers.2 (Linear 4→1): "; "" for a layer alone."""
    weight: Any = getattr(layer, "weight", None)
    first = weight if isinstance(weight, Tensor) else next(iter(np.ravel(weight)), None)
    place = str(getattr(first, "label", "") or "").partition("[")[0].rpartition(".")[0]
    return f"{place} ({layer.describe()}): " if place and layer.describe() else ""


def as_input_of(x: ArrayLike, layer: Model, shape: tuple[int, ...]) -> Any:
    """x for a layer of one back end; the last axes must have that shape."""
    x = of_back_end(x, layer)
    if len(shape) == 1:
        return as_input(x, layer)
    if x.ndim < len(shape) or any(n != m for n, m in zip(x.shape[x.ndim - len(shape) :], shape, strict=True)):
        raise ShapeError(f"the input has shape {x.shape}, but its last axes must be {shape}")
    return x


def of_back_end(x: ArrayLike, layer: Model) -> Any:
    """An array of the layer's dtype (a plain one: a Tensor keeps its own), and no Tensor for a layer of Values."""
    if isinstance(x, tuple) and x and isinstance(x[0], Tensor):
        raise OperandError(
            f"{type(layer).__name__} takes one array, not a tuple of {len(x)}. A recurrent layer returns (outputs, "
            "state): unpack it, as in outputs, state = rnn(x), and pass the outputs on"
        )
    x, weight = as_array(x), getattr(layer, "weight", None)
    weight = next((array for _, array in layer.named_arrays()), None) if weight is None else weight
    if isinstance(x, Tensor):
        if layer.backend == "scalar":
            raise SettingError('a model with backend="scalar" takes numbers, arrays or Values, not a Tensor')
    elif isinstance(weight, Tensor) and x.dtype.kind == "f" and x.dtype != weight.dtype:
        x = x.astype(weight.dtype)
    return x


def refuse_widths(layer: str, **widths: Any) -> None:
    for name, width in widths.items():
        whole(name, width, owner=layer)


def random_generator(layer: str, rng: Any) -> np.random.Generator:
    """A generator as it is, one of its own for a seed, the shared one for None."""
    if is_whole(rng) and rng >= 0:
        return np.random.default_rng(rng)
    if rng is not None and not hasattr(rng, "uniform"):
        raise SettingError(f"{layer}(rng={rng!r}): a random generator, or a seed: a whole number of at least 0")
    return SHARED if rng is None else rng


def refuse_trace(layer: str, reason: str) -> None:
    """Refuse to compile a layer in training that does something new at every call."""
    if MODES.tensor_trace is not None or MODES.value_trace is not None:
        raise TraceError(f"{layer} in training {reason}: train with compiled=False, or compile after model.eval()")

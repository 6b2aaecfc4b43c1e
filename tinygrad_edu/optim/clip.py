"""Gradient clipping: limits gradients that are too large, between backward() and step()."""

from __future__ import annotations

import math

import numpy as np

from tinygrad_edu.checks import number
from tinygrad_edu.core import ops
from tinygrad_edu.optim import flat
from tinygrad_edu.optim.optimizer import Parameters, check_parameters
from tinygrad_edu.pen import check_arguments


@check_arguments
def clip_by_value(params: Parameters, limit: float) -> None:
    """g ← min(max(g, -limit), limit), element by element; PyTorch's clip_grad_value_.

    params: Values or Tensors with gradients.
    limit: the largest absolute value of an entry, above 0.
    Errors: SettingError if limit is not above 0. A gradient that is NaN stays NaN.

    >>> from tinygrad_edu import Value
    >>> w = Value(3.0)
    >>> (w * w).backward(); clip_by_value([w], 1.0); w.grad
    1.0
    """
    number("limit", limit, "(0, inf]")
    bound = float(limit)
    flat.change_gradients(check_parameters(params), lambda g: ops.minimum(ops.maximum(g, -bound), bound))


@check_arguments
def clip_by_norm(params: Parameters, max_norm: float) -> float:
    """g ← g·min(1, max_norm/(‖g‖ + 1e-6)), with ‖g‖ the length of all gradients together; returns ‖g‖.

    The direction stays. As PyTorch's clip_grad_norm_ (Pascanu et al. 2013), but if ‖g‖ is NaN or infinite every
    gradient is left as it is, so that the bad one can be found. Errors: SettingError if max_norm is not above 0.
    params: Values or Tensors with gradients.
    max_norm: the largest length that the gradient may have, above 0.

    >>> from tinygrad_edu import Tensor
    >>> w = Tensor([3.0, 4.0], requires_grad=True)
    >>> (0.5 * w * w).sum().backward()
    >>> clip_by_norm([w], 1.0), w.grad.round(4).tolist()
    (5.0, [0.6, 0.8])
    """
    number("max_norm", max_norm, "(0, inf]")
    leaves = check_parameters(params)
    norm = length(flat.gradients(leaves))
    factor = min(1.0, float(max_norm) / (norm + 1e-6))
    if math.isfinite(norm) and factor < 1.0:
        flat.change_gradients(leaves, lambda g: g * factor)
    return norm


def length(vector: flat.Array) -> float:
    """√Σx², scaled by the largest entry: the square of 1e200 would be infinite."""
    largest = float(np.abs(vector).max(initial=0.0))
    return largest * float(np.linalg.norm(vector / largest)) if 0.0 < largest < math.inf else largest

"""One case on every back end: the tensor back end says what is right."""

from __future__ import annotations

import warnings

import numpy as np

from tests.compile.programs import without_numba
from tinygrad_edu import Tensor, jit, ops
from tinygrad_edu.errors import TinygradError, TraceError

TOLERANCE = {"float64": 1e-9, "float32": 2e-3}


def weights_of(shape, dtype):
    """A weight for each entry of a result, so that each counts differently."""
    shape = tuple(int(n) for n in shape)
    return np.cos(np.arange(float(np.prod(shape)))).reshape(shape).astype(dtype)


def eager(case, f):
    """(value, gradients) by the tensor back end."""
    leaves = [Tensor(a, requires_grad=True) for a in case.arrays]
    y = f(*leaves, *case.indices)
    if not isinstance(y, Tensor):
        return np.asarray(y, float), [np.zeros(a.shape) for a in case.arrays]
    total = ops.sum(y * weights_of(y.shape, y.dtype))
    if total.requires_grad:
        total.backward()
    return y.data, [np.zeros(a.shape) if x.grad is None else x.grad for x, a in zip(leaves, case.arrays, strict=True)]


def compiled(case, f, accurate):
    y = jit(f, accurate=accurate)(*case.arrays, *case.indices)

    def total(*given):
        z = f(*given)
        return ops.sum(z * weights_of(z.shape, case.arrays[0].dtype))

    many = range(len(case.arrays))
    _, gradients = jit(total, accurate=accurate).value_and_grad(*case.arrays, *case.indices, argnum=many)
    return y, gradients


def outcome(run, *given):
    """What comes out: a result, or an error of ours. Others are raised: they are faults."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            return run(*given)
        except TraceError as error:
            if "computes something else" in str(error):  # its first run differs from the function itself
                return error
            raise
        except TinygradError as error:
            return error


def differences(case, plain=True, accurate=True):
    """Sentences about what differs; none where all is as it should be."""
    f, found = case.function(), []
    expected = outcome(eager, case, f)
    if plain:
        with without_numba():
            result = outcome(compiled, case, f, accurate)
    else:
        result = outcome(compiled, case, f, accurate)
    if isinstance(expected, Exception) or isinstance(result, Exception):
        if type(expected) is not type(result):
            found.append(f"eager: {expected!r:.200}, compiled: {result!r:.200}")
        return found
    tolerance = TOLERANCE[str(case.arrays[0].dtype)]
    wanted, gradients = expected
    parts = [
        ("value", result[0], wanted),
        *zip([f"gradient {i}" for i in range(9)], result[1], gradients, strict=False),
    ]
    if any(step.name == "prod" for step in case.steps) and not all(np.isfinite(a).all() for a in case.arrays):
        parts = parts[
            :1
            # with NaN among the numbers, one computes their product as y/x, the other from n² products
        ]
    for what, a, b in parts:
        a, b = np.asarray(a, float), np.asarray(b, float)
        finite = np.abs(b[np.isfinite(b)])
        scale = max(1.0, finite.max(initial=0.0))
        if a.shape != b.shape or not np.allclose(a, b, rtol=tolerance, atol=tolerance * scale, equal_nan=True):
            found.append(f"{what}: {a.ravel()[:8]} of {a.shape}, eager {b.ravel()[:8]} of {b.shape}")
    return found

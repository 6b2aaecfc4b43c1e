"""Complex numbers and masked entries are refused wherever a conversion to floats would drop what they mean."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.compile.programs import without_numba
from tinygrad_edu.errors import TinygradError

X, C, K = np.array([0.5, 0.2, 0.9]), np.array([1j, 1.0]), np.complex128(1j)
MASKED = np.ma.array([1.0, 2.0, 3.0], mask=[False, True, False])
T = tg.Tensor(X, requires_grad=True)
WAYS = {
    "average": lambda: np.average(T, weights=MASKED),
    "diff": lambda: np.diff(T, prepend=1j),
    "interp": lambda: np.interp(T, [0.0, 1.0], [1j, 2.0]),
    "polyval in jit": lambda: tg.jit(lambda v: np.polyval(C, v))(X),
    "scalar in jit": lambda: tg.jit(lambda v: v * K)(X),
    "entry in jit": lambda: tg.jit(lambda v: v * C[0])(0.5),
    "where in jit": lambda: tg.jit(lambda v: np.where(v > 0.3, v, K))(X),
    "argument of jit": lambda: tg.jit(lambda v, w: v * w)(X, K),
    "vmap": lambda: tg.vmap(lambda v: v * K)(X),
    "seed": lambda: tg.vjp(lambda v: v * 2, X)[1](X * 1j),
    "masked seed": lambda: tg.vjp(lambda v: v * 2, X)[1](MASKED),
    "seed of a number": lambda: tg.vjp(lambda v: v * 2, 0.5)[1](1j),
    "tangent": lambda: tg.jvp(lambda v: v * 2, (X,), (X * 1j,)),
    "masked tangent": lambda: tg.jvp(lambda v: v * 2, (X,), (MASKED,)),
    "hvp": lambda: tg.hvp(lambda v: np.sum(v**3), X, X * 1j),
    "loss": lambda: tg.nn.losses.mse(T, X * 1j),
}


@pytest.mark.parametrize("name", WAYS)
def test_it_is_refused(name):
    with without_numba(), pytest.raises(TinygradError):
        WAYS[name]()


def test_none_has_no_derivative():
    f = lambda p: np.sum(p["x"] ** 3)  # noqa: E731
    p, t = {"x": X, "bias": None}, {"bias": None, "x": np.ones(3)}
    np.testing.assert_allclose(tg.hvp(f, p, t)["x"], 6 * X)

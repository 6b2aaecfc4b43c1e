"""Programs whose outermost loops threads share: the same numbers, in another order of additions."""

import numpy as np
import pytest

from tests.compile.programs import checked, normal, plain, without_numba
from tinygrad_edu import jit, ops

pytestmark = pytest.mark.slow

# What each needs: sums of all and along an axis, a maximum, a running sum, a look-up, a product, no loop.
FUNCTIONS = {
    "fused": (lambda x: ops.sum(ops.tanh(x) * ops.sigmoid(x) + x * x), [(1000,)]),
    "rows": (lambda x, w: ops.sum(ops.logsumexp(x * w, axis=1)), [(40, 7), (7,)]),
    "columns": (lambda x, w: ops.sum(ops.sum(x * w, axis=0) ** 2), [(40, 7), (7,)]),
    "product": (lambda x, w: ops.mean(ops.relu(x @ w)), [(30, 5), (5, 6)]),
    "maximum": (lambda x: ops.max(x * x), [(50,)]),
    "cumsum": (lambda x: ops.sum(ops.cumsum(x, axis=0) * x), [(50,)]),
    "lookup": (lambda x: ops.sum(x[np.array([0, 2, 2])] ** 2), [(4, 3)]),
    "one row": (lambda x: ops.sum(ops.exp(x)), [(1, 9)]),
}


@pytest.mark.as_python(but=("fused", "rows", "columns", "lookup"))
@pytest.mark.parametrize("name", FUNCTIONS)
def test_threads_change_nothing_but_the_order_of_sums(name):
    f, shapes = FUNCTIONS[name]
    checked(f, *[normal(*shape) for shape in shapes], g=jit(f, parallel=True), tolerance=1e-10)


@pytest.mark.parametrize("n", [1, 2, 63, 64, 65, 1000])
def test_every_length_is_shared_completely(n):
    f = jit(lambda x: ops.sum(x * 2.0), parallel=True)
    value, gradient = f.value_and_grad(np.arange(float(n + 1)))
    assert value == n * (n + 1)
    assert (gradient == 2.0).all()


def test_the_source_says_so_and_runs_without_numba():
    f = jit(lambda x: ops.sum(ops.exp(x)), parallel=True)
    x = normal(100)
    with without_numba():
        value = f(x)
    assert value == pytest.approx(np.exp(x).sum(), rel=1e-12)
    assert "prange(" in f.source
    assert "parallel=True" in f.module_source
    assert callable(plain(list(f.arrays.programs.values())[-1][-1]))


def test_what_threads_cannot_share_is_compiled_as_usual():
    f = jit(lambda x: ops.max(x * x), parallel=True)
    assert f(np.array([1.0, -3.0])) == 9.0
    assert "parallel" not in f.module_source

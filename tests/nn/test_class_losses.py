"""Losses for classes: classes that are ruled out, and many of them."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.compile.programs import without_numba
from tinygrad_edu import Tensor, nn


@pytest.mark.parametrize("loss", ["cross_entropy", "nll"])
@pytest.mark.parametrize("weight", [None, [1.0, 2.0, 3.0]])
def test_a_class_that_is_ruled_out_costs_nothing(loss, weight):
    """Logits of -inf, as masks make them: 0 times -inf was NaN. The numbers are those of the classes that are left."""
    z, y = np.array([[0.0, -np.inf, 1.0], [2.0, 1.0, -np.inf]]), np.array([0, 1])
    z = z if loss == "cross_entropy" else z - np.log(np.sum(np.exp(z), axis=1, keepdims=True))
    each = [np.log1p(np.e)] * 2
    expected = np.average(each, weights=None if weight is None else weight[:2])

    def f(z):
        return getattr(nn.losses, loss)(z, y, weight=weight)

    with np.errstate(invalid="raise"):
        x = Tensor(z, requires_grad=True)
        f(x).backward()
        found = [f(z), f(x).item()]
    with np.errstate(invalid="ignore"):
        program = tg.jit(f, accurate=True)
        found.append(program(z))
        assert np.isfinite(program.value_and_grad(z)[1]).all()
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert np.isfinite(x.grad).all()


def test_many_classes_need_no_matrix_of_them():
    z = Tensor(np.zeros((2, 100_000)), requires_grad=True)
    nn.losses.cross_entropy(z, [3, 99_999]).backward()  # a one-hot matrix of all classes would need 80 GB
    assert z.grad[0, 3] == pytest.approx(-0.5, rel=1e-4)


@pytest.mark.parametrize("name", ["cross_entropy", "nll"])
@pytest.mark.parametrize("weight", [None, np.array([1.0, 0.5, 2.0])], ids=["plain", "weighted"])
def test_the_gradient_by_targets_of_0_is_the_logarithm(name, weight):
    z, t = np.array([[1.0, 2.0, 0.5], [0.0, 1.0, 3.0]]), np.eye(3)[[0, 2]]
    f = lambda t: nn.losses.LOSSES[name](z, t, weight=weight)  # noqa: E731
    logs = np.asarray(tg.ops.log_softmax(z)) if name == "cross_entropy" else z
    expected = -logs * (1.0 if weight is None else weight) / 2.0
    with without_numba():
        for found in (tg.grad(f)(t), tg.jit(tg.grad(f))(t), tg.jit(f).value_and_grad(t)[1]):
            np.testing.assert_allclose(found, expected, rtol=1e-12)

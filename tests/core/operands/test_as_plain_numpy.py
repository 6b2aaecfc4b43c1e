"""What needs no gradient is done as NumPy does it: whole orthonormal bases, `in`, and texts with %."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import Tensor
from tinygrad_edu.errors import DetachedError, OperandError, TraceError

A = np.random.default_rng(0).normal(size=(2, 3))


@pytest.mark.parametrize("x", [Tensor(A), Tensor(A, requires_grad=True).detach(), Tensor(A.astype("float32"))])
def test_bases_without_a_gradient(x):
    for found, right in zip(np.linalg.svd(x), np.linalg.svd(x.data), strict=True):
        np.testing.assert_array_equal(found.data, right)
        assert found.dtype == x.dtype
    for found, right in zip(np.linalg.qr(x.T, "complete"), np.linalg.qr(x.data.T, "complete"), strict=True):
        np.testing.assert_array_equal(found.data, right)


def test_bases_that_have_no_derivative():
    x = Tensor(A, requires_grad=True)
    for f in (np.linalg.svd, lambda x: np.linalg.qr(x.T, "complete")):
        with pytest.raises(OperandError, match="derivative"):
            f(x)
        with pytest.raises((OperandError, TraceError), match="derivative"):
            tg.jit(f)(A)
        with tg.no_grad():
            assert len(f(x)) > 1


@pytest.mark.parametrize("x", [A, A[0], np.array(2.0)])
@pytest.mark.parametrize("number", [A[0, 1], 0.5, 2.0])
def test_is_a_number_in_it(x, number):
    assert (number in Tensor(x)) is bool((x == number).any())
    assert (Tensor(number) in Tensor(x, requires_grad=True)) is bool((x == number).any())


def test_texts_of_whole_numbers():
    loss = Tensor(2.7, requires_grad=True) * 1.0
    assert "%d %i %.1f" % (loss, loss, loss) == "2 2 2.7"  # noqa: UP031
    with pytest.raises(DetachedError):
        int(loss)

"""Arrays that compute by rules of their own are refused where a function runs on nodes, which follow NumPy's."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.errors import TinygradError

pytestmark = pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
A = np.arange(9.0).reshape(3, 3) / 4
WAYS = {"jit": tg.jit, "grad": tg.grad, "value_and_grad": tg.value_and_grad, "vmap": tg.vmap}


class Plain(np.ndarray):
    """A subclass without rules of its own."""


class Sums(np.ndarray):
    """With an operator of its own."""

    def __mul__(self, other):
        return np.asarray(self) + np.asarray(other)

    __rmul__ = __mul__


class Shifts(np.ndarray):
    """With functions of its own, as arrays with units have."""

    def __array_ufunc__(self, function, method, *arguments, **options):
        return getattr(function, method)(*[np.asarray(x) for x in arguments], **options) + 1000.0


def pandas_series():
    return pytest.importorskip("pandas").Series(A[0], index=[2, 1, 0])


def pandas_frame():
    return pytest.importorskip("pandas").DataFrame(A)


def torch_tensor():
    return pytest.importorskip("torch").tensor(A)


SUBCLASSES = {"matrix": np.matrix, "Sums": Sums, "Shifts": Shifts}
OTHERS = {"matrix": lambda: np.asmatrix(A), "Series": pandas_series, "DataFrame": pandas_frame, "torch": torch_tensor}
OTHERS |= {"Sums": lambda: A.view(Sums), "Shifts": lambda: A.view(Shifts)}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", OTHERS)
def test_as_arguments(kind, way):
    x = OTHERS[kind]()
    with pytest.raises(TinygradError, match=r"computes by rules of its own.*give np.asarray\(x\)"):
        WAYS[way](lambda x: np.sum(x * x))(x)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", SUBCLASSES)
def test_closed_over(kind, way):
    other = A.view(SUBCLASSES[kind])
    for f in (lambda x: np.sum(x * other), lambda x: np.sum(x - other)):
        with pytest.raises(TinygradError, match=f"{kind} computes by rules of its own"):
            WAYS[way](f)(A)


@pytest.mark.parametrize("kind", SUBCLASSES)
def test_beside_a_tensor(kind):
    with pytest.raises(TinygradError, match=f"{kind} computes by rules of its own"):
        tg.Tensor(A) * A.view(SUBCLASSES[kind])


@pytest.mark.parametrize("x", [A.view(Plain), np.ma.masked_array(A), A.view(np.recarray)], ids=["own", "masked", "rec"])
def test_subclasses_that_follow_numpy(x):
    f = lambda x: np.sum(x * x)  # noqa: E731
    assert tg.jit(f)(x) == pytest.approx(np.sum(A * A))
    np.testing.assert_allclose(tg.grad(f)(x), 2 * A)

"""Arrays that compute by rules of their own are refused where a function runs on nodes, which follow NumPy's."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.compile.programs import without_numba
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
    with pytest.raises(TinygradError, match=r"computes by rules of its own.*give (np.asarray\(x\)|x.to_numpy\(\))"):
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


BESIDE_TENSORS = WAYS | {"Tensor": lambda f: lambda x: f(tg.Tensor(x))}
OPERATORS = [
    lambda x, other: x * other,
    lambda x, other: x @ other,
    lambda x, other: np.multiply(x, other),
    lambda x, other: np.clip(x, other, 2.0),
    lambda x, other: x * (x > other),
]
FUNCTIONS = [  # they give arrays of a frame too
    lambda x, other: np.where(other > 1.0, x, 0.0),
    lambda x, other: np.dot(x, other),
    lambda x, other: np.concatenate([x, other]),
    lambda x, other: np.einsum("...i,...i", x, other),
    lambda x, other: tg.ops.mse(x, other),
    lambda x, other: x * np.mean(other.to_numpy() if hasattr(other, "to_numpy") else np.asarray(other)),
]


@pytest.mark.parametrize("way", BESIDE_TENSORS)
@pytest.mark.parametrize("kind", ["Series", "DataFrame", "torch"])
def test_operators_with_what_is_closed_over(kind, way):
    """x * series is a Series without a trace, with labels and another std(): refused alike in each way."""
    other = OTHERS[kind]()
    x = A[0] if other.ndim == 1 else A
    x = np.stack([x, x]) if way == "vmap" else x
    for f in OPERATORS:
        with pytest.raises(TinygradError, match="computes by rules of its own"):
            BESIDE_TENSORS[way](lambda x, f=f: f(x, other).sum())(x)


@pytest.mark.parametrize("kind", ["Series", "DataFrame"])
def test_functions_of_what_is_closed_over(kind):
    other = OTHERS[kind]()
    x = A[0] if other.ndim == 1 else A
    with without_numba():
        for f in FUNCTIONS:
            loss = lambda x, f=f: np.sum(f(x, other) ** 2)  # noqa: E731
            expected = loss(x)
            found = [way(loss)(x) for name, way in BESIDE_TENSORS.items() if name in ("jit", "Tensor")]
            found += [tg.value_and_grad(loss)(x)[0], tg.vmap(loss)(np.stack([x, x]))[1]]
            np.testing.assert_allclose([float(y) for y in found], expected)


@pytest.mark.parametrize("x", [A.view(Plain), np.ma.masked_array(A), A.view(np.recarray)], ids=["own", "masked", "rec"])
def test_subclasses_that_follow_numpy(x):
    f = lambda x: np.sum(x * x)  # noqa: E731
    assert tg.jit(f)(x) == pytest.approx(np.sum(A * A))
    np.testing.assert_allclose(tg.grad(f)(x), 2 * A)

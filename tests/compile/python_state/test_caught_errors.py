"""An error that only nodes raise, caught by the function itself: it would go another way than with numbers."""

import contextlib

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.compile.programs import without_numba
from tinygrad_edu.errors import MissingPackageError, TinygradError

X = np.array([0.5, -1.0, 2.0])


def set_first(x):
    x[0] = 5.0


LOOKS = {
    "if": lambda x: 1.0 if x[0] > 0 else 2.0,
    "float": lambda x: float(x[0]),
    "int": lambda x: int(x[2]),
    "item": lambda x: x[0].item(),
    "write": set_first,
    "whole": lambda x: x.astype(int),
    "format": lambda x: len(f"{x[0]:.2f}"),
    "sorted": lambda x: sorted(x)[0],
    "unique": np.unique,
    "fft": lambda x: np.abs(np.fft.fft(x)),
    "complex": lambda x: (x * 1j).imag,
    "out": lambda x: np.multiply(x, 2, out=np.zeros(3)),
}


def guarded(look):
    def f(x):
        try:
            k = look(x)
        except Exception:
            return np.sum(x) * 100
        return np.sum(x) * (1.0 if k is None else np.sum(k))

    return f


@pytest.mark.parametrize("name", LOOKS)
def test_it_is_refused_or_has_the_same_result(name):
    f = guarded(LOOKS[name])
    for way in (tg.jit(f), lambda x: tg.jit(f).value_and_grad(x)[0], lambda x: tg.jit(tg.value_and_grad(f))(x)[0]):
        with without_numba(), pytest.raises(TinygradError):
            way(X.copy())
    np.testing.assert_allclose(tg.vmap(f)(np.stack([X, X])), [f(X.copy())] * 2)  # sample by sample


def test_of_numbers():
    def f(x):
        try:
            return x * 2 if x > 0 else x
        except Exception:
            return x * 100

    with pytest.raises(TinygradError):
        tg.jit(f)(2.0)


def quotient(x, y):
    try:
        return x / y
    except ZeroDivisionError:
        return -7.0 * x


def rounded_quotient(x, y):
    try:
        return x // y
    except ArithmeticError:
        return -7.0 * x


def power(x, y):
    try:
        return (x * 1e300) ** (3.0 - y)
    except OverflowError:
        return -7.0 * x


def inverse_power(x, y):
    try:
        return y ** (-x)
    except (ValueError, ZeroDivisionError):
        return -7.0 * x


def inverse_or_constant(x, y):
    try:
        return x / y
    except Exception:
        return -14.0


def inverse_or_other_error(x, y):
    try:
        return x / y
    except Exception as error:
        raise KeyError("y") from error


def suppressed(x, y):
    z = -7.0 * x
    with contextlib.suppress(ArithmeticError):
        z = 1.0 + x * 2 / y
    return z


def second_of_two(x, y):
    z = (x + 1.0) / 2.0 + x / (x * x + 1.0)
    try:
        return z + x % y
    except:  # noqa: E722
        return -7.0 * x


CATCHING = [quotient, rounded_quotient, power, inverse_power, inverse_or_constant, suppressed, second_of_two]


@pytest.mark.parametrize("f", [*CATCHING, inverse_or_other_error])
def test_what_only_numbers_of_python_raise(f):
    """The first call may not raise it, and a program never does."""
    with contextlib.suppress(KeyError):
        assert f(2.0, 0.0) == -14.0
    with without_numba(), pytest.raises(TinygradError, match="catches the error"):
        tg.jit(f)(2.0, 1.0)
    with without_numba(), pytest.raises(TinygradError, match="catches the error"):
        tg.jit(lambda x, y, a: np.sum(a) * f(x, y))(2.0, 1.0, X)
    with without_numba(), np.errstate(all="ignore"):  # NumPy's numbers raise nothing
        np.testing.assert_allclose(tg.jit(f)(X, X), f(X, X), rtol=1e-6)


def logged(x, y):
    try:
        k = {"a": 1.0}["b"]
    except KeyError:
        k = 2.0
    with np.errstate(all="ignore"):
        return k * x / y + x**2


def tidied(x, y):
    try:
        return x / y
    finally:
        np.zeros(3)


@pytest.mark.parametrize("f", [logged, tidied])
def test_functions_that_catch_other_errors_are_compiled(f):
    with without_numba():
        assert tg.jit(f)(2.0, 4.0) == f(2.0, 4.0)


def test_errors_that_numbers_raise_too():
    def f(x):
        try:
            return np.sum(x @ np.ones((5, 5)))
        except ValueError:
            return np.sum(x) * 2

    with without_numba():
        assert tg.jit(f)(X) == f(X)


def test_fit_runs_eagerly():
    def loss(p, t):
        try:
            k = 1.0 if p[0, 0] > 0 else 2.0
        except RuntimeError:
            k = 100.0
        return ((p - t) ** 2).mean() * k

    model, y = tg.nn.MLP([3, 1], seed=0), np.ones((2, 1))
    options = {"loss": loss, "optimizer": tg.optim.SGD(model.parameters(), lr=0.0), "epochs": 1}
    plain = tg.fit(model, np.stack([X, X]), y, compiled=False, **options)
    run = tg.fit(model, np.stack([X, X]), y, compiled="auto", **options)
    assert run.loss_curve == plain.loss_curve
    with pytest.raises(TinygradError):
        tg.fit(model, np.stack([X, X]), y, compiled=True, **options)


def test_errors_keep_what_they_are_made_of():
    error = MissingPackageError("a picture needs graphviz", name="graphviz")
    assert (str(error), error.name) == ("a picture needs graphviz", "graphviz")


def names_of_numpy():
    known = {*dir(np.ndarray), *dir(np.float64)} - {"base", "mT"}  # of a view; an error of NumPy's own with one axis
    return sorted(name for name in known if not name.startswith("_"))


def test_names_that_nodes_lack():
    """`hasattr(x, "real")`, and a default of getattr: the AttributeError of a node is seen as any other error is."""
    for name in names_of_numpy():
        for f in (
            lambda x, name=name: np.sum(x) * (1.0 if hasattr(x, name) else 2.0),
            lambda x, name=name: np.sum(x) * (2.0 if getattr(x, name, None) is None else 1.0),
        ):
            expected = f(X)
            np.testing.assert_allclose(tg.vmap(f)(np.stack([X, X])), [expected] * 2, err_msg=name)
            with without_numba(), contextlib.suppress(TinygradError):  # refused by name, or the same
                assert tg.jit(f)(X) == pytest.approx(expected), name


def test_another_dtype_by_view():
    f = guarded(lambda x: x.view(np.int64) * 0.0 + 1.0)
    with without_numba(), pytest.raises(TinygradError, match="the same bytes as other numbers"):
        tg.jit(f)(X)
    np.testing.assert_allclose(tg.vmap(f)(np.stack([X, X])), [f(X)] * 2)

"""SciPy's functions without a formula of a few lines: SciPy's values, right derivatives of first and second order."""

import numpy as np
import pytest
import scipy.special

import tinygrad_edu as tg
from tests.compile.programs import without_numba
from tinygrad_edu.core.arrays.special_arrays import SCIPYS
from tinygrad_edu.errors import TraceError, UnsupportedNumpyError

X = np.array([0.31, 0.48, 0.7, 0.85])
FIRST = {"jv": 2.5, "jn": 2.5, "yv": 2.5, "yn": 3, "iv": 2.5, "kv": 2.5, "kn": 3, "ive": 2.5, "gammainc": 1.5}
FIRST |= {"gammaincc": 1.5, "betainc": (1.5, 2.5)}
PAIRS = ("beta", "rel_entr")


def call_of(name):
    """SciPy's function of the arguments that have a derivative, and these."""
    f, first = getattr(scipy.special, name), FIRST.get(name, ())
    first = first if isinstance(first, tuple) else (first,)
    return (lambda *xs: f(*first, *xs)), ((X, X[::-1].copy()) if name in PAIRS else (X + 0.1 * (name != "betainc"),))


@pytest.mark.parametrize("name", SCIPYS)
def test_values_and_derivatives(name):
    f, arguments = call_of(name)
    # yn is computed as yv here
    np.testing.assert_allclose(f(*map(tg.Tensor, arguments)).data, f(*arguments), rtol=1e-14)
    assert tg.gradcheck(lambda *xs: f(*xs).sum(), *arguments)
    first = tg.grad(lambda x: f(x, *arguments[1:]).sum())
    assert tg.gradcheck(lambda x: (first(x) ** 2).sum(), arguments[0])
    np.testing.assert_allclose(tg.vmap(lambda *xs: f(*xs).sum())(*[x[:, None] for x in arguments]), f(*arguments))


@pytest.mark.parametrize("name", [name for name in FIRST if name not in ("yn", "kn")])
def test_a_parameter_has_no_derivative(name):
    arguments = [tg.Tensor(X, requires_grad=True), *np.broadcast_to(0.5, (getattr(scipy.special, name).nin - 1, 4))]
    with pytest.raises(UnsupportedNumpyError, match="as plain numbers"):
        getattr(scipy.special, name)(*arguments)
    with tg.no_grad():
        getattr(scipy.special, name)(*arguments)


def test_what_is_refused():
    with pytest.raises(UnsupportedNumpyError, match="arrays and Tensors"):
        scipy.special.j0(tg.Value(1.0))
    with without_numba(), pytest.raises(TraceError, match="call the function without jit"):
        tg.jit(lambda x: scipy.special.j0(x).sum())(X)
    with pytest.raises(UnsupportedNumpyError, match=r"np\.cos\(a\) @ x and -np\.sin\(a\) @ x"):
        np.fft.rfft(tg.Tensor(X, requires_grad=True))


def test_what_is_advised_for_the_fourier_transform():
    n = 5
    x, a = np.cos(np.arange(n) ** 2.0), 2 * np.pi * np.outer(np.arange(n), np.arange(n)) / n
    np.testing.assert_allclose(np.cos(a) @ x + 1j * (-np.sin(a) @ x), np.fft.fft(x), rtol=1e-12)


@pytest.mark.parametrize("name", SCIPYS)
def test_precision_of_the_arrays(name):
    f, arguments = call_of(name)
    xs = [tg.Tensor(x.astype(np.float32), requires_grad=True) for x in arguments]
    y = f(*xs)
    y.sum().backward()
    assert {y.dtype, *(x.grad.dtype for x in xs)} == {np.dtype(np.float32)}


def test_the_slope_of_the_reciprocal_gamma_function():
    """d/dx 1/Γ(x) at 0, -1, -2, -3 is (-1)ⁿ·n!, and its second derivative there -2·(-1)ⁿ·n!·ψ(n + 1)."""
    x = -np.arange(4.0)
    factorials = np.array([1.0, -1.0, 2.0, -6.0])
    f = lambda x: scipy.special.rgamma(x).sum()  # noqa: E731
    np.testing.assert_allclose(tg.grad(f)(x), factorials, rtol=1e-12)
    np.testing.assert_allclose(
        np.diag(tg.hessian(f)(x)), -2.0 * factorials * scipy.special.digamma(1.0 - x), rtol=1e-12
    )


def test_slopes_far_out_are_those_of_the_limit():
    """1 - 2x·dawsn(x) and its like lose all their digits for large x; at infinity they were NaN."""
    x = np.array([9.999999, 10.000001, 100.0, 1e8, np.inf])
    leading = 1.0 / (2.0 * x * x)  # dawsn' ≈ -q(1 + 3q + 15q²), erfcx' ≈ -2/√π · q(1 - 3q + 15q²) of q = 1/(2x²)
    for function, factor, sign in ((scipy.special.dawsn, 1.0, 1.0), (scipy.special.erfcx, 2.0 / np.sqrt(np.pi), -1.0)):
        slope = tg.grad(lambda x, function=function: np.sum(function(x)))(x)
        series = -factor * leading * (1.0 + sign * 3.0 * leading + 15.0 * leading**2)
        np.testing.assert_allclose(slope, series, rtol=2e-5)
        np.testing.assert_allclose(slope[2:], series[2:], rtol=1e-10)
    for function in (scipy.special.gammainc, scipy.special.gammaincc):
        assert tg.grad(lambda x, function=function: np.sum(function(2.5, x)))(np.array([np.inf])) == 0.0


def test_a_logarithm_beside_zero_has_its_derivative():
    """d(a·log b)/da is log b, also at a = 0; only where b has no logarithm it counts as 0."""
    for f, b, slope in ((tg.ops.xlogy, 2.0, np.log(2.0)), (tg.ops.xlog1py, 1.0, np.log(2.0)), (tg.ops.xlogy, 0.0, 0.0)):
        assert tg.grad(f)(0.0, b) == slope
        assert tg.jit(f).value_and_grad(0.0, b)[1] == slope
    assert tg.grad(tg.grad(tg.ops.xlogy), 1)(0.0, 4.0) == 0.25

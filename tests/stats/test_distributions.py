"""Every row of the table of distributions: SciPy's values, the gradients of finite differences, eager and compiled."""

import re
from pathlib import Path

import numpy as np
import pytest
import scipy.stats

import tinygrad_edu as tg
from tests.compile.programs import without_numba
from tinygrad_edu import stats
from tinygrad_edu.errors import DetachedError, OperandError, ShapeError
from tinygrad_edu.stats.table import TABLE

RNG = np.random.default_rng(0)
SPREAD = np.concatenate([2 * RNG.normal(size=20), [0.0, 0.5, 1.0, 2.0, 30.0, -30.0, np.nan, np.inf, -np.inf]])
COUNTS = np.concatenate([np.arange(-2.0, 9.0), [0.5, 40.0, np.nan, np.inf, -np.inf]])
METHODS = [(name, method) for name, row in TABLE.items() for method in row.offered]


def parameters(row, first=0.0, second=1.0):
    """A value for each shape parameter, and loc and scale."""
    shapes = [{"p": 0.3, "n": 7.0, "mu": 2.5}.get(name, 1.7 + i) for i, name in enumerate(row.shapes)]
    return [*shapes, first, *([] if row.discrete else [second])]


@pytest.mark.parametrize(("name", "method"), METHODS)
def test_values_are_scipys(name, method):
    row = TABLE[name]
    x = COUNTS if row.discrete else SPREAD
    for place in ((0.0, 1.0), (1.0, 2.5), (0.0, -1.0)):
        given = parameters(row, *place)
        with np.errstate(all="ignore"):
            expected = getattr(getattr(scipy.stats, name), method)(x, *given)
            found = getattr(row, method)(x, *given)
            on_tensor = getattr(row, method)(tg.Tensor(x), *given)
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-300)
        np.testing.assert_array_equal(on_tensor.data, found)


def inside(row, method):
    """Points of the support, away from its ends."""
    if row.name == "bernoulli":
        return np.zeros(3) if method == "logsf" else np.array([0.0, 1.0, 1.0])
    if row.discrete:
        return np.array([1.0, 3.0, 2.0])
    return {"uniform": 1.0, "beta": 1.0, "pareto": 4.0}.get(row.name, 2.0) * np.array([0.3, 0.55, 0.8])


@pytest.mark.parametrize(("name", "method"), METHODS)
def test_gradients_by_every_argument_with_a_value_for_each_sample(name, method):
    row = TABLE[name]
    given = [np.asarray(value) * np.array([1.0, 1.05, 0.95]) for value in parameters(row)]
    if "n" in row.shapes:
        given[list(row.shapes).index("n")] = np.array([7.0, 8.0, 9.0])

    def f(x, *values):
        return np.sum(getattr(row, method)(x, *values) * np.array([0.5, 1.0, -2.0]))

    moving = [i for i, key in enumerate(["x", *row.parameters]) if not (row.discrete and key in ("x", "n", "loc"))]
    arguments = [inside(row, method), *given]

    def of_moving(*values):
        return f(*[values[moving.index(i)] if i in moving else a for i, a in enumerate(arguments)])

    starts = [arguments[i] for i in moving]
    if starts:
        assert tg.gradcheck(of_moving, *starts)
        if not method.startswith("log"):
            return
        with without_numba():
            compiled = tg.jit(tg.value_and_grad(of_moving, argnum=tuple(range(len(starts)))))(*starts)
        value, gradients = tg.value_and_grad(of_moving, argnum=tuple(range(len(starts))))(*starts)
        np.testing.assert_allclose(compiled[0], value, rtol=1e-12)
        for one, other in zip(compiled[1], gradients, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("name", [name for name, row in TABLE.items() if not row.discrete])
def test_outside_of_the_support_gradients_are_0_and_finite(name):
    x = tg.Tensor([-5.0, 0.0, 5.0], requires_grad=True)
    np.where(np.isfinite(y := TABLE[name].logpdf(x, *parameters(TABLE[name]))), y, 0.0).sum().backward()
    assert np.isfinite(x.grad).all()


def test_calls_in_scipys_ways():
    x = [0.2, 1.5]
    expected = scipy.stats.gamma.logpdf(x, 2, loc=0.1, scale=3)
    for found in (
        stats.gamma.logpdf(x, 2, 0.1, 3),
        stats.gamma.logpdf(x, a=2, loc=0.1, scale=3),
        stats.gamma(2, loc=0.1, scale=3).logpdf(x),
    ):
        np.testing.assert_allclose(found, expected)
    assert stats.norm.logpdf(tg.Tensor([0.0], dtype="float32")).dtype == np.float32


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: stats.gamma.logpdf(1.0), OperandError, "missing a"),
        (lambda: stats.norm.logpdf(1.0, 0.0, 1.0, 2.0), OperandError, "given 3 parameters"),
        (lambda: stats.norm.logpdf(1.0, sigma=1.0), OperandError, "sigma"),
        (lambda: stats.poisson.logpmf(1.0, 2.0, scale=1.0), OperandError, "scale"),
        (lambda: stats.norm.rvs(3), AttributeError, r"logpdf.*scipy\.stats\.norm"),
        (lambda: stats.t.cdf(1.0, 3.0), AttributeError, r"not 'cdf'"),
        (lambda: stats.normal, AttributeError, "norm"),
        (lambda: stats.multivariate_normal.logpdf(np.ones((4, 3)), np.zeros(2), np.eye(2)), ShapeError, "2 numbers"),
        (lambda: stats.dirichlet.logpdf(np.ones(3) / 3, np.ones(4)), ShapeError, "first axes"),
    ],
)
def test_errors_say_what_is_there(call, error, text):
    with pytest.raises(error, match=text):
        call()


COV = np.array([[2.0, 0.6, -0.3], [0.6, 1.0, 0.2], [-0.3, 0.2, 1.5]])
MEAN = np.array([0.5, -1.0, 2.0])
VECTORS = {
    "a matrix": ("multivariate_normal", "pdf", (RNG.normal(size=(4, 3)), MEAN, COV)),
    "stacked": ("multivariate_normal", "pdf", (RNG.normal(size=(2, 4, 3)), MEAN, COV)),
    "a diagonal": ("multivariate_normal", "pdf", (RNG.normal(size=(4, 3)), MEAN, np.array([0.5, 1.0, 2.0]))),
    "one number": ("multivariate_normal", "pdf", (RNG.normal(size=(4, 3)), MEAN, np.array(0.5))),
    "one vector": ("multivariate_normal", "pdf", (RNG.normal(size=3), MEAN, COV)),
    "numbers": ("multivariate_normal", "pdf", (RNG.normal(size=5), np.array(0.3), np.array(2.0))),
    "shares": ("dirichlet", "pdf", (np.array([0.2, 0.3, 0.5]), np.array([1.5, 2.0, 0.7]))),
    "columns of shares": ("dirichlet", "pdf", (RNG.dirichlet(np.ones(3), 4).T, np.array([1.5, 2.0, 0.7]))),
    "counts": ("multinomial", "pmf", (np.array([[2.0, 1.0, 3.0], [1.0, 1.0, 1.0]]), 6, np.array([0.2, 0.3, 0.5]))),
}


@pytest.mark.parametrize("case", VECTORS)
def test_densities_of_vectors(case):
    name, kind, arguments = VECTORS[case]
    ours, theirs = getattr(stats, name), getattr(scipy.stats, name)
    for method in (kind, f"log{kind}"):
        expected = getattr(theirs, method)(*arguments)
        np.testing.assert_allclose(getattr(ours, method)(*arguments), expected, rtol=1e-10)

    def f(*parameters):
        symmetric = [0.5 * (p + p.T) if np.ndim(p) == 2 and p.shape == COV.shape else p for p in parameters]
        return np.sum(getattr(ours, f"log{kind}")(arguments[0], *arguments[1 : -len(symmetric)], *symmetric))

    if name == "multinomial":
        assert np.isfinite(tg.grad(lambda p: ours.logpmf(arguments[0][0], 6, p))(arguments[2])).all()
        return
    assert tg.gradcheck(f, *arguments[1:])
    if np.ndim(arguments[-1]) < 2:
        with without_numba():
            np.testing.assert_allclose(tg.jit(f)(*arguments[1:]), f(*arguments[1:]), rtol=1e-12)


def test_scipys_own_density_of_a_tensor_names_ours():
    with pytest.raises(DetachedError, match=r"tg\.stats for scipy\.stats"):
        scipy.stats.norm.logpdf(tg.Tensor([0.5], requires_grad=True))


def test_the_page_of_the_reference_names_every_distribution():
    page = (Path(__file__).parents[2] / "docs" / "reference" / "stats.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("|")]
    assert sorted(re.findall(r"`(\w+)`", "\n".join(rows))) == stats.__all__


@pytest.mark.parametrize("frozen", [stats.lognorm(1.0), stats.invgamma(3.0)], ids=["lognorm", "invgamma"])
def test_at_0_the_density_is_0_in_float32_too(frozen):
    x = tg.Tensor(np.zeros(1, np.float32), requires_grad=True)
    frozen.pdf(x).sum().backward()
    assert (frozen.pdf(x).data[0], frozen.logpdf(x).data[0], x.grad[0]) == (0.0, -np.inf, 0.0)

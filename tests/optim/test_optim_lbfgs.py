"""L-BFGS: SciPy's own run in plain NumPy, both back ends, and what happens when something goes wrong."""

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy.optimize import minimize, rosen, rosen_der

from tinygrad_edu import Tensor, Value, nn
from tinygrad_edu.data import moons
from tinygrad_edu.errors import AnomalyError, OperandError, SettingError
from tinygrad_edu.optim import LBFGS, SGD

START = [-1.2, 1.0, 0.7, -0.4]
X, Y = moons(20)


def rosenbrock(x):
    """Σ 100 (xᵢ₊₁ - xᵢ²)² + (1 - xᵢ)², on numbers of either back end."""
    return sum((b - a * a) ** 2 * 100.0 + (1.0 - a) ** 2 for a, b in pairwise(x))


def weights(backend):
    return [Value(x) for x in START] if backend == "scalar" else [Tensor(START[:1], True), Tensor(START[1:], True)]


def entries(params):
    return params if isinstance(params[0], Value) else [params[0][0], *params[1]]


backends = pytest.mark.parametrize("backend", ["scalar", "tensor"])


@backends
@pytest.mark.parametrize("options", [{}, {"max_iter": 7}, {"tol": 1.0}, {"history": 3}, {"max_fun": 9}])
def test_it_is_scipys_run(backend, options):
    names = {"max_iter": "maxiter", "tol": "gtol", "history": "maxcor", "max_fun": "maxfun"}
    theirs = minimize(
        rosen, START, jac=rosen_der, method="L-BFGS-B", options={names[name]: x for name, x in options.items()}
    )
    params = weights(backend)
    found = LBFGS(params, **options).minimize(lambda: rosenbrock(entries(params)))
    assert (found.n_iter, found.n_evaluations, found.converged) == (theirs.nit, theirs.nfev, theirs.success)
    assert found.loss == pytest.approx(theirs.fun, rel=1e-6, abs=1e-12)
    np.testing.assert_allclose([x.item() for x in entries(params)], theirs.x, rtol=1e-6)
    assert found.reason == theirs.message


def test_both_back_ends_train_alike():
    found = []
    for backend in ("scalar", "tensor"):
        model = nn.MLP([2, 3, 1], seed=1, backend=backend)
        losses = []
        result = LBFGS(model.parameters(), max_iter=8).minimize(
            lambda model=model: nn.losses.mse(model(X), Y), callback=losses.append
        )
        assert len(losses) == result.n_iter == 8
        assert losses == sorted(losses, reverse=True)
        assert losses[-1] == result.loss
        found.append(model.state_dict())
    for name in found[0]:
        np.testing.assert_allclose(found[0][name], found[1][name], rtol=1e-8, atol=1e-10)


@backends
def test_step_takes_pytorchs_kind_of_closure(backend):
    """One that clears the gradients and runs backward itself."""
    model = nn.MLP([2, 3, 1], seed=1, backend=backend)
    optimizer = LBFGS(model.parameters(), max_iter=5)

    def closure():
        optimizer.zero_grad()
        loss = nn.losses.mse(model(X), Y)
        loss.backward()
        return loss

    before = closure().item()
    after = optimizer.step(closure)
    assert after < before
    assert after == pytest.approx(nn.losses.mse(model(X), Y).item(), rel=1e-12)


@backends
def test_gradients_are_cleared_at_the_end(backend):
    params = weights(backend)
    LBFGS(params, max_iter=2).minimize(lambda: rosenbrock(entries(params)))
    assert all(not p.grad for p in params)
    rosenbrock(entries(params)).backward()  # no warning about gradients that were already used
    SGD(params, lr=1e-6).step()


def test_float32_parameters_stay_float32():
    w = Tensor(np.array([3.0, -2.0], dtype=np.float32), requires_grad=True)
    found = LBFGS([w]).minimize(lambda: ((w - 1.0) * (w - 1.0)).sum())
    assert w.dtype == np.float32
    assert found.loss < 1e-10


def test_a_parameter_that_the_loss_does_not_use_stays():
    used, unused = Tensor([3.0], requires_grad=True), Tensor([7.0], requires_grad=True)
    LBFGS([used, unused]).minimize(lambda: (used * used).sum())
    assert (abs(used.item()) < 1e-6, unused.item()) == (True, 7.0)


FAILURES = [
    (lambda p: p[0] * math.nan, AnomalyError, "the loss is nan before the first step"),
    (lambda p: p[0] * math.inf, AnomalyError, "the loss is -inf"),
    (lambda p: 1.0, OperandError, r"closure\(\) has to return the loss.*not 1\.0"),
    (lambda p: None, OperandError, "not None"),
]


@pytest.mark.parametrize(("loss", "error", "text"), FAILURES)
def test_what_is_no_loss_is_refused_and_nothing_changed(loss, error, text):
    params = weights("scalar")
    with pytest.raises(error, match=text):
        LBFGS(params).minimize(lambda: loss(params))
    assert [p.data for p in params] == START


@backends
def test_after_ctrl_c_the_parameters_are_as_before(backend):
    params, calls = weights(backend), []

    def closure():
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return rosenbrock(entries(params))

    with pytest.raises(KeyboardInterrupt):
        LBFGS(params).minimize(closure)
    assert [x.item() for x in entries(params)] == START


BAD = [
    ({"max_iter": 0}, "max_iter=0: a whole number of at least 1"),
    ({"max_iter": 1.5}, r"max_iter=1\.5"),
    ({"tol": -1.0}, r"tol=-1\.0"),
    ({"tol": math.nan}, "tol=nan"),
    ({"history": 0}, "history=0"),
    ({"max_fun": -3}, "max_fun=-3"),
]


@pytest.mark.parametrize(("settings", "text"), BAD)
def test_bad_settings_are_refused(settings, text):
    with pytest.raises(SettingError, match=text):
        LBFGS([Value(1.0)], **settings)


def test_a_step_without_a_closure_says_what_to_write():
    with pytest.raises(SettingError, match=r"give step.*a function that computes"):
        LBFGS([Value(1.0)]).step()

"""`fit` with L-BFGS: SciPy's own run, eager and compiled; how it ends; what it cannot honour."""

import numpy as np
import pytest
from scipy.optimize import minimize

from tinygrad_edu import fit, fit_many, nn, optim
from tinygrad_edu.data import moons
from tinygrad_edu.errors import SettingError, TinygradError
from tinygrad_edu.optim import LBFGS, flat
from tinygrad_edu.train import fit_online

pytestmark = pytest.mark.slow

X, Y = moons(30)
WEIGHTS = np.random.default_rng(0).uniform(0.1, 2.0, 30)
ways = pytest.mark.parametrize("way", ["compiled", "eager", "scalar"])


def trained(way, *, options=None, sizes=(2, 4, 1), x=X, y=Y, loss="mse", activation="tanh", **settings):
    model = nn.MLP(sizes, activation=activation, seed=1, backend="scalar" if way == "scalar" else "tensor")
    optimizer = LBFGS(model.parameters(), **(options or {}))
    given = {"epochs": 12, "accurate": True} | settings
    return fit(model, x, y, loss=loss, optimizer=optimizer, compiled=way == "compiled", **given)


def scipys(epochs, weight=None):
    """SciPy's search with loss and gradient by hand, for 2-4-1 tanh; the loss after each iteration."""
    model = nn.MLP([2, 4, 1], seed=1)
    share = np.full((30, 1), 1 / 30) if weight is None else (weight / weight.sum())[:, None]

    def loss(v):
        W, b, V, c = v[:8].reshape(4, 2), v[8:12], v[12:16].reshape(1, 4), v[16:]
        h = np.tanh(X @ W.T + b)
        error = h @ V.T + c - Y
        back = 2.0 * share * error
        hidden = back @ V * (1.0 - h * h)
        slopes = [hidden.T @ X, hidden.sum(0), back.T @ h, back.sum(0)]
        return float((share * error**2).sum()), np.concatenate([g.ravel() for g in slopes])

    losses, start = [], flat.weights(model.parameters())
    options = {"method": "L-BFGS-B", "options": {"maxiter": epochs}}
    found = minimize(loss, start, jac=True, callback=lambda v: losses.append(loss(v)[0]), **options)
    return losses, found


@ways
@pytest.mark.parametrize("weight", [None, WEIGHTS], ids=["alike", "weighted"])
def test_an_epoch_is_an_iteration_of_scipys(way, weight):
    run, (losses, found) = trained(way, sample_weight=weight), scipys(12, weight)
    np.testing.assert_allclose(run.loss_curve, losses, rtol=1e-7)
    np.testing.assert_allclose(flat.weights(run.model.parameters()), found.x, rtol=1e-5, atol=1e-7)
    assert run.stop_reason == "all 12 epochs done"
    assert run.n_epochs == len(run.grad_norms) == len(run.update_norms) == 12
    assert (run.config["optimizer"], run.config["lr"]) == ("LBFGS", None)
    assert LBFGS(run.model.parameters(), **run.config["optimizer_settings"]).options == LBFGS.options.fget(
        run.job.minimizer
    )


@ways
def test_norms_are_those_of_the_gradient_and_of_the_way(way):
    run = trained(way, epochs=1)
    start = nn.MLP([2, 4, 1], seed=1)
    moved = flat.weights(run.model.parameters()) - flat.weights(start.parameters())
    assert run.update_norms[0] == pytest.approx(np.linalg.norm(moved), rel=1e-12)
    nn.losses.mse(run.model(X), Y).backward()
    assert run.grad_norms[0] == pytest.approx(np.linalg.norm(flat.gradients(run.model.parameters())), rel=1e-9)


ENDINGS = [
    ({}, "all 12 epochs done"),
    ({"epochs": 5000, "sizes": (2, 1)}, "converged after "),
    ({"epochs": 5000, "sizes": (2, 1), "options": {"tol": 0.0}}, "converged after "),
    ({"options": {"max_iter": 5}}, "stopped after 5 epochs and "),
    ({"options": {"max_fun": 4}}, "stopped after "),
    ({"epochs": 5000, "tol": 0.1}, "converged after "),
    ({"epochs": 5000, "tol": 0.2, "patience": 2}, "stopped after "),
    ({"callbacks": [lambda job: len(job.losses) == 3]}, "stopped after 3 epochs by <lambda>"),
    ({"epochs": 60, "validation": 0.3, "patience": 2, "sizes": (2, 6, 1)}, "stopped after "),
]


@ways
@pytest.mark.parametrize(("settings", "text"), ENDINGS, ids=lambda x: str(x)[:40])
def test_how_it_ends_in_one_sentence(settings, text, way):
    run, eager = trained(way, **settings), trained("eager", **settings)
    assert run.stop_reason.startswith(text)
    assert "\n" not in run.stop_reason
    assert (run.n_epochs, run.stop_reason.split(":")[0]) == (eager.n_epochs, eager.stop_reason.split(":")[0])
    if settings.get("validation"):
        assert len(run.validation_curve) == run.n_epochs
        assert "the best by validation" in run.stop_reason


def test_the_two_ways_of_converging_are_told_apart():
    by_gradient = trained("eager", epochs=5000, sizes=(2, 1), loss="bce_with_logits", y=(Y > 0) * 1.0)
    assert by_gradient.stop_reason.endswith("no entry of the gradient is larger than 1e-05")
    by_loss = trained("eager", epochs=5000, sizes=(2, 1), options={"tol": 0.0})
    assert by_loss.stop_reason.endswith("the loss fell by less than 2.2e-9 of itself")


@ways
def test_nan_ends_it_with_the_operation_named(way):
    """exp overflows where the line search goes far."""
    run = trained(way, sizes=(2, 1), loss="poisson", x=X * 100.0, y=np.abs(Y) * 1e4, epochs=60)
    assert run.stop_reason.startswith(f"stopped in epoch {run.n_epochs + 1}: the loss became NaN or infinite, where ")
    assert f"the model is as after epoch {run.n_epochs};" in run.stop_reason
    if run.n_epochs:
        assert nn.losses.poisson(run.model(X * 100.0), np.abs(Y) * 1e4).item() == pytest.approx(run.loss_curve[-1])


@ways
def test_ctrl_c_leaves_the_last_whole_iteration(way):
    def stop(job):
        if len(job.losses) == 4:
            raise KeyboardInterrupt

    run = trained(way, callbacks=[stop])
    assert run.stop_reason == "interrupted after 4 of 12 epochs"
    np.testing.assert_array_equal(
        flat.weights(run.model.parameters()), flat.weights(trained(way, epochs=4).model.parameters())
    )


def test_float32_and_running_statistics():
    runs = []
    for compiled in (True, False):
        model = nn.MLP([2, 4, 1], seed=1, norm="batch")
        for p in model.parameters():
            p.data = p.data.astype(np.float32)
        fit(model, X, Y, loss="mse", optimizer=LBFGS(model.parameters()), epochs=3, compiled=compiled, accurate=True)
        assert {p.dtype for p in model.parameters()} == {np.dtype(np.float32)}
        runs.append(model.state_dict())
    for a, b in zip(*(state.values() for state in runs), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


def test_auto_says_which_way_it_goes():
    model = nn.MLP([2, 4, 1], seed=1)
    run = fit(model, X, Y, loss="mse", optimizer=LBFGS(model.parameters()), epochs=3)
    assert run.how.startswith("eager: 3 steps, an estimated")


REFUSED = [
    ({"batch_size": 8}, "batch_size=8 of 30 samples: L-BFGS compares losses"),
    ({"clip_norm": 1.0}, r"clip_norm=1\.0: L-BFGS needs the unchanged gradient"),
    ({"clip_value": 1.0}, r"clip_value=1\.0: L-BFGS needs the unchanged gradient"),
    ({"shuffle": "weighted", "sample_weight": WEIGHTS}, 'shuffle="weighted" draws new samples'),
]


@ways
@pytest.mark.parametrize(("settings", "text"), REFUSED, ids=[text for _, text in REFUSED])
def test_what_it_cannot_honour_is_refused(settings, text, way):
    with pytest.raises(SettingError, match=text):
        trained(way, **settings)


def test_other_things_that_it_cannot_do(tmp_path):
    model = nn.MLP([2, 4, 1], dropout=0.5)
    with pytest.raises(SettingError, match="Dropout drops other units in each evaluation"):
        fit(model, X, Y, loss="mse", optimizer=LBFGS(model.parameters()), epochs=1)
    with pytest.raises(SettingError, match="LBFGS takes"):
        # it has no rate: a line search finds the step
        LBFGS(model.parameters(), lr=optim.schedules.cosine(0.1, steps=3))
    run = trained("eager")
    for call in (lambda: run.resume(20), lambda: run.save(tmp_path / "run")):
        with pytest.raises(SettingError, match=r"SciPy keeps its memory"):
            call()
    assert run.save(tmp_path / "run.json").exists()
    with pytest.raises(SettingError, match="not with LBFGS: use fit"):
        fit_many(lambda seed: nn.MLP([2, 1], seed=seed), X, Y, loss="mse", optimizer=LBFGS, epochs=1, seeds=[0])
    elman = nn.Elman(2, 2, 1)
    with pytest.raises(SettingError, match="not with LBFGS: use SGD"):
        fit_online(elman, X, Y, loss="mse", optimizer=LBFGS(elman.parameters()), epochs=1)


def test_after_an_error_the_model_is_as_before():
    model = nn.MLP([2, 4, 1], seed=1)
    before = model.state_dict()
    with pytest.raises(TinygradError, match="differ in shape"):
        fit(model, X, np.c_[Y, Y], loss="mse", optimizer=LBFGS(model.parameters()), epochs=3, compiled=False)
    assert all(np.array_equal(before[name], x) for name, x in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())

"""What `fit` can be told besides the essentials: compiled, tensor and scalar training do the same, and say the same."""

import copy

import numpy as np
import pytest

from tests.optim.test_optim_schedules import EVERY
from tinygrad_edu import Tensor, fit, fit_many, nn, optim
from tinygrad_edu.data import moons
from tinygrad_edu.errors import NameNotFoundError, SettingError, ShapeError, TraceError
from tinygrad_edu.optim import schedules

X, Y = moons(30)
WEIGHTS = np.random.default_rng(0).uniform(0.1, 2.0, 30)
CURVES = ("loss_curve", "grad_norms", "update_norms", "validation_curve")


def trained(way, make=lambda p: optim.SGD(p, lr=0.1), y=Y, loss="mse", outputs=1, **settings):
    """way: "compiled", "eager", or "scalar"."""
    model = nn.MLP([2, 4, outputs], seed=1, backend="scalar" if way == "scalar" else "tensor")
    given = {"epochs": 6, "batch_size": 8, "accurate": True} | settings
    return fit(model, X, y, loss=loss, optimizer=make(model.parameters()), compiled=way == "compiled", **given)


def assert_same(a, b, rtol=1e-10):
    for name in CURVES:
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=rtol, atol=1e-15, err_msg=name)
    assert a.stop_reason == b.stop_reason
    for x, y in zip(a.model.state_dict().values(), b.model.state_dict().values(), strict=True):
        np.testing.assert_allclose(x, y, rtol=rtol, atol=1e-14)


OPTIONS = {
    "nothing": {},
    "weights": {"sample_weight": WEIGHTS},
    "clip": {"clip_norm": 0.05},
    "clip each": {"clip_value": 0.02},
    "clip both": {"clip_value": 0.02, "clip_norm": 0.05},
    "drawn": {"shuffle": "weighted", "sample_weight": WEIGHTS},
    "drawn at once": {"shuffle": "weighted", "sample_weight": WEIGHTS, "batch_size": None},
    "labels": {"loss": "cross_entropy", "y": (Y[:, 0] > 0).astype(int), "outputs": 2},
    "labels and weights": {
        "loss": "cross_entropy", "y": (Y[:, 0] > 0).astype(int), "outputs": 2, "sample_weight": WEIGHTS,
    },
    "held out": {"validation": 0.2},
    "held out by hand": {"validation": (X[:5], Y[:5])},
    "stratified": {"shuffle": "stratified"},
    "sorted": {"shuffle": "sorted"},
    "schedule": {"make": lambda p: optim.SGD(p, lr=schedules.inverse_time(0.2))},
    "plateau": {"make": lambda p: optim.SGD(p, lr=schedules.reduce_on_plateau(0.1)), "epochs": 20},
    "tol": {"tol": 1e-3, "epochs": 500},
    "patience": {"patience": 3, "tol": 0.05, "epochs": 200},
    "early stopping": {"patience": 2, "tol": 0.05, "epochs": 50, "validation": 0.2},
    "callback": {"callbacks": [lambda job: len(job.losses) >= 4]},
}  # fmt: skip


@pytest.mark.as_python(but=("clip both", "labels and weights", "drawn"))
@pytest.mark.parametrize("option", OPTIONS)
def test_compiled_and_eager_do_the_same(option):
    assert_same(trained("compiled", **OPTIONS[option]), trained("eager", **OPTIONS[option]))


@pytest.mark.parametrize("schedule", EVERY, ids=repr)
def test_every_schedule_gives_each_step_its_rate(schedule):
    """24 steps; those that follow the loss are told it after each epoch."""
    runs = [
        trained(way, lambda p: optim.SGD(p, lr=copy.deepcopy(schedule)), validation=0.2)
        for way in ("compiled", "eager", "scalar")
    ]
    assert_same(*runs[:2])
    assert_same(*runs[1:])
    assert runs[0].config["lr"] == 0.1 if schedule.kind == "constant" else runs[0].config["lr"].kind == schedule.kind


@pytest.mark.parametrize("option", ["nothing", "weights", "clip", "clip both", "drawn", "held out", "early stopping"])
def test_the_scalar_back_end_does_the_same(option):
    settings = OPTIONS[option] | {"epochs": 3}
    assert_same(trained("scalar", **settings), trained("eager", **settings))


@pytest.mark.parametrize("way", ["compiled", "eager"])
@pytest.mark.parametrize("parts", [(3, 7), (1, 2, 3)])
def test_a_resumed_run_equals_an_uninterrupted_one(way, parts):
    make = lambda p: optim.Adam(p, lr=0.01)  # noqa: E731
    whole, run = trained(way, make, epochs=10), trained(way, make, epochs=parts[0])
    for epochs in (*parts[1:], 10):
        run = run.resume(epochs)
    for name in CURVES:
        assert getattr(run, name).tolist() == getattr(whole, name).tolist()
    for x, y in zip(run.model.state_dict().values(), whole.model.state_dict().values(), strict=True):
        assert (x == y).all()


def test_a_run_is_resumed_only_to_more_epochs():
    run = trained("eager", epochs=3)
    with pytest.raises(SettingError, match="has already done 3 epochs"):
        run.resume(3)


@pytest.mark.parametrize("way", ["compiled", "eager", "scalar"])
def test_nan_is_named_with_epoch_batch_and_operation(way):
    run = trained(way, lambda p: optim.SGD(p, lr=1e9), epochs=50)
    assert run.stop_reason.startswith(f"stopped in epoch {run.n_epochs + 1}: the loss became NaN or infinite in batch ")
    assert "gave inf" in run.stop_reason or "gave nan" in run.stop_reason
    assert all(np.isfinite(x).all() for x in run.model.state_dict().values())


def test_the_best_weights_are_restored():
    make = lambda p: optim.SGD(p, lr=0.3)  # noqa: E731
    run = trained("compiled", make, patience=4, epochs=60, validation=0.2)
    best = int(np.argmin(run.validation_curve)) + 1
    assert f"those of epoch {best}, the best by validation" in run.stop_reason
    assert best < run.n_epochs
    as_long = trained("compiled", make, validation=0.2, epochs=best)
    for x, y in zip(run.model.state_dict().values(), as_long.model.state_dict().values(), strict=True):
        assert (x == y).all()


def test_the_sentence_of_patience_has_numbers():
    run = trained("compiled", **OPTIONS["patience"])
    expected = "the loss improved by less than 0.05 (relative) for 3 epochs in a row"
    assert run.stop_reason == f"stopped after {run.n_epochs} epochs: {expected}"


def test_dropout_is_silent_while_validating_and_while_estimating():
    def run(compiled):
        model = nn.MLP([2, 4, 1], seed=1, dropout=0.5)
        optimizer = optim.SGD(model.parameters(), lr=0.1)
        return fit(model, X, Y, loss="mse", optimizer=optimizer, epochs=4, validation=0.2, compiled=compiled)

    assert run("auto").loss_curve.tolist() == run(False).loss_curve.tolist()
    assert run(False).model.training


LAYERS = {"dropout": {"dropout": 0.4}, "norm": {"norm": "batch"}, "both": {"dropout": 0.3, "norm": "batch"}}


def with_layers(name, compiled, parts=(6,), lr=0.05):
    model = nn.MLP([2, 5, 4, 1], seed=1, **LAYERS[name])
    optimizer = optim.SGD(model.parameters(), lr=lr)
    run = fit(
        model, X, Y, loss="mse", optimizer=optimizer, epochs=parts[0], batch_size=8, compiled=compiled, accurate=True
    )
    for epochs in parts[1:]:
        run = run.resume(epochs)
    return run


@pytest.mark.as_python(but=("once-norm", "in parts-dropout"))
@pytest.mark.slow
@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("settings", [{}, {"parts": (2, 5, 6)}, {"lr": 1e60}], ids=["once", "in parts", "to NaN"])
def test_layers_that_draw_or_keep_numbers_do_the_same_compiled(name, settings):
    compiled, eager = (with_layers(name, way, **settings) for way in (True, False))
    assert compiled.how == "compiled: asked for"
    assert_same(compiled, eager)
    assert (name == "norm") or compiled.model.dropout.rng.random() == eager.model.dropout.rng.random()


@pytest.mark.slow
def test_many_models_have_their_own_running_statistics_and_draws():
    def make(seed):
        return nn.MLP([2, 5, 1], seed=seed, dropout=0.2, norm="batch")

    settings = {"loss": "mse", "epochs": 5, "batch_size": 8}
    many = fit_many(make, X, Y, seeds=range(3), optimizer=lambda p: optim.SGD(p, lr=0.05), **settings)
    for seed in range(3):
        model = make(seed)
        run = fit(model, X, Y, optimizer=optim.SGD(model.parameters(), lr=0.05), seed=seed, compiled=True, **settings)
        assert many.loss_curves[0, seed].tolist() == run.loss_curve.tolist()


def test_many_models_with_frozen_arrays_of_their_own_are_refused():
    class Scaled(nn.Module):
        def __init__(self, seed):
            self.scale = Tensor(np.random.default_rng(seed).normal(size=2))
            self.layer = nn.Linear(2, 1, rng=np.random.default_rng(seed))

        def forward(self, x):
            return self.layer(x * self.scale)

    with pytest.raises(TraceError, match="one by one"):
        fit_many(Scaled, X, Y, loss="mse", epochs=2, seeds=range(2), optimizer=lambda p: optim.SGD(p, lr=0.1))


@pytest.mark.parametrize("batch_size", [1, 3])
def test_batchnorm_of_images_takes_a_last_batch_of_one(batch_size):
    """Its variance is that of many places."""
    images, y = np.random.default_rng(0).normal(size=(4, 1, 3, 3)), np.ones((4, 1))

    def losses_of(compiled):
        model = nn.Sequential(nn.BatchNorm2d(1), nn.Flatten(), nn.Linear(9, 1, rng=0))
        run = fit(model, images, y, loss="mse", optimizer="sgd", epochs=2, batch_size=batch_size, compiled=compiled)
        return run.loss_curve

    np.testing.assert_allclose(losses_of(True), losses_of(False), rtol=1e-12)


def test_batchnorm_refuses_a_last_batch_of_one_before_it_trains():
    model = nn.MLP([2, 5, 1], seed=1, norm="batch")
    optimizer = optim.SGD(model.parameters(), lr=0.05)
    with pytest.raises(ShapeError, match="30 samples in batches of 29 leave a batch of one"):
        fit(model, X, Y, loss="mse", optimizer=optimizer, epochs=2, batch_size=29, compiled=True)


def test_an_embedding_is_trained_on_indices():
    tokens, y = np.arange(30)[:, None] % 5, Y
    runs = []
    for compiled in (True, False):
        model = nn.Sequential(
            nn.Embedding(5, 3, rng=0), lambda e: e[:, 0], nn.Linear(3, 1, rng=np.random.default_rng(1))
        )
        runs.append(
            fit(
                model,
                tokens,
                y,
                loss="mse",
                optimizer=optim.SGD(model.parameters(), lr=0.1),
                epochs=3,
                batch_size=7,
                compiled=compiled,
                accurate=True,
            )
        )
    assert_same(*runs)


BAD = [
    ({"epochs": 0}, SettingError, "epochs=0"),
    ({"batch_size": 0}, SettingError, "batch_size=0"),
    ({"patience": -1}, SettingError, "patience=-1"),
    ({"clip_norm": 0.0}, SettingError, "clip_norm=0.0"),
    ({"clip_value": -1.0}, SettingError, "clip_value=-1.0"),
    ({"clip_value": "1"}, SettingError, "clip_value='1'"),
    ({"clip_norm": np.nan}, SettingError, "clip_norm=nan"),
    ({"shuffle": "weighted"}, SettingError, "give sample_weight"),
    ({"validation": 3 * [X]}, SettingError, r"give \(X, y\), or a share of the samples"),
    ({"shuffle": "sort"}, NameNotFoundError, "Did you mean 'sorted'"),
    ({"validation": 1.0}, SettingError, "holds out 30"),
    ({"validation": np.nan}, SettingError, "validation=nan"),
    ({"validation": np.inf}, SettingError, "validation=inf"),
    ({"validation": (X, Y[:3])}, ShapeError, "X has 30 rows and y has 3"),
    ({"sample_weight": WEIGHTS[:4]}, ShapeError, "needs one weight"),
    ({"sample_weight": -WEIGHTS}, SettingError, "none may be below 0"),
    ({"sample_weight": WEIGHTS * np.nan}, SettingError, "NaN or infinite"),
    ({"sample_weight": WEIGHTS, "validation": 0.2}, SettingError, "split the samples yourself"),
]


@pytest.mark.parametrize(("settings", "error", "message"), BAD, ids=lambda x: str(x)[:40])
@pytest.mark.parametrize("way", ["compiled", "eager"])
def test_what_does_not_fit_is_refused_and_nothing_is_trained(settings, error, message, way):
    with pytest.raises(error, match=message):
        trained(way, **settings)


# What an option does


def test_entries_of_the_gradient_are_cut_and_then_its_length():
    first = trained("eager", epochs=1, batch_size=None)
    gradient = np.concatenate([g.ravel() for g in first.model.gradients().values()])  # the gradient of the only step
    cut = np.clip(gradient, -0.02, 0.02)
    for way in ("compiled", "eager", "scalar"):
        run = trained(way, epochs=1, batch_size=None, clip_value=0.02)
        assert run.grad_norms[0] == pytest.approx(np.linalg.norm(cut), rel=1e-12)
        assert run.update_norms[0] == pytest.approx(0.1 * np.linalg.norm(cut), rel=1e-12)
    assert np.abs(gradient).max() > 0.02
    both = trained("eager", epochs=1, batch_size=None, clip_value=0.02, clip_norm=0.01)
    assert both.grad_norms[0] == pytest.approx(0.01, rel=1e-3)


def test_samples_of_weight_0_are_not_drawn():
    """Two samples with weights 1 and 3, the others 0: the mean loss over many draws is their weighted mean."""
    weight = np.zeros(30)
    weight[[4, 9]] = 1.0, 3.0
    model = nn.MLP([2, 4, 1], seed=1)
    each = ((model(X).data - Y) ** 2).ravel()
    for way in ("compiled", "eager"):
        given = {"sample_weight": weight, "epochs": 60, "batch_size": None}
        run = trained(way, lambda p: optim.SGD(p, lr=0.0), shuffle="weighted", **given)
        assert run.loss_curve.min() > min(each[4], each[9])
        assert run.loss_curve.max() < max(each[4], each[9])
        assert run.loss_curve.mean() == pytest.approx(0.25 * each[4] + 0.75 * each[9], rel=0.05)
        assert len(set(run.loss_curve)) > 5
        by_weight = trained(way, lambda p: optim.SGD(p, lr=0.0), **given)
        assert by_weight.loss_curve[0] == pytest.approx(0.25 * each[4] + 0.75 * each[9], rel=1e-12)


def test_stratified_batches_have_the_share_of_each_class():
    seen = []

    class Watch(nn.Linear):
        def forward(self, x):
            seen.append(x.data.ravel() if isinstance(x, Tensor) else x.ravel())
            return super().forward(x)

    labels = np.repeat([0.0, 1.0], [24, 8])[:, None]
    model = Watch(1, 1, rng=0)
    optimizer = optim.SGD(model.parameters(), lr=0.0)
    settings = {"loss": "mse", "optimizer": optimizer, "epochs": 5, "batch_size": 4, "compiled": False}
    fit(model, labels, labels, shuffle="stratified", **settings)
    assert [batch.sum() for batch in seen] == [1.0] * 40


@pytest.mark.parametrize("rule", [{"tol": 1e-2}, {"patience": 3, "tol": 0.05}])
def test_a_rule_that_fires_in_the_last_epoch_has_ended_the_run(rule):
    whole = trained("eager", epochs=500, **rule)
    assert whole.n_epochs < 500
    runs = [trained(way, epochs=whole.n_epochs, **rule) for way in ("compiled", "eager")]
    for run in runs:
        assert run.stop_reason == whole.stop_reason
        again = run.resume(500)
        assert (again.n_epochs, again.stop_reason) == (whole.n_epochs, whole.stop_reason)
        assert "no epoch was added" in again.how


@pytest.mark.parametrize("way", ["compiled", "eager", "scalar"])
@pytest.mark.parametrize("shown", [True, False, None])
def test_a_bar_of_progress_is_shown_where_it_is_asked_for(way, shown, capsys):
    """By default in a terminal, which a test is not; it is gone at the end."""
    trained(way, progress=shown)
    text = capsys.readouterr().err
    assert ("/6 [" in text, text.count("\n")) == (shown is True, 0)

"""`train.Histograms`: the run is the same as without it, its numbers are NumPy's, and its memory has a bound."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.report.runs import of_moons
from tinygrad_edu import nn, optim
from tinygrad_edu.data import moons, xor_gate
from tinygrad_edu.errors import CheckpointError, SettingError
from tinygrad_edu.nn import losses
from tinygrad_edu.train import Histograms, fit
from tinygrad_edu.train.histograms import measure_layers
from tinygrad_edu.train.spread import BINS, LEVELS, spread_of

SHAPES = [  # (settings of the network, compiled)
    ({}, False),
    ({"dropout": 0.3}, False),
    ({"norm": "batch"}, False),
    ({"norm": "layer"}, False),
    ({"dropout": 0.3, "norm": "batch"}, True),
]


def weights(model):
    return np.concatenate([array.ravel() for array in model.state_dict().values()])


def trained(callbacks, compiled, epochs=6, **shape):
    model = nn.MLP([2, 5, 1], seed=3, **shape)
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    settings = {"batch_size": 16, "compiled": compiled, "callbacks": callbacks, "accurate": True}
    return fit(model, *moons(50), loss="mse", optimizer=optimizer, epochs=epochs, **settings)


@pytest.mark.parametrize(("shape", "compiled"), SHAPES)
def test_the_run_is_the_same_as_without_it(shape, compiled):
    histograms = Histograms()
    with_it, without = trained([histograms], compiled, **shape), trained([], compiled, **shape)
    np.testing.assert_array_equal(with_it.loss_curve, without.loss_curve)
    np.testing.assert_array_equal(weights(with_it.model), weights(without.model))
    assert [s.epoch for s in histograms.snapshots] == [1, 2, 3, 4, 5, 6]
    assert with_it.model.training == without.model.training


def test_compiled_and_eager_runs_give_the_same_snapshots():
    eager, compiled = Histograms(), Histograms()
    trained([eager], False)
    trained([compiled], True)
    for a, b in zip(eager.snapshots, compiled.snapshots, strict=True):
        for name in a.layers:
            np.testing.assert_allclose(
                a.layers[name].gradients.quantiles, b.layers[name].gradients.quantiles, rtol=1e-8
            )
            assert a.layers[name].activations.size == pytest.approx(b.layers[name].activations.size, rel=1e-10)


def test_both_back_ends_give_the_same_snapshots():
    found = []
    for backend in ("tensor", "scalar"):
        model = nn.MLP([2, 4, 3, 1], seed=5, backend=backend, activation="relu")
        found.append(measure_layers(model, losses.find("mse"), moons(16), samples=16))
    assert list(found[0]) == list(found[1]) == ["layers.0", "layers.1", "layers.2"]
    for name in found[0]:
        a, b = found[0][name], found[1][name]
        for kind in ("activations", "gradients", "weights"):
            ours, theirs = getattr(a, kind), getattr(b, kind)
            np.testing.assert_allclose(ours.quantiles, theirs.quantiles, rtol=1e-9)
            assert (ours.zeros, ours.size) == pytest.approx((theirs.zeros, theirs.size))
        assert (a.stuck, a.saturated) == pytest.approx((b.stuck, b.saturated), nan_ok=True)


# the numbers, computed once more in NumPy


def by_hand(model, X, y):
    """Activations and gradients of a tanh network with one hidden layer and a mean squared error."""
    W, b, V, c = model.state_dict().values()
    h = np.tanh(X @ W.T + b)
    out = h @ V.T + c
    delta = 2.0 * (out - y) / out.size
    back = (delta @ V) * (1.0 - h * h)
    first = np.concatenate([(back.T @ X).ravel(), back.sum(0)])
    return {"layers.0": (h, first), "layers.1": (out, np.concatenate([(delta.T @ h).ravel(), delta.sum(0)]))}


def test_the_numbers_are_those_of_numpy():
    model, (X, y) = nn.MLP([2, 6, 1], seed=2), moons(40)
    states, expected = measure_layers(model, losses.find("mse"), (X, y)), by_hand(model, X, y)
    for name, (activations, gradients) in expected.items():
        state = states[name]
        np.testing.assert_allclose(state.activations.quantiles, np.quantile(activations, LEVELS), rtol=1e-9)
        np.testing.assert_allclose(
            state.gradients.quantiles, np.quantile(np.log10(np.abs(gradients)), LEVELS), rtol=1e-9
        )
        assert state.gradients.size == pytest.approx(np.sqrt(np.mean(gradients**2)))
        counts, _ = np.histogram(activations, BINS, (activations.min(), activations.max()))
        # an entry on an edge may be counted on either side
        assert abs(np.array(state.activations.counts) - counts).sum() <= 2
        assert sum(state.activations.counts) == activations.size


@pytest.mark.torch
def test_gradients_are_those_of_torch():
    torch = pytest.importorskip("torch")
    model, (X, y) = nn.MLP([2, 6, 4, 1], seed=2, activation="sigmoid"), moons(40)
    a, b, c = (torch.nn.Linear(m, n, dtype=torch.float64) for m, n in ((2, 6), (6, 4), (4, 1)))
    net = torch.nn.Sequential(a, torch.nn.Sigmoid(), b, torch.nn.Sigmoid(), c)
    net.load_state_dict(dict(zip(net.state_dict(), map(torch.tensor, model.state_dict().values()), strict=True)))
    torch.nn.functional.mse_loss(net(torch.tensor(X)), torch.tensor(y)).backward()
    states = measure_layers(model, losses.find("mse"), (X, y))
    for name, layer in zip(states, (a, b, c), strict=True):
        entries = np.concatenate([p.grad.numpy().ravel() for p in layer.parameters()])
        assert states[name].gradients.size == pytest.approx(np.sqrt(np.mean(entries**2)), rel=1e-10)


STUCK = [  # (activation, bias of all hidden units, share that is stuck)
    ("relu", -100.0, 1.0),
    ("relu", 100.0, 0.0),
    ("tanh", 50.0, 1.0),
    ("tanh", 0.0, 0.0),
    ("sigmoid", -50.0, 1.0),
    ("leaky_relu", -100.0, 0.0),
    ("softplus", -100.0, 1.0),
    ("identity", 0.0, float("nan")),
]


@pytest.mark.parametrize("backend", ["tensor", "scalar"])
@pytest.mark.parametrize(("activation", "bias", "share"), STUCK)
def test_stuck_units_are_those_with_no_slope_for_any_sample(activation, bias, share, backend):
    model = nn.MLP([2, 4, 1], activation=activation, backend=backend)
    model.load_state_dict(model.state_dict() | {"layers.0.bias": np.full(4, bias)})
    found = measure_layers(model, losses.find("mse"), xor_gate())["layers.0"].stuck
    assert found == pytest.approx(share, nan_ok=True)


SATURATED = [  # (activation, its derivative, the derivative's maximum; None if not flat on both sides)
    ("tanh", lambda z: 1.0 - np.tanh(z) ** 2, 1.0),
    ("sigmoid", lambda z: np.exp(-z) / (1.0 + np.exp(-z)) ** 2, 0.25),
    ("relu", None, 1.0),
    ("softplus", None, 1.0),
    ("identity", None, 1.0),
]


@pytest.mark.parametrize("backend", ["tensor", "scalar"])
@pytest.mark.parametrize(("activation", "derivative", "largest"), SATURATED)
def test_saturated_activations_are_those_with_a_twentieth_of_the_largest_slope(
    activation, derivative, largest, backend
):
    model, (X, y) = nn.MLP([2, 6, 1], activation=activation, backend=backend), moons(16)
    X = 4.0 * X
    W, b = list(model.state_dict().values())[:2]
    slopes = derivative(X @ W.T + b) if derivative else np.full(1, np.nan)
    expected = np.mean(slopes < 0.05 * largest) if derivative else np.nan
    found = measure_layers(model, losses.find("mse"), (X, y))["layers.0"].saturated
    assert found == pytest.approx(expected, nan_ok=True)
    assert found != 0.0


def test_numbers_that_are_not_finite_and_zeros_are_counted_apart():
    found = spread_of(np.array([0.0, 0.0, np.nan, np.inf, 1.0]))
    assert (found.zeros, found.broken, found.quantiles[-1]) == (0.4, 0.4, 1.0)
    logarithmic = spread_of(np.array([0.0, 1e-3, -10.0, 0.1]), logarithmic=True)
    assert logarithmic.quantiles[::3] == pytest.approx((-3.0, -1.0, 1.0))
    assert np.isnan(spread_of(np.zeros(3), logarithmic=True).quantiles).all()
    assert sum(spread_of(np.full(7, 3.0)).counts) == 7


# Bounded memory, files, errors


@pytest.mark.parametrize("epochs", [1, 2, 5, 6, 23])
@pytest.mark.parametrize("most", [1, 2, 5])
def test_memory_has_a_bound_and_the_last_epoch_is_kept(most, epochs):
    histograms = Histograms(most=most, samples=4)
    of_moons(sizes=(2, 2, 1), epochs=epochs, callbacks=[histograms], validation=None, batch_size=None)
    kept = [snapshot.epoch for snapshot in histograms.snapshots]
    assert len(kept) <= most
    assert kept == sorted(set(kept))
    assert kept[-1] == epochs
    assert all(epoch % histograms.every == 0 for epoch in kept[:-1])


def test_another_run_begins_anew_and_a_resumed_one_goes_on():
    histograms = Histograms(every=2)
    run = trained([histograms], False, epochs=4)
    run.resume(8)
    assert [s.epoch for s in histograms.snapshots] == [2, 4, 6, 8]
    trained([histograms], False, epochs=3)
    assert [s.epoch for s in histograms.snapshots] == [2, 3]


def test_a_file_brings_them_back(tmp_path):
    histograms = Histograms()
    of_moons(epochs=2, callbacks=[histograms])
    read = Histograms.load(histograms.save(tmp_path / "new" / "h.json"))
    assert repr(read.snapshots) == repr(histograms.snapshots)  # repr: NaN differs from itself


BAD_FILES = ["", "[]", "{}", '{"snapshots": [{"epoch": 1, "layers": {"a": 3}}]}', '{"snapshots": [{"epoch": "x"}]}']


@pytest.mark.parametrize("content", BAD_FILES)
def test_a_file_of_another_form_is_refused(content, tmp_path):
    (tmp_path / "h.json").write_text(content)
    with pytest.raises(CheckpointError, match="holds no histograms"):
        Histograms.load(tmp_path / "h.json")


@pytest.mark.parametrize("settings", [{"every": 0}, {"every": 1.5}, {"most": -1}, {"samples": None}])
def test_numbers_out_of_range_are_refused(settings):
    with pytest.raises(SettingError, match=next(iter(settings))):
        Histograms(**settings)


def train_on(run):
    model = run.model
    return tg.fit(model, *tg.data.moons(20), loss="mse", optimizer="adam", epochs=9)


def zero(run):
    run.model.layers[0].weight.assign(np.zeros_like(run.model.layers[0].weight.array))


@pytest.mark.parametrize(("change", "said"), [(lambda run: None, False), (train_on, True), (zero, True)])
@pytest.mark.parametrize("settings", [{}, {"validation": 0.3, "patience": 2}, {"batch_size": 4, "compiled": False}])
def test_a_model_that_has_changed_since_the_run_is_told(change, said, settings, tmp_path):
    model = tg.nn.MLP([2, 3, 1], seed=0)
    run = tg.fit(model, *tg.data.moons(20), loss="mse", optimizer="adam", epochs=6, **settings)
    change(run)
    text = tg.report(run, path=tmp_path / "report.html", diagnosis=None).read_text(encoding="utf-8")
    assert ("trained on or changed since" in text) == said

"""`fit` and `fit_many`: compiled and eager training are the same training, and end in the same way."""

import itertools
import json
import time

import numpy as np
import pytest

from tests.pace import slowness
from tests.threads import interrupted_after
from tinygrad_edu import nn, optim
from tinygrad_edu.data import moons, or_gate, xor_gate
from tinygrad_edu.errors import DtypeError, NameNotFoundError, SettingError, ShapeError, TraceError
from tinygrad_edu.nn.sequence import last_output
from tinygrad_edu.train import choose, fit, fit_many
from tinygrad_edu.train.choose import program_if_worth
from tinygrad_edu.train.compiled import programs
from tinygrad_edu.train.compiled.programs import program_for
from tinygrad_edu.train.job import job_of
from tinygrad_edu.train.recipe import Settings

pytestmark = pytest.mark.optimized  # with machine code optimized as for users

OPTIMIZERS = {
    "sgd": lambda p: optim.SGD(p, lr=0.1),
    "nesterov": lambda p: optim.SGD(p, lr=0.01, momentum=0.9, nesterov=True, weight_decay=1e-3),
    "adam": lambda p: optim.Adam(p, lr=0.01, weight_decay=1e-3),
}
BLOBS = np.random.default_rng(1).normal(size=(30, 4))
CLASSES = (BLOBS[:, 0] > 0).astype(int) + (BLOBS[:, 1] > 0)


def trained(compiled, make=OPTIMIZERS["sgd"], data=moons, loss="mse", sizes=(2, 5, 1), epochs=12, **settings):
    model = nn.MLP(sizes, seed=2)
    X, y = data() if callable(data) else data
    run = fit(
        model,
        X,
        y,
        loss=loss,
        optimizer=make(model.parameters()),
        epochs=epochs,
        compiled=compiled,
        accurate=True,
        **settings,
    )
    return run


def weights(run):
    return np.concatenate([array.ravel() for array in run.model.state_dict().values()])


def assert_same(a, b, rtol=1e-10):
    np.testing.assert_allclose(a.loss_curve, b.loss_curve, rtol=rtol)
    np.testing.assert_allclose(a.grad_norms, b.grad_norms, rtol=rtol)
    np.testing.assert_allclose(weights(a), weights(b), rtol=rtol, atol=1e-14)


@pytest.mark.as_python(but=("sgd-None", "nesterov-32", "adam-1"))
@pytest.mark.parametrize("batch_size", [None, 32, 1])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_compiled_training_equals_eager_training(name, batch_size):
    make = OPTIMIZERS[name]
    assert_same(trained(True, make, batch_size=batch_size), trained(False, make, batch_size=batch_size))


@pytest.mark.as_python(but=("cross_entropy",))
@pytest.mark.parametrize("loss", ["mse", "bce_with_logits", "cross_entropy"])
def test_every_loss_trains_the_same_compiled(loss):
    data = (BLOBS, CLASSES if loss == "cross_entropy" else np.eye(3)[CLASSES])
    settings = {"data": data, "loss": loss, "sizes": (4, 6, 3), "batch_size": 7}
    compiled, eager = trained(True, **settings), trained(False, **settings)
    assert_same(compiled, eager)
    assert compiled.loss_curve[-1] < compiled.loss_curve[0]


def test_scalar_and_tensor_back_ends_train_the_same():
    runs = []
    for backend in ("scalar", "tensor"):
        model = nn.MLP([2, 3, 1], seed=0, backend=backend)
        optimizer = optim.SGD(model.parameters(), lr=0.1)
        runs.append(fit(model, *xor_gate(), loss="mse", optimizer=optimizer, epochs=5, batch_size=2))
    np.testing.assert_allclose(runs[0].loss_curve, runs[1].loss_curve, rtol=1e-12)
    assert runs[0].how == "eager: the scalar back end"


def test_training_goes_on_where_it_stopped():
    def pieces(compiled, lengths):
        model = nn.MLP([2, 4, 1], seed=3)
        optimizer = optim.Adam(model.parameters(), lr=0.02)
        for epochs in lengths:
            fit(model, *moons(), loss="mse", optimizer=optimizer, epochs=epochs, shuffle=False, compiled=compiled)
        return np.concatenate([array.ravel() for array in model.state_dict().values()])

    once = pieces(True, [10])
    np.testing.assert_allclose(pieces(True, [4, 6]), once, rtol=1e-12)
    np.testing.assert_allclose(pieces(False, [4, 6]), once, rtol=1e-10)


def test_float32_models_stay_float32():
    model = nn.MLP([2, 5, 1], seed=2)
    for p in model.parameters():
        p.data = p.data.astype(np.float32)
    run = fit(model, *moons(), loss="mse", optimizer=optim.SGD(model.parameters(), lr=0.1), epochs=12, compiled=True)
    assert all(p.dtype == np.float32 for p in model.parameters())
    np.testing.assert_allclose(run.loss_curve, trained(False).loss_curve, rtol=1e-4)


@pytest.mark.parametrize("compiled", [True, False])
def test_nan_stops_at_once_with_the_model_of_the_last_whole_epoch(compiled):
    data = (moons()[0] * 1e3, moons()[1])

    def make(p):
        return optim.SGD(p, lr=1e6)

    with np.errstate(all="ignore"):
        run = trained(compiled, make, data=data, sizes=(2, 1), epochs=200)
        assert 0 < run.n_epochs < 200
        before = trained(compiled, make, data=data, sizes=(2, 1), epochs=run.n_epochs)
    assert "NaN or infinite" in run.stop_reason
    assert f"epoch {run.n_epochs + 1}" in run.stop_reason
    np.testing.assert_array_equal(weights(run), weights(before))


@pytest.mark.parametrize("compiled", [True, False])
def test_tol_stops_at_the_epoch_that_converged_at_names(compiled):
    run = trained(compiled, epochs=500, tol=1e-3)
    assert run.stop_reason.startswith(f"converged after {run.n_epochs} epochs")
    assert run.converged_at(1e-3) == run.n_epochs
    assert trained(compiled, epochs=500).converged_at(1e-3) == run.n_epochs


@pytest.mark.slow
def test_ctrl_c_ends_a_compiled_run_within_half_a_second():
    trained(True)  # compile before the clock starts
    with interrupted_after(0.5) as sent:
        run = trained(True, epochs=5_000_000)
        ended = time.process_time()
    assert ended - sent[-1] < 0.5 * slowness(time.process_time)
    assert 0 < run.n_epochs < 5_000_000
    assert run.stop_reason.startswith(f"interrupted after {run.n_epochs:} of")
    np.testing.assert_allclose(weights(run), weights(trained(True, epochs=run.n_epochs)), rtol=1e-12)


@pytest.mark.usefixtures("slow")
def test_auto_runs_a_short_job_eagerly_and_says_why():
    run = trained("auto", epochs=2)
    assert run.how.startswith("eager: 2 steps, an estimated 0.02 s")


def lstm(times):
    return nn.Sequential(nn.LSTM(2, 3, rng=0), last_output, nn.Linear(3, 1, rng=1)), np.ones((6, times, 2))


WORTH = [  # (model and inputs, seconds of all eager steps, whether a new program is worth it)
    (lambda: (nn.MLP([2, 3, 1]), np.ones((6, 2))), 3.0, True),
    (lambda: (nn.MLP([2, 3, 1]), np.ones((6, 2))), 0.5, False),
    (lambda: lstm(2), 0.5, False),
    (lambda: lstm(2), 30.0, True),
    (lambda: lstm(500), 0.5, False),  # a loop: the program is as long as for two time steps
    (lambda: lstm(500), 2.0, True),
]


@pytest.mark.parametrize(("made", "seconds", "worth"), WORTH)
def test_a_walk_over_time_is_compiled_only_where_its_program_pays(made, seconds, worth):
    model, inputs = made()
    settings = Settings(loss="bce_with_logits", epochs=1000)
    job = job_of(model, inputs, np.ones((6, 1)), optim.RMSprop(model.parameters()), settings)
    program, how = program_if_worth(job, seconds)
    assert (program is not None) is worth
    begin = f"1,000 steps would take an estimated {seconds:g} s eagerly"
    assert how.startswith(f"{'compiled' if worth else 'eager'}: {begin}")
    if not worth:
        lines = program_for(job).lines
        assert how.endswith(f"s that a new program of {lines} lines takes to compile")
        assert 0.3 + 0.001 * lines <= program_for(job).compile_seconds()


@pytest.mark.slow
def test_recurrent_models_and_embeddings_are_trained():
    """Eagerly, unless there is very much to do: series of whole numbers, looked up, walked over, the last output."""
    tokens, y = np.arange(60).reshape(10, 6) % 5, np.arange(10.0) % 2
    model = nn.Sequential(
        nn.Embedding(5, 3, rng=0), nn.GRU(3, 4, rng=1), last_output, nn.Linear(4, 1, rng=2)
    )  # fmt: skip
    run = fit(
        model, tokens, y, loss="bce_with_logits", optimizer=optim.Adam(model.parameters(), lr=0.05), epochs=4,
        batch_size=5,
    )  # fmt: skip
    assert run.how.startswith("eager: ")
    assert run.loss_curve[-1] < run.loss_curve[0]
    other = nn.Sequential(nn.RNN(2, 4, rng=1), last_output, nn.Linear(4, 1, rng=2))
    inputs = np.random.default_rng(0).normal(size=(7, 2, 2))
    runs, start = [], other.state_dict()
    for compiled in (True, False):
        other.load_state_dict(start)
        optimizer = optim.SGD(other.parameters(), lr=0.1)
        runs.append(
            fit(other, inputs, np.ones(7), loss="mse", optimizer=optimizer, epochs=3, batch_size=3, compiled=compiled)
        )
    np.testing.assert_allclose(runs[0].loss_curve, runs[1].loss_curve, rtol=1e-12)


@pytest.fixture
def slow(monkeypatch):
    """A clock by which each eager step takes 10 ms, however busy the machine is."""
    now = itertools.count(0.0, 0.01)
    monkeypatch.setattr(choose, "clock", lambda: next(now))


@pytest.mark.usefixtures("slow")
def test_auto_takes_a_program_that_is_in_the_cache():
    trained(True)
    run = trained("auto", epochs=3000)
    assert run.how.startswith("compiled: 3,000 steps would take")
    assert run.how.endswith("the program is in the cache")


@pytest.mark.usefixtures("slow")
def test_auto_takes_a_program_that_this_process_has_loaded_for_a_shorter_run(monkeypatch):
    """A run that was compiled is repeated to the last bit, and 20 seeds of it take 0.2 s, not 6."""
    monkeypatch.setattr(programs, "PROGRAMS", {})
    assert trained("auto", epochs=20).how.startswith("eager: 20 steps, an estimated 0.2 s in all")
    first = trained(True, epochs=20)
    again = trained("auto", epochs=20)
    assert again.how.startswith("compiled: 20 steps would take an estimated 0.2 s")
    assert weights(again).tobytes() == weights(first).tobytes()
    assert trained("auto", epochs=20, sizes=(2, 5, 1, 1)).how.startswith("eager: 20 steps")  # another network
    assert trained("auto", epochs=2).how.startswith("eager: 2 steps")


@pytest.mark.usefixtures("slow")
def test_what_cannot_be_compiled_is_trained_eagerly_unless_asked_for():
    def loss(p, t):
        return (p - t).sum() if p.sum() > 0.0 else (t - p).sum()  # branches on a value

    how = trained("auto", loss=loss, epochs=200, data=or_gate).how
    assert how.startswith("eager: a compiled function cannot branch on")
    with pytest.raises(TraceError, match="cannot branch"):
        trained(True, loss=loss)
    model = nn.MLP([2, 1], backend="scalar")
    with pytest.raises(TraceError, match="tensor"):
        fit(model, *or_gate(), loss="mse", optimizer=optim.SGD(model.parameters()), epochs=1, compiled=True)


X, Y = or_gate()
BAD = [
    ({"X": X[:3]}, ShapeError, "X has 3 rows and y has 4"),
    ({"X": X * np.nan}, SettingError, "NaN or infinite"),
    ({"X": X.astype(str)}, DtypeError, r"X holds text, such as '0\.0': numbers are needed\. Write float\(text\)"),
    ({"y": list("abba")}, DtypeError, r"y holds text, such as 'a'.*np\.unique\(y, return_inverse=True\)\[1\]"),
    ({"model": nn.MLP}, SettingError, r"model=MLP is a class: make a model of it, as in nn\.MLP\("),
    ({"X": X[:0], "y": Y[:0]}, SettingError, "samples=0"),
    ({"X": X[:, :1]}, ShapeError, "2 wide"),
    ({"y": np.array([0, 1, 2, 7]), "loss": "cross_entropy"}, SettingError, "classes from 0 to 7"),
    ({"loss": "msse"}, NameNotFoundError, "Did you mean 'mse'"),
    ({"epochs": 0}, SettingError, "epochs=0"),
    ({"batch_size": 0}, SettingError, "batch_size=0"),
    ({"compiled": "yes"}, SettingError, "compiled='yes'"),
]


@pytest.mark.parametrize(("change", "error", "words"), BAD)
def test_bad_input_is_one_clear_error_and_trains_nothing(change, error, words):
    model = nn.MLP([2, 2, 1], seed=0)
    before = model.state_dict()
    settings = {"X": X, "y": Y, "loss": "mse", "epochs": 2} | change
    with pytest.raises(error, match=words):
        fit(**{"model": model, "optimizer": optim.SGD(model.parameters(), lr=0.1), **settings})
    assert all(np.array_equal(before[name], array) for name, array in model.state_dict().items())


def test_a_run_is_saved_whole(tmp_path):
    run = trained(False, epochs=3)
    record = json.loads(run.save(tmp_path / "runs" / "a.json").read_text(encoding="utf-8"))
    assert record["loss_curve"] == run.loss_curve.tolist()
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["a.json"]
    assert "3 epochs" in repr(run)


def test_many_runs_equal_single_runs():
    def make(seed):
        return nn.MLP([2, 4, 1], seed=seed)

    def optimizer(p):
        return optim.SGD(p, lr=0.1)

    runs = fit_many(make, *xor_gate(), loss="mse", optimizer=optimizer, epochs=200, seeds=range(6), batch_size=2)
    assert runs.losses.shape == (1, 6)
    for seed in (0, 5):
        model = make(seed)
        one = fit(
            model, *xor_gate(), loss="mse", optimizer=optimizer(model.parameters()), epochs=200, batch_size=2,
            seed=seed, compiled=True,
        )  # fmt: skip
        # side by side, sums over a batch are added in another order; whether that shows depends on the processor
        np.testing.assert_allclose(runs.loss_curves[0, seed], one.loss_curve, rtol=1e-9)


def test_a_grid_of_learning_rates():
    runs = fit_many(
        lambda seed: nn.MLP([2, 4, 1], seed=seed), *xor_gate(), loss="mse", optimizer=OPTIMIZERS["sgd"], epochs=300,
        seeds=range(5), learning_rates=[0.01, 0.1],
    )  # fmt: skip
    assert runs.losses.shape == (2, 5)
    assert runs.predictions.shape == (2, 5, 4, 1)
    assert np.median(runs.losses[1]) < np.median(runs.losses[0])
    assert runs.success_rate(1.0).tolist() == [1.0, 1.0]


class LanguageModel(nn.Module):
    """Embedding, positions, blocks and head, as in GPT; its size of the context is used in Python."""

    def __init__(self, blocks, dropout):
        rng = np.random.default_rng(0)
        self.tokens, self.positions = nn.Embedding(11, 8, rng=rng), nn.Embedding(6, 8, rng=rng)
        self.blocks = [nn.TransformerEncoderLayer(8, 2, 16, dropout=dropout, rng=rng) for _ in range(blocks)]
        self.head = nn.Linear(8, 11, rng=rng)

    def forward(self, ids):
        t = ids.shape[1]
        x = self.tokens(ids) + self.positions(np.arange(t))
        mask = np.triu(np.full((t, t), -1e9), 1)
        for block in self.blocks:
            x = block(x, mask)
        return self.head(x)


@pytest.mark.as_python(but=("5-0.1",))
@pytest.mark.slow
@pytest.mark.parametrize(("blocks", "dropout"), [(1, 0.0), (5, 0.1)])
def test_a_language_model_is_compiled_with_class_numbers_of_two_axes(blocks, dropout):
    rng, curves = np.random.default_rng(0), []
    X, y = rng.integers(0, 11, size=(20, 6)), rng.integers(0, 11, size=(20, 6))
    for compiled in (False, True):
        model = LanguageModel(blocks, dropout)
        adam = optim.Adam(model.parameters(), lr=0.01)
        settings = {"loss": "cross_entropy", "optimizer": adam, "epochs": 2, "batch_size": 8, "seed": 1}
        curves.append(fit(model, X, y, **settings, compiled=compiled).loss_curve)
    np.testing.assert_allclose(*curves, rtol=1e-12)

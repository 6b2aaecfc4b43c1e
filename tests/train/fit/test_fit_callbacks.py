"""Callbacks that write: numbers are read again, and what changes the program is noticed."""

import itertools

import numpy as np
import pytest

from tests.compile.programs import training_without_numba
from tests.train.fit.test_fit_state import Net, X, Y, assert_as_eager, makes, run_of
from tinygrad_edu import fit, fit_many, nn, optim
from tinygrad_edu.errors import SettingError, TinygradError, TraceError
from tinygrad_edu.train import Checkpoint, Histograms, choose


@pytest.fixture(autouse=True)
def slow(monkeypatch):
    """A clock by which each eager step takes 10 s: "auto" compiles whatever it can."""
    now = itertools.count(0.0, 10.0)
    monkeypatch.setattr(choose, "clock", lambda: next(now))


# Callbacks that write


def clip(job):
    for p in job.model.parameters():
        p.data = np.clip(p.data, -0.1, 0.1)


def decay_in_place(job):
    for p in job.model.parameters():
        p.data[...] *= 0.9


def average(job):
    """The weights of an exponential average take the place of the others."""
    mean = job.model.__dict__.setdefault("mean", job.model.state_dict())
    for name, x in job.model.state_dict().items():
        mean[name] = 0.5 * mean[name] + 0.5 * x
    job.model.load_state_dict(mean)


def scale_lr(job):
    job.optimizer.lr = 0.05 / len(job.losses)


def momentum(job):
    job.optimizer.settings["momentum"] = 0.0 if len(job.losses) % 2 else 0.5


def forget(job):
    job.optimizer.memory = [tuple(np.zeros_like(m) for m in each) for each in job.optimizer.memory]


def data_in_place(job):
    job.data[1][...] *= 0.9


NUMBERS_WRITTEN = [clip, decay_in_place, scale_lr, forget, data_in_place]


@pytest.mark.as_python(but=("MLP-clip", "own-scale_lr"))
@pytest.mark.slow
@pytest.mark.parametrize("callback", NUMBERS_WRITTEN)
@pytest.mark.parametrize("make", [lambda: nn.MLP([4, 6, 1], seed=0), lambda: makes(Net.forward)], ids=["MLP", "own"])
def test_numbers_that_a_callback_writes_are_read_again(callback, make):
    def given():
        return {"callbacks": [callback]}

    start = Y.copy()
    eager = run_of(make(), False, **given())
    Y[...] = start
    auto = run_of(make(), "auto", **given())
    Y[...] = start
    assert auto.how.startswith("compiled")
    np.testing.assert_allclose(auto.loss_curve, eager.loss_curve, rtol=1e-9)
    np.testing.assert_allclose(auto.grad_norms, eager.grad_norms, rtol=1e-9)


def beta(job):
    job.model.beta = 1.0 / (1 + len(job.losses))


def new_mask(job):
    job.model.mask = np.arange(6.0) % (1 + len(job.losses) % 3)


def mask_in_place(job):
    job.model.mask[len(job.losses) % 6] = 0.0


def constant_tensor(job):
    job.model.scale.data = job.model.scale.data * 0.9


def own_object(job):
    job.model.own.beta *= 0.9


def frozen(job):
    if len(job.losses) == 3:
        job.model.a.weight.requires_grad = False


def other_forward(job):
    if len(job.losses) == 3:
        job.model.hidden = job.model.a


def other_data(job):
    if len(job.losses) == 2:
        job.data = (job.data[0] * 2.0, job.data[1])


def new_optimizer(job):
    """One with an empty memory, as warm restarts make it."""
    if len(job.losses) == 2:
        job.optimizer = optim.SGD(job.model.parameters(), lr=0.02, momentum=0.5)


def other_optimizer(job):
    if len(job.losses) == 2:
        job.optimizer = optim.Adam(job.model.parameters(), lr=0.02)


STRUCTURE_WRITTEN = [
    new_optimizer, other_optimizer, beta, new_mask, mask_in_place, own_object, frozen, other_forward, other_data,
    average, momentum, constant_tensor,
]  # fmt: skip


@pytest.mark.as_python(but=("average",))
@pytest.mark.parametrize("callback", STRUCTURE_WRITTEN)
def test_what_a_callback_changes_in_python_is_noticed(callback):
    auto = assert_as_eager(lambda: makes(Net.forward), make_settings=lambda: {"callbacks": [callback]}, how="")
    assert auto.how.startswith(("eager after ", "compiled"))
    if auto.how.startswith("eager"):
        assert "a callback has changed" in auto.how


@pytest.mark.slow
@pytest.mark.parametrize("callback", [*STRUCTURE_WRITTEN, *NUMBERS_WRITTEN])
def test_asked_to_compile_it_compiles_anew_or_says_why_not(callback):
    start, model = Y.copy(), makes(Net.forward)
    eager = run_of(makes(Net.forward), False, epochs=5, callbacks=[callback])
    Y[...] = start
    try:
        # for the other callbacks the program is run as Python
        with training_without_numba(unless=callback in (beta, momentum)):
            run = run_of(model, True, epochs=5, callbacks=[callback])
    except TraceError as error:
        said = str(error)
        assert callback in (frozen, other_data), said
    else:
        np.testing.assert_allclose(run.loss_curve, eager.loss_curve, rtol=1e-9)
        assert run.how.startswith("compiled")
    finally:
        Y[...] = start


def test_callbacks_see_gradients_in_both():
    found = {}
    for compiled in (False, "auto"):
        norms = found.setdefault(compiled, [])

        def note(job, norms=norms):
            norms.append([float((p.grad**2).sum()) for p in job.model.parameters()])

        run = run_of(makes(Net.forward), compiled, callbacks=[note])
    assert run.how.startswith("compiled")
    np.testing.assert_allclose(found["auto"], found[False], rtol=1e-9)


def test_callbacks_that_only_log_leave_it_compiled(tmp_path):
    """Also one that keeps its list in the model."""

    def log(job):
        job.model.log.append(job.losses[-1])

    callbacks = [log, Histograms(), Checkpoint(tmp_path / "run")]
    auto = assert_as_eager(lambda: makes(Net.forward), make_settings=lambda: {"callbacks": callbacks}, how="compiled")
    assert len(auto.model.log) == auto.n_epochs


def test_buffers_and_dropout_of_layers_are_no_state_of_the_users():
    class Own(nn.Module):
        def __init__(self):
            self.a, self.n = nn.Linear(4, 6, rng=0), nn.BatchNorm(6)
            self.d, self.b = nn.Dropout(0.3, rng=3), nn.Linear(6, 1, rng=1)

        def forward(self, x):
            return self.b(self.d(np.tanh(self.n(self.a(x)))))

    assert_as_eager(Own, how="compiled", rtol=1e-7)
    assert_as_eager(Own, make_settings=lambda: {"callbacks": [lambda job: None]}, how="compiled", rtol=1e-7)


def own_step(job):
    step = type(job.optimizer).step

    def both():
        step(job.optimizer)
        job.optimizer.params[0].data = 0.9 * job.optimizer.params[0].data

    job.optimizer.step = both


def share_of_a_batch(job):
    """No loss of a batch depends on it, the running statistics do."""
    job.model.norms[0].momentum = 0.5


@pytest.mark.parametrize("change", [own_step, share_of_a_batch, new_optimizer], ids=lambda f: f.__name__)
def test_what_a_callback_changes_beside_the_loss_is_noticed(change):
    states = []
    for compiled in (False, "auto"):
        model = nn.MLP([X.shape[1], 4, 1], seed=0, norm="batch", dropout=0.2)
        sgd = optim.SGD(model.parameters(), lr=0.05)
        fit(model, X, Y[:, :1], loss="mse", optimizer=sgd, epochs=3, compiled=compiled, callbacks=[change])
        states.append(model.state_dict())
    for name, expected in states[0].items():
        np.testing.assert_allclose(states[1][name], expected, rtol=1e-9, atol=1e-12, err_msg=name)


def test_models_of_many_runs_that_keep_other_statistics_are_not_one_kind():
    def make(seed):
        model = nn.MLP([X.shape[1], 4, 1], seed=seed, norm="batch", dropout=0.2)
        model.norms[0].momentum = 0.1 + 0.4 * seed
        return model

    with pytest.raises(TraceError, match="differ in more than their weights"):
        fit_many(make, X, Y[:, :1], loss="mse", optimizer="sgd", epochs=2, seeds=range(2), threads=1)


RETURNED = {
    "an array of shape (3,)": lambda job: np.zeros(3),
    "an array of shape (4, 1)": lambda job: job.model(np.ones((4, 3))),
    "7, of type int": lambda job: 7,  # as log.write("...") returns
    "MLP": lambda job: job.model.eval(),
}


@pytest.mark.parametrize("words", RETURNED)
def test_what_a_callback_returns_by_accident_does_not_end_the_run(words):
    with pytest.raises(SettingError, match="return True to end the run") as error:
        fit(nn.MLP([3, 1], seed=0), np.ones((4, 3)), np.ones(4), loss="mse", optimizer="sgd", epochs=2,
            callbacks=[RETURNED[words]])  # fmt: skip
    assert words in str(error.value)


@pytest.mark.parametrize(("found", "epochs"), [(None, 2), (False, 2), ([], 2), (True, 1), (np.bool_(True), 1)])
def test_true_ends_it(found, epochs):
    settings = {"loss": "mse", "optimizer": "sgd", "epochs": 2, "callbacks": [lambda job: found]}
    assert fit(nn.MLP([3, 1], seed=0), np.ones((4, 3)), np.ones(4), **settings).n_epochs == epochs


def test_a_run_that_has_frozen_everything_says_so():
    def freeze(job):
        for p in job.optimizer.params:
            p.requires_grad = False

    settings = {"loss": "mse", "optimizer": "sgd", "epochs": 3, "callbacks": [freeze], "compiled": False}
    with pytest.raises(SettingError, match="all parameters of the optimizer are frozen"):
        fit(nn.MLP([3, 1], seed=0), np.ones((4, 3)), np.ones(4), **settings)


@pytest.mark.parametrize("compiled", [True, False])
def test_an_optimizer_of_frozen_parameters_alone(compiled):
    model = nn.MLP([3, 1], seed=0)
    for p in model.parameters():
        p.requires_grad = False
    settings = {"loss": "mse", "optimizer": optim.SGD(model.parameters(), 0.1), "epochs": 3, "compiled": compiled}
    with pytest.raises(TinygradError, match=r"all parameters of the optimizer are frozen .*: nothing is left to train"):
        fit(model, np.ones((4, 3)), np.ones(4), **settings)

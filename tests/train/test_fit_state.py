"""fit(compiled="auto") gives what compiled=False gives, whatever Python does between steps, or says why it is eager."""

import itertools
import random
import threading
from dataclasses import dataclass, field

import numpy as np
import pytest

from tinygrad_edu import Tensor, fit, fit_many, nn, ops, optim
from tinygrad_edu.compile.backend import cache
from tinygrad_edu.errors import CompileError, TraceError
from tinygrad_edu.train import Checkpoint, Histograms, choose, fit_online
from tinygrad_edu.train.compiled import programs

X = np.random.default_rng(0).normal(size=(24, 4))
Y = np.sin(X[:, :1])
COUNT, HISTORY, RNG = 0, [], np.random.default_rng(1)


@pytest.fixture(autouse=True)
def slow(monkeypatch):
    """A clock by which each eager step takes 10 s: "auto" compiles whatever it can."""
    now = itertools.count(0.0, 10.0)
    monkeypatch.setattr(choose, "clock", lambda: next(now))


@dataclass
class Schedule:
    """A user's own object, as courses have them."""

    beta: float = 1.0
    seen: list[float] = field(default_factory=list)


class Net(nn.Module):
    calls = 0

    def __init__(self):
        self.a, self.b = nn.Linear(4, 6, rng=0), nn.Linear(6, 1, rng=1)
        self.rng, self.beta, self.mask, self.log = np.random.default_rng(0), 1.0, np.ones(6), []
        self.own, self.scale = Schedule(), Tensor(np.ones(6))
        self.steps = iter(range(10**9))

    def hidden(self, x):
        return np.tanh(self.a(x))

    def forward(self, x):
        return self.b(self.hidden(x) * self.mask * self.scale) * (self.beta * self.own.beta)


def makes(forward):
    """A model whose forward is this function."""

    class Made(Net):
        pass

    Made.forward = forward
    model = Made()
    if forward is not steps_of_an_iterator:
        del model.steps
    return model


def random_mask(s, x):
    return s.b(s.hidden(x) * (s.rng.random(6) > 0.5) * 2.0)


def global_mask(s, x):
    return s.b(s.hidden(x) * (RNG.random(6) > 0.5) * 2.0)


def numpy_noise(s, x):
    return s.b(s.hidden(x) + np.random.normal(size=6))


def python_noise(s, x):
    return s.b(s.hidden(x) * (1.0 + 0.1 * random.random()))


def own_generator_each_time(s, x):
    return s.b(s.hidden(x) * np.random.default_rng().random(6))


def attribute_counter(s, x):
    s.calls += 1
    return s.b(s.hidden(x)) * min(1.0, s.calls / 40)


def late_counter(s, x):
    """The first traces see nothing of it."""
    s.calls += 1
    return s.b(s.hidden(x)) * (1.0 if s.calls < 20 else 0.0)


def class_counter(s, x):
    type(s).calls += 1
    return s.b(s.hidden(x)) * (1.0 if type(s).calls < 20 else 0.5)


def global_counter(s, x):
    global COUNT
    COUNT += 1
    return s.b(s.hidden(x)) * (1.0 if COUNT < 20 else 0.5)


def growing_list(s, x):
    s.log.append(1)
    return s.b(s.hidden(x)) / len(s.log)


def global_list(s, x):
    HISTORY.append(1)
    return s.b(s.hidden(x)) * (1.0 if len(HISTORY) < 20 else 0.5)


def object_schedule(s, x):
    s.own.seen.append(0.0)
    s.own.beta = 1.0 / (1 + len(s.own.seen) // 10)
    return s.b(s.hidden(x)) * s.own.beta


def steps_of_an_iterator(s, x):
    return s.b(s.hidden(x)) / (1.0 + next(s.steps))


def array_written(s, x):
    s.mask *= 0.99
    return s.b(s.hidden(x) * s.mask)


def weight_written(s, x):
    s.b.weight.data = np.clip(s.b.weight.data, -0.05, 0.05)
    return s.b(s.hidden(x))


def default_argument(s, x, seen=[]):  # noqa: B006
    seen.append(1)
    return s.b(s.hidden(x)) * (1.0 if len(seen) < 20 else 0.5)


FORWARDS = [
    random_mask, global_mask, numpy_noise, python_noise, attribute_counter, late_counter, class_counter, global_counter,
    growing_list, global_list, object_schedule, steps_of_an_iterator, array_written, weight_written, default_argument,
]  # fmt: skip


def reset():
    """What lies outside of a model, as before the first run."""
    global COUNT, RNG
    COUNT, RNG = 0, np.random.default_rng(1)
    HISTORY.clear()
    default_argument.__defaults__[0].clear()
    np.random.seed(5)
    random.seed(5)


def counting_loss(calls):
    """A loss with a schedule in its closure."""

    def loss(z, t):
        calls[0] += 1
        return np.mean((z - t) ** 2) * (1.0 if calls[0] < 20 else 0.5)

    return loss


class LossObject:
    def __init__(self):
        self.calls = 0

    def __call__(self, z, t):
        self.calls += 1
        return np.mean((z - t) ** 2) / self.calls


def run_of(model, compiled, loss="mse", epochs=12, **settings):
    reset()
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.5)
    return fit(model, X, Y, loss=loss, optimizer=optimizer, epochs=epochs, batch_size=8, compiled=compiled, **settings)


def assert_as_eager(make, make_loss=lambda: "mse", make_settings=dict, how="eager", rtol=1e-9):
    """Auto's numbers are the eager ones; where it is eager too, to the last bit, and so is what Python keeps."""
    models = [make(), make()]
    auto, eager = (run_of(m, c, make_loss(), **make_settings()) for m, c in zip(models, ("auto", False), strict=True))
    assert auto.how.startswith(how), auto.how
    if auto.how.startswith("eager:"):
        np.testing.assert_array_equal(auto.loss_curve, eager.loss_curve)
        assert vars(models[0]).get("calls") == vars(models[1]).get("calls")
    for name in ("loss_curve", "grad_norms", "update_norms"):
        np.testing.assert_allclose(getattr(auto, name), getattr(eager, name), rtol=rtol, err_msg=name)
    for name, x in models[1].state_dict().items():
        np.testing.assert_allclose(models[0].state_dict()[name], x, rtol=rtol, atol=1e-12, err_msg=name)
    return auto


@pytest.mark.parametrize("forward", FORWARDS)
def test_state_that_forward_changes_is_not_frozen(forward):
    auto = assert_as_eager(lambda: makes(forward))
    assert "step" in auto.how or "each call" in auto.how


@pytest.mark.parametrize("forward", FORWARDS)
def test_asked_to_compile_it_is_one_named_error_and_nothing_is_changed(forward):
    model = makes(forward)
    before, log = model.state_dict(), list(model.log)
    with pytest.raises(TraceError):
        run_of(model, True)
    assert all(np.array_equal(before[name], x) for name, x in model.state_dict().items())
    assert (model.log, model.calls, COUNT, HISTORY) == (log, Net.calls, 0, [])


def test_a_generator_made_anew_at_each_call():
    """There is no right answer to compare with, but the loss goes up and down, as it does eagerly."""
    run = run_of(makes(own_generator_each_time), "auto")
    assert run.how.startswith("eager: forward or the loss computes something else at each call")


@pytest.mark.parametrize("make_loss", [lambda: counting_loss([0]), LossObject])
def test_state_in_a_loss_is_not_frozen(make_loss):
    assert_as_eager(lambda: makes(Net.forward), make_loss)
    with pytest.raises(TraceError, match=r"each step changes|something else at each call"):
        run_of(makes(Net.forward), True, make_loss())


def test_code_without_a_module_is_looked_at_too():
    space = {"np": np, "calls": [0]}
    exec("def loss(z, t):\n    calls[0] += 1\n    return np.mean((z - t)**2) * (1.0 if calls[0] < 9 else 0.5)", space)
    assert_as_eager(lambda: nn.MLP([4, 6, 1], seed=0), lambda: space["calls"].__setitem__(0, 0) or space["loss"])


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


STRUCTURE_WRITTEN = [
    beta, new_mask, mask_in_place, own_object, frozen, other_forward, other_data, average, momentum, constant_tensor,
]  # fmt: skip


@pytest.mark.parametrize("callback", STRUCTURE_WRITTEN)
def test_what_a_callback_changes_in_python_is_noticed(callback):
    auto = assert_as_eager(lambda: makes(Net.forward), make_settings=lambda: {"callbacks": [callback]}, how="")
    assert auto.how.startswith(("eager after ", "compiled"))
    if auto.how.startswith("eager"):
        assert "a callback has changed" in auto.how


@pytest.mark.parametrize("callback", [*STRUCTURE_WRITTEN, *NUMBERS_WRITTEN])
def test_asked_to_compile_it_compiles_anew_or_says_why_not(callback):
    start, model = Y.copy(), makes(Net.forward)
    eager = run_of(makes(Net.forward), False, epochs=5, callbacks=[callback])
    Y[...] = start
    try:
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


# Whatever a trace or the compiler cannot do


HARD = {
    "columns by a list": lambda s, x: s.b(s.hidden(x)[:, [0, 2, 1, 3, 4, 5]]),
    "np.take": lambda s, x: s.b(np.take(s.hidden(x), np.arange(6), axis=1)),
    "np.roll": lambda s, x: s.b(s.hidden(np.roll(x, 1, axis=1))),
    "np.round": lambda s, x: s.b(s.hidden(np.round(x))),
    "np.sort": lambda s, x: s.b(s.hidden(np.sort(x, axis=1))),
    "astype": lambda s, x: s.b(s.hidden(x.astype(float))),
    "copy": lambda s, x: s.b(s.hidden(x.copy())),
    "//": lambda s, x: s.b(s.hidden(x // 1)),
    "np.asarray": lambda s, x: s.b(s.hidden(np.asarray(x))),
    "np.eye(...)[x]": lambda s, x: s.b(s.hidden(np.eye(4)[(x > 0).argmax(axis=1)])),
    "decides by a value": lambda s, x: s.b(s.hidden(x)) * (1.0 if x[0, 0] > 0 else 2.0),
    "decides by a size": lambda s, x: s.b(s.hidden(x)) * (1.0 if x.shape[0] > 3 else 2.0),
    "a loop over rows": lambda s, x: s.b(s.hidden(np.stack(list(x)))),
    "its own graph": lambda s, x: s.b(s.hidden(x)) + float(np.sum(x)),
    "an einsum": lambda s, x: s.b(s.hidden(np.einsum("ij->ij", x))),
    "item": lambda s, x: s.b(s.hidden(x)) * x[0, 0].item(),
    "an isinstance": lambda s, x: s.b(s.hidden(x)) * (1.0 if isinstance(x, np.ndarray) else 2.0),
    "a complex number": lambda s, x: s.b(s.hidden(np.real(x + 0j))),
    "float max": lambda s, x: np.max(s.hidden(x), axis=1, keepdims=True) + s.b(s.hidden(x)),
}


@pytest.mark.parametrize("name", HARD)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_auto_is_never_worse_than_eager(name, dtype):
    def make():
        model = makes(HARD[name])
        for p in model.parameters():
            p.data = p.data.astype(dtype)
        return model

    auto = assert_as_eager(make, how="", rtol=1e-9 if dtype is np.float64 else 1e-3)
    try:
        run = run_of(make(), True, epochs=2)
    except TraceError:
        assert auto.how.startswith("eager: ")
    else:
        np.testing.assert_allclose(run.loss_curve, run_of(make(), False, epochs=2).loss_curve, rtol=1e-4)


class BoomError(Exception):
    pass


@pytest.mark.parametrize("error", [BoomError, KeyError, NotImplementedError, MemoryError, RecursionError, OSError])
@pytest.mark.parametrize("place", ["load", "call_first"])
def test_whatever_the_compiler_raises(error, place, monkeypatch):
    """The eager numbers under "auto", one named error when asked to compile."""

    def fails(*_):
        raise error("no room")

    monkeypatch.setattr(cache, place, fails)
    monkeypatch.setattr(programs, "PROGRAMS", {})
    assert_as_eager(lambda: nn.MLP([4, 6, 1], seed=0))
    model = nn.MLP([4, 6, 1], seed=0)
    before = model.state_dict()
    with pytest.raises(TraceError, match="no room"):
        run_of(model, True)
    assert all(np.array_equal(before[name], x) for name, x in model.state_dict().items())


def test_errors_of_ones_own_are_the_eager_ones():
    def wrong(s, x):
        return ops.tanh(s.a(x)) @ s.a(x)

    for compiled in (False, True, "auto"):
        with pytest.raises(ValueError, match="shapes"):
            run_of(makes(wrong), compiled)


# The other ways of training


class Scaled(nn.Module):
    def __init__(self, seed, beta):
        self.a, self.beta = nn.Linear(4, 1, rng=seed), beta

    def forward(self, x):
        return self.a(x) * self.beta


def test_many_models_that_differ_in_python_are_not_one_program():
    given = {"loss": "mse", "optimizer": "sgd", "epochs": 3, "seeds": range(3), "threads": 1}
    many = fit_many(lambda seed: Scaled(seed, 2.0), X, Y, **given)
    for seed in range(3):
        model = Scaled(seed, 2.0)
        one = fit(model, X, Y, loss="mse", optimizer="sgd", epochs=3, seed=seed, compiled=False)
        np.testing.assert_allclose(many.loss_curves[0, seed], one.loss_curve, rtol=1e-10)
    with pytest.raises(TraceError, match="differ in more than their weights"):
        fit_many(lambda seed: Scaled(seed, 1.0 + seed), X, Y, **given)


def online(compiled, loss):
    model = nn.Elman(4, 3, 1, seed=0)
    return fit_online(model, X, Y, loss=loss, optimizer=optim.SGD(model.parameters(), lr=0.1), epochs=420,
                      compiled=compiled)  # fmt: skip


@pytest.mark.parametrize("make_loss", [lambda: counting_loss([0]), LossObject])
def test_state_in_a_loss_is_not_frozen_online(make_loss):
    auto, eager = online("auto", make_loss()), online(False, make_loss())
    assert auto.how.startswith(("eager: each step changes", "eager: the loss computes something else"))
    np.testing.assert_array_equal(auto.loss_curve, eager.loss_curve)
    with pytest.raises(TraceError):
        online(True, make_loss())


def test_online_is_never_worse_than_eager(monkeypatch):
    auto = online("auto", lambda z, t: np.mean((z - np.frombuffer(t.tobytes()).reshape(z.shape)) ** 2))
    assert auto.how.startswith("eager: AttributeError")

    def fails(*_):
        raise MemoryError("no room")

    monkeypatch.setattr(cache, "load", fails)
    assert online("auto", "mse").how == "eager: the compiler: MemoryError: no room"
    with pytest.raises(CompileError, match="no room"):
        online(True, "mse")


class DrawnElsewhere:
    """A state after which another thread has used the generator of the module random."""

    def first_change(self):
        return "the module random"


@pytest.mark.parametrize("draws", [False, True])
def test_random_numbers_of_another_thread_are_not_taken_for_those_of_the_step(draws):
    def forward(s, x):
        return s.a(x) * (random.random() if draws else 1.0)

    model = type("Own", (nn.Module,), {"forward": forward})()
    model.a = nn.Linear(4, 1, rng=0)
    settings = {"loss": "mse", "optimizer": "sgd", "epochs": 1}
    job = fit(model, np.ones((6, 4)), np.ones((6, 1)), compiled=False, **settings).job
    done = threading.Event()
    other = threading.Thread(target=done.wait)
    other.start()
    try:
        assert programs.what_a_step_changes(job, DrawnElsewhere()) == ("the module random" if draws else "")
    finally:
        done.set()
        other.join()

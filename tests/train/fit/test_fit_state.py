"""fit(compiled="auto") gives what compiled=False gives, whatever Python does between steps, or says why it is eager."""

import itertools
import random
from dataclasses import dataclass, field

import numpy as np
import pytest

from tinygrad_edu import Tensor, fit, nn, optim
from tinygrad_edu.errors import TraceError
from tinygrad_edu.train import choose

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
    assert any(reason in auto.how for reason in ("step", "each call", "looks at the numbers"))


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
    assert run.how.startswith("eager: forward or the loss calls os.urandom, which answers otherwise at each call")


@pytest.mark.parametrize("make_loss", [lambda: counting_loss([0]), LossObject])
def test_state_in_a_loss_is_not_frozen(make_loss):
    assert_as_eager(lambda: makes(Net.forward), make_loss)
    with pytest.raises(TraceError, match=r"each step changes|something else at each call"):
        run_of(makes(Net.forward), True, make_loss())


def test_code_without_a_module_is_looked_at_too():
    space = {"np": np, "calls": [0]}
    exec("def loss(z, t):\n    calls[0] += 1\n    return np.mean((z - t)**2) * (1.0 if calls[0] < 9 else 0.5)", space)
    assert_as_eager(lambda: nn.MLP([4, 6, 1], seed=0), lambda: space["calls"].__setitem__(0, 0) or space["loss"])


def normalized():
    """BatchNorm in a forward of one's own, whose first batch is compared with the eager one before the run."""
    model = makes(lambda s, x: s.b(np.tanh(s.norm(s.a(x)))))
    model.norm = nn.BatchNorm(6)
    return model


@pytest.mark.as_python(but=("settings1",))
@pytest.mark.slow
@pytest.mark.parametrize("settings", [{}, {"clip_norm": 0.1}, {"clip_value": 0.01}])
def test_running_statistics_are_those_of_the_steps_alone(settings):
    assert_as_eager(normalized, make_settings=lambda: settings, how="compiled")


@pytest.mark.slow
def test_a_first_batch_that_differs_leaves_the_statistics_as_they_were():
    def forward(s, x):
        return s.b(np.tanh(s.norm(s.a(x)))) * (0.5 if "Traced" in object.__repr__(x) else 1.0)

    def make():
        model = makes(forward)
        model.norm = nn.BatchNorm(6)
        return model

    assert_as_eager(make)
    model = make()
    before = model.state_dict()
    with pytest.raises(TraceError, match="something else when it is traced"):
        run_of(model, True)
    assert all(np.array_equal(before[name], x) for name, x in model.state_dict().items())

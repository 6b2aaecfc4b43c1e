"""`fit_online` compiled is `fit_online` eager, or says why not: what optimizers, rates and models do beside a rule."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn, optim
from tinygrad_edu.errors import CompileError, TraceError
from tinygrad_edu.train import fit_online, online

X = np.stack([np.sin(np.arange(12.0)), np.cos(np.arange(12.0))], axis=1)
Y = np.cos(np.arange(12.0))[:, None]


def elman(kind=nn.Elman):
    return kind(2, 3, 1, seed=0)


class ReadsWeights(nn.Elman):
    def step(self, x, state):
        y, state = super().step(x, state)
        return y * (1.0 + float(self.hidden.bias.data.sum())), state


class KnowsATrace(nn.Elman):
    def step(self, x, state):
        y, state = super().step(x, state)
        return y * (1.0 if type(y) is tg.Tensor else 2.0), state


class ZeroTimesInfinity(nn.Elman):
    def step(self, x, state):
        y, state = super().step(x, state)
        return y + tg.ops.where(y > 1e9, np.exp(1e9 + y * y), 0.0), state


class Shrinking(optim.SGD):
    def step(self):
        super().step()
        for p in self.params:
            p.data = 0.99 * p.data


def patched(parameters):
    made = optim.SGD(parameters, lr=0.05)
    step = made.step

    def both():
        step()
        made.params[0].data = 0.9 * made.params[0].data

    made.step = both
    return made


def frozen_later(parameters):
    made = optim.SGD(parameters, lr=0.05, weight_decay=0.1)
    parameters[0].requires_grad = False
    return made


def groups(kind, **first):
    return lambda p: kind([{"params": p[:1], **first}, {"params": p[1:], "weight_decay": 0.1}], lr=0.01)


def sgd(parameters, lr=0.05):
    return optim.SGD(parameters, lr=lr)


KINDS = {
    "groups": (nn.Elman, groups(optim.SGD, lr=0.3, momentum=0.5), "groups of parameters"),
    "groups of Adam": (nn.Elman, groups(optim.Adam, lr=0.3), "groups of parameters"),
    "frozen after": (nn.Elman, frozen_later, "requires_grad is False"),
    "own step": (nn.Elman, lambda p: Shrinking(p, lr=0.05), "a step of its own"),
    "a step put in its place": (nn.Elman, patched, "a step of its own"),
    "rate of the weights": (nn.Elman, lambda p: sgd(p, lambda t: 0.1 / (1.0 + abs(p[0].data.sum()))), "reads Tensors"),
    "plain number of a weight": (ReadsWeights, sgd, "looks at the numbers of hidden.bias"),
    "other code in a trace": (KnowsATrace, sgd, "something else when it is traced"),
    "0 times infinity": (ZeroTimesInfinity, sgd, "0 times infinity"),
}


def train(kind, optimizer, compiled, epochs=2):
    model = elman(kind)
    made = optimizer(model.parameters())
    with np.errstate(all="ignore"):
        run = fit_online(model, X, Y, loss="mse", optimizer=made, epochs=epochs, compiled=compiled)
    return run, model.state_dict(), made.t


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_what_a_program_would_do_otherwise_runs_eagerly(kind, monkeypatch):
    monkeypatch.setattr(online, "COMPILE_FROM", 1)
    model, optimizer, words = KINDS[kind]
    (eager, state, t), (auto, found, steps) = (train(model, optimizer, way) for way in (False, "auto"))
    np.testing.assert_array_equal(auto.loss_curve, eager.loss_curve)
    assert steps == t
    assert all(np.array_equal(found[name], state[name]) for name in state)
    assert words in auto.how
    with pytest.raises((TraceError, CompileError), match=words):
        train(model, optimizer, True)


@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_last_step_to_infinite_weights_is_taken_back(compiled):
    steps = 3 * len(X)
    run, state, t = train(nn.Elman, lambda p: sgd(p, lambda t: np.where(t < steps - 1, 0.05, 1.7e308)), compiled, 3)
    assert run.n_epochs == 2
    assert run.stop_reason.startswith(
        "stopped in epoch 3: the loss, the gradient or the weights became NaN or infinite"
    )
    assert all(np.isfinite(x).all() for x in state.values())
    assert set(t) == {2 * len(X)}


class Dropping(nn.Elman):
    def __init__(self, *sizes, seed):
        super().__init__(*sizes, seed=seed)
        self.dropout = nn.Dropout(0.5, rng=np.random.default_rng(1))

    def step(self, x, state):
        y, state = super().step(x, state)
        return self.dropout(y), state


def test_it_trains_in_training_mode_as_fit_does_and_leaves_the_mode():
    curves = []
    for mode in (True, False):
        model = Dropping(2, 3, 1, seed=0).train(mode)
        curves.append(fit_online(model, X, Y, loss="mse", optimizer="sgd", epochs=1).loss_curve)
        assert model.dropout.training is mode
    np.testing.assert_array_equal(*curves)


def test_a_program_trains_some_of_the_parameters_as_eager_steps_do():
    (eager, state, t), (run, found, steps) = (train(nn.Elman, lambda p: sgd(p[1:], 0.1), way) for way in (False, True))
    np.testing.assert_allclose(run.loss_curve, eager.loss_curve, rtol=1e-12)
    assert steps == t
    for name, x in state.items():
        np.testing.assert_allclose(found[name], x, rtol=1e-12)


@pytest.mark.parametrize("options", [{"num_layers": 2}, {"bidirectional": True}])
def test_several_layers_are_refused_in_clear_words(options):
    with pytest.raises(TraceError, match="this GRU has several layers or directions: a program of fit_online holds"):
        train(lambda *_, seed: nn.GRU(2, 1, rng=seed, **options), lambda p: sgd(p, 0.1), True)


class Remembers(nn.Elman):
    """What it keeps in Python takes part in its output."""

    cut_at = 0

    def forward(self, x, state=None):
        self.calls, self.log = getattr(self, "calls", 0) + 1, [*getattr(self, "log", []), 0.01]
        if self.calls == Remembers.cut_at:
            raise KeyboardInterrupt
        output, after = super().forward(x, state)
        return output * (1.0 + sum(self.log)), after


class Counts:
    calls = 0

    def __call__(self, output, y):
        self.calls += 1
        return ((output - y) ** 2).mean() * (1.0 + 0.01 * self.calls)


def test_ctrl_c_leaves_what_model_and_loss_keep_in_python_as_after_the_last_whole_epoch():
    x = np.sin(np.arange(9.0))[:, None]

    def train(epochs, cut_at):
        Remembers.cut_at = cut_at
        model, loss = Remembers(1, 3, 1, seed=0), Counts()
        run = fit_online(model, x, x, loss=loss, optimizer="sgd", epochs=epochs, compiled=False)
        return run.n_epochs, len(model.log), loss.calls, model.hidden.bias.data.tolist()

    whole, cut = train(2, 0), train(5, 2 * 9 + 4)
    assert whole == cut
    assert whole[:3] == (2, 18, 18)

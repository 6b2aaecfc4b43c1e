"""What is added to a model of ours leaves with it: hooks, another forward, parameters of a derived class."""

import copy

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.interop.node import literal, numbers, run
from tinygrad_edu import nn, optim
from tinygrad_edu.errors import SettingError, TraceError
from tinygrad_edu.interop.torch_weights import load_torch_state_dict, torch_state_dict

X = np.random.default_rng(0).normal(size=(3, 4))


def sequential():
    return nn.Sequential(nn.Linear(4, 3, rng=0), nn.Tanh(), nn.Linear(3, 2, rng=1))


def hooked(model):
    model.register_forward_hook(lambda _, inputs, output: output * 2.0)
    return model


def hooked_before(model):
    model.register_forward_pre_hook(lambda _, inputs: (inputs[0] * 2.0,))
    return model


def another_forward(model):
    forward = model.forward
    model.forward = lambda x: 3.0 * forward(x)
    return model


MAKERS = [sequential, lambda: nn.MLP([4, 3, 2], seed=0)]
CHANGES = [lambda model: model, hooked, hooked_before, another_forward]


def test_in_javascript(tmp_path):
    text, expected = "", []
    for i, model in enumerate(change(make()) for make in MAKERS for change in CHANGES):
        program = tg.export(model, tmp_path / "net.js", X, name=f"net{i}").read_text()
        text += f"{program}\nfound.push(Array.from(net{i}.create().predict({literal(X)})));\n"
        expected.append(model.eval()(X).data.ravel())
    for found, outputs in zip(run(text, tmp_path), expected, strict=True):
        np.testing.assert_allclose(numbers(found), outputs, rtol=1e-12)


@pytest.mark.parametrize("change", CHANGES[1:])
def test_a_template_of_many_runs_cannot_be_changed(change):
    with pytest.raises(SettingError, match="have been changed since it was made"):
        tg.fit_many(change(MAKERS[1]()), X, X[:, :2], loss="mse", optimizer="sgd", epochs=1, seeds=[0])


class Scaled(nn.MLP):
    def __init__(self, sizes, seed=0):
        super().__init__(sizes, seed=seed)
        self.scale, self.last = nn.Parameter([3.0]), nn.GRU(2, 2, rng=0)


class Bare(nn.MultiHeadAttention):
    def __init__(self):
        super().__init__(4, 2, rng=0)
        self.scale = nn.Parameter([3.0])


def with_bonus():
    model = sequential()
    model.bonus = nn.Parameter([1.0])
    return model


@pytest.mark.parametrize("make", [lambda: Scaled([4, 3, 2]), Bare, with_bonus])
def test_weights_for_torch_are_all_of_them(make):
    model = make()
    state, found = model.state_dict(), torch_state_dict(model)
    assert {"scale", "bonus"} & found.keys()
    other = copy.deepcopy(model)
    other.load_state_dict({name: x * 0.0 for name, x in state.items()})
    load_torch_state_dict(other, found)
    for name, x in other.state_dict().items():
        np.testing.assert_array_equal(x, state[name])


def test_a_number_too_large_for_float32_is_not_written_as_infinity(tmp_path):
    pytest.importorskip("onnx")
    model = another_forward(nn.Linear(4, 2, rng=0))
    forward = model.forward
    model.forward = lambda x: forward(x) * 1e300 * 1e-300
    with pytest.raises(TraceError, match=r"1e\+300 is infinite in float32"):
        tg.export(model, tmp_path / "net.onnx", X)
    tg.export(model, tmp_path / "net.onnx", X, dtype="float64")


class Shrinking(optim.SGD):
    def step(self):
        super().step()
        for p in self.params:
            p.data = 0.9 * p.data


REFUSED = {
    "a step of its own": lambda p: Shrinking(p, lr=0.1),
    "reads Tensors": lambda p: optim.SGD(p, lr=lambda t: 0.1 / (1.0 + abs(p[0].data.sum()))),
    "groups of parameters": lambda p: optim.SGD([{"params": p[:1]}, {"params": p[1:], "lr": 0.2}], lr=0.1),
}


@pytest.mark.parametrize("words", REFUSED)
@pytest.mark.parametrize("ending", [".c", ".js"])
def test_a_program_that_trains_holds_no_steps_of_ones_own(words, ending, tmp_path):
    with pytest.raises(TraceError, match=words):
        tg.export(MAKERS[1](), tmp_path / f"net{ending}", X, X[:, :2], loss="mse", optimizer=REFUSED[words])

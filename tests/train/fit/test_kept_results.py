"""Models that keep results of their forward pass on themselves, as in `self.out = h`: those are no parameters."""

import numpy as np
import pytest

from tinygrad_edu import Tensor, fit, nn, no_grad, optim
from tinygrad_edu.errors import OperandError, TraceError

X = np.random.default_rng(0).normal(size=(12, 3))
Y = X[:, :1] * 2.0


class Keeping(nn.Module):
    """It keeps a Tensor, or Tensors in a list and a dict."""

    def __init__(self, how="", backend="tensor"):
        self.inner = nn.Linear(3, 1, rng=np.random.default_rng(0), backend=backend)
        self.how, self.cache = how, []

    def forward(self, x):
        h = self.inner(x)
        if self.how == "attribute":
            self.out = h
        elif self.how == "containers":
            self.cache, self.named = [x, [h * 2.0]], {"h": h}
        return h


def train(model, **settings):
    sgd = optim.SGD(model.parameters(), lr=0.1)
    return fit(model, X, Y, **{"loss": "mse", "optimizer": sgd, "epochs": 4, "batch_size": 5, "seed": 0} | settings)


@pytest.mark.parametrize("how", ["attribute", "containers"])
@pytest.mark.parametrize("settings", [{}, {"validation": 0.25}, {"compiled": False, "patience": 2}], ids=str)
def test_training_is_that_of_a_model_that_keeps_nothing(how, settings):
    model, plain = Keeping(how), Keeping()
    for _ in range(2):  # the second time the results of the first are there already
        np.testing.assert_array_equal(train(model, **settings).loss_curve, train(plain, **settings).loss_curve)
        with no_grad():
            model(X)
    assert len(model.parameters()) == 2
    np.testing.assert_array_equal(model.inner.weight.data, plain.inner.weight.data)


@pytest.mark.parametrize("backend", ["tensor", "scalar"])
def test_results_are_neither_parameters_nor_saved(backend):
    model = Keeping("attribute", backend)
    names = list(model.state_dict())
    model(X)
    assert list(model.state_dict()) == names == ["inner.weight", "inner.bias"]
    assert sum(1 for _ in model.named_arrays()) == 2
    optim.SGD(model.parameters(), lr=0.1)


def test_a_compiled_program_would_keep_nothing_and_says_so():
    with pytest.raises(TraceError, match=r"each step changes model\.out, .*`if not self\.training"):
        train(Keeping("attribute"), compiled=True)


def test_a_weight_that_was_computed_is_refused_and_not_left_untrained():
    model = Keeping()
    model.scale = Tensor([1.0], requires_grad=True) * 0.1
    with pytest.raises(OperandError, match=r"computed from others: make its numbers first, as in Parameter"):
        train(model)


class KeepingConstants(nn.Module):
    """It keeps Tensors without gradient: results of forward, and a running mean that forward replaces."""

    def __init__(self):
        self.inner, self.before = nn.Linear(3, 1, rng=np.random.default_rng(0)), None
        self.mean, self.cache = Tensor([0.0]), []
        self.register_buffer("count", Tensor([0.0]))

    def forward(self, x):
        h = self.inner(x)
        self.before, self.cache, self.named = h.detach(), [h.detach()], {"h": [h.detach()]}
        with no_grad():
            self.twice = h * 2.0
            self.mean = 0.9 * self.mean + 0.1 * h.mean()
        self.count = Tensor([1.0])
        return h - self.mean


STATE = {"count", "inner.weight", "inner.bias", "mean"}


def test_constants_that_forward_alone_sets_are_no_state(tmp_path):
    model, whole, resumed = KeepingConstants(), KeepingConstants(), KeepingConstants()
    train(model, compiled=False, epochs=2).save(tmp_path / "run.safetensors")
    assert set(model.state_dict()) == STATE
    run = train(resumed, compiled=False, resume_from=tmp_path / "run.safetensors")
    np.testing.assert_array_equal(run.loss_curve, train(whole, compiled=False).loss_curve)
    with no_grad():
        whole(X)
    assert set(whole.state_dict()) == STATE
    resumed.load_state_dict(whole.state_dict())
    np.testing.assert_array_equal(resumed.mean.data, whole.mean.data)


def test_what_is_set_elsewhere_is_state_again():
    model = KeepingConstants()
    model(X)
    model.before = Tensor([1.0])
    model(X)
    assert set(model.state_dict()) == {*STATE, "before"}


class Appending(nn.Module):
    """It fills containers in forward, in a helper, and in a class above."""

    def __init__(self):
        self.inner, self.cache, self.named = nn.Linear(3, 1, rng=np.random.default_rng(0)), [], {}
        self.constants = [Tensor([1.0])]

    def note(self, h):
        self.named["h"] = h.detach()

    def forward(self, x):
        h = self.inner(x)
        self.cache.append(h.detach())
        self.note(h)
        return h


class Derived(Appending):
    def forward(self, x):
        return super().forward(x) * self.constants[0]


def forward_on_the_object():
    model = nn.Sequential(nn.Linear(3, 1, rng=np.random.default_rng(0)))

    def forward(x):
        h = model[0](x)
        model.h = h.detach()
        return h

    model.forward = forward
    return model


def hooked():
    model = nn.Sequential(nn.Linear(3, 1, rng=np.random.default_rng(0)))
    model[0].register_forward_hook(lambda module, inputs, output: setattr(module, "h", output.detach()))
    return model


FILLING = [Appending, Derived, forward_on_the_object, hooked]


@pytest.mark.parametrize("make", FILLING)
def test_constants_that_a_forward_appends_or_a_hook_sets_are_no_state(make, tmp_path):
    model, whole = make(), make()
    names = set(model.state_dict())
    train(model, compiled=False, epochs=2).save(tmp_path / "run.safetensors")
    assert set(model.state_dict()) == names
    run = train(make(), compiled=False, resume_from=tmp_path / "run.safetensors")
    np.testing.assert_array_equal(run.loss_curve, train(whole, compiled=False).loss_curve)
    with no_grad():
        whole(X)
    whole.load_state_dict(model.state_dict())
    if "constants.0" in names:
        whole.cache.append(Tensor([1.0]))
        whole.constants.append(Tensor([2.0]))
        assert set(whole.state_dict()) == {*names, "constants.1"}


class Appends(nn.Module):
    """A list that holds a constant before the first forward, which adds results to it."""

    def __init__(self):
        self.inner, self.kept = nn.Linear(3, 3, rng=0), [Tensor(np.ones(3))]

    def forward(self, x):
        h = self.inner(x)
        self.kept.append(h.detach())
        return h * self.kept[0]


class AppendsLists(Appends):
    def forward(self, x):
        h = self.inner(x)
        self.kept.append([h.detach()])
        return h * self.kept[0]


class SetsKeys(Appends):
    def forward(self, x):
        self.kept = self.kept if isinstance(self.kept, dict) else {"0": self.kept[0]}
        self.kept[str(len(self.kept))] = self.inner(x).detach()
        return self.inner(x) * self.kept["0"]


class MovesMean(Appends):
    def forward(self, x):
        h = self.inner(x)
        self.kept[0] = 0.9 * self.kept[0] + 0.1 * h.detach().mean(axis=0)
        return h * self.kept[0]


@pytest.mark.parametrize("kind", [Appends, AppendsLists, SetsKeys, MovesMean])
def test_what_forward_adds_to_a_constant_is_no_state(kind, tmp_path):
    """The file of a model that was used loads into a fresh one; the constant, also a new one in its place, is state."""
    used, fresh = [nn.Sequential(kind(), nn.Linear(3, 1, rng=1)) for _ in range(2)]
    names = list(used.state_dict())
    with no_grad():
        used(X)
        used(X)
    used.save(tmp_path / "m.safetensors")
    fresh.load(tmp_path / "m.safetensors")
    assert list(used.state_dict()) == names == list(fresh.state_dict())
    np.testing.assert_array_equal(fresh.state_dict()["layers.0.kept.0"], used.state_dict()["layers.0.kept.0"])

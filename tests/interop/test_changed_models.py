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


def train(optimizer, callbacks=(), epochs=3, **more):
    model = MAKERS[1]()
    sgd = optimizer(model.parameters())
    return tg.fit(
        model, X, X[:, :2], loss="mse", optimizer=sgd, epochs=epochs, batch_size=2, shuffle=False,
        callbacks=callbacks, **more,
    )  # fmt: skip


def sgd(p):
    return optim.SGD(p, lr=0.1)


def scale_weights(job):
    job.model.layers[0].weight.data = 0.9 * job.model.layers[0].weight.data


WRITERS = {
    "rate": lambda job: setattr(job.optimizer, "lr", 0.01),
    "setting": lambda job: job.optimizer.param_groups[0].update(momentum=0.5),
    "weights": scale_weights,
    "batch size": lambda job: setattr(job, "batch_size", 3),
    "late freezing": lambda job: setattr(job.model.layers[0].bias, "requires_grad", len(job.losses) > 1),
}
WAYS = {**REFUSED, "step set on the object": lambda p: set_step(sgd(p))}


def set_step(optimizer):
    step = optimizer.step
    optimizer.step = lambda: step() or None
    return optimizer


@pytest.mark.parametrize("writes", WRITERS)
def test_a_run_whose_callbacks_changed_something_gives_no_program_that_trains(writes, tmp_path):
    run = train(sgd, [WRITERS[writes]])
    with pytest.raises(TraceError, match="callbacks of this run changed weights, rates, batches or other settings"):
        tg.export(run, tmp_path / "net.js")
    tg.export(run, tmp_path / "net.js", train=False)


@pytest.mark.parametrize("from_file", [False, True])
def test_it_is_not_forgotten_when_the_run_goes_on(from_file, tmp_path):
    def once(job):
        if len(job.losses) == 1:
            scale_weights(job)

    run = train(sgd, [once])
    if from_file:
        run.save(tmp_path / "run.npz")
        run = train(sgd, [lambda job: None], epochs=5, resume_from=tmp_path / "run.npz")
    else:
        run = run.resume(5)
    with pytest.raises(TraceError, match="callbacks of this run changed weights"):
        tg.export(run, tmp_path / "net.js")


@pytest.mark.parametrize("way", WAYS)
def test_a_run_gives_no_program_with_another_optimizer_than_its_own(way, tmp_path):
    with pytest.raises(TraceError):
        tg.export(train(WAYS[way]), tmp_path / "net.js")


def test_a_run_is_written_with_the_parameters_that_it_trained(tmp_path):
    first = train(lambda p: sgd(p[2:]), [lambda job: None])
    before = first.model.state_dict()
    program = tg.export(first, tmp_path / "net.js").read_text()
    script = f"{program}\nconst net = network.create(); net.train({literal(X)}, {literal(X[:, :2])}, 3, null);"
    (found,) = run(f"{script}\nfound.push(Array.from(net.predict({literal(X)})));", tmp_path)
    again = tg.fit(
        first.model, X, X[:, :2], loss="mse", optimizer=lambda p: sgd(p[2:]), epochs=3, batch_size=2, shuffle=False,
    )  # fmt: skip
    np.testing.assert_allclose(numbers(found), again.model.eval()(X).data.ravel(), rtol=1e-9)
    np.testing.assert_array_equal(first.model.state_dict()["layers.0.weight"], before["layers.0.weight"])

"""A resumed run of the user's code is the whole run, or is refused: models, losses and optimizers that keep a state."""

import random

import numpy as np
import pytest

from tinygrad_edu import fit, nn, optim
from tinygrad_edu.errors import SettingError

X = np.random.default_rng(0).normal(size=(12, 3))
STEPS = [0]


class Own(nn.Module):
    """One layer, and what `make` makes, in `kept`; `use` gives a factor for the output."""

    n, default = 0, 0

    def __init__(self, make, use, backend="tensor"):
        self.layer, self.kept, self.use = nn.Linear(3, 1, rng=0, backend=backend), make(), use

    def forward(self, x):
        return self.layer(x) * self.use(self, x)


class Holder:
    k = 0


def add(thing, name):
    setattr(thing, name, getattr(thing, name) + 1)
    return getattr(thing, name)


def count_globally(model, x):
    STEPS[0] += 1
    return 1.0 / STEPS[0]


def move_mean(model, x):
    model.kept = 0.9 * model.kept + 0.1
    return model.kept.sum()


def note(model, x):
    model.kept.append(len(model.kept))
    return 1.0


HELD = {  # what a file holds, or what has no effect
    "number": (lambda: 0, lambda m, x: 1.0 / add(m, "kept")),
    "number of the class": (lambda: 0, lambda m, x: 1.0 / add(m, "default")),
    "only while it trains": (lambda: 0.5, lambda m, x: 1.0 / (add(m, "kept") if m.training else 1.0)),
    "generator": (lambda: np.random.default_rng(1), lambda m, x: m.kept.random()),
    "a list that only grows": (list, note),
    "results": (list, lambda m, x: setattr(m, "out", m.layer(x)) or setattr(m, "more", [m.out]) or 1.0),
}
REFUSED = {
    "list": (list, lambda m, x: m.kept.append(1) or 1.0 / len(m.kept)),
    "dict": (lambda: {"k": 0}, lambda m, x: m.kept.update(k=m.kept["k"] + 1) or 1.0 / m.kept["k"]),
    "array": (lambda: np.zeros(1), move_mean),
    "object": (Holder, lambda m, x: 1.0 / add(m.kept, "k")),
    "random": (lambda: random.Random(1), lambda m, x: m.kept.random()),
    "RandomState": (lambda: np.random.RandomState(1), lambda m, x: m.kept.rand()),
    "generator in a list": (lambda: [np.random.default_rng(1)], lambda m, x: m.kept[0].random()),
    "numpy.random": (list, lambda m, x: np.random.rand()),
    "global": (list, count_globally),
}


def sgd(parameters):
    return optim.SGD(parameters, lr=0.05)


def train(model, epochs, path=None, optimizer=sgd, loss="mse", way=False, **more):
    return fit(
        model, X, X[:, :1], loss=loss, optimizer=optimizer(model.parameters()), epochs=epochs, batch_size=5,
        compiled=way, resume_from=path, **more,
    )  # fmt: skip


def curves(make, path, **settings):
    """The loss curve of the whole run, and that of one that is resumed with new objects."""
    whole = train(make(), 4, **settings).loss_curve
    train(make(), 2, **settings).save(path)
    return whole, lambda: train(make(), 4, path, **settings).loss_curve


@pytest.fixture(autouse=True)
def _state():
    np.random.seed(0)
    STEPS[0], Own.default = 0, 0


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.safetensors"


@pytest.mark.parametrize("backend", ["tensor", "scalar"])
@pytest.mark.parametrize("kind", HELD)
def test_what_the_file_holds_goes_on(kind, backend, path):
    whole, resume = curves(lambda: Own(*HELD[kind], backend=backend), path)
    np.testing.assert_array_equal(resume(), whole)


@pytest.mark.parametrize("kind", REFUSED)
def test_what_no_file_holds_is_refused(kind, path):
    _, resume = curves(lambda: Own(*REFUSED[kind]), path)
    with pytest.raises(SettingError, match=r"each step changes .*, and a file does not hold that: keep it as a buffer"):
        resume()


class Remembering(optim.SGD):
    """An optimizer with a step and a memory of its own, as programs for PyTorch write it."""

    def step(self):
        self.kept = getattr(self, "kept", {})
        for i, p in enumerate(self.params):
            self.kept[i] = 0.9 * self.kept.get(i, 0.0) + p.grad
            p.data = p.data - self.lr * self.kept[i]


def counting_loss():
    count = 0

    def loss(z, y):
        nonlocal count
        count += 1
        return np.mean((z - y) ** 2) / count

    return loss


@pytest.mark.parametrize("own", ["optimizer", "loss"])
def test_optimizers_and_losses_that_remember_are_refused(own, path):
    train(Own(list, note), 2, optimizer=lambda p: Remembering(p, lr=0.1), loss=counting_loss()).save(path)
    settings = {"optimizer": lambda p: Remembering(p, lr=0.1)} if own == "optimizer" else {"loss": counting_loss()}
    train(Own(list, note), 2, **settings).save(path)
    with pytest.raises(SettingError, match=r"each step changes (optimizer|count)"):
        train(Own(list, note), 4, path, **settings)


def sequential(activation=nn.Tanh, p=0.2, **norm):
    layers = [
        nn.Linear(3, 4, rng=0),
        nn.BatchNorm(4, **norm),
        activation(),
        nn.Dropout(p, rng=1),
        nn.Linear(4, 1, rng=2),
    ]
    return nn.Sequential(*layers)


def with_number(k):
    return Own(lambda: k, lambda m, x: m.kept)


OTHERS = {
    "layers.2.class was 'Tanh' and is 'ReLU' now": (sequential, lambda: sequential(nn.ReLU)),
    "layers.3.p was 0.2 and is 0.5 now": (sequential, lambda: sequential(p=0.5)),
    "layers.1.momentum was 0.1 and is 0.3 now": (sequential, lambda: sequential(momentum=0.3)),
    r"layers.2.settings was {'slope': 0.1} and is {'slope': 0.2} now": (
        lambda: sequential(lambda: nn.LeakyReLU(0.1)), lambda: sequential(lambda: nn.LeakyReLU(0.2))
    ),
    "model.kept was 1.0 and is 2.0 now": (lambda: with_number(1.0), lambda: with_number(2.0)),
    "model.kept was 1.0 and is None now": (lambda: with_number(1.0), lambda: with_number(None)),
}  # fmt: skip


@pytest.mark.parametrize("words", OTHERS)
def test_a_model_that_computes_something_else_is_refused(words, path):
    make, other = OTHERS[words]
    train(make(), 2).save(path)
    with pytest.raises(SettingError, match=words):
        train(other(), 4, path)


def lower(job):
    if len(job.losses) == 1:
        job.model[3].p = 0.0


def switch(job):
    if len(job.losses) == 1:
        job.model.layers[2] = nn.ReLU()


def set_new(job):
    job.model.late = 3


def test_a_number_that_a_callback_has_set_stays(path):
    whole, resume = curves(lambda: sequential(p=0.9), path, callbacks=[lower])
    np.testing.assert_array_equal(resume()[2:], whole[2:])


def test_another_layer_that_a_callback_has_set_is_refused(path):
    _, resume = curves(sequential, path, callbacks=[switch])
    with pytest.raises(SettingError, match=r"the run changed model\..* to 'ReLU', and a file does not hold that"):
        resume()


@pytest.mark.parametrize("callbacks", [[], [set_new]])
def test_a_number_that_is_new_is_put_back(callbacks, path):
    def count(model, x):
        model.k = getattr(model, "k", 0) + 1
        return getattr(model, "late", 1.0) / model.k

    whole, resume = curves(lambda: Own(list, count), path, callbacks=callbacks)
    np.testing.assert_allclose(resume(), whole, rtol=1e-12)


SCALE = 1.0


def scaled(model, x):
    return SCALE


class Squares:
    """A loss that is an object."""

    def __init__(self, factor=1.0):
        self.factor = factor

    def __call__(self, z, y):
        return np.mean((z - y) ** 2) * self.factor


def hooked(model):
    model.layer.register_forward_hook(lambda module, inputs, output: output * 2.0)
    return model


def own():
    return Own(list, lambda m, x: 1.0)


SAME = {
    "lambda": ((own, lambda z, y: np.mean(np.abs(z - y))), (own, lambda z, y: np.mean(np.abs(z - y)))),
    "object": ((own, Squares()), (own, Squares())),
    "hook": ((lambda: hooked(own()), "mse"), (lambda: hooked(own()), "mse")),
    "float32": ((lambda: own().astype("float32"), "mse"), (lambda: own().astype("float32"), "mse")),
}
CHANGED = {
    "lambda": ((own, lambda z, y: np.mean((z - y) ** 2)), (own, lambda z, y: np.mean(np.abs(z - y)))),
    "object": ((own, Squares()), (own, Squares(2.0))),
    "hook": ((own, "mse"), (lambda: hooked(own()), "mse")),
    "function": ((own, "mse"), (lambda: Own(list, lambda m, x: 2.0), "mse")),
    "number in a list": (
        (lambda: Own(lambda: [1.0], lambda m, x: m.kept[0]), "mse"),
        (lambda: Own(lambda: [2.0], lambda m, x: m.kept[0]), "mse"),
    ),
}


@pytest.mark.parametrize(("kind", "compiled"), [*((kind, False) for kind in SAME), ("float32", True)])
def test_the_same_code_goes_on(kind, compiled, path):
    (make, loss), (again, same) = SAME[kind]
    curves = [train(make(), epochs, loss=loss, way=compiled) for epochs in (2, 4)]
    curves[0].save(path)
    resumed = train(again(), 4, path, loss=same, way=compiled)
    np.testing.assert_allclose(resumed.loss_curve, curves[1].loss_curve, rtol=1e-12)


@pytest.mark.parametrize("kind", CHANGED)
def test_other_code_of_the_same_name_is_refused(kind, path):
    (make, loss), (other, another) = CHANGED[kind]
    train(make(), 2, loss=loss).save(path)
    model = other()
    before = model.state_dict()
    with pytest.raises(SettingError, match=r"the first batch has the loss .*, and had .* when this run began"):
        train(model, 4, path, loss=another)
    for name, x in model.state_dict().items():
        np.testing.assert_array_equal(x, before[name])


def test_another_global_number_is_refused(path, monkeypatch):
    train(Own(list, scaled), 2).save(path)
    monkeypatch.setitem(globals(), "SCALE", 2.0)
    with pytest.raises(SettingError, match=r"a number that they read is another one than then"):
        train(Own(list, scaled), 4, path)


def test_an_iterator_is_refused_and_not_moved(path):
    numbers = iter(range(1, 100))
    train(Own(lambda: numbers, lambda m, x: 1.0 / next(m.kept)), 2).save(path)
    following = next(numbers)
    with pytest.raises(SettingError, match=r"model\.kept is an iterator .*, and a file does not hold that"):
        train(Own(lambda: numbers, lambda m, x: 1.0 / next(m.kept)), 4, path)
    assert next(numbers) == following + 1

"""Freezing as in PyTorch: what needs no gradient stays a parameter, and is trained again once it needs one."""

import copy
import itertools
import pickle

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn, optim
from tinygrad_edu.errors import SettingError

X = np.random.default_rng(0).normal(size=(24, 2))
Y = (X[:, :1] * X[:, 1:] > 0) * 1.0
NAMES = ["layers.0.weight", "layers.0.bias", "layers.2.weight", "layers.2.bias"]


def network(frozen=True):
    model = nn.Sequential(nn.Linear(2, 4, rng=0), nn.Tanh(), nn.Linear(4, 1, rng=1))
    model.layers[0].requires_grad_(not frozen)
    return model


def loop(flag):
    return f"for p in part.parameters(): p.requires_grad = {flag}"


SETS = {
    "a loop": loop("FLAG"),
    "a loop by name": "for name, p in part.named_parameters(): p.requires_grad = FLAG",
    "a method of each": "for p in part.parameters(): p.requires_grad_(FLAG)",
    "a method of all": "part.requires_grad_(FLAG)",
    "one by one": "part.layers[0].weight.requires_grad = part.layers[0].bias.requires_grad = FLAG",
}


@pytest.mark.parametrize("program", SETS.values(), ids=SETS)
def test_every_way_of_freezing_is_undone_by_the_same_way(program):
    model = network(frozen=False)
    for flag in (False, True, False, True):
        exec(program.replace("FLAG", str(flag)), {"part": model})
        assert [name for name, _ in model.named_parameters()] == NAMES
        assert len(model.parameters()) == 4
        assert not list(model.named_buffers())
        assert model.layers[0].weight.requires_grad == flag


COPIES = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),
}


@pytest.mark.parametrize("make", COPIES.values(), ids=COPIES)
def test_copies_have_the_same_parameters(make):
    made = make(network())
    assert [(name, p.requires_grad) for name, p in made.named_parameters()] == [(n, n > "layers.1") for n in NAMES]
    made.requires_grad_(True)
    assert len(made.parameters()) == len(optim.SGD(made.parameters(), lr=0.1).params) == 4


def test_files_and_states_hold_frozen_parameters(tmp_path):
    model, other = network(), network(frozen=False)
    other.layers[0].weight.data = np.ones((4, 2))
    model.save(tmp_path / "m.safetensors")
    other.load(tmp_path / "m.safetensors")
    assert np.array_equal(other.layers[0].weight.data, model.layers[0].weight.data)
    assert sorted(model.state_dict()) == sorted(other.state_dict()) == sorted(NAMES)


def test_a_moving_average_by_zip_meets_each_with_its_own():
    model = network(frozen=False)
    teacher = copy.deepcopy(model).requires_grad_(False)
    model.layers[0].requires_grad_(False)
    model.layers[2].weight.data += 1.0
    for mean, p in zip(teacher.parameters(), model.parameters(), strict=True):
        mean.data = 0.5 * mean.data + 0.5 * p.data
    assert np.allclose(teacher.layers[2].weight.data + 0.5, model.layers[2].weight.data)
    assert np.array_equal(teacher.layers[0].weight.data, model.layers[0].weight.data)


def test_constants_and_buffers_are_no_parameters():
    class Scaled(nn.Module):
        def __init__(self):
            self.scale = tg.Tensor([2.0])
            self.fixed = nn.Parameter([1.0], requires_grad=False)
            self.register_buffer("seen", tg.Tensor([0.0], requires_grad=True))

    assert [name for name, _ in Scaled().named_parameters()] == ["fixed"]
    assert {name for name, _ in Scaled().named_buffers()} == {"scale", "seen"}


def frozen_twice(order, compiled):
    """Fit with a frozen layer, unfreeze it by PyTorch's loop, and fit again."""
    model = network(frozen=False)
    make = {
        "by name": lambda: "adam",
        "groups": lambda: optim.AdamW(
            [{"params": model.layers[0].parameters()}, {"params": model.layers[2].parameters(), "lr": 0.1}],
            weight_decay=0.1,
        ),
        "LBFGS": lambda: optim.LBFGS(model.parameters(), max_iter=3),
    }.get(order, lambda: optim.AdamW(model.parameters(), lr=0.05, weight_decay=0.1))
    early = make() if order == "before" else None
    model.layers[0].requires_grad_(False)
    optimizer = early or make()
    states = [model.state_dict()]
    for way in (compiled, "auto" if compiled else False):
        tg.fit(model, X, Y, loss="bce_with_logits", optimizer=optimizer, epochs=3, seed=0, compiled=way)
        states.append(model.state_dict())
        exec(loop("True"), {"part": model})
    return states


@pytest.mark.parametrize("order", ["after", "before", "by name", "groups", "LBFGS"])
def test_frozen_layers_stay_and_then_learn_eager_as_compiled(order):
    eager = frozen_twice(order, False)
    for name in NAMES:
        same = [np.array_equal(a[name], b[name]) for a, b in itertools.pairwise(eager)]
        assert same == [name < "layers.1", False], name
    if order not in ("before", "groups"):  # their frozen parameters are held: operation by operation
        compiled = frozen_twice(order, True)
        assert all(np.allclose(a[n], b[n], rtol=1e-9) for a, b in zip(eager, compiled, strict=True) for n in NAMES)


def test_an_optimizer_takes_up_what_is_trained_again():
    model = network()
    optimizer = optim.Adam(model.parameters(), lr=0.1, weight_decay=0.5)
    before = model.state_dict()
    for steps in (1, 2):
        optimizer.zero_grad()
        tg.nn.losses.mse(model(X), Y).backward()
        optimizer.step()
        moved = {name for name, x in model.state_dict().items() if not np.array_equal(x, before[name])}
        assert moved == set(NAMES[2:] if steps == 1 else NAMES)
        model.requires_grad_(True)
    assert [p.label or n for n, p in zip(NAMES, optimizer.params, strict=True)] == NAMES
    assert optimizer.t == [1, 1, 2, 2]
    assert [m[0].shape for m in optimizer.memory] == [p.shape for p in optimizer.params]


def test_nothing_left_to_train_is_said():
    with pytest.raises(SettingError, match="nothing is left to train"):
        tg.fit(network().requires_grad_(False), X, Y, loss="mse", optimizer="adam", epochs=1)
    with pytest.raises(SettingError, match="Values always have a gradient"):
        nn.Linear(2, 1, backend="scalar").requires_grad_(False)


def test_a_callback_that_unfreezes():
    model = network()

    def unfreeze(progress):
        model.requires_grad_(True)

    first = model.state_dict()
    optimizer = optim.SGD(model.parameters(), lr=0.5)
    for compiled in (False, "auto"):
        model.load_state_dict(first)
        model.layers[0].requires_grad_(False)
        run = tg.fit(
            model, X, Y, loss="bce_with_logits", optimizer=optimizer, epochs=3, callbacks=[unfreeze], compiled=compiled
        )
        assert len(run.loss_curve) == 3
        assert not np.array_equal(model.layers[0].weight.data, first["layers.0.weight"])

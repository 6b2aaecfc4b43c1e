"""What else PyTorch and Keras were told of a training is repeated: schedules, groups, weights, callbacks, both ways."""

import json
import math
import types

import numpy as np
import pytest

from tinygrad_edu.clinic.diagnosis.facts import foreign
from tinygrad_edu.clinic.diagnosis.facts.foreign_training import class_weights
from tinygrad_edu.clinic.diagnosis.proof.retrain import train_setup
from tinygrad_edu.errors import SettingError
from tinygrad_edu.interop import from_keras, rates

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
SUM, CLASSES = X.sum(axis=1), (X[:, 0] > 0.8).astype(int)


@pytest.fixture
def torch():
    module = pytest.importorskip("torch")
    module.manual_seed(0)
    return module


# schedulers

SCHEDULERS = {
    "StepLR": lambda S, o: S.StepLR(o, 3, 0.5),
    "MultiStepLR": lambda S, o: S.MultiStepLR(o, [3, 7], 0.1),
    "ExponentialLR": lambda S, o: S.ExponentialLR(o, 0.9),
    "LambdaLR": lambda S, o: S.LambdaLR(o, lambda t: 1 / (1 + t)),
    "MultiplicativeLR": lambda S, o: S.MultiplicativeLR(o, lambda t: 0.95),
    "CosineAnnealingLR": lambda S, o: S.CosineAnnealingLR(o, 10, 0.01),
    "CosineAnnealingWarmRestarts": lambda S, o: S.CosineAnnealingWarmRestarts(o, 4, 2),
    "OneCycleLR": lambda S, o: S.OneCycleLR(o, 1.0, total_steps=40),
    "CyclicLR": lambda S, o: S.CyclicLR(o, 0.01, 0.5, step_size_up=5),
    "PolynomialLR": lambda S, o: S.PolynomialLR(o, 10, 2.0),
    "LinearLR": lambda S, o: S.LinearLR(o, 0.1, total_iters=5),
    "ConstantLR": lambda S, o: S.ConstantLR(o, 0.1, total_iters=5),
    "SequentialLR": lambda S, o: S.SequentialLR(
        o, [S.LinearLR(o, 0.1, total_iters=4), S.CosineAnnealingLR(o, 12)], [4]
    ),
    "ChainedScheduler": lambda S, o: S.ChainedScheduler([S.ConstantLR(o, 0.1, total_iters=4), S.ExponentialLR(o, 0.9)]),
}


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore")  # torch's warnings about epochs
@pytest.mark.parametrize("done", [0, 12])
@pytest.mark.parametrize("kind", SCHEDULERS)
def test_the_rates_of_a_scheduler(kind, done, torch):
    def made():
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5, momentum=0.9)
        return optimizer, SCHEDULERS[kind](torch.optim.lr_scheduler, optimizer)

    optimizer, scheduler = made()
    theirs = []
    for _ in range(16):
        theirs.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    optimizer, scheduler = made()
    for _ in range(done):
        optimizer.step()
        scheduler.step()
    schedule, each = rates.of_torch(scheduler, 16, 5), 1 if kind in rates.BY_BATCH and not done else 5
    ours = [schedule(t) for t in range(16 * each)]
    np.testing.assert_allclose(ours, np.repeat(theirs, each), rtol=1e-6)


@pytest.mark.torch
def test_a_scheduler_is_asked_for_where_the_rate_has_changed(torch):
    model = torch.nn.Sequential(torch.nn.Linear(3, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.1)
    optimizer.step()
    scheduler.step()
    how = {"loss": torch.nn.MSELoss(), "optimizer": optimizer, "epochs": 5, "batch_size": 20}
    with pytest.raises(SettingError, match=r"began with the rate 0.1 and has 0.01 now: give scheduler="):
        foreign.of_torch(model, X, SUM[:, None], how)
    setup = foreign.of_torch(model, X, SUM[:, None], {**how, "scheduler": scheduler}).setup
    assert [setup.lr(t) for t in (0, 2, 3, 6)] == pytest.approx([0.1, 0.1, 0.01, 0.001])


# Groups of parameters and weights of classes: one step of torch and one of ours from the same start


def step_of_torch(torch, model, loss, optimizer, y):
    optimizer.zero_grad()
    loss(model(torch.tensor(X)), torch.tensor(y)).backward()
    optimizer.step()
    return [p.detach().numpy().copy() for p in model.parameters()]


def step_of_ours(subject, start):
    """The parameters after one step of the Setup, from the same weights."""
    from tinygrad_edu.clinic.diagnosis.proof.retrain import Jobs
    from tinygrad_edu.train.fit import train_job

    job = Jobs(subject.setup, subject.task).job((math.nan, 1))
    for p, array in zip(job.model.parameters(), start, strict=True):
        p.data = array.copy()
    train_job(job, False)
    return [p.array for p in job.model.parameters()]


GROUPS = {
    "a rate for each layer": lambda net, optim: optim.SGD(
        [{"params": net[0].parameters(), "lr": 0.01}, {"params": net[2].parameters(), "lr": 0.3}], lr=0.1, momentum=0.5
    ),
    "no decay of biases": lambda net, optim: optim.Adam(
        [{"params": [net[0].weight, net[2].weight], "weight_decay": 0.3}, {"params": [net[0].bias, net[2].bias]}],
        lr=0.1,
    ),
    "in another order": lambda net, optim: optim.SGD(
        [{"params": [net[2].bias, net[0].weight], "lr": 0.5}, {"params": [net[0].bias, net[2].weight]}], lr=0.02
    ),
}


@pytest.mark.torch
@pytest.mark.parametrize("name", GROUPS)
def test_groups_of_parameters_take_the_steps_of_torch(name, torch):
    T = torch.nn
    model = T.Sequential(T.Linear(3, 5), T.Tanh(), T.Linear(5, 1)).double()
    start, optimizer = [p.detach().numpy().copy() for p in model.parameters()], GROUPS[name](model, torch.optim)
    how = {"loss": T.MSELoss(), "optimizer": optimizer, "epochs": 1}
    subject = foreign.of_torch(model, X, SUM[:, None], how)
    theirs = step_of_torch(torch, model, T.MSELoss(), optimizer, SUM[:, None])
    for ours, wanted in zip(step_of_ours(subject, start), theirs, strict=True):
        np.testing.assert_allclose(ours, wanted, rtol=1e-6, atol=1e-9)
    slower = subject.setup.but({"lr": 0.1 * subject.setup.rate})  # a change of the rate scales the rates of all groups
    assert [g["lr"] for g in slower.groups] == pytest.approx([0.1 * g["lr"] for g in subject.setup.groups])


LOSSES = {  # (loss of torch, number of outputs, targets)
    "weight": (lambda T, t: T.CrossEntropyLoss(weight=t.tensor([1.0, 7.0]).double()), 2, CLASSES),
    "pos_weight": (lambda T, t: T.BCEWithLogitsLoss(pos_weight=t.tensor([6.0])), 1, CLASSES[:, None].astype(float)),
    "sum": (lambda T, t: T.CrossEntropyLoss(weight=t.tensor([1.0, 7.0]).double(), reduction="sum"), 2, CLASSES),
}


@pytest.mark.torch
@pytest.mark.parametrize("name", LOSSES)
def test_weighted_losses_take_the_steps_of_torch(name, torch):
    T = torch.nn
    make, width, y = LOSSES[name]
    loss, model = make(T, torch), T.Sequential(T.Linear(3, 5), T.Tanh(), T.Linear(5, width)).double()
    start = [p.detach().numpy().copy() for p in model.parameters()]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    subject = foreign.of_torch(model, X, y, {"loss": loss, "optimizer": optimizer, "epochs": 1})
    theirs = step_of_torch(torch, model, loss, optimizer, y)
    for ours, wanted in zip(step_of_ours(subject, start), theirs, strict=True):
        np.testing.assert_allclose(ours, wanted, rtol=1e-6, atol=1e-9)


# Keras


def keras_json(*layers, shape=(3,)):
    made = [{"class_name": "InputLayer", "config": {"batch_shape": [None, *shape]}}, *layers]
    return json.dumps({"class_name": "Sequential", "config": {"layers": made}})


def dense(units, activation="linear"):
    return {"class_name": "Dense", "config": {"units": units, "activation": activation}}


NET = keras_json(dense(8, "relu"), dense(1, "sigmoid"))
HOW = {"loss": "binary_crossentropy", "optimizer": "adam", "lr": 0.05, "epochs": 60, "batch_size": 20}


def callback(kind, **settings):
    """What Keras has under that name."""
    return type(kind, (types.SimpleNamespace,), {})(**settings)


def test_class_weight_counts_each_sample_of_a_class():
    given = {0: 0.5, 1: 4.0}
    for y in (CLASSES, CLASSES[:, None].astype(float), np.eye(2)[CLASSES]):
        np.testing.assert_array_equal(class_weights(given, y), np.where(CLASSES, 4.0, 0.5))
    setup = foreign.of_keras(NET, X, CLASSES, {**HOW, "class_weight": given}).setup
    np.testing.assert_array_equal(setup.weights, np.where(CLASSES, 4.0, 0.5))
    with pytest.raises(SettingError, match="class_weight='balanced'"):
        foreign.of_keras(NET, X, CLASSES, {**HOW, "class_weight": "balanced"})


@pytest.mark.parametrize("restores", [True, False])
def test_early_stopping_ends_and_restores_as_it_says(restores):
    stop = callback("EarlyStopping", monitor="val_loss", patience=2, min_delta=0.0, restore_best_weights=restores)
    with pytest.raises(SettingError, match="give validation= too"):
        foreign.of_keras(NET, X, RNG.permutation(CLASSES), {**HOW, "callbacks": [stop]})
    how = {**HOW, "callbacks": [stop], "validation": 0.5}
    subject = foreign.of_keras(NET, X, RNG.permutation(CLASSES), how)
    assert subject.task.samples == 30
    np.testing.assert_array_equal(subject.task.held_out[0], X[30:])  # Keras holds out the last samples
    assert (subject.setup.patience, subject.setup.validated, subject.setup.restores) == (2, True, restores)
    last = {}
    for chosen in (True, False):
        run = train_setup(subject.setup.but({"restores": chosen}), subject.task, [1])[0]
        assert len(run.losses) < 60
        last[chosen] = run.model.parameters()[0].array
    assert not np.allclose(last[True], last[False])


def test_other_callbacks():
    plateau = callback("ReduceLROnPlateau", monitor="loss", factor=0.5, patience=3, cooldown=0, min_lr=1e-4)
    setup = foreign.of_keras(NET, X, CLASSES, {**HOW, "callbacks": [plateau]}).setup
    assert setup.lr.kind == "reduce_on_plateau"
    steps = callback("LearningRateScheduler", schedule=lambda epoch: 0.1 / (1 + epoch))
    setup = foreign.of_keras(NET, X, CLASSES, {**HOW, "callbacks": [steps]}).setup
    assert [setup.lr(t) for t in (0, 2, 3, 6)] == pytest.approx([0.1, 0.1, 0.05, 0.1 / 3])
    odd, quiet = callback("Mine"), callback("ModelCheckpoint")
    assert foreign.of_keras(NET, X, CLASSES, {**HOW, "callbacks": [odd, quiet]}).notes == (
        "the callback Mine, which is not repeated",
    )


SCHEDULES = {  # by Keras' documentation: (config, the rate at step t)
    "ExponentialDecay": ({"decay_steps": 10, "decay_rate": 0.5}, lambda t: 0.2 * 0.5 ** (t / 10)),
    "InverseTimeDecay": ({"decay_steps": 10, "decay_rate": 0.5}, lambda t: 0.2 / (1 + 0.5 * t / 10)),
    "CosineDecay": ({"decay_steps": 20, "alpha": 0.1}, lambda t: 0.2 * (0.1 + 0.45 * (1 + math.cos(math.pi * t / 20)))),
    "PolynomialDecay": (
        {"decay_steps": 20, "end_learning_rate": 0.02, "power": 2.0},
        lambda t: 0.02 + 0.18 * (1 - t / 20) ** 2,
    ),
    "PiecewiseConstantDecay": (
        {"boundaries": [5, 12], "values": [0.2, 0.1, 0.05]},
        lambda t: 0.2 if t <= 5 else 0.1 if t <= 12 else 0.05,
    ),
}


def test_every_schedule_of_keras():
    assert SCHEDULES.keys() == rates.KERAS.keys()
    for kind, (config, formula) in SCHEDULES.items():
        schedule = rates.of_keras({"class_name": kind, "config": {"initial_learning_rate": 0.2, **config}})
        np.testing.assert_allclose([schedule(t) for t in range(20)], [formula(t) for t in range(20)], rtol=1e-9)
    with pytest.raises(SettingError, match="Mine has no counterpart"):
        rates.of_keras({"class_name": "Mine", "config": {}})


MERGED = {
    "concat": lambda a, b: np.concatenate([a, b], axis=-1), "sum": np.add, "ave": lambda a, b: (a + b) / 2,
    "mul": np.multiply,
}  # fmt: skip


@pytest.mark.parametrize("every", [True, False])
@pytest.mark.parametrize("merge", MERGED)
def test_bidirectional_goes_both_ways(merge, every):
    config = {"units": 2, "activation": "tanh", "return_sequences": every}
    both = {"layer": {"class_name": "SimpleRNN", "config": config}, "merge_mode": merge}
    W, U, b = (RNG.normal(size=(2, *shape)) for shape in ((3, 2), (2, 2), (2,)))

    def states(rows, k):
        h, found = np.zeros((len(rows), 2)), []
        for t in range(rows.shape[1]):
            h = np.tanh(rows[:, t] @ W[k] + h @ U[k] + b[k])
            found.append(h)
        return np.stack(found, axis=1)

    series = RNG.normal(size=(4, 5, 3))
    forward, backward = states(series, 0), states(series[:, ::-1], 1)
    wanted = MERGED[merge](forward, backward[:, ::-1]) if every else MERGED[merge](forward[:, -1], backward[:, -1])

    def layer(kind, config, *weights):
        return type(kind, (), {"get_config": lambda self: config, "get_weights": lambda self: list(weights)})()

    layers = [layer("Bidirectional", both, W[0], U[0], b[0], W[1], U[1], b[1])]
    model = types.SimpleNamespace(
        layers=layers, get_config=lambda: {}, get_weights=lambda: [], input_shape=(None, 5, 3)
    )
    np.testing.assert_allclose(from_keras(model)(series).numpy(), wanted, rtol=1e-12)
    text = keras_json({"class_name": "Bidirectional", "config": both}, dense(1), shape=(5, 3))
    assert from_keras(text)(series).shape == ((4, 5, 1) if every else (4, 1))


def test_weights_that_leave_the_rare_class_out_are_seen_and_balanced():
    from tinygrad_edu.clinic.diagnosis.causes.table import BY_CODE
    from tinygrad_edu.clinic.diagnosis.facts.measurements import Record
    from tinygrad_edu.clinic.diagnosis.symptoms.data import imbalance

    seen = {}
    for name, given in {"upside down": {0: 20.0, 1: 1.0}, "balanced": {0: 1.0, 1: 3.5}, "none": None}.items():
        record = Record(foreign.of_keras(NET, X, CLASSES, {**HOW, "class_weight": given}))
        seen[name] = (imbalance(record) is not None, list(BY_CODE["class_imbalance"].changes(record)))
    assert seen["upside down"] == (True, [{"weights": "balanced"}])
    assert seen["balanced"] == (False, [])
    assert seen["none"] == (False, [{"weights": "balanced"}])


STARTS = {  # kernel_initializer of Keras: (mean, standard deviation) of a layer of 30 units with 50 inputs
    "zeros": (0.0, 0.0), "ones": (1.0, 0.0), "he_normal": (0.0, math.sqrt(2 / 50)),
    "lecun_uniform": (0.0, math.sqrt(1 / 50)), "glorot_normal": (0.0, math.sqrt(2 / 80)),
    "glorot_uniform": (0.0, math.sqrt(2 / 80)),
}  # fmt: skip
CONFIGS = {
    ("Constant", (("value", 0.3),)): (0.3, 0.0),
    ("RandomNormal", (("mean", 1.0), ("stddev", 5.0))): (1.0, 5.0),
    ("RandomUniform", (("minval", -3.0), ("maxval", 3.0))): (0.0, math.sqrt(3.0)),
}


def test_layers_begin_by_the_initializers_of_keras():
    told = list(STARTS.items())
    told += [({"class_name": name, "config": dict(config)}, wanted) for (name, config), wanted in CONFIGS.items()]
    for initializer, (mean, deviation) in told:
        layer = {"class_name": "Dense", "config": {"units": 30, "kernel_initializer": initializer}}
        text = keras_json(layer, dense(1), shape=(50,))
        setup = foreign.of_keras(text, RNG.normal(size=(60, 50)), SUM, {**HOW, "loss": "mse"}).setup
        drawn = np.concatenate([setup.model(seed).layers[0].weight.numpy().ravel() for seed in range(4)])
        assert drawn.mean() == pytest.approx(mean, abs=0.1 * deviation + 1e-9), initializer
        assert drawn.std() == pytest.approx(deviation, rel=0.05, abs=1e-9), initializer


@pytest.mark.torch
def test_a_network_of_torch_that_began_with_zeros_or_ones_begins_so_again(torch):
    T = torch.nn
    for value in (0.0, 0.5):
        model = T.Sequential(T.Linear(3, 6), T.Tanh(), T.Linear(6, 1)).double()
        for p in model.parameters():
            T.init.constant_(p, value)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for _ in range(5):
            step_of_torch(torch, model, T.MSELoss(), optimizer, SUM[:, None])
        how = {"loss": T.MSELoss(), "optimizer": optimizer, "epochs": 5}
        started = foreign.of_torch(model, X, SUM[:, None], how).setup.model(1)
        assert all(np.ptp(layer.weight.numpy(), axis=0).max() == 0.0 for layer in started.layers)
        assert np.ptp(started.layers[1].weight.numpy()) == 0.0


@pytest.mark.torch
@pytest.mark.parametrize("loss", ["CrossEntropyLoss", "NLLLoss"])
def test_log_softmax_is_a_part_of_the_loss(loss, torch):
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.LogSoftmax(dim=1))
    how = {"loss": getattr(torch.nn, loss)(), "optimizer": "sgd", "epochs": 2}
    setup = foreign.of_torch(model, X, CLASSES, how).setup
    assert (setup.loss, setup.out_activation) == ("cross_entropy", "identity")


def test_words_of_weights():
    from tinygrad_edu.clinic.diagnosis.words import change_lines

    setup = foreign.of_keras(NET, X, CLASSES, {**HOW, "class_weight": {0: 9.0, 1: 1.0}}).setup
    assert "class_weight" in change_lines(setup, {"weights": "balanced"})

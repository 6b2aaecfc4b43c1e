"""What a network ends in is known of every chain of layers, Keras' penalties are repeated, and what was not told of a
run is not taken for bad luck."""

import json
import warnings
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn, optim
from tinygrad_edu.clinic.diagnosis import fidelity
from tinygrad_edu.clinic.diagnosis.causes import changes
from tinygrad_edu.clinic.diagnosis.certain import certainties
from tinygrad_edu.clinic.diagnosis.facts import foreign
from tinygrad_edu.clinic.diagnosis.facts.foreign import of_keras
from tinygrad_edu.clinic.diagnosis.facts.measurements import Record
from tinygrad_edu.clinic.diagnosis.facts.subject import subject_of
from tinygrad_edu.clinic.diagnosis.proof.budget import Budget
from tinygrad_edu.clinic.diagnosis.proof.retrain import count_runs, train_setup
from tinygrad_edu.clinic.diagnosis.symptoms.settings import squashed
from tinygrad_edu.clinic.diagnosis.words import change_lines
from tinygrad_edu.nn.losses import bce

RNG = np.random.default_rng(0)
FLAT, SEQUENCES = RNG.normal(size=(40, 3)), RNG.normal(size=(40, 4, 3))
LABELS = (FLAT[:, :1] > 0.0).astype(float)
BEFORE = {  # (layers before the last one, X)
    "dense": ([("Dense", {"units": 4, "activation": "relu"})], FLAT),
    "unlike": ([("Dense", {"units": 4, "activation": "relu"}), ("Dense", {"units": 4, "activation": "tanh"})], FLAT),
    "norm": ([("Dense", {"units": 4}), ("BatchNormalization", {}), ("Activation", {"activation": "relu"})], FLAT),
    "lstm": ([("LSTM", {"units": 3, "activation": "tanh"})], SEQUENCES),
    "gru": ([("GRU", {"units": 3, "activation": "tanh"})], SEQUENCES),
}


def model_of(layers, X, **last):
    head = {"class_name": "InputLayer", "config": {"batch_shape": [None, *X.shape[1:]]}}
    made = [{"class_name": kind, "config": config} for kind, config in (*layers, ("Dense", {"units": 1, **last}))]
    return json.dumps({"class_name": "Sequential", "config": {"layers": [head, *made]}})


def keras_subject(layers, X, y=LABELS, loss="binary_crossentropy", optimizer="adam", **last):
    how = {"loss": loss, "optimizer": optimizer, "lr": 0.01, "epochs": 2, "batch_size": 10}
    return of_keras(model_of(layers, X, **last), X, y, how)


@pytest.mark.parametrize("name", BEFORE)
@pytest.mark.parametrize("last", ["softmax", "linear", "relu", "sigmoid"])
def test_a_last_activation_that_makes_no_probabilities_is_certain_behind_all_layers(name, last):
    found = certainties(Record(keras_subject(*BEFORE[name], activation=last)))
    assert ("wrong_output_activation" in found) == (last != "sigmoid")
    for certainty in found.values():
        assert certainty.change["loss"] == "bce_with_logits"


@pytest.mark.parametrize("name", BEFORE)
def test_a_network_with_another_end_is_trained_with_it(name):
    subject = keras_subject(*BEFORE[name], activation="tanh", loss="mse")
    X = subject.task.inputs(subject.setup)
    inside, free = (subject.setup.but({"out_activation": a}).model(1).eval() for a in ("tanh", "identity"))
    np.testing.assert_allclose(inside(X).numpy(), np.tanh(free(X).numpy()), rtol=1e-12)
    assert subject.setup.sizes[-1] == 1
    assert [n for n, _ in inside.named_parameters()] == [n for n, _ in free.named_parameters()]


def test_the_loss_of_keras_cuts_off_what_ours_refuses():
    p, t = np.array([[-0.5], [0.3], [1.5], [1.0]]), np.array([[0.0], [1.0], [1.0], [0.0]])
    with pytest.raises(tg.errors.SettingError, match="takes probabilities"):
        bce(p, t)
    wanted = -np.log([1.0 - 1e-7, 0.3, 1.0 - 1e-7, 1e-7]).mean()  # keras 3.15, binary_crossentropy
    assert float(foreign.BCE_OF_KERAS(p, t)) == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize("last", ["sigmoid", "tanh", "relu", "softplus"])
@pytest.mark.parametrize(("low", "high"), [(1.0, 13.0), (-1.0, 1.0), (0.05, 0.95), (-40.0, -3.0)])
def test_targets_that_no_network_with_this_end_can_give_are_certain(last, low, high):
    y = np.linspace(low, high, len(FLAT))[:, None]
    model = nn.MLP([3, 4, 1], out_activation=last, seed=0)
    run = tg.fit(model, FLAT, y, loss="mse", optimizer=optim.SGD(model.parameters(), lr=1e-3), epochs=1)
    record = Record(subject_of(run, None, None))
    best = np.clip(y, *record.setup.out_range)
    share = 1.0 - ((best - y) ** 2).sum() / ((y - y.mean()) ** 2).sum()
    found = certainties(record).get("targets_out_of_range")
    assert (found is not None) == (share < 0.9)
    assert found is None or {"targets": "in range"} in (found.change, found.other)


@pytest.mark.parametrize("penalty", [None, {"class_name": "L2", "config": {"l2": 0.05}},
                                     {"class_name": "L1L2", "config": {"l1": 0.0, "l2": 0.05}}])  # fmt: skip
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop"])
def test_an_l2_of_a_layer_is_a_decay_of_twice_that_of_its_kernel_alone(penalty, optimizer):
    layers = [("Dense", {"units": 4, "activation": "relu", "kernel_regularizer": penalty})]
    subject = keras_subject(layers, FLAT, loss="mse", optimizer=optimizer)
    model = subject.setup.model(0)
    made = subject.setup.make_optimizer(model.parameters())
    decays = {id(p): group.settings["weight_decay"] for group in made.groups for p in group.params}
    found = {name: decays.get(id(p), 0.0) for name, p in model.named_parameters()}
    assert found == {name: 0.1 if penalty and name == "layers.0.weight" else 0.0 for name in found}
    assert not subject.notes
    if penalty:
        text = change_lines(subject.setup, {"options": {"weight_decay": 0.0}})
        assert text == "In Keras: Dense(..., kernel_regularizer=None)."


@pytest.mark.parametrize(("name", "kind"), [("kernel_regularizer", "l1"), ("bias_regularizer", "l2"),
                                            ("activity_regularizer", "l2")])  # fmt: skip
def test_penalties_without_a_counterpart_are_told(name, kind):
    config = {"class_name": kind.upper(), "config": {kind: 0.1}}
    layers = [("Dense", {"name": "first", "units": 4, "activation": "relu", name: config})]
    assert keras_subject(layers, FLAT, loss="mse").notes == (f"the {name} of the layer first, which is not repeated",)


@pytest.mark.parametrize(("count", "reached", "notes", "said"), [
    (20, 20, (), True), (20, 19, (), False), (5, 5, (), False), (5, 5, ("a callback",), True)])  # fmt: skip
def test_a_run_whose_repetitions_all_learn_was_not_told_whole(count, reached, notes, said):
    subject = replace(keras_subject(*BEFORE["dense"], activation="sigmoid"), notes=notes)
    as_is = SimpleNamespace(count=count, reached=reached, share=reached / count)
    assert fidelity.all_others_learn(Record(subject), as_is) == said


def test_of_what_fit_knows_itself_bad_luck_stays_bad_luck():
    model = nn.MLP([3, 4, 1], seed=0)
    run = tg.fit(model, FLAT, LABELS, loss="mse", optimizer=optim.SGD(model.parameters(), lr=1e-3), epochs=1)
    as_is = SimpleNamespace(count=20, reached=20, share=1.0)
    assert not fidelity.all_others_learn(Record(subject_of(run, None, None)), as_is)


def test_runs_that_a_rule_ended_early_cost_what_they_took():
    model = nn.MLP([3, 4, 1], seed=0)
    run = tg.fit(model, FLAT, LABELS, loss="mse", optimizer=optim.SGD(model.parameters(), lr=1e-9), epochs=50, tol=0.5)
    subject, budget = subject_of(run, None, None), Budget(30.0)
    runs = train_setup(subject.setup, subject.task, (1, 2), budget=budget)
    assert count_runs(subject.setup, runs) == sum(len(r.losses) for r in runs) / 50 < 0.5
    whole = Budget(30.0)
    train_setup(subject.setup.but({"tol": None}), subject.task, (1, 2), budget=whole)
    assert budget.spent < whole.spent


@pytest.mark.parametrize("dead", [True, False])
def test_more_epochs_are_not_tried_of_a_network_that_no_gradient_passes(dead):
    model = nn.MLP([3, 4, 1], activation="relu", seed=0)
    model.layers[0].bias.data -= 100.0 * dead
    optimizer = optim.SGD(model.parameters(), lr=1e-9)
    record = Record(
        subject_of(tg.fit(model, FLAT, LABELS, loss="mse", optimizer=optimizer, epochs=9, tol=0.5), None, None)
    )
    assert [*changes.more_epochs(record)] == [] if dead else [*changes.more_epochs(record)]
    assert [*changes.no_stopping(record)] == ([] if dead else [{"tol": None, "patience": None}])


@pytest.mark.parametrize(("outputs", "slow"), [([0.45, 0.55, 0.5, 0.5], False), ([0.02, 0.01, 0.98, 0.03], True)])
def test_a_squared_error_is_slow_where_the_slope_behind_wrong_outputs_is_lost(outputs, slow):
    X, y = np.eye(4), np.array([[1.0], [0.0], [0.0], [0.0]])
    model = nn.MLP([4, 1], out_activation="sigmoid", seed=0)
    p = np.array(outputs)
    model.load_state_dict({"layers.0.weight": [np.log(p / (1.0 - p))], "layers.0.bias": [0.0]})
    run = tg.fit(model, X, y, loss="mse", optimizer=optim.SGD(model.parameters(), lr=1e-9), epochs=1)
    assert (squashed(Record(subject_of(run, None, None))) is not None) == slow


@pytest.mark.parametrize("centre", [0.0, 50.0])
def test_scaled_inputs_are_tried_with_the_rate_that_they_allow(centre):
    X = centre + (15.0 if centre else 1.0) * RNG.normal(size=(30, 1))
    model = nn.MLP([1, 1], seed=0)
    run = tg.fit(model, X, 0.5 * X + 100.0, loss="mse", optimizer=optim.SGD(model.parameters(), lr=3e-4), epochs=2)
    record = Record(subject_of(run, None, None))
    rates = [change["lr"] for change in changes.scale_inputs(record) if "lr" in change]
    assert len(rates) == 1 if centre else rates == [] or record.reach < 0.05
    for rate in rates:  # the largest stable rate for the mean squared error with standardized inputs is 1
        assert 0.1 <= rate <= 1.0


def test_what_stays_as_it_is_is_not_told_as_a_change():
    model = nn.MLP([3, 4, 1], seed=0)
    optimizer = optim.Adam(model.parameters())
    setup = subject_of(tg.fit(model, FLAT, LABELS, loss="mse", optimizer=optimizer, epochs=1), None, None).setup
    same = {"optimizer": "Adam", "loss": "mse", "coding": None, "options": dict(setup.options), "lr": setup.lr}
    assert setup.differences(same) == []
    wider = {**same, "sizes": (3, 8, 1), "init": "glorot_uniform", "epochs": 5}
    assert setup.difference(wider) == "layers 3-4-1 → 3-8-1, epochs 1 → 5"


def test_a_rate_is_told_as_it_was_given_where_the_loss_is_a_sum():
    setup = replace(keras_subject(*BEFORE["dense"], activation="sigmoid").setup, lr=0.02, terms=20.0)
    assert setup.told_rate == pytest.approx(0.001)


@pytest.mark.parametrize("inputs", ["standardized", "logarithms", "without extremes", "bits", "padding first"])
@pytest.mark.parametrize("dialect", ["keras", "torch", "sklearn"])
def test_each_form_of_inputs_has_words_in_each_tool(inputs, dialect):
    setup = replace(keras_subject(*BEFORE["dense"], activation="sigmoid").setup, dialect=dialect)
    said = change_lines(setup, {"inputs": inputs})
    assert said
    assert not said.rstrip(".").endswith(f": {inputs}")


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-1.0, 1.0), (0.1, 0.9)])
def test_one_hot_rows_are_classes_whatever_their_two_levels(low, high):
    labels = np.arange(40) % 3
    y = low + (high - low) * np.eye(3)[labels]
    task = subject_of(run_on(y, (3, 4, 3)), None, None).task
    assert task.classes == 3
    assert task.labels.tolist() == labels.tolist()
    assert task.accuracy(y) == 1.0
    assert not subject_of(run_on(y + 0.01 * FLAT, (3, 4, 3)), None, None).task.classes


def run_on(y, sizes):
    model = nn.MLP(list(sizes), seed=0)
    return tg.fit(model, FLAT, y, loss="mse", optimizer=optim.SGD(model.parameters(), lr=1e-3), epochs=1)


@pytest.mark.parametrize("scale", [1.0, 0.05, 16.0])
def test_numbers_behind_a_softmax_are_certain_where_their_sums_are_not_1(scale):
    y = scale * RNG.uniform(0.0, 1.0, (40, 6))
    model = nn.MLP([3, 4, 6], out_activation="softmax", seed=0)
    run = tg.fit(model, FLAT, y, loss="mse", optimizer=optim.SGD(model.parameters(), lr=1e-3), epochs=1)
    found = certainties(Record(subject_of(run, None, None)))
    assert found["wrong_output_activation"].change == {"out_activation": "identity"}
    best = found["wrong_output_activation"].best
    np.testing.assert_allclose(best.sum(axis=1), 1.0)
    for _ in range(20):  # no other point of the simplex is nearer
        other = RNG.dirichlet(np.ones(6), len(y))
        assert (((y - best) ** 2).sum(axis=1) <= ((y - other) ** 2).sum(axis=1) + 1e-12).all()
    shares = y / y.sum(axis=1, keepdims=True)
    run = tg.fit(model, FLAT, shares, loss="mse", optimizer=optim.SGD(model.parameters(), lr=1e-3), epochs=1)
    assert "wrong_output_activation" not in certainties(Record(subject_of(run, None, None)))


@pytest.mark.slow
def test_a_penalty_that_need_not_change_is_no_cause():
    """scikit-learn's own alpha of 1e-4: a repaired rate keeps it, and it was called a weight decay that is too high."""
    pytest.importorskip("sklearn", reason="needs scikit-learn")
    X, y = tg.data.moons(120, noise=0.2, seed=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = tg.estimators.MLPClassifier((8,), max_iter=30, random_state=0).fit(X, y.ravel())
    causes = tg.clinic.diagnose(fitted, X, y.ravel(), budget_s=300.0).causes
    assert "lr_too_low" in [cause.code for cause in causes]
    assert "weight_decay_too_high" not in [cause.code for cause in causes]
    assert "alpha" not in " ".join(cause.remedy for cause in causes)

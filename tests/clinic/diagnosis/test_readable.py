"""Faults that can be read off the settings come before luck, and inputs in another form where nothing else helps."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.datasets import load_digits

import tinygrad_edu as tg
from tinygrad_edu import nn, optim
from tinygrad_edu.clinic import diagnose
from tinygrad_edu.clinic.diagnosis.causes.changes import other_form
from tinygrad_edu.clinic.diagnosis.causes.table import BY_CODE
from tinygrad_edu.clinic.diagnosis.certain import certainties
from tinygrad_edu.clinic.diagnosis.companions import with_usual_companion
from tinygrad_edu.clinic.diagnosis.facts.foreign import of_keras
from tinygrad_edu.clinic.diagnosis.facts.measurements import Record
from tinygrad_edu.clinic.diagnosis.facts.setup import Setup
from tinygrad_edu.clinic.diagnosis.facts.subject import subject_of
from tinygrad_edu.clinic.diagnosis.facts.task import task_of
from tinygrad_edu.clinic.diagnosis.proof.baseline import weak_relation
from tinygrad_edu.clinic.diagnosis.symptoms.data import extent
from tinygrad_edu.clinic.diagnosis.words import DIALECTS, change_lines

X, y = tg.data.moons(80, seed=1)
LABELS = (y > 0).astype(float)


def run_of(activation, loss, epochs=2, data=(X, LABELS), sizes=(2, 8, 1), seed=0):
    model = nn.MLP(list(sizes), activation="tanh", out_activation=activation, seed=seed)
    optimizer = optim.Adam(model.parameters(), lr=0.02)
    return tg.fit(model, *data, loss=loss, optimizer=optimizer, epochs=epochs, batch_size=20)


def keras_json(last, *hidden):
    head = {"class_name": "InputLayer", "config": {"batch_shape": [None, 2]}}
    made = [
        {"class_name": "Dense", "config": {"units": u, "activation": a}}
        for u, a in (*(hidden or [(8, "relu")]), (1, last))
    ]
    return json.dumps({"class_name": "Sequential", "config": {"layers": [head, *made]}})


@pytest.mark.parametrize("activation", ["sigmoid", "hard_sigmoid", "linear", "relu", "tanh", "softplus"])
def test_a_loss_of_probabilities_after_what_makes_none_is_certain(activation):
    how = {"loss": "binary_crossentropy", "optimizer": "adam", "lr": 0.01, "epochs": 2}
    found = certainties(Record(of_keras(keras_json(activation), X, LABELS, how)))
    assert ("wrong_output_activation" in found) == (activation not in ("sigmoid", "hard_sigmoid"))


@pytest.mark.slow
@pytest.mark.parametrize(("targets", "unfit"), [(LABELS, False), (2.0 * LABELS - 1.0, True), (LABELS + 1.0, True),
                                                (250.0 + 60.0 * X[:, :1], True), (0.9 * LABELS, False)])  # fmt: skip
def test_targets_that_are_no_two_classes_are_a_finding_and_no_error(targets, unfit):
    how = {"loss": "binary_crossentropy", "optimizer": "adam", "lr": 0.01, "epochs": 2}
    found = diagnose(keras_json("sigmoid"), X, targets, budget_s=1.0, **how)
    assert ([cause.code for cause in found.causes] == ["wrong_loss"]) == unfit


@pytest.mark.slow
def test_a_last_relu_before_logits_comes_before_luck():
    data = X, (X[:, :1] > 0.5).astype(float)
    runs = (run_of("relu", "bce_with_logits", 60, data, seed=seed) for seed in range(30))
    stuck = next(run for run in runs if run.loss_curve[-1] > 0.69)
    found = diagnose(stuck)
    assert found.causes[0].code == "wrong_output_activation"
    assert "no probability below 0.5" in found.causes[0].evidence
    assert found.causes[0].change == {"out_activation": "identity"}


@pytest.mark.slow
def test_a_number_whose_bits_decide_is_read_in_another_form():
    n = np.arange(256.0)[:, None]
    found = diagnose(run_of("sigmoid", "bce", 100, (n / 256.0, (n % 8 < 4).astype(float)), (1, 8, 1)))
    assert found.causes[0].code == "representation"


@pytest.mark.slow
@pytest.mark.parametrize("scaled", [True, False])
def test_bits_that_learn_permuted_targets_too_are_no_other_form(scaled):
    """24 bits of an iris were enough to learn 150 shuffled labels by heart: "the inputs contain the answer"."""
    inputs, labels = tg.data.iris()
    inputs = (inputs - inputs.mean(0)) / inputs.std(0) if scaled else inputs
    labels = np.random.default_rng(9).permutation(labels)
    found = diagnose(run_of("identity", "cross_entropy", 100, (inputs, labels), (4, 16, 3)))
    assert [cause.code for cause in found.causes] == ["labels_random"]


FORMS = {  # targets of the numbers 0 to 255, in steps of 0.1: is another form of the numbers worth a trial?
    "low digit": (lambda n: n % 2, True),
    "middle digit": (lambda n: n % 8 < 4, True),
    "sine": (lambda n: np.sin(n / 20.0), False),
    "upper half": (lambda n: n > 127, False),
}


@pytest.mark.parametrize("name", FORMS)
def test_bits_are_for_numbers_whose_neighbours_have_unlike_targets(name):
    targets, worth = FORMS[name]
    n = np.arange(256.0)[:, None]
    run = run_of("sigmoid", "mse", 1, (n / 10.0, targets(n).astype(float)), (1, 4, 1))
    changes = [change["inputs"] for change in other_form(Record(subject_of(run, None, None)))]
    assert changes == ["bits"] * worth


@pytest.mark.parametrize("dialect", [name for name, words in DIALECTS.items() if name != "keras"])
def test_the_words_for_bits_are_right_for_numbers_that_are_no_whole_ones(dialect):
    setup = Setup(sizes=(1, 4, 1), dialect=dialect)
    assert "step" in change_lines(setup, {"inputs": "bits", "sizes": (8, 4, 1)})


@pytest.mark.parametrize(("weight", "found"), [(0.27, True), (0.0, False)])
def test_a_weak_relation_is_told_from_none_by_a_linear_fit(weight, found):
    shares = []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        inputs = rng.normal(size=(500, 3))
        targets = weight * inputs[:, :1] + rng.normal(size=(500, 1))
        shares.append(weak_relation(task_of(inputs, targets, Setup(sizes=(3, 4, 1)))))
    assert (sum(share > 0.0 for share in shares) >= 4) == found
    assert max(shares) < 0.2


def test_dense_layers_of_unlike_activations_are_tried_as_one_network():
    how = {"loss": "mse", "optimizer": "sgd", "lr": 0.01, "epochs": 2}
    unlike = of_keras(keras_json("linear", (8, "linear"), (6, "tanh")), X, LABELS, how)
    assert unlike.hidden == ("identity", "tanh")
    assert unlike.plain["sizes"] == (2, 8, 6, 1)
    record = Record(unlike)
    changes = {"no_activation": "tanh", "too_small_network": "tanh", "wrong_loss": "tanh"}
    for code, activation in changes.items():
        setup = unlike.setup.but(next(BY_CODE[code].changes(record)))
        assert (setup.pattern, setup.activation) == (None, activation)
        assert setup.model(0)(X).shape == LABELS.shape
    assert "pattern" not in unlike.setup.difference(unlike.plain)
    alike = of_keras(keras_json("linear", (8, "tanh"), (6, "tanh")), X, LABELS, how)
    assert (alike.hidden, alike.plain) == ((), {})


def test_a_change_that_helps_most_seeds_gets_the_calm_or_the_time_that_makes_it_all():
    """A trial of 4 of 5; with a third of the rate 4 of 5 again, with three times the epochs 5 of 5."""
    setup, asked = Setup(sizes=(2, 4, 1), lr=0.3, epochs=6), []

    def trial(change, code):
        asked.append(dict(change))
        return SimpleNamespace(share=1.0 if "epochs" in change else 0.8, change=change, code=code)

    tried = SimpleNamespace(record=SimpleNamespace(setup=setup), trial=trial, confirm=lambda found: found)
    first = SimpleNamespace(change={"shuffle": True}, share=0.8, code="not_shuffled")
    whole = with_usual_companion(tried, first)
    assert asked == [{"shuffle": True, "lr": 0.1}, {"shuffle": True, "epochs": 18}]
    assert whole.change == asked[1]
    first.change = {"lr": 0.03}  # a rate that is the fix itself stays
    assert with_usual_companion(tried, first).change == {"lr": 0.03, "epochs": 18}


def test_a_feature_that_is_seldom_there_is_not_one_of_another_unit():
    rng = np.random.default_rng(0)
    usual, there = rng.normal(size=(400, 3)), rng.random(400) < 0.03
    for value, differs in ((0.05, False), (1.0, False), (300.0, True)):
        least, most = extent(np.column_stack([usual, there * value]))
        assert (most / least > 10.0) == differs
    least, most = extent(np.column_stack([usual, 0.01 * rng.normal(size=400)]))
    assert most / least > 10.0
    pixels = load_digits().data
    least, most = extent(pixels[:, np.ptp(pixels, axis=0) > 0])
    assert most / least < 10.0


@pytest.mark.slow
def test_layers_frozen_by_their_own_eval_are_as_before_the_diagnosis():
    X, y = tg.data.moons(40, seed=0)
    model = tg.nn.Sequential(tg.nn.Linear(2, 4), np.tanh, tg.nn.Dropout(0.1), tg.nn.Linear(4, 1))
    run = tg.fit(model, X, y, loss="mse", optimizer=tg.optim.SGD(model.parameters(), lr=1e-4), epochs=2)
    model.train()
    model[2].eval()
    tg.clinic.diagnose(run, budget_s=1.0, seeds=3)
    assert [module.training for module in model.modules()] == [True, True, False, True]


@pytest.mark.torch
def test_so_are_those_of_a_module_of_pytorch():
    torch = pytest.importorskip("torch")
    X, y = tg.data.moons(40, seed=0)
    module = torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.Tanh(), torch.nn.Dropout(0.1), torch.nn.Linear(4, 1))
    module[2].eval()
    sgd = torch.optim.SGD(module.parameters(), lr=1e-4)
    tg.clinic.diagnose(module, X, y, loss=torch.nn.MSELoss(), optimizer=sgd, epochs=2, budget_s=1.0, seeds=3)
    assert [each.training for each in module.modules()] == [True, True, True, False, True]

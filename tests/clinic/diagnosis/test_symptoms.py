"""Each symptom with a network or a curve that has it, and one that has not; other starts, and shares with intervals."""

import math

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn, optim
from tinygrad_edu.clinic import diagnose
from tinygrad_edu.clinic.diagnosis.causes.table import BY_CODE, CAUSES
from tinygrad_edu.clinic.diagnosis.facts.initial_weights import distribution_of
from tinygrad_edu.clinic.diagnosis.facts.measurements import Record
from tinygrad_edu.clinic.diagnosis.facts.subject import subject_of
from tinygrad_edu.clinic.diagnosis.proof.trial import wilson
from tinygrad_edu.clinic.diagnosis.symptoms import curve
from tinygrad_edu.clinic.diagnosis.symptoms import data as symptoms_data
from tinygrad_edu.clinic.diagnosis.symptoms import network as symptoms
from tinygrad_edu.clinic.diagnosis.symptoms import seeds as symptoms_seeds
from tinygrad_edu.clinic.diagnosis.symptoms import settings as symptoms_settings
from tinygrad_edu.clinic.diagnosis.symptoms.symptom import SYMPTOMS, Symptom, looks
from tinygrad_edu.data import moons

MOONS = moons(80, seed=2)
T = np.arange(1.0, 101.0)

CURVES = {  # symptom: (a curve that shows it, a curve that does not)
    curve.divergence: ([1.0, 1.5, 4.0, 9.0], [9.0, 4.0, 1.5, 1.0]),
    curve.oscillation: (1.0 + 0.4 * (-1.0) ** T, 1.0 / T),
    curve.flat: (np.full(20, 0.7), 1.0 / T),
    curve.plateau: (0.6 + 0.4 * np.exp(-T), np.exp(-0.1 * T)),
    curve.improving: (T**-0.5, 0.3 + np.exp(-T)),
    curve.at_chance: (np.full(20, np.log(3.0)), 1.0 / T),
    curve.negative: (1.0 - T, 1.0 / T),
}


@pytest.mark.parametrize("look", CURVES, ids=lambda look: look.__name__)
def test_curves(look):
    ill, well = (np.array(losses, dtype=float) for losses in CURVES[look])
    assert look(ill).code == look.__name__
    assert look(well) is None


def test_noise_about_a_level_is_no_falling_loss():
    """Of runs that have come down to a level few may be said to fall still; of falling ones, most are."""
    rng, epochs = np.random.default_rng(0), np.arange(60)
    level, falling = 0.2 + 0.8 * np.exp(-epochs / 6.0), 1.0 - 0.01 * epochs
    said = [
        sum(curve.improving(base + rng.normal(0.0, 0.01, 60)) is not None for _ in range(200))
        for base in (level, falling)
    ]
    assert said[0] <= 6
    assert said[1] >= 190


def test_no_number_of_epochs_is_promised():
    """When a loss would halve was said with an interval, and the truth lay in it in 0 of 15 runs."""
    assert "after" not in curve.improving(T**-0.5).sentence


def record(
    X=MOONS[0], y=MOONS[1], sizes=(2, 8, 1), net=None, loss="mse", optimizer=None, epochs=10, batch_size=16, **options
):
    model = nn.MLP(sizes, **(net or {}))
    made = optim.SGD(model.parameters(), lr=0.05) if optimizer is None else optimizer(model.parameters())
    run = tg.fit(
        model, X, y, loss=loss, optimizer=made, epochs=epochs, batch_size=batch_size, compiled=False, **options
    )
    return Record(subject_of(run, None, None))


SORTED = np.argsort(MOONS[1].ravel(), kind="stable")
ILL = {  # symptom: a setting that causes it
    symptoms.saturated_start: {"net": {"init": nn.init.normal(20.0)}},
    symptoms.saturated_end: {"net": {"init": nn.init.normal(20.0)}},
    symptoms.saturated_output: {"net": {"init": nn.init.normal(20.0), "out_activation": "sigmoid"}},
    symptoms.dead_start: {"net": {"init": nn.init.constant(-1.0), "activation": "relu"}, "X": MOONS[0] + 5.0},
    symptoms.dead_end: {"net": {"init": nn.init.constant(-1.0), "activation": "relu"}, "X": MOONS[0] + 5.0},
    symptoms.vanishing: {"sizes": (2, 8, 8, 8, 8, 1), "net": {"activation": "sigmoid"}},
    symptoms.exploding: {"sizes": (2, 16, 16, 16, 16, 1), "net": {"activation": "relu", "init": nn.init.normal(2.0)},
                         "optimizer": lambda p: optim.SGD(p, lr=1e-12)},
    symptoms.alike: {"net": {"init": "zeros"}},
    symptoms.large_weights: {"net": {"init": nn.init.normal(20.0)}},
    symptoms.update_small: {"optimizer": lambda p: optim.SGD(p, lr=1e-9)},
    symptoms.update_large: {"optimizer": lambda p: optim.Adam(p, lr=10.0)},
    symptoms.sharp: {"optimizer": lambda p: optim.SGD(p, lr=30.0), "epochs": 1},
    symptoms.slow: {"optimizer": lambda p: optim.SGD(p, lr=1e-6)},
    symptoms.quiet_batches: {"batch_size": None},
    symptoms.noisy_batches: {"y": np.random.default_rng(0).choice([-1.0, 1.0], (80, 1)), "batch_size": 1},
    symptoms.initial_loss: {"y": (MOONS[1].ravel() > 0).astype(int), "sizes": (2, 8, 2), "loss": "cross_entropy",
                            "net": {"init": nn.init.normal(20.0)}},
    symptoms_data.constant_input: {"X": np.hstack([MOONS[0], np.full((80, 1), 99.0)]), "sizes": (3, 8, 1)},
    symptoms_data.input_scale: {"X": MOONS[0] * [1.0, 50.0]},
    symptoms_data.target_outside: {"net": {"out_activation": "sigmoid"}},
    symptoms_data.target_scale: {"y": MOONS[0][:, :1] * 100.0},
    symptoms_data.label_runs: {"X": MOONS[0][SORTED], "y": MOONS[1][SORTED], "shuffle": False},
    symptoms_data.imbalance: {"y": (np.arange(80) < 4)[:, None].astype(float)},
    symptoms_data.no_structure: {"y": np.random.default_rng(3).permutation(MOONS[1])},
    symptoms_settings.few_steps: {"epochs": 1},
    symptoms_settings.few_epochs: {"epochs": 2},
    symptoms_settings.ended_early: {"tol": 0.9},
    symptoms_settings.damped: {"optimizer": lambda p: optim.SGD(p, lr=1e-3, momentum=0.5, dampening=0.99)},
    symptoms_settings.high_momentum: {"optimizer": lambda p: optim.SGD(p, lr=1e-3, momentum=0.999)},
    symptoms_settings.decay: {"optimizer": lambda p: optim.SGD(p, lr=1e-3, weight_decay=1.0)},
    symptoms_settings.frozen: {"optimizer": lambda p: optim.SGD(p, lr=optim.schedules.exponential(0.1, 0.5))},
    symptoms_settings.rate_large: {"optimizer": lambda p: optim.Adam(p, lr=1.0)},
    symptoms_settings.rate_small: {"optimizer": lambda p: optim.Adam(p, lr=1e-6)},
    symptoms_settings.small_net: {"sizes": (2, 1, 1)},
    symptoms_settings.no_bias: {"net": {"bias": False}},
    symptoms_settings.mismatched: {"y": (MOONS[1] > 0).astype(float), "loss": "bce_with_logits",
                               "net": {"out_activation": "sigmoid"}},
    symptoms_settings.squashed: {"net": {"init": nn.init.normal(20.0), "out_activation": "tanh"}},
    symptoms_settings.bent_logits: {"y": (MOONS[1] > 0).astype(float), "loss": "bce_with_logits",
                                    "net": {"out_activation": "relu"}},
    symptoms_data.heavy_tail: {"X": np.exp(2.0 * MOONS[0] ** 2)},
    symptoms_data.target_outliers: {"y": np.where(np.arange(80)[:, None] % 20 == 0, -999.0, MOONS[0][:, :1])},
    symptoms_data.target_small: {"y": MOONS[0][:, :1] * 1e-3},
    symptoms_settings.much_dropout: {"net": {"dropout": 0.8}},
    symptoms_settings.linear: {"net": {"activation": "identity"}},
    symptoms_settings.own_loss: {"loss": lambda p, t: ((p - t) ** 2).mean()},
    symptoms.output_dead: {"net": {"out_activation": "relu", "init": nn.init.constant(-1.0)}, "X": MOONS[0] + 5.0},
    symptoms.tight_clipping: {"clip_norm": 1e-3},
    symptoms.large_epsilon: {"optimizer": lambda p: optim.Adam(p, lr=0.01, eps=100.0)},
    symptoms.batch_statistics: {"net": {"norm": "batch"}, "X": MOONS[0] + 50.0, "epochs": 1},
}  # fmt: skip
ALL = (*looks("network"), *looks("data"))


def test_no_symptom_is_left_out():
    assert {*ILL, symptoms_data.padded} == set(ALL)
    assert set(CURVES) == set(looks("curve"))


def test_padding_behind_sequences_is_counted():
    X = np.random.default_rng(0).normal(1.0, 1.0, (30, 8, 2))
    X[:20, 3:] = 0.0
    X[20:] = 1.0
    shares = []
    for data in (X, np.abs(X) + 0.1):
        net = nn.Sequential(nn.RNN(2, 3, rng=0), nn.last_output, nn.Linear(3, 1, rng=0))
        run = tg.fit(net, data, X[:, 0, :1], loss="mse", optimizer=optim.SGD(net.parameters(), lr=0.01), epochs=1)
        found = symptoms_data.padded(Record(subject_of(run, None, None)))
        shares.append(found and found.value)
    assert shares == [pytest.approx(20 * 5 / (30 * 8)), None]


@pytest.fixture(scope="module")
def well():
    """A run of classes by a loss for them, with nothing unusual."""
    y = (MOONS[1] > 0).astype(float)
    return record(y=y, loss="bce_with_logits", epochs=60, optimizer=lambda p: optim.SGD(p, lr=0.5))


@pytest.mark.parametrize("look", ILL, ids=lambda look: look.__name__)
def test_symptoms(look, well):
    symptom = look(record(**ILL[look]))
    assert symptom is not None
    assert symptom.sentence.endswith(".")
    assert 0.0 <= symptom.strength <= 3.0
    assert look(well) is None


def test_sharpness_is_the_largest_eigenvalue_of_the_hessian():
    X = np.random.default_rng(0).normal(size=(30, 2))
    found = record(X, X @ [[1.0], [2.0]], (2, 1), batch_size=None).start.sharpness
    design = np.hstack([X, np.ones((30, 1))])
    assert found == pytest.approx(np.linalg.eigvalsh(2.0 * design.T @ design / 30.0)[-1], rel=0.02)


@pytest.mark.parametrize("batch", [1, 4, 16])
def test_gradient_noise_is_that_of_a_mean_of_so_many(batch):
    """√(tr Σ / batch) over |G|, from the gradients of single samples."""
    state = record().start
    single = np.array([np.concatenate([np.ravel(g) for g in state.gradient_of([i]).values()]) for i in range(80)])
    mean = single.mean(axis=0)
    expected = math.sqrt(np.sum((single - mean) ** 2) / 80 / batch) / np.linalg.norm(mean)
    assert state.noise(batch) == pytest.approx(expected, rel=0.6)  # the noise is estimated from four batches


def test_the_sentence_of_noise_names_both_batches():
    sentence = symptoms.noisy_batches(record(**ILL[symptoms.noisy_batches])).sentence
    assert "batches of 1 differ" in sentence
    assert symptoms.noisy_batches(record(batch_size=None)) is None


# Seeds

SPREAD = {  # case: ((first loss, last loss) per seed, the symptom's value, a part of its sentence)
    "one stays": ([(1.0, 0.0), (1.0, 0.0), (1.0, 1.0)], 1.0, "Of 3 seeds, with nothing else changed"),
    "some stay half way": ([(2.0, 1.0), (2.0, 0.2), (2.0, 1.4)], 1.2 / 1.8, "67%"),
    "one is lost": ([(1.0, 0.1), (1.0, math.nan), (1.0, 0.1)], math.inf, "the last loss of 1 is not finite"),
    "all are lost": ([(1.0, math.inf)] * 3, math.inf, "none is finite"),
    "all arrive": ([(1.0, 0.01), (1.2, 0.02), (0.9, 0.03)], None, ""),
    "all stay": ([(1.0, 1.0), (1.0, 1.1), (1.0, 1.2)], None, ""),
    "too few": ([(1.0, 0.0), (1.0, 1.0)], None, ""),
    "no epochs": ([(), (), ()], None, ""),
}


@pytest.mark.parametrize("name", SPREAD)
def test_spread_over_seeds(name):
    curves, value, words = SPREAD[name]
    symptom = symptoms_seeds.spread_over_seeds([np.array(each) for each in curves])
    if value is None:
        assert symptom is None
        return
    assert symptom.code == "spread_over_seeds"
    assert symptom.value == pytest.approx(value)
    assert words in symptom.sentence


@pytest.mark.parametrize(("width", "spread"), [(2, True), (16, False)])
def test_the_spread_of_trainings(width, spread):
    """Of two hidden units XOR is learned from some starts; of sixteen from all."""
    X, y = (2.0 * a - 1.0 for a in tg.data.xor_gate())
    model = nn.MLP([2, width, 1], seed=0)
    run = tg.fit(model, X, y, loss="mse", optimizer=optim.Adam(model.parameters(), lr=0.05), epochs=200, compiled=False)
    assert ("spread_over_seeds" in [s.code for s in diagnose(run, seeds=8).symptoms]) is spread


# Starts


@pytest.mark.parametrize(
    ("init", "kind"), [("glorot_uniform", "uniform"), ("he_normal", "normal"), ("zeros", "constant")]
)
def test_a_start_is_drawn_again_as_it_was(init, kind):
    rng = np.random.default_rng(0)
    array = nn.init.find(init)(rng, 40, 60)
    start = distribution_of(array)
    again = start.draw(rng, array.shape)
    assert start.kind == kind
    assert again.std() == pytest.approx(array.std(), rel=0.05, abs=1e-12)
    assert start.kind == "constant" or not np.array_equal(again, array)


# Shares


@pytest.mark.parametrize(("hits", "count"), [(0, 5), (3, 5), (5, 5), (17, 20)])
def test_intervals_against_scipy(hits, count):
    from scipy.stats import binomtest

    theirs = binomtest(hits, count).proportion_ci(confidence_level=0.9, method="wilson")
    assert wilson(hits, count) == pytest.approx((theirs.low, theirs.high), abs=1e-4)


def test_none_of_none_is_anything():
    assert wilson(0, 0) == (0.0, 1.0)


# The table of causes


def test_each_cause_is_suggested_by_symptoms_that_exist():
    known = {*SYMPTOMS, "for_numbers"}  # a mild form of `mismatched`
    assert len(BY_CODE) == len(CAUSES)
    for cause in CAUSES:
        assert set(cause.symptoms) <= known
        assert max(cause.symptoms.values()) > 0.0
        assert cause.sentence.endswith(".")
        assert cause.remedy.endswith(".")


def test_strength_is_a_logarithm_of_the_ratio():
    assert Symptom("x", 10.0, 1.0, "").strength == 1.0
    assert Symptom("x", 0.01, 1.0, "").strength == 2.0
    assert Symptom("x", math.inf, 1.0, "").strength == 3.0


@pytest.mark.parametrize("losses", [[0.0] + [1.0] * 20, list(range(50)), [0.01, *np.arange(1.0, 6.0, 0.1)]])
def test_a_curve_that_rises_from_next_to_nothing_is_said_to_rise_and_nothing_else(losses):
    found = curve.of_curve(np.array(losses, dtype=float))
    assert [each.code for each in found] == ["divergence"]
    assert len(found[0].sentence) < 80

"""A validation loss that turns up is overfitting only where the samples held out are enough to tell."""

from types import SimpleNamespace

import numpy as np
import pytest

from tinygrad_edu import nn, optim
from tinygrad_edu.clinic import diagnose
from tinygrad_edu.clinic.diagnosis.overfitting import lies_apart, samples_judged, tell_unchecked
from tinygrad_edu.errors import SettingError
from tinygrad_edu.train import fit


def noisy(rng, rows):
    X = rng.normal(size=(rows, 6))
    return X, (X[:, :1] + X[:, 1:2] + rng.normal(0.0, 0.6, (rows, 1)) > 0).astype(float)


CASES = {  # (seed, samples, units, epochs, held out): what is named
    "few, by chance": ((31, 400, 16, 30, 24), []),
    "many": ((100, 80, 64, 100, 200), ["overfitting"]),
    "few, but memorized": ((100, 80, 64, 100, 24), ["overfitting"]),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_few_held_out_samples_show_no_overfitting_by_chance(name):
    (seed, samples, units, epochs, held_out), expected = CASES[name]
    rng = np.random.default_rng(seed)
    (X, y), aside = noisy(rng, samples), noisy(rng, held_out)
    model = nn.MLP([6, units, 1], activation="relu", seed=0)
    optimizer = optim.Adam(model.parameters(), lr=0.005)
    run = fit(
        model, X, y, loss="bce_with_logits", optimizer=optimizer, epochs=epochs, batch_size=16, validation=aside
    )  # fmt: skip
    found = diagnose(run, budget_s=120.0)
    assert [cause.code for cause in found.causes] == expected
    chance = [symptom.sentence for symptom in found.symptoms if symptom.code == "overfitting"]
    assert found.healthy or expected
    assert expected or str(found).startswith("Healthy: ")
    assert not any(row.startswith("overfitting") for row in found.not_checked)
    assert expected or "24 held-out samples are few" in chance[0]


def test_a_network_that_memorizes_noise_is_healthy_only_as_far_as_training_goes():
    rng = np.random.default_rng(5)
    X, y = rng.normal(size=(30, 3)), rng.normal(size=(30, 1))
    run = fit(nn.MLP([3, 64, 1], seed=0), X, y, loss="mse", optimizer=lambda p: optim.Adam(p, lr=0.02), epochs=500)
    found = diagnose(run, seeds=3)
    assert found.healthy
    assert found.summary.startswith("Healthy as far as training goes: this run reaches the goal (r2 ")
    assert " on the training samples, goal 0.95), and so do" in found.summary
    assert "</b> &nbsp;<b>As far as training goes: this run" in found._repr_html_()
    assert found.not_checked[0].startswith("overfitting: no samples were held out; train with validation=0.25")


TRAINING, GIVEN, ALL = "the training samples", "the samples given", "all samples, some held out by early_stopping"
UNKNOWN, NEW = "the samples that were held out are not known here; ", "measure the score on samples"
NO_CURVE, LOSSES = "there is no curve of the validation loss; ", "give diagnose history={'loss': [...]"
ASKED = "give diagnose validation=(X_val, y_val) too"
KNOWN = {  # (library, optimizer, are samples known that were held out, epochs with a validation loss, best restored)
    "fit": (("fit", "Adam", False, 0, False), TRAINING, "no samples were held out; train with validation=0.25"),
    "fit, stopped by its loss": (("fit", "Adam", False, 0, True), TRAINING, "no samples were held out; train"),
    "fit, held out": (("fit", "Adam", True, 30, False), TRAINING, ""),
    "fit, few epochs": (
        ("fit", "Adam", True, 5, False),
        TRAINING,
        f"5 epochs are too few to see the validation loss turn; {NEW}",
    ),
    "fit, few epochs, best": (("fit", "Adam", True, 5, True), TRAINING, ""),
    "fit, from a file": (("fit", "Adam", False, 30, False), GIVEN, f"{UNKNOWN}train with validation=0.25"),
    "keras": (("keras", "Adam", False, 0, False), TRAINING, "no samples were held out; train with validation_split"),
    "keras, not told": (("keras", "Adam", False, 30, False), GIVEN, f"{UNKNOWN}{ASKED}"),
    "keras, as JSON": (("keras", "Adam", True, 0, False), TRAINING, f"{NO_CURVE}{LOSSES}"),
    "torch": (("torch", "Adam", False, 0, False), TRAINING, "no samples were held out; keep some samples out"),
    "torch, not told": (("torch", "Adam", False, 30, False), GIVEN, f"{UNKNOWN}{ASKED}"),
    "torch, held out": (
        ("torch", "Adam", True, 0, False),
        TRAINING,
        f"{NO_CURVE}{LOSSES}",
    ),
    "scikit-learn": (("sklearn", "Adam", False, 0, False), TRAINING, f"no samples were held out; {NEW}"),
    "scikit-learn, early": (("sklearn", "Adam", False, 0, True), ALL, f"{UNKNOWN}{NEW}"),
    "scikit-learn, L-BFGS": (("sklearn", "lbfgs", False, 0, True), TRAINING, f"no samples were held out; {NEW}"),
    "ours, early": (("ours", "Adam", False, 30, True), ALL, f"{UNKNOWN}{NEW}"),
}


@pytest.mark.parametrize("name", KNOWN)
def test_a_card_says_whose_score_it_is_and_why_overfitting_was_not_looked_for(name):
    (dialect, optimizer, held_out, epochs, restored), where, why = KNOWN[name]
    estimator = dialect if dialect in ("sklearn", "ours") else None
    subject = SimpleNamespace(
        setup=SimpleNamespace(dialect=dialect, optimizer=optimizer, estimator=estimator), restored=restored,
        task=SimpleNamespace(held_out=() if held_out else None), validation=np.ones(epochs),
        losses=np.ones(epochs),
    )  # fmt: skip
    assert samples_judged(subject) == where
    assert "".join(tell_unchecked(subject)).startswith(f"overfitting: {why}" if why else "")
    assert bool(tell_unchecked(subject)) == bool(why)


def torch_run(noise):
    """A network of PyTorch that is trained on 60 samples, with the losses that its loop kept, and 20 held out."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 4)).astype(np.float32)
    y = (X[:, :1] + noise * rng.normal(size=(80, 1))).astype(np.float32)
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 64), torch.nn.ReLU(), torch.nn.Linear(64, 1))
    optimizer, loss = torch.optim.Adam(model.parameters(), lr=0.01), torch.nn.MSELoss()
    history = {"epoch": [], "Train/Loss": [], "Val/Loss": []}
    for epoch in range(200):
        optimizer.zero_grad()
        found = loss(model(torch.as_tensor(X[:60])), torch.as_tensor(y[:60]))
        found.backward()
        optimizer.step()
        with torch.no_grad():
            held = loss(model(torch.as_tensor(X[60:])), torch.as_tensor(y[60:])).item()
        for column, number in zip(history.values(), (epoch, found.item(), held), strict=True):
            column.append(number)
    told = {"loss": loss, "optimizer": optimizer, "epochs": 200}
    return model, X[:60], y[:60], told, (X[60:], y[60:]), history


@pytest.mark.torch
def test_the_history_of_a_torch_loop_shows_overfitting():
    model, X, y, told, held_out, history = torch_run(noise=1.0)
    found = diagnose(model, X, y, **told, validation=held_out, history=history)
    assert [cause.code for cause in found.causes] == ["overfitting"]
    alone = diagnose(model, X, y, **told, history=history)
    assert "The validation loss is lowest after epoch" in str(alone.not_checked)
    assert "give diagnose validation=(X_val, y_val) too" in str(alone.not_checked)
    without = diagnose(model, X, y, **told, validation=held_out)
    assert "give diagnose history=" in str(without.not_checked)
    short = diagnose(model, X, y, **told, validation=held_out, history={"loss": [1.0, 0.5], "val_loss": [1.0, 1.0]})
    assert "2 rows, and the training 200 epochs" in str(short.not_checked)


@pytest.mark.torch
def test_a_torch_loop_that_learns_for_others_too_is_healthy():
    model, X, y, told, held_out, history = torch_run(noise=0.05)
    found = diagnose(model, X, y, **told, validation=held_out, history=history)
    assert found.healthy
    assert found.summary.startswith("Healthy: ")


def test_a_run_of_fit_knows_its_own_history():
    X, y = noisy(np.random.default_rng(0), 8)
    run = fit(nn.MLP([6, 3, 1]), X, y, loss="mse", optimizer="adam", epochs=2, progress=False)
    with pytest.raises(SettingError, match="history"):
        diagnose(run, history={"loss": [1.0, 0.5]})


def memorized(seed):
    """A network that learns 28 noisy samples by heart, of which 12 more were held out."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(40, 10))
    y = np.where(X[:, :1] + 0.8 * rng.normal(size=(40, 1)) > 0, 1.0, -1.0)
    return fit(
        nn.MLP([10, 64, 1], seed=seed), X, y, loss="mse", optimizer=lambda p: optim.Adam(p, lr=0.01), epochs=100,
        validation=0.3,
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
def test_a_validation_loss_that_turns_up_is_a_cause_or_noticed(seed):
    found = diagnose(memorized(seed))
    assert "overfitting" in [*[x.code for x in found.causes], *[x.code for x in found.symptoms]]
    assert "validation loss" in str(found)


def test_runs_that_lie_apart_are_no_accident():
    trial = lambda *losses: SimpleNamespace(worths=tuple(-x for x in losses))  # noqa: E731
    late, early = trial(1.5, 1.6, 1.7, 1.8, 1.85), trial(1.25, 1.31, 1.26, 1.3, 1.28)
    assert lies_apart(early, late)
    assert not lies_apart(late, early)
    assert not lies_apart(trial(1.25, 1.31, 1.26, 1.3, 1.55), late)
    assert not lies_apart(trial(1.2, 1.2, 1.2), trial(1.5, 1.5, 1.5))  # 1 of 20 by chance

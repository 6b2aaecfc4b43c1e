"""Histories as other tools keep them: the training loss is read, or it is asked which it is; never another column."""

import json
import math

import numpy as np
import pytest

from tinygrad_edu.clinic import diagnose_curve, diagnose_history
from tinygrad_edu.clinic.diagnosis.files import read_history
from tinygrad_edu.clinic.diagnosis.histories import history_of, json_columns
from tinygrad_edu.clinic.diagnosis.logs import columns_of_log
from tinygrad_edu.clinic.diagnosis.symptoms.curve import smooth
from tinygrad_edu.errors import InputFileError, SettingError

N = 20
LOSS = [0.05 + math.exp(-k / 5) for k in range(N)]
VALID = [0.2 + 0.9 * math.exp(-k / 4) for k in range(N)]
TURNING = [1.0 - 0.06 * min(k, 7) + 0.04 * max(k - 7, 0) for k in range(N)]
ACC = [1.0 - x / 3 for x in LOSS]


def csv(names, *columns):
    rows = [",".join("" if x is None else repr(x) for x in row) for row in zip(*columns, strict=True)]
    return "\n".join([",".join(names), *rows]) + "\n"


def keras_log():
    return "\n".join(
        f"Epoch {k + 1}/{N}\n 1/10 [..] - loss: 9.9999\r10/10 [====] - 0s 3ms/step - accuracy: {ACC[k]:.4f} - "
        f"loss: {LOSS[k]:.4f} - val_accuracy: 0.5 - val_loss: {VALID[k]:.4f}"
        for k in range(N)
    )


def fastai_log():
    head = "epoch     train_loss  valid_loss  accuracy  time    \n"
    return head + "".join(
        f"{k}         {LOSS[k]:.6f}    {VALID[k]:.6f}    {ACC[k]:.6f}  00:0{k % 10}   \n" for k in range(N)
    )


def sparse(*values):
    """A line for each measurement, as Lightning and the Trainer write them."""
    return [x for row in zip(*values, strict=True) for x in row]


NONE = [None] * N
EPOCHS = list(range(N))
BOTH = {"acc": ACC, "loss": LOSS}
TRAINER, EVALUATION = [{"loss": x} for x in LOSS], [{"eval_loss": x, "eval_accuracy": 0.1} for x in VALID]
FORMS = {  # name of the file: (its text, whether it has a validation loss)
    "keras.json": (json.dumps({"accuracy": ACC, "loss": LOSS, "val_accuracy": ACC, "val_loss": VALID}), True),
    "wrapped.json": (json.dumps({"params": {"epochs": N}, "history": {"loss": LOSS, "val_loss": VALID}}), True),
    "pandas.json": (json.dumps({c: {str(k): x for k, x in enumerate(v)} for c, v in BOTH.items()}), False),
    "records.json": (json.dumps([{"epoch": k, "train_loss": LOSS[k], "val_loss": VALID[k]} for k in EPOCHS]), True),
    "index.json": (json.dumps({str(k): {"loss": LOSS[k], "acc": ACC[k]} for k in EPOCHS}), False),
    "split.json": (json.dumps({"columns": list(BOTH), "data": list(zip(ACC, LOSS, strict=True))}), False),
    "trainer.json": (json.dumps({"log_history": sparse(TRAINER, EVALUATION)}), True),
    "csvlogger.csv": (
        csv(("epoch", "accuracy", "loss", "val_accuracy", "val_loss"), EPOCHS, ACC, LOSS, ACC, VALID),
        True,
    ),
    "fastai.csv": (
        csv(("epoch", "train_loss", "valid_loss", "accuracy", "time"), EPOCHS, LOSS, VALID, ACC, ["00:01"] * N),
        True,
    ),
    "lightning.csv": (
        csv(
            ("epoch", "step", "train_loss_step", "train_loss_epoch", "val_acc", "val_loss"),
            sparse(EPOCHS, EPOCHS),
            sparse(EPOCHS, EPOCHS),
            sparse([9.0] * N, NONE),
            sparse(NONE, LOSS),
            sparse(NONE, ACC),
            sparse(NONE, VALID),
        ),
        True,
    ),
    "pandas.csv": (csv(("", "acc", "loss"), EPOCHS, ACC, LOSS), False),
    "tensorboard.csv": (csv(("Step", "Train/Loss", "Val/Loss", "lr"), EPOCHS, LOSS, VALID, [0.1] * N), True),
    "error.csv": (csv(("epoch", "training error", "test error"), EPOCHS, LOSS, VALID), True),
    "keras.log": (keras_log(), True),
    "fastai.txt": (fastai_log(), True),
    "loop.txt": ("\n".join(f"Epoch [{k + 1}/{N}], Loss: {LOSS[k]:.6f}, Accuracy: {ACC[k]:.4f}" for k in EPOCHS), False),
    "prints.txt": (
        "\n".join(f"epoch {k} train loss = {LOSS[k]:.6f} | val loss = {VALID[k]:.6f}" for k in EPOCHS),
        True,
    ),
    "verbose.txt": ("\n".join(f"Iteration {k + 1}, loss = {LOSS[k]:.8f}" for k in EPOCHS), False),
}


@pytest.mark.parametrize("name", FORMS)
def test_the_training_loss_is_read_from_each_form(name, tmp_path):
    text, held_out = FORMS[name]
    path = tmp_path / name
    path.write_text(text)
    found = read_history(path)
    np.testing.assert_allclose(found.losses, LOSS, atol=1e-4)
    np.testing.assert_allclose(found.validation, VALID if held_out else [], atol=1e-4)
    card = str(diagnose_history(path))
    assert "as the training loss" in " ".join(card.split())
    assert "lr_too_high" not in card


UNCLEAR = {
    "accuracy.csv": (csv(("epoch", "accuracy"), EPOCHS, ACC), "it has: epoch, accuracy"),
    "two.csv": (csv(("epoch", "loss_g", "loss_d"), EPOCHS, LOSS, VALID), "which is the training loss: loss_g, loss_d"),
    "validation.csv": (csv(("epoch", "val_loss"), EPOCHS, VALID), "no training loss beside val_loss"),
    "accuracy.json": (json.dumps({"accuracy": ACC}), "it has: accuracy"),
    "alone.csv": (csv(("Accuracy",), ACC), "it has: Accuracy"),
    "held_out.csv": (csv(("val_loss",), VALID), "no training loss beside val_loss"),
    "scale.csv": (csv(("epoch", "loss_scale", "loss_weight"), EPOCHS, LOSS, LOSS), "no column of a loss"),
    "short.json": (json.dumps({"columns": ["loss", "acc"], "data": [[0.9, 0.1], [0.8]]}), "it has: columns, data"),
    "flat.json": (json.dumps({"columns": ["loss"], "data": LOSS}), "it has: columns, data"),
    "decimal.csv": ("\n".join(f"{x:.2f}".replace(".", ",") for x in LOSS), "may be a number with a decimal comma"),
    "thousands.csv": ("loss\n" + "\n".join(f"{x * 1e5:,.1f}" for x in LOSS), "has 2 cells, and the header names 1"),
    "backwards.csv": (csv(("epoch", "loss"), EPOCHS[::-1], LOSS[::-1]), "epoch goes down from .* to 0: sort the rows"),
    "pair.csv": ("1,0.5\n", "an epoch and its loss, or two losses"),
    "count.json": (json.dumps({"columns": 2, "data": [[0.9, 0.1]]}), "it has: data"),
}


@pytest.mark.parametrize("name", UNCLEAR)
def test_where_it_cannot_be_told_it_is_asked(name, tmp_path):
    text, words = UNCLEAR[name]
    (tmp_path / name).write_text(text)
    with pytest.raises(InputFileError, match=words):
        diagnose_history(tmp_path / name)


WITHOUT_HEADER = {  # text: the losses in it
    50 * "0.6931\n": 50 * [0.6931],
    "0.9\n0.8\n0.85\n0.9\n1.5\n": [0.9, 0.8, 0.85, 0.9, 1.5],
    "0,0.7\n1,0.7\n": [0.7, 0.7],
    "0.9,0.8,0.7,0.7": [0.9, 0.8, 0.7, 0.7],
    "0.9;0.8;0.7": [0.9, 0.8, 0.7],
    "0.9 0.8 0.7\n": [0.9, 0.8, 0.7],
    "0 0.9\n1 0.8\n": [0.9, 0.8],
    "0.0e+00\t9.0e-01\n1.0e+00\t8.0e-01\n": [0.9, 0.8],
    "loss\n0.9\nloss\n0.9\n": [0.9, 0.9],
}


@pytest.mark.parametrize("text", WITHOUT_HEADER)
def test_every_number_of_a_file_without_a_header_is_read(text, tmp_path):
    """A row that equals the first one was dropped, as the header of a resumed log: a plateau was one epoch."""
    (tmp_path / "losses.txt").write_text(text)
    assert read_history(tmp_path / "losses.txt").losses.tolist() == WITHOUT_HEADER[text]


def test_dicts_and_what_holds_one():
    class History:
        history = {"loss": LOSS, "val_loss": TURNING}  # noqa: RUF012

    for given in (History(), History.history, {k: np.array(v) for k, v in History.history.items()}):
        found = diagnose_history(given)
        assert found.symptoms[0].code == "overfitting"
        assert "Possible: overfitting." in found.summary
    assert str(diagnose_curve(History.history)) == str(diagnose_history(History.history))
    with pytest.raises(SettingError, match="a dict of columns"):
        diagnose_history(3.0)


@pytest.mark.parametrize("classes", [2, 3, 10, 26])
def test_a_loss_that_stays_at_the_logarithm_of_the_classes(classes):
    level = math.log(classes) + 0.002 * np.sin(np.arange(30.0))
    found = diagnose_curve(level)
    assert f"log({classes})" in str(found)
    assert "lr_too_high" not in found.summary
    assert "log(" not in str(diagnose_curve(math.log(classes) * np.exp(-np.arange(30.0) / 6)))


def test_a_loss_below_zero():
    found = diagnose_curve(-np.arange(20.0))
    assert "wrong_loss" in found.summary
    assert "labels -1 and 1" in " ".join(str(found).split())


def test_losses_of_batches_are_averaged():
    rng = np.random.default_rng(0)
    noisy = 0.3 + np.exp(-np.arange(600) / 150) + rng.normal(0.0, 0.25, 600)
    found = diagnose_curve(noisy)
    assert "single batches" in " ".join(found.summary.split())
    assert "lr_too_high" not in found.summary
    assert smooth(np.exp(-np.arange(600) / 150))[1] == 1  # a smooth curve is not averaged
    assert smooth(1.0 + 0.4 * (-1.0) ** np.arange(600))[1] == 1  # nor is one without a trend


def test_a_validation_loss_that_only_trembles_is_no_overfitting():
    rng = np.random.default_rng(0)
    falling = np.exp(-np.arange(40) / 8)
    trembling = 0.5 + falling + rng.normal(0.0, 0.02, 40)
    assert "overfitting" not in diagnose_curve(falling, trembling).summary
    rising = 1.0 + 0.05 * np.arange(40)  # if both rise, it is not overfitting
    assert "overfitting" not in diagnose_curve(rising, rising).summary


def test_words_that_are_no_log():
    assert columns_of_log("There is nothing here.\nThe loss is great: 3 people.\n") is None
    assert json_columns("text") is None
    with pytest.raises(SettingError):
        history_of({})


def test_a_log_with_thousands_separators_is_no_table(tmp_path):
    (tmp_path / "log.txt").write_text("epoch 1 loss 1,234.5\nepoch 2 loss 1,100.2\n")
    with pytest.raises(InputFileError, match="without thousands separators"):
        read_history(tmp_path / "log.txt")
    (tmp_path / "dated.csv").write_text("2024-01-01,0.5\n2024-01-02,0.4\n")
    assert read_history(tmp_path / "dated.csv").losses.tolist() == [0.5, 0.4]


PLAIN = {  # without a header
    "a plateau": ("0.6931\n" * 50, [0.6931] * 50),
    "the first loss again": ("0.9\n0.8\n0.9\n1.5\n", [0.9, 0.8, 0.9, 1.5]),
    "rows again": ("1,0.5\n1,0.5\n", [0.5, 0.5]),
    "in one row": ("1.0,0.8,0.7,0.6\n", [1.0, 0.8, 0.7, 0.6]),
    "in one row, a comma at the end": ("1.0, 0.8, 0.7,\n", [1.0, 0.8, 0.7]),
    "in one row, blanks": ("1.0 0.8  0.7\n", [1.0, 0.8, 0.7]),
    "columns, blanks": (" 1 1.0\n 2 0.8\n 3 0.8\n", [1.0, 0.8, 0.8]),
    "one number": ("0.5\n", [0.5]),
}


@pytest.mark.parametrize("name", PLAIN)
def test_numbers_without_a_header(name, tmp_path):
    text, losses = PLAIN[name]
    path = tmp_path / "losses.csv"
    path.write_text(text)
    assert read_history(path).losses.tolist() == losses

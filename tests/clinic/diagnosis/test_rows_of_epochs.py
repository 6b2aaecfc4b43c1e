"""Tables with several rows for an epoch are read as the curves of the epochs, whatever wrote them."""

import json

import numpy as np
import pytest

from tinygrad_edu.clinic.diagnosis.files import read_history

LOSS = np.exp(-np.arange(8) / 4.0)
VALID = LOSS + 0.125
BATCHES = np.array([-0.25, 0.0, 0.25])


def per_batch(k):
    """Rows of an epoch for its batches; the last one has the loss of what was held out."""
    rows = [{"epoch": k, "batch": i, "loss": LOSS[k] + x, "val_loss": None} for i, x in enumerate(BATCHES)]
    return [*rows[:-1], {**rows[-1], "val_loss": VALID[k]}]


def per_phase(k):
    pairs = [("train", LOSS[k]), ("val", VALID[k])]
    return [{"epoch": k, "phase": phase, "loss": loss, "acc": 0.5} for phase, loss in pairs]


def per_phase_and_batch(k):
    return [{**row, "loss": row["loss"] + x} for row in per_phase(k) for x in BATCHES]


def per_epoch(k):
    return [{"epoch": k, "loss": LOSS[k], "val_loss": VALID[k]}]


TABLES = {"batches": per_batch, "phases": per_phase, "both": per_phase_and_batch, "epochs": per_epoch}


def as_csv(rows, mark=","):
    cells = [["" if x is None else str(x) for x in row.values()] for row in rows]
    return "\n".join(mark.join(line) for line in [list(rows[0]), *cells])


FORMS = {
    "a.csv": as_csv,
    "b.csv": lambda rows: as_csv(rows, "\t"),
    "c.json": json.dumps,
    "d.jsonl": lambda rows: "\n".join(map(json.dumps, rows)),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("table", TABLES)
def test_the_curves_are_those_of_the_epochs(table, form, tmp_path):
    path = tmp_path / form
    path.write_text(FORMS[form]([row for k in range(len(LOSS)) for row in TABLES[table](k)]))
    found = read_history(path)
    np.testing.assert_allclose(found.losses, LOSS)
    np.testing.assert_allclose(found.validation, VALID)
    assert ("averaged" in found.sentence) == (table in ("batches", "both"))


@pytest.mark.parametrize("epochs", [[0, 0, 0, 0], [0, 1, 0, 1], ["a", "a", "b", "b"]])
def test_rows_that_are_not_of_epochs_in_order_stay(epochs, tmp_path):
    (tmp_path / "a.csv").write_text(as_csv([{"epoch": k, "loss": x} for k, x in zip(epochs, LOSS, strict=False)]))
    np.testing.assert_allclose(read_history(tmp_path / "a.csv").losses, LOSS[:4])

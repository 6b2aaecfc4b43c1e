"""Files and logs as tools write them: the right columns are read, or it is asked which they are; nothing is guessed."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from tinygrad_edu.clinic.diagnosis.files import read_history
from tinygrad_edu.clinic.diagnosis.histories import comparable
from tinygrad_edu.clinic.diagnosis.logs import columns_of_log
from tinygrad_edu.errors import InputFileError

# training: the losses of six epochs; null if the user must be asked; "some" for those of a few batches
FILES = json.loads(Path(__file__).with_name("histories.json").read_text(encoding="utf-8"))
CLOSE = {"rtol": 0.0, "atol": 6e-3}  # the precision of the printed numbers


@pytest.mark.parametrize("name", FILES)
def test_a_file_as_its_tool_writes_it(name, tmp_path):
    path, wanted = tmp_path / name, FILES[name]
    path.write_text(wanted["text"], encoding="utf-8")
    if wanted["training"] is None:
        with pytest.raises(InputFileError, match=r"loss|number"):
            read_history(path)
        return
    found = read_history(path)
    if wanted["training"] == "some":
        assert found.losses[-1] < 0.7 * found.losses[0]
    else:
        np.testing.assert_allclose(found.losses, wanted["training"], **CLOSE)
    np.testing.assert_allclose(found.validation, wanted["validation"], **CLOSE)


SAID = {  # line: the columns that it names
    "Epoch 3: train loss 0.5000, val loss 0.6000": {"train_loss": 0.5, "val_loss": 0.6},
    "Test set: Average loss: 0.25, Accuracy: 94/100 (94%)": {"test_average_loss": 0.25},
    "/data/test/run.py:12 - INFO - loss: 0.25": {"loss": 0.25},
    "train: loss 0.50 valid: loss 0.75": {"loss": 0.5, "valid_loss": 0.75},
    "Epoch 7 Time cost=1.25 loss=nan": {"time_cost": 1.25, "loss": np.nan},
    "\x1b[1mloss\x1b[0m: 1e-3": {"loss": 0.001},
}


@pytest.mark.parametrize("line", SAID)
def test_what_a_line_says(line):
    found = columns_of_log(f"{line}\n{re.sub('Epoch .', 'Epoch 8', line)}\n")
    assert {name: x[-1] for name, x in found.items()} == pytest.approx(SAID[line], nan_ok=True)


def test_names_are_compared_in_one_spelling():
    assert {comparable(name) for name in ("trainLoss", "Train/Loss", "train loss", "TRAIN_LOSS", "Train Loss")} == {
        "train_loss"
    }


def test_a_long_path_in_a_log_is_passed_over_at_once():
    # a pattern with two ways to match each word would take exponential time
    words = "/".join(["some-longer-name-of-a-folder"] * 8)
    log = f"saved as {words} !\nEpoch 1 loss: 0.5\nsaved as {words} !\nEpoch 2 loss: 0.25\n"
    assert columns_of_log(log) == {"loss": [0.5, 0.25]}

"""Targets that a loss does not take: the error says the whole way, and whoever follows it once has done with it."""

import re

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.errors import SettingError, ShapeError

R = np.random.default_rng(0)
X, THREE, SIGNS = R.normal(size=(12, 2)), np.arange(12) % 3, np.where(np.arange(12) % 2, 1.0, -1.0)
LABELS = {  # (labels, classes): what people have in place of class numbers
    "signs": (SIGNS, 2), "a column of signs": (SIGNS[:, None], 2), "whole signs": (SIGNS.astype(int), 2),
    "a column of whole signs": (SIGNS[:, None].astype(int), 2), "floats": (THREE * 1.0, 3),
    "a column": (THREE[:, None], 3), "a column of floats": (THREE[:, None] * 1.0, 3), "from 1": (THREE + 1, 3),
    "a column from 1.0": (THREE[:, None] + 1.0, 3), "truth values": (SIGNS > 0, 2), "0 and 255": ((SIGNS > 0) * 255, 2),
    "2, 4 and 6": (THREE[:, None] * 2 + 2, 3),
}  # fmt: skip


def follow(message, variable, labels):
    """The labels that the advice of an error makes."""
    found = re.search(rf"Write (.*\b{variable}\b.*)$", message)
    assert found, message
    return eval(found[1], {"np": np, variable: labels})


@pytest.mark.parametrize("name", LABELS)
@pytest.mark.parametrize("loss", ["cross_entropy", "nll", "multi_margin"])
def test_the_advice_makes_class_numbers_in_one_step(name, loss):
    labels, classes = LABELS[name]
    logits = np.zeros((12, classes))
    with pytest.raises((ShapeError, SettingError)) as told:
        getattr(tg.nn.losses, loss)(logits, labels)
    assert np.isfinite(getattr(tg.nn.losses, loss)(logits, follow(str(told.value), "target", labels)))


@pytest.mark.parametrize("name", [*LABELS, "text"])
def test_so_does_that_of_fit(name):
    labels, classes = {**LABELS, "text": (np.array(["cat", "dog"])[np.arange(12) % 2], 2)}[name]
    how = {"loss": "cross_entropy", "optimizer": "sgd", "epochs": 1, "compiled": False}
    with pytest.raises(SettingError, match=r"the model has \d outputs") as told:
        tg.fit(tg.nn.Linear(2, classes), X, labels, **how)
    made = follow(str(told.value), "y", labels)
    assert np.isfinite(tg.fit(tg.nn.Linear(2, classes), X, made, **how).loss_curve[0])


def test_a_tensor_of_classes_is_led_to_its_numbers():
    with pytest.raises(ShapeError, match=r"Write target.data.astype\(int\)$"):
        tg.nn.losses.cross_entropy(np.zeros((12, 3)), tg.Tensor(THREE * 1.0))


OTHERS = (  # (loss, prediction, target, what it says)
    ("bce_with_logits", np.zeros((12, 1)), THREE[:, None], "Of 3 classes take cross_entropy, with an output for each"),
    ("bce_with_logits", np.zeros((12, 1)), THREE[:, None] + 1, "target - 1 as class numbers"),
    ("bce_with_logits", np.zeros((12, 1)), SIGNS[:, None], "use hinge"),
    ("bce_with_logits", np.zeros((12, 1)), (SIGNS[:, None] > 0) * 255, r"\(target > 0\) \* 1.0"),
    ("bce", np.full((12, 1), 0.5), X[:, :1], "take mse"),
    ("hinge", np.zeros((12, 1)), THREE[:, None], "Of 3 classes take cross_entropy or multi_margin"),
    ("hinge", np.zeros((12, 1)), (SIGNS[:, None] > 0) * 1.0, r"2\*target - 1"),
    ("mse", np.zeros((12, 3)), THREE, r"take cross_entropy, or write np.eye\(3\)\[target\] for mse"),
    ("bce_with_logits", np.zeros((12, 3)), THREE[:, None], r"np.eye\(3\)\[target.ravel\(\)\]"),
    ("bce_with_logits", np.zeros((12, 1)), THREE, r"reshape\(12, 1\)\? Of 3 classes take cross_entropy"),
    ("hinge", np.zeros((12, 1)), (SIGNS > 0) * 1.0, r"reshape\(12, 1\)\? For classes 0 and 1 write 2\*target - 1"),
    ("cross_entropy", np.zeros((12, 1)), (SIGNS[:, None] > 0).astype(int), "take bce_with_logits"),
    ("cross_entropy", np.zeros((12, 1)), (SIGNS > 0).astype(int), "take bce_with_logits"),
    ("cross_entropy", np.zeros((12, 2)), X[:, 0], "for numbers take mse"),
    ("cross_entropy", np.zeros((12, 2)), THREE, "They are 3 classes: give the model an output for each"),
)


@pytest.mark.parametrize(("loss", "prediction", "target", "says"), OTHERS, ids=[f"{x[0]}: {x[3]}" for x in OTHERS])
def test_another_loss_is_named_where_it_is_meant(loss, prediction, target, says):
    with pytest.raises((ShapeError, SettingError), match=says):
        getattr(tg.nn.losses, loss)(prediction, target)

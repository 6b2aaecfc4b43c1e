"""Dropout masks: drawn again in backward though forward keeps one, drawn again with all of the loss, and read."""

import numpy as np
import pytest

from tests.clinic.examiner.programs.test_own_numbers import T, W, X, gradients, loss
from tinygrad_edu.clinic import check_backprop


class Net:
    """A network with dropout; what forward keeps, and what backward takes, is set by the subclasses."""

    def __init__(self):
        self.rng, self.cache, self.losses = np.random.default_rng(5), {}, []

    def draw(self):
        return 1.0 * (self.rng.random((12, 5)) < 0.7)

    def keep(self, mask):
        self.mask = mask

    def forward(self, p):
        mask = self.draw()
        self.keep(mask)
        self.losses.append(loss(**p, mask=mask))
        return self.losses[-1]

    def backward(self, p):
        return gradients(**p, mask=self.draw())


class InCache(Net):
    def keep(self, mask):
        self.cache["mask"] = mask


class InNewCache(Net):
    def keep(self, mask):
        self.cache = {"x": X, "mask": mask > 0.5}


class InList(Net):
    def keep(self, mask):
        self.cache["masks"] = [mask.tolist(), mask]


class Rows(Net):
    """A batch in the place of a mask."""

    def draw(self):
        self.rows = getattr(self, "rows", None)
        return (self.rng.permutation(12) < 6)[:, None] * np.ones(5)


class KeptNowhere(Net):
    def keep(self, mask):
        pass


class Read(Net):
    def backward(self, p):
        return gradients(**p, mask=self.mask)


class ReadBesideOtherDraws(Net):
    """What it draws is for the next batch."""

    def backward(self, p):
        self.order = self.rng.permutation(12)
        return gradients(**p, mask=self.mask)


class CallsForward(Net):
    def backward(self, p):
        self.forward(p)
        return gradients(**p, mask=self.mask)


class KeepsItsOwn(Net):
    def backward(self, p):
        self.mask = self.draw()
        return gradients(**p, mask=self.mask)


class ReturnsTheLossToo(KeptNowhere):
    def backward(self, p):
        mask = self.draw()
        return loss(**p, mask=mask), gradients(**p, mask=mask)


@pytest.mark.parametrize("kind", [Net, InCache, InNewCache, InList, Rows])
def test_a_mask_drawn_again_beside_the_one_that_forward_keeps_is_a_mistake(kind):
    net = kind()
    report = check_backprop(net.forward, W, net.backward)
    assert {*report.wrong} == {"A", "C"}
    assert "store what forward draws" in report.note
    assert "self.rng" in report.places[0].source
    assert not net.losses


@pytest.mark.parametrize("kind", [KeptNowhere, CallsForward, KeepsItsOwn, ReturnsTheLossToo])
def test_a_backward_that_is_right_for_its_own_draws_is_told_that_forward_has_others(kind):
    net = kind()
    report = check_backprop(net.forward, W, net.backward)
    assert report.ok
    assert "draws random numbers of its own" in report.note


@pytest.mark.parametrize("kind", [Read, ReadBesideOtherDraws])
def test_a_mask_that_is_read_is_right_and_there_is_nothing_to_say(kind):
    net = kind()
    report = check_backprop(net.forward, W, net.backward)
    assert report.ok
    assert not report.note


def test_a_global_mask_drawn_again():
    """The loss is linear in the mask, so that any mask makes a right gradient of some loss."""
    rng, kept = np.random.default_rng(3), {}

    def forward(p):
        kept["m"] = rng.random((12, 5)) < 0.5
        return float(np.sum(np.tanh(X @ p["A"]) * kept["m"]) + np.sum(p["C"] * T[:5]))

    def backward(p, mask=None):
        mask = rng.random((12, 5)) < 0.5 if mask is None else mask
        return {"A": X.T @ ((1.0 - np.tanh(X @ p["A"]) ** 2) * mask), "C": T[:5]}

    assert [*check_backprop(forward, W, backward).wrong] == ["A"]
    assert check_backprop(forward, W, lambda p: backward(p, kept["m"])).ok

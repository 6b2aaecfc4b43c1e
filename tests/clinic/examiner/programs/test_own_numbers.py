"""A backward that works with other numbers than forward: it writes into the parameters, or draws a mask of its own."""

import os
import random

import numpy as np
import pytest

from tinygrad_edu.clinic import check_backprop
from tinygrad_edu.errors import ExaminerError

RNG = np.random.default_rng(3)
X, T = RNG.normal(size=(12, 4)), RNG.normal(size=(12, 2))
W = {"A": 0.5 * RNG.normal(size=(4, 5)), "C": RNG.normal(size=(5, 2))}
OWN, OLD, PLAIN = np.random.default_rng(7), np.random.RandomState(3), random.Random(4)
PUT_BACK = {
    "np.random": lambda: np.random.rand(12, 5),
    "a Generator": lambda: OWN.random((12, 5)),
    "a RandomState": lambda: OLD.rand(12, 5),
    "random": lambda: np.reshape([random.random() for _ in range(60)], (12, 5)),
    "a Random": lambda: np.reshape([PLAIN.random() for _ in range(60)], (12, 5)),
}
LOST = {
    "default_rng()": lambda: np.random.default_rng().random((12, 5)),
    "os.urandom": lambda: np.frombuffer(os.urandom(60), dtype=np.uint8).reshape(12, 5) / 256,
}


def loss(A, C, mask=1.0):
    return (((np.tanh(X @ A) * mask) @ C - T) ** 2).mean()


def gradients(A, C, mask=1.0):
    h = np.tanh(X @ A)
    d = 2.0 * ((h * mask) @ C - T) / T.size
    return {"A": X.T @ ((d @ C.T) * mask * (1.0 - h**2)), "C": (h * mask).T @ d}


@pytest.mark.parametrize("draw", PUT_BACK.values(), ids=PUT_BACK)
def test_a_forward_that_draws_gives_the_same_draws_to_a_backward_that_computes_it_again(draw):
    assert check_backprop(
        lambda p: loss(**p, mask=draw() < 0.7), W, lambda p: gradients(**p, mask=1.0 * (draw() < 0.7))
    ).ok


@pytest.mark.parametrize("draw", [*PUT_BACK.values(), *LOST.values()], ids=[*PUT_BACK, *LOST])
def test_a_forward_that_draws_beside_finished_gradients_gives_another_loss_each_time(draw):
    with pytest.raises(ExaminerError, match=r"another loss each time.*hand over the backward"):
        check_backprop(lambda p: loss(**p, mask=draw() < 0.7), W, gradients(**W, mask=1.0 * (draw() < 0.7)))


@pytest.mark.parametrize("draw", LOST.values(), ids=LOST)
def test_what_cannot_be_drawn_again_is_said_of_forward_and_of_backward(draw):
    with pytest.raises(ExaminerError, match="forward gives another loss each time"):
        check_backprop(lambda p: loss(**p, mask=draw() < 0.7), W, lambda p: gradients(**p))
    with pytest.raises(ExaminerError, match="backward gives other gradients each time"):
        check_backprop(lambda p: loss(**p), W, lambda p: gradients(**p, mask=1.0 * (draw() < 0.7)))


def test_a_mask_that_seldom_drops_anything_is_found_though_two_calls_agree():
    draws = iter([0.0, 0.0, 0.0, 1.0] * 20)
    with pytest.raises(ExaminerError, match="another loss each time"):
        check_backprop(lambda p: loss(**p) + next(draws), W, gradients(**W))


@pytest.mark.parametrize("draw", PUT_BACK.values(), ids=PUT_BACK)
def test_a_mask_drawn_anew_in_backward_is_wrong_though_the_same_draws_would_make_it_right(draw):
    stored = {}

    def forward(p):
        mask = draw() < 0.7
        stored["h"] = np.tanh(X @ p["A"])
        stored["o"] = (stored["h"] * mask) @ p["C"]
        return ((stored["o"] - T) ** 2).mean()

    def backward(p):
        mask = 1.0 * (draw() < 0.7)
        h, d = stored["h"], 2.0 * (stored["o"] - T) / T.size
        return {"A": X.T @ ((d @ p["C"].T) * mask * (1.0 - h**2)), "C": (h * mask).T @ d}

    report = check_backprop(forward, W, backward)
    assert {*report.wrong} == {"A", "C"}
    assert "draws random numbers after forward" in str(report)
    assert "draw()" in report.places[0].source or report.places[0].line == draw.__code__.co_firstlineno


def item_in_place(p):
    p["A"] -= 0.1


def item_anew(p):
    p["A"] = p["A"] - 0.1


def another_name(p):
    A = p["A"]
    A *= 0.5


def one_entry(p):
    p["C"][0, 1] = 3.0


def by_out(p):
    np.multiply(p["C"], 2.0, out=p["C"])


def all_of_them(p):
    for name in p:
        p[name] += 1.0


def in_a_function(p):
    shrink(p["A"])


def shrink(x):
    x[:] = 0.5 * x


WRITERS = [item_in_place, item_anew, another_name, one_entry, by_out, all_of_them, in_a_function]


@pytest.mark.parametrize("write", WRITERS, ids=lambda f: f.__name__)
def test_a_backward_that_writes_into_the_parameters_first_is_told_so(write):
    def backward(p):
        write(p)
        return gradients(**p)

    report = check_backprop(lambda p: loss(**p), W, backward)
    assert "writes into the parameters" in report.note
    assert "not in the catalogue" not in str(report)
    (place,) = report.places
    last = (shrink if write is in_a_function else write).__code__
    assert (place.file, place.line) == (__file__, [*last.co_lines()][-1][2]) or write is all_of_them


def test_an_update_after_the_gradients_is_no_mistake_and_hides_none():
    def trains(p, factor):
        found = gradients(**p)
        found["A"] = factor * found["A"]
        for name in p:
            p[name] -= 0.1 * found[name]
        return found

    assert check_backprop(lambda p: loss(**p), W, lambda p: trains(p, 1.0)).ok
    report = check_backprop(lambda p: loss(**p), W, lambda p: trains(p, -1.0))
    assert report.slips[0].code == "sign_flipped"
    assert f"{os.path.basename(__file__)}:" in report.note


def test_weights_that_are_updated_too_early_keep_their_name():
    def backward(p):
        h = np.tanh(X @ p["A"])
        d = 2.0 * (h @ p["C"] - T) / T.size
        dC = h.T @ d
        p["C"] -= 0.1 * dC
        return {"A": X.T @ ((d @ p["C"].T) * (1.0 - h**2)), "C": dC}

    report = check_backprop(lambda p: loss(**p), W, backward)
    assert report.slips[0].code == "updated_weights_used"
    assert not report.note

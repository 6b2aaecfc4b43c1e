"""Errors in the learner's own code: each says the line, the shapes that do not match there, and what was meant."""

import numpy as np
import pytest

from tinygrad_edu.clinic import check_backprop, check_program
from tinygrad_edu.errors import ExaminerError

RNG = np.random.default_rng(0)
X, T = RNG.normal(size=(4, 2)), RNG.normal(size=(4, 1))
W = {"W1": RNG.normal(size=(2, 3)), "b1": np.zeros(3), "W2": RNG.normal(size=(3, 1))}


class Box:
    weight = W["W2"]


def forward(p):
    return (((X @ p["W1"] + p["b1"]) @ p["W2"] - T) ** 2).sum()


def product(p, d):
    return d @ p["W2"] * 2


def product_by_dot(p, d):
    return np.dot(d, p["W2"])


def product_by_method(p, d):
    return d.dot(Box.weight)


def over_lines(p, d):
    return 3.0 * (
        d
        @ p["W2"]
    )  # fmt: skip


def after_other_letters(p, d):
    return {"é": d @ p["W2"]}  # positions in a line are counted in bytes


def sum_of_two(p, d):
    return X + p["b1"]


def column_and_row(p, d):
    return p["W1"] * X[:, 0]


def in_place(p, d):
    w = p["W2"]
    w -= X
    return w


def of_a_call(p, d):
    return np.concatenate([X, p["W2"]])


def of_values_in_between(p, d):
    return (2.0 * d) @ (p["W2"] * 1.0)


def of_a_function(p, d):
    return product(p, d)


SAID = {
    product: r'd @ p["W2"]: shapes (4, 1) and (3, 1) do not match: 1 != 3. Did you mean p["W2"].T, of shape (1, 3)?',
    product_by_dot: 'd @ p["W2"]: shapes (4, 1) and (3, 1)',
    product_by_method: "d @ Box.weight: shapes (4, 1) and (3, 1)",
    over_lines: 'd @ p["W2"]: shapes (4, 1) and (3, 1)',
    after_other_letters: 'd @ p["W2"]: shapes (4, 1) and (3, 1)',
    sum_of_two: 'X + p["b1"]: shapes (4, 2) and (3,) do not match: 2 != 3',
    column_and_row: 'p["W1"] * X[:, 0]: shapes (2, 3) and (4,) do not match: 3 != 4',
    in_place: "w - X: shapes (3, 1) and (4, 2) do not match: 3 != 4",
    of_a_call: 'There X has shape (4, 2), p["W2"] (3, 1)',
    of_values_in_between: 'There d has shape (4, 1), p["W2"] (3, 1)',
    of_a_function: 'd @ p["W2"]: shapes (4, 1) and (3, 1)',
}


def backward_of(mistake):
    def backward(p):
        d = 2.0 * ((X @ p["W1"] + p["b1"]) @ p["W2"] - T)
        return {"W1": mistake(p, d)}

    return backward


@pytest.mark.parametrize("mistake", SAID, ids=lambda f: f.__name__)
def test_shapes_that_do_not_match_are_told_with_the_line(mistake):
    with pytest.raises(ExaminerError) as caught:
        check_backprop(forward, W, backward_of(mistake))
    said, code = str(caught.value), (product if mistake is of_a_function else mistake).__code__
    assert said.startswith("your backward raised ValueError")
    assert SAID[mistake] in said
    assert "cache" not in said
    assert isinstance(caught.value.__cause__, ValueError)
    lines = {line for *_, line in code.co_lines()}
    assert any(f"test_own_errors.py, line {line})" in said for line in lines)


def is_undefined(p):
    return nothing_of_the_kind  # noqa: F821


def before_it_is_made(p):
    x = later  # noqa: F821 - it is local: UnboundLocalError
    later = x
    return later


MISSING = {
    "KeyError": (lambda p: {}["h"], True),
    "AttributeError": (lambda p: Box.h, True),
    "IndexError": (lambda p: [][0], True),
    "TypeError: unsupported": (lambda p: 2.0 * None, True),
    "NameError": (is_undefined, True),
    "UnboundLocalError": (before_it_is_made, False),
    "TypeError: can only": (lambda p: [] + 1, False),
    "ValueError": (lambda p: float("x"), False),
}


@pytest.mark.parametrize("kind", MISSING)
def test_a_cache_is_spoken_of_only_where_something_may_not_have_been_stored(kind):
    backward, cache = MISSING[kind]
    with pytest.raises(ExaminerError, match=f"your backward raised {kind}") as caught:
        check_backprop(forward, W, backward)
    assert ("a cache, self.h" in str(caught.value)) is cache


def test_forward_and_step_say_it_too():
    wrong = lambda p: float((X @ p["W2"]).sum())  # noqa: E731
    for grads in (W, backward_of(product)):
        with pytest.raises(ExaminerError, match=r'your forward raised .*: X @ p\["W2"\]: shapes \(4, 2\) and \(3, 1\)'):
            check_backprop(wrong, W, grads)
    net = {"w": np.ones((3, 1))}

    def step():
        net["w"] -= 0.1 * X

    with pytest.raises(ExaminerError, match=r'your step raised .*There net\["w"\] has shape \(3, 1\), X \(4, 2\)'):
        check_program(net, step=step, loss=lambda: float((net["w"] ** 2).sum()), lr=0.1)

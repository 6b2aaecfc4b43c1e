"""Which of several explanations comes first: what a learner more likely wrote."""

import numpy as np
import pytest

from bench import examiner
from bench.clinic import slipped
from bench.clinic.slipped import Injected
from tinygrad_edu.clinic import check_backprop

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(0)
X, T = RNG.normal(size=(5, 3)), np.eye(2)[[0, 1, 1, 0, 1]]
P = {"W": RNG.normal(size=(3, 2)), "b": RNG.normal(size=2)}


def softmax_loss(p):
    e = np.exp(X @ p["W"] + p["b"])
    return -np.sum(T * np.log(e / np.sum(e, axis=1, keepdims=True))) / 5


def softmax_grads(bias):
    e = np.exp(X @ P["W"] + P["b"])
    d = (e / e.sum(axis=1, keepdims=True) - T) / 5
    return {"W": X.T @ d, "b": bias(d)}


BIASES = {
    "missing_bias_gradient": lambda d: np.zeros(2),
    "bias_wrong_axis": lambda d: np.full(2, d.sum()),  # for softmax with cross-entropy this is 0, apart from rounding
}


@pytest.mark.parametrize("code", BIASES)
def test_zeros_that_are_rounding_were_computed(code):
    """Both slips give 0 here; who computes nothing has exact zeros, who sums over the wrong axis has 1e-17."""
    report = check_backprop(softmax_loss, P, softmax_grads(BIASES[code]))
    assert report.slips[0].code == code
    assert {s.code for s in report.slips} >= set(BIASES)


def net_of(widths, activations):
    return next(n for n in slipped.learners() if (n.widths, n.activations) == (widths, activations))


def test_the_sign_of_a_single_number_is_a_sign():
    """One number is too little for a factor without a name, but -1 has one."""
    net = net_of((1, 1, 1), ("relu", "sigmoid"))
    report = check_backprop(net.forward, net.params, net.backward((Injected("sign_flipped", 0, "", 1),)), lr=0.3)
    assert [(s.code, s.name) for s in report.explanations[0]] == [("sign_flipped", "W1")]


def test_a_slip_in_every_layer_comes_before_two_slips():
    net = net_of((4, 3, 5, 2), ("tanh", "tanh", "sigmoid"))
    report = check_backprop(net.forward, net.params, net.backward((Injected("derivative_at_activation", -1),)))
    assert [(s.code, s.where) for s in report.explanations[0]] == [("derivative_at_activation", "every layer")]
    assert all(len(e) == 1 for e in report.explanations)


def test_fewer_slips_and_none_fitted_come_first():
    """In every list: one slip, two, then what has a factor fitted to the learner's numbers."""
    for net, slips in examiner.doubles(12, seed=11):
        found = check_backprop(net.forward, net.params, net.backward(slips), lr=0.3).explanations
        cost = [len(e) + any(s.mutant and s.mutant.chance for s in e) for e in found]
        assert cost == sorted(cost)


@pytest.mark.parametrize("form", ["missing", "of one sample"])
def test_a_penalty_is_no_branch_of_twins(form):
    """Every weight is used twice then, in its layer and in the penalty; that does not make the penalty a branch."""
    net = next(n for n in slipped.learners() if n.penalty and len(n.widths) == 3 and n.samples > 1)
    code = {"missing": "regularisation_missing", "of one sample": "only_last_sample"}[form]
    wrong = net.backward((Injected(code, -1, "", int(code == "only_last_sample")),))
    report = check_backprop(net.forward, net.params, wrong, lr=0.3)
    assert report.explanations[0][0].code == code
    assert "shared_weight_counted_once" not in {s.code for s in report.slips}

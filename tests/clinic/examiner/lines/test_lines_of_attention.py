"""Attention: the line of the backward pass is shown, and not the softmax of the forward pass under its mask."""

import numpy as np
import pytest

from tinygrad_edu.clinic import check_backprop

N = 4  # tokens, and keys: the exponentials have the shape of the Jacobian of one row
RNG = np.random.default_rng(0)
E, LABELS = RNG.normal(size=(N, 4)), np.array([0, 1, 2, 0])
P = {"Q": RNG.normal(size=(4, 3)), "K": RNG.normal(size=(4, 3)), "V": RNG.normal(size=(4, 3))}
BELOW = np.tril(np.ones((N, N))) > 0
MASKS = {
    "none": lambda S: S,
    "causal": lambda S: np.where(BELOW, S, -1e9),
    "causal, added": lambda S: S + np.where(BELOW, 0.0, -1e9),
    "causal, -inf": lambda S: np.where(BELOW, S, -np.inf),
    "padding": lambda S: np.where(np.arange(N) < 2, S, -1e9),
    "window": lambda S: np.where(np.eye(N) + np.eye(N, k=-1) > 0, S, -1e9),
}
MISTAKES = {
    "diagonal alone": lambda A, dA: A * (1 - A) * dA,
    "no dot": lambda A, dA: A * dA,
    "dot over the other axis": lambda A, dA: A * (dA - (dA * A).sum(0, keepdims=True)),
}


def softmax(z):
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def report_of(mask, back):
    def forward(p):
        A = softmax(mask((E @ p["Q"]) @ (E @ p["K"]).T))
        return -np.log(softmax(A @ (E @ p["V"]))[np.arange(N), LABELS]).sum()

    def backward(p):
        q, k, v = E @ p["Q"], E @ p["K"], E @ p["V"]
        A = softmax(mask(q @ k.T))
        d = softmax(A @ v) - np.eye(3)[LABELS]
        dS = back(A, d @ v.T)
        return {"Q": E.T @ (dS @ k), "K": E.T @ (dS.T @ q), "V": E.T @ (A.T @ d)}

    return check_backprop(forward, P, backward)


@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.parametrize("mask", MASKS)
def test_the_softmax_of_the_forward_pass_is_not_accused(mask, mistake):
    report = report_of(MASKS[mask], MISTAKES[mistake])
    assert not report.ok
    (source,) = [place.source for place in report.places]
    assert source.startswith(f'"{mistake}"')


@pytest.mark.parametrize("mask", MASKS)
def test_the_right_attention_is_right(mask):
    assert report_of(MASKS[mask], lambda A, dA: A * (dA - (dA * A).sum(1, keepdims=True))).ok

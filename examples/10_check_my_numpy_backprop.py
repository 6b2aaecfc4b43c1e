"""10. Check my own NumPy backprop: which line is wrong, and what should it say?

You will learn to hand your own forward function, parameters and backward function to the examiner, and to read its
answer. It knows the right gradients from your forward function, looks for the mistake that gives exactly your numbers,
and shows the line of your backward function that computes the first wrong value. Gradients alone have no lines to show.

    python examples/10_check_my_numpy_backprop.py
"""

from functools import partial

import numpy as np

import tinygrad_edu as tg

rng = np.random.default_rng(0)
X, t = rng.normal(size=(6, 3)), rng.normal(size=(6, 1))
params = {
    "W1": rng.normal(size=(3, 4)), "b1": np.zeros(4),
    "W2": rng.normal(size=(4, 4)), "b2": np.zeros(4),
    "W3": rng.normal(size=(4, 1)), "b3": np.zeros(1),
}  # fmt: skip


def forward(p):
    """The loss, in plain NumPy; nothing here knows of the library."""
    a1 = np.tanh(X @ p["W1"] + p["b1"])
    a2 = np.tanh(a1 @ p["W2"] + p["b2"])
    return np.mean((a2 @ p["W3"] + p["b3"] - t) ** 2)


def backward(p, first_draft=True, second_draft=False):
    """Gradients as a learner wrote them; each draft mends one line."""
    a1 = np.tanh(X @ p["W1"] + p["b1"])
    a2 = np.tanh(a1 @ p["W2"] + p["b2"])
    d3 = 2 * (a2 @ p["W3"] + p["b3"] - t) / len(t)
    d2 = d3 @ p["W3"].T * (1 - a2**2)
    back = d2 @ p["W2"] if first_draft else d2 @ p["W2"].T  # W2 is square, so no shape error shows the missing .T
    d1 = back if first_draft or second_draft else back * (1 - a1**2)
    return {
        "W1": X.T @ d1, "b1": d1.sum(axis=0), "W2": a1.T @ d2, "b2": d2.sum(axis=0),
        "W3": a2.T @ d3, "b3": d3.sum(axis=0),
    }  # fmt: skip


def learns(**draft):
    """The loss after 300 steps of gradient descent with these gradients."""
    p = {name: x.copy() for name, x in params.items()}
    for _ in range(300):
        for name, g in backward(p, **draft).items():
            p[name] -= 0.1 * g
    return forward(p)


for title, draft in {
    "first draft": {"first_draft": True},
    "second draft": {"first_draft": False, "second_draft": True},
    "third draft": {"first_draft": False},
}.items():
    print(f"== {title}: loss {forward(params):.2f} -> {learns(**draft):.2g} in 300 steps")
    report = tg.clinic.check_backprop(forward, params, partial(backward, **draft))
    print(report, "\n")
print("The wrong gradients lower the loss as well: a falling loss is no proof of a right gradient.")

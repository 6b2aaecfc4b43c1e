"""Targets (n,) beside outputs (n, 1): told where they are compared by mistake, and not where all pairs are meant."""

import warnings

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import Tensor, Value, nn, ops
from tinygrad_edu.core.stretched_targets import StretchedTargetWarning
from tinygrad_edu.core.stretched_values import LEFT

RNG = np.random.default_rng(0)
N = 6
X, T, GRID = RNG.normal(size=(N, 3)), RNG.normal(size=N), np.linspace(-1.0, 1.0, N)
COLUMN, SQUARE, MASK = X[:, :1], RNG.normal(size=(N, N)), 1.0 - np.eye(N)
LABELS = (T > 0) * 1.0
NET = nn.MLP([3, 4, 1], activation="tanh", seed=0)


@pytest.fixture(autouse=True)
def passes_are_looked_at():
    """A process looks at its first passes, and other tests have had theirs."""
    LEFT[0] = 200


def leaf(*shape):
    return Tensor(RNG.normal(size=shape), requires_grad=True)


P, Q = Value(0.3), Value(0.1)
W, V, A, B, C, K = leaf(3, 1), leaf(3), leaf(), leaf(), leaf(N), leaf(N, 1)


def squares(z, t=T):
    return ((z - t) ** 2).mean()


def plain(w):
    return np.mean((X @ w - T) ** 2)


def line(p):
    return np.mean((p[0] * COLUMN + p[1] - T) ** 2)


def given(w, x, t):
    return np.mean((x @ w - t) ** 2)


def by_backward(loss):
    return lambda: loss().backward()


LOSSES = {
    "network": lambda: squares(NET(X)),
    "the other way": lambda: ((T - NET(X)) ** 2).sum(),
    "root of the mean": lambda: np.sqrt(squares(NET(X))),
    "absolute": lambda: np.abs(NET(X) - T).mean(),
    "largest": lambda: np.abs(NET(X) - T).max(),
    "Huber by hand": lambda: np.where(np.abs(d := NET(X) - T) < 1.0, d**2, np.abs(d)).mean(),
    "sum of each row, then their mean": lambda: ((NET(X) - T) ** 2).sum(axis=1).mean(),
    "sum of all over n": lambda: ((NET(X) - T) ** 2).sum() / N,
    "weights of samples": lambda: (np.arange(1.0, 1.0 + N) * (NET(X) - T) ** 2).mean(),
    "residuals scaled": lambda: (((NET(X) - T) / T.std()) ** 2).mean(),
    "a penalty beside it": lambda: squares(NET(X)) + 0.1 * (W**2).sum(),
    "a row beside a column": lambda: squares(NET(X)[:, 0], T[:, None]),
    "flattened": lambda: ((NET(X) - T) ** 2).reshape(-1).mean(),
    "a Tensor": lambda: squares(NET(X), Tensor(T)),
    "no module": lambda: squares(X @ W),
    "no module, a row": lambda: squares(X @ V, T[:, None]),
    "the line": lambda: squares(A * COLUMN + B),
    "the line, two lines": lambda: squares(COLUMN * A + B),
    "only a shift": lambda: squares(COLUMN + B),
    "an exponential": lambda: squares(A * np.exp(-B * COLUMN)),
    "a parabola": lambda: squares(A * COLUMN**2 + B * COLUMN + 1.0),
    "a row beside a column, the line": lambda: squares(A * T + B, COLUMN),
    "sum over the features": lambda: squares((X * V).sum(1, keepdims=True)),
    "einsum": lambda: squares(np.einsum("ni,io->no", X, W)),
    "concatenated": lambda: squares(np.concatenate([X, COLUMN], axis=1) @ leaf(4, 1)),
    "hinge": lambda: np.maximum(0.0, 1.0 - NET(X) * np.sign(T)).mean(),
    "perceptron": lambda: np.maximum(0.0, -np.sign(T) * (X @ W)).mean(),
    "logistic loss": lambda: np.log(1.0 + np.exp(-np.sign(T) * NET(X))).mean(),
    "cross entropy by hand": lambda: (
        -(LABELS * np.log(p := ops.sigmoid(NET(X))) + (1.0 - LABELS) * np.log(1.0 - p)).mean()
    ),
    "poisson": lambda: (np.exp(z := NET(X)) - LABELS * z).mean(),
}
WRONG = {
    **{name: by_backward(loss) for name, loss in LOSSES.items()},
    **{
        f"Values, {name}": by_backward(loss)
        for name, loss in {
            "the line": lambda: np.mean((P * COLUMN + Q - T) ** 2),
            "absolute": lambda: np.abs(T - (P * COLUMN + Q)).sum() / N,
            "root of the mean": lambda: np.sqrt(np.mean((P * COLUMN + Q - T) ** 2)),
            "a penalty beside it": lambda: np.mean((P * COLUMN - T) ** 2) + 0.1 * P**2,
            "an exponential": lambda: np.mean((np.exp(P * COLUMN) + Q - T) ** 2),
        }.items()
    },
    "grad by numbers": lambda: tg.grad(lambda a, b: np.mean((a * COLUMN + b - T) ** 2), (0, 1))(0.3, 0.1),
    "jit by numbers": lambda: tg.jit(lambda a, b: np.mean((a * COLUMN + b - T) ** 2)).value_and_grad(0.3, 0.1),
    "value_and_grad": lambda: tg.value_and_grad(plain)(W.data),
    "grad by one argument": lambda: tg.grad(given)(W.data, X, T),
    "grad of the line": lambda: tg.grad(line)(np.zeros(2)),
    "jit, value_and_grad": lambda: tg.jit(plain).value_and_grad(W.data),
    "jit of value_and_grad": lambda: tg.jit(tg.value_and_grad(given))(W.data, X, T),
    "jit of the line": lambda: tg.jit(line).value_and_grad(np.zeros(2)),
    "jit, closed over": by_backward(lambda: tg.jit(lambda: np.mean((X @ W - T) ** 2))()),
}


def gram(x, y):
    return np.exp(-((x - y) ** 2))


def log_softmax(z):
    return z - np.log(np.exp(z).sum(axis=1, keepdims=True))


def in_triples(z):
    """Anchors, positives and negatives: all distances, of which a mask takes some."""
    d = (z - z.T) ** 2
    return np.maximum(0.0, d[:, :, None] - d[:, None, :] + 0.2).mean()


RIGHT = {
    "Values, a column": lambda: np.mean((P * COLUMN + Q - T[:, None]) ** 2),
    "Values, a loop": lambda: sum((P * x + Q - t) ** 2 for x, t in zip(COLUMN[:, 0], T, strict=True)),
    "Values, energy distance": lambda: np.abs((z := P * COLUMN) - T).mean() - 0.5 * np.abs(z - z.T).mean(),
    "Values, a kernel density": lambda: -np.log(np.exp(-((P * COLUMN + Q - T) ** 2)).mean(axis=1)).sum(),
    "Values, soft histogram": lambda: ((np.exp(-((P * COLUMN - T) ** 2)).mean(axis=0) - 0.1) ** 2).sum(),
    "Values, centers": lambda: sum((c - t) ** 2 for c in [Value(0.1 * i) for i in range(N)] for t in T),
    "a column": lambda: squares(NET(X), T[:, None]),
    "a row": lambda: squares(NET(X)[:, 0]),
    "another number of targets": lambda: squares(NET(X), GRID[:-1]),
    "said by a second axis": lambda: squares(NET(X), T[None, :]),
    "said by a second axis, a row": lambda: squares(NET(X)[:, 0][None, :], T[:, None]),
    # distances of sets
    "chamfer": lambda: (d := (NET(X) - T) ** 2).min(axis=1).mean() + d.min(axis=0).mean(),
    "nearest of a grid": lambda: np.abs(NET(X) - GRID).min(axis=1).mean(),
    "Hausdorff": lambda: np.abs(NET(X) - T).min(axis=1).max(),
    "energy distance": lambda: 2.0 * np.abs((z := NET(X)) - T).mean() - np.abs(z - z.T).mean(),
    "maximum mean discrepancy": lambda: gram(z := NET(X), z.T).mean() - 2.0 * gram(z, T).mean(),
    "Sinkhorn": lambda: (ops.softmax(-((NET(X) - T) ** 2), axis=1) * MASK).sum(),
    "soft assignment": lambda: (ops.softmax(-(d := (NET(X) - GRID) ** 2)) * d).sum(axis=1).mean(),
    "log likelihood of a kernel density": lambda: -np.log(gram(NET(X), T).mean(axis=1)).sum(),
    "mixture of Gaussians": lambda: -np.log((gram(COLUMN, C) * ops.softmax(K[:, 0])).sum(axis=1)).mean(),
    "mixture, means made positive": lambda: -np.log(gram(COLUMN, np.exp(C)).sum(axis=1)).mean(),
    # features and kernels
    "radial functions, fixed centers": lambda: squares(gram(X @ W, GRID) @ K, T[:, None]),
    "radial functions, own centers": lambda: squares(gram(COLUMN, C) @ K, T[:, None]),
    "radial functions of a line": lambda: squares((gram(A * COLUMN, GRID) * K[:, 0]).sum(axis=1)),
    "kernel ridge": lambda: squares(gram(COLUMN, COLUMN.T) @ K, T[:, None]),
    "Gaussian process": lambda: (T @ np.linalg.solve(gram(A * COLUMN, (A * COLUMN).T) + np.eye(N), T)).sum(),
    "Gaussian process, its determinant": lambda: np.linalg.slogdet(gram(A * COLUMN, A * COLUMN[:, 0]) + np.eye(N))[1],
    "Gram matrix": lambda: ((NET(X) @ NET(X).T - SQUARE) ** 2).mean(),
    "outer product": lambda: ((NET(X) * GRID - SQUARE) ** 2).mean(),
    "dual of a support vector machine": lambda: (C[:, None] * C * np.outer(LABELS, LABELS) * (X @ X.T)).sum() - C.sum(),
    # thresholds, bins, pairs
    "ordinal regression": lambda: nn.losses.bce_with_logits(X @ W - GRID, (SQUARE > 0) * 1.0),
    "thresholds beside targets (n, n)": lambda: ((ops.sigmoid(NET(X) - GRID) - LABELS[:, None] * MASK) ** 2).mean(),
    "soft histogram": lambda: ((gram(NET(X), GRID).mean(axis=0) - 0.1) ** 2).sum(),
    "distribution function": lambda: ((ops.sigmoid(5.0 * (NET(X) - GRID)).mean(axis=0) - 0.5) ** 2).mean(),
    "entropy of soft bins": lambda: (p := gram(NET(X), GRID).mean(axis=0)) @ np.log(p),
    "masked pairs": lambda: (((NET(X) - T) ** 2) * MASK).mean(),
    "the diagonal": lambda: np.diagonal((NET(X) - T) ** 2).mean(),
    "a triangle": lambda: np.tril((NET(X) - T) ** 2).sum(),
    "ranking": lambda: np.log(1.0 + np.exp(-(NET(X) - NET(X).T) * np.sign(T[:, None] - T))).mean(),
    "siamese": lambda: (((z := NET(X)) - z.T) ** 2 * MASK).mean(),
    "triples": lambda: in_triples(NET(X)),
    "contrastive": lambda: -np.diagonal(log_softmax(NET(X) @ NET(X).T)).mean(),
    "InfoNCE of numbers": lambda: -np.diagonal(log_softmax(-((NET(X) - T) ** 2))).mean(),
    # attention and position
    "attention": lambda: squares(ops.softmax(NET(X) @ K.T) @ T),
    "attention by distance": lambda: squares(ops.softmax(-np.abs(A * COLUMN - GRID)) @ T),
    "Nadaraya-Watson": lambda: squares(((g := gram(A * COLUMN, COLUMN[:, 0])) @ T) / g.sum(axis=1)),
    "position by sines": lambda: squares(np.sin(A * COLUMN * GRID) @ K, T[:, None]),
    "quantiles": lambda: np.maximum(GRID * (e := T[:, None] - NET(X) @ leaf(1, N)), (GRID - 1.0) * e).mean(),
    "n outputs, one row of targets": lambda: squares(X @ leaf(3, N)),
    "a policy": lambda: -(log_softmax(X @ leaf(3, N))[np.arange(N), np.arange(N)] * T).mean(),
    "learned positions": lambda: (1.0 / (1.0 + np.abs(K - GRID))).sum(),
    "factors": lambda: ((K * C - SQUARE) ** 2).mean(),
}


def told(program):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        program()
    return [x for x in caught if x.category is StretchedTargetWarning]


@pytest.mark.parametrize("kind", WRONG)
def test_targets_that_are_stretched_are_told_at_the_users_line(kind):
    found = told(WRONG[kind])
    assert found
    assert {x.filename for x in found} == {__file__}
    assert "each output is compared with the target of every sample" in str(found[0].message)
    assert ", :] says so" in str(found[0].message)


@pytest.mark.parametrize("kind", RIGHT)
def test_all_pairs_are_meant(kind):
    assert not told(by_backward(RIGHT[kind]))


def test_fit_tells_it_once_and_in_the_line_that_calls_it():
    x = RNG.normal(size=(26, 2))

    def train():
        model = nn.MLP([2, 3, 1], seed=0)
        rule = {"optimizer": "sgd", "batch_size": 8, "epochs": 3}
        tg.fit(model, x, x[:, 0], loss=lambda z, t: squares(z, t.reshape(-1)), **rule)

    assert [found.filename for found in told(train)] == [__file__]

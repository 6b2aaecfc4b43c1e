"""The network program in NumPy, for a machine without a compiler: the arguments, memory and numbers of templates.py."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_edu.core.aliases import ArrayLike, Samples
from tinygrad_edu.estimators import forward, rules
from tinygrad_edu.estimators.memory import WEIGHTLESS, WIDTHS, Array, NamedNumbers, parts, shapes_of

NAMES = ("identity", "logistic", "tanh", "relu", "exp", "softmax")  # in the order of their codes
LOSSES = ("squared_error", "poisson", "log_loss", "binary_log_loss")
MULTIPLIER, INCREMENT, WORDS = 6364136223846793005, 1442695040888963407, 2**64  # of the generator in DROPOUT


def run(
    X: Array, values: Array, columns: Array, ends: Array, Y: Array, weight: Array, orders: Array, words: Array,
    whole: Array, numbers: Array, memory: Array, curves: Array,
) -> None:  # fmt: skip
    """Some steps of training; progress, weights and curves are written where the compiled program writes them."""
    state = State(whole, numbers, memory)
    samples = rows_of(X, values, columns, ends)
    with np.errstate(all="ignore"):
        for _ in range(int(state["steps"])):
            if state["begin"] == 0:
                state.total = 0.0
                if words.size:
                    shuffle(state, orders, words)
            if not step(state, samples, Y, weight, orders[0]):
                curves[3, int(state["epoch"])] = WEIGHTLESS
                break
            if state["begin"] == len(Y) and end_of_epoch(state, curves, len(Y)):
                break
    state["total"] = state.total


class State(NamedNumbers):
    """The named numbers of a run, and views of its weights, gradient and moments."""

    def __init__(self, whole: Array, numbers: Array, memory: Array) -> None:
        self.whole, self.numbers = whole, numbers
        self.widths = [int(n) for n in whole[WIDTHS::2]]
        self.kinds = [NAMES[int(code)] for code in whole[WIDTHS + 3 :: 2]]
        shapes = shapes_of(self.widths)
        n = sum(map(math.prod, shapes))
        self.w, self.g, self.m0, self.m1 = (memory[i * n : (i + 1) * n] for i in range(4))
        self.coefs, self.intercepts = parts(self.w, shapes)
        self.by_coefs, self.by_intercepts = parts(self.g, shapes)
        self.penalized = sum(W.size for W in self.coefs)
        self.total = float(self["total"])


def rows_of(X: Array, values: Array, columns: Array, ends: Array) -> Any:
    """The samples, dense or as SciPy's CSR matrix."""
    if not ends.size:
        return X
    from scipy.sparse import csr_matrix

    return csr_matrix((values, columns, ends), shape=(ends.size - 1, X.shape[1]))


def shuffle(state: State, orders: Array, words: Array) -> None:
    """Shuffle as NumPy's RandomState.shuffle does with the words of its bit generator."""
    n, word = orders.shape[1], int(state["word"])
    places = list(range(n))
    for i in range(n - 1, 0, -1):
        mask, j = (1 << i.bit_length()) - 1, i + 1
        while j > i:
            j = mask & int(words[word])
            word += 1
        places[i], places[j] = places[j], places[i]
    orders[0] = orders[0][places]
    state["word"] = word


def step(state: State, samples: Samples, Y: Array, weight: Array, order: Array) -> bool:
    """One batch: forward, loss, backward, update. False if its sample weights sum to zero."""
    begin = int(state["begin"])
    rows = order[begin : begin + int(state["batch"])]
    mass = float(weight[rows].sum())
    if mass == 0.0:
        return False
    share = weight[rows] / mass
    layers, masks = go_forward(state, samples[rows] if state["gathered"] else samples[begin : begin + len(rows)])
    cost = loss(state, Y[rows], layers[-1], weight[rows])
    d = (layers[-1] - Y[rows]) * share[:, None].astype(layers[-1].dtype)
    go_backward(state, layers, masks, d)
    alpha = float(state["alpha"])
    weights = state.w[: state.penalized]
    state.g[: state.penalized] += state.w.dtype.type(alpha / mass) * weights
    clip(state)
    state.total += (cost + 0.5 * alpha * float(weights @ weights) / mass) * len(rows)
    state["t"] += 1.0
    update(state)
    state["begin"] = begin + len(rows)
    return True


def go_forward(state: State, a: ArrayLike) -> tuple[list[Any], list[Array | None]]:
    """The activations of each layer, the samples first, and the masks of dropout."""
    layers: list[Any] = [a]
    masks: list[Array | None] = []
    p = float(state["dropout"])
    for i, (W, b, kind) in enumerate(zip(state.coefs, state.intercepts, state.kinds, strict=True)):
        z = np.asarray(layers[-1] @ W) + b
        forward.IN_PLACE[kind](z)
        masks.append(mask(state, z) if p and i < len(state.coefs) - 1 else None)
        layers.append(z if masks[-1] is None else z * masks[-1] / z.dtype.type(1.0 - p))
    return layers, masks


def mask(state: State, z: Array) -> Array:
    """The dropout mask, 1 for each unit that is kept, from the compiled program's own generator."""
    draw, found = int(state["draw"]) % WORDS, np.empty(z.size, z.dtype)
    for i in range(z.size):
        draw = (draw * MULTIPLIER + INCREMENT) % WORDS
        found[i] = ((draw >> 32) & 0x7FFFFFFF) >= 2147483648.0 * float(state["dropout"])
    state["draw"] = draw - WORDS if draw >= WORDS // 2 else draw  # stored as a signed integer
    return found.reshape(z.shape)


def loss(state: State, y: Array, p: Array, weight: Array) -> float:
    """The mean loss of a batch, without penalty."""
    return float(forward.loss(int(state["loss"]), y, p, weight))


def go_backward(state: State, layers: Sequence[Any], masks: Sequence[Array | None], d: Array) -> None:
    """The gradients of all weights; d is the derivative with respect to the last layer before its activation."""
    keep = d.dtype.type(1.0 - float(state["dropout"]))
    for i in range(len(state.coefs) - 1, -1, -1):
        state.by_coefs[i][:] = layers[i].T @ d
        state.by_intercepts[i][:] = d.sum(axis=0)
        if i > 0:
            d, y, dropped = d @ state.coefs[i].T, layers[i], masks[i - 1]
            if dropped is not None:
                d, y = d * dropped / keep, y * keep
            through(state.kinds[i - 1], d, y)


def through(kind: str, d: Array, y: Array) -> None:
    """d ← d·f'(z), from the result y = f(z)."""
    if kind == "logistic":
        d *= y * (1 - y)
    elif kind == "tanh":
        d *= 1 - y**2
    elif kind == "relu":
        d[y == 0] = 0


def clip(state: State) -> None:
    """Scale the whole gradient down to the length clip_norm, if there is one."""
    limit = float(state["clip_norm"])
    length = math.sqrt(float(state.g @ state.g)) if 0.0 < limit < math.inf else 0.0
    if length > limit:
        state.g *= state.g.dtype.type(limit / length)


def update(state: State) -> None:
    """Apply the solver's rule to the vector of all weights."""
    w, g, m0, m1 = state.w, state.g, state.m0, state.m1
    t, lr, solver = float(state["t"]), float(state["lr"]), int(state["solver"])
    if solver == 2:
        betas = {name: float(state[name]) for name in ("beta_1", "beta_2", "epsilon")}
        w[:], m0[:], m1[:] = rules.adam(w, g, m0, m1, int(t), lr, **betas)
    else:
        w[:], m0[:] = rules.sgd(w, g, m0, int(t), lr, float(state["momentum"]), nesterov=solver == 1)


def end_of_epoch(state: State, curves: Array, n: int) -> bool:
    """Record the epoch; is the call over?"""
    epoch = int(state["epoch"])
    state["begin"], state["samples"] = 0, state["samples"] + n
    names = ("record", "failures", "lr", "samples", "tol", "patience", "schedule", "lr_init", "power_t")
    found = rules.end_of_epoch(-state.total / n, *(float(state[name]) for name in names))
    state["record"], state["failures"], state["lr"], event = found
    curves[:, epoch] = state.total / n, math.sqrt(float(state.g @ state.g)), state["lr"], event
    state["epoch"] = epoch + 1
    return event in (1.0, 2.0) or epoch + 1 == curves.shape[1]

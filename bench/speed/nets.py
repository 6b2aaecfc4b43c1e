"""Nine nets that learn letters, from a table of pairs to a transformer, each written once for all libraries.

They are the kinds of a well-known course on language models: bigram, MLP with and without batch normalization, a tree
of convolutions, three recurrent nets, a bag of words, a transformer. `w`: the words of a library (letters.py); `p`:
weights by name; `x`: (batch, 8) letters as numbers. Each gives logits, (batch, 27) or (batch, 8, 27).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

LETTERS, TIMES, WIDTH, HIDDEN, HEADS = 27, 8, 32, 64, 4
Shapes = dict[str, tuple[int, ...]]
CAUSAL = np.tril(np.ones((TIMES, TIMES)))
MEANS = CAUSAL / CAUSAL.sum(axis=1, keepdims=True)
HIDE = np.where(CAUSAL > 0.0, 0.0, -1e9)


def normed(x: Any, p: Any, name: str, axes: Any) -> Any:
    """(x - mean) / √(variance + 1e-5) along the axes, times a weight, plus a bias."""
    centered = x - x.mean(axis=axes, keepdims=True)
    scale = ((centered * centered).mean(axis=axes, keepdims=True) + 1e-5) ** -0.5
    return centered * scale * p[f"{name} scale"] + p[f"{name} shift"]


def bigram(w: Any, p: Any, x: Any) -> Any:
    return w.rows(p["table"], x[:, TIMES - 1])


def mlp(w: Any, p: Any, x: Any) -> Any:
    joined = w.rows(p["table"], x[:, :3]).reshape((-1, 30))
    return w.tanh(joined @ p["in"] + p["in bias"]) @ p["out"] + p["out bias"]


def mlp_normed(w: Any, p: Any, x: Any) -> Any:
    joined = w.rows(p["table"], x[:, :3]).reshape((-1, 30))
    return w.tanh(normed(joined @ p["in"], p, "norm", 0)) @ p["out"] + p["out bias"]


def tree(w: Any, p: Any, x: Any) -> Any:
    """Neighbours are joined two by two, three times over."""
    h, times = w.rows(p["table"], x), TIMES
    for level, width in enumerate((WIDTH, HIDDEN, HIDDEN)):
        times //= 2
        h = h.reshape((-1, times, 2 * width)) @ p[f"level {level}"]
        h = w.tanh(normed(h, p, f"norm {level}", (0, 1)))
    return h.reshape((-1, HIDDEN)) @ p["out"] + p["out bias"]


def gate(p: Any, name: str, x: Any, h: Any) -> Any:
    return x @ p[f"{name} of x"] + h @ p[f"{name} of h"] + p[f"{name} bias"]


def walk(w: Any, p: Any, x: Any, step: Callable[..., Any], state: Any) -> Any:
    """The outputs of a recurrent net at all times, through the last layer."""
    e, outputs = w.rows(p["table"], x), []
    for t in range(TIMES):
        h, state = step(w, p, e[:, t], state)
        outputs.append(h)
    return w.stack(outputs) @ p["out"] + p["out bias"]


def rnn(w: Any, p: Any, x: Any) -> Any:
    def step(w: Any, p: Any, x: Any, h: Any) -> Any:
        h = w.tanh(gate(p, "state", x, h))
        return h, h

    return walk(w, p, x, step, p["start"])


def gru(w: Any, p: Any, x: Any) -> Any:
    def step(w: Any, p: Any, x: Any, h: Any) -> Any:
        reset, update = w.sigmoid(gate(p, "reset", x, h)), w.sigmoid(gate(p, "update", x, h))
        h = (1.0 - update) * h + update * w.tanh(gate(p, "state", x, reset * h))
        return h, h

    return walk(w, p, x, step, p["start"])


def lstm(w: Any, p: Any, x: Any) -> Any:
    def step(w: Any, p: Any, x: Any, state: Any) -> Any:
        h, c = state
        read, forget, write = (w.sigmoid(gate(p, name, x, h)) for name in ("read", "forget", "write"))
        c = forget * c + write * w.tanh(gate(p, "state", x, h))
        h = read * w.tanh(c)
        return h, (h, c)

    return walk(w, p, x, step, (p["start"], p["start cell"]))


def bag(w: Any, p: Any, x: Any) -> Any:
    """The mean of all letters so far."""
    e = w.rows(p["table"], x) + p["places"]
    e = e + w.given(MEANS) @ e
    e = e + w.tanh(e @ p["in"] + p["in bias"]) @ p["back"] + p["back bias"]
    return e @ p["out"] + p["out bias"]


def attended(w: Any, p: Any, x: Any, block: int) -> Any:
    size = WIDTH // HEADS
    q, k, v = (
        (x @ p[f"{block} {name}"]).reshape((-1, TIMES, HEADS, size)).permute(0, 2, 1, 3)
        for name in ("query", "key", "value")
    )
    shares = w.softmax(q @ k.permute(0, 1, 3, 2) * size**-0.5 + w.given(HIDE))
    return (shares @ v).permute(0, 2, 1, 3).reshape((-1, TIMES, WIDTH)) @ p[f"{block} mix"]


def transformer(w: Any, p: Any, x: Any) -> Any:
    h = w.rows(p["table"], x) + p["places"]
    for block in range(2):
        h = h + attended(w, p, normed(h, p, f"{block} first", -1), block)
        wide = w.gelu(normed(h, p, f"{block} second", -1) @ p[f"{block} up"] + p[f"{block} up bias"])
        h = h + wide @ p[f"{block} down"] + p[f"{block} down bias"]
    return normed(h, p, "last", -1) @ p["out"] + p["out bias"]


# shapes of the weights

TABLE: Shapes = {"table": (LETTERS, WIDTH)}
OUT: Shapes = {"out": (HIDDEN, LETTERS), "out bias": (LETTERS,)}


def norm_shapes(name: str, width: int) -> Shapes:
    return {f"{name} scale": (width,), f"{name} shift": (width,)}


def recurrent(*gates: str) -> Shapes:
    found: Shapes = {**TABLE, "start": (1, HIDDEN), **OUT}
    for name in gates:
        found |= {f"{name} of x": (WIDTH, HIDDEN), f"{name} of h": (HIDDEN, HIDDEN), f"{name} bias": (HIDDEN,)}
    return found


def block_shapes(block: int) -> Shapes:
    square = {f"{block} {name}": (WIDTH, WIDTH) for name in ("query", "key", "value", "mix")}
    up = {f"{block} up": (WIDTH, 4 * WIDTH), f"{block} up bias": (4 * WIDTH,)}
    down = {f"{block} down": (4 * WIDTH, WIDTH), f"{block} down bias": (WIDTH,)}
    return {**square, **up, **down, **norm_shapes(f"{block} first", WIDTH), **norm_shapes(f"{block} second", WIDTH)}


MLP: Shapes = {"table": (LETTERS, 10), "in": (30, 200), "out": (200, LETTERS), "out bias": (LETTERS,)}
LEVELS: Shapes = {f"level {i}": (2 * n, HIDDEN) for i, n in enumerate((WIDTH, HIDDEN, HIDDEN))}
for level in range(3):
    LEVELS |= norm_shapes(f"norm {level}", HIDDEN)
PLACES: Shapes = {**TABLE, "places": (TIMES, WIDTH), "out": (WIDTH, LETTERS), "out bias": (LETTERS,)}
NETS: dict[str, tuple[Callable[..., Any], Shapes]] = {
    "bigram": (bigram, {"table": (LETTERS, LETTERS)}),
    "mlp": (mlp, {**MLP, "in bias": (200,)}),
    "mlp, batch norm": (mlp_normed, {**MLP, **norm_shapes("norm", 200)}),
    "tree": (tree, {**TABLE, **LEVELS, **OUT}),
    "rnn": (rnn, recurrent("state")),
    "gru": (gru, recurrent("reset", "update", "state")),
    "lstm": (lstm, {**recurrent("read", "forget", "write", "state"), "start cell": (1, HIDDEN)}),
    "bag of words": (bag, {
        **PLACES, "in": (WIDTH, HIDDEN), "in bias": (HIDDEN,), "back": (HIDDEN, WIDTH), "back bias": (WIDTH,),
    }),
    "transformer": (transformer, {**PLACES, **block_shapes(0), **block_shapes(1), **norm_shapes("last", WIDTH)}),
}  # fmt: skip


def weights_of(name: str) -> dict[str, Any]:
    """The same numbers for every library."""
    rng = np.random.default_rng(0)
    shapes = NETS[name][1]
    drawn = {key: rng.normal(scale=shape[0] ** -0.5, size=shape) for key, shape in shapes.items()}
    return {key: w * 0.0 + 1.0 if key.endswith("scale") else w for key, w in drawn.items()}

"""13. A small GPT, three times: on Values, on Tensors, compiled; the same losses each time.

You will learn that a language model is arithmetic like any other: one forward pass, written once, runs on the scalar
engine, on arrays, and as the program that `tg.jit` makes of it.

    python examples/13_micro_gpt.py
"""

import time

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu import ops

# Documents are words, read letter by letter; "." begins and ends each of them.
TEXT = "one two three four five six seven eight nine ten eleven twelve twenty thirty forty fifty sixty hundred"
WORDS, LETTERS = TEXT.split(), "." + "".join(sorted(set(TEXT) - {" "}))
WIDTH, HEADS, BLOCK = 16, 4, 8


def weights(seed=0):
    """Every matrix of the model: token and position tables, one transformer block, and the output."""
    rng = np.random.default_rng(seed)
    shapes = {
        "token": (len(LETTERS), WIDTH), "position": (BLOCK, WIDTH), "query": (WIDTH, WIDTH), "key": (WIDTH, WIDTH),
        "value": (WIDTH, WIDTH), "mix": (WIDTH, WIDTH), "up": (4 * WIDTH, WIDTH), "down": (WIDTH, 4 * WIDTH),
        "out": (len(LETTERS), WIDTH),
    }  # fmt: skip
    return {name: rng.normal(0.0, 0.08, shape) for name, shape in shapes.items()}


def rms_norm(x):
    return x * (np.mean(x * x, axis=-1, keepdims=True) + 1e-5) ** -0.5


def attention(p, x, mask):
    """Each position asks (query) what those before it offer (key), and takes a mean of their values."""
    q, k, v = x @ p["query"].T, x @ p["key"].T, x @ p["value"].T
    size, heads = WIDTH // HEADS, []
    for h in range(HEADS):
        own = slice(h * size, (h + 1) * size)
        scores = q[:, own] @ k[:, own].T / size**0.5 + mask
        heads.append(ops.softmax(scores) @ v[:, own])
    return ops.concatenate(heads, axis=1) @ p["mix"].T


def logits(p, letters, mask):
    """What the model says comes after each letter; `letters`: rows of 0 and 1."""
    x = rms_norm(letters @ p["token"] + p["position"][: mask.shape[0]])
    x = x + attention(p, rms_norm(x), mask)
    x = x + ops.relu(rms_norm(x) @ p["up"].T) ** 2 @ p["down"].T
    return x @ p["out"].T


def loss(p, before, after, mask):
    """The mean of -log(probability) of the letters that follow."""
    return -np.mean(np.sum(ops.log_softmax(logits(p, before, mask)) * after, axis=1))


def hidden_future(n):  # added to the scores of positions that must not be seen
    return np.triu(np.full((n, n), -1e9), 1)


def example(word):
    """A document as rows of 0 and 1, and the mask that hides what comes later."""
    t = np.eye(len(LETTERS))[[LETTERS.index(c) for c in f".{word}."][: BLOCK + 1]]
    return t[:-1], t[1:], hidden_future(len(t) - 1)


class Adam:
    """The update of Kingma and Ba 2015 on a dict of arrays."""

    def __init__(self, p):
        self.m, self.v = ({k: np.zeros_like(w) for k, w in p.items()} for _ in range(2))

    def step(self, p, g, t, lr=0.02):
        for k in p:
            self.m[k] = 0.9 * self.m[k] + 0.1 * g[k]
            self.v[k] = 0.99 * self.v[k] + 0.01 * g[k] ** 2
            p[k] = p[k] - lr * self.m[k] / (1 - 0.9**t) / (np.sqrt(self.v[k] / (1 - 0.99**t)) + 1e-8)


def on_values(p, *given):
    """The same function on arrays of Values: about 60,000 nodes for a document."""
    values = {k: np.vectorize(tg.Value, otypes=[object])(w) for k, w in p.items()}
    (y := loss(values, *given)).backward()
    return y.data, {k: np.vectorize(lambda v: v.grad, otypes=[float])(w) for k, w in values.items()}


def trained(value_and_gradients, steps):
    p = weights()
    adam, losses, start = Adam(p), [], time.perf_counter()
    for t in range(1, steps + 1):
        value, g = value_and_gradients(p, *example(WORDS[(t - 1) % len(WORDS)]))
        adam.step(p, g, t)
        losses.append(float(value))
    return p, np.array(losses), (time.perf_counter() - start) / steps


compiled = tg.jit(loss)
compiled.value_and_grad(weights(), *example("seven"))  # traced and compiled once, for every length
ways = {"Values": (on_values, 3), "Tensors": (tg.value_and_grad(loss), 40), "compiled": (compiled.value_and_grad, 600)}
found = {name: trained(*way) for name, way in ways.items()}
for name, (_, losses, seconds) in found.items():
    same = np.abs(losses[:40] - found["compiled"][1][: len(losses[:40])]).max()
    print(f"{name:9} {1e3 * seconds:8.2f} ms a document, first loss {losses[0]:.12f}, {same:.0e} from the compiled one")

p, losses, _ = found["compiled"]
print(f"mean loss of the first 18 words {losses[:18].mean():.2f}, of the last 18 {losses[-18:].mean():.2f}")

rng, made = np.random.default_rng(1), []
for _ in range(8):
    word = "."
    while len(word) <= BLOCK and not word[1:].endswith("."):
        rows = np.eye(len(LETTERS))[[LETTERS.index(c) for c in word]]
        word += LETTERS[rng.choice(len(LETTERS), p=ops.softmax(logits(p, rows, hidden_future(len(rows)))[-1]))]
    made.append(word.strip("."))
print("new words:", ", ".join(made))

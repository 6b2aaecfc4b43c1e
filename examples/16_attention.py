"""16. What attention looks at.

You will learn what attention computes, from a task that needs it: in "d4e7b1f2b" the last letter is a question, and the
answer is the digit that followed this letter before, here 1.

    python examples/16_attention.py
"""

from pathlib import Path

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu import nn, ops, optim
from tinygrad_edu.nn.losses import cross_entropy

LETTERS = "abcdefgh"
PAIRS = 4  # "a3 f1 c7 h2 ? c" -> "7"


def questions(count, rng):
    """Rows such as a3f1c7h2c as numbers (letters first, then digits), and the digit that is asked for."""
    keys = np.array([rng.permutation(len(LETTERS))[:PAIRS] for _ in range(count)])
    values = rng.integers(10, size=(count, PAIRS))
    asked = rng.integers(PAIRS, size=count)
    rows = np.empty((count, 2 * PAIRS + 1), dtype=int)
    rows[:, 0:-1:2], rows[:, 1:-1:2] = keys, values + len(LETTERS)
    rows[:, -1] = keys[np.arange(count), asked]
    return rows, values[np.arange(count), asked], asked


class Reader(nn.Module):
    """Tokens, each with the one before it, one layer of attention with one head, and the answer at the last place."""

    def __init__(self, width=24):
        self.tokens = nn.Embedding(len(LETTERS) + 10, width, rng=0)
        # weights for the previous token
        self.before = nn.Parameter(np.random.default_rng(1).normal(0.0, 0.3, (width, width)))
        self.attention = nn.MultiHeadAttention(width, 1, causal=True, rng=2)
        self.out = nn.Linear(width, 10, rng=3)

    def forward(self, rows):
        x = self.tokens(rows)
        shifted = ops.concatenate([x[:, :1] * 0.0, x[:, :-1]], axis=1)  # each position also sees the token before it
        y, self.weights = self.attention(x + shifted @ self.before, need_weights=True)
        return self.out(y[:, -1])


rng = np.random.default_rng(0)
model = Reader()
optimizer = optim.Adam(model.parameters(), lr=optim.schedules.one_cycle(0.02, steps=500))
for step in range(500):
    rows, answers, _ = questions(64, rng)
    optimizer.zero_grad()
    loss = cross_entropy(model(rows), answers)
    loss.backward()
    optimizer.step()
    if step % 100 == 0 or step == 499:
        print(f"step {step:3}: loss {loss.item():.3f}")

rows, answers, asked = questions(500, rng)
with tg.no_grad():
    right = np.mean(model(rows).data.argmax(axis=1) == answers)
looks = model.weights.data[:, 0, -1]  # (questions, positions): where the last position, which asks, looks
print(f"of 500 new questions it answers {right:.0%}; by chance 10%")
print(f"where it looks: {looks[np.arange(500), 2 * asked + 1].mean():.0%} on the digit behind the asked letter")

text = [(LETTERS + "0123456789")[i] for i in rows[0]]
try:
    from matplotlib.figure import Figure
except ImportError:
    print('No picture without Matplotlib: `pip install "tinygrad_edu[viz]"` brings it.')
else:
    figure = Figure(figsize=(5, 4.4), layout="constrained")
    axis = figure.subplots()
    shown = axis.imshow(model.weights.data[0, 0], cmap="Blues", vmin=0.0, vmax=1.0)
    axis.set_xticks(range(len(text)), text)
    axis.set_yticks(range(len(text)), text)
    axis.set(
        xlabel="position attended to (key)",
        ylabel="position that asks (query)",
        title=f"answer to {''.join(text)}: {answers[0]}",
    )
    figure.colorbar(shown, label="weight")
    Path("out").mkdir(exist_ok=True)
    figure.savefig("out/16_attention.svg")
    print("wrote out/16_attention.svg")

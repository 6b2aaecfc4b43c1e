"""15. A recurrent network writes letter by letter.

You will learn how text becomes numbers, that the same weights are used at every letter, and why a network that
remembers beats one that sees the last letter alone.

    python examples/15_character_rnn.py
"""

import time

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu import nn, ops, optim
from tinygrad_edu.nn.losses import cross_entropy

TEXT = """
the rain in spain stays mainly in the plain. a cat sat on the mat. the dog ran to the man. a man in the rain ran to the
plain. the cat in spain sat on the dog. a dog stays on the mat in the rain. the man sat mainly on the cat.
"""
TEXT = " ".join(TEXT.split()) + " "
LETTERS = sorted(set(TEXT))
STEPS = 16
codes = np.array([LETTERS.index(c) for c in TEXT])
starts = np.arange(0, len(codes) - STEPS - 1)
windows = codes[starts[:, None] + np.arange(STEPS + 1)]  # (windows, STEPS + 1)
before, after = windows[:, :-1], windows[:, 1:]


class Writer(nn.Module):
    """Letter -> row of a table -> GRU -> what comes next."""

    def __init__(self, width=32):
        self.table = nn.Embedding(len(LETTERS), 8, rng=0)
        self.memory = nn.GRU(8, width, rng=1)
        self.out = nn.Linear(width, len(LETTERS), rng=2)

    def forward(self, letters, state=None):
        outputs, state = self.memory(self.table(letters), state)
        return self.out(outputs), state


model = Writer()
print(f"{len(TEXT)} letters, {len(LETTERS)} different ones, {sum(p.size for p in model.parameters()):,} weights")

# For comparison, a table of counted letter pairs, which sees one letter back.
counts = np.full((len(LETTERS), len(LETTERS)), 0.01)
np.add.at(counts, (codes[:-1], codes[1:]), 1.0)
pairs = -np.mean(np.log((counts / counts.sum(axis=1, keepdims=True))[codes[:-1], codes[1:]]))

optimizer = optim.Adam(model.parameters(), lr=optim.schedules.one_cycle(0.02, steps=160))
rng, start, losses = np.random.default_rng(0), time.perf_counter(), []
for _ in range(160):
    batch = rng.integers(len(starts), size=16)
    optimizer.zero_grad()
    logits, _ = model(before[batch])
    loss = cross_entropy(logits, after[batch])
    loss.backward()
    optim.clip_by_norm(model.parameters(), 1.0)
    optimizer.step()
    losses.append(loss.item())
print(f"160 steps in {time.perf_counter() - start:.1f} s: loss {losses[0]:.2f} -> {np.mean(losses[-10:]):.2f}")
print(f"pairs of letters, counted: {pairs:.2f}")

# Write text: the state is passed from letter to letter, so that each step reads only one letter.
with tg.no_grad():
    letter, state, text = LETTERS.index("t"), None, "t"
    for _ in range(120):
        logits, state = model(np.array([[letter]]), state)
        letter = int(rng.choice(len(LETTERS), p=ops.softmax(logits.data[0, 0] / 0.7)))
        text += LETTERS[letter]
print("it writes:", text)
words = set(TEXT.replace(".", "").split())
written = text.replace(".", "").split()[:-1]
print(f"words of the text: {np.mean([w in words for w in written]):.0%}")

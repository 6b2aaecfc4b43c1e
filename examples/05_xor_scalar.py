"""05. A neuron, and why XOR needs a hidden layer: every number of the training is a Value.

You will learn what a training loop does (clear, forward, backward, step), that no single neuron can learn XOR however
long it is trained, and that four hidden ones can. Everything here is a graph of plain numbers: pick one and draw it.

    python examples/05_xor_scalar.py
"""

from pathlib import Path

import tinygrad_edu as tg
from tinygrad_edu.data import or_gate, xor_gate


def train(model, X, y, steps=300, rate=0.1):
    """The loop that stands behind every training; returns the losses."""
    optimizer = tg.optim.SGD(model.parameters(), lr=rate, momentum=0.9)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()  # forget the gradients of the last step
        loss = tg.nn.losses.mse(model(X), y)  # forward: outputs, and how wrong they are
        loss.backward()  # backward: how the loss depends on each weight
        optimizer.step()  # each weight moves against its gradient
        losses.append(loss.item())
    return losses


def shown(model, X, y):
    outputs = [p.data for p in model(X).ravel()]
    return "   ".join(f"{x[0]:g},{x[1]:g} -> {p:+.3f} ({t:g})" for x, p, t in zip(X, outputs, y.ravel(), strict=True))


for name, sizes, (X, y) in [
    ("one neuron, OR", [2, 1], or_gate()),
    ("one neuron, XOR", [2, 1], xor_gate()),
    ("2-4-1 network, XOR", [2, 4, 1], xor_gate()),
]:
    model = tg.nn.MLP(sizes, activation="tanh", out_activation="sigmoid", seed=0, backend="scalar")
    losses = train(model, X, y, steps=300, rate=1.0)
    print(f"{name}: loss {losses[0]:.3f} -> {losses[-1]:.4f}\n  {shown(model, X, y)}\n")

print(
    "One neuron draws one straight line; no line parts (0,1) and (1,0) from (0,0) and (1,1). The best that is left is\n"
    "to answer 0.5 to everything: a mean squared error of 0.25, where the loss above stands still."
)

# The graph of one sample through the trained network, with the gradients for this sample.
model.zero_grad()
loss = tg.nn.losses.mse(model(X[1]), y[1])
loss.label = "loss"
loss.backward()
print("wrote", tg.draw(loss, title="XOR, sample (0, 1)").save(Path("out/05_xor.svg")))

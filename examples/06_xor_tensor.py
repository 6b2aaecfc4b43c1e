"""06. The same on tensors: one node for a whole layer, the same numbers, more speed.

You will learn that the tensor back end is the same table of operations over NumPy arrays: same seed, same weights,
same losses to the last digits. It also shows how much faster it is, which grows with the size of the network.

    python examples/06_xor_tensor.py
"""

import time

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu.core.graph import topological
from tinygrad_edu.data import xor_gate


def train(backend, steps, hidden=4):
    """Losses, the median of the seconds a step, and how many nodes the graph of one step has."""
    X, y = xor_gate()
    model = tg.nn.MLP([2, hidden, 1], activation="tanh", out_activation="sigmoid", seed=0, backend=backend)
    optimizer = tg.optim.SGD(model.parameters(), lr=1.0, momentum=0.9)
    losses, seconds = [], []
    for _ in range(steps):
        start = time.perf_counter()
        optimizer.zero_grad()
        loss = tg.nn.losses.mse(model(X), y)
        loss.backward()
        optimizer.step()
        seconds.append(time.perf_counter() - start)
        losses.append(loss.item())
    return np.array(losses), np.median(seconds), len(topological(loss))


scalar, _, _ = train("scalar", 300)
tensor, _, _ = train("tensor", 300)
print(f"300 steps, losses at the end: scalar {scalar[-1]:.12f}")
print(f"                              tensor {tensor[-1]:.12f}")
print(f"largest relative difference of the losses on the way: {np.max(np.abs(scalar - tensor) / tensor):.0e}\n")

print("hidden neurons   nodes: scalar   tensor     µs a step: scalar    tensor")
for hidden in (4, 16, 64):
    _, slow, many = train("scalar", 10, hidden)
    _, fast, few = train("tensor", 10, hidden)
    print(f"{hidden:14}   {many:13,} {few:8,} {1e6 * slow:21,.0f} {1e6 * fast:9,.0f}")

# A tensor is drawn like a Value: its boxes show shapes, sizes and gradients of whole arrays.
model = tg.nn.MLP([2, 4, 1], activation="tanh", out_activation="sigmoid", seed=0)
loss = tg.nn.losses.mse(model(xor_gate()[0]), xor_gate()[1])
loss.label = "loss"
loss.backward()
print("\nwrote", tg.draw(loss, title="XOR, all four samples, as tensors").save("out/06_xor.svg"))

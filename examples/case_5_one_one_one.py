"""Case 5: a 1-1-1 sigmoid network for y = (1.2x + 1)/10. All outputs become the mean, and a weight goes to infinity.

    python examples/case_5_one_one_one.py [--quick]

It is fixed in three places at once: the range of the output, the bias, the update. Two of them are not enough.
"""

import sys

import tinygrad_edu as tg
from tinygrad_edu.cases.one_one_one import Published, X, targets

# As published: each weight is multiplied by a factor after every sample.
theirs = Published(start=0.5)
for epoch in range(1, 301):
    theirs.learn(X, targets())
    if epoch in (1, 10, 100, 300):
        first, *_, last = theirs.forward(X)[1]
        weights = f"w1 = {theirs.hidden[0]:8.2g}, w2 = {theirs.output[0]:.3f}"
        print(f"epoch {epoch:3}: {weights}, output {first:.3f} at x = 1 and {last:.3f} at x = 9")

# Fixed: a bias in both layers, a linear output, the true gradient.
model = tg.nn.MLP([1, 1, 1], activation="sigmoid", seed=0)
optimizer = tg.optim.Adam(model.parameters(), lr=0.01)
run = tg.fit(model, X, targets(), loss="mse", optimizer=optimizer, epochs=10_000)
outputs = model(X).numpy().ravel()
print(
    f"fixed:     mean squared error {run.loss_curve[-1]:.1e}, {outputs[0]:.3f} at x = 1 and {outputs[-1]:.3f} at x = 9"
)
print()

# All eight combinations, from many seeds.
report = tg.cases.run("one_one_one", quick="--quick" in sys.argv)
print(report)

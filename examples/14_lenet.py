"""14. Convolutions: a LeNet reads digits.

You will learn what a convolutional network is made of, that it is trained like any other, and what its first kernels
look for, as the pictures of their activations show.

    python examples/14_lenet.py
"""

import time
from pathlib import Path

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu import nn, optim
from tinygrad_edu.data import glyphs

SIZE = 16
X, y = glyphs(1500, size=SIZE, shift=1.0, seed=0)
images = X.reshape(-1, 1, SIZE, SIZE)  # (batch, channels, height, width)
train, test = slice(0, 1200), slice(1200, None)

# LeCun et al. 1998, smaller: twice a convolution (5 by 5) with max-pooling (2 by 2), then two fully connected layers.
model = nn.Sequential(
    nn.Conv2d(1, 6, 5, padding=2, rng=0),  # (1, 16, 16) -> (6, 16, 16)
    nn.ReLU(),
    nn.MaxPool2d(2),  # -> (6, 8, 8)
    nn.Conv2d(6, 12, 5, padding=2, rng=1),  # -> (12, 8, 8)
    nn.ReLU(),
    nn.MaxPool2d(2),  # -> (12, 4, 4)
    nn.Flatten(),
    nn.Linear(12 * 4 * 4, 40, rng=2),
    nn.ReLU(),
    nn.Linear(40, 10, rng=3),
)
print(model)

start = time.perf_counter()
run = tg.fit(
    model, images[train], y[train], loss="cross_entropy", optimizer=optim.Adam(model.parameters(), lr=3e-3),
    epochs=6, batch_size=32, compiled=False,
)  # fmt: skip
seconds = time.perf_counter() - start
right = np.mean(model(images[test]).data.argmax(axis=1) == y[test])
print(f"{run.n_epochs} epochs in {seconds:.1f} s, loss {run.loss_curve[0]:.2f} -> {run.loss_curve[-1]:.2f}")
print(f"of {len(y[test])} digits that it has not seen it reads {right:.0%}")

# A fully connected network with about as many weights, on the same pixels.
flat = nn.MLP([SIZE * SIZE, 30, 10], activation="relu", seed=0)
tg.fit(
    flat, X[train], y[train], loss="cross_entropy", optimizer=optim.Adam(flat.parameters(), lr=3e-3), epochs=6,
    batch_size=32,
)  # fmt: skip
print(f"one without convolutions reads {np.mean(flat(X[test]).data.argmax(axis=1) == y[test]):.0%}")


def weights(net):
    return sum(p.size for p in net.parameters())


print(f"weights: {weights(model):,} and {weights(flat):,}")

# The first layer's output for one digit, and the pixels for which a small change would change the answer most.
picture = tg.Tensor(images[test][:1], requires_grad=True)
model.zero_grad()
with nn.watch(model) as seen:
    output = model(picture)
    output[0, int(y[test][0])].backward()
shown = [("the picture", picture.data[0, 0]), ("slope of its output", picture.grad[0, 0])]
shown += [(f"kernel {i + 1} sees", seen["layers.1"].data[0, i]) for i in range(6)]

try:
    from matplotlib.figure import Figure
except ImportError:
    print('No picture without Matplotlib: `pip install "tinygrad_edu[viz]"` brings it.')
else:
    figure = Figure(figsize=(9, 4.6), layout="constrained")
    for axis, (title, values) in zip(figure.subplots(2, 4).flat, shown, strict=True):
        axis.imshow(values, cmap="coolwarm" if title.startswith("slope") else "gray_r")
        axis.set_title(title, fontsize=9)
        axis.axis("off")
    Path("out").mkdir(exist_ok=True)
    figure.savefig("out/14_lenet.svg")
    print("wrote out/14_lenet.svg")

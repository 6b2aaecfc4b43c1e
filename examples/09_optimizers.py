"""09. Optimizers and schedules, compared on the same network from the same weights.

You will learn that an optimizer is a rule of a line or two, that each one needs its own learning rate, and that a
schedule takes the jumps out of the last epochs. All runs start from the same weights and see the same batches in the
same order.

    python examples/09_optimizers.py
"""

from pathlib import Path

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu.data import moons
from tinygrad_edu.optim import schedules

X, y = moons(100, noise=0.1, seed=0)
EPOCHS, BATCH = 60, 25


def run(make_optimizer):
    model = tg.nn.MLP([2, 16, 1], activation="tanh", seed=0)
    optimizer = make_optimizer(model.parameters())
    settings = {"loss": "mse", "epochs": EPOCHS, "batch_size": BATCH, "seed": 0, "compiled": False}
    return tg.fit(model, X, y, optimizer=optimizer, **settings)


optimizers = {
    "SGD": lambda p: tg.optim.SGD(p, lr=0.1),
    "SGD with momentum 0.9": lambda p: tg.optim.SGD(p, lr=0.1, momentum=0.9),
    "Adagrad": lambda p: tg.optim.Adagrad(p, lr=0.1),
    "RMSprop": lambda p: tg.optim.RMSprop(p, lr=0.01),
    "Adam": lambda p: tg.optim.Adam(p, lr=0.02),
}
steps = EPOCHS * len(X) // BATCH
rates = {
    "Adam, constant": 0.1,
    "Adam, step decay": schedules.step(0.1, every=steps // 4, factor=0.5),
    "Adam, cosine": schedules.cosine(0.1, steps=steps),
}
runs = {name: run(make) for name, make in optimizers.items()}
runs |= {name: run(lambda p, rate=rate: tg.optim.Adam(p, lr=rate)) for name, rate in rates.items()}

print(f"{'':24} loss after 1, 10 and {EPOCHS} epochs   change from epoch to epoch, in the last 10")
for name, found in runs.items():
    curve = found.loss_curve
    jumps = abs(np.diff(curve[-10:])).mean() / curve[-10:].mean()
    print(f"{name:24} {curve[0]:9.4f} {curve[9]:9.4f} {curve[-1]:9.5f} {jumps:18.1%}")

print("\nWhose rates add up to infinity, and their squares do not (the two conditions of Robbins and Monro)?")
for schedule in (schedules.inverse_time(0.1), schedules.inverse_power(0.1, power=0.5), rates["Adam, cosine"]):
    verdict = tg.optim.robbins_monro(schedule)
    print(f"  {schedule!r}: {'both hold' if verdict else 'no'}")

try:
    from matplotlib.figure import Figure
except ImportError:
    print('\nNo picture without Matplotlib: `pip install "tinygrad_edu[viz]"` brings it.')
else:
    figure = Figure(figsize=(7, 7), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, sharey=True)
    for axes, names, title in ((upper, optimizers, "optimizers"), (lower, rates, "schedules")):
        for name in names:
            axes.semilogy(runs[name].loss_curve, label=name)
        axes.set(ylabel="loss", title=title)
        axes.set_yticks([0.1, 0.2, 0.4], ["0.1", "0.2", "0.4"])
        axes.minorticks_off()
        axes.legend(fontsize=8)
    lower.set_xlabel("epoch")
    Path("out").mkdir(exist_ok=True)
    figure.savefig("out/09_optimizers.svg")
    print("\nwrote out/09_optimizers.svg")

"""12. A training sweep: one run says little, a hundred and sixty say something.

You will learn that the seed alone decides whether a small network finds its way, to train the same network from many
seeds and with several learning rates in compiled code, and to report a share of seeds in place of one lucky run.

    python examples/12_sweep.py
"""

import time
from pathlib import Path

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu.data import xor_gate

X, y = xor_gate()
RATES = (0.03, 0.1, 0.3, 1.0)
SEEDS, EPOCHS = range(40), 600

start = time.perf_counter()
runs = tg.fit_many(
    lambda seed: tg.nn.MLP([2, 3, 1], activation="tanh", seed=seed),
    X,
    y,
    loss="mse",
    optimizer=lambda parameters: tg.optim.SGD(parameters, lr=0.1),
    epochs=EPOCHS,
    seeds=SEEDS,
    learning_rates=RATES,
)
seconds = time.perf_counter() - start
print(f"{runs!r}\n{runs.losses.size} runs of up to {EPOCHS} epochs in {seconds:.1f} s, the compilation included\n")

print("  rate   seeds that learn XOR (loss below 0.01)   median epochs to there   seeds that blow up")
for i, rate in enumerate(RATES):
    reached = runs.loss_curves[i] < 0.01
    epochs = np.where(reached.any(axis=1), reached.argmax(axis=1) + 1.0, np.inf)
    median = f"{np.median(epochs):.0f}" if np.isfinite(np.median(epochs)) else "never"
    blown = np.mean(runs.n_epochs[i] < EPOCHS)  # NaN and infinity end a run
    print(f"{rate:6.2f}   {runs.success_rate(0.01)[i]:26.0%} {median:>32} {blown:18.0%}")

print("\nSame rate, same data, another seed, another result: a single run is an anecdote.")

try:
    from matplotlib.figure import Figure
except ImportError:
    print('No picture without Matplotlib: `pip install "tinygrad_edu[viz]"` brings it.')
else:
    figure = Figure(figsize=(8, 6), layout="constrained")
    for axes, rate, curves in zip(figure.subplots(2, 2, sharey=True).flat, RATES, runs.loss_curves, strict=True):
        axes.semilogy(range(1, EPOCHS + 1, 10), curves.T[::10], color="#0072b2", alpha=0.3, linewidth=0.8)
        axes.set(
            xlabel="epoch",
            title=f"rate {rate:g}",
            xlim=(0, EPOCHS),
            ylim=(1e-6, 10.0),
            xticks=range(0, EPOCHS + 1, 200),
        )
        if np.isnan(curves[:, -1]).all():  # without a word the panel looks empty
            last = np.isnan(curves).argmax(axis=1).max()
            text = (
                f"all {len(curves)} seeds blow up: the loss\nleaves the panel at once, and\nis infinite by epoch {last}"
            )
            axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center")
    figure.supylabel("loss, a line for each seed")
    Path("out").mkdir(exist_ok=True)
    figure.savefig("out/12_sweep.svg")
    print("wrote out/12_sweep.svg")

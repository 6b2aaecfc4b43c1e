"""07. Is my gradient right? Two checks that need nothing but the function.

You will learn to check a gradient by central differences (`gradcheck` names the entry that is wrong) and by the slope
of Taylor's remainder (2 for a right gradient, about 1 for a wrong one, even when it is wrong by 0.1%).

    python examples/07_is_my_gradient_right.py
"""

from pathlib import Path

import numpy as np

import tinygrad_edu as tg

rng = np.random.default_rng(0)
X, W = rng.normal(size=(5, 3)), rng.normal(size=(3, 2))


def loss(W):
    return np.mean(np.tanh(X @ W) ** 2)


print("gradcheck of mean(tanh(X @ W)²):", tg.gradcheck(loss, W))


def leaky(W):
    """The same loss, but one of its two factors is cut off from the graph, as happens easily."""
    a = np.tanh(X @ W)
    return np.mean(a * (a.detach() if isinstance(a, tg.Tensor) else a))


try:
    tg.gradcheck(leaky, W)
except tg.errors.GradcheckError as error:
    print(f"gradcheck of the same with a detached factor:\n  {error}\n")

# Taylor: f(x + hv) - f(x) - h·g·v shrinks like h² when g is the gradient, and only like h when it is not.
g = tg.grad(loss)(W)
v = rng.normal(size=W.shape)
steps = [10.0**-k for k in range(1, 6)]
remainders = {
    wrong: [abs(loss(W + h * v) - loss(W) - h * np.sum(wrong * g * v)) for h in steps] for wrong in (1.0, 1.001, 1.1)
}
print("step h      remainder: right gradient   0.1 % too large   10 % too large")
for i, h in enumerate(steps):
    print(f"{h:7.0e} {remainders[1.0][i]:29.1e} {remainders[1.001][i]:17.1e} {remainders[1.1][i]:16.1e}")
for wrong, r in remainders.items():
    print(f"last factor of ten in h, gradient times {wrong}: slope {np.log10(r[-2] / r[-1]):.2f}")
print(f"\ntaylor_slope does this in one call: {tg.taylor_slope(loss, W):.2f}")

try:
    from matplotlib.figure import Figure
except ImportError:
    print('No picture without Matplotlib: `pip install "tinygrad_edu[viz]"` brings it.')
else:
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for wrong, r in remainders.items():
        axes.loglog(steps, r, "o-", label=f"gradient times {wrong}")
    axes.set(xlabel="h", ylabel="|f(x + hv) - f(x) - h·g·v|", title="A right gradient has slope 2")
    axes.legend()
    Path("out").mkdir(exist_ok=True)
    figure.savefig("out/07_taylor.svg")
    print("wrote out/07_taylor.svg")

"""04. Gradient descent on one weight: when it is slow, when it converges, when it diverges.

You will learn that the learning rate alone decides between the three, and why: the slope of the loss changes by the
curvature, so that each step multiplies the distance to the best weight by 1 - rate · curvature.

    python examples/04_gradient_descent.py
"""

from pathlib import Path

from tinygrad_edu import Value

X = [-1.0, 0.5, 2.0]
T = [-3.0, 1.5, 6.0]  # the targets are 3·x, so the best weight is 3
# second derivative of the mean squared error with respect to the weight: 3.5
CURVATURE = 2.0 * sum(x * x for x in X) / len(X)


def loss_of(w):
    return sum((w * x - t) ** 2 for x, t in zip(X, T, strict=True)) / len(X)


def descend(rate, steps=25):
    """The weights on the way, from 0."""
    w, way = Value(0.0, label="w"), [0.0]
    for _ in range(steps):
        w.grad = 0.0
        loss_of(w).backward()
        w.data -= rate * w.grad
        way.append(w.data)
    return way


print(f"the curvature of the loss is {CURVATURE:g}: rates above 2/{CURVATURE:g} = {2.0 / CURVATURE:.3f} must diverge\n")
print("  rate   weight after 1, 2, 3 and 25 steps        distance to 3, from step to step   1 - rate·curvature")
ways = {rate: descend(rate) for rate in (0.01, 0.1, 2.0 / 7.0, 0.5, 0.6)}
for rate, way in ways.items():
    factor = (way[2] - 3.0) / (way[1] - 3.0) if abs(way[1] - 3.0) > 1e-9 else 0.0
    numbers = "  ".join(f"{way[step]:9.4g}" for step in (1, 2, 3, 25))
    print(f"{rate:6.3f}   {numbers}     multiplied by {factor:+.4f}             {1.0 - rate * CURVATURE:+.4f}")

try:
    from matplotlib.figure import Figure
except ImportError:
    print('\nNo picture without Matplotlib: `pip install "tinygrad_edu[viz]"` brings it.')
else:
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for rate, way in ways.items():
        axes.plot(way, "o-", markersize=3, label=f"rate {rate:.3f}")
    axes.axhline(3.0, color="black", linewidth=0.8)
    axes.set(xlabel="step", ylabel="weight (the best is 3)", ylim=(-4.0, 10.0), title="One weight, five learning rates")
    # outside the axes, beside the lines that leave the picture
    axes.legend(bbox_to_anchor=(1.0, 1.0), loc="upper left")
    Path("out").mkdir(exist_ok=True)
    figure.savefig("out/04_descent.svg")
    print("\nwrote out/04_descent.svg")

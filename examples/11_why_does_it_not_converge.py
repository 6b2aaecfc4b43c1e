"""11. Why does it not converge? Symptoms are measured, causes are proved.

You will learn to hand a run that did not learn to the clinic and to read its card: what was seen, which single change
was tried from the same seeds, for how many of them it helped, what did not help, and what was not looked at.

    python examples/11_why_does_it_not_converge.py
"""

import tinygrad_edu as tg
from tinygrad_edu.data import xor_gate

X, y = xor_gate()


def trained(rate, init="glorot_uniform"):
    """200 epochs of a 2-8-1 network on XOR."""
    model = tg.nn.MLP([2, 8, 1], activation="tanh", init=init, seed=0)
    optimizer = tg.optim.SGD(model.parameters(), lr=rate)
    return tg.fit(model, X, y, loss="mse", optimizer=optimizer, epochs=200)


runs = {
    "a healthy run": trained(rate=0.1),
    "all weights start at 0": trained(rate=0.1, init="zeros"),
    "a learning rate that is far too low": trained(rate=0.0005),
}
for title, run in runs.items():
    print(f"== {title}: loss {run.loss_curve[0]:.3g} -> {run.loss_curve[-1]:.3g}")
    diagnosis = tg.clinic.diagnose(run, goal={"accuracy": 0.95}, budget_s=120.0)  # without a goal one is derived
    print(diagnosis, "\n")

settings, model = diagnosis.apply()  # the settings that the last proof changed, and the best network it found
print(f"repaired: {diagnosis.causes[0].code}, {diagnosis.causes[0].change}; the network of seed {settings['seed']}")
for x, target, output in zip(X, y.ravel(), model(X).numpy().ravel(), strict=True):
    print(f"  {x[0]:g},{x[1]:g} -> {output:+.3f} ({target:g})")

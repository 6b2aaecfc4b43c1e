"""Case 7: after how many iterations has RSNNS's Elman network of the lynx series converged?

    python examples/case_7_lynx_elman.py [--quick]

The answer given there waits for |Δerror| < 1e-20. That is no test of convergence, but of rounding.
"""

import sys

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu.cases.lynx_elman import reference

# RSNNS's network with its initial weights, trained as RSNNS trains it: an update after every year.
start = reference()
model = tg.nn.Elman(start["lags"], start["hidden"], 1)
model.load_state_dict(
    {
        "hidden.weight_ih": np.transpose(start["W_in"]),
        "hidden.weight_hh": np.transpose(start["W_context"]),
        "hidden.bias": start["b_hidden"],
        "output.weight": [start["w_out"]],
    }
)
scaled, scaling = tg.data.min_max(tg.data.lynx())
X, y = tg.data.lagged(scaled, start["lags"])
optimizer = tg.optim.SGD(model.parameters(), lr=0.1)  # the loss is (t - y)²: the same as 0.2 for half of it
run = tg.train.fit_online(model, X, y, loss="mse", optimizer=optimizer, epochs=1000)

print("epoch   RSNNS      here")
for epoch in (1, 10, 100, 1000):
    print(f"{epoch:5}   {start['sse'][epoch - 1]:.6f}   {run.loss_curve[epoch - 1] * len(X):.6f}")
for tol in (1e-3, 1e-4, 1e-20):
    print(f"first epoch that improves by at most {tol:g} of the error: {run.converged_at(tol)}")
print()

report = tg.cases.run("lynx_elman", quick="--quick" in sys.argv)
print(report)

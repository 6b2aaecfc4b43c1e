"""Case 8: what do the conditions Σα = ∞ and Σα² < ∞ on a learning rate mean?

    python examples/case_8_robbins_monro.py [--quick]

First what is known of each schedule by its formula, then where each takes a quadratic whose gradient is noisy.
"""

import sys

import tinygrad_edu as tg
from tinygrad_edu.optim import robbins_monro, schedules

for schedule in (
    schedules.constant(0.1),
    schedules.inverse_time(1.0),
    schedules.exponential(0.1, factor=0.95),
    schedules.invscaling(0.1),  # as in scikit-learn, with its power of 0.5
    lambda t: 0.1 / (t + 1.0) ** 0.8,  # any function of t: numerical evidence, not a proof
):
    print(robbins_monro(schedule))
print()

report = tg.cases.run("robbins_monro", quick="--quick" in sys.argv)
print(report)

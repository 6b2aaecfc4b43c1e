"""Case 9: a 2-2-2 network in plain Python, from a book, gives (0.5, 0.99) where (0.01, 0.99) is wanted.

    python examples/case_9_by_hand.py [--quick]

No array is needed to see why: every weight of the network is a `Value`, and carries its gradient.
"""

import sys

import tinygrad_edu as tg
from tinygrad_edu.cases.by_hand import HIDDEN, INPUT, OUTPUT, TARGET

hidden, output = ([[tg.Value(w) for w in row] for row in rows] for rows in (HIDDEN, OUTPUT))
h = [sum(w * x for w, x in zip(row, INPUT, strict=True)).sigmoid() for row in hidden]
o = [sum(w * x for w, x in zip(row, h, strict=True)).sigmoid() for row in output]
loss = sum(0.5 * (y - t) ** 2 for y, t in zip(o, TARGET, strict=True))
loss.backward()

print("weight   gradient    what is taken off: the gradient, at 0.5   their gradient × weight, at 5")
for w in output[0] + output[1]:
    print(f"{w.data:6.2f}   {w.grad:8.5f} {0.5 * w.grad:41.5f} {5.0 * w.data * w.grad:31.5f}")
print()

report = tg.cases.run("by_hand", quick="--quick" in sys.argv)
print(report)

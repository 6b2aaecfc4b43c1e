"""Case 4: 30 by 30 grey images of ten classes, in one folder for each class. Does the order of the examples matter?

    python examples/case_4_image_order.py [--quick]

Two runs from the same weights, on the same images, which differ in `shuffle` alone.
"""

import sys

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu.cases.image_order import images

X, y = images(2_000)  # drawn, written to folders and read back, one class after another
unseen, truth = tg.data.glyphs(1_000, seed=1)

for shuffle in (False, True):
    model = tg.nn.MLP([900, 32, 10], seed=0)
    optimizer = tg.optim.SGD(model.parameters(), lr=0.2)
    tg.fit(model, X, y, loss="cross_entropy", optimizer=optimizer, epochs=2, batch_size=32, shuffle=shuffle)
    answers = np.argmax(model(unseen).numpy(), axis=1)
    print(f"shuffle={shuffle!s:5}  {np.mean(answers == truth):6.1%} of 1,000 new images right,", end=" ")
    print(f"{len(np.unique(answers))} different answers")
print()

# 10,000 digits, 26 letters, iris; one by one, in batches and all at once; and what is forgotten when.
report = tg.cases.run("image_order", quick="--quick" in sys.argv)
print(report)

"""Case 1: scikit-learn's MLPClassifier on eleven people. Four runs of the same lines end in four ways. Why?

    python examples/case_1_body_metrics.py [--quick]

Our estimator takes the place of scikit-learn's: change the import, keep the numbers. Needs scikit-learn.
"""

import sys
import warnings

import tinygrad_edu as tg
from tinygrad_edu.estimators import MLPClassifier

X, y = tg.data.body_metrics()
X_test, y_test = tg.data.body_metrics("test")
scaled, scaling = tg.data.standardize(X)

warnings.simplefilter("ignore")  # ConvergenceWarning: the epochs printed below say the same
print("seed   as published: epochs, loss, score     scaled, up to 5,000 epochs: epochs, loss, score")
for seed in range(5):
    model = MLPClassifier((3,), activation="logistic", random_state=seed).fit(X, y)
    better = MLPClassifier((3,), activation="logistic", random_state=seed, max_iter=5000).fit(scaled, y)
    score, better_score = model.score(X_test, y_test), better.score(scaling(X_test), y_test)
    print(f"{seed:4} {model.n_iter_:22} {model.loss_:.4f} {score:5}", end=" ")
    print(f"{better.n_iter_:34} {better.loss_:.4f} {better_score:5}")
print()

# A thousand seeds, one change at a time, compared with scikit-learn.
report = tg.cases.run("body_metrics", quick="--quick" in sys.argv)
print(report)

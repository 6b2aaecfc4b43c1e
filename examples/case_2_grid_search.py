"""Case 2: a grid search over activation, solver and width for eleven people. What does it measure?

    python examples/case_2_grid_search.py [--quick]

scikit-learn's own GridSearchCV, and its Pipeline, take our estimator as they take its own. Needs scikit-learn.
"""

import sys
import warnings

from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import tinygrad_edu as tg
from tinygrad_edu.estimators import MLPClassifier

X, y = tg.data.body_metrics()
warnings.simplefilter("ignore")  # ConvergenceWarning

# Three activations with one solver and width, unscaled and scaled inside each fold.
activations = ["logistic", "tanh", "relu"]
plain = MLPClassifier((8,), random_state=0)
scaled = make_pipeline(StandardScaler(), MLPClassifier((8,), max_iter=2000, random_state=0))
for model, name in ((plain, "activation"), (scaled, "mlpclassifier__activation")):
    found = GridSearchCV(model, {name: activations}, cv=3).fit(X, y).cv_results_["mean_test_score"]
    print(", ".join(f"{activation} {score:.3f}" for activation, score in zip(activations, found, strict=True)))
print()

# The whole grid of the question: 757 fits.
report = tg.cases.run("grid_search", quick="--quick" in sys.argv)
print(report)

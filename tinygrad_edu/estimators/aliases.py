"""The estimator, in modules that stand below its classes: Any to a type checker."""

from typing import Any

Estimator = Any  # an MLPClassifier or MLPRegressor, ours or scikit-learn's

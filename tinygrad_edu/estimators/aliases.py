"""The type of an estimator, in modules that its classes import: Any to a type checker."""

from typing import Any

Estimator = Any  # an MLPClassifier or MLPRegressor, ours or scikit-learn's

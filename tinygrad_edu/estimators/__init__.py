"""scikit-learn's MLPClassifier and MLPRegressor, trained by one compiled program: change the import, keep the numbers.

Read perceptron.py first (what both classes share), then classifier.py and regressor.py, stochastic.py and lbfgs.py (the
solvers), network.py with templates.py and memory.py (the compiled program), forward.py (predictions). general.py trains
what that program does not know; exchange.py converts from and to scikit-learn's own.

They need the extra `sklearn`. Everything beyond scikit-learn is off by default: see `perceptron.Perceptron`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from tinygrad_edu.elsewhere import advice
from tinygrad_edu.errors import MissingPackageError

NEEDED = ("sklearn", "scipy", "joblib", "threadpoolctl", "numpy")
HOMES = {"MLPClassifier": "classifier", "MLPRegressor": "regressor"}

if TYPE_CHECKING:
    from tinygrad_edu.estimators.classifier import MLPClassifier
    from tinygrad_edu.estimators.regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]


def __getattr__(name: str) -> Any:
    if name not in HOMES:
        raise AttributeError(advice("estimators", name, __all__))
    try:
        return getattr(importlib.import_module(f"{__name__}.{HOMES[name]}"), name)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in NEEDED:
            raise
        raise MissingPackageError(
            f"{name} needs scikit-learn{'' if missing == 'sklearn' else f', which needs {missing}'}: "
            '`pip install "tinygrad_edu[sklearn]"` brings it',
            name=error.name,
        ) from error


def __dir__() -> list[str]:
    return __all__

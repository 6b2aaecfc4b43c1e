"""MLPRegressor: scikit-learn's, compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sklearn.base import RegressorMixin, _fit_context
from sklearn.utils import column_or_1d
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_is_fitted

from tinygrad_edu.core.aliases import ArrayLike, Samples
from tinygrad_edu.estimators import choices, forward, inputs
from tinygrad_edu.estimators.callbacks import with_callbacks
from tinygrad_edu.estimators.memory import Array
from tinygrad_edu.estimators.perceptron import Perceptron, store_arguments
from tinygrad_edu.names import (
    ActivationName,
    InitializerName,
    LearningRateName,
    NormName,
    ScikitLearnLossName,
    SolverName,
)
from tinygrad_edu.pen import check_arguments


class MLPRegressor(RegressorMixin, Perceptron):  # type: ignore[misc]  # scikit-learn ships no types
    """A multi-layer perceptron that minimises half the squared error, or half the Poisson deviance (loss="poisson").

    scikit-learn's parameters, defaults and numbers; beyond them: see `Perceptron`.
    Source: scikit-learn 1.9, sklearn.neural_network.MLPRegressor.

    >>> import numpy as np
    >>> X = np.linspace(-1.0, 1.0, 50)[:, None]
    >>> model = MLPRegressor(hidden_layer_sizes=(20,), solver="lbfgs", random_state=0).fit(X, np.sin(3.0 * X).ravel())
    >>> model.score(X, np.sin(3.0 * X).ravel()) > 0.99
    True
    """

    _parameter_constraints = {  # noqa: RUF012  (scikit-learn reads it from the class)
        **Perceptron._parameter_constraints,
        "loss": [StrOptions({"squared_error", "poisson", *choices.LOSSES})],
    }

    @check_arguments
    def __init__(
        self, loss: ScikitLearnLossName = "squared_error", hidden_layer_sizes: ArrayLike = (100,),
        activation: Any = "relu", *, solver: SolverName = "adam", alpha: float = 0.0001, batch_size: Any = "auto",
        learning_rate: LearningRateName | Callable[[int], Any] = "constant", learning_rate_init: float = 0.001,
        power_t: float = 0.5, max_iter: int = 200, shuffle: bool = True, random_state: Any = None, tol: float = 1e-4,
        verbose: Any = False, warm_start: bool = False, momentum: float = 0.9, nesterovs_momentum: bool = True,
        early_stopping: bool = False, validation_fraction: float = 0.1, beta_1: float = 0.9, beta_2: float = 0.999,
        epsilon: float = 1e-8, n_iter_no_change: Any = 10, max_fun: int = 15000, init: InitializerName | None = None,
        dropout: float = 0.0, clip_norm: float | None = None, validation_curve: bool = False, callbacks: Any = None,
        out_activation: ActivationName | None = None, l1: float = 0.0, norm: NormName | None = None,
        weight_decay: float | None = None, stop_loss: float | None = None,
    ) -> None:  # fmt: skip
        store_arguments(self, locals())

    def _validate_input(self, X: Samples, y: Samples, incremental: bool, reset: bool) -> tuple[Any, Array]:
        X, y = inputs.samples_and_targets(self, X, y, reset, kinds="iubf", y_numeric=True)
        return X, column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y

    def _targets(self, y: Array) -> Array:
        """y as the network is given it."""
        found = y.astype(float)
        return found if found.ndim == 2 else found[:, None]

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def partial_fit(
        self, X: Samples, y: Samples, sample_weight: Samples = None, *, X_val: Samples = None, y_val: Samples = None
    ) -> Any:
        """Train one more epoch; with solver="lbfgs", a whole search from the current weights. Returns self.

        X_val, y_val: with early_stopping, samples to score; `stopped_` becomes True once the score has not improved for
        too long, and the weights are then those of the best score.
        """
        return self._fit(X, y, sample_weight, incremental=True, validation=(X_val, y_val))

    def predict(self, X: Samples) -> Array:
        """The network's outputs for samples X: (samples,), or (samples, outputs) if there are several."""
        check_is_fitted(self, msg=choices.UNFITTED)
        found = self._outputs(X)
        return found.ravel() if found.shape[1] == 1 else found

    def _score(self, y: Array, p: Array, weight: Array | None) -> float:
        return forward.r2(y, p, weight)

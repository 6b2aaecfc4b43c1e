"""What classifier and regressor share: checks, initial weights, the solvers, and the way back to scikit-learn."""

from __future__ import annotations

import functools
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, _fit_context
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.validation import _check_sample_weight

from tinygrad_edu.estimators import forward, initial, inputs, messages
from tinygrad_edu.estimators.memory import Array
from tinygrad_edu.estimators.network import CODES, LOSSES

STOCHASTIC = ("sgd", "adam")
VALID: set[Any] = set()  # parameters that have passed scikit-learn's checks
ACTIVATIONS = {"identity", "logistic", "tanh", "relu"}


def positive(kind: Any, closed: str = "left", least: int = 1) -> Interval:
    return Interval(kind, least, None, closed=closed)


class Perceptron(BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """A multi-layer perceptron with the parameters, attributes and numbers of scikit-learn's.

    Beyond scikit-learn, and off by default: `activation` may be a list, one for each hidden layer; `init`, a name of
    `nn.init` for the weights; `dropout`, the share of hidden units that is silent in each step; `clip_norm`, the
    longest gradient that a step follows; `validation_curve`, the loss of the samples held out too; `callbacks`,
    functions of the estimator that are called after each epoch, and end the run by returning True. Fitted beyond:
    `gradient_norms_`, the length of the gradient at the last step of each epoch; `history_`, a `Run`.
    """

    _parameter_constraints: dict[str, Any] = {  # noqa: RUF012  (scikit-learn reads it from the class)
        "hidden_layer_sizes": ["array-like", positive(Integral)],
        "activation": [StrOptions(ACTIVATIONS), list, tuple],
        "solver": [StrOptions({"lbfgs", *STOCHASTIC})],
        "alpha": [positive(Real, least=0)],
        "batch_size": [StrOptions({"auto"}), positive(Integral)],
        "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"})],
        "learning_rate_init": [positive(Real, "neither", 0)],
        "power_t": [positive(Real, least=0)],
        "max_iter": [positive(Integral)],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [positive(Real, least=0)],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
        "momentum": [Interval(Real, 0, 1, closed="both")],
        "nesterovs_momentum": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [positive(Real, "neither", 0)],
        "n_iter_no_change": [positive(Integral), Options(Real, {np.inf})],
        "max_fun": [positive(Integral)],
        "init": [str, None],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "clip_norm": [positive(Real, "neither", 0), None],
        "validation_curve": ["boolean"],
        "callbacks": [list, tuple, None],
    }

    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Train on X (samples, features), dense or sparse, and y (samples,) or (samples, outputs); returns self.

        Errors: ValueError for what does not fit, and for weights that become NaN or infinite.
        """
        return self._fit(X, y, sample_weight, incremental=False)

    def _fit(self, X: Any, y: Any, sample_weight: Any, incremental: bool) -> Any:
        hidden = self._hidden()
        first = not hasattr(self, "coefs_") or (not self.warm_start and not incremental)
        X, y = self._validate_input(X, y, incremental, reset=first)
        weight = None if sample_weight is None else _check_sample_weight(sample_weight, X)
        weight = self._class_weighted(y, weight)
        y = y if y.ndim == 2 else y[:, None]
        self.n_outputs_ = y.shape[1]
        self._random_state = check_random_state(self.random_state)
        if first:
            initial.initialize(self, [X.shape[1], *hidden, y.shape[1]], X.dtype)
        self._solve(X, y, weight, incremental)
        if not all(np.isfinite(w).all() for w in [*self.coefs_, *self.intercepts_]):
            raise ValueError(messages.not_finite(self))
        return self

    def _solve(self, X: Any, y: Array, weight: Array | None, incremental: bool) -> None:
        if self.solver == "lbfgs":
            if self._extras():
                raise ValueError('dropout and clip_norm are for steps of batches: choose solver="sgd" or solver="adam"')
            from tinygrad_edu.estimators.lbfgs import minimized

            minimized(self, X, y, weight)
        else:
            from tinygrad_edu.estimators.stochastic import Training

            Training(self, X, y, weight, incremental).run()

    def _hidden(self) -> list[int]:
        sizes = self.hidden_layer_sizes
        found = list(sizes) if hasattr(sizes, "__iter__") else [sizes]
        if np.any(np.array(found) <= 0):
            raise ValueError(
                f"hidden_layer_sizes must be > 0, got {found}. Each number is the width of one hidden layer: leave out "
                "a layer that has none."
            )
        return found

    def _activations(self) -> list[str]:
        """Of each layer after the inputs."""
        hidden, names = len(self.coefs_) - 1, self.activation
        names = [names] * hidden if isinstance(names, str) else list(names)
        if len(names) != hidden or not ACTIVATIONS.issuperset(names):
            raise ValueError(f"activation={names}: one of {sorted(ACTIVATIONS)}, or a list of {hidden} of them")
        return [*names, self.out_activation_]

    def _layers(self) -> list[tuple[int, int]]:
        """(width, code of its activation) of each layer, the inputs first."""
        widths = [self.coefs_[0].shape[0], *(b.size for b in self.intercepts_)]
        return list(zip(widths, [0, *(CODES[name] for name in self._activations())], strict=True))

    def _extras(self) -> bool:
        return bool(self.dropout > 0.0 or self.clip_norm is not None)

    def _loss_code(self) -> int:
        logistic = self.loss == "log_loss" and self.out_activation_ == "logistic"
        return LOSSES["binary_log_loss" if logistic else self.loss]

    def _class_weighted(self, y: Array, weight: Array | None) -> Array | None:
        return weight

    def _outputs(self, X: Any, check_input: bool = True) -> Array:
        """The last layer's activations, (samples, outputs)."""
        if check_input:
            X = inputs.samples(self, X)
        return forward.outputs(X, self.coefs_, self.intercepts_, self._activations())

    def _scored(self, X: Any, y: Array, weight: Array | None) -> tuple[float, float]:
        """(accuracy or R², mean loss without penalty) of samples that were held out; y as the network is given it."""
        p = forward.outputs(X, self.coefs_, self.intercepts_, self._activations())
        loss = forward.loss(self._loss_code(), y, p, weight) if self.validation_curve else np.nan
        return self._score(y, p, weight), loss

    def _check_solver(self) -> bool:
        if self.solver not in STOCHASTIC:
            raise AttributeError(
                f"partial_fit is only available for stochastic optimizers. {self.solver} is not stochastic. "
                'Choose solver="sgd" or solver="adam".'
            )
        return True

    def _validate_params(self) -> None:
        """Once for the same parameters: the check takes 0.15 ms, a tenth of a small fit."""
        given = [getattr(self, name) for name in self._get_param_names()]
        key = (type(self), *((type(x), x) for x in given))
        if any(x.__hash__ is None for x in given):  # a list
            super()._validate_params()
        elif key not in VALID:
            super()._validate_params()
            VALID.clear() if len(VALID) > 1000 else None
            VALID.add(key)

    @classmethod
    @functools.cache
    def _get_param_names(cls) -> Any:
        """Kept: scikit-learn asks several times in a fit, and each search takes 0.1 ms."""
        return super()._get_param_names()

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    @property
    def history_(self) -> Any:
        """The record of the run, as `tinygrad_edu.fit` gives it."""
        from tinygrad_edu.estimators.exchange import history

        return history(self)

    @classmethod
    def from_sklearn(cls, fitted: Any) -> Any:
        """An estimator of ours with the parameters and all that a fitted one of scikit-learn has learnt."""
        from tinygrad_edu.estimators.exchange import from_sklearn

        return from_sklearn(cls, fitted)

    def to_sklearn(self) -> Any:
        """scikit-learn's own estimator with the same parameters, and all that this one has learnt."""
        from tinygrad_edu.estimators.exchange import to_sklearn

        return to_sklearn(self)


def store(estimator: Any, given: dict[str, Any]) -> None:
    """The arguments of a constructor as attributes, as scikit-learn wants them: unchanged."""
    for name, value in given.items():
        if name not in ("self", "__class__"):
            setattr(estimator, name, value)

"""The base of classifier and regressor: checks, initial weights, the solvers, and conversion to scikit-learn."""

from __future__ import annotations

import functools
import math
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, _fit_context
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.validation import _check_sample_weight

from tinygrad_edu import interrupts
from tinygrad_edu.core.aliases import Samples
from tinygrad_edu.estimators import callbacks, choices, forward, initial, inputs, messages, seeding
from tinygrad_edu.estimators.aliases import Estimator
from tinygrad_edu.estimators.memory import Array
from tinygrad_edu.estimators.network import CODES, LOSSES, SCHEDULES

PLAIN = frozenset([bool, int, float, str, type(None)])
VALID: set[Any] = set()  # parameter values that have passed scikit-learn's checks


def positive(kind: Any, closed: str = "left", least: int = 1) -> Interval:
    return Interval(kind, least, None, closed=closed)


class Perceptron(callbacks.CallbackSupportMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """A multi-layer perceptron with the parameters, attributes and numbers of scikit-learn's.

    Beyond scikit-learn, and off by default:
    activation: any of the table of operations, such as "gelu"; a list has one for each hidden layer.
    out_activation: of the last layer; by default the link of the loss, such as softmax.
    loss: scikit-learn's, or any of `nn.losses`.
    solver: also "adamw", "rmsprop", "rprop", "adagrad" and the other optimizers of `optim`; weight_decay is for these.
    learning_rate: a schedule of `optim.schedules` or any function of the step t = 0, 1, ...
    l1: weight of Σ|w|, as alpha is of Σw²/2. norm: "batch" or "layer", before each hidden activation.
    init: a name of `nn.init` for the weights. dropout: the share of hidden units set to 0 in each step.
    clip_norm: the length that longer gradients are scaled down to. stop_loss: the training loss at which to stop.
    validation_curve: record the loss of the held-out samples too. callbacks: functions of the estimator, called after
    each epoch, which end the run by returning True; scikit-learn's own are set with `set_callbacks`.
    Further fitted attributes: `gradient_norms_`, the length of the gradient at the last step of each epoch; `history_`,
    a `Run`; `stopped_`, after partial_fit: whether the validation score has not improved for too long.
    """

    _parameter_constraints: dict[str, Any] = {  # noqa: RUF012  (scikit-learn reads it from the class)
        "hidden_layer_sizes": ["array-like", positive(Integral)],
        "activation": [StrOptions(choices.ACTIVATIONS), list, tuple],
        "solver": [StrOptions(choices.SOLVERS)],
        "alpha": [positive(Real, least=0)],
        "batch_size": [StrOptions({"auto"}), positive(Integral)],
        "learning_rate": [StrOptions(set(SCHEDULES)), callable],
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
        "out_activation": [StrOptions(choices.ACTIVATIONS), None],
        "l1": [positive(Real, least=0)],
        "norm": [StrOptions(set(choices.NORMS)), None],
        "weight_decay": [positive(Real, least=0), None],
        "stop_loss": [Real, None],
        "init": [str, None],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "clip_norm": [positive(Real, "neither", 0), None],
        "validation_curve": ["boolean"],
        "callbacks": [list, tuple, None],
    }

    @callbacks.with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def fit(
        self, X: Samples, y: Samples, sample_weight: Samples = None, *, X_val: Samples = None, y_val: Samples = None
    ) -> Any:
        """Train on X (samples, features), dense or sparse, and y (samples,) or (samples, outputs); returns self.

        X_val, y_val: samples to score after each epoch (`validation_scores_`); with early_stopping they decide when to
        stop, instead of a share of X. Errors: ValueError for arguments that do not fit, and for weights that become
        NaN or infinite.
        """
        return self._fit(X, y, sample_weight, incremental=False, validation=(X_val, y_val))

    def _fit(
        self,
        X: Samples,
        y: Samples,
        sample_weight: Samples,
        incremental: bool,
        validation: tuple[Any, Any] = (None, None),
    ) -> Any:
        callbacks.fit_begins(self, X, y, None if self.solver == "lbfgs" else 1 if incremental else self.max_iter)
        hidden = self._hidden()
        first = not hasattr(self, "coefs_") or (not self.warm_start and not incremental)
        X, y = self._validate_input(X, y, incremental, reset=first)
        weight = None if sample_weight is None else _check_sample_weight(sample_weight, X)
        weight = self._class_weighted(y, weight)
        y = y if y.ndim == 2 else y[:, None]
        self.n_outputs_ = y.shape[1]
        self._random_state = seeding.random_state(self.random_state)
        if first:
            initial.initialize(self, [X.shape[1], *hidden, y.shape[1]], X.dtype)
        self._beyond = choices.beyond(self)
        self._solve(X, y, weight, incremental, inputs.validation(self, *validation))
        callbacks.fit_ended(self, X, y)
        # a finite sum has finite terms, and a sum that overflows may have too
        weights = [*self.coefs_, *self.intercepts_]
        if not all([math.isfinite(np.add.reduce(w, axis=None)) or np.isfinite(w).all() for w in weights]):  # noqa: C419
            raise ValueError(messages.not_finite(self))
        return self

    @interrupts.Passed()
    def _solve(self, X: Samples, y: Array, weight: Array | None, incremental: bool, validation: Samples) -> None:
        if self.solver == "lbfgs":
            messages.refuse_batches(self, validation)
            from tinygrad_edu.estimators.lbfgs import minimize_loss

            minimize_loss(self, X, y, weight)
        else:
            from tinygrad_edu.estimators.stochastic import GeneralTraining, StochasticTraining

            way = GeneralTraining if self._beyond else StochasticTraining
            way(self, X, y, weight, incremental, validation).run()

    def _hidden(self) -> list[int]:
        sizes = self.hidden_layer_sizes
        found = list(sizes) if hasattr(sizes, "__iter__") else [sizes]
        if any([width <= 0 for width in found]):  # noqa: C419
            raise ValueError(
                f"hidden_layer_sizes must be > 0, got {found}. Each number is the width of one hidden layer: leave out "
                "empty layers."
            )
        return found

    def _activations(self) -> list[str]:
        """The activation of each layer after the inputs."""
        return [*choices.per_layer(self.activation, len(self.coefs_) - 1), self.out_activation_]

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

    def _outputs(self, X: Samples, check_input: bool = True) -> Array:
        """The last layer's activations, (samples, outputs)."""
        if check_input:
            X = inputs.samples(self, X)
        return self._forward(X)

    def _forward(self, X: Samples) -> Array:
        if getattr(self, "_beyond", False):
            from tinygrad_edu.estimators import general

            return general.outputs(self, X)
        return forward.outputs(X, self.coefs_, self.intercepts_, self._activations())

    def _score_held_out(self, X: Samples, y: Array, weight: Array | None) -> tuple[float, float]:
        """(accuracy or R², mean loss without penalty) of held-out samples; y as the network gets it."""
        p = self._forward(X)
        loss = self._loss_of(X, y, p, weight) if self.validation_curve else np.nan
        return self._score(y, p, weight), loss

    def _loss_of(self, X: Samples, y: Array, p: Array, weight: Array | None) -> Any:
        if not self._beyond:
            return forward.loss(self._loss_code(), y, p, weight)
        from tinygrad_edu.estimators import general

        return general.loss(self, X, y, weight)

    def _check_solver(self) -> bool:
        if self.solver == "lbfgs":
            raise AttributeError(
                f"partial_fit is only available for stochastic optimizers. {self.solver} is not stochastic. "
                'Choose solver="sgd" or solver="adam".'
            )
        return True

    def _validate_params(self) -> None:
        """Check once for the same parameters: it takes 0.15 ms, a tenth of a small fit."""
        given = [getattr(self, name) for name in self._get_param_names()]
        key = (type(self), *((type(x), x) for x in given))
        if any(x.__hash__ is None for x in given):  # lists are unhashable
            super()._validate_params()
        elif key not in VALID:
            super()._validate_params()
            VALID.clear() if len(VALID) > 1000 else None
            VALID.add(key)

    @classmethod
    @functools.cache
    def _get_param_names(cls) -> Any:
        """Cached: scikit-learn asks several times per fit, and each search takes 0.1 ms."""
        return super()._get_param_names()

    def __sklearn_clone__(self) -> Any:
        """scikit-learn's clone; a quarter of its time where there is nothing but plain parameters."""
        given = vars(self)  # also what is set with set_callbacks, set_output and the like, and what a fit leaves
        if len(given) == len(self._get_param_names()) and all(map(is_simple, given.values())):
            made = type(self)(**given)
            if all(vars(made).get(name) is x for name, x in given.items()):
                return made
        return super().__sklearn_clone__()

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
    def from_sklearn(cls, fitted: Estimator) -> Any:
        """This kind of estimator with the parameters and everything learned of a fitted one of scikit-learn."""
        from tinygrad_edu.estimators.exchange import from_sklearn

        return from_sklearn(cls, fitted)

    def to_sklearn(self) -> Any:
        """scikit-learn's own estimator with the same parameters, and everything that this one has learned."""
        from tinygrad_edu.estimators.exchange import to_sklearn

        return to_sklearn(self)

    def to_onnx(self, path: Any) -> Any:
        """Write the fitted network as ONNX, and return the path: inputs `x`, float32, of any number of samples.

        The outputs are `probabilities` (samples, classes) and `label` for a classifier, `output` for a regressor.
        Errors: MissingPackageError without the package onnx.
        """
        from sklearn.utils.validation import check_is_fitted

        from tinygrad_edu.estimators.onnx_file import write_onnx

        check_is_fitted(self, msg=choices.UNFITTED)
        return write_onnx(self, path)


def is_simple(x: object) -> bool:
    """Is it a number, a text, None, or a tuple of such, which nobody can change?"""
    return type(x) in PLAIN or (type(x) is tuple and all(map(is_simple, x)))


def store_arguments(estimator: Estimator, given: dict[str, Any]) -> None:
    """Store a constructor's arguments as attributes, unchanged, as scikit-learn requires."""
    for name, value in given.items():
        if name not in ("self", "__class__"):
            setattr(estimator, name, value)

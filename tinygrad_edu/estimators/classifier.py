"""MLPClassifier: scikit-learn's, compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.metrics import accuracy_score
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import column_or_1d
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import _check_partial_fit_first_call, type_of_target, unique_labels
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

HALF = 0.5  # between LabelBinarizer's 0 and 1
EXACT = "biuU"  # targets that can only be classes: booleans, integers, strings


class MLPClassifier(ClassifierMixin, Perceptron):  # type: ignore[misc]  # scikit-learn ships no types
    """A multi-layer perceptron that minimises the log loss: scikit-learn's parameters, defaults and numbers.

    One class of several uses softmax; two classes, or several labels (y of 0 and 1, a column each), use logistic. For
    what goes beyond scikit-learn see `Perceptron`, and `class_weight`: "balanced", or a weight for each class.
    Source: scikit-learn 1.9, sklearn.neural_network.MLPClassifier.

    >>> from tinygrad_edu.data import moons
    >>> X, y = moons(100, seed=1)
    >>> model = MLPClassifier((16,), max_iter=500, learning_rate_init=0.02, random_state=0).fit(X, y.ravel())
    >>> model.score(X, y.ravel()) > 0.95
    True
    """

    _parameter_constraints = {  # noqa: RUF012  (scikit-learn reads it from the class)
        **Perceptron._parameter_constraints,
        "loss": [StrOptions({"log_loss", *choices.LOSSES})],
        "class_weight": [StrOptions({"balanced"}), dict, None],
    }

    @check_arguments
    def __init__(
        self, hidden_layer_sizes: ArrayLike = (100,), activation: Any = "relu", *, solver: SolverName = "adam",
        alpha: float = 0.0001, batch_size: Any = "auto",
        learning_rate: LearningRateName | Callable[[int], Any] = "constant", learning_rate_init: float = 0.001,
        power_t: float = 0.5, max_iter: int = 200, shuffle: bool = True, random_state: Any = None, tol: float = 1e-4,
        verbose: Any = False, warm_start: bool = False, momentum: float = 0.9, nesterovs_momentum: bool = True,
        early_stopping: bool = False, validation_fraction: float = 0.1, beta_1: float = 0.9, beta_2: float = 0.999,
        epsilon: float = 1e-8, n_iter_no_change: Any = 10, max_fun: int = 15000, init: InitializerName | None = None,
        dropout: float = 0.0, clip_norm: float | None = None, class_weight: Any = None, validation_curve: bool = False,
        callbacks: Any = None, out_activation: ActivationName | None = None, l1: float = 0.0,
        norm: NormName | None = None, weight_decay: float | None = None, stop_loss: float | None = None,
        loss: ScikitLearnLossName = "log_loss",
    ) -> None:  # fmt: skip
        store_arguments(self, locals())

    def _validate_input(self, X: Samples, y: Samples, incremental: bool, reset: bool) -> tuple[Any, Array]:
        """X, and y as a boolean column for each class (one for two classes)."""
        X, y = inputs.samples_and_targets(self, X, y, reset, kinds=EXACT)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if not hasattr(self, "classes_") or (not self.warm_start and not incremental):
            self._label_binarizer, self.classes_ = binarizer(y)
        else:
            self._refuse_new_classes(y)
        return X, binarize(self._label_binarizer, y)

    def _targets(self, y: Array) -> Array:
        """y as the network gets it. Errors: ValueError for unknown classes."""
        y = column_or_1d(y) if y.ndim == 2 and y.shape[1] == 1 else y
        new = np.setdiff1d(unique_labels(y), self.classes_)
        if new.size:
            raise ValueError(f"y_val has the classes {new}, which are not in y: it has {self.classes_}")
        found = binarize(self._label_binarizer, y)
        return found if found.ndim == 2 else found[:, None]

    def _refuse_new_classes(self, y: Array) -> None:
        classes = unique_labels(y)
        if self.warm_start:
            if set(classes) != set(self.classes_):
                raise ValueError(
                    "warm_start can only be used where `y` has the same classes as in the previous call to fit. "
                    f"Previously got {self.classes_}, `y` has {classes}. Set warm_start=False to start afresh."
                )
        elif len(np.setdiff1d(classes, self.classes_, assume_unique=True)):
            raise ValueError(
                f"`y` has classes not in `self.classes_`. `self.classes_` has {self.classes_}. 'y' has {classes}. "
                "Name all classes in the first call: partial_fit(X, y, classes=...)."
            )

    def _class_weighted(self, y: Array, weight: Array | None) -> Array | None:
        if self.class_weight is None:
            return weight
        labels = self._label_binarizer.inverse_transform(y)
        own = compute_sample_weight(self.class_weight, labels)
        return np.asarray(own if weight is None else own * weight)

    @available_if(lambda estimator: estimator._check_solver())  # type: ignore[untyped-decorator]
    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def partial_fit(
        self,
        X: Samples,
        y: Samples,
        sample_weight: Samples = None,
        classes: Samples = None,
        *,
        X_val: Samples = None,
        y_val: Samples = None,
    ) -> Any:
        """Train one more epoch; the first call names all `classes` that will ever occur. Returns self.

        X_val, y_val: with early_stopping, samples to score; `stopped_` becomes True once the score has not improved for
        too long, and the weights are then those of the best score.
        """
        if _check_partial_fit_first_call(self, classes):
            self._label_binarizer = LabelBinarizer().fit(y if type_of_target(y).startswith("multilabel") else classes)
        return self._fit(X, y, sample_weight, incremental=True, validation=(X_val, y_val))

    def _outputs(self, X: Samples, check_input: bool = True) -> Array:
        """A probability for each class, one for two classes, or one for each label."""
        p = super()._outputs(X, check_input)
        return choices.probabilities(self, p) if choices.is_beyond_classes(self) else p

    def predict(self, X: Samples) -> Any:
        """The classes of samples X, (samples,), or their labels, (samples, labels)."""
        if "coefs_" not in vars(self):  # a twentieth of its time
            check_is_fitted(self, msg=choices.UNFITTED)
        p = self._outputs(X)
        return classes_of(self._label_binarizer, p.ravel() if self.n_outputs_ == 1 else p)

    def predict_proba(self, X: Samples) -> Array:
        """The probability of each class, (samples, classes)."""
        check_is_fitted(self, msg=choices.UNFITTED)
        p = self._outputs(X)
        return np.hstack([1 - p, p]) if self.n_outputs_ == 1 else np.asarray(p)

    def predict_log_proba(self, X: Samples) -> Array:
        """The logarithm of `predict_proba`."""
        p = self.predict_proba(X)
        return np.asarray(np.log(p, out=p))

    def score(self, X: Samples, y: Samples, sample_weight: Samples = None) -> float:
        """The share of samples with all labels right."""
        found = self.predict(X)
        kinds = {getattr(a, "dtype", np.dtype(object)).kind for a in (y, found)}
        if sample_weight is None and type(y) is np.ndarray and y.shape == found.shape[:1] and kinds in map(set, EXACT):
            # faster: scikit-learn's checks would take a quarter of the time of a grid search
            return float(np.mean(y == found))
        return float(accuracy_score(y, found, sample_weight=sample_weight))

    def _score(self, y: Array, p: Array, weight: Array | None) -> float:
        if self.classes_.size == 1 and self.n_outputs_ == 1:  # with one class there is nothing else to predict
            return 1.0
        p = choices.probabilities(self, p) if choices.is_beyond_classes(self) else p
        return forward.accuracy(y, p, weight, exclusive=self._label_binarizer.y_type_ == "multiclass")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


def binarizer(y: Array) -> tuple[LabelBinarizer, Array]:
    """scikit-learn's LabelBinarizer for these targets, and the classes.

    Its own fit takes 0.6 ms, half as long as all the rest; integers and strings do not need its search.
    """
    made = LabelBinarizer()
    if y.ndim != 1 or y.dtype.kind not in EXACT:
        made.fit(y)
        return made, made.classes_
    made.classes_ = np.unique(y)
    made.y_type_ = "multiclass" if len(made.classes_) > 2 else "binary"
    made.sparse_input_ = False
    return made, made.classes_


def classes_of(made: LabelBinarizer, p: Array) -> Any:
    """made.inverse_transform(p): the most probable class, and of two the second where p is above ½."""
    if type(made) is LabelBinarizer and not made.sparse_input_ and type(p) is np.ndarray and len(made.classes_) > 1:
        if made.y_type_ == "multiclass" and p.ndim == 2:
            return made.classes_.take(p.argmax(axis=1), mode="clip")
        if made.y_type_ == "binary" and p.ndim == 1:
            return made.classes_[(p > HALF).astype(int)]
    return made.inverse_transform(p)


def binarize(made: LabelBinarizer, y: Array) -> Array:
    """y as booleans, a column for each class; one for two."""
    if y.ndim != 1 or y.dtype.kind not in EXACT or y.dtype.kind != made.classes_.dtype.kind:
        return np.asarray(made.transform(y).astype(bool))
    if made.y_type_ == "binary":
        return np.asarray((y == made.classes_[-1])[:, None] & (len(made.classes_) > 1))
    return np.asarray(y[:, None] == made.classes_)

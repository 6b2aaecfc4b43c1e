"""The names that the estimators take: scikit-learn's, and those of the tables of operations, losses and optimizers."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from sklearn.base import is_classifier

from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.core.operation import TABLE, Operation
from tinygrad_edu.estimators.aliases import Estimator
from tinygrad_edu.nn.layers import FUNCTIONS, OTHER_NAMES, find_activation, is_activation
from tinygrad_edu.nn.losses import LOSSES as ALL_LOSSES
from tinygrad_edu.optim import Optimizer
from tinygrad_edu.optim.named import subclasses
from tinygrad_edu.optim.schedule import Schedule

Array = np.ndarray[Any, Any]
USUAL_ACTIVATIONS = {"identity", "logistic", "tanh", "relu"}  # scikit-learn's, in the compiled network program
ACTIVATIONS = {
    *USUAL_ACTIVATIONS, *(name for name, row in TABLE.items() if is_activation(row)), *FUNCTIONS, *OTHER_NAMES,
}  # fmt: skip
OPTIMIZERS: dict[str, Any] = {
    each.__name__.lower(): each
    for each in subclasses(Optimizer)
    if each.__module__.startswith("tinygrad_edu.optim") and hasattr(each, "rule")
}
# These take log-probabilities or class numbers only; for a network here, log_loss and hinge do the same.
OF_OTHER_OUTPUTS = {"nll", "kl_div", "multi_margin"}
LOSSES = {name: entry for name, entry in ALL_LOSSES.items() if name not in OF_OTHER_OUTPUTS}
UNFITTED = "this %(name)s has not been trained yet: call .fit(X, y) first"
USUAL_SOLVERS = {"lbfgs", "sgd", "adam"}
SOLVERS = {*USUAL_SOLVERS, *OPTIMIZERS}
USUAL_LOSSES = {"log_loss", "squared_error", "poisson"}
NORMS = ("batch", "layer")
LINKS = {"sigmoid": "logistic"}  # the link of a loss -> scikit-learn's name
SIGNED = "plus_or_minus_one"  # name of the check of losses whose targets are -1 and 1


def beyond(model: Estimator) -> bool:
    """Do the settings include something that the compiled network program cannot do?"""
    names = [model.activation] if isinstance(model.activation, str) else list(model.activation)
    return (
        not USUAL_ACTIVATIONS.issuperset(names)
        or model.solver not in USUAL_SOLVERS
        or model.loss not in USUAL_LOSSES
        or model.out_activation_ != natural(model)
        or callable(model.learning_rate)
        or model.l1 > 0.0
        or model.norm is not None
        or model.weight_decay is not None
    )


def natural(model: Estimator) -> str:
    """The default activation of the outputs: the link of the loss."""
    if model.loss == "log_loss":
        return "softmax" if model._label_binarizer.y_type_ == "multiclass" else "logistic"
    if model.loss in ("squared_error", "poisson"):
        return "exp" if model.loss == "poisson" else "identity"
    if model.loss == "bce":  # this loss takes probabilities
        return "logistic"
    link = LOSSES[model.loss].link
    return LINKS.get(link, link)


def out_activation(model: Estimator) -> str:
    """The activation of the last layer. Errors: ValueError if the loss needs another one."""
    own, chosen = natural(model), getattr(model, "out_activation", None)
    chosen = own if chosen is None else LINKS.get(chosen, chosen)
    fixed = model.loss in ("log_loss", "poisson") or getattr(LOSSES.get(model.loss), "link", "identity") != "identity"
    if fixed and chosen != own:
        raise ValueError(
            f"out_activation={chosen!r}: the loss {model.loss!r} takes the outputs before their activation, which is "
            f"{own!r}. Losses of activated outputs are squared_error, mse, mae, huber and bce"
        )
    if model.loss == "bce" and not within_unit(chosen):
        raise ValueError(f"out_activation={chosen!r}: the loss 'bce' needs probabilities, such as those of 'logistic'")
    return chosen


def within_unit(name: str) -> bool:
    """Are all values of this activation in [0, 1]?"""
    function = find_activation(name)
    low, high = function.range if isinstance(function, Operation) else (0.0, 1.0 if name == "softmax" else np.inf)
    return low >= 0.0 and high <= 1.0


def in_place(name: str) -> Callable[[Array], None]:
    """z ← f(z) for any activation of the table."""
    function: Any = find_activation(name)

    def apply(z: Array) -> None:
        if name != "identity":
            z[...] = getattr(found := function(z), "array", found)

    return apply


class Cost:
    """The loss of samples, from z, the last layer's output before its activation, and y as the network gets it.

    scikit-learn's losses keep its factors: half the squared error, the sum over labels of the log loss. The gradient of
    its squared error sums over outputs, while the loss it reports is their mean.
    """

    def __init__(self, model: Estimator) -> None:
        self.name, self.entry = model.loss, LOSSES[own_name(model)]
        self.signed = self.entry.check.__name__ == SIGNED
        self.activated = self.entry.link == "identity" and model.loss != "log_loss"
        self.after = find_activation(model.out_activation_)

    def __call__(self, z: ArrayLike, y: Array, weight: ArrayLike) -> Any:
        """The weighted mean, which backward starts from."""
        target = (2.0 * y - 1.0 if self.signed else y).astype(z.dtype, copy=False)
        found = self.entry(self.after(z) if self.activated else z, target, sample_weight=weight)
        if self.name in USUAL_LOSSES and self.entry.name != "cross_entropy":
            found = found * (0.5 * y.shape[1] if self.name == "squared_error" else 1.0 * y.shape[1])
        return found

    def as_reported(self, loss: float, y: Array, weight: Array | None) -> float:
        """The loss as scikit-learn reports it."""
        if self.name == "squared_error":
            return loss / float(y.shape[1])
        if self.name == "poisson":
            # t·log t - t, a constant with respect to the prediction
            constant = y * np.log(np.where(y > 0.0, y, 1.0)) - y
            return loss + float(np.sum(np.average(constant, axis=0, weights=weight)))
        return loss


def own_name(model: Estimator) -> str:
    """The loss of the table for one of scikit-learn's names."""
    if model.loss == "log_loss":
        return "cross_entropy" if model.out_activation_ == "softmax" else "bce_with_logits"
    return "mse" if model.loss == "squared_error" else str(model.loss)


def levels(model: Estimator) -> tuple[float, float]:
    """The output values that mean "no" and "yes" for a class."""
    return (-1.0, 1.0) if model.loss in LOSSES and LOSSES[model.loss].check.__name__ == SIGNED else (0.0, 1.0)


def probabilities(model: Estimator, outputs: Array) -> Array:
    """A network's outputs as probabilities from 0 to 1, with sum 1 if exactly one of several classes is right.

    Of an array, or of a node while the network is written to a file.
    """
    low, high = levels(model)
    least = np.finfo(outputs.dtype).eps  # no probability is 0, so that its logarithm is finite
    shares = np.maximum((outputs - low) / (high - low), least)
    if model._label_binarizer.y_type_ != "multiclass":
        return np.minimum(shares, 1.0 - least)  # type: ignore[no-any-return]
    return shares / shares.sum(axis=1, keepdims=True)  # type: ignore[no-any-return]


def solver_settings(model: Estimator) -> dict[str, Any]:
    """The settings of a table optimizer besides its learning rate, from the parameters that scikit-learn has too.

    Errors: ValueError for weight_decay if the solver has none.
    """
    known = inspect.signature(OPTIMIZERS[model.solver]).parameters
    given: dict[str, Any] = {"betas": (model.beta_1, model.beta_2), "eps": model.epsilon}
    if model.weight_decay is not None:
        given["weight_decay"] = model.weight_decay
        if model.solver in USUAL_SOLVERS or "weight_decay" not in known:
            raise ValueError(
                f"weight_decay does not go with solver={model.solver!r}: use alpha, the L2 penalty of the weights"
            )
    return {name: x for name, x in given.items() if name in known}


def rate_at(model: Estimator) -> Callable[[int], float] | None:
    """The learning rate of step t = 0, 1, ... if `learning_rate` is a function or a schedule."""
    chosen = model.learning_rate
    return chosen if isinstance(chosen, Schedule) or callable(chosen) else None


def is_beyond_classes(model: Estimator) -> bool:
    """Is it a classifier whose outputs are not probabilities yet (with sum 1 for one class of several)?"""
    enough = ("softmax",) if model._label_binarizer.y_type_ == "multiclass" else ("softmax", "logistic")
    return bool(is_classifier(model)) and model.out_activation_ not in enough


def per_layer(names: Any, hidden: int) -> list[str]:
    """The activation of each hidden layer. Errors: ValueError for unknown names, or the wrong number of them."""
    found = [names] * hidden if isinstance(names, str) else list(names)
    if len(found) != hidden or not ACTIVATIONS.issuperset(found):
        raise ValueError(f"activation={found}: one of {sorted(ACTIVATIONS)}, or a list of {hidden} of them")
    return found


def penalties(model: Estimator, coefs: Sequence[Array]) -> float:
    """alpha·Σw²/2 + l1·Σ|w|, to be divided by the weight of the samples."""
    squares = sum(float(np.sum(W * W)) for W in coefs)
    sizes = sum(float(np.sum(np.abs(W))) for W in coefs) if model.l1 else 0.0
    return float(0.5 * model.alpha * squares + model.l1 * sizes)

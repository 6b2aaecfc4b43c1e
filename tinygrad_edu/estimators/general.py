"""Training beyond the compiled network program: every activation, loss and optimizer of the tables, normalization, L1.

The order of samples, stopping rules and records are scikit-learn's, as in stochastic.py; gradients come from Tensors.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_edu import nn
from tinygrad_edu.core.aliases import ArrayLike, Dtype, Samples
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.estimators import choices, rules
from tinygrad_edu.estimators.aliases import Estimator
from tinygrad_edu.estimators.memory import Array
from tinygrad_edu.nn.layers import find_activation

NORMS = {"batch": nn.BatchNorm, "layer": nn.LayerNorm}


class TensorNetwork:
    """The layers of an estimator as Tensors; `norms`, modules between them, belong to the estimator."""

    def __init__(self, model: Estimator) -> None:
        self.coefs = [Tensor(W, requires_grad=True, dtype=W.dtype) for W in model.coefs_]
        self.intercepts = [Tensor(b, requires_grad=True, dtype=b.dtype) for b in model.intercepts_]
        self.activations = [find_activation(name) for name in model._activations()[:-1]]
        self.norms: Sequence[Any] = getattr(model, "norms_", ())
        self.dropout, self.rng = model.dropout, model._random_state

    @property
    def parameters(self) -> list[Tensor]:
        """All weights, then all biases, then those of the normalization."""
        inner = [p for norm in self.norms for p in norm.parameters()]
        return [*self.coefs, *self.intercepts, *inner]

    def forward(self, x: ArrayLike) -> Any:
        """(samples, outputs), before the activation of the last layer."""
        hidden = len(self.coefs) - 1
        for i, (W, b) in enumerate(zip(self.coefs, self.intercepts, strict=True)):
            x = (sparse_product(x, W) if hasattr(x, "tocsr") else x @ W) + b
            if i < hidden:
                x = self.norms[i](x) if self.norms else x
                x = self.drop(self.activations[i](x))
        return x

    def drop(self, x: ArrayLike) -> Any:
        """Apply dropout: set a share of the units to 0."""
        if not self.dropout:
            return x
        mask = (self.rng.random_sample(x.shape) >= self.dropout) / (1.0 - self.dropout)
        return x * mask.astype(x.dtype)

    def arrays(self) -> tuple[list[Array], list[Array]]:
        """Copies of the weights and biases."""
        return [W.array.copy() for W in self.coefs], [b.array.copy() for b in self.intercepts]


def sparse_product(x: ArrayLike, W: Tensor) -> Any:
    """Sparse samples times weights: the columns in use as a dense array, times their rows of weights."""
    used = np.unique(x.tocsr().indices)
    return np.ascontiguousarray(x[:, used].toarray()) @ W[used]


def make_norms(model: Estimator, widths: Sequence[int], dtype: Dtype) -> list[Any]:
    """A normalization for each hidden layer."""
    found = [NORMS[model.norm](width) for width in widths[1:-1]] if model.norm else []
    for norm in found:
        for _, array in (*norm.named_arrays(), *norm.named_buffers()):
            array.data = array.array.astype(dtype)
    return found


class LikeScikitLearn:
    """scikit-learn's sgd and adam, applied to a list of parameters."""

    def __init__(self, model: Estimator, parameters: Sequence[Tensor]) -> None:
        self.adam = model.solver == "adam"
        self.settings = (
            {"beta_1": model.beta_1, "beta_2": model.beta_2, "epsilon": model.epsilon}
            if self.adam
            else {"momentum": model.momentum, "nesterov": model.nesterovs_momentum}
        )
        self.memory = [[np.zeros_like(p.array) for _ in range(1 + self.adam)] for p in parameters]
        self.t = 0

    def step(self, parameters: Sequence[Tensor], lr: float) -> None:
        """One update from the gradients."""
        self.t += 1
        rule: Any = rules.adam if self.adam else rules.sgd
        for i, p in enumerate(parameters):
            w, *self.memory[i] = rule(p.array, p.gradient, *self.memory[i], self.t, lr, **self.settings)
            p.assign(np.asarray(w, dtype=p.dtype))


class OfOurs:
    """An optimizer of this library. It keeps the parameters of its first call."""

    def __init__(self, model: Estimator, parameters: Sequence[Tensor]) -> None:
        maker, settings = choices.OPTIMIZERS[model.solver], choices.solver_settings(model)
        self.optimizer = maker(list(parameters), lr=model.learning_rate_init, **settings)

    @property
    def t(self) -> int:
        """Steps so far."""
        return int(self.optimizer.steps)

    def step(self, parameters: Sequence[Tensor], lr: float) -> None:
        """One update from the gradients."""
        self.optimizer.params = list(parameters)
        if lr != self.optimizer.lr:
            self.optimizer.lr = lr
        self.optimizer.step()


def make_stepper(model: Estimator, parameters: Sequence[Tensor]) -> Any:
    """The optimizer of a run."""
    if model.solver in choices.USUAL_SOLVERS:
        if model.weight_decay is not None:
            choices.solver_settings(model)
        return LikeScikitLearn(model, parameters)
    return OfOurs(model, parameters)


class GeneralEpochs:
    """The epochs of one call of fit or partial_fit."""

    def __init__(
        self, model: Estimator, X: Samples, Y: Array, weight: Array | None, batch: int, incremental: bool
    ) -> None:
        self.model, self.X, self.Y, self.batch = model, X, Y.astype(X.dtype), batch
        self.weight = np.ones(len(Y), X.dtype) if weight is None else np.asarray(weight, X.dtype)
        self.network, self.cost = TensorNetwork(model), choices.Cost(model)
        if not incremental or not hasattr(model, "_stepper"):
            model._stepper = make_stepper(model, self.network.parameters)
        self.rate, self.lr = choices.rate_at(model), float(getattr(model, "_rate", model.learning_rate_init))
        if not incremental:
            self.lr = float(model.learning_rate_init)
        self.order = np.arange(len(Y))

    def epoch(self) -> tuple[float, float]:
        """(mean loss with penalties, length of the last gradient) of one pass over all samples."""
        n, total, length = len(self.Y), 0.0, 0.0
        if self.model.shuffle:
            places = np.arange(n)
            self.model._random_state.shuffle(places)
            self.order = self.order[places]
        for norm in self.network.norms:
            norm.train()
        with np.errstate(all="ignore"):
            for begin in range(0, n, self.batch):
                rows = self.order[begin : begin + self.batch]
                loss, length = self.step(rows)
                total += loss * len(rows)
        return total / n, length

    def step(self, rows: Array) -> tuple[float, float]:
        """One update; (the loss before it, the length of the gradient)."""
        parameters, weight = self.network.parameters, self.weight[rows]
        mass = float(weight.sum())
        if mass == 0.0:
            raise ZeroDivisionError(int(rows.size))
        for p in parameters:
            p.gradient = None
        loss = self.cost(self.network.forward(self.X[rows]), self.Y[rows], weight)
        loss.backward()
        penalty = choices.penalties(self.model, [W.array for W in self.network.coefs]) / mass
        penalize(self.model, self.network, mass)
        length = clip(parameters, self.model.clip_norm)
        stepper = self.model._stepper
        stepper.step(parameters, self.lr if self.rate is None else check_rate(self.rate, stepper.t))
        return self.cost.as_reported(float(loss.item()), self.Y[rows], weight) + penalty, length


def penalize(model: Estimator, network: TensorNetwork, mass: float) -> None:
    """Add the gradients of the penalties."""
    for W in network.coefs:
        W.grad = (0.0 if W.grad is None else W.grad) + np.asarray(model.alpha / mass, W.dtype) * W.array
        if model.l1:
            W.grad = W.grad + np.asarray(model.l1 / mass, W.dtype) * np.sign(W.array)


def check_rate(rate: Any, t: int) -> float:
    """The learning rate of a step. Errors: ValueError if the function does not give a rate."""
    found = rate(t)
    if not (isinstance(found, (int, float, np.number)) and 0.0 <= found < math.inf):
        raise ValueError(f"learning_rate gives {found!r} at step t={t}: it has to be a number in [0, inf)")
    return float(found)


def clip(parameters: Sequence[Tensor], limit: float | None) -> float:
    """Scale the gradients down to the length `limit`; returns their length before."""
    found = [np.zeros_like(p.array) if p.grad is None else np.asarray(p.grad) for p in parameters]
    length = math.sqrt(sum(float(np.sum(g * g)) for g in found))
    factor = 1.0 if limit is None or not length > limit else limit / length
    for p, g in zip(parameters, found, strict=True):
        p.grad = g if factor == 1.0 else g * np.asarray(factor, p.dtype)
    if limit is not None and length > limit:
        return limit
    return length


def outputs(model: Estimator, X: Samples) -> Array:
    """The activations of the last layer, (samples, outputs), in evaluation mode."""
    network = TensorNetwork(model)
    network.dropout = 0.0
    for norm in network.norms:
        norm.eval()
    with np.errstate(all="ignore"):
        z = np.array(network.forward(X).array)
        choices.in_place(model.out_activation_)(z)
    return z


def loss(model: Estimator, X: Samples, y: Array, weight: Array | None) -> float:
    """The mean loss without penalties, in evaluation mode."""
    network = TensorNetwork(model)
    network.dropout = 0.0
    for norm in network.norms:
        norm.eval()
    with np.errstate(all="ignore"):
        cost, y = choices.Cost(model), np.asarray(y, model.coefs_[0].dtype)
        return cost.as_reported(float(cost(network.forward(X), y, weight).item()), y, weight)

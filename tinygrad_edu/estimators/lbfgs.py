"""The solver lbfgs: SciPy's L-BFGS-B on the loss and gradient of all samples at once, in NumPy.

It keeps scikit-learn's order of operations, to the last bit: a line search compares losses, so one bit of difference
leads to other weights within fifty iterations (measured: 1e-16 grew to 1e-2 on 11 rows). Compiled code would gain
little here, because most of the time is SciPy's.
"""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
from scipy.optimize import minimize
from sklearn.exceptions import ConvergenceWarning

from tinygrad_edu.compile.backend.blas_threads import for_product
from tinygrad_edu.core.aliases import Samples
from tinygrad_edu.estimators import choices, forward, general, lbfgs_loop, messages
from tinygrad_edu.estimators.aliases import Estimator
from tinygrad_edu.estimators.memory import Array, join_arrays, parts, shapes_of

# With fewer multiplications, waiting for a second BLAS thread costs more than it saves (45 ms against 6 per fit).
SMALL = 1_000_000


def by_logistic(d: Array, y: Array) -> None:
    d *= y
    d *= 1 - y


def by_tanh(d: Array, y: Array) -> None:
    d *= 1 - y**2


def by_relu(d: Array, y: Array) -> None:
    np.putmask(d, y == 0, 0.0)


# d ← d·f'(z) from the result y = f(z)
DERIVATIVES: dict[str, Callable[[Array, Array], None]] = {
    "identity": lambda d, y: None, "logistic": by_logistic, "tanh": by_tanh, "relu": by_relu,
}  # fmt: skip


class AtOnePoint:
    """A loss whose evaluation leaves its gradient behind: SciPy asks for the one, then for the other."""

    w: Array  # the weights of the last evaluation
    g: Array  # the gradient there

    def loss(self, w: Array) -> Any:
        """The loss at these weights; computes the gradient as well."""
        raise NotImplementedError

    def gradient(self, w: Array) -> Array:
        """The gradient at these weights. One function for both would cost 12 µs a call."""
        if (w != self.w).any():
            self.loss(w)
        return self.g


def assign_product(A: Any, B: Array, out: Array) -> None:
    """out = A @ B for sparse A, which NumPy's matmul does not know."""
    out[:] = A @ B


@dataclass(frozen=True)
class LayerAtWork:
    """One layer on all samples: views of its weights and gradients, and room for its results.

    given: what it is given; its transpose is the same memory, so that nothing is made anew in an evaluation.
    """

    given: Any
    transposed: Any
    W: Array
    b: Array
    by_weights: Array
    by_biases: Array
    z: Array
    activate: Callable[[Array], Any]
    differentiate: Callable[[Array, Array], None]  # of the layer before
    product: Callable[[Any, Array, Array], Any]

    def forward(self) -> None:
        """z = f(given W + b)."""
        self.product(self.given, self.W, self.z)
        np.add(self.z, self.b, self.z)
        self.activate(self.z)

    def backward(self, d: Array) -> None:
        """The sums over all samples, from the derivative by the sum that the layer's activation is given."""
        self.product(self.transposed, d, self.by_weights)
        np.add.reduce(d, axis=0, out=self.by_biases)


class Objective(AtOnePoint):
    """Loss and gradient of all samples at a vector of all weights, without allocating arrays for them.

    A call of NumPy takes 0.4 to 1 µs however few rows there are, and a fit of eleven rows takes seventy evaluations.
    """

    def __init__(self, model: Estimator, X: Samples, Y: Array, weight: Array | None) -> None:
        self.Y, self.weight, self.alpha = Y.astype(float), weight, model.alpha
        # float64 even for float32 samples, because SciPy works in it
        self.w = join_arrays(model.coefs_, model.intercepts_).astype(float)
        self.g = np.empty_like(self.w)
        shapes = shapes_of([X.shape[1], *(b.size for b in model.intercepts_)])
        (coefs, intercepts), (by_coefs, by_intercepts) = parts(self.w, shapes), parts(self.g, shapes)
        self.penalized = [W.ravel() for W in coefs]
        # of each weight, in one vector; biases have no penalty
        self.alphas = np.repeat([self.alpha, 0.0], [sum(x.size for x in xs) for xs in (coefs, intercepts)])
        self.mass = X.shape[0] if weight is None else weight.sum()
        self.cost = cost_of(model._loss_code(), self.Y, weight)
        self.layers: list[LayerAtWork] = []
        names, given = model._activations(), X
        for W, b, by_weights, by_biases, name, before in zip(
            coefs, intercepts, by_coefs, by_intercepts, names, ["identity", *names[:-1]], strict=True
        ):
            product: Any = np.matmul if isinstance(given, np.ndarray) else assign_product
            z, activate = np.empty((X.shape[0], b.size)), forward.IN_PLACE[name]
            self.layers.append(
                LayerAtWork(given, given.T, W, b, by_weights, by_biases, z, activate, DERIVATIVES[before], product)
            )
            given = z

    def loss(self, w: Array) -> Any:
        """The loss at these weights; computes the gradient as well."""
        self.w[:] = w
        for layer in self.layers:
            layer.forward()
        loss = self.cost(layer.z)
        loss += 0.5 * self.alpha * sum([W.dot(W) for W in self.penalized]) / self.mass
        self.differentiate()
        return loss

    def differentiate(self) -> None:
        """The gradient, from the layers' activations."""
        d = self.layers[-1].z - self.Y
        if self.weight is not None:
            d *= self.weight[:, None]
        for i in range(len(self.layers) - 1, 0, -1):
            layer = self.layers[i]
            layer.backward(d)
            d = d @ layer.W.T
            layer.differentiate(d, layer.given)
        self.layers[0].backward(d)
        self.g += self.alphas * self.w
        self.g /= self.mass


def cost_of(code: int, Y: Array, weight: Array | None) -> Callable[[Array], Any]:
    """The loss as a function of the network's outputs."""
    if code == forward.BINARY and weight is None:
        return functools.partial(forward.log_loss_of_labels, Y, 1 - Y)
    return lambda p: forward.loss(code, Y, p, weight)


class GeneralObjective(AtOnePoint):
    """The objective for features beyond scikit-learn's, with Tensors in float64."""

    def __init__(self, model: Estimator, X: Samples, Y: Array, weight: Array | None) -> None:
        self.model, self.network, self.cost = model, general.TensorNetwork(model), choices.Cost(model)
        self.X, self.Y, self.parameters = X.astype(float), Y.astype(float), self.network.parameters
        self.weight = np.ones(len(Y)) if weight is None else np.asarray(weight, float)
        self.shapes = [p.shape for p in self.parameters]
        self.w = np.concatenate([p.array.ravel() for p in self.parameters]).astype(float)
        self.g = np.empty_like(self.w)

    def assign(self, w: Array) -> None:
        """Write these weights into the network and the estimator's normalization."""
        ends = np.cumsum([math.prod(shape) for shape in self.shapes])[:-1]
        for p, piece in zip(self.parameters, np.split(np.asarray(w, float), ends), strict=True):
            p.assign(piece.reshape(p.shape))

    def loss(self, w: Array) -> Any:
        """The loss at these weights; computes the gradient as well."""
        self.w[:] = w
        self.assign(w)
        for p in self.parameters:
            p.grad = None
        mass = self.weight.sum()
        with np.errstate(all="ignore"):
            loss = self.cost(self.network.forward(self.X), self.Y, self.weight)
            loss.backward()
            general.penalize(self.model, self.network, mass)
        self.g[:] = np.concatenate([np.ravel(np.zeros(p.shape) if p.grad is None else p.grad) for p in self.parameters])
        own = self.cost.as_reported(float(loss.item()), self.Y, self.weight)
        return own + choices.penalties(self.model, [W.array for W in self.network.coefs]) / mass


def minimize_loss(model: Estimator, X: Samples, Y: Array, weight: Array | None) -> None:
    """Train the model on all samples at once."""
    objective: Any = (GeneralObjective if model._beyond else Objective)(model, X, Y, weight)
    limits = {"maxfun": model.max_fun, "maxiter": model.max_iter, "gtol": model.tol}
    with for_product(objective.w.size * X.shape[0], least=0, most=SMALL):
        found = search(model, objective, limits)
    model.n_iter_, model.loss_ = min(found.nit, model.max_iter), found.fun
    if model._beyond:
        objective.assign(found.x)
        model.coefs_, model.intercepts_ = objective.network.arrays()
    else:
        model.coefs_, model.intercepts_ = parts(found.x, [w.shape for w in [*model.coefs_, *model.intercepts_]])
    if model.verbose:
        print(f"lbfgs: {found.nit} iterations, {found.nfev} evaluations, loss = {found.fun:.8f}")
    if found.status not in (0, lbfgs_loop.HALTED):
        warnings.warn(not_converged(model, found), ConvergenceWarning, stacklevel=messages.callers())


def search(model: Estimator, objective: AtOnePoint, limits: dict[str, Any]) -> Any:
    """SciPy's result, by a loop of our own where that is possible."""
    if lbfgs_loop.is_possible():
        return lbfgs_loop.run_setulb(objective, limits, functools.partial(is_over, model))
    start, iterations = objective.w.copy(), count(1)

    def ask(intermediate_result: Any) -> None:  # SciPy passes the loss too if the argument has this name
        if is_over(model, next(iterations), intermediate_result.fun):
            raise StopIteration

    return minimize(objective.loss, start, method="L-BFGS-B", jac=objective.gradient, options=limits, callback=ask)


def is_over(model: Estimator, iteration: int, loss: float) -> bool:
    """After each iteration: does one of the model's callbacks end the search, also one that it got while it runs?"""
    model.n_iter_ = iteration
    if not model.callbacks:
        return False
    model.loss_ = float(loss)
    # a list, so that every callback is called, as after an epoch of the other solvers
    return any(found is True for found in [callback(model) for callback in model.callbacks])


def not_converged(model: Estimator, found: Any) -> str:
    """scikit-learn's warning, and which limit was hit."""
    text = f"lbfgs failed to converge after {model.n_iter_} iteration(s) (status={found.status}):\n{found.message}\n"
    if model.n_iter_ == model.max_iter:
        text += f"\nIncrease the number of iterations to improve the convergence (max_iter={model.max_iter})."
    text += (
        "\nYou might also want to scale the data as shown in:\n"
        "    https://scikit-learn.org/stable/modules/preprocessing.html"
    )
    steepest = np.abs(found.jac).max()
    limit = f"max_fun={model.max_fun}" if found.nfev >= model.max_fun else f"max_iter={model.max_iter}"
    hit = f"The limit that was hit is {limit}; the" if found.status == 1 else "The"
    return (
        f"{text}\n{hit} loss is {found.fun:.4g}; its largest gradient entry is {steepest:.2g}, and tol={model.tol:g}."
    )

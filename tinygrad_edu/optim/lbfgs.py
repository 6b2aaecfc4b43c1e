"""L-BFGS for small models and whole data sets: SciPy's, on all parameters as one vector."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_edu import packages
from tinygrad_edu.checks import number, whole
from tinygrad_edu.errors import AnomalyError, OperandError, SettingError
from tinygrad_edu.nn.parameters import clear
from tinygrad_edu.optim import flat
from tinygrad_edu.optim.held import TrainedParameters
from tinygrad_edu.optim.optimizer import Parameters, check_parameters


@dataclass(frozen=True)
class Minimum:
    """Where L-BFGS ended: the loss, how many iterations it took, and why it stopped."""

    loss: float
    n_iter: int
    n_evaluations: int
    converged: bool
    reason: str


class LBFGS(TrainedParameters):
    """Minimises a loss of all samples by a quasi-Newton method: SciPy's L-BFGS-B. (Liu and Nocedal 1989)

    There is no learning rate: a line search finds the length of each step. The defaults are SciPy's.
    params: Values or Tensors, such as model.parameters().
    max_iter: the largest number of iterations.
    max_fun: the largest number of evaluations of the loss.
    tol: stop when no entry of the gradient is larger; it also stops when the loss falls by less than 2.2e-9 of itself.
    history: how many past steps the estimate of the curvature uses.
    others: none are taken; those of PyTorch's LBFGS are named in the error.
    Errors: SettingError.

    >>> from tinygrad_edu import Tensor
    >>> w = Tensor([5.0, -3.0], requires_grad=True)
    >>> found = LBFGS([w]).minimize(lambda: ((w - 1.0) * (w - 1.0)).sum())
    >>> found.converged, w.data.round(6).tolist()
    (True, [1.0, 1.0])
    """

    def __init__(
        self,
        params: Parameters,
        max_iter: int = 15_000,
        tol: float = 1e-5,
        history: int = 10,
        max_fun: int = 15_000,
        **others: Any,
    ) -> None:
        if others:
            raise SettingError(
                f"LBFGS takes max_iter, tol, history and max_fun, not {', '.join(sorted(others))}: it is SciPy's. "
                "Its line search finds the length of a step; PyTorch's history_size is history, its tolerance_grad tol"
            )
        self.hold(check_parameters(params))
        for name, x in (("max_iter", max_iter), ("history", history), ("max_fun", max_fun)):
            whole(name, x, 1)
        number("tol", tol, "[0, inf)")
        self.max_iter, self.tol, self.history, self.max_fun = max_iter, tol, history, max_fun

    @property
    def options(self) -> dict[str, Any]:
        """The settings it was made with, by argument name, without the parameters."""
        return {name: getattr(self, name) for name in ("max_iter", "tol", "history", "max_fun")}

    def minimize(self, closure: Callable[[], Any], callback: Callable[[float], object] | None = None) -> Minimum:
        """Change the parameters to minimize the loss that `closure()` computes from them.

        closure returns the loss, one Value or Tensor; its backward() is run here, unless closure has run it.
        callback(loss) is called after each iteration; raising StopIteration in it ends the search. Errors: AnomalyError
        if the loss is NaN or infinite at the start. If anything else is raised, Ctrl-C included, the parameters are
        as they were before the call.
        """
        before = flat.weights(self.params)
        try:
            self.refuse_bad_start(self.evaluate(before, closure)[0])
            found = self.search(lambda x: self.evaluate(x, closure), before, tell_callback(callback))
        except BaseException:
            flat.assign(self.params, before)
            raise
        flat.assign(self.params, found.x)
        self.zero_grad()
        return Minimum(float(found.fun), int(found.nit), int(found.nfev), bool(found.success), str(found.message))

    def search(self, function: Callable[[flat.Array], Any], start: flat.Array, callback: Any, **options: Any) -> Any:
        """SciPy's result for a function that gives (loss, gradient); further options are SciPy's."""
        minimize = packages.find("scipy.optimize", "L-BFGS").minimize
        given = {"maxiter": self.max_iter, "maxfun": self.max_fun, "maxcor": self.history, "gtol": self.tol}
        return minimize(function, start, (), "L-BFGS-B", jac=True, options={**given, **options}, callback=callback)

    def step(self, closure: Callable[[], Any] | None = None) -> float:
        """`minimize(closure)` under PyTorch's name; returns the loss at the end."""
        if closure is None:
            raise SettingError(
                "L-BFGS evaluates the loss many times a step: give step(), or minimize(), a function that computes it, "
                "such as lambda: loss(model(X), y)"
            )
        return self.minimize(closure).loss

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients."""
        for p in self.params:
            clear(p)

    def evaluate(self, vector: flat.Array, closure: Callable[[], Any]) -> tuple[float, flat.Array]:
        """Loss and gradient at a point."""
        flat.assign(self.params, vector)
        self.zero_grad()
        loss = closure()
        if not hasattr(loss, "backward"):
            raise OperandError(f"L-BFGS: closure() has to return the loss as a Value or a Tensor, not {loss!r:.60}")
        if getattr(loss, "_spent", False) is not True:
            loss.backward()
        return float(loss.item()), flat.gradients(self.params)

    @staticmethod
    def refuse_bad_start(loss: float) -> None:
        if not np.isfinite(loss):
            raise AnomalyError(
                f"L-BFGS: the loss is {loss} before the first step. detect_anomaly() finds the operation"
            )


def tell_callback(callback: Callable[[float], object] | None) -> Any:
    """The callback in the form SciPy calls: SciPy looks at the parameter's name."""
    return None if callback is None else lambda intermediate_result: callback(float(intermediate_result.fun))

"""The moons step of micrograd's demo: an MLP 2-16-16-1 of scalars, 100 samples, hinge loss + L2, forward + backward.

The same network code runs on both engines, so that what differs is the engine; `jit` of it is replayed on the tape.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from bench.speed.workload import OURS, Run, Workload

SIZES = (2, 16, 16, 1)
SAMPLES = 100
L2 = 1e-4


class Network:
    """Lists of neurons, each (weights, bias); relu between the layers. `Value` makes a parameter from a number."""

    def __init__(self, Value: Callable[[float], Any]) -> None:
        rng = np.random.default_rng(1)
        self.layers = [
            [([Value(w) for w in rng.uniform(-1.0, 1.0, a).tolist()], Value(0.0)) for _ in range(b)]
            for a, b in pairwise(SIZES)
        ]

    def __call__(self, x: list[Any]) -> Any:
        *hidden, last = self.layers
        for layer in hidden:
            x = [neuron(x, *weights).relu() for weights in layer]
        return neuron(x, *last[0])

    def parameters(self) -> Iterator[Any]:
        return (p for layer in self.layers for weights, bias in layer for p in (*weights, bias))


def neuron(x: list[Any], weights: list[Any], bias: Any) -> Any:
    return sum((w * xi for w, xi in zip(weights, x, strict=True)), bias)


def loss_of(model: Any, inputs: list[list[Any]], targets: list[float], parameters: list[Any]) -> Any:
    """Mean hinge loss max(0, 1 - y·score), plus L2 · Σ p²."""
    hinges = [(1.0 + -y * model(x)).relu() for x, y in zip(inputs, targets, strict=True)]
    return sum(hinges) * (1.0 / len(hinges)) + L2 * sum(p * p for p in parameters)


def samples() -> tuple[list[list[float]], list[float]]:
    from tinygrad_edu.data import moons

    X, y = moons(SAMPLES)
    return X.tolist(), y.ravel().tolist()


def prepared(Value: Any) -> Run:
    X, targets = samples()
    model = Network(Value)
    parameters = list(model.parameters())

    def run() -> list[float]:
        for p in parameters:
            p.grad = 0.0
        loss = loss_of(model, [[Value(x) for x in row] for row in X], targets, parameters)
        loss.backward()
        return [loss.data, *[p.grad for p in parameters]]

    return run


def ours() -> Run:
    from tinygrad_edu import Value

    return prepared(Value)


def micrograd() -> Run:
    from micrograd.engine import Value

    return prepared(Value)


def forty_lines() -> Run:
    from bench.speed.forty_lines import Value

    return prepared(Value)


def tape() -> Run:
    """The parameters are the argument; the samples, which are the same in every step, are part of the trace."""
    from tinygrad_edu import jit

    X, targets = samples()
    weights = list(Network(float).parameters())

    @jit
    def loss(parameters: list[Any]) -> Any:
        given = iter(parameters)  # a network asks for its parameters in the order in which they are listed
        return loss_of(Network(lambda _: next(given)), X, targets, parameters)

    def run() -> list[float]:
        value, gradient = loss.value_and_grad(weights)
        return [value, *gradient]

    return run


class Symbol:
    """A scalar symbol of CasADi with the methods that the network calls."""

    def __init__(self, x: Any) -> None:
        self.x = x

    def __add__(self, other: Any) -> Symbol:
        return Symbol(self.x + getattr(other, "x", other))

    def __mul__(self, other: Any) -> Symbol:
        return Symbol(self.x * getattr(other, "x", other))

    __radd__, __rmul__ = __add__, __mul__

    def relu(self) -> Symbol:
        import casadi

        return Symbol(casadi.fmax(self.x, 0.0))


def casadi() -> Run:
    """A function of scalar symbols (SX), run by CasADi's virtual machine."""
    import casadi

    X, targets = samples()
    weights = list(Network(float).parameters())
    symbols = casadi.SX.sym("p", len(weights))
    given = iter([Symbol(symbols[i]) for i in range(len(weights))])
    model = Network(lambda _: next(given))
    loss = loss_of(model, X, targets, list(model.parameters())).x
    f, point = casadi.Function("f", [symbols], [loss, casadi.gradient(loss, symbols)]), casadi.DM(weights)

    def run() -> list[float]:
        value, gradient = f(point)
        return [float(value), *gradient.full().ravel().tolist()]

    return run


WHAT = f"MLP {'-'.join(map(str, SIZES))} relu, {SAMPLES} samples, hinge + L2, forward + backward"
MOONS = [
    Workload(
        name="moons step, scalars",
        what=f"{WHAT}, `Value`s, default collector",
        peers={OURS: ours, "micrograd": micrograd, "bench.speed.forty_lines": forty_lines},
        at_least={"micrograd": 3.0, "bench.speed.forty_lines": 1.3},
        rounds=11,
    ),
    Workload(
        name="moons step, tape",
        what=f"{WHAT}, `jit` of a function of the parameters, as `Value`s",
        peers={OURS: tape, "micrograd": micrograd, "casadi": casadi},
        at_least={"micrograd": 800.0, "casadi": 1.5},
        rounds=11,
    ),
]

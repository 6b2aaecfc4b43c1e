"""The pieces of a training program as JavaScript functions, traced from the tables of the library.

A page that cannot ask Python for another program puts them together: an affine layer, each activation and its slope,
each loss and its gradient, each optimizer's update, each schedule, the stopping rule. Each is a program of the compiler
(trace, differentiate, lower, fuse, print), written by compile/languages; none is written by hand.
"""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np

import tinygrad_edu.optim as optim
from tinygrad_edu.compile.codegen.formulas import function_text
from tinygrad_edu.compile.ir.dims import Size
from tinygrad_edu.compile.ir.node import Traced
from tinygrad_edu.compile.languages import writer as writers
from tinygrad_edu.compile.languages.javascript import JavaScript
from tinygrad_edu.compile.languages.values import Number
from tinygrad_edu.compile.languages.writer import Writer
from tinygrad_edu.compile.program import Program
from tinygrad_edu.compile.trace import Trace
from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.core.operation import TABLE
from tinygrad_edu.core.value import Value
from tinygrad_edu.errors import TinygradError
from tinygrad_edu.nn import init
from tinygrad_edu.nn.activations import FUNCTIONS, is_activation, range_of
from tinygrad_edu.nn.losses import LOSSES
from tinygrad_edu.optim import Optimizer, schedules
from tinygrad_edu.optim.schedule import Schedule
from tinygrad_edu.train.stopping import stops

Array = np.ndarray[Any, Any]
MEMORY = ("m0", "m1", "m2")
WIDEST = 16  # units of a layer, and features
NOT_HERE = {  # what a page with rows, units and plain settings cannot express
    "LBFGS": "it searches along a line", "by_function": "a function of Python", "adaptive": "it follows the loss",
    "reduce_on_plateau": "it follows the loss", "piecewise": "it is made of other schedules",
    "as_schedule": "no schedule of its own",
}  # fmt: skip


@dataclass(frozen=True)
class Kernel:
    """A function of JavaScript: its name, what it is given in order as (name, axes), and the room that it works in."""

    name: str
    parameters: Sequence[tuple[str, int]]
    room: str  # JavaScript function: sizes by name → number of floats it needs
    sizes: Mapping[str, tuple[str, int]]  # name of a size → (parameter, axis)


class Kernels:
    """All kernels so far, and the text of their functions."""

    def __init__(self) -> None:
        self.writer: Writer | None = None
        self.found: dict[str, Kernel] = {}

    def add(self, name: str, program: Program) -> None:
        """Write one program as the function of that name."""
        writer = self.read(program.text)
        inputs, shapes = program.trace.inputs, program.shapes
        axes = {p: len(inputs[p].sizes) or -1 if p in inputs else len(shapes.get(p, ("",))) for p in program.parameters}
        given = [Number(p, "double") if n < 0 else writers.array(p, "double", n) for p, n in axes.items()]
        writer.entry("loops" if "loops" in writer.program.functions else program.name, given, name)
        self.found[name] = Kernel(name, list(axes.items()), room_text(program), sizes_by_name(program))

    def read(self, text: str) -> Writer:
        if self.writer is None:
            self.writer = Writer(text, JavaScript())
        else:
            self.writer.read(text)
        return self.writer

    def add_function(self, name: str, function: Callable[..., Any], parameters: Mapping[str, int]) -> None:
        """A plain function of the library, as it is."""
        given = [Number(p, "double") if n < 0 else writers.array(p, "double", n) for p, n in parameters.items()]
        self.read(function_text(name, function)).call(name, given)

    @property
    def text(self) -> str:
        """All of them as the constant `kernels` of a script."""
        assert self.writer is not None
        entries = ",\n".join(
            f"{k.name}: {{run: {k.name}, parameters: {json.dumps(k.parameters)}, room: {k.room}, "
            f"sizes: {json.dumps([[n, *where] for n, where in k.sizes.items()])}}}"
            for k in self.found.values()
        )
        return (
            f'const kernels = (() => {{\n"use strict";\n{self.writer.text}\nreturn {{\n{entries},\nstops\n}};\n}})();\n'
        )


def sizes_by_name(program: Program) -> dict[str, tuple[str, int]]:
    inputs = program.trace.inputs.items()
    return {n.text: (name, axis) for name, x in inputs for axis, n in enumerate(x.sizes) if isinstance(n, Size)}


def room_text(program: Program) -> str:
    """How many numbers the intermediate results take, each rounded up to 8 as in Program.rooms."""
    names = sorted(sizes_by_name(program), key=len, reverse=True)
    terms = [f"Math.ceil(({' * '.join(f'({n})' for n in sizes) or '1'}) / 8) * 8" for sizes in program.buffers.values()]
    return f"({{{', '.join(names)}}}) => {' + '.join(terms) or '0'}"


def finite_or_none(x: float) -> float | None:
    return float(x) if math.isfinite(x) else None


def array(*shape: int) -> Array:
    """Numbers of which only the shape matters: 2 and 3 stand for sizes of any length."""
    return np.broadcast_to(0.0, shape)


def program_of(inputs: Mapping[str, Any], f: Callable[..., Any], wanted: Sequence[str] = (), **names: str) -> Program:
    """f of these inputs as a program; with `wanted` the gradients by those, called as `names` says."""
    trace = Trace(reserved=frozenset())
    nodes = {name: trace.input(name, x) for name, x in inputs.items()}
    trace.results = trace.run(lambda: f(*nodes.values()))
    if not wanted:
        return Program(trace, {names.get("result", "result"): trace.results}, "float64")
    results = dict(
        zip((f"d_{name}" for name in wanted), trace.gradients([nodes[name] for name in wanted]), strict=True)
    )
    if names.get("loss"):
        results = {names["loss"]: trace.results} | results
    return Program(trace, results, "float64")


def affine(x: ArrayLike, W: Any, b: ArrayLike) -> Any:
    return x @ W.T + b


def activations() -> dict[str, Any]:
    """Every activation by its name: of the table of operations, softmax, and the identity."""
    return {**FUNCTIONS, **{name: row for name, row in TABLE.items() if is_activation(row)}}


def optimizers() -> dict[str, type[Optimizer]]:
    found = {name: getattr(optim, name) for name in optim.__all__ if name[0].isupper()}
    return {n: x for n, x in found.items() if isinstance(x, type) and issubclass(x, Optimizer) and x is not Optimizer}


def add_layers(kernels: Kernels) -> None:
    """The affine layer: outputs for rows x, and gradients with respect to x, weight and bias."""
    sides = {"x": array(2, 3), "weight": array(4, 3), "bias": array(4)}
    kernels.add("forward_affine", program_of(sides, affine))
    back = program_of({**sides, "up": array(2, 4)}, lambda x, w, b, up: np.sum(affine(x, w, b) * up), list(sides))
    kernels.add("backward_affine", back)


def add_activations(kernels: Kernels) -> dict[str, Any]:
    """forward_NAME and backward_NAME of each; what a page has to know of it."""
    z, up = {"z": array(2, 3)}, {"z": array(2, 3), "up": array(2, 3)}
    for name, f in activations().items():
        kernels.add(f"forward_{name}", program_of(z, f))
        kernels.add(f"backward_{name}", program_of(up, lambda z, up, f=f: np.sum(f(z) * up), ["z"]))
    return {name: {"range": [finite_or_none(x) for x in range_of(f)]} for name, f in activations().items()}


def add_losses(kernels: Kernels) -> dict[str, Any]:
    """loss_NAME: the mean over a batch and its gradient by the outputs; classes are rows with one 1."""
    pairs = {"output": array(2, 3), "target": array(2, 3)}
    for name, loss in LOSSES.items():
        kernels.add(f"loss_{name}", program_of(pairs, loss, ["output"], loss="loss"))
    return {
        name: {
            "targets": "class_numbers" if loss.takes_class_numbers else loss.check.__name__,
            "link": loss.link,
            "classes": loss.for_classes,
            "for": "numbers" if name in OF_NUMBERS else "",
            "takes": [kind for kind, targets in COLUMNS.items() if takes(loss, targets)],
        }
        for name, loss in LOSSES.items()
    }


def takes(loss: Any, targets: Sequence[float]) -> bool:
    """Does the loss take this column of numbers as targets? Asked of the loss itself."""
    column = np.array(targets)[:, None]
    try:
        loss(np.full_like(column, 0.5), column)
    except TinygradError:
        return False
    return True


def add_optimizers(kernels: Kernels) -> dict[str, Any]:
    """update_NAME: all weights, their gradients and memories in place, with every number of its settings given."""
    found: dict[str, Any] = {}
    for name, kind in optimizers().items():
        if name in NOT_HERE:
            continue
        made = made_of(kind)
        floats = [key for key, x in made.settings.items() if isinstance(x, float)]
        memory = MEMORY[: made.memories]
        vectors = {key: array(2) for key in ("w", "g", *memory)}
        kernels.add(f"update_{name}", update_program(made, vectors, floats))
        found[name] = {
            "lr": made.lr, "floats": floats, "starts": starts(made, kind),
            "settings": {key: made.settings[key] for key in floats},
            "asked": [key for key in floats if key in inspect.signature(kind).parameters],
        }  # fmt: skip
        found[name]["limits"] = {key: limits(partial(kind, [Value(0.0)]), key) for key in found[name]["asked"]}
    return found


def made_of(kind: Any) -> Optimizer:
    """One with its defaults."""
    made: Optimizer = kind([Value(0.0)])
    return made


def update_program(made: Optimizer, vectors: Mapping[str, Array], floats: Sequence[str]) -> Program:
    """Like the update in train/compiled/program.py, but settings that are 0 are passed too."""
    trace = Trace(reserved=frozenset())
    arrays = {name: Traced((Size(2, "weights"),), name=name) for name in vectors}
    numbers = {name: Traced((), name=name) for name in ("t", "lr", *floats)}
    trace.inputs = {**arrays, **numbers}
    settings = {**made.settings, **{name: numbers[name] for name in floats}}
    w, *memory = trace.run(lambda: made.rule(*arrays.values(), numbers["t"], numbers["lr"], **settings))
    return Program(trace, {"w": w, **dict(zip(MEMORY, memory, strict=False))}, "float64")


def starts(made: Optimizer, kind: type[Optimizer]) -> list[Any]:
    """The initial value of each memory: a number, or "lr"."""
    other = kind([Value(0.0)], lr=2.0 * made.lr + 1.0)
    return ["lr" if a != b else a for a, b in zip(made.start(), other.start(), strict=True)]


def add_schedules(kernels: Kernels) -> dict[str, Any]:
    """rates_NAME: the learning rates of steps t, by its formula, whose numbers are given but for those in FIXED.

    The schedule that a warm-up leads to is a constant one: its rate is `lr`.
    """
    found: dict[str, Any] = {}
    for name in [name for name in schedules.__all__ if name[0].islower() and name not in NOT_HERE]:
        maker = getattr(schedules, name)
        defaults = {p.name: p.default for p in inspect.signature(maker).parameters.values()}
        made = maker(**{key: EXAMPLES.get(key, x) for key, x in defaults.items()})
        numbers = {"lr" if key == "schedule" else key: x for key, x in made.parameters.items() if key not in FIXED}
        given = {key: np.float64(EXAMPLES["lr"] if key == "lr" else x) for key, x in numbers.items()}
        kernels.add(f"rates_{name}", program_of({"t": array(2), **given}, rates(made, list(given))))
        asked = {key: float(x) for key, x in given.items() if key != "lr"}
        need = {key: EXAMPLES[key] for key, x in defaults.items() if x is inspect.Parameter.empty}
        found[name] = {"parameters": asked, "limits": {key: limits(partial(maker, **need), key) for key in asked}}
    return found


PROBES = (0, 0.5, 1, 1.5)


def limits(make: Callable[..., Any], key: str) -> dict[str, float]:
    """Within which of 0 and 1 a setting has to lie: asked of what checks it, by trying. Whole numbers have no such."""
    allowed = []
    for x in PROBES:
        try:
            make(**{key: x})
        except TinygradError:
            continue
        allowed.append(x)
    if 0.5 not in allowed:
        return {"least": 1.0} if allowed and 0 not in allowed else {}
    found: dict[str, float] = {} if 0 in allowed else {"above": 0.0}
    if 1.5 not in allowed:
        found["most" if 1 in allowed else "below"] = 1.0
    return found


@dataclass(frozen=True)
class Constant:
    """A schedule of one rate, which may be traced."""

    rate: Any

    def at(self, _: Any) -> Any:
        return self.rate


def rates(made: Schedule, names: Sequence[str]) -> Callable[..., Any]:
    """The formula as a function of t and those of its numbers, an entry for each step."""

    def of_steps(t: ArrayLike, *numbers: ArrayLike) -> Any:
        given = dict(zip(names, numbers, strict=True))
        if "schedule" in made.parameters:
            given["schedule"] = Constant(given.pop("lr"))
        return made.formula(t, **{**made.parameters, **given}) + 0.0 * t

    return of_steps


def initial_bounds() -> dict[str, list[list[float]]]:
    """NAME → [fan_in - 1][fan_out - 1] → a of U(-a, a), for each initializer that draws from such an interval alone.

    Computed by the initializers themselves, which are handed a generator that notes what it is asked for.
    """
    found = {}
    for name, begin in init.INITIALIZERS.items():
        noted = Noting()
        try:
            rows = [[noted.bound(begin, i, o) for o in range(1, WIDEST + 1)] for i in range(1, WIDEST + 1)]
        except (AttributeError, ValueError):  # a normal distribution, or one that draws biases too
            continue
        found[name] = rows
    return found


class Noting:
    """A generator that notes the interval that it is asked for."""

    def uniform(self, low: float, high: float, shape: Any) -> Array:
        if low != -high:
            raise ValueError("not symmetric")
        self.high = float(high)
        return np.zeros(shape)

    def bound(self, begin: Any, fan_in: int, fan_out: int) -> float:
        self.high = 0.0
        begin(self, fan_in, fan_out)
        if hasattr(begin, "bias"):
            raise ValueError("its biases are drawn too")
        return self.high


@cache
def all_kernels() -> tuple[str, dict[str, Any]]:
    """The script, and what a page has to know: activations, losses, optimizers, schedules, initializers."""
    kernels = Kernels()
    add_layers(kernels)
    known = {
        "activations": add_activations(kernels), "losses": add_losses(kernels), "optimizers": add_optimizers(kernels),
        "schedules": add_schedules(kernels), "init": initial_bounds(),
    }  # fmt: skip
    kernels.add_function("stops", stops, {"stopping": 1, "loss": -1})
    return kernels.text, known


EXAMPLES: Mapping[str, Any] = {"lr": 0.1, "schedule": 0.1, "factor": 0.999, "every": 100, "steps": 500}
COLUMNS: Mapping[str, Sequence[float]] = {"numbers": (-1.5, 0.25, 7.0), "counts": (0.0, 1.0, 7.0)}
OF_NUMBERS = ("poisson", "kl_div")  # losses with which no class can be learned
FIXED = ("mult",)  # settings built into the kernel, because the formula has two forms depending on them

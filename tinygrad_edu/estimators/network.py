"""The compiled network program, written from the table of operations, the update rules and the templates."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.compile.backend import cache, compiler
from tinygrad_edu.compile.codegen import module_writer
from tinygrad_edu.compile.codegen.formulas import function_text
from tinygrad_edu.compile.codegen.templates import PLUS
from tinygrad_edu.compile.codegen.updates import decorator, in_parts
from tinygrad_edu.compile.program import ProgramBody, indent
from tinygrad_edu.compile.trace import Trace
from tinygrad_edu.core import ops
from tinygrad_edu.estimators import numpy_program, rules
from tinygrad_edu.estimators.memory import CHANGED, NUMBERS, WEIGHTLESS, WHOLE, WIDTHS
from tinygrad_edu.estimators.templates import ARGUMENTS, CLIP, DROPOUT, DROPOUT_BACK, NETWORK
from tinygrad_edu.train.compiled.program import merge
from tinygrad_edu.train.compiled.task import CompiledTask
from tinygrad_edu.train.compiled.update_rule import update_body

ACTIVATIONS: dict[str, Any] = {
    "logistic": ops.sigmoid, "tanh": ops.tanh, "relu": ops.relu, "exp": ops.exp,
}  # fmt: skip
CODES = {name: code for code, name in enumerate(["identity", *ACTIVATIONS, "softmax"])}
LOSSES = {"squared_error": 0, "poisson": 1, "log_loss": 2, "binary_log_loss": 3}
SOLVERS = {"sgd": 0, "nesterov": 1, "adam": 2}
SCHEDULES = {"constant": 0, "invscaling": 1, "adaptive": 2}
# Placeholders, any numbers above 0: the real ones are passed when the program runs.
PLACES = {
    name: f"{memory}[{i}]" for memory, names in (("whole", WHOLE), ("numbers", NUMBERS)) for i, name in enumerate(names)
}
ADAM = {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8}


def activation_body(name: str, dtype: str) -> ProgramBody:
    """z ← f(z), for all samples and units as one vector."""
    trace = Trace()
    z = trace.input("zs", np.zeros(2))
    return ProgramBody(trace, {"zs": trace.run(lambda: ACTIVATIONS[name](z))}, dtype)


def derivative_body(name: str, dtype: str) -> ProgramBody:
    """d ← d·f'(z), which every activation here can compute from its result y = f(z)."""
    trace = Trace()
    d, y = trace.input("ds", np.zeros(2)), trace.input("ys", np.zeros(2))
    trace.conditions.note("ds_0", "ys_0", True, True)
    return ProgramBody(trace, {"ds": trace.run(lambda: d * ACTIVATIONS[name].partials(y, y)[0])}, dtype)


def rule_bodies(dtype: str) -> list[ProgramBody]:
    """w, m0 and m1 after a step of each of SOLVERS."""

    def body(rule: Callable[..., Any], memories: int, **settings: Any) -> ProgramBody:
        return update_body(CompiledTask(lambda x, y: x, [], rule, settings, memories, dtype))[0]

    plain, nesterov = (body(rules.sgd, 1, momentum=0.9, nesterov=flag) for flag in (False, True))
    return [plain, nesterov, body(rules.adam, 2, **ADAM)]


def choice(variable: str, pieces: Iterable[tuple[int, Sequence[str]]], depth: int) -> str:
    """Code that selects one of several pieces of code by a number."""
    lines: list[str] = []
    for code, piece in pieces:
        lines += [f"{'elif' if lines else 'if'} {variable} == {code}:", *indent(piece)]
    return "\n".join(indent(lines, depth))


def lines_of(bodies: Iterable[tuple[int, ProgramBody]]) -> list[tuple[int, Sequence[str]]]:
    return [(code, body.lines) for code, body in bodies]


def program_text(dtype: str, extras: bool = False) -> str:
    """The program for float32 or float64; with `extras` it supports dropout and gradient clipping."""
    forward = [(CODES[name], activation_body(name, dtype)) for name in ACTIVATIONS]
    backward = [(CODES[name], derivative_body(name, dtype)) for name in ("logistic", "tanh", "relu")]
    updates = list(enumerate(rule_bodies(dtype)))
    functions = merge(*[body.functions for _, body in [*forward, *backward, *updates]])
    shared = [(code, *in_parts(body.lines, f"update_{code}")) for code, body in updates]
    end = "end_of_epoch(-total / n, record, failures, lr, samples, tol, patience, schedule, lr_init, power_t)"
    texts = {
        "places": "\n".join(indent(f"{name} = {place}" for name, place in PLACES.items())),
        "activations": choice("kind", lines_of(forward), 3),
        "derivatives": choice("kind", lines_of(backward), 4),
        "updates": choice("solver", [(code, lines) for code, lines, _ in shared], 2),
        "end_of_epoch": end,
        "kept": "\n".join(indent(f"{PLACES[name]} = {name}" for name in CHANGED)),
        "dropout": DROPOUT if extras else "",
        "dropout_back": DROPOUT_BACK if extras else "",
        "clip": CLIP if extras else "",
        "epsilon": repr(float(np.finfo(dtype).eps)),
        "softmax": CODES["softmax"],
        "widths": WIDTHS,
        "weightless": WEIGHTLESS,
    }
    functions = merge(functions, PLUS, f"@inlined\n{function_text('end_of_epoch', rules.end_of_epoch)}")
    functions += f"\n\nreal = np.{dtype}\n\n" + decorator() + "".join(text for *_, text in shared)
    return module_writer.module(functions, "run", ARGUMENTS, NETWORK.format(**texts), accurate=False)


@functools.cache
def program(dtype: str, extras: bool = False) -> Any:
    """An object with the compiled function `run`, or the same in NumPy if nothing can be compiled."""
    if compiler.missing():
        return numpy_program
    return cache.load(program_text(dtype, extras), "network")

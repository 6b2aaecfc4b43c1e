"""What a network gives for rows of samples, traced to be written in another language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from tinygrad_edu.compile.backend.parse import parse
from tinygrad_edu.compile.ir.dims import Size
from tinygrad_edu.compile.ir.truth import hold
from tinygrad_edu.compile.languages import writer as writers
from tinygrad_edu.compile.languages.expressions import Expressions
from tinygrad_edu.compile.languages.language import Language
from tinygrad_edu.compile.languages.values import Number
from tinygrad_edu.compile.languages.writer import Writer
from tinygrad_edu.compile.program import Program
from tinygrad_edu.compile.trace import Trace
from tinygrad_edu.errors import SettingError, TraceError
from tinygrad_edu.nn.layer_modes import mode_here
from tinygrad_edu.nn.layers import MLP, Sequential
from tinygrad_edu.nn.module import Module
from tinygrad_edu.train.compiled.forward import FIXED_ROWS, rows_of_trace
from tinygrad_edu.train.samples import dtype_of_parameters, inputs_for

REAL = {"float64": "double", "float32": "single"}
WORK: dict[str, tuple[str, int]] = {"work": ("real", 1), "results": ("real", 1)}


class PredictionProgram:
    """A model's output, and with `hidden` those of its hidden layers, for rows x of samples that are like those of X.

    Errors: TraceError for what cannot be compiled; SettingError for weights that are NaN or infinite.
    """

    def __init__(self, model: Any, X: Any, *, accurate: bool = False, hidden: bool = False) -> None:
        self.model, self.X = model, inputs_for(model, sample_for(model) if X is None else X)
        self.dtype = str(dtype_of_parameters(model))
        if self.dtype not in REAL:
            raise TraceError(f"programs are written for float64 and float32, not {self.dtype}")
        self.real, self.trace = REAL[self.dtype], Trace(floats=np.dtype(self.dtype))
        x = self.trace.input("x", np.broadcast_to(self.trace.floats.type(0), (2, *self.X.shape[1:])))
        hold(x, self.X)
        layers: dict[str, Any] = {}
        with mode_here(model, training=False):
            output = self.trace.run(lambda: outputs(model, x, layers) if hidden else model(x))
        if rows_of_trace(self.trace).isdigit():
            raise TraceError(FIXED_ROWS)
        if not hasattr(output, "sizes"):
            raise TraceError(f"the model returns {type(output).__name__}, not one array: it cannot be exported")
        results = {f"result{i}": each for i, each in enumerate([output, *layers.values()])}
        self.hidden, self.predicting = list(layers), Program(self.trace, results, self.dtype, accurate)
        self.refuse_weights()

    def refuse_weights(self) -> None:
        """Errors: SettingError for what would make every output NaN."""
        values = [np.asarray(getattr(x, "array", x)) for x in self.trace.captured.values()]
        if not all(np.isfinite(x).all() for x in values):
            raise SettingError("a weight is NaN or infinite: there is nothing to export")

    def writer(self, language: Language, known: Mapping[str, int] | None = None) -> Writer:
        return Writer(self.predicting.text, language, known)

    def write_prediction(self, writer: Writer, called: str) -> None:
        """The function that predicts, with all that it calls."""
        writer.read(self.predicting.text)
        given = [self.argument(name, kind, axes) for name, (kind, axes) in self.prediction_arguments.items()]
        writer.entry(loops_of(writer), given, called)

    def argument(self, name: str, kind: str, axes: int) -> Any:
        kind = self.real if kind == "real" else kind
        return Number(name, kind) if axes < 0 else writers.array(name, kind, axes)

    @cached_property
    def prediction_arguments(self) -> dict[str, tuple[str, int]]:
        """All arguments of the predicting function, in order."""
        inputs, shapes = self.trace.inputs, self.predicting.shapes
        found: dict[str, tuple[str, int]] = {}
        for name in self.predicting.parameters:
            known = kind_of(inputs[name]) if name in inputs else WORK.get(name)
            found[name] = known or ("real", len(shapes[name]))
        return found

    @property
    def owners(self) -> dict[int, tuple[str, int]]:
        """Where arrays are kept that something else changes, by their identity: of training, none here."""
        return {}

    @cached_property
    def predicted_from(self) -> list[tuple[str, str, int]]:
        """For each array that the predicting function is given: the kind of place where it is kept, and which one."""
        found: list[tuple[str, str, int]] = []
        owners = self.owners
        for name, array in self.trace.captured.items():
            if id(array) not in owners:
                constants = [each for each in found if each[1] == "constant"]
                owners[id(array)] = ("constant", len(constants))
            found.append((name, *owners[id(array)]))
        return found

    @property
    def constants(self) -> list[dict[str, Any]]:
        """Arrays that prediction alone is given, such as the state that a recurrent layer begins with."""
        arrays, inputs = self.trace.captured, self.trace.inputs
        names = [name for name, kind, _ in self.predicted_from if kind == "constant"]
        return [describe(name, arrays[name], inputs[name].integer) for name in names]

    @property
    def samples(self) -> list[dict[str, Any]]:
        """X in the program: its variable, the shape of one sample, and whether it holds whole numbers."""
        return [{"variable": "x", "shape": self.X.shape[1:], "whole": self.X.dtype.kind in "iu"}]

    def prediction_facts(self) -> dict[str, Any]:
        """The facts that a host needs in order to predict, as JSON types."""
        return {
            "parameters": [(name, axes) for name, (_, axes) in self.prediction_arguments.items()],
            "sizes": named_sizes(self.trace),
            "captured": self.predicted_from,
            "results": list(self.predicting.shapes),
            "hidden": self.hidden,
        }

    def facts(self) -> dict[str, Any]:
        """All that a host has to know, in JSON's terms."""
        return {
            "info": {"dtype": self.dtype, "parameters": []},
            "constants": [numbers(x) for x in self.constants],
            "data": self.samples,
            "predict": self.prediction_facts(),
        }

    def sizes_in_language(self, writer: Writer) -> dict[str, str]:
        """Room, conditions and the shapes of results, as functions of the sizes s."""
        found = Expressions(writer)
        found.scope = {text: Number(f"s.{text}", "int") for text, _, _ in named_sizes(self.trace)}
        shapes = [", ".join(in_language(found, n) for n in shape) for shape in self.predicting.shapes.values()]
        return {
            "predict_room": in_language(found, " + ".join(round_up(self.predicting.buffers.values())) or "0"),
            "predict_fits": " && ".join(in_language(found, c) for c in self.conditions(self.trace, ["x"])) or "true",
            "predict_shapes": f"[{', '.join(f'[{shape}]' for shape in shapes)}]",
        }

    def conditions(self, trace: Trace, samples: Sequence[str]) -> list[str]:
        """Conditions on the sizes, as text; an MLP is the same program for layers of any width."""
        rows = {text for text, array, axis in named_sizes(trace) if array in samples and axis == 0}
        found = []
        for a, b, equal in sorted(trace.conditions.answers):
            plain = a.isdigit() or b.isdigit()
            if not (plain and equal and type(self.model) is MLP and not changed(self.model) and not {a, b} & rows):
                found.append(f"({a} {'==' if equal else '!='} {b})")
        return [*found, *(f"({text} {'>=' if reached else '<'} 0)" for text, reached in sorted(trace.conditions.signs))]


def sample_for(model: Any) -> Any:
    """One sample of zeros, for a model whose first layer says how many inputs it takes. Errors: SettingError."""
    first = next((m for m in model.modules() if isinstance(getattr(m, "in_features", None), int)), None)
    if first is None or not (first is model or type(model) is Sequential) or hasattr(first, "hidden_features"):
        raise SettingError("the model does not say what shape a sample has: give X, one sample or more")
    return np.zeros((1, first.in_features))


def outputs(model: Any, x: Any, found: dict[str, Any]) -> Any:
    """model(x); what its hidden layers give, after their activation, is added to `found`.

    Of models other than MLP and Sequential, and of those with hooks or another forward, no layer is told.
    """
    if changed(model):
        return model(x)
    if type(model) is MLP:
        *hidden, last = model.layers
        for i, (layer, norm) in enumerate(zip(hidden, model.norms, strict=True)):
            x = found[f"layers.{i}"] = model.activation(norm(layer(x)))
        return model.out_activation(last(x))
    if type(model) is not Sequential:
        return model(x)
    for i, layer in enumerate(model):
        x = layer(x)
        if i + 1 < len(model) and hasattr(x, "sizes") and (i + 2 == len(model) or holds_parameters(model[i + 1])):
            found[f"layers.{i}"] = x
    return x


def changed(model: Any) -> bool:
    """Does a model have hooks, or a forward that was set on it after it was made?"""
    hooks = getattr(model, "hooks", None)
    return "forward" in vars(model) or bool(hooks and (hooks.before or hooks.after))


def holds_parameters(layer: Any) -> bool:
    return isinstance(layer, Module) and bool(layer.parameters())


def describe(name: str, array: Any, whole: bool) -> dict[str, Any]:
    found = np.asarray(getattr(array, "array", array))
    return {"variable": name, "whole": whole, "shape": found.shape, "array": found}


def loops_of(writer: Writer) -> str:
    """The function of the generated module that holds the loops."""
    return "loops" if "loops" in writer.program.functions else next(iter(reversed(writer.program.functions)))


def kind_of(x: Any) -> tuple[str, int]:
    return ("int" if x.integer else "real", len(x.sizes) or -1)


def named_sizes(trace: Trace) -> list[tuple[str, str, int]]:
    """(name, array, axis) of every size that has a name."""
    axes = [(n, name, axis) for name, x in trace.inputs.items() for axis, n in enumerate(x.sizes)]
    return [(n.text, name, axis) for n, name, axis in axes if isinstance(n, Size)]


def numbers(x: Mapping[str, Any]) -> dict[str, Any]:
    """An array in JSON's terms; of a single number that is given, the number."""
    flat = np.asarray(x["array"]).ravel().tolist()
    return {**{key: each for key, each in x.items() if key != "array"}, "data": flat}


def round_up(shapes: Any) -> list[str]:
    """The sizes of intermediate results, each a multiple of 8, as in Program.rooms."""
    return [f"(({' * '.join(f'({n})' for n in shape) or '1'}) + 7) // 8 * 8" for shape in shapes]


def in_language(expressions: Expressions, text: str) -> str:
    """A size or a condition, written in another language."""
    return str(expressions.visit(parse(text, mode="eval").body).text)

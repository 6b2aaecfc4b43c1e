"""The two programs of a network, traced to be written in another language: one that trains it, one that predicts."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from tinygrad_edu.compile.backend.parse import parse
from tinygrad_edu.compile.ir.dims import Size
from tinygrad_edu.compile.languages import writer as writers
from tinygrad_edu.compile.languages.expressions import Expressions
from tinygrad_edu.compile.languages.language import Language
from tinygrad_edu.compile.languages.values import Number
from tinygrad_edu.compile.languages.writer import Writer
from tinygrad_edu.compile.program import Program, Trace
from tinygrad_edu.core.aliases import ArrayLike, Model, Samples
from tinygrad_edu.errors import SettingError, TraceError
from tinygrad_edu.nn.layers import MLP, Sequential
from tinygrad_edu.optim import optimizer_for
from tinygrad_edu.optim.schedule import as_schedule
from tinygrad_edu.train.compiled import programs
from tinygrad_edu.train.compiled.forward import is_whole
from tinygrad_edu.train.compiled.program import TrainingProgram
from tinygrad_edu.train.compiled.session import common_steps
from tinygrad_edu.train.job import Job, job_of
from tinygrad_edu.train.recipe import Settings
from tinygrad_edu.train.snapshot import generators

REAL = {"float64": "double", "float32": "single"}
# What the training program is given besides samples and arrays of the model: (kind, axes), where -1 is a single number.
GIVEN: dict[str, tuple[str, int]] = {
    "orders": ("int", 2), "batch": ("int", -1), "state": ("real", 2), "saved": ("real", 2), "gradient": ("real", 1),
    "work": ("real", 1), "whole": ("int", 1), "sizes": ("int", 1), "rates": ("double", 1), "settings": ("double", 1),
    "t": ("double", -1), "stopping": ("double", 1), "losses": ("double", 1), "norms": ("double", 1),
    "changes": ("double", 1), "control": ("int", 1), "results": ("real", 1),
}  # fmt: skip


def network_program(
    model: Model, X: Samples, y: Samples, *, loss: Any, optimizer: Any, hidden: bool = True, **settings: Any
) -> NetworkProgram:
    """Model, loss and optimizer as `fit` takes them, traced.

    hidden: what the hidden layers give, too. Errors: TraceError for what cannot be compiled; those of `fit`.
    """
    job = job_of(model, X, y, optimizer_for(optimizer, model.parameters()), Settings(loss=loss, epochs=1, **settings))
    if job.minimizer is not None:
        raise TraceError("L-BFGS searches along a line, which is no loop over batches: it is not written out")
    programs.refuse_frozen(job.optimizer)
    programs.refuse_groups(job.optimizer)
    training = model.training
    try:
        found = programs.trace_job(in_mode(job, train=True))
        return NetworkProgram(job, found, prediction(in_mode(job, train=False), hidden))
    finally:
        model.train(training)


def in_mode(job: Job, train: bool) -> Job:
    job.model.train(train)
    return job


@dataclass(frozen=True)
class Prediction:
    """What a model gives for rows x: its output, then those of its hidden layers, which have names."""

    program: Program
    hidden: Sequence[str]


def prediction(job: Job, hidden: bool) -> Prediction:
    """The model's outputs as a program."""
    X, trace = job.data[0], Trace()
    x = trace.input("x", np.broadcast_to(0.0, (2, *X.shape[1:])))
    x.integer = is_whole(X)
    layers: dict[str, Any] = {}
    output = trace.run(lambda: outputs(job.model, x, layers) if hidden else job.model(x))
    results = {f"result{i}": each for i, each in enumerate([output, *layers.values()])}
    dtype = str(job.optimizer.params[0].dtype)
    return Prediction(Program(trace, results, dtype, job.settings.accurate), list(layers))


def outputs(model: Model, x: ArrayLike, found: dict[str, Any]) -> Any:
    """model(x); what its hidden layers give, after their activation, is added to `found`.

    Of models other than MLP and Sequential no layer is told.
    """
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


def holds_parameters(layer: Model) -> bool:
    return bool(list(layer.parameters())) if hasattr(layer, "parameters") else False


class NetworkProgram:
    """A training program and a prediction program of one network, and the facts that surround them."""

    def __init__(self, job: Job, training: TrainingProgram, predicting: Prediction) -> None:
        self.job, self.training, self.optimizer = job, training, job.optimizer
        self.predicting, self.hidden = predicting.program, predicting.hidden
        self.dtype, self.real = training.dtype, REAL[training.dtype]
        self.names = {id(p): name for name, p in job.model.named_parameters()}
        self.captured = training.step.trace.captured
        self.refuse_state()

    def refuse_state(self) -> None:
        """What would not be the same there."""
        if common_steps(self.optimizer):
            raise SettingError("the optimizer has made steps already: export with a new one")
        values = [np.asarray(p.array) for p in self.optimizer.params]
        if not all(np.isfinite(x).all() for x in values):
            raise SettingError("a weight is NaN or infinite: there is nothing to export")

    # The functions

    def writer(self, language: Language, known: Mapping[str, int] | None = None) -> Writer:
        return Writer(self.training.text, language, known)

    def write_training(self, writer: Writer, called: str) -> None:
        """The function that trains, with all that it calls."""
        writer.read(self.training.text)
        given = [self.argument(name, kind, axes) for name, (kind, axes) in self.training_arguments.items()]
        writer.entry(loops_of(writer), given, called)

    def write_prediction(self, writer: Writer, called: str) -> None:
        """The function that predicts."""
        writer.read(self.predicting.text)
        given = [self.argument(name, kind, axes) for name, (kind, axes) in self.prediction_arguments.items()]
        writer.entry(loops_of(writer), given, called)

    def argument(self, name: str, kind: str, axes: int) -> Any:
        kind = self.real if kind == "real" else kind
        return Number(name, kind) if axes < 0 else writers.array(name, kind, axes)

    @cached_property
    def training_arguments(self) -> dict[str, tuple[str, int]]:
        """Everything that the training function takes, in order: (kind, axes)."""
        inputs = self.training.step.trace.inputs
        found: dict[str, tuple[str, int]] = {}
        for name in self.training.arguments().split(", "):
            batch = next((x for x, array in self.training.data.items() if array == name), None)
            if batch is not None:
                found[name] = ("int" if inputs[batch].integer else "real", 2)
            elif name in GIVEN:
                found[name] = GIVEN[name]
            else:
                found[name] = ("random", 1) if name.endswith("_rng") else kind_of(inputs[name.removesuffix("_kept")])
        return found

    @cached_property
    def prediction_arguments(self) -> dict[str, tuple[str, int]]:
        """Everything that the predicting function takes, in order."""
        inputs, shapes = self.predicting.trace.inputs, self.predicting.shapes
        found: dict[str, tuple[str, int]] = {}
        for name in self.predicting.parameters:
            known = kind_of(inputs[name]) if name in inputs else GIVEN.get(name)
            found[name] = known or ("real", len(shapes[name]))
        return found

    # What surrounds them

    @property
    def parameters(self) -> list[dict[str, Any]]:
        """Each parameter: its name in the model, its variable in the training program, its shape and numbers."""
        pairs = zip(self.training.parameters, self.optimizer.params, strict=True)
        return [{"name": self.names.get(id(p), v), "variable": v, "shape": p.shape, "array": p.array} for v, p in pairs]

    @property
    def given(self) -> list[dict[str, Any]]:
        """Arrays besides the parameters, such as running means."""
        inputs = self.training.step.trace.inputs
        return [described(name, self.captured[name], inputs[name].integer) for name in self.training.given]

    @property
    def predicted_from(self) -> list[tuple[str, str, int]]:
        """For each array that the predicting function is given: is it a parameter or a given array, and which?"""
        parameters = {id(p): i for i, p in enumerate(self.optimizer.params)}
        given = {id(self.captured[name]): i for i, name in enumerate(self.training.given)}
        constants = [name for name, x in self.predicting.trace.captured.items() if id(x) not in {*parameters, *given}]
        kinds = ("parameter", parameters), ("given", given)
        places = {id_: (kind, i) for kind, known in kinds for id_, i in known.items()}
        for i, name in enumerate(constants):
            places[id(self.predicting.trace.captured[name])] = ("constant", i)
        return [(name, *places[id(array)]) for name, array in self.predicting.trace.captured.items()]

    @property
    def constants(self) -> list[dict[str, Any]]:
        """Arrays that prediction alone is given, such as the state that a recurrent layer begins with."""
        trace = self.predicting.trace
        return [
            described(name, trace.captured[name], trace.inputs[name].integer)
            for name, kind, _ in self.predicted_from
            if kind == "constant"
        ]

    @property
    def starts(self) -> list[Any]:
        """What each of the optimizer's memories begins at: a number, or "lr" where it is the learning rate."""
        other = copy.copy(self.optimizer)
        other.schedule = as_schedule(2.0 * self.optimizer.lr + 1.0)
        pairs = zip(self.optimizer.start(), other.start(), strict=True)
        return ["lr" if changed != start else start for start, changed in pairs]

    @property
    def settings(self) -> dict[str, float]:
        """The numbers that the program is given for each call."""
        limits = {"clip_norm": self.job.settings.clip_norm, "clip_value": self.job.settings.clip_value}
        known = {**self.optimizer.settings, **limits}
        return {"lr": self.optimizer.lr, **{name: float(known[name]) for name in self.training.floats}}

    @property
    def samples(self) -> list[dict[str, Any]]:
        """X and y: their variable in the step, the shape of one sample, and are they whole numbers?"""
        inputs = self.training.step.trace.inputs
        pairs = zip(self.training.data, self.job.data, strict=True)
        return [{"variable": v, "shape": a.shape[1:], "whole": inputs[v].integer} for v, a in pairs]

    @property
    def sources(self) -> list[dict[str, Any]]:
        """The states of the generators that Dropout draws from."""
        found = []
        for rng in generators(self.job.model):
            state: Any = rng.bit_generator.state
            if state["bit_generator"] != "PCG64" or state["has_uint32"]:
                raise TraceError(f"Dropout draws from {state['bit_generator']}: only a fresh PCG64 is written out")
            found.append({key: str(state["state"][key]) for key in ("state", "inc")})
        return found

    def facts(self) -> dict[str, Any]:
        """All that a host has to know, in JSON's terms."""
        training, own = self.training, self.parameters
        batch = self.job.settings.batch_size
        info = {
            "dtype": self.dtype, "loss": getattr(self.job.loss, "name", "") or "own",
            "optimizer": type(self.optimizer).__name__, "settings": self.settings, "batchSize": batch,
            "parameters": [{key: p[key] for key in ("name", "variable", "shape")} for p in own],
        }  # fmt: skip
        return {
            "info": info,
            "weights": [{"shape": p["shape"], "data": p["array"].ravel().tolist()} for p in own],
            "starts": self.starts,
            "given": [numbers(x) for x in self.given],
            "constants": [numbers(x) for x in self.constants],
            "data": self.samples,
            "masks": [
                {"variable": name, "generator": k} for name, k in zip(training.masks, training.drawn_from, strict=True)
            ],
            "generators": self.sources if training.masks else [],
            "sizes": named_sizes(training.step.trace),
            "size_names": training.size_names,
            "floats": training.floats,
            "followed": training.followed,
            "parameters": [(name, axes) for name, (_, axes) in self.training_arguments.items()],
            "predict": {
                "parameters": [(name, axes) for name, (_, axes) in self.prediction_arguments.items()],
                "sizes": named_sizes(self.predicting.trace),
                "captured": self.predicted_from,
                "results": list(self.predicting.shapes),
                "hidden": list(self.hidden),
            },
        }

    def functions_of_sizes(self, writer: Writer, write: Callable[[Mapping[str, str]], str]) -> str:
        """How much room there has to be, the shapes of results, and the conditions, as functions of all sizes."""
        step, found = self.training.step, Expressions(writer)
        traces = step.trace, self.predicting.trace
        found.scope = {text: Number(f"s.{text}", "int") for trace in traces for text, _, _ in named_sizes(trace)}
        drawn = [step.names.shape(mask.node) for mask in self.training.masks.values()]
        room = [" * ".join(shape) or "1" for shape in [*self.training.results().values(), *drawn]]
        shapes = [[in_language(found, n) for n in shape] for shape in self.predicting.shapes.values()]
        return write(
            {
                "room": in_language(found, " + ".join(room) or "0"),
                "fits": " && ".join(in_language(found, c) for c in self.conditions(step.trace)) or "true",
                "predict_room": in_language(found, " + ".join(rounded_up(self.predicting.buffers.values())) or "0"),
                "predict_fits": " && ".join(in_language(found, c) for c in self.conditions(traces[1])) or "true",
                "predict_shapes": f"[{', '.join(f'[{chr(44).join(shape)}]' for shape in shapes)}]",
            }
        )

    def conditions(self, trace: Trace) -> list[str]:
        """What has to be true of the sizes, as texts; an MLP is the same program for layers of any width."""
        rows = {text for text, array, axis in named_sizes(trace) if array in (*self.training.data, "x") and axis == 0}
        found = []
        for a, b, equal in sorted(trace.conditions.answers):
            plain = a if a.isdigit() else b if b.isdigit() else ""
            if not (plain and equal and type(self.job.model) is MLP and not {a, b} & rows):
                found.append(f"{a} {'==' if equal else '!='} {b}")
        found += [f"{text} {'>=' if reached else '<'} 0" for text, reached in sorted(trace.conditions.signs)]
        return [f"({text})" for text in found]


def described(name: str, array: ArrayLike, whole: bool) -> dict[str, Any]:
    found = np.asarray(getattr(array, "array", array))
    return {"variable": name, "whole": whole, "shape": found.shape, "array": found}


def loops_of(writer: Writer) -> str:
    """The function of the generated module that holds the loops."""
    return "loops" if "loops" in writer.program.functions else next(iter(reversed(writer.program.functions)))


def kind_of(x: ArrayLike) -> tuple[str, int]:
    return ("int" if x.integer else "real", len(x.sizes) or -1)


def named_sizes(trace: Trace) -> list[tuple[str, str, int]]:
    """(name, array, axis) of every size that has a name."""
    axes = [(n, name, axis) for name, x in trace.inputs.items() for axis, n in enumerate(x.sizes)]
    return [(n.text, name, axis) for n, name, axis in axes if isinstance(n, Size)]


def numbers(x: Mapping[str, Any]) -> dict[str, Any]:
    """An array in JSON's terms; of a single number that is given, the number."""
    flat = np.asarray(x["array"]).ravel().tolist()
    return {**{key: each for key, each in x.items() if key != "array"}, "data": flat}


def rounded_up(shapes: Any) -> list[str]:
    """The sizes of intermediate results, each a multiple of 8, as in Program.rooms."""
    return [f"(({' * '.join(f'({n})' for n in shape) or '1'}) + 7) // 8 * 8" for shape in shapes]


def in_language(expressions: Expressions, text: str) -> str:
    """A size or a condition, written in another language."""
    return str(expressions.visit(parse(text, mode="eval").body).text)

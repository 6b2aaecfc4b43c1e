"""A network's training program beside its prediction, traced to be written in another language."""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import cached_property
from typing import Any

from tinygrad_edu.compile.codegen.formulas import function_text
from tinygrad_edu.compile.codegen.templates import RATE
from tinygrad_edu.compile.ir.node import Traced
from tinygrad_edu.compile.languages.expressions import Expressions
from tinygrad_edu.compile.languages.values import Number
from tinygrad_edu.compile.languages.writer import Writer, array
from tinygrad_edu.compile.program import ProgramBody, indent
from tinygrad_edu.compile.trace import Trace
from tinygrad_edu.core.aliases import Model, Samples
from tinygrad_edu.errors import SettingError, TinygradError, TraceError, first_line
from tinygrad_edu.interop.prediction import (
    PredictionProgram,
    describe,
    in_language,
    kind_of,
    loops_of,
    named_sizes,
    numbers,
)
from tinygrad_edu.nn.layer_modes import mode_here
from tinygrad_edu.optim import optimizer_for
from tinygrad_edu.optim.schedule import as_schedule
from tinygrad_edu.train.compiled import programs
from tinygrad_edu.train.compiled.session import common_steps
from tinygrad_edu.train.job import Job, job_of
from tinygrad_edu.train.recipe import Settings
from tinygrad_edu.train.snapshot import generators
from tinygrad_edu.train.stopping import stops

# Arguments of the training program besides samples and arrays of the model: (kind, axes); -1 means a single number.
GIVEN: dict[str, tuple[str, int]] = {
    "orders": ("int", 2), "batch": ("int", -1), "state": ("real", 2), "saved": ("real", 2), "gradient": ("real", 1),
    "work": ("real", 1), "whole": ("int", 1), "sizes": ("int", 1), "rates": ("double", 1), "settings": ("double", 1),
    "t": ("double", -1), "stopping": ("double", 1), "losses": ("double", 1), "norms": ("double", 1),
    "changes": ("double", 1), "control": ("int", 1),
}  # fmt: skip


def network_program(
    model: Model, X: Samples, y: Samples, *, loss: Any, optimizer: Any, hidden: bool = True, **settings: Any
) -> NetworkProgram:
    """Model, loss and optimizer as `fit` takes them, traced.

    hidden: what the hidden layers give, too. Errors: TraceError for what cannot be compiled; those of `fit`.
    """
    given = Settings(loss=loss, epochs=1, **settings)
    bare = replace(given, tol=None, patience=None)  # the stopping rule is called after each epoch, outside the loops
    job = job_of(model, X, y, optimizer_for(optimizer, model.parameters()), bare)
    if job.minimizer is not None:
        raise TraceError("L-BFGS searches along a line instead of looping over batches: it cannot be exported")
    programs.refuse_optimizer(job)
    return NetworkProgram(job, hidden, given)


class NetworkProgram(PredictionProgram):
    """A training program and a prediction program of one network, and the facts that surround them."""

    def __init__(self, job: Job, hidden: bool, given: Settings) -> None:
        self.job, self.optimizer = job, job.optimizer
        self.rule = None if given.tol is None and given.patience is None else (given.tol or 0.0, given.patience or 0)
        if common_steps(self.optimizer):
            raise SettingError("the optimizer has already taken steps: export with a new one")
        with mode_here(job.model, training=True):
            self.training = programs.trace_job(job, stacked=False)  # each mask has a generator of its own there
        self.names = {id(p): name for name, p in job.model.named_parameters()}
        self.captured = self.training.step.trace.captured
        super().__init__(job.model, job.data[0], accurate=job.settings.accurate, hidden=hidden)

    def write_training(self, writer: Writer, called: str, rate: str = RATE) -> None:
        """The function that trains, with all that it calls; rate: where it finds the learning rate of a step."""
        assert self.training.text.count(RATE) == 1
        writer.read(self.training.text.replace(RATE, rate))
        given = [self.argument(name, kind, axes) for name, (kind, axes) in self.training_arguments.items()]
        writer.entry(loops_of(writer), given, called)

    def write_rate(self, writer: Writer, called: str) -> bool:
        """The learning rate as a function of the step, where it is a schedule; whether it is one."""
        schedule = self.optimizer.schedule
        if schedule.kind == "constant":
            return False
        if schedule.follows_loss:
            raise TraceError(f"{schedule!r} follows the losses, which an exported program cannot do")
        writer.read(text_of_schedule(schedule))
        writer.entry("rate", [Number("t", "double")], called)
        writer.made.clear()  # here operations come from the C library, elsewhere from our own functions
        return True

    def write_rule(self, writer: Writer, loss: str) -> str:
        """The stopping rule of `fit`, and the call that asks it of an epoch's loss; "" where there is none."""
        if self.rule is None:
            return ""
        writer.read(function_text("stops", stops))
        return writer.call("stops", [array("rule", "double", 1), Number(loss, "double")]).text

    @cached_property
    def training_arguments(self) -> dict[str, tuple[str, int]]:
        """All arguments of the training function, in order: (kind, axes)."""
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
        return [describe(name, self.captured[name], inputs[name].integer) for name in self.training.given]

    @property
    def owners(self) -> dict[int, tuple[str, int]]:
        """Parameters and given arrays, which training changes."""
        found = {id(p): ("parameter", i) for i, p in enumerate(self.optimizer.params)}
        return found | {id(self.captured[name]): ("given", i) for i, name in enumerate(self.training.given)}

    @property
    def starts(self) -> list[Any]:
        """The initial value of each of the optimizer's memories: a number, or "lr" for the learning rate."""
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
        """X and y in the step: the variable, the shape of one sample, and whether it holds whole numbers."""
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
                raise TraceError(f"Dropout draws from {state['bit_generator']}: only a fresh PCG64 can be exported")
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
            "rule": self.rule,
            "followed": training.followed,
            "parameters": [(name, axes) for name, (_, axes) in self.training_arguments.items()],
            "predict": self.prediction_facts(),
        }

    def sizes_in_language(self, writer: Writer) -> dict[str, str]:
        """The sizes of prediction and of training."""
        step, found = self.training.step, Expressions(writer)
        found.scope = {text: Number(f"s.{text}", "int") for text, _, _ in named_sizes(step.trace)}
        drawn = [step.names.shape(mask.node) for mask in self.training.masks.values()]
        room = [" * ".join(shape) or "1" for shape in [*self.training.results().values(), *drawn]]
        conditions = self.conditions(step.trace, list(self.training.data))
        return super().sizes_in_language(writer) | {
            "room": in_language(found, " + ".join(room) or "0"),
            "fits": " && ".join(in_language(found, c) for c in conditions) or "true",
        }


def text_of_schedule(schedule: Any) -> str:
    """The formula of a schedule, traced for one step t."""
    trace = Trace()
    t = trace.inputs["t"] = Traced((), name="t")
    try:
        body = ProgramBody(trace, {"result": trace.run(lambda: schedule.at(t))}, "float64", accurate=True)
    except (TinygradError, TypeError, ValueError) as error:
        raise TraceError(f"the schedule {schedule!r:.60} cannot be exported: {first_line(error)}") from error
    return f"{body.functions}\n\ndef rate(t):\n" + "\n".join(indent([*body.lines, "return result"]))

"""A network that trains, as one file of C99: the training program beside what c99.py writes."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.compile.languages.c99 import C99
from tinygrad_edu.compile.languages.writer import Writer
from tinygrad_edu.compile.trace import Trace
from tinygrad_edu.errors import TraceError
from tinygrad_edu.interop.c99 import Argument, CFile, call_arguments, count, initializer, sizes_in
from tinygrad_edu.interop.programs import NetworkProgram


class CTrainingFile(CFile):
    """samples: how many `main` has room for, by default as many as were given."""

    what = "predicts and trains"
    program: NetworkProgram

    def __init__(self, program: NetworkProgram, name: str, samples: int | None) -> None:
        self.job, self.training = program.job, program.training
        self.samples, self.batch = samples or len(program.job.data[0]), program.job.batch_size
        self.chunk = self.batch
        super().__init__(program, name)
        if len(self.job.data) > 2:
            raise TraceError("weights of samples cannot be exported: leave sample_weight out")
        captured = [getattr(x, "array", x) for x in self.training.step.trace.captured.values()]
        batch = [np.broadcast_to(0.0, (self.batch, *a.shape[1:])) for a in self.job.data]
        self.sizes = sizes_in(self.training.step.trace, [*batch, *captured])
        self.layout = self.training.layout(program.optimizer.params, self.job.data, self.batch)
        self.total = sum(p["array"].size for p in program.parameters)
        self.places = np.cumsum([0, *(p["array"].size for p in program.parameters)])
        self.generators = program.sources if self.training.masks else []
        self.rate, self.asked = f"{name}_settings.lr", ""

    def write_functions(self, writer: Writer) -> None:
        rate = "rate_of(t - 1.0)" if self.program.write_rate(writer, "rate_of") else "rates[0]"
        self.program.write_training(writer, "epochs_of", rate)
        self.asked = self.program.write_rule(writer, "loss[0]")
        super().write_functions(writer)

    def assets(self, main: bool) -> list[str]:
        return ["predict.c", "network.c", "random.c", *["rows.c", "main.c"] * main]

    def ending(self, main: bool) -> str:
        return ""

    @property
    def traces(self) -> list[tuple[Trace, dict[str, int], Sequence[str]]]:
        return [*super().traces, (self.training.step.trace, self.sizes, list(self.training.data))]

    def arrays(self) -> Iterator[str]:
        """The weights at the start, arrays such as running means, the states of generators."""
        weights = np.concatenate([p["array"].ravel() for p in self.program.parameters])
        yield f"static const {self.real} start[{self.total}] = {initializer(weights, self.program.real)};"
        yield f"static {self.real} state[{1 + len(self.program.starts)} * {self.total}];  /* weights, then memories */"
        for i, x in enumerate(self.program.given):
            yield self.array(f"given_start__{i}", x, "static const ")
            yield f"static {self.type_of(x)} given__{i}[{x['array'].size}];"
            if x["variable"] in self.training.followed:
                yield f"static {self.type_of(x)} kept__{i}[{x['array'].size}];"
        for i, source in enumerate(self.generators):
            numbers = [f"{part}u" for key in ("state", "inc") for part in divmod(int(source[key]), 2**64)]
            yield f"static const uint64_t source_start__{i}[4] = {{{', '.join(numbers)}}};"
            yield f"static uint64_t source__{i}[4], source_before__{i}[4];"
        yield from super().arrays()

    def words(self) -> dict[str, str]:
        """The words of prediction and of training."""
        y, settings, sources = self.program.samples[1], self.program.settings, range(len(self.generators))
        width = int(count(self.program.samples[0])) + int(count(y))
        return super().words() | self.resets() | self.rule_words() | {
            "total": str(self.total), "rows": str(1 + len(self.program.starts)), "work": str(max(self.layout.work, 1)),
            "whole": str(max(self.layout.whole, 1)), "targets": count(y), "y_type": self.type_of(y),
            "batch": str(self.batch), "samples": str(self.samples), "line": str(64 * width + 4096), "rate": self.rate,
            "setting_fields": "\n    ".join(f"double {name};" for name in settings),
            "setting_values": ", ".join(C99().real(x, "double").text for x in settings.values()),
            "setting_list": ", ".join(f"{self.name}_settings.{name}" for name in self.training.floats) or "0.0",
            "before": lines(8, [f"memcpy(source_before__{i}, source__{i}, sizeof source__{i});" for i in sources]),
            "back": lines(12, [f"memcpy(source__{i}, source_before__{i}, sizeof source__{i});" for i in sources]),
            "train_arguments": call_arguments(self.train_values(), self.program.training_arguments),
            "batch_check": self.batch_check(), "kept_parts": self.kept_parts(),
        }  # fmt: skip

    def kept_parts(self) -> str:
        """The arrays besides the weights that training changes, for the file that `main` keeps."""
        kept = [i for i, x in enumerate(self.program.given) if x["variable"] in self.training.followed]
        return "".join(f", {{given__{i}, sizeof given__{i}}}" for i in kept)

    def resets(self) -> dict[str, str]:
        """The lines of `reset` other than those for the weights."""
        given = [f"memcpy(given__{i}, given_start__{i}, sizeof given__{i});" for i in range(len(self.program.given))]
        sources = [f"memcpy(source__{i}, source_start__{i}, sizeof source__{i});" for i in range(len(self.generators))]
        memories = []
        for k, value in enumerate(self.program.starts, start=1):
            text = f"({self.real}){self.rate}" if value == "lr" else C99().real(value, self.program.real).text
            loop = f"for (int64_t i = {k} * {self.total}; i < {k + 1} * {self.total}; i++)"
            memories.append(f"{loop} {{ state[i] = {text}; }}")
        return {"reset": lines(4, [*memories, *given, *sources])}

    def rule_words(self) -> dict[str, str]:
        """The words for a stopping rule, empty if there is none."""
        if self.program.rule is None:
            return {"rule": "", "rule_begin": "", "rule_check": ""}
        tol, patience = (C99().real(float(x), "double").text for x in self.program.rule)
        numbers = zip(
            ("NAN", tol, C99().real(sys.float_info.max, "double").text, "0.0", patience), range(5), strict=True
        )
        return {
            "rule": "static double rule[5];",
            "rule_begin": lines(4, [f"rule[{k}] = {x};" for x, k in numbers]),
            "rule_check": lines(8, [f"if ({self.asked}) {{", "    stopped = 1;", "    return NULL;", "}"]),
        }

    def batch_check(self) -> str:
        """The check of the batch size, and of the last batch, which may be smaller."""
        if not self.training.rows:
            return f'if (batch != {self.batch} || n % batch) {{ return "batches of {self.batch} are needed"; }}'
        checked = self.training.step.trace, self.sizes, list(self.training.data)
        texts = [self.check(*checked, rows) for rows in ("batch", "(n % batch ? n % batch : batch)")]
        return lines(4, [text for text in texts if text])

    def train_values(self) -> dict[str, Argument]:
        """For each argument of the training function: its text, and those of its sizes."""
        x, y = self.program.samples[:2]
        rows, total, one = str(1 + len(self.program.starts)), str(self.total), ("1",)
        known: dict[str, Argument] = {
            "X": (f"({self.type_of(x)} *)X", ("n", count(x))), "Y": (f"({self.type_of(y)} *)y", ("n", count(y))),
            "orders": ("orders", ("1", "order ? n : 0")), "batch": ("batch", ()), "state": ("state", (rows, total)),
            "saved": ("saved", (rows, total)), "gradient": ("gradient", (total,)), "work": ("work", one),
            "whole": ("whole", one), "sizes": ("sizes", one), "rates": ("rates", one), "settings": ("settings", one),
            "t": ("steps", ()), "stopping": ("stopping", ("5",)), "losses": ("loss", one), "norms": ("norm", one),
            "changes": ("change", one), "control": ("control", ("3",)),
        }  # fmt: skip
        for i, each in enumerate(self.program.given):
            shape = tuple(map(str, each["shape"]))
            known[each["variable"]] = (f"given__{i}" if shape else f"given__{i}[0]", shape)
            known[f"{each['variable']}_kept"] = (f"kept__{i}", shape)
        for name, k in zip(self.training.masks, self.training.drawn_from, strict=True):
            known[f"{name}_rng"] = (f"source__{k}", ("2",))
        return known

    def place(self, kind: str, i: int) -> Argument:
        if kind == "constant":
            return super().place(kind, i)
        found: Any = self.program.parameters[i] if kind == "parameter" else self.program.given[i]
        text = f"state + {self.places[i]}" if kind == "parameter" else f"given__{i}"
        return text, tuple(map(str, found["shape"]))


def lines(depth: int, texts: Sequence[str]) -> str:
    """Lines to put in the place of a word at this indentation."""
    return ("\n" + " " * depth).join(texts)

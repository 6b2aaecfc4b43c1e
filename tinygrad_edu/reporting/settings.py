"""The settings of a run, and a program that does it again."""

from __future__ import annotations

import html
import inspect
import math
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import tinygrad_edu.optim as optim
from tinygrad_edu.charts.text import clean
from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.nn.layers import MLP
from tinygrad_edu.nn.losses import LOSSES
from tinygrad_edu.optim.schedule import Schedule
from tinygrad_edu.optim.schedule_text import schedule_of, schedule_source
from tinygrad_edu.reporting.left_out import left_out
from tinygrad_edu.reporting.tables import scrolling, table
from tinygrad_edu.train import Run
from tinygrad_edu.train.recipe import Settings

LINE = 76  # letters of a program line that fit on the page without scrolling
FITTED = {field.name: field.default for field in fields(Settings) if field.name != "callbacks"}
GIVEN = {"validation": "(X_validation, y_validation)", "sample_weight": "sample_weight"}  # data, which no file holds


def settings_html(run: Run, program: str = "") -> str:
    """A program, the settings, and the versions that it ran with. program: in place of the one that `fit` needs."""
    lines = html.escape(program or "\n".join(program_lines(run)))
    shown = scrolling("Program that trains this way", f"<pre><code>{lines}</code></pre>") if lines else ""
    rows = [(name, setting_text(value)) for name, value in run.config.items()]
    settings = table("Settings of the run", ["setting", "value"], rows) if rows else "<p>No settings are known.</p>"
    return (
        shown
        + scrolling("Settings of the run", settings)
        + table("Versions that made this report", ["what", "version"], list(versions().items()))
    )


def setting_text(value: ArrayLike) -> str:
    """A setting as a reader takes it: the name of a function rather than its address."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={setting_text(each)}" for name, each in value.items())
    return str(getattr(value, "__name__", None) or value)


def versions() -> dict[str, str]:
    found = {"Python": platform.python_version()}
    for package in ("tinygrad-edu", "numpy", "numba"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed as a package"
    return found


def program_lines(run: Run) -> Iterator[str]:
    """Python that makes model and optimizer, and calls `fit` with the settings that are not its defaults.

    Of `fit_online` that one. Comments name what else the run had. None for a run of something else, whose record does
    not hold the model's settings.
    """
    config = run.config
    if not {"model", "optimizer"} <= config.keys():
        return
    yield "import tinygrad_edu as tg"
    yield ""
    model = config["model"]
    if isinstance(model, Mapping):
        known = {key: model[key] for key in defaults_of(MLP) if key in model}
        if config.get("dtype") == "float32":  # a fact of its parameters, and no argument that it remembers
            known["dtype"] = "float32"
        yield from call_lines("model", "tg.nn.MLP", changes(known, defaults_of(MLP)))
    else:
        yield f"model = ...  # {clean(' '.join(str(model).split()), LINE)}"
    upward = run.job is not None and any(part.maximize for part in run.job.optimizer.parts)
    yield from optimizer_lines(config, {"maximize": True} if upward else {})
    online = "steps" in config and run.job is None
    usual = {**FITTED, "batch_size": config.get("samples"), "sample_weight": False} | ({"steps": 1} if online else {})
    given = changes({name: config[name] for name in usual if name in config}, usual)
    function = "tg.train.fit_online" if online else "tg.fit"
    yield from call_lines("run", function, given, "model", "X", "y", "optimizer=optimizer")
    for each in left_out(run):
        yield f"# not in these lines: {each}"


def optimizer_lines(config: Mapping[str, Any], more: Mapping[str, Any]) -> Iterator[str]:
    """Lines that make the optimizer with its settings, and more; a user's own optimizer is left open."""
    name = config["optimizer"]
    maker = getattr(optim, name) if name in optim.__all__ and name[0].isupper() else None
    if maker is None:
        yield f"optimizer = ...  # {str(name) if str(name).isidentifier() else 'of your own'}"
        return
    options = {"lr": config.get("lr")} | dict(config.get("optimizer_settings", {}))
    known = {key: x for key, x in options.items() if key in defaults_of(maker)} | dict(more)
    yield from call_lines("optimizer", f"tg.optim.{name}", changes(known, {"lr": None}), "model.parameters()")


def defaults_of(maker: Callable[..., Any]) -> dict[str, Any]:
    return {name: parameter.default for name, parameter in inspect.signature(maker).parameters.items()}


def changes(given: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, str]:
    """The settings that are not their defaults, as Python."""
    return {
        name: write_setting(name, value)
        for name, value in given.items()
        if name not in defaults or setting_text(value) != setting_text(defaults[name])
    }


def write_setting(name: str, value: ArrayLike) -> str:
    """One setting as Python: plain values, schedules made of them, and the names of functions in this process.

    Text that stood in a file becomes a text again, and never code. What no text can make again, such as a lambda or a
    function of which a file has only the name, is left out: "...".
    """
    if name in GIVEN and not isinstance(value, float):
        return GIVEN[name]
    if name == "lr":
        schedule = schedule_of(value) if isinstance(value, str) else value
        return schedule_source(schedule) if isinstance(schedule, (int, float, Schedule)) else "..."
    if name == "loss" and isinstance(value, str) and value not in LOSSES:
        return "..."
    if callable(value):
        own = str(getattr(value, "__name__", ""))
        return own if own.isidentifier() else "..."
    return literal(value)


def literal(value: ArrayLike) -> str:
    """A plain value as Python; "..." for anything else."""
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{value}")'
    if isinstance(value, (list, tuple)):
        items = ", ".join(map(literal, value))
        return f"[{items}]" if isinstance(value, list) else f"({items}{',' * (len(value) == 1)})"
    return repr(value) if isinstance(value, (str, int, float, type(None))) else "..."


def call_lines(name: str, function: str, settings: Mapping[str, str], *first: str) -> Iterator[str]:
    """name = function(...), over several lines where one is too short."""
    arguments = [*first, *(f"{key}={value}" for key, value in settings.items())]
    line = f"{name} = {function}({', '.join(arguments)})"
    if len(line) <= LINE:
        yield line
        return
    yield f"{name} = {function}("
    yield from fill_lines(arguments)
    yield ")"


def fill_lines(arguments: Sequence[str]) -> Iterator[str]:
    """Arguments in lines, each of them whole."""
    line = "   "
    for argument in arguments:
        if len(line) > 4 and len(line) + len(argument) + 2 > LINE:
            yield line
            line = "   "
        line += f" {argument},"
    yield line

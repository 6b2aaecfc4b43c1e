"""The settings of a run, and a program that does it again."""

from __future__ import annotations

import html
import inspect
import platform
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from importlib.metadata import PackageNotFoundError, version
from textwrap import wrap
from typing import Any

from tinygrad_edu.nn.layers import MLP
from tinygrad_edu.nn.losses import LOSSES
from tinygrad_edu.optim import schedules
from tinygrad_edu.reporting.tables import scrolling, table
from tinygrad_edu.train import Run
from tinygrad_edu.train.job import Settings

LINE = 76  # letters of the program that a page shows without scrolling
FITTED = {field.name: field.default for field in fields(Settings) if field.name != "callbacks"}
GIVEN = {"validation": "(X_validation, y_validation)", "sample_weight": "sample_weight"}  # data, which no file holds


def settings_html(run: Run) -> str:
    """A program, the settings, and the versions that it ran with."""
    lines = html.escape("\n".join(program_lines(run)))
    program = scrolling("Program that trains this way", f"<pre><code>{lines}</code></pre>") if lines else ""
    rows = [(name, shown(value)) for name, value in run.config.items()]
    settings = table("Settings of the run", ["setting", "value"], rows) if rows else "<p>No settings are known.</p>"
    return (
        program
        + scrolling("Settings of the run", settings)
        + table("Versions that made this report", ["what", "version"], list(versions().items()))
    )


def shown(value: Any) -> str:
    """A setting as a reader takes it: the name of a function rather than its address."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={shown(each)}" for name, each in value.items())
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

    None for a run of something else than `fit`, such as `fit_online`, whose record does not hold the model's settings.
    """
    config = run.config
    if not {"model", "optimizer"} <= config.keys():
        return
    yield "import tinygrad_edu as tg"
    yield ""
    model = config["model"]
    if isinstance(model, Mapping):
        yield from call("model", "tg.nn.MLP", changed(model, defaults_of(MLP)))
    else:
        yield f"model = ...  # {' '.join(str(model).split())[:LINE]}"
    options = {"lr": config.get("lr")} | dict(config.get("optimizer_settings", {}))
    given = changed(options, {"lr": None})
    yield from call("optimizer", f"tg.optim.{config['optimizer']}", given, "model.parameters()")
    usual = {**FITTED, "batch_size": config.get("samples"), "sample_weight": False}
    given = changed({name: config[name] for name in FITTED if name in config}, usual)
    yield from call("run", "tg.fit", given, "model", "X", "y", "optimizer=optimizer")


def defaults_of(maker: Callable[..., Any]) -> dict[str, Any]:
    return {name: parameter.default for name, parameter in inspect.signature(maker).parameters.items()}


def changed(given: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, str]:
    """The settings that are not their defaults, as Python."""
    return {
        name: written(name, value)
        for name, value in given.items()
        if name not in defaults or shown(value) != shown(defaults[name])
    }


def written(name: str, value: Any) -> str:
    """One setting as Python. A setting out of a file may be the text of a schedule, or the name of a function.

    What no text can make again, such as a lambda, is left out: "...".
    """
    if name in GIVEN and not isinstance(value, float):
        return GIVEN[name]
    if isinstance(value, str) and name != "lr":
        known = name != "loss" or value in LOSSES
        return repr(value) if known else value
    text = str(getattr(value, "__name__", None) or (value if isinstance(value, str) else repr(value)))
    return "..." if "<" in text else re.sub(rf"\b({'|'.join(schedules.__all__)})\(", r"tg.optim.schedules.\1(", text)


def call(name: str, function: str, settings: Mapping[str, str], *first: str) -> Iterator[str]:
    """name = function(...), over several lines where one is too short."""
    arguments = [*first, *(f"{key}={value}" for key, value in settings.items())]
    line = f"{name} = {function}({', '.join(arguments)})"
    if len(line) <= LINE:
        yield line
        return
    lines = wrap(", ".join(arguments) + ",", LINE - 4, break_long_words=False, break_on_hyphens=False)
    yield from (f"{name} = {function}(", *(f"    {part}" for part in lines), ")")

"""`tg.compare`: the curves of several runs, or of many seeds, on one chart."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tinygrad_edu.charts.chart import Band, Chart, Line, Panel
from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.core.formulas.readings import refuse_masked
from tinygrad_edu.draw.text import count
from tinygrad_edu.errors import SettingError
from tinygrad_edu.pen import check_arguments
from tinygrad_edu.reporting.record import refuse_model
from tinygrad_edu.reporting.settings import setting_text
from tinygrad_edu.reporting.tables import figure, scrolling, table
from tinygrad_edu.train import ManyRuns, Run

Array = np.ndarray[Any, Any]
MOST_RUNS, MOST_SEEDS = 32, 30  # curves that 8 colours and 4 dashes can tell apart; seeds drawn behind a median
MOST_PAIRS = MOST_RUNS // 2  # runs with a validation curve, which has a dash of its own
READABLE = 40  # letters of a name in the legend
QUIET = {"samples", "seed"}  # settings named only if nothing else distinguishes the runs
HEAD = ["run", "epochs", "first loss", "last loss", "lowest loss", "in epoch", "validation, lowest", "why it ended"]


@dataclass(frozen=True)
class ComparedCurve:
    """One curve of the comparison; `seeds` (s, epochs): the curves that it is the median of."""

    name: str
    curve: Array
    validation: Array = field(default_factory=lambda: np.empty(0))
    seeds: Array | None = None
    why: str = ""
    loss: str = ""


@check_arguments
def compare(runs: Any, names: Sequence[str] | None = None) -> Chart:
    """Draw the loss curves of several runs on one chart, with the validation losses dashed.

    A notebook shows the chart; `.save("runs.html")` writes it (.svg, .png, .pdf too), the page with a table of numbers.
    For the result of `fit_many` it shows one curve for each learning rate: the median of the seeds, with the band that
    holds half of them, and each seed behind it.

    runs: a list of runs, or a dict of them by name, at most 32 curves, or 16 with their validation losses: runs of
    `fit`, outcomes of `fit_many`, fitted estimators, or plain lists of losses, one an epoch.
    names: a name for each run; by default the keys of the dict, else the settings in which the runs differ.
    Errors: SettingError for anything else, for no curve at all, and for another number of names than of curves.

    >>> from tinygrad_edu import fit, nn, optim
    >>> from tinygrad_edu.data import xor_gate
    >>> def run(lr):
    ...     model = nn.MLP([2, 3, 1], seed=0)
    ...     return fit(model, *xor_gate(), loss="mse", optimizer=optim.SGD(model.parameters(), lr=lr), epochs=20)
    >>> compare([run(0.01), run(0.1)])
    <Loss of 2 runs: lr=0.01: 1.03 → 0.4196; lr=0.1: 1.03 → 0.2269>
    """
    if isinstance(names, (Run, ManyRuns)):
        raise SettingError("compare takes the runs in a list or a dict: compare([a, b])")
    entries = entries_of(runs, names)
    losses = {entry.loss for entry in entries}
    title = f"Loss ({losses.pop()})" if len(losses) == 1 and "" not in losses else "Loss"
    drawn, note = drawable_pairs(entries)
    panel = Panel(
        title, [line for place, entry in enumerate(drawn) for line in compare_lines(entry, place, drawn)], bands(drawn)
    )
    told = "; ".join(f"{entry.name}: {figure(entry.curve[0])} → {figure(last(entry.curve))}" for entry in entries[:8])
    more = (f"; and {len(entries) - 8} more" if len(entries) > 8 else "") + note
    numbers = table("What the curves show", HEAD, [numbers_row(entry) for entry in entries])
    return Chart([panel], f"Loss of {count(len(entries), 'run')}: {told}{more}", below=scrolling("Numbers", numbers))


def entries_of(runs: Any, names: Sequence[str] | None) -> list[ComparedCurve]:
    """An entry for each curve. Errors: SettingError."""
    if isinstance(runs, Mapping):
        given, runs = [str(name) for name in runs], list(runs.values())
        names = given if names is None else names
    if isinstance(names, str):
        raise SettingError(f"compare(names={names!r}): a list with a name for each run is needed")
    single = isinstance(runs, (Run, ManyRuns)) or hasattr(runs, "loss_curve_")
    if not single and (not isinstance(runs, Iterable) or getattr(runs, "shape", None) == ()):
        refuse_model("compare", runs)
        raise SettingError(f"compare takes runs, or a list or dict of them, not {runs!r:.80}")
    found = [runs] if single else list(runs)
    names = None if names is None else list(names)
    if names is not None and len(names) != len(found):
        raise SettingError(f"compare: {len(names)} names for {count(len(found), 'run')}: one for each is needed")
    called = [str(name) for name in names] if names is not None else names_by_difference(found)
    entries = [entry for run, name in zip(found, called, strict=True) for entry in entries_for(run, name)]
    entries = [entry for entry in entries if len(entry.curve)]
    if not 1 <= len(entries) <= MOST_RUNS:
        told = count(len(entries), "curve")
        raise SettingError(f"compare: {told} with an epoch; a chart shows 1 to {MOST_RUNS} that can be told apart")
    return entries


def entries_for(run: Any, name: str) -> Iterator[ComparedCurve]:
    """The curve of a run; of `fit_many` one for each learning rate."""
    if isinstance(run, ManyRuns):
        yield from rates_of(run, name)
    elif isinstance(run, Run):
        yield ComparedCurve(
            name, run.loss_curve, run.validation_curve, None, run.stop_reason, setting_text(run.config.get("loss", ""))
        )
    else:
        yield ComparedCurve(name, plain_curve(getattr(run, "loss_curve_", run)))


def rates_of(many: ManyRuns, name: str) -> Iterator[ComparedCurve]:
    """The median of the seeds of each learning rate; a run that has ended counts with its last loss."""
    for rate, curves in zip(many.learning_rates, many.loss_curves, strict=True):
        rates = f"lr={rate:g}" if len(many.learning_rates) > 1 else ""
        whole = carry_on(curves)
        why = f"median of {count(len(curves), 'seed')}; half of them end between {quartiles(whole[:, -1])}"
        yield ComparedCurve(
            ", ".join(filter(None, [name, rates])) or "seeds", np.median(whole, axis=0), seeds=whole, why=why
        )


def carry_on(curves: Array) -> Array:
    """Curves (seeds, epochs) whose NaN after the end of a run are its last loss."""
    places = np.where(np.isnan(curves), 0, np.arange(curves.shape[1]))
    return np.asarray(np.take_along_axis(curves, np.maximum.accumulate(places, axis=1), axis=1))


def quartiles(losses: Array) -> str:
    low, high = np.nanquantile(losses, (0.25, 0.75))
    return f"{figure(low)} and {figure(high)}"


def plain_curve(losses: ArrayLike) -> Array:
    """Losses as an array. Errors: SettingError; DtypeError for masked entries."""
    refuse_masked(losses)
    try:
        curve = np.asarray(losses, dtype=float)
    except (TypeError, ValueError):
        curve = np.empty((0, 0))
    if curve.ndim != 1:
        raise SettingError(f"compare: {type(losses).__name__} is not a run, a fitted estimator or a list of losses")
    return curve


def names_by_difference(runs: Sequence[Any]) -> list[str]:
    """Names of runs by the settings in which they differ, such as lr=0.1; else their numbers."""
    configs = [flat_settings(getattr(run, "config", {})) for run in runs]
    shared = [key for key in configs[0] if all(key in c for c in configs)] if configs else []
    keys = [key for key in shared if len({c[key] for c in configs}) > 1]
    keys = [key for key in keys if key.rpartition(".")[2] not in QUIET] or keys
    ways = [(many, rounded) for rounded in (True, False) for many in (3, 2, 1)]
    choices = [[settings_text(config, keys[:many], rounded) for config in configs] for many, rounded in ways]
    apart = [names for names in choices if all(names) and len(set(names)) == len(runs)]
    if apart:  # by all that differs if that is short enough, else by the fewest settings that distinguish the runs
        return next((names for names in apart if longest(names) <= READABLE), min(apart, key=longest))
    return ["" if isinstance(run, ManyRuns) and len(runs) == 1 else f"run {place}" for place, run in enumerate(runs, 1)]


def longest(names: Sequence[str]) -> int:
    return max(map(len, names), default=0)


def settings_text(config: Mapping[str, str], keys: Sequence[str], rounded: bool) -> str:
    """Such as lr=0.1, activation=tanh."""
    return ", ".join(f"{key.rpartition('.')[2]}={round_text(config[key]) if rounded else config[key]}" for key in keys)


def round_text(setting: str) -> str:
    """A number with a fraction to four digits; any other setting as it is.

    >>> round_text("0.036363636363636365"), round_text("1e-05"), round_text("4-16-1"), round_text("123456")
    ('0.03636', '1e-05', '4-16-1', '123456')
    """
    return figure(float(setting)) if re.fullmatch(r"-?\d+(\.\d+(e-?\d+)?|e-\d+)", setting) else setting


def flat_settings(config: Any, prefix: str = "") -> dict[str, str]:
    """Settings as text, those of the model and the optimizer as model.sizes, optimizer_settings.beta1, ..."""
    found: dict[str, str] = {}
    for name, value in config.items():
        if isinstance(value, Mapping):
            found |= flat_settings(value, f"{prefix}{name}.")
        else:
            whole = name == "batch_size" and value == config.get("samples")
            found[prefix + name] = (
                "all" if whole else "-".join(map(str, value)) if name == "sizes" else setting_text(value)
            )
    return found


def drawable_pairs(entries: list[ComparedCurve]) -> tuple[list[ComparedCurve], str]:
    """(what is drawn, a sentence on what is not): a run with a validation loss takes two dashes of its colour."""
    if len(entries) <= MOST_PAIRS or not any(entry.validation.size for entry in entries):
        return entries, ""
    note = f". The validation losses are in the table only: a chart shows those of up to {MOST_PAIRS} runs"
    return [replace(entry, validation=np.empty(0)) for entry in entries], note


def compare_lines(entry: ComparedCurve, place: int, entries: Sequence[ComparedCurve]) -> Iterator[Line]:
    """The seeds behind it, the curve, and the validation loss in another dash: no two lines look the same."""
    pairs = any(each.validation.size for each in entries)
    dash = (1 + pairs) * (place // 8)
    if entry.seeds is not None:
        yield from (Line("", curve, place, faint=True) for curve in entry.seeds[:MOST_SEEDS])
    yield Line(entry.name, entry.curve, place, dash)
    if entry.validation.size:
        yield Line(f"{entry.name}, validation", entry.validation, place, dash + 1)


def bands(entries: Sequence[ComparedCurve]) -> list[Band]:
    """Between the quartiles of the seeds."""
    return [
        Band(np.nanquantile(entry.seeds, 0.25, axis=0), np.nanquantile(entry.seeds, 0.75, axis=0), place)
        for place, entry in enumerate(entries)
        if entry.seeds is not None and len(entry.seeds) > 1
    ]


def last(curve: Array) -> float:
    return float(curve[-1])


def numbers_row(entry: ComparedCurve) -> list[Any]:
    """The numbers of one curve."""
    finite = np.isfinite(entry.curve).any()
    best = int(np.nanargmin(entry.curve)) if finite else 0
    held_out = figure(float(np.nanmin(entry.validation))) if np.isfinite(entry.validation).any() else "-"
    numbers = [float(entry.curve[0]), last(entry.curve), float(entry.curve[best]), str(best + 1)]
    return [entry.name, str(len(entry.curve)), *numbers, held_out, entry.why or "-"]

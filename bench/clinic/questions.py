"""Questions of people, rebuilt: is the first cause right? `python -m bench.clinic.questions [PATH] [--only NAME]`

PATH: a module of cases in the form of bench.clinic.question_cases, which are taken without one: CASES by name, each
with truth, accept, healthy, refusal and build(seed, cured), which trains as the person did or with the true cure. The
table says, by tool (the name up to its first _), how many first causes are right, false alarms of healthy runs, and
fixes of the first cause that hold from fresh seeds, with 90% Wilson intervals. Failures are listed.
"""

from __future__ import annotations

import argparse
import importlib.util
import re
import sys
import time
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu.clinic.diagnosis.proof.retrain import train_setup
from tinygrad_edu.clinic.diagnosis.proof.trial import wilson
from tinygrad_edu.clinic.diagnosis.result import repair_model
from tinygrad_edu.errors import TinygradError

SEEDS, FRESH = range(5), range(101, 106)
MOST = 0.8  # share of the fresh seeds that must reach the goal for a fix to count


@dataclass
class Outcome:
    """One case: verdict "right", "missed", "wrong", "false alarm" or "not as described"; fix, the share that holds."""

    name: str
    truth: str
    healthy: bool
    verdict: str
    named: Sequence[str] = ()
    fix: float | None = None
    seconds: float = 0.0
    text: str = field(default="", repr=False)

    @property
    def tool(self) -> str:
        return self.name.partition("_")[0]

    def __str__(self) -> str:
        fix = "" if self.fix is None else f", fix {self.fix:.0%}"
        said = ", ".join(self.named) or ("healthy" if self.healthy else "nothing named")
        return f"{self.verdict:12s} {self.name} ({self.seconds:.1f} s): {said} for {self.truth}{fix}. {self.text}"


def as_described(case: Any) -> Any:
    """The first run that is as the case says: bad, or good where nothing is wrong."""
    runs = (case.build(seed, False) for seed in SEEDS)
    return next((run for run in runs if (run.asis() >= run.good) == case.healthy), None)


def asked(case: Any, **options: Any) -> Outcome:
    """One case, told to `diagnose`."""
    try:
        run = as_described(case)
    except TinygradError as error:  # refused before anything was trained
        right = bool(case.refusal and re.search(case.refusal, str(error), re.IGNORECASE))
        return Outcome(
            case.name, case.truth, case.healthy, "right" if right else "missed", (), None, 0.0, f"refused: {error}"
        )
    if run is None:
        return Outcome(case.name, case.truth, case.healthy, "not as described")
    data = () if hasattr(run.obj, "job") else (run.X, run.y)
    began = time.perf_counter()
    found = tg.clinic.diagnose(run.obj, *data, **{**run.kwargs, **options})
    named = [cause.code for cause in found.causes]
    fix = None if case.healthy else holds(case, found, run)
    seconds = time.perf_counter() - began
    return Outcome(case.name, case.truth, case.healthy, verdict(case, found, named), named, fix, seconds, found.summary)


def verdict(case: Any, found: Any, named: Sequence[str]) -> str:
    right = {case.truth, *case.accept}
    if case.healthy:
        return "right" if found.healthy and not set(named) - right else "false alarm"
    return "right" if named and named[0] in right else "missed" if found.healthy or not named else "wrong"


def holds(case: Any, found: Any, run: Any) -> float | None:
    """The share of fresh seeds from which the case's own measure is good after the first cause's change."""
    cause = found.causes[0] if found.causes else None
    if cause is None or cause.trial is None:
        return None
    if set(cause.change) == {"seed"}:
        return float(np.mean([case.build(seed, False).asis() >= run.good for seed in FRESH]))
    setup, task = cause.trial.setup, found.task
    models = [
        repair_model(made.model, setup, task, found.setup).eval() for made in train_setup(setup, task, list(FRESH), 1)
    ]
    return float(np.mean([run.worth(lambda X, m=m: linked(m, X, setup, found.setup)) >= run.good for m in models]))


def linked(model: Any, X: Any, setup: Any, usual: Any) -> Any:
    """Estimates: outputs by the link of the loss, where the model does not do that itself."""
    from tinygrad_edu.nn.layers import find_activation

    z = np.asarray(model(np.asarray(X, dtype=float)).numpy()).reshape(len(X), -1)
    done = setup.link != usual.link and usual.link == "identity"
    return z if done else np.asarray(find_activation(setup.link)(z))


def table(outcomes: Iterable[Outcome]) -> str:
    """The tally as Markdown."""
    rows = [outcome for outcome in outcomes if outcome.verdict != "not as described"]
    lines = ["| tool | first cause right | false alarms | fix holds |", "|---|--:|--:|--:|"]
    tools = [*dict.fromkeys(row.tool for row in rows)]
    for name, part in [(tool, [r for r in rows if r.tool == tool]) for tool in tools] + [("all", rows)]:
        sick, well = [r for r in part if not r.healthy], [r for r in part if r.healthy]
        fixes = [r.fix for r in part if r.fix is not None]
        cells = (
            (sum(r.verdict == "right" for r in sick), len(sick)), (sum(r.verdict != "right" for r in well), len(well)),
            (sum(fix >= MOST for fix in fixes), len(fixes)),
        )  # fmt: skip
        lines.append(f"| {name} | {' | '.join(share(*cell) for cell in cells)} |")
    seconds = [row.seconds for row in rows if row.seconds]
    lines += ["", f"Median time {np.median(seconds or [0.0]):.1f} s, longest {max(seconds, default=0.0):.1f} s."]
    failed = [f"- {row}" for row in rows if row.verdict != "right" or (row.fix is not None and row.fix < MOST)]
    return "\n".join([*lines, "", "## Failures", "", *(failed or ["None."])])


def share(hits: int, count: int) -> str:
    if not count:
        return "-"
    low, high = wilson(hits, count)
    return f"{hits} of {count} ({low:.0%} to {high:.0%})"


def loaded(path: Path | None) -> dict[str, Any]:
    """The cases of a module by its path; our own without one."""
    if path is None:
        from bench.clinic import question_cases

        return dict(question_cases.CASES)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{path} is not a module of Python")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return dict(module.CASES)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.clinic.questions", description=__doc__)
    parser.add_argument("path", nargs="?", type=Path, help="a module of cases")
    parser.add_argument("--only", default="", help="only the cases whose name contains this")
    parser.add_argument("--budget", type=float, default=30.0, help="seconds for each (%(default)s)")
    options = parser.parse_args(arguments)
    outcomes = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, case in loaded(options.path).items():
            if options.only in name:
                outcomes.append(asked(case, budget_s=options.budget))
                print(outcomes[-1], flush=True)
    print(f"\n{table(outcomes)}")


if __name__ == "__main__":
    main()

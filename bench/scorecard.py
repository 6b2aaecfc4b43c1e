"""How often is the diagnosis right? `python -m bench.scorecard [--half tuning|unseen] [--only NAME] [--fresh]`

Each problem of bench.clinic.problems is trained from a seed that its check has not used and given to
tg.clinic.diagnose, which knows neither goal nor fault. A fix is proved if the change of the first cause reaches the
problem's own goal from at least four of five fresh seeds. Results are kept in out/scorecard.json: what was interrupted
goes on, and what was measured of other sources of the clinic or of the problems is measured again. The table goes to
out/scorecard.md.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tqdm import tqdm

from bench.clinic import repairer, scorecard_table
from bench.clinic.problems import FIRST_SEED, HALVES, PROBLEMS, chosen
from bench.clinic.problems_kinds import Problem, score
from tinygrad_edu.errors import TinygradError

ROOT = Path(__file__).parents[1]
BUDGET = 30.0  # seconds, the default of diagnose; raise it if others use the machine too
SEED = 100  # offset from the first seed of each half: the check uses the first five


@dataclass(frozen=True)
class Result:
    """One diagnosis. named: the codes of its causes, best first, or "healthy"; fixed: None where nothing can repair it.

    rival: what the random repairer named; rival_fixed, whether that holds; trials, those of the diagnosis.
    """

    name: str
    named: tuple[str, ...]
    seconds: float
    trials: int
    score: float
    fixed: bool | None = None
    rival: str = ""
    rival_trials: int = 0
    rival_fixed: bool = False
    summary: str = ""
    source: str = ""


def judged(problem: Problem, budget: float = BUDGET, rival: bool = True) -> Result:
    """Train the problem, diagnose it, and try the fix."""
    import tinygrad_edu as tg

    subject = problem.train(FIRST_SEED[problem.half] + SEED)
    begin = time.perf_counter()
    with repairer.counted_trials() as trials, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            diagnosis = tg.clinic.diagnose(*subject, budget_s=budget)
        except TinygradError as error:  # an error counts as a wrong diagnosis
            diagnosis = tg.clinic.Diagnosis(None, [], summary=f"{type(error).__name__}: {error}")
    seconds = time.perf_counter() - begin
    named = tuple(cause.code for cause in diagnosis.causes) or (("healthy",) if diagnosis.healthy else ("unknown",))
    fixed = holds(problem, diagnosis) if problem.repairable else None
    repair = repairer.Repair("", 0, False)
    if rival and problem.repairable and not problem.lottery:
        repair = repairer.random_repair(problem, subject, max(1, len(trials)))
    return Result(
        problem.name, named, seconds, len(trials), score(*subject), fixed, repair.code, repair.trials, repair.holds,
        diagnosis.summary, fingerprint(),
    )  # fmt: skip


def holds(problem: Problem, diagnosis: Any) -> bool:
    """Does the change of the first cause reach the problem's goal? Of a seed, the model that was trained from it."""
    if not diagnosis.causes or not diagnosis.causes[0].change:
        return False
    cause, task = diagnosis.causes[0], diagnosis.task
    if "seed" in cause.change:
        return max(repairer.worth(run.estimate, task) for run in cause.trial.runs) >= problem.goal
    return repairer.repairs(diagnosis.setup.but(cause.change), task, repairer.FRESH, problem.goal)


@cache
def fingerprint() -> str:
    """Of the sources that a result depends on, when they were loaded."""
    clinic, problems = ROOT / "tinygrad_edu" / "clinic" / "diagnosis", ROOT / "bench" / "clinic"
    files = [*sorted(clinic.rglob("*.py")), *sorted(problems.glob("problems*.py"))]
    assert len(files) > 1, f"no sources at {clinic} and {problems}"
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()[:16]


def kept(path: Path) -> dict[str, Result]:
    """The results of an earlier run, of the same sources."""
    if not path.exists():
        return {}
    now = fingerprint()
    rows = json.loads(path.read_text(encoding="utf-8"))
    return {name: Result(**{**row, "named": tuple(row["named"])}) for name, row in rows.items() if row["source"] == now}


def write(path: Path, results: Mapping[str, Result]) -> None:
    """In one step, so that an interrupted run leaves the file whole."""
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps({name: asdict(r) for name, r in results.items()}, indent=1), encoding="utf-8")
    draft.replace(path)


def measured(
    problems: Iterable[Problem], path: Path, results: dict[str, Result], budget: float, rival: bool
) -> dict[str, Result]:
    """Results for all problems; those that are there are not measured again."""
    bar = tqdm([p for p in spread(problems) if p.name not in results], unit="problem", disable=None)
    for problem in bar:
        bar.set_description(problem.name)
        results[problem.name] = judged(problem, budget, rival)
        write(path, results)
    return results


def spread(problems: Iterable[Problem]) -> list[Problem]:
    """The first of each code, then the second of each, so that an interrupted run has seen all kinds."""
    met: Counter[str] = Counter()
    turns = []
    for problem in problems:
        met[problem.code] += 1
        turns.append((met[problem.code], problem))
    return [problem for _, problem in sorted(turns, key=lambda pair: pair[0])]


def unique(problems: Sequence[Problem]) -> Sequence[Problem]:
    names = [p.name for p in problems]
    assert len(set(names)) == len(names), "two problems have one name"
    return problems


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.scorecard", description=__doc__)
    parser.add_argument("--half", choices=HALVES)
    parser.add_argument("--only", help="only the problems whose name contains this")
    parser.add_argument("--fresh", action="store_true", help="measure again what was measured")
    parser.add_argument("--budget", type=float, default=BUDGET, help="seconds for each diagnosis (%(default)s)")
    parser.add_argument("--no-rival", action="store_true", help="leave the random repairer out")
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for scorecard.md (%(default)s)")
    options = parser.parse_args(arguments)
    unique(PROBLEMS)
    problems = chosen(options.half, options.only)
    if not problems:
        raise SystemExit(f"no problem is called {options.only!r}; `python -m bench.clinic.problems` lists them")
    options.out.mkdir(parents=True, exist_ok=True)
    store = options.out / "scorecard.json"
    results = {} if options.fresh else kept(store)
    try:
        measured(problems, store, results, options.budget, not options.no_rival)
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on from here")
    done = [p for p in problems if p.name in results]
    text = scorecard_table.markdown(done, results)
    (options.out / "scorecard.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()

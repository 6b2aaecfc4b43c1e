"""The command `python -m bench`: choose rows, measure each in its own process, report."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

from tqdm import tqdm

from bench.speed import chart, readme
from bench.speed.child import Result, in_own_process
from bench.speed.report import markdown
from bench.speed.workload import Workload
from bench.speed.workloads import ROWS
from tinygrad_edu.cli.options import positive


class MeasurementError(RuntimeError):
    """Rows that could not be measured."""


# name → rounds; under two minutes on two cores at 2.5 GHz, with imports and compilation
SUBSET = {
    "moons step, tape": 9,
    "eager chain, soft": 31,
    "train 2-16-16-1": 5,
    "train 2-3-1 online": 3,
    "train 900-64-10 batch 128": 5,
    "elementwise": 31,
    "first call": 1,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """`python -m bench [NAME ...] [--quick] [--rounds N] [--out FOLDER] [--readme]`."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", help="parts of the names of rows; all when none is given")
    parser.add_argument("--quick", action="store_true", help="the rows that take two minutes together")
    parser.add_argument("--rounds", type=positive, help="runs of each peer, in place of the row's own number")
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for bench.md and bench.svg (%(default)s)")
    parser.add_argument("--readme", action="store_true", help="write README.md's table and chart too, of all rows")
    options = parser.parse_args(arguments)
    try:
        run(options.names, options.quick, options.rounds, options.out, options.readme)
    except (LookupError, MeasurementError) as problem:
        raise SystemExit(str(problem)) from None
    except KeyboardInterrupt:
        raise SystemExit("\ninterrupted") from None


def run(names: Sequence[str], quick: bool, rounds: int | None, out: Path, for_readme: bool = False) -> None:
    """Measure, print the report and write it. Errors: LookupError for a name, MeasurementError after the report."""
    if for_readme and (names or quick):
        raise LookupError("--readme is for all rows: name none, and leave --quick out")
    plan = {name: rounds or own for name, own in planned(names, quick).items()}
    out.mkdir(parents=True, exist_ok=True)  # fails before the minutes are spent, not after
    results = measured(plan)
    rows = [ROWS[name] for name in plan]
    picture, report = out / "bench.svg", out / "bench.md"
    drawn = chart.write(rows, results, picture)
    day = f"{date.today():%d %B %Y}"
    text = markdown(rows, results, day, picture.name if drawn else "")
    report.write_text(text, encoding="utf-8")
    print(f"{text}\nwrote {report}")
    print(f"wrote {picture}" if drawn else "no ratio to draw" if chart.available() else chart.ADVICE)
    failed = [name for name, result in results.items() if result.failure]
    if failed:
        raise MeasurementError(f"could not be measured: {', '.join(failed)}; {report} says why")
    if for_readme:
        readme.write(results, day)
        print(f"wrote {readme.README} and {readme.CHART}")


def planned(names: Sequence[str], quick: bool) -> dict[str, int]:
    """Rounds of each chosen row."""
    table = SUBSET if quick else {name: row.rounds for name, row in ROWS.items()}
    plan = {name: rounds for name, rounds in table.items() if any(part in name for part in names or [""])}
    if not plan:
        raise LookupError(f"no row is called {' or '.join(map(repr, names))}; there are: {', '.join(table)}")
    return plan


def measured(plan: Mapping[str, int]) -> dict[str, Result]:
    """Each row in its own process; a bar on standard error in a terminal."""
    results = {}
    with tqdm(total=sum(plan.values()), unit="round", disable=None, leave=False, file=sys.stderr) as bar:
        for name, rounds in plan.items():
            bar.set_description(name)
            row = ROWS[name]
            if isinstance(row, Workload) or not row.missing():  # a workload is measured even if its peers are missing
                results[name] = in_own_process(row, rounds, bar.update)
    return results

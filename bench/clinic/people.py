"""How does the examiner serve programs of people? `python -m bench.clinic.people [CASES.py ...] [--only NAME]`

Our own programs (FILES), each wrong and each as its right twin; and files of programs that others wrote, given by
their path, which have CASES, EXPECTED, ask and judge. A wrong program is right if the first line pointed at is the line
of the mistake, or if the mistake is named with certainty and by its true name (TRUE_NAMES). A certain name that is not
the true one is `misnamed`, and counts as wrong.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from collections import Counter
from collections.abc import Collection
from math import sqrt
from pathlib import Path
from statistics import median
from typing import Any

from bench.clinic import people_cells, people_course, people_layers, people_networks, people_steps
from bench.clinic.people_parts import COURSE, PROGRAMS, Handed

# importing these files fills PROGRAMS
FILES = (people_course, people_layers, people_networks, people_cells, people_steps)
MARK = "# SLIP"
TRUE_NAMES = {  # programs in which the line is not named first
    "lists_of_lists_network": {"not_transposed"},
    "lists_of_arrays_as_in_a_book": {"wrong_activation_derivative"},
    "average_pooling_without_its_share": {"constant_factor"},
    "adam_in_mid_training": {"adam_bias_correction_without_power"},
    "clipped_to_a_norm": {"update_assigned"},
}


def wilson(right: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927).

    >>> [round(x, 3) for x in wilson(17, 18)]
    [0.742, 0.99]
    """
    if not n:
        return 0.0, 1.0
    p, d = right / n, 1.0 + z * z / n
    middle, half = (p + z * z / (2 * n)) / d, z * sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / d
    return middle - half, middle + half


def examine(handed: Handed) -> Any:
    """The program at the door."""
    from tinygrad_edu import clinic

    if handed.step is not None:
        return clinic.check_program(handed.obj, step=handed.step, loss=handed.loss, lr=handed.lr)
    return clinic.check_backprop(handed.forward, handed.params, handed.backward)


def verdict(report: Any, wrong: bool, names: Collection[str] = ()) -> str:
    """right · named (truly) · misnamed · listed (the line, not first) · honest (nothing certain) · accused · missed."""
    if not wrong:
        return "right" if report.ok else "accused"
    if report.ok:
        return "missed"
    pointed = [MARK in place.source for place in report.places]
    if pointed[:1] == [True]:
        return "right"
    if report.certain:
        return "named" if {slip.code for slip in report.explanations[0]} <= {*names} else "misnamed"
    return "listed" if any(pointed) else "honest"


def judged(name: str, wrong: bool) -> tuple[str, str, float]:
    """(verdict, what was said, seconds of this thread)."""
    begin = time.thread_time()
    try:
        report = examine(PROGRAMS[name](wrong))
    except Exception as error:
        return "crash", f"{type(error).__name__}: {error}".split("\n")[0], time.thread_time() - begin
    said = [str(slip) for slip in (report.explanations or [()])[0]] if report.certain else []
    said += [f"line {place.line}: {place.source}" for place in report.places[:1]]
    return verdict(report, wrong, TRUE_NAMES.get(name, ())), "; ".join(said), time.thread_time() - begin


TIMES: dict[str, list[float]] = {}  # kind of program → CPU seconds of each program, for the card


def own(only: str = "") -> Counter[str]:
    """Our own programs, a line each."""
    counts: Counter[str] = Counter()
    for name in PROGRAMS:
        for wrong in (True, False) if only in name else ():
            found, said, seconds = judged(name, wrong)
            kind = "right twin" if not wrong else "course" if name in COURSE else "wrong"
            counts[f"{kind}: {found}"] += 1
            TIMES.setdefault(kind, []).append(seconds)
            print(f"{found:8s} {kind:10s} {name} {seconds:.2f} s: {said[:150]}", flush=True)
    return counts


def of_file(path: str, only: str = "") -> Counter[str]:
    """The programs of a file, by its own `ask` and `judge`, as their authors hand them over."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    counts: Counter[str] = Counter()
    for name in module.CASES:
        if only in name:
            outcome, report, seconds, which = module.ask(name, 0)
            found, said = module.judge(name, module.CASES[name]()[0], outcome, report)
            kind = "wrong" if module.EXPECTED[name]["wrong"] else "right program"
            counts[f"{kind}: {found.lower()}"] += 1
            TIMES.setdefault(kind, []).append(seconds)
            print(f"{found.lower():8s} {kind:10s} {name} {which} {seconds:.2f} s: {said[:150]}", flush=True)
    return counts


def card(title: str, counts: Counter[str]) -> str:
    """Shares with their intervals; `named` is the true name whose line was not first, and counts as right."""
    lines = [f"{title}", "| programs | n | right | 95 % interval | others |", "|---|---|---|---|---|"]
    for kind in dict.fromkeys(key.split(": ")[0] for key in counts):
        found = {key.split(": ")[1]: n for key, n in counts.items() if key.startswith(f"{kind}: ")}
        n, right = sum(found.values()), found.get("right", 0) + found.get("named", 0)
        low, high = wilson(right, n)
        rest = ", ".join(f"{n} {key}" for key, n in sorted(found.items()) if key not in ("right", "named"))
        lines.append(f"| {kind} | {n} | {right / n:.0%} | {low:.0%} to {high:.0%} | {rest} |")
    return "\n".join(lines)


def median_time() -> str:
    """The median over all first hand-overs, right and wrong, and of each kind."""
    times = {"all": [x for xs in TIMES.values() for x in xs], **TIMES}
    return "median time: " + ", ".join(f"{kind} {median(xs):.2f} s (n = {len(xs)})" for kind, xs in times.items() if xs)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.clinic.people")
    parser.add_argument("files", nargs="*", help="files of programs with CASES, EXPECTED, ask and judge")
    parser.add_argument("--only", default="", help="programs with this in their name")
    chosen = parser.parse_args()
    cards = [card("own programs", own(chosen.only))]
    cards += [card(Path(path).name, of_file(path, chosen.only)) for path in chosen.files]
    print("", *cards, "", median_time(), sep="\n")


if __name__ == "__main__":
    main()

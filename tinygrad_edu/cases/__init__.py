"""Nine real networks that did not converge: each case reproduces the problem, proves the cause, and shows the cure.

Each module has `run(out, quick)`, which returns a Report and writes a picture, and the few functions it needs.

>>> from tinygrad_edu.cases import by_hand
>>> [round(output, 4) for output in by_hand.course(by_hand.their_update, 1000)[-1]]
[0.5, 0.9893]
"""

from __future__ import annotations

import importlib
import re
from dataclasses import replace
from pathlib import Path

from tinygrad_edu.cases.report import Figure, Report, Trial
from tinygrad_edu.errors import NameNotFoundError, TinygradError, unknown_name

# name: what it is about
CASES = {
    "body_metrics": "MLPClassifier on eleven people: four runs end after 200, 39, 4 and 158 epochs",
    "grid_search": "which activation, solver and width are best for them?",
    "or_xor": "2-3-1 on OR and XOR: 99% after 100 epochs promised, 97% after 1,900 seen",
    "image_order": "images in one folder per class: does their order matter?",
    "one_one_one": "a 1-1-1 network: outputs go to the mean, a weight to infinity",
    "delta_rule": "the delta rule on AND: why is it better without σ'?",
    "lynx_elman": "an Elman network on the lynx series: how many iterations until convergence?",
    "robbins_monro": "what do Σα = ∞ and Σα² < ∞ mean?",
    "by_hand": "a 2-2-2 network in plain Python gives 0.5 instead of 0.01",
}

__all__ = ["CASES", "Figure", "Report", "Trial", "run"]


def run(name: str, out: str | Path = "out", quick: bool = False, picture: bool = True) -> Report:
    """Run a case by its name, or its number in the list; its picture goes to `out`/NAME.png.

    name: the name of a case, or its number in the list.
    out: the folder for the picture; "out".
    quick: fewer seeds or a shorter run; the published figures are still reproduced.
    picture: whether to draw the picture; True.
    Errors: NameNotFoundError for an unknown case; OSError if the picture cannot be written;
    TinygradError if scikit-learn is missing and the case needs it.

    >>> run("lynx_elmann")
    Traceback (most recent call last):
        ...
    tinygrad_edu.errors.NameNotFoundError: unknown case 'lynx_elmann'. Did you mean 'lynx_elman'? Known: ...
    """
    name = name_of_case(name)
    try:
        module = importlib.import_module(f"{__name__}.{name}")
    except ImportError as problem:  # two of the cases need scikit-learn
        raise TinygradError(str(problem)) from problem
    report: Report = module.run(quick)
    return replace(report, picture=report.drawn(Path(out))) if picture else report


def name_of_case(text: str) -> str:
    """The name of a case, which may be given by its number or by the program that shows it.

    >>> name_of_case("2"), name_of_case("case_2_grid_search.py"), name_of_case("grid_search")
    ('grid_search', 'grid_search', 'grid_search')
    """
    names, number = [*CASES], re.match(r"(?:case[ _-]?)?(\d+)(?:_\w+)?(?:\.py)?$", str(text))
    if number and 1 <= int(number[1]) <= len(names):
        return names[int(number[1]) - 1]
    if number:
        raise NameNotFoundError(f"unknown case {text!r}: the cases are 1 to {len(names)}, or {', '.join(names)}")
    if text not in CASES:
        raise unknown_name("case", text, CASES)
    return text

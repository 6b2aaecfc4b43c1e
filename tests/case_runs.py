"""Each case run once, shortened, for all tests that look at its report."""

import runpy
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
NUMBERS = {
    "body_metrics": 1, "grid_search": 2, "or_xor": 3, "image_order": 4, "one_one_one": 5, "delta_rule": 6,
    "lynx_elman": 7, "robbins_monro": 8, "by_hand": 9,
}  # fmt: skip
NEED_SCIKIT_LEARN = ("body_metrics", "grid_search")


def example(name):
    return EXAMPLES / f"case_{NUMBERS[name]}_{name}.py"


@pytest.fixture(scope="session")
def ran(tmp_path_factory):
    """The report of a case, from its example, run once in a folder of its own."""
    pytest.importorskip("matplotlib")
    folder, found = tmp_path_factory.mktemp("cases"), {}

    def report(name):
        if name in NEED_SCIKIT_LEARN:
            pytest.importorskip("sklearn")
        if name not in found:
            with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():  # two examples set a warning filter
                patch.chdir(folder)
                patch.setattr(sys, "argv", [str(example(name)), "--quick"])
                found[name] = runpy.run_path(str(example(name)))["report"]
        return replace(found[name], picture=folder / found[name].picture)

    return report


def trials(report):
    return {trial.change: trial for trial in report.trials}

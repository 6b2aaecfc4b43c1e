"""The engine in a browser's Python: Pyodide, in node, without NumPy and all else that is no plain Python."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tinygrad_edu import Value, ops
from tinygrad_edu.core.operation import TABLE

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
PYODIDE = ROOT / ".venv" / "node_modules" / "pyodide"  # from `npm install --prefix .venv pyodide`, as in .ci/run
RTOL = 1e-12  # another C library rounds differently: 2e-15 at most in what is measured here
PLAIN = [name for name, row in TABLE.items() if row.partials is not None and not row.defaults]

PROGRAM = """
import doctest, json, importlib
from tinygrad_edu import Value, ops
for name in ["value", "elementary", "transforms.scalar_transforms", "graph"]:
    found = doctest.testmod(importlib.import_module("tinygrad_edu.core." + name))
    assert found.failed == 0 and found.attempted > 0, (name, found)
found = {}
for name, point in POINTS.items():
    leaves = [Value(x) for x in point]
    try:
        y = getattr(ops, name)(*leaves)
    except ImportError as error:
        found[name] = str(error)
        continue
    y.backward()
    found[name] = [y.data, *[x.grad for x in leaves]]
print(json.dumps(found))
"""


PROGRAMS = {
    "operations": PROGRAM,
    **{
        name: f"exec(open('/checkout/examples/{name}.py').read(), {{'__name__': '__main__'}})"
        for name in ["01_chain_rule_by_hand", "02_with_value", "04_gradient_descent"]
    },
    "drawing": "import tinygrad_edu as tg\nprint(tg.draw(tg.Value(2.0) * 3.0))",
}
# One start of Pyodide for all programs, because it takes most of the time: name -> [output, error].
RUN_ALL = """
import contextlib, io, json, traceback
said = {}
for name, text in PROGRAMS.items():
    printed, error = io.StringIO(), ""
    with contextlib.redirect_stdout(printed):
        try:
            exec(text, {"__name__": "program", "POINTS": POINTS})
        except BaseException:
            error = traceback.format_exc()
    said[name] = [printed.getvalue(), error]
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    """What each of the programs printed under Pyodide."""
    node, folder = shutil.which("node"), Path(os.environ.get("PYODIDE", PYODIDE))
    if node is None or not (folder / "pyodide.mjs").is_file():
        pytest.skip(f"needs node and {folder}: npm install --prefix .venv pyodide")
    program = tmp_path_factory.mktemp("pyodide") / "program.py"
    points = {name: inside(TABLE[name]) for name in PLAIN}
    program.write_text(f"POINTS = {points!r}\nPROGRAMS = {PROGRAMS!r}\n{RUN_ALL}", encoding="utf-8")
    command = [node, str(ROOT / "tests" / "pyodide.mjs"), str(folder), str(ROOT), str(program)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)  # about 8 s of CPU time
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]  # node prints its whole runtime before the error
    return json.loads(done.stdout.splitlines()[-1])


def inside(row):
    """A point inside the domain of an operation, whose last interval holds for all further arguments."""
    intervals = [*row.domain[0], *[row.domain[0][-1]] * len(row.parameters)][: len(row.parameters)]
    return [low + share * (high - low) for (low, high), share in zip(intervals, (0.4, 0.7, 0.55), strict=False)]


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_ends_without_an_error(printed, name):
    assert printed[name][1] == ""


def test_every_operation_on_values_is_the_same(printed):
    points, there = {name: inside(TABLE[name]) for name in PLAIN}, json.loads(printed["operations"][0].splitlines()[-1])
    without = {name for name, found in there.items() if isinstance(found, str)}
    assert len(without) < len(points) / 4, without
    assert all("scipy" in there[name] for name in without)  # an error that names the package, not a traceback
    for name in points.keys() - without:
        leaves = [Value(x) for x in points[name]]
        y = getattr(ops, name)(*leaves)
        y.backward()
        assert there[name] == pytest.approx([y.data, *[x.grad for x in leaves]], rel=RTOL, nan_ok=True), name


@pytest.mark.parametrize("name", [name for name in PROGRAMS if name[0].isdigit()])
def test_a_program_of_the_tutorial_prints_its_evidence(printed, name):
    assert len(printed[name][0].splitlines()) > 5


def test_a_drawing_without_graphviz_says_what_is_missing(printed):
    assert "No picture without Graphviz" in printed["drawing"][0]

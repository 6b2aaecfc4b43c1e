"""The engine can be read in an hour: what the reading order names is there, and is not too much."""

import re
from pathlib import Path

import tinygrad_edu.core

FOLDER = Path(tinygrad_edu.core.__file__).parent
PAGE = (FOLDER.parents[1] / "docs/explanation/read-the-engine.md").read_text(encoding="utf-8")
ORDER = tinygrad_edu.core.__doc__


def lines_of(names):
    return sum(len((FOLDER / f"{name}.py").read_text(encoding="utf-8").splitlines()) for name in names)


def modules(text):
    return [name for name in re.findall(r"`(\w+)(?:\.py|/)?`", text) if is_there(name)]


def is_there(name):
    """A file or a folder of the engine."""
    return (FOLDER / f"{name}.py").exists() or (FOLDER / name / "__init__.py").exists()


def test_every_module_that_is_named_is_there():
    named = re.findall(r"^ *\d+\. ((?:`\w+/?`(?:, )?)+)", ORDER, re.MULTILINE)
    steps = [name for line in named for name in re.findall(r"\w+", line)]
    assert len(named) == 10
    assert [name for name in steps if not is_there(name)] == []
    assert set(steps) - {"reductions"} <= set(modules(PAGE))


def test_the_first_hour_is_short():
    scalar, arrays = ["graph", "value", "operators"], ["operation", "tensor", "backward", "broadcasting", "linalg"]
    assert lines_of(scalar) <= 600
    assert lines_of(arrays) <= 1200


def test_an_operator_and_a_method_are_found_by_their_names():
    found = {
        name: [path.name for path in FOLDER.glob("*.py") if f"def {name}(" in path.read_text(encoding="utf-8")]
        for name in ("__mul__", "__add__", "__pow__", "__rsub__", "__neg__", "tanh", "relu", "exp")
    }
    assert all("operators.py" in files for files in found.values()), found

"""Every public function and class says in its docstring what each of its arguments is."""

import ast
import inspect
import re
from pathlib import Path
from types import ModuleType

import pytest

import tinygrad_edu as tg
from tinygrad_edu.nn import init

PACKAGE = Path(tg.__file__).parent
# Classes that users read but never call: their fields are attributes, described together.
RESULTS = {
    "BackpropReport", "Diagnosis", "Figure", "FoundPlace", "FoundSlip", "Grade", "Plateau", "Report", "Run", "Schedule",
    "Verdict",
}  # fmt: skip
# Arguments named after scikit-learn's, or passed by whatever calls a user's function.
OF_OTHERS = {"MLPClassifier", "MLPRegressor", *init.__all__}
PASSED_ON = {"args", "kwargs", "options", "settings", "named", "arguments", "parameters"}


def public():
    """(its name, what it is) of everything in the `__all__` of the package and of its public modules."""
    modules = [x for name in tg.__all__ if isinstance(x := getattr(tg, name), ModuleType)]
    seen = set()
    for module in (tg, *modules, tg.optim.schedules):
        for name in getattr(module, "__all__", ()):
            x = getattr(module, name)
            if callable(x) and not isinstance(x, ModuleType) and id(x) not in seen:
                seen.add(id(x))
                yield f"{module.__name__}.{name}", x


def without_a_line(x):
    """The arguments that have no line of their own in the docstring: `name: what it is`, or `this, that: ...`."""
    try:
        parameters = inspect.signature(x).parameters.values()
    except (TypeError, ValueError):
        return []
    lines = re.findall(r"^ *(\w+(?:, \w+)*): ", inspect.getdoc(x) or "", re.MULTILINE)
    told = {name for line in lines for name in line.split(", ")} | PASSED_ON
    named = [p.name for p in parameters if p.kind is not p.VAR_KEYWORD and p.name[0] != "_"]
    return [name for name in named if name not in told]


PUBLIC = {
    name: x
    for name, x in public()
    if x.__name__ not in RESULTS | OF_OTHERS and not (isinstance(x, type) and issubclass(x, Exception))
}


@pytest.mark.parametrize("name", PUBLIC)
def test_every_argument_is_named(name):
    assert not without_a_line(PUBLIC[name])


def inside_a_line(x):
    """The arguments whose meaning begins after other sentences of the same line, where nobody who scans finds it."""
    doc = inspect.getdoc(x) or ""
    return [name for name in inspect.signature(x).parameters if re.search(rf"[.;)] {name}(?:, \w+)*: ", doc)]


@pytest.mark.parametrize("name", PUBLIC)
def test_every_argument_has_a_line_of_its_own(name):
    assert not inside_a_line(PUBLIC[name])


def test_an_argument_inside_a_line_is_found():
    def f(x, y):
        """x: a number. y: another."""

    assert inside_a_line(f) == ["y"]


def test_a_missing_line_is_found():
    def f(x, y, z):
        """The sum of x and y.

        x: a number; xy is another word.
        """

    assert without_a_line(f) == ["y", "z"]


@pytest.mark.parametrize("name", [*PUBLIC, *(f"ops.{name}" for name in dir(tg.ops) if callable(getattr(tg.ops, name)))])
def test_it_can_be_read_by_itself(name):
    """Beside nothing else, "the same for images" is a riddle; and arguments in one paragraph cannot be scanned."""
    x = PUBLIC.get(name) or getattr(tg.ops, name.removeprefix("ops."))
    doc = inspect.getdoc(getattr(x, "function", x)) or ""
    assert not re.match(r"The same\b(?! (numbers?|network|training)\b)", doc)
    assert "Args: `" not in doc


def test_percentages_are_written_without_a_space():
    """ "96%" in the one place and "90 %" in the other stood on one card."""
    for file in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert not re.search(r"\d %(?![\w(])", node.value), (file, node.lineno)


def test_what_something_is_not_is_said_in_english():
    """ "is no number" stood in 76 places; of things that do not exist ("there is no ...") it is right."""
    said = re.compile(r"(?<!there )\b(is|are) no (number|run|model|module|range|layer|network|estimator)s?\b", re.I)
    for file in sorted(PACKAGE.rglob("*.py")):
        assert not said.search(file.read_text(encoding="utf-8")), file

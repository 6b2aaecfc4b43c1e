"""The size budgets and the one-way import rule of CONTRIBUTING.md, read off the source of tinygrad_edu."""

import ast
import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import median

import pytest

ROOT = Path(__file__).parents[1]
MEDIAN_BODY, LONGEST_FUNCTION, LONGEST_FILE = 7, 45, 350
SHAPELESS = {"utils", "helpers", "misc"}  # names that do not say what a module contains
ROOMS = [
    "spelling",
    "foreign_arguments",
    "foreign_names",
    "errors",
    "pen",
    "packages",
    "whole_files",
    "interrupts",
    "elsewhere",
    "checks",
    "names",
    "core",
    "ops",
    "stats",
    "compile",
    "nn",
    "optim",
    "data",
    "charts",
    "train",
    "estimators",
    "interop",
    "draw",
    "clinic",
    "cases",
    "reporting",
    "course",
]
TOP = {"demo", "cli", "expression", "__init__", "__main__"}

FOLDERS = sorted(path.parent for path in (ROOT / "tinygrad_edu").rglob("__init__.py"))[1:]  # without the package itself

OF_LEARNERS = {"net.py", "01_chain_rule.py", "02_mlp_layer.py"}  # files that examples name
FILES = {
    "/".join(path.parts[start:])  # with any of the folders above it
    for folder in ("tinygrad_edu", "tests", "bench", "docs", "examples")
    for path in (ROOT / folder).rglob("*.py")
    for start in range(-len(path.relative_to(ROOT).parts), 0)
}

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    path: Path  # from the root of the checkout
    text: str

    @property
    def parts(self) -> tuple[str, ...]:
        return self.path.with_suffix("").parts

    @property
    def name(self) -> str:
        return ".".join(self.parts).removesuffix(".__init__")

    @cached_property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    @cached_property
    def nodes(self) -> list[ast.AST]:
        return list(ast.walk(ast.parse(self.text)))

    @cached_property
    def functions(self) -> list[Function]:
        return [node for node in self.nodes if isinstance(node, Function)]

    def at(self, line: int, text: str) -> str:
        return f"{self.path.as_posix()}:{line}: {text}"


def read(root: Path, folder: str = "tinygrad_edu") -> list[Module]:
    files = sorted((root / folder).rglob("*.py"))
    return [Module(file.relative_to(root), file.read_text(encoding="utf-8")) for file in files]


# Sizes


def body_length(module: Module, function: Function) -> int:
    """Lines from the first statement on, without the docstring and blank lines."""
    body = function.body[ast.get_docstring(function) is not None :]
    lines = module.lines[body[0].lineno - 1 : function.end_lineno] if body else []
    return sum(bool(line.strip()) for line in lines)


def total_length(function: Function) -> int:
    return function.end_lineno - min(node.lineno for node in (function, *function.decorator_list)) + 1


def median_function_is_short(modules: list[Module]) -> list[str]:
    sizes = [(body_length(m, f), m.at(f.lineno, f.name)) for m in modules for f in m.functions]
    middle = median(size for size, _ in sizes) if sizes else 0
    longest = [f"{place} has {size}" for size, place in sorted(sizes, reverse=True)[:10]]
    return [f"the median body has {middle:g} lines, budget {MEDIAN_BODY}", *longest] * (middle > MEDIAN_BODY)


def no_function_is_long(modules: list[Module]) -> list[str]:
    sizes = [(total_length(f), m.at(f.lineno, f.name)) for m in modules for f in m.functions]
    return [f"{place} has {n} lines, budget {LONGEST_FUNCTION}" for n, place in sizes if n > LONGEST_FUNCTION]


def no_file_is_long(modules: list[Module]) -> list[str]:
    sizes = [(len(module.lines), module) for module in modules]
    return [m.at(n, f"{n} lines, budget {LONGEST_FILE}") for n, m in sizes if n > LONGEST_FILE]


def no_name_is_shapeless(modules: list[Module]) -> list[str]:
    shapeless = [m for m in modules if SHAPELESS & {part.strip("_") for part in m.parts}]
    return [module.at(1, "name it after what it holds") for module in shapeless]


def files_that_are_named_are_there(modules: list[Module]) -> list[str]:
    """A comment or docstring that names a file leads nowhere once the file has another name or folder."""
    names = [
        (module.at(number, name), name)
        for module in modules
        for number, line in enumerate(module.lines, 1)
        for name in re.findall(r"\b[\w/]*\w\.py\b", line)
    ]
    return [
        f"{place} is not there" for place, name in names if name not in FILES and Path(name).name not in OF_LEARNERS
    ]


# Imports


def imports(module: Module, nodes: Iterable[ast.AST]) -> Iterator[tuple[int, str]]:
    """(line, absolute name) of each import from this package; `from a import b` gives a.b."""
    for node in nodes:
        if isinstance(node, ast.ImportFrom):
            base = [*module.parts[: -node.level], node.module or ""] if node.level else [node.module]
            names = [".".join(filter(None, [*base, alias.name])) for alias in node.names]
        else:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        yield from ((node.lineno, name) for name in names if name.split(".")[0] == "tinygrad_edu")


def every_file_has_a_room(modules: list[Module]) -> list[str]:
    return [m.at(1, f"{m.parts[1]} is not a room") for m in modules if m.parts[1] not in TOP.union(ROOMS)]


def imports_run_one_way(modules: list[Module]) -> list[str]:
    def floor(room: str) -> int:
        return ROOMS.index(room) if room in ROOMS else len(ROOMS)

    return [
        module.at(line, f"{module.parts[1]} (floor {floor(module.parts[1])}) imports {name} (floor {above})")
        for module in modules
        for line, name in imports(module, module.nodes)
        if (above := floor(f"{name}.".split(".")[1])) > floor(module.parts[1])
    ]


def nearest(name: str, known: set[str]) -> str:
    """The module that holds a dotted name: the longest part of it that is a module."""
    while name and name not in known:
        name = name.rpartition(".")[0]
    return name


def way(graph: dict[str, set[str]], start: str, goal: str) -> list[str]:
    """A shortest way from start to goal along the imports, or []."""
    ways, seen = [[start]], {start}
    for path in ways:  # the list grows during the loop: breadth first
        if path[-1] == goal:
            return path
        ahead = graph.get(path[-1], set()) - seen
        ways += [[*path, name] for name in sorted(ahead)]
        seen |= ahead
    return []


def imports_have_no_cycle(modules: list[Module]) -> list[str]:
    """Wherever an import stands: in a function and under TYPE_CHECKING too, where it only hides the circle."""
    known = {module.name for module in modules}
    edges = {
        (module, line, nearest(name, known)): None  # a dict keeps the order and drops repeats
        for module in modules
        for line, name in imports(module, module.nodes)
        if nearest(name, known) != module.name  # `from . import x` in a package names the package itself
    }
    graph = {module.name: {to for source, _, to in edges if source is module} for module in modules}
    return [
        module.at(line, f"a cycle of {len(back)}: " + " -> ".join([module.name, *back]))
        for module, line, to in edges
        if (back := way(graph, to, module.name))
    ]


# Each check with the smallest trees that violate it, so that a check that never finds anything is found out.

CYCLE = {
    "core/a.py": "from . import b",
    "core/b.py": "try:\n    import tinygrad_edu.core.c as c\nfinally: pass",
    "core/c.py": "from .a import f",
    "core/d.py": "def f():\n    from . import a",
}
HIDDEN = {
    "core/a.py": "if TYPE_CHECKING:\n    from .b import B",
    "core/b.py": "def f():\n    from .a import A",
}
SLIPS = [
    (
        median_function_is_short,
        {"cli.py": "def f(x):\n    'Doc.'\n" + "    x += 1\n\n" * 8},
        "cli.py:1: f has 8",
    ),
    (no_function_is_long, {"cli.py": "@g\ndef f(x):\n" + "    x += 1\n" * 44}, "cli.py:2: f has 46 lines"),
    (no_file_is_long, {"nn/init.py": "x = 1\n" * 351}, "nn/init.py:351: 351 lines"),
    (no_name_is_shapeless, {"core/_utils.py": ""}, "core/_utils.py:1:"),
    (no_name_is_shapeless, {"misc/a.py": ""}, "misc/a.py:1:"),
    (files_that_are_named_are_there, {"cli.py": "# see core/values.py\n# and graph.py"}, "cli.py:1: core/values.py"),
    (every_file_has_a_room, {"loose.py": ""}, "loose.py:1: loose is not a room"),
    (
        imports_run_one_way,
        {"nn/a.py": "def f():\n    from .. import optim"},
        "nn/a.py:2: nn (floor",
    ),
    (
        imports_run_one_way,
        {"nn/__init__.py": "from ..optim.rules import sgd"},
        "nn/__init__.py:1: nn (floor",
    ),
    (imports_run_one_way, {"draw/a.py": "import tinygrad_edu as tg"}, "draw/a.py:1: draw (floor"),
    (
        imports_have_no_cycle,
        CYCLE,
        "core/b.py:2: a cycle of 3: tinygrad_edu.core.b -> tinygrad_edu.core.c ->",
    ),
    (imports_have_no_cycle, HIDDEN, "core/b.py:2: a cycle of 2: tinygrad_edu.core.b -> tinygrad_edu.core.a ->"),
]
CHECKS = list(dict.fromkeys(check for check, _, _ in SLIPS))


@pytest.fixture(scope="module")
def package() -> list[Module]:
    return read(ROOT)


@pytest.mark.parametrize("check", CHECKS)
def test_package(check, package):
    found = check(package)
    assert not found, "\n" + "\n".join(found)


def plant(root: Path, files: dict[str, str]) -> list[Module]:
    for name, text in files.items():
        path = root / "tinygrad_edu" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return read(root)


@pytest.mark.parametrize(("check", "files", "expected"), SLIPS)
def test_check_finds_the_slip(check, files, expected, tmp_path):
    assert f"tinygrad_edu/{expected}" in "\n".join(check(plant(tmp_path, files)))


def test_files_outside_the_package_are_no_longer_than_others():
    found = no_file_is_long([each for folder in ("tests", "examples", "bench", "docs") for each in read(ROOT, folder)])
    assert not found, "\n" + "\n".join(found)


def test_only_the_modules_of_a_cycle_are_blamed(tmp_path):
    found = imports_have_no_cycle(plant(tmp_path, CYCLE))
    assert [line.partition(":")[0] for line in found] == [f"tinygrad_edu/core/{x}.py" for x in "abc"]


def test_contributing_names_the_rooms_in_their_order():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    listed = text.partition("from the bottom up:")[2].partition("then, on top")[0]
    assert re.findall(r"`(\w+)`", listed) == ROOMS


def test_contributing_has_a_line_for_each_room_and_folder():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = text.partition("| room | what lives there |")[2].partition("\n\n")[0]
    named = set(re.findall(r"`([\w/]+)`", "".join(line.split("|")[1] for line in rows.splitlines()[2:])))
    folders = {path.relative_to(ROOT / "tinygrad_edu").as_posix() for path in FOLDERS}
    short = {f"clinic/diagnosis/{name}" for name in named}  # these share a row with the first of them
    assert folders - named - short == {"clinic", "clinic/diagnosis"} - named
    assert set(ROOMS) - named - {"ops", "clinic"} == set()


def test_contributing_justifies_every_dependency():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = [*project["dependencies"], *(x for extra in project["optional-dependencies"].values() for x in extra)]
    table = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("## Dependencies")[2].partition("\n## ")[0]
    rows = {name.strip() for row in re.findall(r"^\| ([\w, -]+) \|", table, re.M) for name in row.split(",")}
    assert {re.match(r"[\w-]+", name)[0] for name in named} - rows == set()


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_a_folder_says_where_to_begin_to_read(folder):
    """Its `__init__` says what lives there, and of more than four modules at least three in their order."""
    text = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))) or ""
    here = {path.stem for path in folder.iterdir()} - {"__init__"}
    named = [name for name in re.findall(r"\b(\w+)(?:\.py|/)|`(\w+)`", text) for name in name if name]
    missing = [
        name for name in re.findall(r"\b(\w+)\.py\b", text) if not list((ROOT / "tinygrad_edu").rglob(f"{name}.py"))
    ]
    assert text
    assert missing == []
    modules = [path for path in folder.glob("*.py") if path.stem != "__init__"]
    if len(modules) > 4 and folder.name != "cases":  # the cases are independent of each other
        assert len(here & set(named)) >= 3, text

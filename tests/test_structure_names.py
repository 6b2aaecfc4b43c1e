"""What CONTRIBUTING.md says of names and types: functions are verbs or nouns, and few parameters are `Any`."""

import ast
from collections import defaultdict
from collections.abc import Iterator

import pytest

from tests.test_structure import ROOT, Function, Module, plant, read

PARTICIPLES, ANY = 0.03, 0.10  # largest share of the functions (participles), and of the parameters (Any)
# Names that four files or more use for a function or class. Some mean the same everywhere (`is_number`, `find`, `run`
# and `draw` of each case), others something different in each file. None may be added.
FILES, REPEATED = 4, 20
TWINS = 8  # names that two classes share: a reader who meets one does not know which is meant. None may be added
IRREGULAR = (
    "become begun bent born bound bought broken brought built caught chosen dealt done drawn driven fallen fed felt "
    "forbidden forgotten found frozen given gone grown held hidden kept known laid led left lent lost made meant met "
    "paid said seen sent shaken shot shown slept slid sold spent spoken struck stuck sung swept taken taught thought "
    "told torn understood won worn woven written"
)  # words that are infinitives too, such as read and split, do not count as participles here
NO_PARTICIPLES = "embed exceed feed hundred need proceed red seed shed speed"


def is_participle(word: str) -> bool:
    """Is it a past participle? As the first word of a function's name it says neither what is done nor what comes."""
    if word in NO_PARTICIPLES.split():
        return False
    irregular = {word, word.removeprefix("re"), word.removeprefix("un")} & set(IRREGULAR.split())
    return bool(irregular) or (word.endswith("ed") and len(word) > 3)


def is_property(function: Function) -> bool:
    return any("property" in ast.unparse(each) or "setter" in ast.unparse(each) for each in function.decorator_list)


def is_code(function: Function) -> bool:
    """Is its name what results say, as that of a symptom is?"""
    return any(ast.unparse(each).startswith("symptom") for each in function.decorator_list)


def few_participles(modules: list[Module]) -> list[str]:
    """Properties are values, and may be flags: `model.compiled`."""
    named = [
        (module.at(each.lineno, each.name), is_participle(each.name.strip("_").split("_")[0]))
        for module in modules
        for each in module.functions
        if not (is_property(each) or is_code(each)) and not each.name.startswith("__")
    ]
    found = [place for place, participle in named if participle]
    over = len(found) > PARTICIPLES * len(named)
    return [f"{len(found)} of {len(named)} functions bear a participle, budget {PARTICIPLES:.0%}", *found] * over


def parameters(function: Function) -> Iterator[ast.arg]:
    """All but self and cls."""
    a = function.args
    for each in (*a.posonlyargs, *a.args, *a.kwonlyargs, a.vararg, a.kwarg):
        if each is not None and each.arg not in ("self", "cls"):
            yield each


def few_any(modules: list[Module]) -> list[str]:
    """`Any` as the whole type of a parameter: the aliases of core/aliases.py say more."""
    types = [
        (
            module.at(each.lineno, f"{function.name}({each.arg})"),
            each.annotation is not None and ast.unparse(each.annotation) == "Any",
        )
        for module in modules
        for function in module.functions
        for each in parameters(function)
    ]
    found = [place for place, is_any in types if is_any]
    over = len(found) > ANY * len(types)
    return [f"{len(found)} of {len(types)} parameters are Any, budget {ANY:.0%}", *found] * over


def few_repeated(modules: list[Module]) -> list[str]:
    """One word has one meaning: a name that many files declare says little of what it gives."""
    files: defaultdict[str, set[str]] = defaultdict(set)
    for module in modules:
        for each in module.nodes[0].body:  # the top level of the module
            if isinstance(each, Function | ast.ClassDef):
                files[each.name].add(module.path.as_posix())
    found = [f"{name}: {', '.join(sorted(where))}" for name, where in sorted(files.items()) if len(where) >= FILES]
    over = len(found) > REPEATED
    return [f"{len(found)} names are declared in {FILES} files or more, budget {REPEATED}", *found] * over


def few_twins(modules: list[Module]) -> list[str]:
    """A class is a thing with a name of its own."""
    homes: defaultdict[str, list[str]] = defaultdict(list)
    for module in modules:
        for each in module.nodes[0].body:
            if isinstance(each, ast.ClassDef):
                homes[each.name].append(module.path.as_posix())
    found = [f"{name}: {', '.join(where)}" for name, where in sorted(homes.items()) if len(where) > 1]
    return [f"{len(found)} names of classes are taken twice, budget {TWINS}", *found] * (len(found) > TWINS)


SLIPS = [
    (few_participles, {"cli.py": "def lowered(x): ...\ndef lower(x): ..."}, "cli.py:1: lowered"),
    (few_any, {"cli.py": "def f(x: Any, y: int): ..."}, "cli.py:1: f(x)"),
    (
        few_repeated,
        {f"f{i}.py": "".join(f"def f{k}(): ...\n" for k in range(REPEATED + 1)) for i in range(FILES)},
        "f0.py",
    ),
    (few_twins, {f"f{i}.py": "".join(f"class C{k}: ...\n" for k in range(TWINS + 1)) for i in range(2)}, "f0.py"),
]


@pytest.fixture(scope="module")
def package() -> list[Module]:
    """Parsed once for all checks."""
    return read(ROOT)


@pytest.mark.parametrize("check", [check for check, _, _ in SLIPS])
def test_package(check, package):
    found = check(package)
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize(("check", "files", "expected"), SLIPS)
def test_check_finds_the_slip(check, files, expected, tmp_path):
    assert f"tinygrad_edu/{expected}" in "\n".join(check(plant(tmp_path, files)))


@pytest.mark.parametrize("word", ["rebuilt", "judged", "gone", "found", "begun"])
def test_participles(word):
    assert is_participle(word)


@pytest.mark.parametrize("word", ["read", "seed", "judge", "split", "is", "embed"])
def test_verbs_and_nouns(word):
    assert not is_participle(word)

"""The documentation: built strictly, complete, loading nothing from elsewhere. Its code runs as doctests."""

import html
import importlib
import inspect
import re
import zlib
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType

import pytest

import tinygrad_edu as tg
from tests.built_site import DOCS, GUIDED, ROOT, loaded
from tinygrad_edu.core.operation import ARRAY_TABLE, COMPOSED, TABLE, Composed

ROOMS = [
    "cases", "clinic", "data", "draw", "errors", "estimators", "nn", "nn.init", "nn.losses", "optim", "optim.rules",
    "optim.schedules", "train",
]  # fmt: skip
# Resources that a page loads: tag -> attribute with the address.
LOADED = {"script": "src", "img": "src", "iframe": "src", "link": "href", "source": "src", "video": "src"}


def names_of(module):
    """Its `__all__`; errors alone has none: every class that is declared there."""
    declared = [name for name, x in vars(module).items() if getattr(x, "__module__", "") == module.__name__]
    return getattr(module, "__all__", None) or [name for name in declared if name.endswith(("Error", "Warning"))]


def public_names():
    """Every public name of the package: "Value", "nn.Linear", ... without the operations, which have a table."""
    rooms = {f"{room}.": importlib.import_module(f"tinygrad_edu.{room}") for room in ROOMS}
    everything = [(prefix, module, name) for prefix, module in {"": tg, **rooms}.items() for name in names_of(module)]
    return [prefix + name for prefix, module, name in everything if not isinstance(getattr(module, name), ModuleType)]


def found(name):
    parts = name.split(".")
    home = importlib.import_module(".".join(["tinygrad_edu", *parts[:-1]]))
    return getattr(home, parts[-1])


def declared(name):
    """Where a thing is declared that stands in a table and is found by its name."""
    thing = getattr(found(name), "function", found(name))
    return f"{getattr(thing, '__module__', '')}.{getattr(thing, '__name__', '')}"


# Docstrings

CONSTANTS = (str, tuple, dict)


@pytest.mark.parametrize("name", public_names())
def test_a_public_name_says_what_it_is_and_shows_it(name):
    thing = found(name)
    if isinstance(thing, CONSTANTS):  # described by a comment where it is defined
        return
    text = inspect.getdoc(thing) if not isinstance(thing, Composed) else inspect.getdoc(thing.function)
    assert text, f"{name} has no docstring"
    assert ">>>" in text, f"{name} has no example"


@pytest.mark.parametrize("name", [*TABLE, *ARRAY_TABLE, *COMPOSED])
def test_an_operation_says_its_formula(name):
    """Its example is computed in the reference, for every row of the table."""
    text = getattr(tg.ops, name).__doc__
    assert text
    if name in TABLE and TABLE[name].partials is not None:
        assert re.search(r"dy/d|∂/∂|gradient", text), text


def test_the_tree_of_errors_holds_every_error():
    tree = tg.errors.__doc__
    assert [name for name in names_of(tg.errors) if name.endswith("Error") and f" {name} " not in tree] == [
        "TinygradError"
    ]


# What the site is made with


def test_a_picture_opens_alone_at_a_click():
    alone, beside = '<img alt="a, b" src="pictures/x.svg" />', '<p>text <img src="y.svg"></p>'
    found = loaded("generate").on_page_content(f"<p>{alone}</p>{beside}")
    assert found == f'<p><a class="whole" href="pictures/x.svg">{alone}</a></p>{beside}'


@pytest.mark.parametrize(
    ("text", "markdown"),
    [
        ("y = a*b, x < |w_1|.", r"y = a\*b, x &lt; &#124;w\_1&#124;."),
        ("`a*b` stays.", "`a*b` stays."),
        ("Adds.\nErrors: ShapeError.", "Adds.\n\nErrors: ShapeError."),
        ("Adds.\nlr, decay: numbers.", "Adds.\n\nlr, decay: numbers."),
        ("the best\nfirst: wrapped\nand so: on.", "the best\nfirst: wrapped\nand so: on."),
        ("Adds.\n\n>>> 1 * 1\n1", "Adds.\n\n\n```pycon\n>>> 1 * 1\n1\n```"),
        ("Tree:\n\nA\n├── b\n└── c\nD", "Tree:\n\n\n```text\nA\n├── b\n└── c\n```\n\nD"),
    ],
)
def test_a_docstring_becomes_markdown(text, markdown):
    pytest.importorskip("griffe", reason="needs the extra docs")
    assert loaded("docstrings").markdown(text) == markdown


def test_what_is_said_of_arguments_goes_into_a_table():
    pytest.importorskip("griffe", reason="needs the extra docs")
    made = loaded("docstrings")
    text = "Steps. lr, eps: rates.\nbeta: the\n  decay.\nErrors: SettingError."
    prose, said, rest = made.divided(text, ["w", "lr", "eps", "beta"])
    assert (prose, rest) == ("Steps.", "Errors: SettingError.")
    assert said == {"lr": "rates", "eps": "rates", "beta": "the decay"}
    assert made.divided("A note: nothing of arguments.", ["x"]) == ("A note: nothing of arguments.", {}, "")
    prose, said, _ = made.divided("Steps. Args: `lr`, the rate; `a` and `b`, sizes. In place.", ["lr", "a", "b"])
    assert (prose, said) == ("Steps. In place.", {"lr": "the rate", "a": "sizes", "b": "sizes"})
    shown = made.table({"lr": ("float | None", "0.1"), "eta": ("", "")}, {"lr": "a|b", "eta": "a|b"})
    assert shown.splitlines()[-2:] == ["| `lr` | `float | None` | `0.1` | a&#124;b |", "| `eta` |  |  | see `lr` |"]


@pytest.mark.slow
def test_every_argument_in_the_reference_has_a_meaning(site):
    """A docstring says what it is, or docs/arguments.py."""
    for page in (site / "reference").glob("*.html"):
        text = page.read_text(encoding="utf-8")
        for table in re.findall(r"<th>argument</th>.*?</table>", text, re.DOTALL):
            rows = [re.findall(r"<td>(.*?)</td>", row, re.DOTALL) for row in table.split("<tr>")[1:]]
            assert [row[0] for row in rows if not row[3].strip()] == [], page.name


def test_what_is_said_of_arguments_is_said_of_one_that_exists():
    """docs/arguments.py names functions and classes of the package, and arguments that they have."""
    known, words = loaded("arguments"), set()
    for path in (ROOT / "tinygrad_edu").rglob("*.py"):
        words |= set(re.findall(r"\w+", path.read_text(encoding="utf-8")))
    names = {part for name in [*known.EVERYWHERE, *known.HERE] for part in name.split(".")}
    assert names - words == set()


def test_a_mark_that_nothing_generates_ends_the_build():
    generate = loaded("generate")
    assert generate.on_page_markdown("plain") == "plain"
    assert "::: tinygrad_edu.train.fit.fit" in generate.on_page_markdown("<!-- reference: train -->")
    with pytest.raises(KeyError):
        generate.on_page_markdown("<!-- generated: nothing -->")


# The site


class Loads(HTMLParser):
    """The addresses of what a page loads, and its headings."""

    def __init__(self, page):
        super().__init__()
        self.addresses = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if LOADED.get(tag) in given and given.get("rel") not in ("canonical", "next", "prev"):
            self.addresses.append(given[LOADED[tag]])


@pytest.mark.slow
def test_every_page_is_built(site):
    sources = {path.relative_to(DOCS).with_suffix(".html") for path in DOCS.rglob("*.md")}
    assert sources <= {path.relative_to(site) for path in site.rglob("*.html")}


@pytest.mark.slow
def test_the_pages_load_nothing_from_another_host(site):
    pages = list(site.rglob("*.html"))
    addresses = {address for page in pages for address in Loads(page).addresses}
    assert addresses
    assert [address for address in addresses if re.match(r"(https?:)?//", address)] == []
    for style in site.rglob("*.css"):
        text = style.read_text(encoding="utf-8")
        assert not re.search(r"(@import|url\()\s*[\"']?(https?:)?//", text), style


def test_a_page_that_loads_from_another_host_is_found(tmp_path):
    (tmp_path / "x.html").write_text('<script src="//cdn/x.js"></script><a href="https://x">x</a>', encoding="utf-8")
    assert Loads(tmp_path / "x.html").addresses == ["//cdn/x.js"]


@pytest.mark.slow
def test_every_public_name_stands_in_the_reference(site):
    inventory = zlib.decompress((site / "objects.inv").read_bytes().split(b"\n", 4)[4]).decode()
    entries = {line.split()[0] for line in inventory.splitlines()}
    missing = [
        name
        for name in public_names()
        if not {f"tinygrad_edu.{name}", f"tinygrad_edu.{name}.{name.rpartition('.')[2]}", declared(name)} & entries
    ]
    page = (site / "reference" / "nn.html").read_text(encoding="utf-8")
    # layers that are table rows are listed in a table
    assert [name for name in missing if f"<code>{name}</code>" not in page] == []


@pytest.mark.slow
def test_every_operation_cause_and_slip_stands_in_the_reference(site):
    from tinygrad_edu.clinic.diagnosis.causes.table import BY_CODE, PROVED_OTHERWISE
    from tinygrad_edu.clinic.examiner.catalogue import CATALOGUE

    operations = (site / "reference/operations.html").read_text(encoding="utf-8")
    assert [name for name in [*TABLE, *ARRAY_TABLE, *COMPOSED] if f">{name}(" not in operations] == []
    clinic = (site / "reference/clinic.html").read_text(encoding="utf-8")
    assert [code for code in [*BY_CODE, *PROVED_OTHERWISE] if f"<code>{code}</code>" not in clinic] == []
    assert [code for code in CATALOGUE if f"<code>{code}</code>" not in clinic] == []


def unmarked(page):
    """What a reader sees of a page, with spaces made equal."""
    text = re.sub(r"<(script|style).*?</\1>", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", text)).split())


@pytest.mark.slow
@pytest.mark.parametrize("program", GUIDED, ids=lambda path: path.stem)
def test_the_tutorial_shows_each_program_its_output_and_its_pictures(site, program):
    pages = {path: unmarked(path) for path in (site / "tutorial").glob("*.html")}
    started = f"python {program.name}"  # as in the folder into which `tinygrad-edu examples` copies it
    text = " ".join(program.read_text(encoding="utf-8").replace(f"python examples/{program.name}", started).split())
    holding = [path for path, shown in pages.items() if text in shown]
    assert len(holding) == 1, f"{program.name} stands on {len(holding)} pages"
    assert "It prints:" in pages[holding[0]].partition(text)[2]
    written = re.findall(r"out\b.*?(\w+\.svg)", program.read_text(encoding="utf-8"))
    shown = [Path(address).name for address in Loads(holding[0]).addresses]
    assert set(written) <= set(shown)
    assert all((site / "tutorial/pictures" / name).is_file() for name in written)


@pytest.mark.slow
def test_sessions_and_output_have_the_classes_that_the_style_names(site):
    """Output is wrapped, and the button that copies a session leaves prompts and output out: wide.css does both."""
    pages = {path: path.read_text(encoding="utf-8") for path in site.rglob("*.html")}
    style = (DOCS / "wide.css").read_text(encoding="utf-8")
    named = set(re.findall(r"\.(language-\w+|g[pot])\b", style))
    assert named >= {"language-text", "language-pycon", "gp", "go"}
    assert [
        name for name in named if not any(re.search(rf'class="[^"]*\b{name}\b', text) for text in pages.values())
    ] == []
    assert [
        path for path, text in pages.items() if re.search(r"language-python[^>]*>(<[^>]*>)*&gt;&gt;&gt;", text)
    ] == []


@pytest.mark.slow
def test_the_reference_shows_the_source_and_the_search_leaves_it_out(site):
    page = (site / "reference" / "optim.html").read_text(encoding="utf-8")
    assert page.count("Source code in") == page.count("data-search-exclude") > 20
    assert "Source code in" not in (site / "search" / "search_index.json").read_text(encoding="utf-8")


@pytest.mark.slow
def test_no_page_shows_a_mark(site):
    marks = re.compile(r"--8\s*(<|&lt;)|(<|&lt;)!-- (program|source|generated|reference)")
    assert [path.name for path in site.rglob("*.html") if marks.search(path.read_text(encoding="utf-8"))] == []


@pytest.mark.slow
@pytest.mark.parametrize("program", ["sweep_on_a_cluster", "data_parallel"])
def test_a_how_to_shows_the_whole_program(site, program):
    text = " ".join((ROOT / "examples" / f"{program}.py").read_text(encoding="utf-8").split())
    assert text in unmarked(site / "how-to/beyond-one-machine.html")


def test_the_guide_to_the_engine_names_what_is_there():
    """Each function and file that it tells the reader to open has that name in `core`, or is the reader's to use."""
    page = (DOCS / "explanation" / "read-the-engine.md").read_text(encoding="utf-8")
    told = re.sub(r"```.*?```", "", page, flags=re.DOTALL)
    paths = list((ROOT / "tinygrad_edu" / "core").rglob("*.py"))
    text = "\n".join(path.read_text(encoding="utf-8") for path in paths)
    known = (
        {name for path in paths for name in (path.stem, path.parent.name)}
        | set(re.findall(r"(?:def|class) (\w+)", text))
        | set(TABLE)
        | set(dir(tg))
    )
    named = {code.removesuffix(".py") for code in re.findall(r"`(\w+(?:\.py)?)`", told)}
    assert len(named) > 30
    assert named - known == set()


def test_a_program_that_is_not_there_ends_the_build():
    with pytest.raises(FileNotFoundError):
        loaded("programs").on_page_markdown("<!-- program: 99_nothing -->")


@pytest.mark.slow
def test_the_explanation_shows_the_program_of_today(site):
    page = (site / "explanation/fused-program.html").read_text(encoding="utf-8")
    text = re.sub(r"<[^>]+>", "", page)
    assert re.search(r"def loss\(\s+W, x, y,", text)
    assert "generated:" not in page


def test_every_page_with_code_runs_in_the_tests():
    """Recipes and how-tos are doctests; a page without any is one that only points elsewhere."""
    silent = {
        str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md") if ">>>" not in path.read_text(encoding="utf-8")
    }
    silent.discard("explanation/speed.md")  # a table of measurements, written by `python -m bench --readme`
    assert {name.split("/")[0] for name in silent} <= {"reference", "tutorial"}
    assert silent - {f"reference/{path.name}" for path in DOCS.glob("reference/*")} == {
        "tutorial/index.md", "tutorial/checking.md", "tutorial/speed.md", "tutorial/architectures.md",
    }  # fmt: skip

"""What the pages show and nobody writes by hand: `<!-- generated: NAME -->` in a page becomes the result of NAME().

Runs when the site is built, with the package that stands beside it, so that a page cannot show what is no longer so.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

MARK = re.compile(r"<!-- generated: (\w+) -->")
PICTURE = re.compile(r'<p>(<img [^>]*?src="([^"]+)"[^>]*>)</p>')
GAP = re.compile(r' {3,}(?=<span class="c1">)')  # in front of a comment that stands below another
MODULE = re.compile(r"<!-- reference: ([\w.]+) -->")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """The page with every mark replaced; an unknown name is an error, which ends the build.

    `<!-- reference: nn -->` becomes an entry for each public name of that module.
    """
    markdown = MODULE.sub(lambda found: entries(found[1]), markdown)
    return MARK.sub(lambda found: GENERATED[found[1]](), markdown)


def on_page_content(html: str, **_: Any) -> str:
    """The page whose pictures open alone at a click, and whose source code is not searched.

    A word of the code would hide the entry that explains the word. The spaces in front of a comment are one where the
    screen is narrow (wide.css): the comment would else be wrapped after its first word.
    """
    html = PICTURE.sub(r'<p><a class="whole" href="\2">\1</a></p>', html)
    html = GAP.sub(lambda found: f'<span class="gap">{found[0]}</span>', html)
    return html.replace(
        '<details class="mkdocstrings-source"', '<details class="mkdocstrings-source" data-search-exclude'
    )


def entries(name: str) -> str:
    """A table of contents, then what mkdocstrings makes entries of: a line `::: tinygrad_edu.nn.Linear` for each."""
    module = importlib.import_module(f"tinygrad_edu.{name}")
    named = {x: getattr(module, x) for x in in_order(module)}
    own = {x: found(module, x, thing) for x, thing in named.items() if not of_a_row(thing)}
    rows = [
        f"| `nn.{x}` | {cell(thing.__doc__.split('This is the layer')[0])} |"
        for x, thing in named.items()
        if of_a_row(thing)
    ]
    table = ["| layer | its operation |", "|---|---|", *rows] if rows else []
    listed = contents(named, own) if len(own) > 3 else ""
    bases = "\n    options:\n      show_bases: true" if name == "errors" else ""
    return "\n\n".join([listed, *(f"::: {path}{bases}" for path in own.values()), "\n".join(table)])


def in_order(module: ModuleType) -> list[str]:
    """Functions first in a module that is mainly functions, else classes first; constants last."""
    names = public(module)
    kinds = {x: kind(getattr(module, x)) for x in names}
    functions_first = sum(x == "function" for x in kinds.values()) >= sum(x == "class" for x in kinds.values())
    order = ["function", "class"] if functions_first else ["class", "function"]
    return sorted(names, key=lambda x: [*order, "constant"].index(kinds[x]))


def kind(thing: Any) -> str:
    return "class" if inspect.isclass(thing) else "function" if callable(thing) else "constant"


def found(module: ModuleType, name: str, thing: Any) -> str:
    """The address of a name's entry: that of the function, where a module has its name (train.fit.fit)."""
    path = place(module, name, thing)
    return f"{path}.{path.rpartition('.')[2]}" if path in sys.modules else path


def contents(named: dict[str, Any], own: dict[str, str]) -> str:
    """What a page holds: each name as a link, with the first sentence of its docstring."""
    lines = [
        f"| [`{x}`][{path}] | {cell(first_sentence(named[x]))} |"
        for x, path in own.items()
        if kind(named[x]) != "constant"
    ]
    return "\n".join(["| name | what it is |", "|---|---|", *lines])


def first_sentence(thing: Any) -> str:
    """The first paragraph up to its first full stop."""
    text = inspect.getdoc(getattr(thing, "function", thing)) or ""
    return re.split(r"(?<=[^.]\.)\s|\n\n", text, maxsplit=1)[0]


def of_a_row(thing: Any) -> bool:
    """Is it a layer that is made from a row of the table of operations? No text declares it."""
    return inspect.isclass(thing) and "operation" in vars(thing) and thing.__module__.endswith(".activations")


def place(module: ModuleType, name: str, thing: Any) -> str:
    """Where a name is declared, if not where it is listed: what stands in a table is found by its name alone."""
    tree = ast.parse(inspect.getsource(module))
    statements = [x for x in tree.body if isinstance(x, (ast.ImportFrom, ast.Import, ast.FunctionDef, ast.ClassDef))]
    bound = {alias.asname or alias.name for x in statements for alias in getattr(x, "names", [])}
    bound |= {getattr(x, "name", "") for x in statements}
    bound |= {t.id for x in tree.body if isinstance(x, ast.Assign) for t in x.targets if isinstance(t, ast.Name)}
    bound |= {x.target.id for x in tree.body if isinstance(x, ast.AnnAssign) and isinstance(x.target, ast.Name)}
    declared = getattr(getattr(thing, "function", thing), "__module__", None)
    return f"{module.__name__}.{name}" if name in bound or declared is None else f"{declared}.{name}"


def public(module: ModuleType) -> list[str]:
    """The names in `__all__` that are not modules; of the errors, which have none, every class."""
    listed = getattr(module, "__all__", None) or [
        name
        for name, x in vars(module).items()
        if getattr(x, "__module__", "") == module.__name__ and inspect.isclass(x) and not name.startswith("_")
    ]
    return [n for n in listed if not isinstance(getattr(module, n), ModuleType)]


def fenced(text: str, language: str = "python") -> str:
    return f"```{language}\n{text.rstrip()}\n```"


# operations


def elementwise() -> str:
    """The table itself as a table."""
    from tinygrad_edu.core.operation import TABLE

    rows = [(operation, example(operation)) for operation in TABLE.values()]
    lines = [f"| {call(signature(x))} | {cell(x.__doc__)} | {call(shown)} |" for x, shown in rows]
    return "\n".join(["| operation | formula and derivative | example |", "|---|---|---|", *lines])


def example(operation: Any) -> str:
    """The operation at a point inside its domain, as it is when this page is made."""
    boxes = operation.domain[0]
    point = [round(low + (high - low) * share, 1) for (low, high), share in zip(boxes, (0.7, 0.4, 0.6), strict=False)]
    point += [0.5] * (len(operation.parameters) - len(operation.defaults) - len(point))
    point = point[: len(operation.parameters)]
    value = operation(*point)
    text = f"{value:.4g}" if isinstance(value, float) else repr(value)
    return f"{operation.name}({', '.join(f'{x:g}' for x in point)}) = {text}"


def array_operations() -> str:
    from tinygrad_edu import ops
    from tinygrad_edu.core.operation import ARRAY_TABLE

    assert ops.sum  # fills the table
    return described(ARRAY_TABLE)


def composed() -> str:
    from tinygrad_edu import ops
    from tinygrad_edu.core.operation import COMPOSED

    assert ops.sum
    return described(COMPOSED)


def described(table: dict[str, Any]) -> str:
    lines = [f"| {call(signature(x))} | {cell(x.__doc__.split('>>>')[0])} |" for x in table.values()]
    return "\n".join(["| operation | what it is |", "|---|---|", *lines])


def signature(operation: Any) -> str:
    given = inspect.signature(operation.function).parameters.values()
    return f"{operation.name}({', '.join(str(p.replace(annotation=p.empty)) for p in given)})"


def call(text: str) -> str:
    """A call in a cell of a table, in one piece (wide.css) unless it would take the room of the other cells."""
    return f"`{text}`" + "{.piece}" * (len(text) <= 52)


def cell(text: str | None) -> str:
    """Text in a cell of a table."""
    parts = re.split(r"(`[^`]*`)", " ".join((text or "").split()))  # between backticks a backslash would be visible
    return "".join(part if part.startswith("`") else plain(part) for part in parts)


def plain(text: str) -> str:
    """Text whose every character stands for itself."""
    return re.sub(r"([*_>\[\]])", r"\\\1", text).replace("<", "&lt;").replace("|", "&#124;")


# a program


def fused_program() -> str:
    """The `.source` of the explanation's loss, without the operations below it."""
    import numpy as np

    import tinygrad_edu as tg

    @tg.jit
    def loss(W: Any, x: Any, y: Any) -> Any:
        return np.mean((np.tanh(x @ W) - y) ** 2)

    loss.value_and_grad(np.ones((3, 2)), np.ones((4, 3)), np.zeros((4, 2)))
    return fenced(loss.source.partition("\n\n\n#")[0])


# catalogues


def slips() -> str:
    """The examiner's catalogue."""
    from tinygrad_edu import clinic
    from tinygrad_edu.clinic.examiner.catalogue import CATALOGUE

    assert clinic.check_backprop  # fills the catalogue
    return "\n".join(blocks(CATALOGUE.values()))


def blocks(entries: Any) -> Iterator[str]:
    for entry in entries:
        yield f"**`{entry.code}`** {entry.sentence}\n\n{fenced(entry.example)}\n"


def causes() -> str:
    """What `diagnose` can name, and what to do about it."""
    from tinygrad_edu.clinic.diagnosis.causes.table import BY_CODE, PROVED_OTHERWISE

    rows = [(cause.code, cause.sentence, cause.remedy) for cause in BY_CODE.values()]
    rows += [(code, *texts) for code, texts in PROVED_OTHERWISE.items()]
    lines = [f"| `{code}` | {cell(sentence)} | {cell(remedy)} |" for code, sentence, remedy in rows]
    return "\n".join(["| cause | what is wrong | what to do |", "|---|---|---|", *lines])


def commands() -> str:
    """The help of the command line, a block for each command."""
    from tinygrad_edu.cli import parser

    top = parser()
    # argparse has no public list of subcommands
    below = next(a for a in top._actions if isinstance(a.choices, dict)).choices
    return "\n\n".join(
        [fenced(top.format_help(), "{.text .columns}")]
        + [f"## {name}\n\n{fenced(command.format_help(), '{.text .columns}')}" for name, command in below.items()]
    )


def coming_from() -> str:
    """What other libraries call things: a table for each."""
    from tinygrad_edu.elsewhere import SPELLINGS

    libraries = dict.fromkeys(x.library for x in SPELLINGS)
    return "\n\n".join(f"## {library}\n\n{spellings(library)}" for library in libraries)


def spellings(library: str) -> str:
    from tinygrad_edu.elsewhere import SPELLINGS

    rows = [
        f"| `{x.theirs}` | {' and '.join(f'`{part}`' for part in x.ours.split(' and '))} |"
        for x in SPELLINGS
        if x.library == library
    ]
    return "\n".join(["| there | here |", "|---|---|", *rows])


GENERATED: dict[str, Callable[[], str]] = {
    made.__name__: made
    for made in (elementwise, array_operations, composed, fused_program, slips, causes, commands, coming_from)
}

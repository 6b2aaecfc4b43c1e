"""Names of a frame's columns: a frame with the same columns in another order would be read as other features."""

from __future__ import annotations

from tinygrad_edu.core.aliases import Samples
from tinygrad_edu.errors import ShapeError


def column_names(X: Samples) -> tuple[str, ...]:
    """The names of a frame's columns, of pandas, polars and their like; () where they are not text, or of an array.

    >>> column_names([[1.0, 2.0]])
    ()
    """
    try:
        names = tuple(getattr(X, "columns", ()))
    except TypeError:
        return ()
    return names if all(isinstance(name, str) for name in names) else ()


def refuse_other_columns(name: str, X: Samples, known: tuple[str, ...], those: str) -> None:
    """A frame whose columns have other names than those it has to match, or another order; nothing where one has none.

    Errors: ShapeError.

    >>> import types
    >>> refuse_other_columns("X", types.SimpleNamespace(columns=["b", "a"]), ("a", "b"), "this scaling was measured on")
    Traceback (most recent call last):
        ...
    tinygrad_edu.errors.ShapeError: X has the columns b, a, and this scaling was measured on a, b: give X[['a', 'b']]
    """
    given = column_names(X)
    if not given or not known or given == known:
        return
    at = next((i for i, pair in enumerate(zip(given, known, strict=False)) if pair[0] != pair[1]), 0)
    few = slice(max(0, at - 1), at + 4)
    fix = (
        f"give {name.split()[-1]}[{list(known)}]"
        if set(known) <= set(given) and len(known) <= 8
        else "give the same columns"
    )
    raise ShapeError(
        f"{name} has the columns {', '.join(given[few])}{', ...' * (len(given) > at + 4)}, and {those} "
        f"{', '.join(known[few])}{', ...' * (len(known) > at + 4)}: {fix}"
    )

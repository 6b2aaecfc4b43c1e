"""Sentences for shapes that do not match: which sizes differ, and what was probably meant."""

from __future__ import annotations

from collections.abc import Sequence

Shape = tuple[int, ...]
SYMBOLS = {"matmul": "@", "add": "+", "sub": "-", "mul": "*", "div": "/", "pow": "**"}


def explain(operation: str, names: Sequence[str], arrays: Sequence[Shape]) -> str:
    """The sentence for shapes that do not match, with the likely fix.

    >>> print(explain("matmul", ["x", "W"], [(32, 4), (8, 4)]))
    x @ W: shapes (32, 4) and (8, 4) do not match: 4 != 8. Did you mean W.T, of shape (4, 8)?
    >>> print(explain("add", ["x", "b"], [(32, 4), (32,)]))
    x + b: shapes (32, 4) and (32,) do not match: 4 != 32. Did you mean b.reshape(32, 1)?
    """
    symbol = SYMBOLS.get(operation)
    formula = f" {symbol} ".join(names) if symbol else f"{operation}({', '.join(names)})"
    listed = " and ".join(map(str, arrays))
    product = operation == "matmul" and len(arrays) == 2
    return f"{formula}: shapes {listed} do not match" + (
        product_hint(names, arrays[0], arrays[1]) if product else elementwise_hint(names, arrays)
    )


def product_hint(names: Sequence[str], a: Shape, b: Shape) -> str:
    if not a or not b:
        return ": a product with @ needs at least one axis on both sides; use * for a number"
    inner = b[-2] if len(b) > 1 else b[0]
    sizes = f": {a[-1]} != {inner}"
    if len(b) == 2 and a[-1] == b[1]:
        return f"{sizes}. Did you mean {names[1]}.T, of shape {b[::-1]}?"
    if len(a) == 2 and a[0] == inner:
        return f"{sizes}. Did you mean {names[0]}.T, of shape {a[::-1]}?"
    return sizes


def elementwise_hint(names: Sequence[str], arrays: Sequence[Shape]) -> str:
    if len(arrays) != 2:
        return ""
    a, b = arrays
    differing = [(m, n) for m, n in zip(a[::-1], b[::-1], strict=False) if m != n and 1 not in (m, n)]
    sizes = f": {differing[0][0]} != {differing[0][1]}" if differing else ""
    for name, shape, other in ((names[1], b, a), (names[0], a, b)):
        if len(shape) == 1 and len(other) == 2 and shape[0] == other[0]:
            return f"{sizes}. Did you mean {name}.reshape({shape[0]}, 1)?"
    return sizes

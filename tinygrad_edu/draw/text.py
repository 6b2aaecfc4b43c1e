"""Numbers, arrays, options and user text as they stand in a picture."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping
from typing import Any

from tinygrad_edu.charts.text import clean
from tinygrad_edu.core.aliases import ArrayLike

FEW = 1000  # entries; up to here a norm is computed with math.hypot
SMALL = 4  # arrays of up to this many elements are written out
SYMBOLS = {  # by operation name
    "add": "+",
    "sub": "−",
    "neg": "−",
    "mul": "×",
    "div": "/",
    "pow": "**",
    "matmul": "@",
    "abs": "|x|",
    "square": "x²",
    "sqrt": "√",
    "reciprocal": "1/x",
    "sum": "Σ",
    "maximum": "max",
    "minimum": "min",
    "getitem": "[ ]",
    "class_entropy": "−log softmax[class]",
}


def symbol(operation: str) -> str:
    """The usual sign of an operation, or its name."""
    return SYMBOLS.get(operation, operation)


def four_digits(value: ArrayLike) -> str:
    """Four significant digits; below a million without an exponent.

    >>> four_digits(-3.0), four_digits(2 ** -0.5), four_digits(0.000012), four_digits(54321.6), four_digits(-0.0)
    ('-3', '0.7071', '1.2e-05', '54322', '0')
    """
    x = float(value)
    if 9999.5 <= abs(x) < 1e6 or x == 0.0:
        return f"{x + 0.0:.0f}"  # + 0.0 turns -0.0 into 0.0
    return f"{x:.4g}"


def count(amount: int, noun: str) -> str:
    """An amount and its noun.

    >>> count(1, "node"), count(1234, "node"), count(2, "box")
    ('1 node', '1,234 nodes', '2 boxes')
    """
    plural = "es" if noun.endswith("x") else "s"
    return f"{amount:,} {noun}{'' if amount == 1 else plural}"


def text_of_nested(items: Any) -> str:
    """The numbers of a small array, in the brackets of its shape; as deep as the array has axes."""
    if isinstance(items, list):
        return f"[{', '.join(text_of_nested(item) for item in items)}]"
    return four_digits(items)


def data_of(value: ArrayLike) -> Any:
    """A number or an array; of a node (a gradient can be one, for higher order) its data."""
    return value.data if hasattr(value, "parents") else value


def norm_of(array: ArrayLike) -> float:
    """The Euclidean norm of a number or an array; hypot also where the squares would overflow.

    >>> norm_of(-3.0), norm_of(1e200)
    (3.0, 1e+200)
    """
    if not hasattr(array, "reshape"):
        return abs(float(array))
    if array.size <= FEW:
        return math.hypot(*array.reshape(-1).tolist())
    largest = float(abs(array).max())  # hypot takes 0.1 µs per number, 20 ms for a batch of 200,000
    if not 0.0 < largest < math.inf:
        return largest
    return largest * math.sqrt(float(((array / largest) ** 2).sum(dtype="float64")))


def size(array: ArrayLike) -> int:
    """The number of elements, 1 for a number."""
    return int(getattr(array, "size", 1))


def single(value: ArrayLike) -> float:
    """The one number of a number or of an array that holds one, whatever its axes."""
    return float(value.reshape(-1)[0] if hasattr(value, "reshape") else value)


def is_large(array: ArrayLike) -> bool:
    """Too many elements to write them out?"""
    return size(array) > SMALL


def rows(data: ArrayLike, grad: Any) -> list[tuple[str, str]]:
    """What a box says about its node: (name, value) lines.

    >>> rows(0.5, -3.0)
    [('data', '0.5'), ('grad', '-3')]
    """
    data, grad = data_of(data), data_of(grad)
    if not is_large(data):
        pairs = [("data", data), ("grad", grad)]
        return [(name, value_text(value)) for name, value in pairs if value is not None]
    lines = [("shape", str(tuple(data.shape))), ("|data|", four_digits(norm_of(data)))]
    return lines if grad is None else [*lines, ("|grad|", four_digits(norm_of(grad)))]


def value_text(value: ArrayLike) -> str:
    """A number, or a small array in full; a large one as its norm."""
    if is_large(value):
        return f"|{four_digits(norm_of(value))}|"
    return text_of_nested(value.tolist()) if hasattr(value, "tolist") else four_digits(value)


def brief(data: ArrayLike) -> str:
    """A number, or a small array in full; a large one as its shape and norm."""
    data = data_of(data)
    return f"{tuple(data.shape)} |data| {four_digits(norm_of(data))}" if is_large(data) else value_text(data)


def option_text(options: Mapping[str, Any] | None) -> str:
    """The options that were set, in one short line.

    >>> option_text({"axis": 0, "keepdims": False, "where": None})
    'axis=0'
    """
    given = [(name, value) for name, value in (options or {}).items() if value is not None]
    return ", ".join(f"{name}={option_value(value)}" for name, value in given if value is not False)


def option_value(value: ArrayLike) -> str:
    """An option without memory addresses and long arrays: a picture is the same in every run."""
    if isinstance(value, slice):
        ends = ("" if end is None else option_value(end) for end in (value.start, value.stop))
        return ":".join(ends) + ("" if value.step is None else f":{option_value(value.step)}")
    if isinstance(value, tuple | list):
        inside = ", ".join(map(option_value, value))
        return f"[{inside}]" if isinstance(value, list) else f"({inside})"
    if hasattr(value, "tolist"):
        few = len(value.shape) < 2 and value.size <= SMALL  # such as the class numbers of a few samples
        return option_value(value.tolist()) if few else f"array{tuple(value.shape)}"
    if value is Ellipsis:
        return "..."
    if value is None or isinstance(value, bool | int | float | str):
        return str(value)
    return str(getattr(value, "__name__", type(value).__name__))


def escape(text: str, limit: int = 60) -> str:
    """User text for an HTML-like label: nothing in it can end the label or be taken for markup.

    A backslash is doubled, since Graphviz replaces its own escapes (\\N, \\G, ...) after decoding entities.

    >>> escape('a"b<c>|{}')
    'a&quot;b&lt;c&gt;|{}'
    """
    return html.escape(clean(text, limit)).replace("\\", "&#92;&#92;")


def quote(text: str) -> str:
    """User text as a label in quotes, which stays in the middle of its node whatever the reader's fonts.

    >>> print(quote('a"b\\\\N & c'))
    "a\\"b\\\\N &amp; c"
    """
    doubled = clean(text).replace("\\", "\\\\").replace('"', '\\"').replace("&", "&amp;")
    return f'"{doubled}"'


def list_names(items: Iterable[str], limit: int = 8) -> str:
    """A few of many names, for a sentence.

    >>> list_names(["a", "b", "c"], limit=2)
    'a, b and 1 more'
    """
    names = list(items)
    rest = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {rest} more" if rest > 0 else "")

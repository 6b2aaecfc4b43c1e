"""Names in generated programs: those of the user's variables, as far as they are free."""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Container
from itertools import count

from tinygrad_edu.compile import kernels
from tinygrad_edu.core import ops
from tinygrad_edu.core.operation import TABLE

# Names of the generated text itself: a loop's index, a temporary, a result, a gradient, the length of an axis.
GENERATED = re.compile(r"[ti]\d+|result\d*|d_.*|.*_\d+")
RESERVED = frozenset(
    [
        *keyword.kwlist,
        *dir(builtins),
        *vars(ops),
        *vars(kernels),
        "njit",
        "matmul",
        "plus",
        "inlined",
        "results",
        "np",
        "math",
    ]
)


def free_name(name: str, taken: Container[str]) -> str:
    """An identifier made of the name, that nothing else in the program has.

    >>> free_name("layers.0.weight", {}), free_name("x", {"x"}), free_name("exp", {}), free_name("x_0", {})
    ('layers_0_weight', 'x2', 'exp_', 'x_0_')
    """
    clean = "".join(c if c.isalnum() and c.isascii() else "_" for c in name) or "x"
    clean = clean if clean[0].isalpha() else f"x{clean}"
    clean = next(n for n in (clean, f"{clean}_", f"x_{clean}_") if is_free(n))
    if clean not in taken:
        return clean
    numbered = (n if is_free(n := f"{clean}{i}") else f"{clean}_{i}_" for i in count(2))
    return next(n for n in numbered if n not in taken)


def is_free(name: str) -> bool:
    return not (name in RESERVED or name in TABLE or GENERATED.fullmatch(name))

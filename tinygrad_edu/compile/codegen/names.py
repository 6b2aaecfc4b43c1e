"""Names in generated programs: those of the user's variables, if they are free."""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Container
from itertools import count

from tinygrad_edu.compile.codegen import math_approximations
from tinygrad_edu.core import ops
from tinygrad_edu.core.operation import TABLE

# Names that the generator makes: loop indices, temporaries, results, gradients, lengths of axes, the last batch, rows
# of a batch, positions of scalar parameters, inputs of one round of a loop.
GENERATED = re.compile(
    r"[tiu]\d+|nest_.*|shared|result\d*|d_.*|.*_\d+|.*_last|.*_rows|.*_kept|.*_rng|at_.*|after_.*|.*_at\d+"
)
# Names used by the training programs around a step: see templates.py and train/compiled/online.py.
TRAINING = frozenset(
    [
        *("X", "Y", "orders", "batch", "state", "saved", "gradient", "work", "sizes", "rates", "settings", "numbers"),
        *("t", "lr", "w", "g", "m0", "m1", "m2", "losses", "norms", "changes", "control", "loss", "weights"),
        *("W", "whole", "stopping", "stops", "clip_norm", "clip_value", "factor", "moved", "place", "previous", "tol"),
        *("n", "at", "start", "size", "epoch", "epochs", "first", "total", "squares", "i", "j", "k"),
        *("before", "after", "next_state", "step", "update", "keep", "some", "given_state", "given_gradient"),
    ]
)
RESERVED = frozenset(
    [
        *keyword.kwlist,
        *dir(builtins),
        *vars(ops),
        *vars(math_approximations),
        *("njit", "direct", "loops", "stack", "stopped"),
        *("copy", "dot", "gather", "prange", "view"),
        "entry",
        "work",
        "place",
        "plus",
        "inlined",
        *("addresses", "lengths", "out", "float64_at", "float32_at", "int64_at", "array_at"),
        "results",
        "np",
        "math",
    ]
)


def free_name(name: str, taken: Container[str], reserved: Container[str] = TRAINING) -> str:
    """An identifier made from the name that is unique in the program; `reserved`: names used by the code around it.

    >>> free_name("layers.0.weight", {}), free_name("x", {"x"}), free_name("exp", {}), free_name("x_0", {})
    ('layers_0_weight', 'x2', 'exp_', 'x_0_')
    """
    clean = "".join(c if c.isalnum() and c.isascii() else "_" for c in name) or "x"
    clean = clean if clean[0].isalpha() else f"x{clean}"
    clean = next(n for n in (clean, f"{clean}_", f"x_{clean}_") if is_free(n) and n not in reserved)
    if clean not in taken:
        return clean
    numbered = (n if is_free(n := f"{clean}{i}") else f"{clean}_{i}_" for i in count(2))
    return next(n for n in numbered if n not in taken)


def is_free(name: str) -> bool:
    return not (name in RESERVED or name in TABLE or GENERATED.fullmatch(name))

"""What a traced function returns, as parts of its program."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_edu.compile.ir.node import Traced, as_node
from tinygrad_edu.compile.rounds.repeats import roll
from tinygrad_edu.core.aliases import Samples
from tinygrad_edu.core.pytree import flatten, tree_leaves, tree_map, unflatten
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.errors import OperandError


def with_repeats_rolled(results: Any) -> Any:
    """The results of a trace with repetitions as loops."""
    leaves: list[Any] = []
    nesting = flatten(results, leaves)
    return unflatten(nesting, iter(roll(leaves) if all(isinstance(y, Traced) for y in leaves) else leaves))


def as_traced(y: Samples) -> Any:
    """A result that was computed from closed-over Tensors alone becomes part of the program too."""
    return as_node(y) if isinstance(y, Tensor) else y


def with_constants(results: Any) -> Any:
    """Floats and arrays of them beside what is computed become part of the program: a gradient may be constant."""
    if not any(isinstance(y, Traced) for y in tree_leaves(results)):
        return results
    floats = (float, np.floating, np.ndarray)
    return tree_map(lambda y: as_node(y) if isinstance(y, floats) and np.asarray(y).dtype.kind == "f" else y, results)


def refuse_others(outputs: Sequence[Any], results: Any) -> None:
    """Errors: OperandError for a result that is no node."""
    odd = [type(y).__name__ for y in outputs if not isinstance(y, Traced)]
    if odd or not outputs:
        found = f"the {odd[0]} in {results!r:.80}" if odd else f"{results!r:.80}"
        raise OperandError(f"a compiled function returns what it computes from its arguments, not {found}")

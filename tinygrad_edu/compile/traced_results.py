"""What a traced function returns, as parts of its program."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_edu.compile.ir.node import Traced, as_node
from tinygrad_edu.compile.rounds.repeats import roll
from tinygrad_edu.core.aliases import Samples
from tinygrad_edu.core.pytree import flatten, tree_leaves, tree_map, unflatten, with_leaves
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
    kinds = {float: "f", np.floating: "f", np.ndarray: "fiub"}
    return tree_map(
        lambda y: as_node(y) if any(isinstance(y, k) and np.asarray(y).dtype.kind in kinds[k] for k in kinds) else y,
        results,
    )


CONSTANTS = (int, str, bytes, type(None), np.integer, np.bool_)


class Frame:
    """Results with whole numbers, text, flags and None among them, which a trace finds and every call gives again.

    They cannot depend on the numbers of the arguments, which a trace does not have; what else they come from is
    compared as for anything that the function reads, and they count where two traces are compared.
    """

    def __init__(self, tree: Any) -> None:
        self.tree, self.holes = tree, [isinstance(y, Traced) for y in tree_leaves(tree)]

    @property
    def constants(self) -> list[Any]:
        return [(type(y), y) for y in tree_leaves(self.tree) if not isinstance(y, Traced)]

    def pick(self, results: Any) -> tuple[Any, ...]:
        """What is computed of such results, in a row."""
        return tuple([y for y, computed in zip(tree_leaves(results), self.holes, strict=True) if computed])

    def fill(self, found: Any) -> Any:
        """The results, with these numbers where something is computed."""
        rest, leaves = iter(found), list(tree_leaves(self.tree))
        return with_leaves(
            self.tree, [next(rest) if computed else y for y, computed in zip(leaves, self.holes, strict=True)]
        )


def frame_of(results: Any, written: Sequence[Any]) -> Frame | None:
    """The frame of results with constants beside what is computed or written; None for the others."""
    leaves = list(tree_leaves(results))
    computed = [isinstance(y, Traced) for y in leaves]
    plain = all(isinstance(y, CONSTANTS) for y, node in zip(leaves, computed, strict=True) if not node)
    return Frame(results) if plain and not all(computed) and (any(computed) or written) else None


def refuse_others(outputs: Sequence[Any], results: Any) -> None:
    """Errors: OperandError for a result that is no node."""
    odd = [type(y).__name__ for y in outputs if not isinstance(y, Traced)]
    if odd or not outputs:
        found = f"the {odd[0]} in {results!r:.80}" if odd else f"{results!r:.80}"
        raise OperandError(f"a compiled function returns what it computes from its arguments, not {found}")

"""The loss at the end of a graph: which operations it is made of, and which loss of the table they amount to."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tinygrad_edu.draw.graph import Graph
from tinygrad_edu.draw.recompute import parts_ending_at, recompute, users_of
from tinygrad_edu.draw.roles import Roles, first_fixed_beside, is_plain_number, looks_like_a_loss, roles_of
from tinygrad_edu.draw.text import four_digits as digits
from tinygrad_edu.draw.text import single, size
from tinygrad_edu.errors import TinygradError

SAME = 1e-7
LARGEST = 500_000  # entries of an output; larger ones are not compared with losses
LONGEST = 40  # operations between an output and its loss
WORDS = {"cross_entropy": "cross-entropy", "bce": "binary cross-entropy", "bce_with_logits": "cross-entropy of logits"}
SUMS = {"mse": "sum of squares", "mae": "sum of absolute errors"}
NEAT = {1.0: 0, 0.5: 1}  # usual factors of a loss, the most likely first
ALIASES = {"delta_rule"}  # the same function as a better known loss


@dataclass(frozen=True, slots=True)
class LossPart:
    """The nodes of the loss, what it is called, and the targets among the leaves."""

    name: str
    members: frozenset[int]
    targets: frozenset[int]


def loss_of(graph: Graph) -> LossPart | None:
    """The loss that a graph ends in; None where it ends in something else."""
    end = max(graph.outputs)
    if len(graph.outputs) != 1 or not is_plain_number(graph, end) or not graph.operations[end]:
        return None
    roles = roles_of(graph)
    if not roles.network:
        return None
    core, penalized = without_penalty(graph, roles, end)
    found = loss_of_name(graph, roles, core) or loss_without_name(graph, roles)
    if found is None:
        return None
    name, members = found
    members |= {n for n in range(len(graph.nodes)) if n not in roles.network and n > core} if penalized else set()
    leaves = {parent for n in members for parent in graph.parents[n] if is_leaf(graph, parent)}
    leaves -= {n for n in leaves if graph.kind(n) == "parameter"} | set(roles.network)
    return LossPart(name + " + penalty" * penalized, frozenset(members), frozenset(leaves))


def is_leaf(graph: Graph, number: int) -> bool:
    return not graph.operations[number]


def without_penalty(graph: Graph, roles: Roles, end: int) -> tuple[int, bool]:
    """(the loss of the data, whether a penalty of the parameters is added to it)."""
    penalized = False
    while graph.operations[end] == "add" and len(graph.parents[end]) == 2:
        rest = [parent for parent in graph.parents[end] if parent not in roles.penalty]
        if len(rest) != 1:
            break
        end, penalized = rest[0], True
    return end, penalized


def loss_of_name(graph: Graph, roles: Roles, end: int) -> tuple[str, set[int]] | None:
    """A loss of the table: of one array of outputs, or of several single outputs."""
    try:
        import numpy as np
    except ImportError:
        return None
    with np.errstate(all="ignore"):
        if hasattr(graph.data(end), "dtype"):
            return of_an_array(graph, roles, end)
        return of_numbers(graph, roles, end)


def of_an_array(graph: Graph, roles: Roles, end: int) -> tuple[str, set[int]] | None:
    """The nearest output from which on the operations are a loss; of a cross-entropy the logits, further back."""
    found = None
    fixed = roles.fixed | roles.penalty
    for entry, operations in parts_ending_at(graph, end, fixed.__contains__, LONGEST):
        if size(graph.data(entry)) > LARGEST or not hasattr(graph.data(entry), "shape"):
            break
        if not graph.operations[entry]:
            continue
        targets = list(targets_in(graph, operations, fixed, size(graph.data(entry))))
        name = match(graph, [entry], operations, graph.data(entry).shape, targets)
        if name and (found is None or name.endswith(WORDS["cross_entropy"])):
            found = name, set(operations)
            if not name.endswith("nll"):
                break
    return found


def of_numbers(graph: Graph, roles: Roles, end: int) -> tuple[str, set[int]] | None:
    """The loss of a graph of Values: its name, and all operations behind the network's outputs."""
    users, operations = users_of(graph), [n for n in behind(graph, roles) if n <= end]
    entries = [n for n in roles.ends if n != end]
    targets = [first_fixed_beside(graph, users, entry, roles.fixed) for entry in entries]
    if not entries or not operations or None in targets or len(operations) > 4000:
        return None
    import numpy as np

    target = np.array([single(t) for t in targets])
    name = match(graph, entries, operations, (len(entries),), [target, -target])  # 1 - y·t may be written as 1 + (-t)·y
    return (name, set(operations)) if name else None


def behind(graph: Graph, roles: Roles) -> list[int]:
    """The operations that come after the network, in order."""
    after = set(roles.ends)
    found = []
    for n, parents in enumerate(graph.parents):
        if n not in roles.network and any(parent in after for parent in parents):
            after.add(n)
            found.append(n)
    return found


def loss_without_name(graph: Graph, roles: Roles) -> tuple[str, set[int]] | None:
    """The part after the network that looks like a loss."""
    members = behind(graph, roles)
    return ("loss", set(members)) if members and looks_like_a_loss(graph, members, roles.fixed) else None


def targets_in(graph: Graph, operations: Sequence[int], fixed: frozenset[int], outputs: int) -> Iterator[Any]:
    """What may be the targets: arrays that the operations meet, and whole numbers by which they pick entries.

    A single number is one where there is a single output.
    """
    import numpy as np

    for n in operations:
        index = (getattr(graph.nodes[n], "options", None) or {}).get("index")
        for part in index[::-1] if isinstance(index, tuple) else (index,):
            if getattr(part, "size", 0) and part.dtype.kind in "iu":
                yield part.reshape(-1)
        for parent in graph.parents[n]:
            if parent in fixed:
                found = np.asarray(graph.data(parent))
                if found.size > 1 or outputs == 1:
                    yield found if found.size > 1 else found.reshape(())
                if found.ndim == 2 and (found.sum(axis=1) == 1).all() and found.shape[1] > 1:
                    yield found.argmax(axis=1)


def match(
    graph: Graph, entries: Sequence[int], operations: Sequence[int], shape: tuple[int, ...], targets: Sequence[Any]
) -> str:
    """The name of the loss, with its factor where it has one; "" where it is none of the table."""
    import numpy as np

    from tinygrad_edu.nn.losses import LOSSES

    random = np.random.default_rng(1)
    draws = [
        random.normal(size=shape) * 2.0,
        random.normal(size=shape),
        *(random.uniform(0.05, 0.95, shape) for _ in "12"),
    ]
    tried = [
        (p, recompute(graph, operations, dict(zip(entries, given(p, graph, entries), strict=True)))) for p in draws
    ]
    tried = [(p, single(y)) for p, y in tried if y is not None and size(y) == 1 and math.isfinite(single(y))]
    if len(tried) < 2:
        return ""
    for target in targets:
        for name in LOSSES:
            factors = {} if name in ALIASES else factors_of(LOSSES[name], tried, target)
            if factors:
                reduction = min(factors, key=lambda r: (NEAT.get(round(factors[r], 9), len(NEAT)), r))
                return in_words(name, reduction, factors[reduction], size(draws[0]))
    return ""


def factors_of(loss: Any, tried: Sequence[tuple[Any, float]], target: Any) -> dict[str, float]:
    """By what the loss has to be multiplied, as a mean and as a sum; empty where that depends on the outputs."""
    found = {reduction: common_factor(loss, tried, target, reduction) for reduction in ("mean", "sum")}
    return {reduction: factor for reduction, factor in found.items() if factor is not None}


def given(p: Any, graph: Graph, entries: Sequence[int]) -> list[Any]:
    """Outputs drawn by us, as the graph's back end has them."""
    return [p] if hasattr(graph.data(entries[0]), "dtype") else p.tolist()


def common_factor(loss: Any, tried: Sequence[tuple[Any, float]], target: Any, reduction: str) -> float | None:
    """c where the numbers are c times this loss, for all outputs that were tried."""
    import numpy as np

    factors = []
    for p, y in tried:
        try:
            wanted = float(
                loss(p, np.broadcast_to(target, p.shape) if target.shape == () else target, reduction=reduction)
            )
        except (TinygradError, ArithmeticError, ValueError, IndexError, TypeError):
            continue  # this loss does not accept such outputs
        if not math.isfinite(wanted) or wanted == 0.0:
            return None
        factors.append(y / wanted)
        if factors[0] <= 0.0 or not math.isclose(factors[-1], factors[0], rel_tol=SAME):
            return None  # most losses are ruled out here, after two outputs
    return factors[0] if len(factors) > 1 else None


def in_words(name: str, reduction: str, factor: float, outputs: int) -> str:
    """mse; sum of a loss; half of it."""
    words = WORDS.get(name, name.replace("_", " "))
    if reduction == "sum" and outputs > 1:
        words = SUMS.get(name, f"{words}, sum")
    return words if math.isclose(factor, 1.0, rel_tol=1e-6) else f"{digits(factor)} · {words}"

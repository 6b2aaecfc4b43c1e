"""Which nodes are the network, and which are the loss behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tinygrad_edu.core import ops as ops  # fills the table
from tinygrad_edu.core.operation import TABLE
from tinygrad_edu.draw.graph import Graph, is_node, looks_up
from tinygrad_edu.draw.text import size

RESHAPING = {"transpose", "reshape", "getitem", "broadcast_to", "astype", "conv_weight", "neg"}
PRODUCTS = {"matmul", "conv", "conv_transpose"}  # products of two parameters too, such as an embedding times a weight
BENDING = {"maximum", "minimum"}  # with a constant: a hand-written relu
NEVER = {"square", "log", "abs", "neg", "reciprocal"}  # first steps of a loss rather than last steps of a layer
GOING_ON = {"add", "softmax", "log_softmax", "concatenate", "reshape", "transpose"}
OF_A_LOSS = ("_loss", "_error")  # endings of the names of operations that losses are made of


@dataclass(frozen=True, slots=True)
class Roles:
    """`network`: the nodes up to the model's outputs; `ends`: these outputs; `penalty`: what is made of parameters
    alone, such as the sum of their squares; `fixed`: what depends on no parameter, such as targets."""

    network: frozenset[int]
    ends: tuple[int, ...]
    penalty: frozenset[int]
    fixed: frozenset[int]


def roles_of(graph: Graph) -> Roles:
    """The roles of a graph's nodes, from where parameters meet data."""
    like, alone, fixed, network = set[int](), set[int](), set[int](), set[int]()
    for number, parents in enumerate(graph.parents):
        if not parents:
            (like if graph.kind(number) == "parameter" else fixed).add(number)
            continue
        if all(parent in fixed for parent in parents):
            fixed.add(number)
        elif is_use(graph, number, like, alone):
            network.add(number)
        elif all(parent in like or parent in alone or is_scalar(graph, parent, fixed) for parent in parents):
            (like if graph.operations[number] in RESHAPING else alone).add(number)
        elif carries_on(graph, number, network, fixed):
            network.add(number)
    close(graph, network)
    ends = ends_of(graph, network)
    return Roles(frozenset(network), ends, frozenset(alone), frozenset(fixed))


def is_scalar(graph: Graph, number: int, fixed: set[int]) -> bool:
    return number in fixed and not is_node(graph.nodes[number]) and size(graph.nodes[number]) == 1


def is_use(graph: Graph, number: int, like: set[int], alone: set[int]) -> bool:
    """Does a parameter meet data here?"""
    parents = graph.parents[number]
    weights = [parent for parent in parents if parent in like]
    if not weights:
        return False
    if graph.operations[number] in PRODUCTS or looks_up(graph.nodes[number]):
        return True
    return any(p not in like and p not in alone and not is_literal(graph, p) for p in parents)


def is_literal(graph: Graph, number: int) -> bool:
    """Is it a number written in the program, and no input?"""
    return graph.kind(number) == "constant" and size(graph.nodes[number]) == 1


def carries_on(graph: Graph, number: int, network: set[int], fixed: set[int]) -> bool:
    """An activation, a change of shape or a sum of what the network made is part of it still."""
    parents = [parent for parent in graph.parents[number] if not is_literal(graph, parent)]
    if not parents or any(parent not in network for parent in parents):
        return False
    operation = graph.operations[number]
    row = TABLE.get(operation)
    if row is not None and len(parents) == 1:
        return operation in BENDING or (
            row.activation and len(row.parameters) - len(row.defaults) == 1 and operation not in NEVER
        )
    return operation in GOING_ON and (operation != "add" or len(graph.parents[number]) == len(parents))


def close(graph: Graph, network: set[int]) -> None:
    """Add everything before a use of a parameter to the network."""
    for number in range(len(graph.nodes) - 1, -1, -1):
        if number in network:
            network.update(graph.parents[number])


def ends_of(graph: Graph, network: set[int]) -> tuple[int, ...]:
    """The results of the network that are used outside it, or nowhere."""
    inside = {parent for number in network for parent in graph.parents[number]}
    outside = {parent for n in range(len(graph.nodes)) if n not in network for parent in graph.parents[n]}
    results = [n for n in sorted(network) if graph.operations[n]]
    return tuple(n for n in results if n in outside or n not in inside)


def looks_like_a_loss(graph: Graph, members: Sequence[int], fixed: frozenset[int]) -> bool:
    """Is a target taken off, or is there an operation that losses are made of?"""
    return any(
        graph.operations[n].endswith(OF_A_LOSS)
        or (graph.operations[n] == "sub" and any(p in fixed for p in graph.parents[n]))
        or looks_up(graph.nodes[n])
        for n in members
    )


def is_plain_number(graph: Graph, number: int) -> bool:
    return size(graph.data(number)) == 1


def first_fixed_beside(graph: Graph, users: Sequence[Sequence[int]], entry: int, fixed: frozenset[int]) -> Any:
    """The target that meets one output of the network: the first number beside it on the way down; None for none."""
    number = entry
    for _ in range(4):
        beside = [p for user in users[number][:1] for p in graph.parents[user] if p != number and p in fixed]
        if beside:
            return graph.data(beside[0])
        if not users[number]:
            return None
        number = users[number][0]
    return None

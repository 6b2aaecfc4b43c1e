"""Repeated equal layers and blocks, as one box with "×12"."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tinygrad_edu.draw.graph import Graph
from tinygrad_edu.draw.layers import Layers
from tinygrad_edu.draw.text import size

FEWEST = 3  # equal blocks in a row; from here on they are drawn as one
MOST_BOXES = 14  # boxes for layers; with more, every block of a model is one box
BLOCK = re.compile(r"(.*?(?:^|\.)\w+\.\d+|\d+)(?:\..*)?")  # "layers.3.attention.query" is in block "layers.3"


@dataclass(frozen=True, slots=True)
class MergedBlocks:
    """`merged`: by key of a layer, the key under which it is drawn; by this key: words, title, how often."""

    merged: Mapping[str, str]
    repeats: Mapping[str, int]
    titles: Mapping[str, str]
    words: Mapping[str, str] = field(default_factory=dict)


def blocks_of(graph: Graph, layers: Layers, keys: Sequence[str]) -> MergedBlocks:
    """The blocks of a model that are drawn as one box."""
    order = [key for key in dict.fromkeys(keys) if key in layers.words]
    members: dict[str, list[str]] = {}
    for key in order:
        members.setdefault(block_of(key), []).append(key)
    signatures = signatures_of(graph, layers, keys)
    signed = {block: tuple(signatures[key] for key in inside) for block, inside in members.items()}
    whole = len(order) > MOST_BOXES
    merged, titles, words = dict[str, str](), dict[str, str](), dict[str, str]()
    repeats: dict[str, int] = {}
    for run in runs(list(members), signed):
        repeated = len(run) >= FEWEST
        for block in [run[0]] if repeated else run:
            joined = run if repeated else [block]
            if not repeated and not (whole and len(members[block]) > 1):
                continue
            merged |= {key: block for each in joined for key in members[each]}
            titles[block] = run[0] if len(joined) == 1 else f"{run[0]} to {run[-1]}"
            repeats[block] = len(joined)
            words[block] = layers.words.get(block) or words_of_block(layers, block, members[block])
    return MergedBlocks(merged, repeats, titles, words)


def block_of(key: str) -> str:
    """The block that a layer is in: itself, where it is in none."""
    match = BLOCK.fullmatch(key)
    return match[1] if match else key


def signatures_of(graph: Graph, layers: Layers, keys: Sequence[str]) -> dict[str, tuple[object, ...]]:
    """By layer: what has to be the same for two of them to be equal."""
    operations: dict[str, Counter[str]] = {}
    parameters: Counter[str] = Counter()
    for n, key in enumerate(keys):
        counted = operations.setdefault(key, Counter())
        if graph.operations[n]:  # a constant may belong to several blocks
            counted[graph.operations[n]] += 1
        parameters[key] += size(graph.data(n)) if graph.kind(n) == "parameter" else 0
    return {
        key: (layers.words.get(key), parameters[key], tuple(sorted(counted.items())))
        for key, counted in operations.items()
    }


def runs(blocks: Sequence[str], signed: Mapping[str, object]) -> list[list[str]]:
    """Equal blocks in a row."""
    found: list[list[str]] = []
    for block in blocks:
        if found and signed[found[-1][-1]] == signed[block]:
            found[-1].append(block)
        else:
            found.append([block])
    return found


def words_of_block(layers: Layers, block: str, members: Sequence[str]) -> str:
    """The class of the module that is the block, else what is in it."""
    for key in members:
        for place, module in layers.owners[key].modules if key in layers.owners else ():
            if place == block:
                return type(module).__name__
    return " + ".join(layers.words[key] for key in members[:3]) + ", ..." * (len(members) > 3)

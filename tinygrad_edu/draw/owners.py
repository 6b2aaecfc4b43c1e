"""Whose a parameter is: the layer that holds it, and the modules around that layer."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tinygrad_edu.draw.graph import Graph


@dataclass(frozen=True, slots=True)
class Owner:
    """A layer: its place in the model, "layers.0", and the modules from the model down to it."""

    place: str
    modules: tuple[tuple[str, Any], ...]  # (place, module)

    @property
    def module(self) -> Any:
        return self.modules[-1][1]


def owners_of(graph: Graph) -> dict[int, Owner]:
    """By the number of a leaf: the layer that holds it, for all leaves that a living module holds.

    Of nested modules the outermost that is a layer to a reader: the GRU rather than one of its gates.
    """
    living = sys.modules.get("tinygrad_edu.nn.module")
    if living is None:  # no module has been made yet
        return {}
    leaves = {id(node): n for n, node in enumerate(graph.nodes) if not graph.operations[n]}
    modules = list(living.ALIVE.values())
    above = {id(child): (module, name) for module in modules for name, child in module.named_children()}
    held = {leaves[key]: module for module in modules for key in arrays_held(module) if key in leaves}
    found = {n: owner(module, above) for n, module in held.items()}
    roots = {id(each.modules[0][1]): each.modules[0][1] for each in found.values()}
    if len(roots) > 1:
        names = {key: f"{type(root).__name__} {k}" for k, (key, root) in enumerate(roots.items(), 1)}
        found = {n: within(names[id(each.modules[0][1])], each) for n, each in found.items()}
    return found


def arrays_held(module: Any) -> Iterator[int]:
    """The ids of the Tensors and Values that a module itself holds."""
    from tinygrad_edu.nn.kept import leaves_of

    for name, attribute in module.members():
        for _, leaf in leaves_of(attribute, name):
            if getattr(getattr(leaf, "dtype", None), "kind", "") == "O":
                yield from map(id, leaf.flat)
            else:
                yield id(leaf)


def owner(module: Any, above: dict[int, tuple[Any, str]]) -> Owner:
    """The way from the outermost module down to the first one that is a layer."""
    way, names = [module], []
    while id(way[-1]) in above and len(way) < 100:
        parent, name = above[id(way[-1])]
        if any(parent is each for each in way):
            break
        way.append(parent)
        names.append(name)
    way, names = way[::-1], names[::-1]
    places = [".".join(names[:k]) for k in range(len(way))]
    depth = next((k for k, each in enumerate(way) if each.describe()), len(way) - 1)
    return Owner(places[depth], tuple(zip(places, way, strict=True))[: depth + 1])


def within(name: str, owner: Owner) -> Owner:
    """The owner with the model's name in front, if a picture shows two models."""
    return Owner(f"{name}: {owner.place}" if owner.place else name, owner.modules)

"""What is measured: one piece of work, and how each peer does it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

OURS = "tinygrad_edu"

Answer = Sequence[float]  # what all peers must agree on
Run = Callable[[], Answer]  # does the work once; the graph is gone when it returns
Prepare = Callable[[], Run]  # imports the peer and makes inputs and weights, which is not measured


@dataclass(frozen=True)
class Workload:
    """`peers`: by the name of the package, ours first. `at_least`: how many times as fast as a peer we must be."""

    name: str
    what: str
    peers: Mapping[str, Prepare]
    at_least: Mapping[str, float] = field(default_factory=dict)
    rounds: int = 7
    rtol: float = 1e-12

    def installed(self) -> list[str]:
        return [package for package in self.peers if is_installed(package)]

    def missing(self) -> list[str]:
        return [package for package in self.peers if not is_installed(package)]


def is_installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:  # run from a checkout that is not installed
        return str(getattr(importlib.import_module(package), "__version__", "?"))

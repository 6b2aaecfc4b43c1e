"""What is measured: one piece of work, and how each peer does it; or a quantity of ours that has a limit."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

OURS = "tinygrad_edu"

Answer = Sequence[float]  # numbers on which all peers must agree
Run = Callable[[], Answer]  # does the work once; the graph is freed when it returns
Prepare = Callable[[], Run]  # imports the peer and makes inputs and weights; not part of the measured time


@dataclass(frozen=True)
class Workload:
    """One piece of work and who does it.

    `peers`: by the name of the package, ours first. `at_least`: how many times as fast as a peer we must be.
    `repeats`: how many runs of a peer make the whole work, where it does a part only; its time is multiplied by that.
    `threads`: of every peer, in force from before its import (child.py).
    """

    name: str
    what: str
    peers: Mapping[str, Prepare]
    at_least: Mapping[str, float] = field(default_factory=dict)
    rounds: int = 7
    rtol: float = 1e-12
    threads: int = 1
    repeats: Mapping[str, float] = field(default_factory=dict)

    def installed(self) -> list[str]:
        return [package for package in self.peers if is_installed(package)]

    def missing(self) -> list[str]:
        return [f"{package} is not installed, skipped" for package in self.peers if not is_installed(package)]


@dataclass(frozen=True)
class Probe:
    """Quantities of ours alone, each with its limit: `measure` gives one number for each name in `at_most`.

    `needs`: a file of the system without which it cannot be measured.
    """

    name: str
    what: str
    measure: Callable[[], Mapping[str, float]]
    at_most: Mapping[str, float]
    unit: str
    rounds: int = 1
    threads: int = 2
    needs: str = ""

    def missing(self) -> list[str]:
        return [] if not self.needs or Path(self.needs).exists() else [f"this system has no {self.needs}, skipped"]


Row = Workload | Probe


def is_installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:  # run from a checkout without installation
        return str(getattr(importlib.import_module(package), "__version__", "?"))

"""What a number was measured on."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from pathlib import Path

from bench.speed.workload import version

ALWAYS = ("numpy", "numba", "scipy")  # packages on which our own speed depends


def conditions(packages: Iterable[str], day: str) -> list[str]:
    """Machine and date; versions."""
    names = dict.fromkeys([*packages, *ALWAYS])
    return [
        f"{machine()}; {platform.system()} {platform.machine()}; Python {platform.python_version()}; {day}",
        ", ".join(f"{package} {version(package)}" for package in names),
    ]


def machine() -> str:
    return f"{processor()}, {os.cpu_count()} cores"


def processor() -> str:
    """The processor's name where the system tells it."""
    information = Path("/proc/cpuinfo")
    if information.exists():
        lines = information.read_text(encoding="utf-8").splitlines()
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
        if names:
            return names[0]
    return platform.processor() or platform.machine()

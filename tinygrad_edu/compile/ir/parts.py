"""The cotangent of a node that has several results: one array for each of them that was used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Part = tuple[str, int]  # ("state", i) or ("ys", j)


class Parts:
    """Part → its cotangent; two of them are added part by part."""

    def __init__(self, found: Mapping[Part, Any]) -> None:
        self.found = dict(found)

    def __add__(self, other: Parts) -> Parts:
        total = dict(self.found)
        for part, g in other.found.items():
            total[part] = total[part] + g if part in total else g
        return Parts(total)

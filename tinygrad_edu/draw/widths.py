"""How wide a picture will be: estimated from its DOT text, before any layout, to choose one that fits a page."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping, Sequence

PAGE = 960.0  # points; width of a slide of 13⅓ inches
NODE = re.compile(r"(\w+) \[shape=(\w+).*?label=(<.*>|\"(?:[^\"\\\\]|\\\\.)*\")")
EDGE = re.compile(r"(\w+) -> (\w+)(?: \[(.*)\])?")
TAG = re.compile(r"<[^>]*>")
LETTER, BOLD = 6.3, 6.9  # points; average width of a letter in Helvetica at 12 points
BETWEEN_RANKS, BESIDE, MARGIN = 27.0, 16.0, 12.0  # points
# rows may be shifted against each other; on 20 graphs the estimate was -30% to +40% off the layout
STAIRS, SLACK = 200.0, 1.3


def widths(statements: Iterable[str]) -> tuple[float, float]:
    """(width of the layout from left to right, of the layout from top to bottom), in points."""
    boxes: dict[str, float] = {}
    edges: list[tuple[str, str, float]] = []
    for statement in statements:
        if edge := EDGE.fullmatch(statement.strip()):
            edges.append((edge[1], edge[2], LETTER * len(label_of(edge[3] or ""))))
        elif node := NODE.match(statement.strip()):
            boxes[node[1]] = width_of(node[2], node[3])
    return along(boxes, edges), across(boxes, edges)


def label_of(attributes: str) -> str:
    match = re.search(r'(?:^|, )label="([^"]*)"', attributes)
    return match[1] if match else ""


def width_of(shape: str, label: str) -> float:
    """The width of one node."""
    if shape == "circle":
        return 27.0
    lines = re.split(r"</TR>|<BR/>", label[1:-1])
    texts = [(html.unescape(TAG.sub("", line)), "<B>" in line) for line in lines]
    longest = max((len(text) * (BOLD if bold else LETTER) for text, bold in texts), default=0.0)
    width = longest * (1.3 if shape == "ellipse" else 1.0) + MARGIN
    return max(width, 54.0)


def along(boxes: Mapping[str, float], edges: Sequence[tuple[str, str, float]]) -> float:
    """The longest way through the graph, in the widths of its boxes."""
    reach: dict[str, float] = {}
    for name, above in in_order(boxes, edges):
        reach[name] = boxes[name] + max((reach[a] + BETWEEN_RANKS + text for a, text in above), default=0.0)
    return max(reach.values(), default=0.0)


def across(boxes: Mapping[str, float], edges: Sequence[tuple[str, str, float]]) -> float:
    """The widest row, if each box is placed just above the first one that uses it."""
    order = [name for name, _ in in_order(boxes, edges)]
    below: dict[str, list[str]] = {}
    for a, b, _ in edges:
        below.setdefault(a, []).append(b)
    rank: dict[str, int] = {}
    for name in reversed(order):
        rank[name] = 1 + max((rank[user] for user in below.get(name, ()) if user in rank and user != name), default=-1)
    rows: dict[int, float] = {}
    for name, row in rank.items():
        rows[row] = rows.get(row, 0.0) + boxes[name] + BESIDE
    passing: dict[int, int] = {}
    for a, b, _ in edges:
        for row in range(rank.get(b, 0) + 1, min(rank.get(a, 0), rank.get(b, 0) + 50)):
            passing[row] = passing.get(row, 0) + 1
    widest = max((width + BESIDE * passing.get(row, 0) for row, width in rows.items()), default=0.0)
    return STAIRS + SLACK * widest if len(rows) > 3 else widest


def in_order(
    boxes: Mapping[str, float], edges: Sequence[tuple[str, str, float]]
) -> list[tuple[str, list[tuple[str, float]]]]:
    """(box, those before it), every one after these; an edge back, from a group to itself, is left out."""
    above: dict[str, list[tuple[str, float]]] = {name: [] for name in boxes}
    for a, b, text in edges:
        if a != b and a in boxes and b in boxes:
            above[b].append((a, text))
    order: list[str] = []
    seen: dict[str, int] = {}
    for start in boxes:
        stack = [start]
        while stack:
            name = stack[-1]
            if name not in seen:
                seen[name] = 1
                stack += [a for a, _ in above[name] if a not in seen]
            else:
                stack.pop()
                if seen[name] == 1:
                    seen[name] = 2
                    order.append(name)
    place = {name: k for k, name in enumerate(order)}
    return [(name, [(a, text) for a, text in above[name] if place[a] < place[name]]) for name in order]

"""Hostile files, made from good ones: every field missing or of another kind, arrays of another form, bytes damaged."""

import copy
import json
import math
from collections.abc import Iterator

import numpy as np

CODE = "SGD(p); __import__('os').system('touch hacked') #"
VALUES = [
    None, True, False, 0, -1, 1, 10**9, 2**70, 10**400, 0.5, 1e308, math.nan, math.inf, -math.inf, "", "x", "a\nb",
    "\x00\x1b[2J", "<script>", CODE, "nan", "float64", "mse", "y" * 5000, "(" * 3000, "warmup(schedule=" * 300, [],
    [[1.0]], [None], ["x"], [1e308, -1e308], [math.nan] * 3, [2, 20000, 20000, 1], [10**30, 10**30], {}, {"a": 1},
    {"x=1); print(": 1}, {"sizes": [2, 1]}, {"sizes": [2, 20000, 20000, 1], "seed": 0},
]  # fmt: skip


def deep(levels: int) -> str:
    """JSON nested so deep."""
    return "[" * levels + "]" * levels


def places(record, path=()) -> Iterator[tuple]:
    """The way to each field of a record, the record itself first."""
    yield path
    if isinstance(record, dict):
        for name, each in record.items():
            yield from places(each, (*path, name))
    elif isinstance(record, list):
        for i, each in enumerate(record[:2]):
            yield from places(each, (*path, i))


def changed(record, path, value):
    """A copy with another value at one place."""
    if not path:
        return value
    made = copy.deepcopy(record)
    inner = made
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    return made


def without(record, path):
    made = copy.deepcopy(record)
    inner = made
    for step in path[:-1]:
        inner = inner[step]
    del inner[path[-1]]
    return made


def records(record) -> Iterator[object]:
    """One field missing, or any of VALUES in its place."""
    for path in places(record):
        if path:
            yield without(record, path)
        for value in VALUES:
            yield changed(record, path, value)


def texts(record) -> Iterator[bytes]:
    """The same as JSON, and what is no good JSON."""
    for each in records(record):
        yield json.dumps(each).encode()
    good = json.dumps(record)
    yield from (text.encode() for text in ("", "{", deep(5000), f'{{"loss_curve": {deep(5000)}}}', "9" * 6000))
    yield good.replace("{", '{"loss_curve": [' + "9" * 6000 + "],", 1).encode()
    yield good.encode("utf-16")
    yield b"\xff\xfe\x00" + good.encode()


def arrays(good: dict) -> Iterator[dict]:
    """One array missing, or of another shape, dtype or size, or with other numbers."""
    for name, x in good.items():
        yield {key: each for key, each in good.items() if key != name}
        yield {**good, name + ".": x}
        others = [x[None], x.ravel()[:0], np.zeros((0, 3)), np.zeros(7), np.array(1.0), np.array(True), x.ravel()[:1]]
        others += [np.nan_to_num(x).astype(t) for t in ("f4", "f2", "i8", "u1", "?")]
        others += [np.full(x.shape, v) for v in (np.nan, np.inf, 0.0)]
        yield from ({**good, name: other} for other in others)


def damaged(good: bytes, count: int, seed: int = 0) -> Iterator[bytes]:
    """Cut, changed and longer files."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        at, kind = (
            int(rng.integers(len(good))) if rng.random() < 0.5 else int(rng.integers(min(99, len(good)))),
            rng.integers(4),
        )
        flipped = bytearray(good)
        flipped[at] ^= 1 << int(rng.integers(8))
        yield [
            good[:at],
            bytes(flipped),
            good[:at] + rng.bytes(8) + good[at + 8 :],
            good[:at] + rng.bytes(3) + good[at:],
        ][kind]
    yield (2**63).to_bytes(8, "little") + good[8:]
    yield b""

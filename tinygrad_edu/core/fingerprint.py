"""A number that changes when an array is written to: how a changed input is noticed between forward and backward."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np

BLOCK = 64
SMALL = 8192  # entries up to which every byte goes through CRC-32 (1 ns a byte); above, blocks are summed first


def fingerprint(array: np.ndarray[Any, Any]) -> int:
    """CRC-32 of the array's bits; of a large array, of the sums of its blocks of 64 entries (memory speed).

    >>> x = np.zeros(3); before = fingerprint(x); x[1] = 1e-300
    >>> fingerprint(x) == before
    False
    """
    flat = np.ascontiguousarray(array).reshape(-1)
    if flat.size <= SMALL:
        return zlib.crc32(flat.data)
    bits: np.ndarray[Any, Any] = flat.view(np.uint64 if flat.itemsize == 8 else np.uint32)
    whole = bits.size // BLOCK * BLOCK
    sums = bits[:whole].reshape(-1, BLOCK).sum(axis=1, dtype=np.uint64)
    return zlib.crc32(bits[whole:].data, zlib.crc32(sums.data))

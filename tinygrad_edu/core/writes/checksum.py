"""A number that changes when an array is written to: it reveals a changed input between forward and backward."""

from __future__ import annotations

import functools
import zlib
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

SMALL = 16_384  # bytes; up to here CRC-32 takes less than the 4 µs overhead of the block sums
# 32-bit words; a block, its weights and their products fit into the second-level cache of a core (320 kB)
BLOCK = 16_384


def checksum(array: Array) -> int:
    """32 bits that depend on every bit of the array and on its position.

    A small array goes through CRC-32. A large one is read as pieces xⱼ of 32 bits: each block of them gives
    Σⱼ wⱼ·xⱼ mod 2⁶⁴ with fixed random odd weights wⱼ of 64 bits, and CRC-32 joins the sums.

    What it can miss: a change of one piece always alters the sum, because 0 < |change| < 2³² and wⱼ is odd. A change
    of several pieces (signs, a permutation, a mirror image) is missed with a probability of at most 2⁻³² (multilinear
    hashing, Carter and Wegman 1979): a change has no factor 2³², so 32 random bits of w remain. CRC-32 adds another
    2⁻³². It is no protection against somebody who searches for two arrays with the same checksum.

    Cost on one core of a Xeon, for an entry of 8 bytes: 1.4 ns up to 2048 entries, 1.1 ns above. (CRC-32 for all takes
    1.4 or, with other builds of zlib, up to 8 ns; sha256 3.9, blake2b 7.3; sums without weights, which ignore the
    order, 0.4.)

    >>> x = np.ones(10_000); before = checksum(x)
    >>> np.negative(x, out=x)[0], checksum(x) == before
    (np.float64(-1.0), False)
    """
    packed = np.ascontiguousarray(array)
    if packed.nbytes <= SMALL:
        return zlib.crc32(packed.data)
    flat = packed.reshape(-1).view(np.uint8)
    whole = flat.size // 4 * 4
    return zlib.crc32(block_sums(flat[:whole].view(np.uint32)).data, zlib.crc32(flat[whole:].data))


def block_sums(pieces: Array) -> Array:
    """Σ w·x of each block, modulo 2⁶⁴ as is all arithmetic of uint64."""
    factors, room = odd_weights(), np.empty(min(BLOCK, pieces.size), dtype=np.uint64)
    sums = np.empty(-(-pieces.size // BLOCK), dtype=np.uint64)
    for i in range(sums.size):
        block = pieces[i * BLOCK : (i + 1) * BLOCK]
        widened = room[: block.size]
        widened[...] = block
        sums[i] = np.dot(widened, factors[: block.size])
    return sums


@functools.cache
def odd_weights() -> Array:
    """Random odd numbers, the same in every process and release, since checkpoints keep fingerprints of the data."""
    return np.asarray(np.random.PCG64(2**32 - 5).random_raw(BLOCK)) | np.uint64(1)

"""Named arrays in one safetensors file: no pickle, so that a file from elsewhere cannot run code."""

from __future__ import annotations

import json
import os
import stat
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from tinygrad_edu import checks, packages
from tinygrad_edu.core.writes.checksum import checksum
from tinygrad_edu.errors import CheckpointError, DtypeError
from tinygrad_edu.whole_files import replace

Array = np.ndarray[Any, Any]
CHECKSUM = "tinygrad_edu.checksum"  # a name of our own, because files of other libraries may hold a "checksum" too
MOST = 2**32  # bytes; a larger file is a mistake or an attack on the memory


def write_arrays(
    path: str | os.PathLike[str], arrays: Mapping[str, Array], metadata: Mapping[str, str] | None = None
) -> None:
    """Write arrays; an existing file stays whole until all of the new one is on the disk.

    Errors: DtypeError for what such a file does not hold.
    """
    path = checks.path_of_numbers(path, "Module.save").resolve()
    save = packages.find("safetensors.numpy", "a file of weights").save
    # C order, as the file format needs: transposed arrays are copied
    in_order = {name: np.array(array, native(name, array.dtype), order="C") for name, array in arrays.items()}
    texts = dict(metadata or {})
    replace(path, save(in_order, {**texts, CHECKSUM: checksum_of(in_order, texts)}))


def native(name: str, dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype in this machine's order of bytes. Errors: DtypeError for one that the file format does not have."""
    if dtype.kind not in "biuf" or dtype.itemsize > 8:
        raise DtypeError(
            f"{name} holds {dtype}: a file of weights holds booleans, whole numbers and floats of up to 64 bits"
        )
    return dtype.newbyteorder("=")


def checksum_of(arrays: Mapping[str, Array], texts: Mapping[str, str]) -> str:
    """A checksum of all numbers, texts and names: a damaged disk or a bad copy would otherwise go unnoticed."""
    parts = [(name, x.dtype.str, x.shape, checksum(x)) for name, x in sorted(arrays.items())]
    return f"{zlib.crc32(repr((parts, sorted(texts.items()))).encode()):08x}"


def read_arrays(path: str | os.PathLike[str]) -> dict[str, Array]:
    """The arrays of a file by name. Errors: CheckpointError if it is cut off or of another format."""
    return read_all(path)[0]


def read_all(path: str | os.PathLike[str]) -> tuple[dict[str, Array], dict[str, str]]:
    """The arrays of a file, and the texts stored with them. Errors: as `read_arrays`."""
    load = packages.find("safetensors.numpy", "a file of weights").load
    SafetensorError = packages.find("safetensors", "a file of weights").SafetensorError
    data = file_bytes(path)
    try:
        arrays = load(data)
        # the layout of safetensors: 8 bytes with the header's length, then the JSON header
        header = parse_json(data[8 : 8 + int.from_bytes(data[:8], "little")])
        texts = dict(header.get("__metadata__") or {})
        stored = texts.pop(CHECKSUM, None)
        intact = stored is None or stored == checksum_of(arrays, texts)  # files of other libraries have no checksum
    except KeyError as kind:  # of numbers
        raise CheckpointError(f"{path} holds numbers of type {kind}, which NumPy has not: save it in float32") from None
    except (SafetensorError, AttributeError, TypeError, ValueError, OverflowError, MemoryError) as error:
        raise CheckpointError(
            f"{path} ({len(data):,} bytes) is not a complete safetensors file: {error}. The file was cut off or "
            "holds something else: save it again"
        ) from None
    if not intact:
        raise CheckpointError(f"{path}: the checksum differs, so some of its numbers are no longer what was saved")
    return arrays, texts


def file_bytes(path: str | os.PathLike[str]) -> bytes:
    """The bytes of a regular file: a pipe would block, and a device may never end.

    Errors: CheckpointError if it is not a regular file, or larger than MOST; OSError if it cannot be read.
    """
    path = checks.path("path", path, "load")
    found = os.stat(path)
    if not stat.S_ISREG(found.st_mode):
        kind = "a folder" if stat.S_ISDIR(found.st_mode) else "a pipe, a device or the like"
        raise CheckpointError(f"{path} is {kind}: a regular file is needed")
    if found.st_size > MOST:
        raise CheckpointError(f"{path} has {found.st_size:,} bytes: only files of up to {MOST:,} are read")
    return path.read_bytes()


def parse_json(data: bytes | str) -> Any:
    """The value of a JSON text. Errors: ValueError for anything wrong with it, such as deep nesting or huge numbers."""
    try:
        return json.loads(data)
    except RecursionError:
        raise ValueError("its lists and objects are too deeply nested") from None

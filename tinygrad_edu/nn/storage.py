"""Arrays by name in one file, in the safetensors format: no pickle, so that a file from elsewhere can run no code."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_edu.errors import CheckpointError

Array = np.ndarray[Any, Any]


def write(path: str | os.PathLike[str], arrays: Mapping[str, Array], metadata: Mapping[str, str] | None = None) -> None:
    """Write arrays; until all of it is on the disk, the file that stood there before stays whole."""
    from safetensors.numpy import save

    in_order = {name: np.array(array, order="C") for name, array in arrays.items()}  # transposed ones are copied
    replace(Path(path).resolve(), save(in_order, dict(metadata or {}) or None))


def replace(path: Path, data: bytes) -> None:
    """A new file under another name first, then that name: a step that a file system does wholly or not at all."""
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        with part.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def read(path: str | os.PathLike[str]) -> dict[str, Array]:
    """The arrays of a file by name. Errors: CheckpointError where it is cut off or of another format."""
    return read_all(path)[0]


def read_all(path: str | os.PathLike[str]) -> tuple[dict[str, Array], dict[str, str]]:
    """The arrays of a file, and the texts that stand beside them. Errors: as `read`."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    data = Path(path).read_bytes()
    try:
        arrays = load(data)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])  # as the format's description says
        return arrays, header.get("__metadata__", {})
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{path} ({len(data):,} bytes) is not a whole safetensors file: {error}. It was cut off on its way here, "
            "or holds something else: save it again"
        ) from None

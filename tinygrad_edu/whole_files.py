"""Files that are written whole or not at all, with the standard library alone."""

from __future__ import annotations

import errno
import os
from pathlib import Path


def replace(path: Path, data: bytes) -> None:
    """Write under another name first, then rename: a file system renames completely or not at all.

    What is no file, such as a pipe or /dev/stdout, is written to: a rename would put a file in its place.
    Errors: OSError; where the folder is missing, or the path is a folder, it names that.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "there is a folder where a file is to be written", str(path))
    if not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "no such folder to write into", str(path.parent))
    if path.exists() and not path.is_file():
        path.write_bytes(data)
        return
    part = path.with_name(f".{path.name}.{os.urandom(4).hex()}.part")
    try:
        with part.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)

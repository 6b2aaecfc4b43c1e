"""Files that are written whole or not at all, with the standard library alone."""

from __future__ import annotations

import errno
import glob
import os
import platform
import zlib
from pathlib import Path

# Two machines may share a folder, and process ids are unique on one machine only.
HOST = f"{zlib.crc32(platform.node().encode()) % 0x10000:04x}"


def remove_leftovers(path: Path) -> None:
    """Remove what processes that were killed while they wrote this file have left beside it."""
    for part in path.parent.glob(f".{glob.escape(path.name)}.{HOST}-*-*.part"):
        writer = part.name.removesuffix(".part").split("-")[-2]
        if writer.isdigit() and not is_alive(int(writer)):
            part.unlink(missing_ok=True)


def is_alive(process: int) -> bool:
    """Does such a process exist? True where asking could end it, as on Windows."""
    try:
        if os.name == "posix":
            os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True  # the process exists but belongs to another user
    return True


def replace(path: Path, data: bytes) -> None:
    """Write under another name first, then rename: a file system renames completely or not at all.

    What is not a file, such as a pipe or /dev/stdout, is written to: a rename would put a file in its place.
    Errors: OSError; where the folder is missing, or the path is a folder, it names that.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "there is a folder where a file is to be written", str(path))
    if not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "no such folder to write into", str(path.parent))
    if path.exists() and not path.is_file():
        path.write_bytes(data)
        return
    remove_leftovers(path)
    part = path.with_name(f".{path.name}.{HOST}-{os.getpid()}-{os.urandom(2).hex()}.part")
    try:
        with part.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)

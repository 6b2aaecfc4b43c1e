"""Who may write to a file: the cache executes what it loads, so it must be this user's alone, as with ssh keys."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

OTHERS = stat.S_IWGRP | stat.S_IWOTH


def users_folder() -> Path:
    """Where this system keeps a user's caches; the usual place of Linux where platformdirs is not installed."""
    try:
        import platformdirs
    except ImportError:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tinygrad_edu"
    return platformdirs.user_cache_path("tinygrad_edu")


def unusable(path: Path) -> str:
    """Why no programs can be kept there; "" if they can. The folder is made for this user alone."""
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        if reason := danger(path.resolve()):
            return reason
        with tempfile.TemporaryFile(dir=path):
            return ""
    except (OSError, RuntimeError):  # RuntimeError: a loop of symbolic links
        return "it cannot be written"


def danger(path: Path) -> str:
    """Why a file or folder may have been written by somebody else, in one sentence; "" if it cannot have been.

    A symbolic link is not followed: it is neither a file nor a folder. Windows has no such owners and modes.
    """
    found = path.lstat()
    if not (stat.S_ISDIR(found.st_mode) or stat.S_ISREG(found.st_mode)):
        return f"{path} is neither a folder nor a plain file"
    if os.name != "posix":
        return ""
    if found.st_uid != os.geteuid():
        return f"{path} belongs to another user (number {found.st_uid}), whose code would run"
    if found.st_mode & OTHERS:
        return f"{path} can be written by other users, whose code would run (`chmod go-w` takes that away)"
    return ""


def danger_within(folder: Path) -> str:
    """The first such reason in a folder and its contents."""
    try:
        return next((reason for path in (folder, *inside(folder)) if (reason := danger(path))), "")
    except FileNotFoundError:  # another process is working in there
        return ""
    except OSError as error:
        return f"{folder} cannot be looked at ({error.strerror})"


def inside(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        yield from (Path(place, name) for name in (*folders, *files))


def remove(path: Path, process: int) -> None:
    """Remove a folder when the process ends that has made it, and not when one forked from it does."""
    if os.getpid() == process:
        shutil.rmtree(path, ignore_errors=True)


def close(path: Path) -> None:
    """For this user alone, whatever the umask was when it was written."""
    with suppress(OSError):
        path.chmod(0o600)

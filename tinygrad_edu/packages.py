"""Packages that only a part of the library needs: without one that part says in a sentence what to install."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tinygrad_edu.errors import MissingPackageError

# module → its name for `pip install`, where the two differ
INSTALLED_AS = {"sklearn": "scikit-learn", "scipy.optimize": "scipy"}


def find(module: str, what: str) -> Any:
    """The module, imported now. Errors: MissingPackageError that says what needs it and how to get it.

    >>> find("json", "this").loads("1")
    1
    >>> find("no_such_package", "a test")
    Traceback (most recent call last):
        ...
    tinygrad_edu.errors.MissingPackageError: a test needs no_such_package: `pip install no_such_package` brings it
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise missing(module, what) from error


@contextmanager
def forgetting_halves() -> Iterator[None]:
    """Imports inside; if one is interrupted, what it has left of a package is forgotten, so that it can be repeated.

    Python forgets the package itself, but keeps its modules: Numba's would be broken until the process ends.
    """
    before = set(sys.modules)
    try:
        yield
    except BaseException:
        for name in set(sys.modules) - before:
            if name.partition(".")[0] not in sys.modules:
                del sys.modules[name]
        raise


def missing(module: str, what: str) -> MissingPackageError:
    """The error for one that is not there."""
    name = INSTALLED_AS.get(module, module.partition(".")[0])
    return MissingPackageError(f"{what} needs {name}: `pip install {name}` brings it", name=module)


def available(module: str) -> bool:
    """Is it installed? It is looked for, and not imported."""
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):  # ValueError: a module without __spec__ was put under that name
        return False

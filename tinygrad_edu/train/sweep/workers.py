"""Where many runs go: threads of this process, or the processes and clusters of joblib, which schedules and retries."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tinygrad_edu.errors import SettingError, unknown_name
from tinygrad_edu.train.progress_bar import Bar

TASKS = 4  # tasks per worker: small enough that no worker ends up working alone for long


@contextmanager
def backend(name: str | None) -> Iterator[int]:
    """How many workers of joblib there are for what is done in this block; 0 where it stays in this process.

    name: of a backend of joblib; None: that of the `joblib.parallel_config` around it, if there is one.
    Errors: SettingError where joblib is missing or has no such backend, or where there is no cluster.
    """
    if name is None:
        yield active()
        return
    with configure(name):
        yield active()


def active() -> int:
    """Workers of the backend that is set. None can be where joblib has not been imported."""
    joblib: Any = sys.modules.get("joblib")
    if joblib is None:
        return 0
    found, count = joblib.parallel.get_active_backend()
    if getattr(found, "supports_sharedmem", False) or (count or found.default_n_jobs) == 1:
        return 0
    return max(1, int(joblib.effective_n_jobs(count or found.default_n_jobs)))


def configure(name: str) -> Any:
    """joblib's own context manager, with as many workers as there are processors."""
    try:
        joblib = importlib.import_module("joblib")
    except ImportError as error:
        raise SettingError(f'parallel={name!r} needs joblib: `pip install "tinygrad_edu[cluster]"`') from error
    known = joblib.parallel.BACKENDS | joblib.parallel.EXTERNAL_BACKENDS
    if name not in known:
        raise unknown_name("backend of joblib", name, known)
    try:
        return joblib.parallel_config(name, n_jobs=-1)
    except (ImportError, ValueError) as error:  # dask is missing, or has no Client
        raise SettingError(f"parallel={name!r}: {error}") from error


def spread_tasks(
    task: Callable[[Sequence[Any]], Sequence[Any]], places: Sequence[Any], count: int, shown: Bar
) -> list[Any]:
    """task(some places), some for each task of `count` workers; the results in the order of the places.

    What the task holds goes with each of its calls. As an argument of its own joblib would leave large data with one
    worker of a cluster, and if that one died Dask could not make them again.
    """
    joblib: Any = sys.modules["joblib"]
    size = -(-len(places) // (TASKS * count))
    parts = [places[i : i + size] for i in range(0, len(places), size)]
    workers = joblib.Parallel(return_as="generator", batch_size=1, pre_dispatch="all")
    results: list[Any] = []
    for part in workers(joblib.delayed(task)(part) for part in parts):
        results += part
        shown.update(len(part))
    return results

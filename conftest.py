"""Compiled programs of the tests go to a folder of the session: it begins empty, and the user's own stays as it is."""

import os

import pytest

pytest_plugins = [
    "tests.browser",  # the fixture `browser`, started once for all tests of pages
    "tests.bench_rows",  # `toy`, a row of bench
    "tests.case_runs",  # `ran`, the report of each case
]


@pytest.fixture(autouse=True, scope="session")
def session_cache(tmp_path_factory):
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base  # one cache for all parallel workers
    folder = shared / "programs"
    folder.mkdir(mode=0o700, exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TINYGRAD_EDU_CACHE", str(folder))
        yield

"""A folder of compiled programs for one test."""

import sys

import pytest

from tinygrad_edu.compile.backend import cache


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A cache of this test's own, with nothing loaded from it."""
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "TEMPORARY", [])
    forget()
    yield tmp_path / "cache"
    forget()


def forget():
    """As in a new process: no generated module is loaded."""
    for name in [name for name in sys.modules if name.startswith("tinygrad_edu_test")]:
        del sys.modules[name]

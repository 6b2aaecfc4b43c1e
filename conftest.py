"""Compiled programs of the tests go to a folder of the session: it begins empty, and the user's own stays as it is."""

import pytest

pytest_plugins = ["tests.browser"]  # the fixture `browser`, started once for all tests of pages


@pytest.fixture(autouse=True, scope="session")
def session_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TINYGRAD_EDU_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield

"""Compiled programs of the tests go to a folder of the session: it begins empty, and the user's own stays as it is.

TINYGRAD_EDU_TEST_CACHE names a folder that is kept instead: `make test-fast` finds there what its last run compiled.
How well they are optimized: tests/compiler_of_tests.py.
"""

import atexit
import gc
import linecache
import os
import shutil
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests import compiler_of_tests

# If PYTHONDONTWRITEBYTECODE is set, each of the hundreds of processes that tests start compiles the package anew (0.9 s
# of the 1.4 s of an import), and each worker compiles all tests. Bytecode goes to __pycache__, as usual.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Matplotlib keeps its list of fonts in a folder of the tests: one in the user's home, written by another installation,
# may lack this installation's fonts, which are then reported as missing.
os.environ["MPLCONFIGDIR"] = str(Path(__file__).parent / ".pytest_cache" / "matplotlib")
os.makedirs(os.environ["MPLCONFIGDIR"], exist_ok=True)


def in_memory():
    """A folder of temporary files that is kept in memory, where this system has one with room for those of the tests.

    On a disk, each file that is saved waits for it (6 ms, measured), and so does each that is written over another one:
    tests/test_hostile_files.py took 43 s, of which the processor worked for 14; in memory it takes 21 s (at a load of
    3). What the C compiler makes is loaded from there, so that programs must be allowed to run from it.
    """
    folder = Path("/dev/shm")
    if not (hasattr(os, "statvfs") and folder.is_dir() and os.access(folder, os.W_OK)):
        return None
    free = os.statvfs(folder)
    return folder if free.f_bavail * free.f_frsize > ROOM and not free.f_flag & os.ST_NOEXEC else None


ROOM = 2 * 2**30  # bytes: all of the tests write 0.3e9
if "TMPDIR" not in os.environ and (found := in_memory()):
    # of this run alone: browsers and clusters leave folders behind
    os.environ["TMPDIR"] = tempfile.mkdtemp(prefix="tests_", dir=found)
    atexit.register(shutil.rmtree, os.environ["TMPDIR"], ignore_errors=True)
    tempfile.tempdir = None  # asked for anew

# There are as many workers as processors. If BLAS had threads in each, they would wait for one another, and a thread
# that waits keeps its processor busy: tests/estimators/test_forms.py took 8.3 s of the processors instead of 3.0, at a
# load of 8. Tests that ask what several threads do set their number themselves. NumPy is not loaded yet.
if "PYTEST_XDIST_WORKER" in os.environ:
    for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        os.environ.setdefault(variable, "1")

# The time of an example shows how busy the machine is, not whether the code is right.
settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")

CASES = 3  # cases of each parametrized test in the inner loop: the first, the last and one in between

pytest_plugins = [
    "tests.browser",  # fixture `browser`, started once for all tests of pages
    "tests.built_site",  # fixture `site`, the documentation
    "tests.bench_rows",  # fixture `toy`, a row of bench
    "tests.case_runs",  # fixture `ran`, the report of each case
    "tests.example_runs",  # fixture `seen`, what each program of the guided path prints and writes
    "tests.quick_reports",  # fewer messages between workers and controller
]


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """A third of the time of collecting 20,000 tests was the garbage collector's, which finds next to nothing then.

    What was collected stays until the end, so it is set aside for good: no later collection goes through it. And the
    tests themselves make many objects that live for a moment: looked at after 50,000 of them, not after 700, they cost
    a tenth less CPU time. The collector stays on; what it does to a user's graphs is tested in processes of their own.
    Where doctests were looked for, the source of 1,080 files is kept, and each doctest and each report of the examiner
    asks the disk whether one of them has changed, which takes 3 ms. What is wanted is read again.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        linecache.clearcache()
        gc.freeze()
        gc.set_threshold(50_000, 50, 100)
        gc.enable()


def pytest_runtest_setup(item):
    """A test marked torch is skipped where PyTorch is not installed, whether or not it asks itself."""
    if item.get_closest_marker("torch") is not None:
        pytest.importorskip("torch", reason="PyTorch (torch) is not installed: python -m pip install torch==2.13.0")


def pytest_runtest_teardown(item, nextitem):
    if "browser" in getattr(item, "fixturenames", ()) and "browser" not in getattr(nextitem, "fixturenames", ()):
        sys.modules["tests.browser"].leave_page()  # pytest imported it as a plugin


@pytest.hookimpl(tryfirst=True)  # before `-m` reads the markers
def pytest_collection_modifyitems(items, config):
    """`-m "not slow"` runs every test function on CASES of its cases; the others are marked slow."""
    if not any("::" in each for each in config.args) and (wrong := misspelled(items)):
        raise pytest.UsageError(f"as_python names cases that are not there: {wrong}")
    cases = defaultdict(list)
    for item in items:
        if item.get_closest_marker("slow") is None:
            cases[item.nodeid.partition("[")[0]].append(item)
    for each in cases.values():
        kept = {round(i * (len(each) - 1) / (CASES - 1)) for i in range(CASES)}
        for i, item in enumerate(each):
            if i not in kept:
                item.add_marker("slow")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item, nextitem):
    compiler_of_tests.choose(item)
    try:
        return (yield)
    finally:
        if nextitem is None or nextitem.path != item.path:  # what a file of tests leaves stays, as in pytest_collection
            gc.collect(0)
            gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem):
    """A test marked as_python runs its programs as Python, but for the cases that the marker names."""
    marker = pyfuncitem.get_closest_marker("as_python")
    if marker is None or case_of(pyfuncitem) in marker.kwargs.get("but", ()):
        return (yield)
    from tests.compile.programs import training_without_numba, without_numba

    with without_numba(), training_without_numba():
        return (yield)


def case_of(item):
    """What stands between the brackets of a parametrized test's name."""
    return item.callspec.id if hasattr(item, "callspec") else ""


def misspelled(items):
    """Cases named by markers as_python that no test has: they would be run as Python without a word."""
    named, found = set(), set()
    for item in items:
        function, marker = item.nodeid.partition("[")[0], item.get_closest_marker("as_python")
        if marker is not None:
            named |= {(function, case) for case in marker.kwargs.get("but", ())}
            found.add((function, case_of(item)))
    return sorted(named - found)


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory):
    """One folder for all parallel workers."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(autouse=True, scope="session")
def session_cache(shared_folder):
    folder = Path(os.environ.get("TINYGRAD_EDU_TEST_CACHE") or shared_folder / "programs").absolute()
    with pytest.MonkeyPatch.context() as patch:
        compiler_of_tests.begin(folder, patch)
        yield
        compiler_of_tests.end()

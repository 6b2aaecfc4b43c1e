"""The child of a fork compiles, and collects garbage, whatever another thread of the parent was at."""

import gc
import os
import signal
import threading
import time

import pytest

from tinygrad_edu.compile.backend import cache, forks

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here"),
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),
]
PAUSE = 0.1


def in_fork(work):
    """Is work() true in the child of a fork, within 5 s?"""
    child = os.fork()
    if not child:
        try:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.setitimer(signal.ITIMER_REAL, 5.0)
            os._exit(0 if work() else 1)
        finally:
            os._exit(2)
    return os.waitpid(child, 0)[1] == 0


def beside(work, check):
    """check() while a thread is in work(begun)."""
    begun = threading.Event()
    thread = threading.Thread(target=work, args=(begun,))
    thread.start()
    try:
        assert begun.wait(5.0)
        return check()
    finally:
        thread.join()


def take_numbas_lock():
    with forks.numbas_lock():
        return True


def test_a_fork_waits_for_a_compilation():
    pytest.importorskip("numba")

    def compile_slowly(begun):
        with forks.numbas_lock():
            begun.set()
            time.sleep(PAUSE)

    start = time.perf_counter()
    assert beside(compile_slowly, lambda: in_fork(take_numbas_lock))
    assert time.perf_counter() - start > 0.9 * PAUSE
    assert not forks.numbas_lock().is_locked()


def test_a_fork_while_it_compiles_itself_does_not_wait():
    pytest.importorskip("numba")
    with forks.numbas_lock():
        assert in_fork(take_numbas_lock)
        assert forks.numbas_lock().is_locked()
    assert not forks.numbas_lock().is_locked()


class SlowFunction:
    """A function that is not compiled yet: its first call takes some time."""

    overloads = ()

    def __call__(self, begun):
        begun.set()
        time.sleep(PAUSE)


def test_the_collector_is_on_in_the_child():
    def compile_slowly(begun):
        cache.call_first(SlowFunction(), begun)

    assert beside(compile_slowly, lambda: not gc.isenabled() and in_fork(gc.isenabled))
    assert gc.isenabled()


class ForkingFunction:
    overloads = ()

    def __call__(self):
        return in_fork(gc.isenabled)


def test_it_stays_off_in_a_child_that_still_compiles():
    assert not cache.call_first(ForkingFunction())
    assert gc.isenabled()

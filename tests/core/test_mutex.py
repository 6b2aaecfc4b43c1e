"""The package's locks are free after their blocks, whatever ended these, and in the child of a fork."""

import ast
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

import tinygrad_edu
from tinygrad_edu import Tensor, Value
from tinygrad_edu.core.graph import ACCUMULATING
from tinygrad_edu.core.mutex import ALL, Mutex

PACKAGE = Path(tinygrad_edu.__file__).parent
MUTEX = Mutex()


def is_free(mutex):
    """Can another thread take it? Frees it in this one, so that no other test waits for it."""
    found = []

    def look():
        found.append(mutex.taken.acquire(blocking=False))
        if found[0]:
            mutex.taken.release()

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    while mutex.is_mine():
        mutex.taken.release()
    return found[0]


def block():
    with MUTEX.freed(), MUTEX.taken:
        return len("in it")


def block_in_block():
    with MUTEX.freed(), MUTEX.taken:
        block()
        return len("in it")


def block_in_block_that_goes_on():
    with MUTEX.freed(), MUTEX.taken:
        with suppress(KeyboardInterrupt):
            block()
        assert MUTEX.is_mine()


def of_tensors():
    w = Tensor(np.ones(2), requires_grad=True)
    (w * w).sum().backward()


def of_values():
    x = Value(0.5)
    (x * x).backward()


BLOCKS = {
    block: MUTEX,
    block_in_block: MUTEX,
    block_in_block_that_goes_on: MUTEX,
    of_tensors: ACCUMULATING,
    of_values: ACCUMULATING,
}
WITHIN = (block.__code__.co_filename, str(PACKAGE / "core/mutex.py"), str(PACKAGE / "core/graph.py"))


def interrupted_at(moment, work, event):
    """`work`, with KeyboardInterrupt at so many events of the interpreter in blocks and their ends; how many come."""
    count, own = 0, interrupted_at.__code__

    def look(frame, what, _):
        nonlocal count
        name = frame.f_code.co_filename
        if frame.f_code is own or (name not in WITHIN and frame.f_code.co_name != "backward"):
            return None
        frame.f_trace_opcodes = event == "opcode"
        if what == event:
            count += 1
            if count == moment:
                raise KeyboardInterrupt
        return look

    start = sys.setprofile if event.startswith("c_") else sys.settrace
    before = sys.getprofile() if start is sys.setprofile else sys.gettrace()
    start(look)
    try:
        work()
    except KeyboardInterrupt:
        pass
    finally:
        start(before)
    return count


@pytest.mark.parametrize("event", ["line", "opcode", "c_call", "c_return"])
@pytest.mark.parametrize("work", BLOCKS, ids=lambda f: f.__name__)
def test_what_a_debugger_or_profiler_raises_leaves_no_lock_taken(work, event):
    """The line and the call that end a block are outside of `with`'s own protection: such a lock was taken for good."""
    work()
    count = interrupted_at(0, work, event)
    assert count >= 4
    left = [
        moment for moment in range(1, count + 1) if interrupted_at(moment, work, event) and not is_free(BLOCKS[work])
    ]
    assert not left


def is_wrong(node):
    """A call of Lock or RLock, a `with` that takes a lock and does not free it, or `try` within such a block."""
    if isinstance(node, ast.Call):
        return ast.unparse(node.func).rpartition(".")[2] in ("Lock", "RLock")
    if not isinstance(node, ast.With):
        return False
    names = [ast.unparse(x.context_expr) for x in node.items]
    bare = any(x.endswith(".taken") and f"{x[:-6]}.freed()" not in names[:i] for i, x in enumerate(names))
    tries = any(isinstance(x, ast.Try) for x in ast.walk(node))
    return bare or (tries and any(x.endswith(".freed()") for x in names))


def test_every_lock_of_the_package_is_such_a_lock():
    found = []
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if path.name != "mutex.py" and any(x in text for x in ("Lock", ".taken", ".freed")):
            lines = [node.lineno for node in ast.walk(ast.parse(text)) if is_wrong(node)]
            found += [f"{path.relative_to(PACKAGE)}:{line}" for line in lines]
    assert not found


def in_fork(work):
    """Does work() return in the child of a fork, within 5 s?"""
    child = os.fork()
    if not child:
        try:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.setitimer(signal.ITIMER_REAL, 5.0)
            work()
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitpid(child, 0)[1] == 0


def take_each():
    for mutex in list(ALL):
        assert not mutex.is_mine()
        with mutex.freed(), mutex.taken:
            pass
    of_tensors()
    of_values()


class Holder:
    """A thread that has taken some locks while the block runs."""

    def __init__(self, mutexes, seconds=60.0):
        self.mutexes, self.begun, self.done, self.seconds = mutexes, threading.Event(), threading.Event(), seconds
        self.thread = threading.Thread(target=self.hold)

    def hold(self):
        for mutex in self.mutexes:
            mutex.taken.acquire()
        self.begun.set()
        self.done.wait(self.seconds)
        for mutex in self.mutexes:
            mutex.taken.release()

    def __enter__(self):
        self.thread.start()
        self.begun.wait()
        return self

    def __exit__(self, *error):
        self.done.set()
        self.thread.join()


forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
warns_of_threads = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


@forks
@warns_of_threads
def test_each_is_free_in_the_child_of_a_fork():
    """Only the lock of backward() was: a child that compiled, as another thread did at the fork, waited for ever."""
    with Holder([mutex for mutex in ALL if mutex is not ACCUMULATING]):
        assert in_fork(take_each)
    assert all(is_free(mutex) for mutex in ALL)


@forks
@warns_of_threads
def test_a_fork_waits_for_the_backward_pass_of_another_thread():
    start = time.perf_counter()
    with Holder([ACCUMULATING], seconds=0.1):
        assert in_fork(take_each)
        assert time.perf_counter() - start > 0.09
    assert is_free(ACCUMULATING)


@forks
@warns_of_threads
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # Ctrl-C in a hook of fork
def test_ctrl_c_during_that_wait_leaves_no_lock_taken():
    """The child's release failed, and its first backward() waited for a thread that was not there."""
    if threading.current_thread() is not threading.main_thread():
        pytest.skip("signals reach the main thread alone")

    def interrupt(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with Holder([ACCUMULATING]):
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            assert in_fork(take_each)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert is_free(ACCUMULATING)


@forks
def test_a_fork_within_a_block_leaves_the_block_as_it_was():
    with ACCUMULATING.freed(), ACCUMULATING.taken:
        child = os.fork()
        if not child:
            os._exit(0 if ACCUMULATING.is_mine() else 1)
        assert os.waitpid(child, 0)[1] == 0
    assert is_free(ACCUMULATING)

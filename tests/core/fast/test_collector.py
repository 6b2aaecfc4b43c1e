"""The garbage collector and large graphs of Values: a node costs the same, nothing leaks, Ctrl-C is heard."""

import gc
import inspect
import subprocess
import sys
import time
import weakref

import pytest

import tinygrad_edu as tg
from tinygrad_edu.core.fast.collector import LARGE, WAIT

VALUE = tg.Value


@pytest.fixture(autouse=True)
def settings():
    """A program that has built no large graph, and the settings of this one put back."""
    thresholds, before = gc.get_threshold(), (gc.isenabled(), list(gc.callbacks), gc.get_debug())
    gc.set_threshold(700, 10, 10)
    yield
    gc.set_threshold(*thresholds)
    assert (gc.isenabled(), list(gc.callbacks), gc.get_debug()) == before


def chain(n):
    x = total = VALUE(1.0)
    for _ in range(n // 2):
        total = total * 0.5 + x
    return total


class Cycle:
    def __init__(self):
        self.itself = self


def middle_collections(work):
    before = gc.get_stats()[1]["collections"]
    kept = work()
    return gc.get_stats()[1]["collections"] - before + (kept is None)


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="its collector has no middle generation")
def test_older_objects_are_spared_once_a_large_graph_has_been_built():
    assert middle_collections(lambda: chain(2 * LARGE)) > 5
    chain(2 * LARGE).backward()
    assert middle_collections(lambda: chain(2 * LARGE)) == 0


@pytest.mark.slow
def test_garbage_waits_no_longer_than_it_takes_to_build_the_next_graph():
    for nodes, objects in (2 * LARGE, 8 * LARGE), (12 * LARGE, WAIT), (2 * LARGE, WAIT):
        chain(nodes).backward()
        assert 0.99 * objects < 700 * gc.get_threshold()[1] <= 1.01 * objects


def test_other_programs_are_collected_as_ever():
    for _ in range(20):
        chain(1000).backward()
    assert gc.get_threshold() == (700, 10, 10)


@pytest.mark.parametrize("own", [(0, 10, 10), (700, 0, 10), (700, 10**6, 10), (10**7, 10, 10)])
def test_a_threshold_of_the_program_s_own_is_kept(own):
    gc.set_threshold(*own)
    chain(2 * LARGE).backward()
    assert gc.get_threshold() == own


def test_a_graph_is_freed_at_once():
    root = chain(50_000)
    root.backward()
    gc.collect()
    before = len(gc.get_objects())
    del root
    assert len(gc.get_objects()) < before - 49_000


def test_memory_stays_flat_over_many_graphs():
    sizes = []
    for _ in range(6):
        chain(60_000).backward()
        sizes.append(len(gc.get_objects()))
    assert max(sizes[1:]) - min(sizes[1:]) < 2000


def run(program):
    """In a process of its own, where a full collection takes milliseconds; beside all tests it is half a second."""
    text = f"import gc, weakref\nfrom tinygrad_edu import Value as VALUE\n{inspect.getsource(chain)}{program}"
    return subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True).stdout


ASKED_FOR = """
class Cycle:
    def __init__(self):
        self.itself = self
root = chain(60_000)
root.backward()
for _ in range(20):
    gone = weakref.ref(Cycle())
    assert gone() is not None
    gc.collect()
    assert gone() is None
    root = root * 0.5
assert root.parents
"""


def test_a_collection_that_a_program_asks_for_takes_place():
    run(ASKED_FOR)


def test_garbage_in_cycles_beside_values_is_collected_in_the_end():
    chain(2 * LARGE).backward()
    gone = [weakref.ref(Cycle())]
    kept = []
    while gone[0]() is not None and len(kept) < 2 * WAIT // 100_000:
        kept.append(chain(100_000))
    assert gone[0]() is None


def test_a_collector_that_is_switched_off_stays_off():
    gc.disable()
    try:
        chain(100_000).backward()
        assert not gc.isenabled()
    finally:
        gc.enable()


HEARD = """
import signal, time
def ring(*_): raise KeyboardInterrupt
signal.signal(signal.SIGALRM, ring)
chain(60_000).backward()
heard = 0
for k in range(20):
    signal.setitimer(signal.ITIMER_REAL, .02 + .001 * k)
    end, keep = time.time() + .2, []
    try:
        while time.time() < end:
            keep.append([[] for _ in range(50)])
    except KeyboardInterrupt:
        heard += 1
print(heard)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="has no setitimer")
def test_every_interrupt_is_heard():
    """Python forgets what a function in gc.callbacks raises: with one, 15 of these 20 were lost."""
    assert run(HEARD) == "20\n"


COST = """
import time
from tinygrad_edu import Value
def chain(n):
    x = total = Value(1.0)
    for _ in range(n // 2):
        total = total * 0.5 + x
    total.backward()
def cost(n, times):
    best = 9e9
    for _ in range(times):
        start = time.process_time()
        chain(n)
        best = min(best, (time.process_time() - start) / n)
    return best
small, collected = cost(2_000, 100), cost(1_000_000, 1)  # which is the first large graph
spared = cost(1_000_000, 2)
print(spared / small, collected / small)
"""


@pytest.mark.slow
def test_a_node_of_a_million_costs_what_a_node_of_two_thousand_does():
    """1.2 times on a quiet machine, which is the processor's cache, and 2.4 times with all collections.

    Where memory is slow, as in a crowded machine, both grow: 2.3 and 4 were seen. So one is compared with the other.
    """
    ratios = []
    for _ in range(3):
        found = subprocess.run([sys.executable, "-c", COST], capture_output=True, text=True, check=True)
        spared, collected = map(float, found.stdout.split())
        ratios.append((spared, collected))
        if spared < 1.8 or spared < 0.7 * collected:
            return
        time.sleep(1.0)
    raise AssertionError(ratios)

"""The garbage collector and large graphs of Values: a node costs the same, nothing leaks, no setting is changed."""

import gc
import inspect
import subprocess
import sys
import time
import weakref

import pytest

import tinygrad_edu as tg
from tinygrad_edu.core.collector import Collector, frozen_by_program

VALUE = tg.Value


@pytest.fixture(autouse=True)
def settings():
    """Whatever a test does: the collector's settings are what they were."""
    before = gc.isenabled(), gc.get_threshold(), frozen_by_program(), list(gc.callbacks), gc.get_debug()
    yield
    assert (gc.isenabled(), gc.get_threshold(), frozen_by_program(), list(gc.callbacks), gc.get_debug()) == before


def chain(n):
    x = total = VALUE(1.0)
    for _ in range(n // 2):
        total = total * 0.5 + x
    return total


class Cycle:
    def __init__(self):
        self.itself = self


def our_callback():
    return next(x for x in gc.callbacks if isinstance(x, Collector))


def test_collections_are_called_off_while_a_graph_is_built():
    gc.collect()
    before = our_callback().called_off
    root = chain(100_000)
    young, middle, _ = gc.get_threshold()
    assert our_callback().called_off > before + 100_000 // (young * middle) // 3  # 4; Python 3.13: 1
    assert root.parents


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
root = chain(30_000)
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
    gone = [weakref.ref(Cycle())]
    kept = []
    for _ in range(100):
        if gone[0]() is None:
            break
        kept.append(chain(50_000))
    assert gone[0]() is None
    assert len(kept) < 90


def test_other_programs_are_collected_as_ever():
    gc.collect()
    before = our_callback().called_off
    kept = [[Cycle()] for _ in range(200_000)]
    assert our_callback().called_off in (before, 0)
    assert kept


FROZEN = """
gc.freeze()
count = gc.get_freeze_count()
assert count > 1000
root = chain(200_000)
assert gc.get_freeze_count() >= count - 100  # some may have been freed by their reference counts
assert root.parents
"""


def test_frozen_objects_of_a_program_stay_frozen():
    run(FROZEN)


def test_a_collector_that_is_switched_off_stays_off():
    gc.disable()
    try:
        chain(100_000).backward()
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_debug_flags_and_callbacks_of_a_program_are_served():
    seen = []
    gc.callbacks.append(lambda phase, info: seen.append(phase))
    try:
        chain(100_000)
    finally:
        gc.callbacks.pop()
    assert set(seen) == {"start", "stop"}


COST = """
import gc
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
spared, small, callbacks = cost(1_000_000, 1), cost(2_000, 100), gc.callbacks[:]
gc.callbacks.clear()
collected = cost(1_000_000, 1)
gc.callbacks[:] = callbacks
spared = min(spared, cost(1_000_000, 1))
print(spared / small, collected / small)
"""


@pytest.mark.slow
def test_a_node_of_a_million_costs_what_a_node_of_two_thousand_does():
    """1.3 times on a quiet machine, which is the processor's cache, and 3.0 times with all collections.

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

"""Walks over graphs: a stable order, linear time, any depth; and modes that belong to one thread."""

import sys
import threading
import time

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.threads import at_once
from tinygrad_edu import Tensor, Value
from tinygrad_edu.core.graph import topological

DEEP_VALUES, DEEP_TENSORS = 1_000_000, 100_000
PATIENCE = 30.0  # seconds; the walks below take about 3 on an idle machine


def tangle(leaf, depth=12):
    """A graph in which most nodes are used several times."""
    nodes = [leaf(0.3), leaf(0.7)]
    for i in range(depth):
        nodes.append((nodes[-1] * nodes[-2]).tanh() + nodes[i // 2])
    return nodes[-1]


def trainable(x):
    return Tensor(x, requires_grad=True)


back_ends = pytest.mark.parametrize("leaf", [Value, trainable], ids=["scalar", "tensor"])


@back_ends
def test_every_node_comes_once_and_after_its_parents(leaf):
    order = topological(tangle(leaf))
    place = {id(node): i for i, node in enumerate(order)}
    assert len(place) == len(order) == 2 + 3 * 12
    assert all(place[id(parent)] < place[id(node)] for node in order for parent in node.parents)


@back_ends
def test_equal_graphs_have_equal_orders(leaf):
    def shape_of(root):
        order = topological(root)
        place = {id(node): i for i, node in enumerate(order)}
        return [(node.op and node.op.name, [place[id(p)] for p in node.parents]) for node in order]

    assert shape_of(tangle(leaf)) == shape_of(tangle(leaf))


def chain(x, length):
    y = x
    for _ in range(length // 2):
        y = y * 1.0 + x
    return y


@pytest.mark.slow
@pytest.mark.parametrize(
    ("leaf", "length"), [(Value, DEEP_VALUES), (trainable, DEEP_TENSORS)], ids=["scalar", "tensor"]
)
def test_a_deep_chain_runs_forward_and_backward_and_is_freed(leaf, length):
    assert length > 50 * sys.getrecursionlimit()
    start = time.perf_counter()
    x = leaf(1.0)
    y = chain(x, length)
    y.backward()
    assert float(y.item()) == float(x.grad) == length // 2 + 1
    del y
    assert time.perf_counter() - start < PATIENCE


@pytest.mark.slow
@pytest.mark.parametrize("f", [lambda y: y.tanh(), lambda y: y * y], ids=["unary", "binary"])
def test_a_deep_chain_of_one_operation_is_freed(f):
    y = Value(1.0)
    for _ in range(DEEP_VALUES // 2):
        y = f(y)
    del y


def test_a_deep_chain_can_be_differentiated_as_a_graph():
    x = Value(0.5)
    y, pull = tg.vjp(lambda v: chain(v, 20_000), x)
    (gradient,) = pull(1.0)
    assert (y.data, gradient.data) == (0.5 * 10_001, 10_001.0)


@back_ends
def test_doubling_is_linear_in_nodes_and_exact_in_gradient(leaf):
    visited = []

    def parents(node):
        visited.append(node)
        return node.parents

    x = y = leaf(1.0)
    for _ in range(64):
        y = y + y
    assert len(topological(y, parents)) == len(visited) == 65
    start = time.perf_counter()
    y.backward()
    assert time.perf_counter() - start < 10.0  # 2⁶⁴ paths: a walk along each of them would never end
    assert float(x.grad) == 2.0**64


def test_the_gradient_of_a_doubling_chain_can_be_differentiated_in_linear_time():
    def doubled(x):
        y = x * x
        for _ in range(64):
            y = y + y
        return y

    assert tg.grad(tg.grad(doubled))(3.0) == 2.0**65


# Modes


def in_thread(f):
    """What f returns in a thread of its own, or its exception raised here."""
    found = []

    def run():
        try:
            found.append(f())
        except Exception as error:
            found.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if isinstance(found[0], Exception):
        raise found[0]
    return found[0]


@back_ends
def test_no_grad_in_one_thread_leaves_another_recording(leaf):
    x = leaf(2.0)
    with tg.no_grad():
        elsewhere = in_thread(lambda: x * x)
        here = x * x
    assert (len(elsewhere.parents), here.parents) == (2, ())


@back_ends
def test_no_grad_in_a_thread_leaves_this_one_recording(leaf):
    x, inside, done = leaf(2.0), threading.Event(), threading.Event()

    def hold():
        with tg.no_grad():
            inside.set()
            done.wait(10.0)

    thread = threading.Thread(target=hold)
    thread.start()
    inside.wait(10.0)
    y = x * x
    done.set()
    thread.join()
    assert len(y.parents) == 2


@back_ends
def test_detect_anomaly_belongs_to_its_thread(leaf):
    x = leaf(-1.0)
    with tg.detect_anomaly(), np.errstate(all="ignore"):
        assert np.isnan(in_thread(lambda: quietly(x.log)).item())


def quietly(f):
    with np.errstate(all="ignore"):
        return f()


@back_ends
def test_graphs_of_several_threads_do_not_meet(leaf):
    def gradient(scale):
        x = leaf(3.0)
        (chain(x, 200) * scale).backward()
        return float(x.grad)

    found = {}
    assert not at_once(*(lambda i=i: found.update({i: gradient(float(i))}) for i in range(8)))
    assert found == {i: 101.0 * i for i in range(8)}

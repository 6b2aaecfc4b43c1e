"""What a compiled function reads by a computed name, or where no name leads, is compared before each call too."""

import contextvars
import gc
import operator
import os
import sys
import time
import types

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.compile.backend.held_modules import Held
from tinygrad_edu.compile.user_code import computes_names, reads_globals
from tinygrad_edu.errors import TraceError

MODULE = types.ModuleType("settings_of_a_test")
sys.modules["settings_of_a_test"] = MODULE
MODULE_NAME, INNER = "settings_of_a_test", types.ModuleType("settings_of_a_test.inner")
sys.modules["settings_of_a_test.inner"] = INNER
MODULE.k = INNER.k = 2.0


ENVIRONMENT, GETTER, CALLER = os.environ, operator.attrgetter("k1"), operator.methodcaller("second")


class Net(nn.Module):
    of_class = 1.0

    def __init__(self):
        self.l0, self.l1, self.which, self.k0, self.k1 = nn.Linear(3, 3, rng=0), nn.Linear(3, 3, rng=1), "l0", 1.0, 2.0
        self.names, self.byte, self.variable = ["k0"], bytearray([2]), contextvars.ContextVar("v", default=1.0)
        self.value, self.view = tg.Value(2.0), types.MappingProxyType(CONSTANTS)

    def second(self):
        return self.k1


CONSTANTS = {"a": 1.0}


def change_layer(net):
    net.l1 = nn.Linear(3, 3, rng=7)


READS = {
    "an f-string": (lambda n, x: n.l0(x) + getattr(n, f"l{len(n.names)}")(x), change_layer),
    "a sum of texts": (lambda n, x: x * getattr(n, "k" + str(1)), lambda n: setattr(n, "k1", 5.0)),
    "a text that is joined": (lambda n, x: x * getattr(n, "".join(["k", "1"]), 1.0), lambda n: setattr(n, "k1", 5.0)),
    "an attribute": (lambda n, x: getattr(n, n.which)(x), lambda n: setattr(n, "l0", nn.Linear(3, 3, rng=8))),
    "a list of names": (lambda n, x: x * sum(getattr(n, k) for k in n.names), lambda n: setattr(n, "k0", 5.0)),
    "vars": (lambda n, x: x * vars(n)["k" + "1"], lambda n: setattr(n, "k1", 5.0)),
    "__dict__": (lambda n, x: x * n.__dict__["k" + "1"], lambda n: setattr(n, "k1", 5.0)),
    "eval": (lambda n, x: x * eval("n.k1", {"n": n}), lambda n: setattr(n, "k1", 5.0)),
    "the environment": (
        lambda n, x: x * float(os.environ.get("OF_A_TEST", "1")), lambda n: os.environ.update(OF_A_TEST="3")
    ),
    "the environment by another name": (
        lambda n, x: x * float(ENVIRONMENT.get("OF_A_TEST", "1")), lambda n: os.environ.update(OF_A_TEST="3")
    ),
    "an attribute of the class": (
        lambda n, x: x * getattr(n, "of_" + "class"), lambda n: setattr(n, "of_class", n.of_class + 1.0)
    ),
    "attrgetter": (lambda n, x: x * GETTER(n), lambda n: setattr(n, "k1", 5.0)),
    "methodcaller": (lambda n, x: x * CALLER(n), lambda n: setattr(n, "k1", 5.0)),
    "a module by its name": (lambda n, x: x * sys.modules["settings_of_a_test"].k, lambda n: setattr(MODULE, "k", 4.0)),
    "a module by a name in a variable": (
        lambda n, x: x * sys.modules[MODULE_NAME].k, lambda n: setattr(MODULE, "k", 4.0)
    ),
    "a module by a name with a dot": (
        lambda n, x: x * sys.modules["settings_of_a_test.inner"].k, lambda n: setattr(INNER, "k", 4.0)
    ),
    "bytes": (lambda n, x: x * n.byte[0], lambda n: n.byte.__setitem__(0, 7)),
    "a ContextVar": (lambda n, x: x * n.variable.get(), lambda n: n.variable.set(4.0)),
    "the number of a Value": (lambda n, x: x * n.value.data, lambda n: setattr(n.value, "data", 5.0)),
    "a view of a dict": (lambda n, x: x * n.view["a"], lambda n: CONSTANTS.update(a=CONSTANTS["a"] + 1.0)),
    "a setting of a library": (lambda n, x: x * len(sys.path), lambda n: sys.path.append(sys.path[-1])),
}  # fmt: skip


@pytest.mark.parametrize("name", READS)
def test_a_change_is_seen(name, monkeypatch):
    monkeypatch.delenv("OF_A_TEST", raising=False)
    monkeypatch.setattr(sys, "path", [*sys.path])
    MODULE.k = INNER.k = 2.0
    read, change = READS[name]
    net, x = Net(), np.array([0.3, -0.5, 0.7])
    f = tg.jit(lambda x: read(net, x))

    def eager():
        found = read(net, tg.Tensor(x))
        return found.data if isinstance(found, tg.Tensor) else found

    np.testing.assert_allclose(f(x), eager(), rtol=1e-12)
    np.testing.assert_allclose(f(x), eager(), rtol=1e-12)
    before = np.array(f(x))
    change(net)
    np.testing.assert_allclose(f(x), eager(), rtol=1e-12)
    assert not np.allclose(f(x), before)


def test_a_module_that_is_let_go_while_all_are_looked_at(monkeypatch):
    """Programs that nothing uses any more go at any moment, also while a guard looks at sys.modules."""
    own = types.ModuleType("program_that_goes")
    held = Held(own)
    held.take_functions()
    monkeypatch.setitem(sys.modules, "program_that_goes", held)
    del vars(own)["__own_module__"], own
    gc.collect()
    monkeypatch.setitem(sys.modules, "program_that_goes", held)
    assert vars(held) == {}
    f = tg.jit(lambda x: x * sys.modules["settings_of_a_test"].k)
    assert f(np.ones(1)) == MODULE.k


NAMES = [
    (False, lambda s: s.x),
    (False, lambda s: getattr(s, "x")),  # noqa: B009
    (False, lambda s, i: getattr(s.q[i], "y", 1.0 + 2 * i)),
    (False, lambda s, i: getattr(getattr(s, "a"), "b", None)),  # noqa: B009
    (False, lambda s, i: getattr(s.m(i, 1), "b")(i)),  # noqa: B009
    (True, lambda s, i: getattr(s, f"l{i}")),
    (True, lambda s, i: getattr(s, "l" + str(i), None)),
    (True, lambda s, i: getattr(s, i)),
    (True, lambda s, i: getattr(getattr(s, i), "b")),  # noqa: B009
    (True, lambda s, i: [getattr(s, i) for i in s]),
    (True, lambda s, i: vars(s)[i]),
    (False, lambda s, x: s.eval()(x)),
    (False, lambda s, x: [s.m.eval().b(x) for _ in x]),
    (True, lambda s, x: s.eval(x)),
    (True, lambda s, x: s.eval().b(eval(x))),
    (True, lambda s, x: map(s.eval, x)),
    (True, lambda s, x: s.eval(*x)),
]


@pytest.mark.parametrize(("computed", "f"), NAMES)
def test_whether_code_computes_names(computed, f):
    assert computes_names(f.__code__) is computed


@pytest.mark.parametrize(("read", "f"), [each for each in NAMES if "eval" in each[1].__code__.co_names])
def test_a_model_that_goes_into_its_other_mode_reads_no_globals(read, f):
    """Everything among the globals was searched for `model.eval()`: 7 s of a callback in a file of tests."""
    assert reads_globals(f.__code__) is read


@pytest.mark.parametrize("read", [time.time, time.perf_counter, lambda: np.random.default_rng().random()])
def test_the_time_and_chance_are_refused(read):
    with pytest.raises(TraceError, match="something else at each call"):
        tg.jit(lambda x: x * (read() + 0 * len(str(time))))(np.ones(3))


def test_a_generator_with_a_seed_gives_the_same_at_each_call():
    f = tg.jit(lambda x: x * np.random.default_rng(3).random())
    np.testing.assert_allclose(f(np.ones(3)), np.random.default_rng(3).random())

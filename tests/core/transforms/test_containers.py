"""Containers of other classes than list, tuple and dict: they come back as such, or are refused by name."""

import collections
import types
from dataclasses import dataclass

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.compile.programs import without_numba
from tinygrad_edu.errors import TinygradError

V, W = np.array([0.5, -1.0, 2.0]), np.array([1.0, 2.0, 3.0])
Pair = collections.namedtuple("Pair", "a b")


class OwnDict(dict):
    pass


class OwnList(list):
    pass


class OwnTuple(tuple):
    pass


class Checked(collections.namedtuple("Checked", "a b")):
    """A named tuple whose constructor takes something else than its fields."""

    __slots__ = ()

    def __new__(cls, both):
        return super().__new__(cls, *both)


class ByDots(dict):
    """Raises KeyError, not AttributeError, when it is asked for an attribute that it has not."""

    __getattr__ = dict.__getitem__


@dataclass
class Fields:
    a: object
    b: object


class Slots:
    __slots__ = ("a", "b")

    def __init__(self, a, b):
        self.a, self.b = a, b


def of_lists(a, b):
    made = collections.defaultdict(list)
    made["a"], made["b"] = a, b
    return made


def counted(a, b):
    made = collections.Counter()
    made["a"], made["b"] = a, b
    return made


def described(a, b):
    made = OwnList([a, b])
    made.unit = "m"
    return made


COME_BACK = {
    "OrderedDict": lambda a, b: collections.OrderedDict([("b", b), ("a", a)]),
    "defaultdict": of_lists,
    "Counter": counted,
    "dict subclass": lambda a, b: OwnDict(a=a, b=b),
    "dict by dots": lambda a, b: ByDots(a=a, b=b),
    "namedtuple": Pair,
    "namedtuple of another constructor": lambda a, b: Checked([a, b]),
    "list subclass": lambda a, b: OwnList([a, b]),
    "list with an attribute": described,
    "tuple subclass": lambda a, b: OwnTuple((a, b)),
    "nested": lambda a, b: OwnDict(p=Pair(a, OwnList([b])), q=collections.OrderedDict()),
}
REFUSED = {
    "dataclass": Fields,
    "slots": Slots,
    "SimpleNamespace": lambda a, b: types.SimpleNamespace(a=a, b=b),
    "deque": lambda a, b: collections.deque([a, b]),
    "mappingproxy": lambda a, b: types.MappingProxyType({"a": a, "b": b}),
    "ChainMap": lambda a, b: collections.ChainMap({"a": a}, {"b": b}),
    "UserDict": lambda a, b: collections.UserDict(a=a, b=b),
    "UserList": lambda a, b: collections.UserList([a, b]),
    "values": lambda a, b: {"a": a, "b": b}.values(),
    "generator": lambda a, b: (x for x in (a, b)),
}


def look(x):
    """Class, factory, attributes and numbers of a container."""
    if isinstance(x, dict):
        parts, own = [(key, look(each)) for key, each in x.items()], getattr(type(x), "__getattr__", None)
        return type(x), None if own else getattr(x, "default_factory", None), parts
    if isinstance(x, (list, tuple)):
        return type(x), getattr(x, "__dict__", None), [look(each) for each in x]
    assert not isinstance(x, tg.Tensor)
    return np.round(x, 12).tolist()


def total(tree):
    """A number that depends on the class of what it is given."""
    if isinstance(tree, dict):
        tree = list(tree.values())
    if not isinstance(tree, (list, tuple)):
        return np.sum(tree * tree)
    return sum([(i + 1.0) * len(type(tree).__name__) * total(each) for i, each in enumerate(tree)])


@pytest.mark.parametrize("name", COME_BACK)
def test_come_back(name):
    make = COME_BACK[name]

    def f(v):
        return make(2.0 * v, np.sum(v * v))

    def g(v):
        return np.sum(v), f(v)

    both = make(V, W)
    with without_numba():
        compiled = tg.jit(f)
        for _ in range(2):
            assert look(compiled(V)) == look(f(V))
        assert look(tg.jit(lambda c: c)(both)) == look(both)
        assert look(tg.value_and_grad(g, has_aux=True)(V)[0][1]) == look(f(V))
        assert look(tg.jit(tg.grad(g, has_aux=True))(V)[1]) == look(f(V))
        assert type(tg.vmap(f)(np.stack([V, W]))) is type(both)
        np.testing.assert_allclose(tg.jit(total)(both), total(both))
        found = tg.grad(total)(both)
        assert look(tg.jit(tg.grad(total))(both)) == look(found) == look(tg.jit(total).value_and_grad(both)[1])
    assert look(found)[:2] == look(both)[:2]


def test_one_compiled_function_for_all_of_them():
    compiled = tg.jit(total)
    kinds = [(lambda a, b: [a, b]), (lambda a, b: (a, b)), (lambda a, b: {"a": a, "b": b}), *COME_BACK.values()]
    with without_numba():
        for make in [*kinds, *kinds]:
            np.testing.assert_allclose(compiled(make(V, W)), total(make(V, W)))


@pytest.mark.parametrize("name", REFUSED)
def test_refused_by_name(name):
    make = REFUSED[name]
    kind = type(make(V, W)).__name__

    def f(v):
        return make(2.0 * v, np.sum(v * v))

    with without_numba():
        for run in (
            lambda: tg.jit(f)(V),
            lambda: tg.vmap(f)(np.stack([V, W])),
            lambda: tg.grad(lambda v: (np.sum(v), f(v)), has_aux=True)(V),
            lambda: tg.grad(lambda c: 1.0)(make(V, W)),
        ):
            with pytest.raises(TinygradError, match=kind):
                run()
        with pytest.raises(TinygradError):  # some have no shape to count samples in
            tg.vmap(lambda c: 1.0)(make(V, W))


def test_attributes_of_containers():
    """A compiled function has no place for a node or an array there; what is fixed belongs to the program."""

    def f(v):
        found = OwnList([v])
        found.extra = 2.0 * v
        return found

    with without_numba():
        with pytest.raises(TinygradError, match=r"OwnList with \.extra"):
            tg.jit(f)(V)
        compiled = tg.jit(lambda c: c[0] * len(c.unit))
        for unit in ("m", "km"):
            given = described(V, W)
            given.unit = unit
            np.testing.assert_array_equal(compiled(given), V * len(unit))


def test_an_object_without_nodes_is_a_valid_auxiliary_result():
    given = Fields(1.0, "text")
    assert tg.grad(lambda v: (np.sum(v), given), has_aux=True)(V)[1] is given

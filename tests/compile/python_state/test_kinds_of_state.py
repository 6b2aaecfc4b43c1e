"""jit is never stale: whatever kind of Python state a function reads, a change of it means another program.

kinds_of_state.txt holds a program of a few lines for each kind and what is changed; the classes are generated: every
way to read an attribute of a class, a base or an object, times every way to change it.
"""

import sys
import types
import warnings
from pathlib import Path

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.compile.programs import without_numba
from tinygrad_edu.compile.closure_guard import Guard
from tinygrad_edu.compile.python_state import PythonState

TEXT = (Path(__file__).parent / "kinds_of_state.txt").read_text()
KINDS = {name: rest for name, _, rest in (block.partition("\n") for block in TEXT.split("== ")[1:])}

ARRAYS = {"numpy", "tinygrad_edu", "nn", "np"}  # imports of programs whose argument must be an array

CLASSES = """
import inspect, operator
class A:
    K = 2.0
    def plain(self): return self.K
    @classmethod
    def made(cls): return cls.K
    @staticmethod
    def fixed(): return 2.0
    @property
    def found(self): return 2.0
class B(A):
    def up(self): return super().K
    def above(self): return super().plain()
    def kind(self): return type(self).K
class C(B): pass
b, c = B(), C()
"""
READS = [
    "A.K", "B.K", "C.K", "c.K", "C.made()", "c.plain()", "c.up()", "c.above()", "c.kind()", "getattr(C, 'K', 1.0)",
    "C.__mro__[2].K", "C.fixed()", "c.fixed()", "c.found", "C.found.fget(c)", "sum(getattr(C, k) for k in ['K'])",
    "operator.attrgetter('__class__.K')(c)", "B.plain(c)", "inspect.getattr_static(c, 'K')", "vars(A)['K']",
]  # fmt: skip
CHANGES = [
    "A.K = 5.0", "B.K = 5.0", "C.K = 5.0", "c.K = 5.0", "B.plain = lambda self: 5.0",
    "A.made = classmethod(lambda cls: 5.0)", "B.fixed = staticmethod(lambda: 5.0)",
    "C.found = property(lambda self: 5.0)", "c.__class__ = B; B.K = B.found = 7.0",
    "C.__bases__ = (type('D', (B,), {'K': 6.0, 'fixed': A.fixed, 'found': 6.0}),)",
    "A.plain.__code__ = (lambda self: 6.0).__code__", "A.found.fget.__code__ = (lambda self: 6.0).__code__",
]  # fmt: skip

SPECIAL = """
S = [2.0]
def entered(i):
    with i as v: return v
def added(i):
    i += 1
    return i
class A({base}):
{more}
    def {name}(self, *_): return {gives}
class B(A): pass
i = {kind}()
def f(x): return x * {read}
"""
# method: (how it is called, its result for S[0])
METHODS = {
    "__float__": ("float(i)", "S[0]"), "__int__": ("int(i)", "int(S[0])"), "__len__": ("len(i)", "int(S[0])"),
    "__getitem__": ("i[0]", "S[0]"), "__contains__": ("(2.0 if 3 in i else 1.0)", "S[0] > 3"),
    "__bool__": ("(2.0 if i else 1.0)", "S[0] > 3"), "__index__": ("list(range(9))[i]", "int(S[0])"),
    "__enter__": ("entered(i)", "S[0]"), "__eq__": ("(2.0 if i == 3 else 1.0)", "S[0] > 3"),
    "__lt__": ("(2.0 if i < 3 else 1.0)", "S[0] > 3"), "__hash__": ("hash(i)", "int(S[0])"),
    "__neg__": ("(-i)", "S[0]"),
    "__abs__": ("abs(i)", "S[0]"), "__round__": ("round(i)", "S[0]"), "__str__": ("len(str(i))", "'ab' * int(S[0])"),
    "__repr__": ("len(repr(i))", "'ab' * int(S[0])"), "__format__": ("len(f'{i}')", "'ab' * int(S[0])"),
    "__missing__": ("i['q']", "S[0]"), "__iadd__": ("added(i)", "S[0]"), "__pow__": ("(i ** 2)", "S[0]"),
    "__divmod__": ("divmod(i, 2)", "S[0]"), "__reversed__": ("reversed(i)", "S[0]"), "__call__": ("i()", "S[0]"),
    "__iter__": ("sum(i)", "iter(S)"), "__getattr__": ("i.anything", "S[0]"),
}  # fmt: skip
BASES, MORE = (
    {"__missing__": "dict"},
    {"__enter__": "    def __exit__(self, *_): pass", "__eq__": "    __hash__ = None"},
)


def special(name, kind):
    read, gives = METHODS[name]
    names = {"base": BASES.get(name, "object"), "more": MORE.get(name, ""), "name": name, "gives": gives}
    return SPECIAL.format(**names, kind=kind, read=read)


def make_module(setup):
    """The program as a module of its own, as a user's."""
    module = types.ModuleType("module_of_a_user")
    sys.modules["module_of_a_user"] = module
    exec(compile(setup, "<module of a user>", "exec"), vars(module))
    return vars(module)


def run(f, x):
    """Its numbers, or the kind of its error."""
    try:
        return np.asarray(getattr(y := f(x), "data", y)).tolist()
    except Exception as error:
        return type(error).__name__


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    for name in ("module_of_a_user", "mod_a", "mod_b"):
        monkeypatch.setitem(sys.modules, name, None)
    with warnings.catch_warnings(), without_numba():
        warnings.simplefilter("ignore")
        yield


def never_stale(setup, change, given):
    """Does the compiled function give after the change what the function itself gives? Did it matter?

    A compiled fit looks after its callbacks with the same guard, and at the state that it could put back.
    """
    space = make_module(setup)
    f, compiled = space["f"], tg.jit(space["f"])
    before, looks = run(compiled, given), (Guard([f]), PythonState(f=f))
    exec(compile(change, "<change>", "exec"), space)
    now = run(f, tg.Tensor(given) if isinstance(given, np.ndarray) else given)
    assert run(compiled, given) in (now, "TraceError")  # which is for what it changes at each call
    assert now == before or any(look.first_change() for look in looks)
    return now != before


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_of_state(name, monkeypatch):
    setup, _, change = KINDS[name].partition("\n-- ")
    monkeypatch.setenv("QQ", "2")
    assert never_stale(setup, change, 1.0 if ARRAYS.isdisjoint(setup.split()) else np.array([1.0]))


@pytest.mark.parametrize("change", CHANGES)
def test_an_attribute_of_a_class(change):
    """Each read alone: a change that another read notices would hide it."""
    mattered = [never_stale(f"{CLASSES}\ndef f(x): return x * {read}", change, 1.0) for read in READS]
    assert any(mattered)


@pytest.mark.parametrize("kind", ["A", "B"])
@pytest.mark.parametrize("name", METHODS)
def test_a_special_method(name, kind):
    setup = special(name, kind)
    assert never_stale(setup, "S[0] = 5.0", 1.0)
    assert never_stale(setup, f"A.{name} = lambda self, *_: {METHODS[name][1].replace('S', '[5.0]')}", 1.0)


def test_a_class_whose_metaclass_has_no_hash_is_looked_into():
    class Unhashable(type):
        def __eq__(cls, other):
            return cls is other

    class Counter(metaclass=Unhashable):
        def __init__(self):
            self.n = 0

    counter = Counter()
    state = PythonState(counter=counter)
    counter.n += 1
    assert state.first_change() == "counter.n"

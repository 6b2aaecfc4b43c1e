"""Functions that ask or change something outside of their arguments: called three times with a change between the
calls, a compiled function gives what plain Python gives, or is refused by name."""

import collections
import contextvars
import inspect
import io
import itertools
import os
import pathlib
import sys
import threading
import types
import warnings
from contextlib import nullcontext, suppress

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.compile.programs import without_numba
from tinygrad_edu.errors import TinygradError

V = np.array([0.5, -1.0, 2.0])


def nothing(i):
    pass


def twice_then_more():
    for i in range(10**6):
        yield 1.0 if i < 8 else 5.0


def slow_generator(folder):
    made = twice_then_more()
    return (lambda v: v * next(made)), lambda i: [next(made) for _ in range(7)]


def once_in_a_while(folder):
    made = itertools.cycle([1.0] * 8 + [5.0])
    return (lambda v: v * next(made)), lambda i: [next(made) for _ in range(7)]


def inside_another(folder):
    made = map(float, iter([1] * 8 + [5] * 20))
    return (lambda v: v * next(made)), lambda i: [next(made) for _ in range(7)]


def bound_next(folder):
    make = itertools.count(1).__next__
    return (lambda v: v * make()), nothing


def open_file(folder):
    lines = io.StringIO("1\n" * 8 + "5\n" * 20)
    return (lambda v: v * float(lines.readline())), lambda i: [lines.readline() for _ in range(7)]


def order_of_keys(folder):
    table = collections.OrderedDict(a=1.0, b=2.0)

    def f(v):
        table.move_to_end(next(iter(table)))
        return v * next(iter(table.values()))

    return f, nothing


def exists(folder):
    return (lambda v: v * (2.0 if os.path.exists(folder / "x") else 3.0)), lambda i: (folder / "x").touch()


def exists_by_pathlib(folder):
    return (lambda v: v * (2.0 if (folder / "x").exists() else 3.0)), lambda i: (folder / "x").touch()


def size(folder):
    path = folder / "x"
    path.write_text("a")
    return (lambda v: v * os.path.getsize(path)), lambda i: path.write_text("a" * (i + 3))


def listed(folder):
    return (lambda v: v * len(os.listdir(folder))), lambda i: (folder / str(i)).touch()


def globbed(folder):
    return (lambda v: v * len(list(pathlib.Path(folder).glob("*")))), lambda i: (folder / str(i)).touch()


def caught_in(block):
    def make(folder):
        def f(v):
            try:
                with block():
                    return np.sum(v / (v - v))
            except (FloatingPointError, RuntimeWarning):
                return 3.0 * np.sum(v)

        return f, nothing

    return make


def set_by_a_caller(folder):
    inner, _ = caught_in(warnings.catch_warnings)(folder)

    def f(v):
        with np.errstate(all="raise"):
            return inner(v)

    return f, nothing


def counted_by_numpy(folder):
    seen = []

    def f(v):
        before = np.seterrcall(lambda *told: seen.append(told))
        with np.errstate(all="call"):
            np.log(v)
        np.seterrcall(before)
        return v * (1.0 + len(seen))

    return f, nothing


def recorded(folder):
    def f(v):
        with warnings.catch_warnings(record=True) as seen, np.errstate(all="warn"):
            warnings.simplefilter("always")
            np.log(v)
        return v * (1.0 + len(seen))

    return f, nothing


def raised_by_a_filter(folder):
    def f(v):
        try:
            warnings.warn("told", UserWarning, stacklevel=1)
        except UserWarning:
            return 2.0 * v
        return v

    return f, lambda i: warnings.simplefilter("error" if i == 0 else "ignore")


def sets_what_it_asks(folder):
    def f(v):
        scale = 2.0 if np.geterr()["under"] == "ignore" else 3.0
        np.seterr(under="warn")
        return v * scale

    return f, nothing


def text_of_an_array(folder):
    given = np.array([1.0 / 3.0])
    return (lambda v: v * len(str(given))), lambda i: np.set_printoptions(precision=i + 3)


def references(folder):
    held, others = object(), []
    return (lambda v: v * sys.getrefcount(held)), lambda i: others.append(held)


def context(folder):
    scale = contextvars.ContextVar("scale", default=1.0)
    found = contextvars.copy_context()
    return (lambda v: v * found.run(scale.get)), lambda i: found.run(scale.set, i + 5.0)


def thread(folder):
    here = threading.current_thread()
    here.name = "MainThread"
    return (lambda v: v * len(threading.current_thread().name)), lambda i: setattr(here, "name", "x" * (i + 3))


def modules(folder):
    sys.modules.pop("not_a_module", None)
    made = types.ModuleType("not_a_module")
    return (
        lambda v: v * (2.0 if "not_a_module" in sys.modules else 3.0),
        lambda i: sys.modules.update(not_a_module=made),
    )


PROGRAMS = {
    "slow generator": slow_generator, "cycle": once_in_a_while, "map": inside_another, "bound next": bound_next,
    "open file": open_file, "order of keys": order_of_keys, "exists": exists, "Path.exists": exists_by_pathlib,
    "getsize": size, "listdir": listed, "glob": globbed, "sets what it asks": sets_what_it_asks,
    "raise": caught_in(lambda: np.errstate(all="raise")), "by a caller": set_by_a_caller, "call": counted_by_numpy,
    "record": recorded, "filter": raised_by_a_filter, "text of an array": text_of_an_array,
    "references": references, "context": context, "thread": thread, "modules": modules,
    "frames": lambda folder: ((lambda v: v * len(inspect.stack())), nothing),
    "caller": lambda folder: ((lambda v: v * (2.0 if sys._getframe(1).f_code is called.__code__ else 3.0)), nothing),
}  # fmt: skip
EQUAL = {"exists", "Path.exists", "getsize", "listdir", "glob", "text of an array", "thread", "modules"}


def called(make, folder, way):
    """What three calls give, with a change after each."""
    folder.mkdir()
    with warnings.catch_warnings(), np.errstate(all="ignore"), np.printoptions():
        warnings.simplefilter("ignore")
        f, change = make(folder)
        compiled, found = way(f), []
        for i in range(3):
            found.append(np.asarray(compiled(V)).tolist())
            change(i)
    return found


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("way", ["jit", "jit of vmap"])
def test_three_calls(name, way, tmp_path):
    ways = {"jit": tg.jit, "jit of vmap": lambda f: tg.jit(lambda v: tg.vmap(f)(v[None])[0])}
    name_of_thread = threading.current_thread().name
    try:
        expected = called(PROGRAMS[name], tmp_path / "plain", lambda f: f)
        with without_numba(), nullcontext() if name in EQUAL else suppress(TinygradError):
            assert called(PROGRAMS[name], tmp_path / "compiled", ways[way]) == expected
    finally:
        threading.current_thread().name = name_of_thread
        sys.modules.pop("not_a_module", None)


def test_vmap_of_what_numpy_warns_of():
    """The samples go one after the other: a warning of one of them would be that of all."""
    rows = np.stack([V, V + 1.5])

    def f(v):
        try:
            with np.errstate(all="raise"):
                return np.sum(np.log(v))
        except FloatingPointError:
            return 3.0 * np.sum(v)

    np.testing.assert_array_equal(tg.vmap(f)(rows), [f(row) for row in rows])


@pytest.mark.parametrize("block", [lambda: np.errstate(all="ignore"), lambda: np.errstate(divide="warn")])
def test_silence_is_compiled(block):
    def f(v):
        with block():
            return np.sum(np.exp(v))

    with without_numba():
        np.testing.assert_allclose(tg.jit(f)(V), f(V))


@pytest.mark.parametrize("axes", [(1, 0), (0, 0), (0,), (2, 0)])
def test_axes_of_transpose(axes):
    """A node took too many axes without a word."""
    x = np.ones((2, 3)) if len(axes) < 2 or axes[0] != 1 else np.ones(3)

    def f(x):
        try:
            return np.sum(np.transpose(x, axes))
        except (ValueError, IndexError):
            return 7.0 * np.sum(x)

    with without_numba():
        assert tg.jit(f)(x) == f(x)

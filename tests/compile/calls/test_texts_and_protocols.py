"""What a node is by its text, its protocols (Hashable, Iterable ...), its description, a weak reference to it."""

import collections.abc
import dataclasses
import numbers
import typing
import weakref

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.compile.programs import recorder, without_numba
from tinygrad_edu.errors import TinygradError, TraceError

V = np.array([0.5, -1.0, 2.0])


@typing.runtime_checkable
class HasShape(typing.Protocol):
    shape: tuple


KINDS = [
    *(getattr(collections.abc, name) for name in ("Hashable", "Iterable", "Sized", "Container", "Callable",
                                                  "Collection", "Reversible", "Sequence", "Mapping")),
    numbers.Number, numbers.Integral, typing.Hashable, typing.Iterable, typing.SupportsFloat, HasShape, int | float,
    (int, collections.abc.Hashable), (HasShape, int), (float, np.floating),
]  # fmt: skip
OPERANDS = {"v": lambda v: v, "sum": np.sum, "twice": lambda v: 2.0 * v, "mask": lambda v: v > 0.0}
ASK = {
    "description": lambda x: x.__doc__,
    "squeezed is": lambda x: np.squeeze(x) is x,
    **{f"isinstance {kind}": lambda x, kind=kind: isinstance(x, kind) for kind in KINDS},
}


@pytest.mark.parametrize("name", OPERANDS)
def test_as_for_the_array(name):
    note, log = recorder()

    def f(v):
        x = OPERANDS[name](v)
        note([(key, ask(x)) for key, ask in ASK.items() if key != "squeezed is" or name == "v"])
        return np.sum(v)

    f(V)
    (expected,) = log
    with without_numba():
        for run in (lambda: tg.jit(f)(V), lambda: tg.vmap(f)(V[None])):
            log.clear()
            run()
            assert log[-1] == expected
    assert not {"isinstance", "type"} & globals().keys()


def test_a_weak_reference():
    def f(v):
        return v * (2.0 if weakref.ref(v)() is v else 3.0)

    with without_numba():
        np.testing.assert_array_equal(tg.jit(f)(V), 2.0 * V)
        np.testing.assert_array_equal(tg.vmap(f)(V[None]), 2.0 * V[None])


@dataclasses.dataclass
class Holder:
    held: object


TEXTS = {
    "str": lambda x: len(str(x)),
    "repr": lambda x: len(repr(x)),
    "f-string": lambda x: len(f"{x}"),
    "format": lambda x: len("{0} {0}".format(x)),  # noqa: UP032
    "percent": lambda x: len("%s" % (x,)),  # noqa: UP031
    "list": lambda x: len(str([x])),
    "dataclass": lambda x: len(repr(Holder(x))),
    "a number": lambda x: len(f"{np.sum(x):.3f}"),
}


@pytest.mark.parametrize("name", TEXTS)
def test_texts(name):
    """They are made of numbers that a trace does not know."""

    def f(v):
        return np.sum(v) * TEXTS[name](v)

    with without_numba():
        with pytest.raises(TraceError):
            tg.jit(f)(V)
        with pytest.raises(TraceError):
            tg.jit(lambda a: a * TEXTS[name](a))(2.0)
        rows = np.stack([V, V / 3.0])
        np.testing.assert_array_equal(tg.vmap(f)(rows), [f(row) for row in rows])


def test_print_shows_the_node(capsys):
    def f(v):
        print("v =", v, end="!")
        return 2.0 * v

    with without_numba():
        np.testing.assert_array_equal(tg.jit(f)(V), 2.0 * V)
        np.testing.assert_array_equal(tg.vmap(f)(V[None]), 2.0 * V[None])
    assert "Traced(v, shape=(3,))!" in capsys.readouterr().out


def caught(v):
    try:
        return float(v[2])
    except Exception:
        return 4.0


@pytest.mark.parametrize("transform", [tg.grad, tg.value_and_grad, tg.hessian, lambda f: tg.jit(tg.grad(f))])
def test_grad_raises_what_the_function_has_caught(transform):
    """An array would not have raised it, and the function would have gone another way."""
    with without_numba(), pytest.raises(TinygradError, match="float"):
        transform(lambda v: np.sum(v * v) * caught(v))(V)

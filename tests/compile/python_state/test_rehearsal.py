"""What two calls of a function leave in Python has to look like what its program leaves."""

import warnings

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.errors import TraceError

X = np.arange(3.0)


class Cell:
    """A recurrent cell with attributes that its methods may set."""

    def __init__(self):
        self.h, self.seen, self.table = np.zeros(3), None, {}


def one_list_under_two_names(cell, x):
    new = []
    cell.seen = cell.table["seen"] = new
    new.append(x * 2.0)
    return x


def one_list_inside_another(cell, x):
    new = [x * 2.0]
    cell.seen, cell.table["all"] = new, [new]
    return x


def attention(cell, x):
    cell.h = np.exp(x) / np.exp(x).sum()
    return cell.h * x


def memoised(cell, x):
    if len(x) not in cell.table:
        cell.table[len(x)] = np.linspace(0.0, 1.0, len(x))
    return x * cell.table[len(x)]


def several_results(cell, x):
    cell.seen = {"in": x, "out": [x * 2.0, (x + 1.0, "text")], "sizes": {len(x)}}
    return x * 3.0


@pytest.mark.parametrize("f", [one_list_under_two_names, one_list_inside_another], ids=lambda f: f.__name__)
def test_what_two_places_share_is_not_taken_apart(f):
    cell = Cell()
    with pytest.raises(TraceError, match="a compiled program would leave something else there"):
        tg.jit(lambda x: f(cell, x))(X)
    assert (cell.seen, cell.table) == (None, {})


@pytest.mark.parametrize("f", [attention, memoised, several_results], ids=lambda f: f.__name__)
def test_what_each_call_sets_alike_is_compiled(f):
    cells = Cell(), Cell()
    compiled = tg.jit(lambda x: f(cells[1], x).sum())
    for x in (X, X + 1.0, X - 2.0):
        assert compiled(x) == pytest.approx(f(cells[0], x).sum(), rel=1e-12)
        assert compiled.value_and_grad(x)[0] == pytest.approx(compiled(x))
        np.testing.assert_allclose(cells[1].h, cells[0].h, rtol=1e-12)
    assert cells[0].table.keys() == cells[1].table.keys()


@pytest.mark.parametrize("kept", [lambda n: {n}, lambda n: frozenset({n}), lambda n: [n], lambda n: n])
def test_a_size_that_is_kept_is_that_of_the_last_call(kept):
    cell = Cell()

    @tg.jit
    def f(x):
        cell.seen = kept(len(x))
        return x * 2.0

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # for numbers: that the other size runs without jit
        for n in (3, 4, 3):
            f(np.ones(n))
            assert cell.seen == kept(n)


NEW = {  # what each call makes, and how the caller changes it
    "a list": (lambda: [1.0, 3.0], lambda x: x.append(7.0)),
    "a dict": (lambda: {"a": 1.0}, lambda x: x.update(a=5.0)),
    "a set": (lambda: {1}, lambda x: x.add(3)),
    "an array": (lambda: np.ones(2), lambda x: x.fill(4.0)),
    "lists in a dict": (lambda: {"a": [1.0]}, lambda x: x["a"].append(4.0)),
}


@pytest.mark.parametrize("place", ["attribute", "entry", "variable", "slot"])
@pytest.mark.parametrize("kind", NEW)
def test_what_each_call_makes_anew_is_made_anew_after_the_caller_has_changed_it(kind, place):
    """It was not, where the first call found an equal one there already."""
    make, change = NEW[kind]
    cell, slotted, variable = Cell(), type("Slotted", (), {"__slots__": ("seen",)})(), make()
    cell.seen, cell.table["k"], slotted.seen = make(), make(), make()

    def f(x):
        nonlocal variable
        if place == "attribute":
            cell.seen = make()
        elif place == "entry":
            cell.table["k"] = make()
        elif place == "variable":
            variable = make()
        else:
            slotted.seen = make()
        return x * 2.0

    def look():
        return {"attribute": cell.seen, "entry": cell.table["k"], "variable": variable, "slot": slotted.seen}[place]

    g = tg.jit(f)
    for n in (3, 3, 5, 3):
        g(np.ones(n))
        assert str(look()) == str(make())
        change(look())

"""`w = v; w += 1`: NumPy changes v too. On nodes the result is NumPy's, or the reading of v is refused by name."""

from __future__ import annotations

import operator
import warnings

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.core.operation import ARRAY_TABLE, COMPOSED
from tinygrad_edu.core.writes.augmented import LostUpdateWarning
from tinygrad_edu.core.writes.other_names import VIEWS, VIEWS_OF_SEVERAL_STEPS
from tinygrad_edu.errors import GraphError, TraceError

X = np.arange(9.0).reshape(3, 3) / 4 + 0.5


def add_one(array):
    array += 1


class Box:
    pass


def in_a_box(v):
    box = Box()
    box.v = v
    box.v -= 3


# what is done to v under another name; v is read afterwards
UNDER_ANOTHER_NAME = {
    "a name": lambda v: add_one(v),
    "a list": lambda v: add_one([v][0]),
    "an attribute": in_a_box,
    "a row": lambda v: add_one(v[1]),
    "a slice": lambda v: add_one(v[1:]),
    "a transpose": lambda v: add_one(v.T),
    "a ravel": lambda v: add_one(np.ravel(v)),
    "a part": lambda v: add_one(np.split(v, 3)[1]),
    "a flip": lambda v: add_one(np.flip(v)),
    "an array without axes": lambda v: add_one(v[1, 1, ...]),
    "another cast": lambda v: add_one(v.astype(float, copy=False)),
    "nan_to_num": lambda v: add_one(np.nan_to_num(v, copy=False)),
    "a view of a view": lambda v: add_one(v[1:][:, :2]),
}
# another array in NumPy, whatever a program makes of it: v stays as it is
OF_A_COPY = {
    "copy": lambda v: add_one(v.copy()),
    "np.copy": lambda v: add_one(np.copy(v)),
    "x * 1": lambda v: add_one(v * 1.0),
    "+x": lambda v: add_one(+v),
    "flatten": lambda v: add_one(v.flatten()),
    "astype": lambda v: add_one(v.astype(float)),
    "concatenate": lambda v: add_one(np.concatenate([v])),
    "tile": lambda v: add_one(np.tile(v, 1)),
    "roll": lambda v: add_one(np.roll(v, 0)),
    "where": lambda v: add_one(np.where(True, v, 0.0)),
    "x ** 1": lambda v: add_one(v**1),
    "a number": lambda v: add_one(v[1, 1]),
}
WAYS = {
    "jit": lambda f: tg.jit(f),
    "value_and_grad": lambda f: lambda x: tg.value_and_grad(f)(x)[0],
    "vmap": lambda f: lambda x: tg.vmap(f)(np.stack([x, x]))[1],
}


def reading(act, made):
    """A function that lets `act` write to an array (computed in it, if `made`), and then reads it."""

    def f(x):
        v = x * 2 if made else x
        act(v)
        return np.sum(np.sin(v))

    return f


@pytest.mark.parametrize("made", [False, True])
@pytest.mark.parametrize("act", [pytest.param(act, id=name) for name, act in UNDER_ANOTHER_NAME.items()])
def test_another_name_is_never_the_old_numbers(act, made):
    f = reading(act, made)
    with pytest.raises(GraphError, match="under one name after"):
        tg.value_and_grad(f)(X.copy())
    assert WAYS["vmap"](f)(X.copy()) == pytest.approx(f(X.copy()))  # one sample after the other, on arrays


def test_a_compiled_function_refuses_the_old_numbers():
    for act in UNDER_ANOTHER_NAME.values():
        with pytest.raises(TraceError, match="under one name after"):
            tg.jit(reading(act, made=True))(X.copy())


@pytest.mark.parametrize("way", ["value_and_grad", "vmap"])
@pytest.mark.parametrize("act", [pytest.param(act, id=name) for name, act in OF_A_COPY.items()])
def test_a_copy_is_an_array_of_its_own(act, way):
    f = reading(act, made=True)
    assert WAYS[way](f)(X.copy()) == pytest.approx(f(X.copy()))


def test_a_copy_is_an_array_of_its_own_in_a_compiled_function():
    def f(x):
        for act in OF_A_COPY.values():
            act(x)
        return np.sum(np.sin(x))

    assert tg.jit(f)(X.copy()) == pytest.approx(f(X.copy()))


def parts_apart(x):
    v = x * 2
    first, second = v[:1], v[1:]
    first += 1
    return np.sum(first * second)


def residual(x):
    h = x * 2
    g = np.tanh(h)
    g += h
    return np.sum(g * h)


def running_total(x):
    total = x[0] * 1.0
    for row in x[1:]:
        total += row
    return np.sum(total**2)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("f", [parts_apart, residual, running_total])
def test_the_usual_loops_run(f, way):
    assert WAYS[way](f)(X.copy()) == pytest.approx(f(X.copy()))


def test_the_derivative_reads_the_old_numbers():
    def f(x):
        h = x * x
        y = h * h
        h += 1
        return np.sum(y * h)

    found = tg.grad(f)(X.copy())
    np.testing.assert_allclose(found, 6 * X**5 + 4 * X**3)
    np.testing.assert_allclose(tg.jit(tg.grad(f))(X.copy()), found)


def center(x):
    x -= x.mean(0)
    return (x * x).sum()


def part_of_it(x, y):
    row = x[1]
    row += y[0]
    row *= 2
    return row.sum()


def several(x, y):
    x += y
    back = y.T
    back /= 2
    return x.sum(), back


def parts(result):
    return result if isinstance(result, tuple) else (result,)


@pytest.mark.parametrize(("f", "count"), [(center, 1), (part_of_it, 2), (several, 2)])
def test_a_compiled_function_writes_into_its_arguments_as_numpy_does(f, count):
    theirs, ours = [X.copy() for _ in range(count)], [X.copy() for _ in range(count)]
    compiled = tg.jit(f)
    for _ in range(3):  # each call goes on with what the one before has left
        want, found = f(*theirs), compiled(*ours)
        for mine, other in zip(parts(found), parts(want), strict=True):
            np.testing.assert_allclose(mine, other)
        np.testing.assert_allclose(ours, theirs)


def test_arguments_that_overlap_are_left_to_numpy():
    theirs, ours = X.copy(), X.copy()
    assert tg.jit(part_of_it)(ours, ours[1:]) == pytest.approx(part_of_it(theirs, theirs[1:]))
    np.testing.assert_allclose(ours, theirs)


def test_whole_numbers_and_float32_keep_their_dtype():
    def f(x, n):
        x += 0.1
        n *= 3
        return x.sum() + n.sum()

    theirs, ours = [[X.astype(np.float32), np.arange(3)] for _ in range(2)]
    assert tg.jit(f)(*ours) == pytest.approx(f(*theirs), rel=1e-6)
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.dtype == other.dtype
        np.testing.assert_allclose(mine, other, rtol=1e-6)


@pytest.mark.parametrize("way", ["jit", "value_and_grad"])
def test_a_result_that_does_not_fit_is_refused_as_by_numpy(way):
    def wider(x):
        v = x[0] * 1.0
        v += x
        return np.sum(v)

    with pytest.raises(tg.errors.TinygradError, match=r"shape"):
        WAYS[way](wider)(X.copy())


def arguments_to_try():
    more = X[None], X.reshape(1, 3, 3)
    yield from [(X,), (X, 1), (X, 0), (X, 3), (X, 0, 1), (X, (0, 1)), ([X],), (more[0], 1), (more[1], 3)]
    yield from [("ij->ji", X), (np.arange(8.0).reshape(2, 2, 2), 2), (np.arange(8.0).reshape(2, 2, 2),)]


def gives_a_view(function):
    for given in arguments_to_try():
        arrays = [x for x in given if isinstance(x, np.ndarray)]
        try:
            found = function(*given)
        except Exception:
            continue
        parts = [y for y in (found if isinstance(found, (list, tuple)) else [found]) if isinstance(y, np.ndarray)]
        if any(np.shares_memory(y, x) for y in parts for x in arrays if y.size):
            return True
    return False


@pytest.mark.filterwarnings("ignore")
def test_the_functions_that_give_a_view_are_those_of_numpy():
    """Every row of the tables that NumPy has under the same name."""
    tg.ops  # noqa: B018  (fills the tables)
    for name in {**ARRAY_TABLE, **COMPOSED}:
        function = getattr(np, name, getattr(np.linalg, name, None))
        if function is not None and gives_a_view(function):
            assert name in VIEWS | VIEWS_OF_SEVERAL_STEPS, name


@pytest.mark.parametrize("way", WAYS)
def test_functions_that_write_are_refused(way):
    for write in (lambda x: x.put([0], [5]), lambda x: np.put(x, [0], [5]), lambda x: np.copyto(x, 1.0)):

        def f(x, write=write):
            write(x)
            return np.sum(x)

        with pytest.raises((tg.errors.TinygradError, AttributeError)):
            WAYS[way](f)(X.copy())


def clean(x):
    return np.sum(np.nan_to_num(x, copy=False, nan=7.0))


def test_cleaning_an_array_in_place():
    for way in WAYS.values():
        assert way(clean)(np.array([1.0, np.nan])) == 8.0
    x = np.array([1.0, np.nan])
    tg.jit(clean)(x)
    assert x.tolist() == [1.0, 7.0]
    with pytest.raises(tg.errors.TinygradError, match=r"write x = np\.nan_to_num"):
        clean(tg.Tensor([1.0, np.nan], requires_grad=True))


def test_a_cast_to_its_own_dtype_is_a_copy():
    x = tg.Tensor(X)
    y = x.astype(float)
    y[0] = 7.0
    np.testing.assert_array_equal(x.data, X)
    assert x.astype(float, copy=False) is x


def test_an_update_outside_of_no_grad_is_told():
    w = tg.Tensor([1.0, 2.0], requires_grad=True, label="w")
    (w * w).sum().backward()
    with pytest.warns(LostUpdateWarning, match=r"`w -= ...` of a parameter makes a further node.*If a model, a list"):
        operator.isub(w, 0.1 * w.grad)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scaled = w
        scaled *= 2.0  # a number: a further node may well be meant
        with tg.no_grad():
            for p in [w]:
                p -= 0.1 * p.grad
    np.testing.assert_allclose(w.data, [0.8, 1.6])

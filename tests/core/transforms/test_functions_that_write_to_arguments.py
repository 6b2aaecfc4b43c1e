"""What a function writes into a dict or list that it is given does not change by what it is differentiated."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.compile.programs import without_numba
from tinygrad_edu.errors import OperandError, TraceError

X, Y = np.array([0.5, -1.0, 2.0]), np.array([1.0, 2.0, 3.0])


def set_entry(p):
    p["a"] = p["a"] * 2
    return np.sum(p["a"] ** 2) * np.sum(p["b"])


def add_entry(p):
    p["c"] = p["a"] * 2
    return np.sum(p["c"] ** 2 * p["b"])


def swap(p):
    p["a"], p["b"] = p["b"], p["a"]
    return np.sum(p["a"] ** 3 * p["b"])


def change_in_place(p):
    p["a"] *= p["b"]
    return np.sum(p["a"] ** 2)


def write_to_list(p):
    p["list"][0] = p["list"][0] * 3
    p["list"].append(p["a"])
    return np.sum(p["list"][0] ** 2 + p["list"][1] ** 3)


WRITERS = {
    set_entry: lambda a, b, c: np.sum((2 * a) ** 2) * np.sum(b),
    add_entry: lambda a, b, c: np.sum((2 * a) ** 2 * b),
    swap: lambda a, b, c: np.sum(b**3 * a),
    change_in_place: lambda a, b, c: np.sum((a * b) ** 2),
    write_to_list: lambda a, b, c: np.sum((3 * c) ** 2 + a**3),
    lambda p: np.sum(p.pop("a") ** 2) * np.sum(p["b"]): lambda a, b, c: np.sum(a**2) * np.sum(b),
    lambda p: sum(np.sum(p.popitem()[1] ** 2) for _ in "ab") * 1.0 if p.pop("list") else 0.0: (
        lambda a, b, c: np.sum(a**2) + np.sum(b**2)
    ),
    lambda p: (np.sum(p["a"] ** 2), p.clear())[0]: lambda a, b, c: np.sum(a**2),
}


def tree():
    return {"a": X.copy(), "b": Y.copy(), "list": [X + 1.0]}


@pytest.mark.parametrize("f", WRITERS)
def test_the_gradient(f):
    a, b, c = tg.grad(WRITERS[f], (0, 1, 2))(X, Y, X + 1.0)
    given = tree()
    with without_numba():
        ways = [tg.grad(f)(given), tg.vjp(f, given)[1](1.0)[0], tg.jacobian(f)(given), tg.jit(tg.grad(f))(given)]
        ways.append(tg.grad(tg.jit(f))(given))
    for found in ways:
        np.testing.assert_allclose(np.stack([found["a"], found["b"], found["list"][0]]), np.stack([a, b, c]))
    tangents = {"list": [Y], "b": X, "a": Y}
    slope = np.sum(a * Y) + np.sum(b * X) + np.sum(c * Y)
    np.testing.assert_allclose(tg.jvp(f, (given,), (tangents,))[1], slope)
    np.testing.assert_equal(given, tree())


@pytest.mark.parametrize("f", WRITERS)
def test_a_compiled_function_would_not_write_to_them(f):
    with without_numba(), pytest.raises(TraceError, match="writes to a dict or list"):
        tg.jit(f)(tree())
    with without_numba(), pytest.raises(TraceError, match="writes to a dict or list"):
        tg.jit(lambda p, k=1.0: f(p) * k).value_and_grad(tree(), k=2.0)


def test_dicts_are_matched_by_key():
    f = lambda p: np.sum(p["a"] ** 2) * 2 + np.sum(p["b"] ** 3)  # noqa: E731
    p, t, turned = {"a": X, "b": Y}, {"a": Y, "b": X}, {"b": X, "a": Y}
    assert tg.jvp(f, (p,), (turned,)) == tg.jvp(f, (p,), (t,))
    np.testing.assert_equal(tg.hvp(f, p, turned), tg.hvp(f, p, t))
    pull = tg.vjp(lambda x: {"a": x * 2, "b": x**3}, X)[1]
    np.testing.assert_equal(pull(turned), pull(t))
    batch = {"a": np.ones((2, 3)), "b": np.ones((3, 2, 4))}
    g = lambda p: {"y": p["a"].sum() + p["b"], "x": p["a"]}  # noqa: E731
    ways = [tg.vmap(g, ({"a": 0, "b": 1},), {"y": 1, "x": 0}), tg.vmap(g, ({"b": 1, "a": 0},), {"x": 0, "y": 1})]
    np.testing.assert_equal(ways[0](batch), ways[1](batch))
    assert ways[0](batch)["y"].shape == (3, 2, 4)


@pytest.mark.parametrize(
    "tangents", [{"a": Y}, {"a": Y, "b": X, "c": X}, {"a": Y, "c": X}, [Y, X], Y, {"a": Y, "b": [X]}]
)
def test_nestings_that_differ_are_refused(tangents):
    f = lambda p: np.sum(p["a"] * p["b"])  # noqa: E731
    with pytest.raises(OperandError, match="nested otherwise"):
        tg.jvp(f, ({"a": X, "b": Y},), (tangents,))


def doubled(x, y):
    y *= 2
    return np.sum(x * y)


def view_written(x, y):
    before, view = np.sum(x * y**2), y[::-1][1:]
    view *= 3.0
    return before


def both_written(x, y):
    x += 1
    y -= 4
    return np.sum(x * y)


def sorted_and_written(x, y):  # vmap goes through the samples one after the other
    y += 1
    return np.sum(np.sort(x) * y) if x.max() > 0 else 0.0


ONES = (np.ones(3), np.ones(3))
OF_FIRST = {  # differentiated by the first argument, so that the second one is the caller's own array
    "grad": lambda f: tg.grad(f),
    "value_and_grad": lambda f: tg.value_and_grad(f),
    "jacobian": lambda f: tg.jacobian(f),
    "hessian": lambda f: tg.hessian(f),
    "jit value_and_grad": lambda f: tg.jit(f).value_and_grad,
    "jit value_and_grad, y by name": lambda f: lambda x, y: tg.jit(f).value_and_grad(x, y=y),
    "jit grad": lambda f: tg.jit(tg.grad(f)),
    "grad jit": lambda f: tg.grad(tg.jit(f)),
}
OF_COPIES = {
    "both": lambda f: tg.grad(f, (0, 1)),
    "jit both": lambda f: lambda *xy: tg.jit(f).value_and_grad(*xy, argnum=(0, 1)),
    "vjp": lambda f: lambda *xy: tg.vjp(f, *xy),
    "jvp": lambda f: lambda *xy: tg.jvp(f, xy, ONES),
    "hvp": lambda f: lambda *xy: tg.hvp(f, xy, ONES),
    "vjp jit": lambda f: lambda *xy: tg.vjp(tg.jit(f), *xy),
    "vmap": lambda f: lambda x, y: tg.vmap(f, (0, None))(np.stack([x, x + 1]), y),
    "vmap, y by name": lambda f: lambda x, y: tg.vmap(f)(np.stack([x, x + 1]), y=y),
    "vmap grad": lambda f: lambda x, y: tg.vmap(tg.grad(f), (0, None))(np.stack([x, x + 1]), y),
    "jit vmap": lambda f: lambda x, y: tg.jit(tg.vmap(f, (0, None)))(np.stack([x, x + 1]), y),
    "jit vmap grad": lambda f: lambda x, y: tg.jit(tg.vmap(tg.grad(f), (0, None)))(np.stack([x, x + 1]), y),
}


def arrays_after(call):
    """The caller's arrays after the call."""
    x, y = X.copy(), Y.copy()
    call(x, y)
    return x, y


@pytest.mark.parametrize("f", [doubled, view_written, both_written], ids=lambda f: f.__name__)
def test_what_is_not_differentiated_by_is_written_as_by_the_function_itself(f):
    plain = arrays_after(f)
    with without_numba():
        for name, way in OF_FIRST.items():
            np.testing.assert_equal(arrays_after(way(f)), (X, plain[1]), name)
        np.testing.assert_equal(arrays_after(tg.jit(f)), plain)


@pytest.mark.parametrize("f", [doubled, view_written, both_written, sorted_and_written], ids=lambda f: f.__name__)
def test_what_is_differentiated_by_or_mapped_over_is_copied(f):
    with without_numba():
        for name, way in OF_COPIES.items():
            if f is sorted_and_written and "jit" in name:
                continue
            np.testing.assert_equal(arrays_after(way(f)), (X, Y), name)


def test_each_sample_finds_what_is_shared_as_it_was_given():
    batch, each = np.stack([X, X + 1, X]), []
    for row in batch:
        each.append(sorted_and_written(row.copy(), Y.copy()))
    np.testing.assert_allclose(tg.vmap(sorted_and_written, (0, None))(batch, Y), each)
    np.testing.assert_allclose(tg.vmap(doubled, (0, None))(batch, Y), [doubled(row, Y.copy()) for row in batch])


def test_compiled_and_written_at_each_call():
    both, y, expected = tg.jit(doubled).value_and_grad, Y.copy(), Y.copy()
    for _ in range(3):
        slow = tg.value_and_grad(doubled)(X, expected)
        np.testing.assert_allclose(both(X, y)[1], slow[1])
        np.testing.assert_equal(y, expected)
    w = tg.Tensor(X, requires_grad=True)
    tg.jit(lambda y: doubled(w, y)).backward(y)
    np.testing.assert_equal(y, 2 * expected)
    with pytest.raises(TraceError, match="shares its memory with another"):
        tg.jit(lambda x, y, z: doubled(x, y) + z.sum()).value_and_grad(X, y, y[::-1])

"""Functions that return tuples, lists and dicts: jvp and jacobian of each part are those of the part alone."""

from typing import NamedTuple

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.compile.programs import without_numba
from tinygrad_edu.core.pytree import tree_leaves

X, Y, V, W = (
    np.array([1.0, -2.0, 0.5]),
    np.array([2.0, 0.3, -1.0]),
    np.array([0.1, 1.0, -0.7]),
    np.array([1.0, 0.0, 2.0]),
)
PARTS = [lambda x, y: x * x * y, lambda x, y: np.sum(np.tanh(x) * y), lambda x, y: np.outer(x, y)]


class Pair(NamedTuple):
    first: object
    second: object


def loss(x, y):
    return np.sum(np.sin(x) * y * y)


NESTED = {  # name: (a function, the parts that its leaves are)
    "tuple": (lambda x, y: (PARTS[0](x, y), PARTS[1](x, y)), PARTS[:2]),
    "list": (lambda x, y: [PARTS[1](x, y), PARTS[2](x, y)], PARTS[1:]),
    "dict": (lambda x, y: {"b": PARTS[0](x, y), "a": [PARTS[1](x, y)]}, PARTS[:2]),
    "named tuple": (lambda x, y: Pair(PARTS[0](x, y), (PARTS[2](x, y),)), [PARTS[0], PARTS[2]]),
    "one": (lambda x, y: (PARTS[0](x, y),), PARTS[:1]),
    "gradients": (tg.grad(loss, (0, 1)), [tg.grad(loss), tg.grad(loss, 1)]),
}
TRANSFORMS = {
    "jvp": lambda f: lambda x, y: tg.jvp(f, (x, y), (V, W))[1],
    "its value": lambda f: lambda x, y: tg.jvp(f, (x, y), (V, W))[0],
    "jacobian": lambda f: tg.jacobian(f),
    "jacobians": lambda f: tg.jacobian(f, (0, 1)),
}
WAYS = {
    "alone": lambda g: g(X, Y),
    "jit": lambda g: tg.jit(g)(X, Y),
    "vmap": lambda g: tg.vmap(g)(np.stack([X, Y]), np.stack([Y, X])),
    "grad": lambda g: tg.grad(lambda x: sum(np.sum(part**2) for part in tree_leaves(g(x, Y))))(X),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", NESTED)
def test_each_part_has_the_derivatives_that_it_has_alone(name, way):
    f, parts = NESTED[name]
    for transform in TRANSFORMS if way != "jit" else ["jvp"]:
        with without_numba():
            found = WAYS[way](TRANSFORMS[transform](f))
        alone = [WAYS["alone" if way == "jit" else way](TRANSFORMS[transform](part)) for part in parts]
        expected = [sum(alone)] if way == "grad" else [*tree_leaves(alone)]
        for a, b in zip(tree_leaves(found), expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12, err_msg=transform)


def test_the_nesting_is_that_of_the_results():
    tangents = tg.jvp(NESTED["named tuple"][0], (X, Y), (V, W))[1]
    assert isinstance(tangents, Pair)
    assert isinstance(tangents.second, tuple)
    by_both = tg.jacobian(NESTED["dict"][0], (0, 1))(X, Y)
    assert [*by_both] == ["b", "a"]
    assert [g.shape for g in by_both["b"]] == [(3, 3), (3, 3)]
    assert tg.jvp(lambda a: (a * a, {"k": 2.0 * a}), (3.0,), (1.0,)) == ((9.0, {"k": 6.0}), (6.0, {"k": 2.0}))
    assert tg.jacobian(lambda a: [a * a, 2.0 * a])(3.0) == [6.0, 2.0]


def test_nothing_and_numbers_that_depend_on_no_argument():
    assert tg.jvp(lambda a: (a * 2.0, None, 7.0), (3.0,), (1.0,)) == ((6.0, None, 7.0), (2.0, None, 0.0))
    assert tg.jacobian(lambda a: (a * 2.0, None, 7.0))(3.0) == (2.0, None, 0.0)
    assert tg.jvp(lambda a: (), (3.0,), (1.0,)) == ((), ())
    assert tg.jacobian(lambda a: [])(3.0) == []
    assert tg.vjp(lambda a: {}, 3.0)[1]({}) == (0.0,)

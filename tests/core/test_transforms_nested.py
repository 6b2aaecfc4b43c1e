"""Transforms in JAX's spelling, and of arguments that are nested: dicts, lists, tuples, named tuples."""

from typing import Any, NamedTuple

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.core.pytree import tree_leaves
from tinygrad_edu.errors import OperandError


class Pair(NamedTuple):
    w: Any
    b: Any


def test_the_spellings_of_jax_mean_the_same():
    f, w, x = lambda w, x: np.sum(np.tanh(w * x)), np.array([0.1, 0.2]), np.array([1.0, 2.0])
    same = [(tg.grad, f), (tg.value_and_grad, f), (tg.jacobian, lambda w, x: w * x), (tg.hessian, f)]
    for transform, g in same:
        for which in (1, (0, 1), -1):
            for a, b in zip(tree_leaves(transform(g, argnums=which)(w, x)), tree_leaves(transform(g, which)(w, x)),
                            strict=True):  # fmt: skip
                np.testing.assert_array_equal(a, b)
    gradient, more = tg.grad(lambda w: (np.sum(w**2), {"half": w / 2}), has_aux=True)(w)
    assert gradient.tolist() == (2 * w).tolist()
    assert type(more["half"]) is np.ndarray
    assert more["half"][1] == 0.1
    (y, more), gradient = tg.value_and_grad(lambda a: (a * a, "note"), has_aux=True)(3.0)
    assert (y, more, gradient) == (9.0, "note", 6.0)
    inner = tg.grad(lambda a: (a**3, a), has_aux=True)
    assert tg.grad(lambda a: inner(a)[0] + inner(a)[1])(2.0) == 13.0
    for wrong in (lambda a: a, lambda a: (a, a, a)):
        with pytest.raises(OperandError, match=r"has_aux=True needs a function that returns \(number, anything else\)"):
            tg.grad(wrong, has_aux=True)(1.0)


def test_jacobians_of_several_and_of_nested_arguments():
    """Blocks, each equal to a Jacobian by one argument; a named tuple comes back as what it is."""
    w, x = np.array([0.1, 0.2]), np.array([1.0, 2.0, 3.0])
    outer = lambda w, x: np.outer(w, x) ** 2  # noqa: E731
    both = tg.jacobian(outer, (0, 1))(w, x)
    for i in (0, 1):
        np.testing.assert_array_equal(both[i], tg.jacobian(outer, i)(w, x))
    nested = tg.jacobian(lambda p: outer(p["w"], p["x"]))({"w": w, "x": x})
    np.testing.assert_array_equal(nested["x"], both[1])
    found = tg.hessian(lambda p: np.sum(outer(p.w, p.b)))(Pair(w, x))
    assert type(found) is type(found.w) is Pair
    flat = tg.hessian(lambda v: np.sum(outer(v[:2], v[2:])))(np.concatenate([w, x]))
    np.testing.assert_allclose(np.block([[found.w.w, found.w.b], [found.b.w, found.b.b]]), flat, rtol=1e-12)
    assert tg.jit(lambda p: Pair(p.b * 2, p.w))(Pair(w, x)).b.tolist() == w.tolist()

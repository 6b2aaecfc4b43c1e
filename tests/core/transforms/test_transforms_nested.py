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


def test_the_hessian_by_a_dict_calls_the_function_once():
    calls = []

    def f(p):
        calls.append(1)
        return (np.tanh(p["w"] @ p["v"]) * p["b"]).sum()

    rng = np.random.default_rng(0)
    p = {"w": rng.normal(size=(2, 3)), "v": rng.normal(size=3), "b": np.array(0.5)}
    found, x = tg.hessian(f)(p), np.concatenate([p["w"].ravel(), p["v"], [0.5]])
    assert len(calls) == 1
    whole = tg.hessian(lambda x: (np.tanh(x[:6].reshape(2, 3) @ x[6:9]) * x[9]).sum())(x)
    np.testing.assert_allclose(found["w"]["v"].reshape(6, 3), whole[:6, 6:9], rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(found["b"]["w"].ravel(), whole[9, :6], rtol=1e-12, atol=1e-14)


def test_a_pull_back_of_nested_results():
    _, pull = tg.vjp(lambda x: {"a": x * x, "b": [np.sin(x).sum()]}, np.array([1.0, 2.0]))
    seeds = {"a": np.array([1.0, 10.0]), "b": [2.0]}
    np.testing.assert_allclose(pull(seeds)[0], [2.0 + 2.0 * np.cos(1.0), 40.0 + 2.0 * np.cos(2.0)], rtol=1e-12)
    np.testing.assert_allclose(pull({"a": None, "b": [1.0]})[0], np.cos([1.0, 2.0]), rtol=1e-12)
    again = tg.grad(lambda x: tg.vjp(lambda x: (x * x, x**3), x)[1]((x, x))[0].sum())
    np.testing.assert_allclose(again(np.array([1.5])), [4 * 1.5 + 9 * 1.5**2], rtol=1e-12)
    with pytest.raises(OperandError, match="nested alike"):
        pull({"a": np.ones(2), "b": [1.0, 2.0]})

"""Derivatives of functions of many numbers: jacobian, hessian, and hvp, the Hessian times a vector."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from tinygrad_edu import checks
from tinygrad_edu.core.aliases import ArrayLike, Node, Option
from tinygrad_edu.core.one_name import one_name_each
from tinygrad_edu.core.pytree import leaf_pairs, tree_leaves, tree_map, with_leaves
from tinygrad_edu.core.transforms.argnums import is_several, places_of, refuse_options
from tinygrad_edu.core.transforms.derivatives import (
    Argnum,
    Function,
    as_variable,
    grad,
    ops_sum,
    replace_arguments,
    vjp,
)
from tinygrad_edu.core.transforms.seeds import exact


@functools.partial(one_name_each, "jacobian")
def jacobian(f: Function, argnum: Argnum = 0, *, argnums: Argnum | None = None, **options: Option) -> Function:
    """Return the Jacobian of f, all ∂yᵢ/∂xⱼ, as a function of the same arguments; shape of y, then shape of x.

    f: a function of arrays; of dicts, lists and tuples of them, as arguments or results, there is a Jacobian for each.
    argnum: the index of the argument to differentiate with respect to (several: a tuple of Jacobians).
    argnums: the same, under JAX's name.

    >>> jacobian(lambda x: x * x)(np.array([1.0, 2.0])).tolist()
    [[2.0, 0.0], [0.0, 4.0]]
    """
    refuse_options("jacobian", options)
    return make_jacobian(f, argnum if argnums is None else argnums)


def make_jacobian(f: Function, which: Argnum) -> Function:
    """`jacobian` for the arguments meant. In a nesting of results each has its own, as in JAX."""
    checks.function("f", f, "jacobian")

    @functools.wraps(f)
    def matrix(*arguments: ArrayLike, **options: Option) -> Any:
        places = places_of(which, len(arguments))
        primals = tuple(arguments[i] for i in places)
        y, pull = vjp(lambda *x: f(*replace_arguments(arguments, places, x), **options), *primals)
        if not isinstance(y, (dict, list, tuple)):
            found = all_rows(pull, y, primals)
            return found if is_several(which) else found[0]
        leaves = list(tree_leaves(y))
        pulls = [functools.partial(pull_leaf, pull, y, i) for i in range(len(leaves))]
        each = [leaf if leaf is None else all_rows(p, leaf, primals) for p, leaf in zip(pulls, leaves, strict=True)]
        return with_leaves(y, [found if found is None or is_several(which) else found[0] for found in each])

    return matrix


def all_rows(pull: Function, y: Node, primals: tuple[Any, ...]) -> Any:
    """∂yᵢ/∂xⱼ for the array y and every primal, from the pull-back of one row after the other."""
    if not np.ndim(y):
        return pull(1.0)
    rows = [pull(one_hot(row, y)) for row in range(np.size(y))]
    shape = np.shape(y)
    return tree_map(lambda x, *each: np.stack(each).reshape(shape + np.shape(x)), primals, *rows)


def pull_leaf(pull: Function, y: ArrayLike, i: int, seed: ArrayLike) -> Any:
    """The pull-back of leaf i of a nesting y."""
    seeds: list[Any] = [None] * len(list(tree_leaves(y)))
    return pull(with_leaves(y, [*seeds[:i], seed, *seeds[i + 1 :]]))


def one_hot(i: int, y: Node) -> Any:
    seed = np.zeros(np.size(y))
    seed[i] = 1.0
    return exact(seed.reshape(np.shape(y)))


@functools.partial(one_name_each, "hessian")
def hessian(f: Function, argnum: Argnum = 0, *, argnums: Argnum | None = None, **options: Option) -> Function:
    """Return the Hessian of f, all ∂²f/∂xᵢ∂xⱼ, as a function of the same arguments.

    f: a function of arrays that gives one number.
    argnum: the index of the argument to differentiate with respect to (several, or a dict: all their pairs).
    argnums: the same, under JAX's name.

    >>> hessian(lambda x: (x * x * x).sum())(np.array([1.0, 2.0])).tolist()
    [[6.0, 0.0], [0.0, 12.0]]
    """
    refuse_options("hessian", options)
    which = argnum if argnums is None else argnums
    return make_jacobian(grad(f, which), which)


def hvp(f: Function, primals: Node, tangents: Node) -> Any:
    """Return the Hessian of f at the primals, times the tangents, without the matrix: the gradient of ∇f·t.

    `hvp(f, x, v)` for one argument, `hvp(f, (x, y), (v, w))` for several.
    f: a function of numbers or arrays with one number as its result.
    primals: the point: an argument, or a tuple of them.
    tangents: the direction, in the form of the primals.

    >>> hvp(lambda x: (x * x * x).sum(), np.array([1.0, 2.0]), np.array([1.0, 0.0])).tolist()
    [6.0, 0.0]
    """
    several = isinstance(primals, (tuple, list))
    x, t = (tuple(primals), tuple(tangents)) if several else ((primals,), (tangents,))
    gradient = grad(f, tuple(range(len(x))))

    def along(*arguments: ArrayLike) -> Any:
        pairs = leaf_pairs(gradient(*arguments), t)
        return functools.reduce(lambda a, b: a + b, [ops_sum(as_variable(g) * v) for g, v in pairs if g is not None])

    found = grad(along, tuple(range(len(x))))(*x)
    return found if several and len(x) > 1 else (found if several else found[0])

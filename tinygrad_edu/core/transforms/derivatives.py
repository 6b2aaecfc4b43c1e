"""Derivatives of functions: grad, vjp, jvp, on both back ends; `jacobians` makes matrices of them.

Numbers go through the scalar back end, arrays and numbers beside them through the tensor back end; dicts, lists and
tuples of them count as one argument. Inside another transform the results stay nodes: grad(grad(f)) works.

>>> grad(grad(lambda x: x**3))(2.0)
12.0
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from tinygrad_edu import checks
from tinygrad_edu.core import ops, value
from tinygrad_edu.core.aliases import ArrayLike, Node, Option
from tinygrad_edu.core.backward import pull_with_care, tensor_gradients, wanting
from tinygrad_edu.core.formulas.readings import refuse_complex, refuse_masked
from tinygrad_edu.core.graph import cotangents, topological
from tinygrad_edu.core.modes import MODES, recording, switch_mode
from tinygrad_edu.core.one_name import one_name_each
from tinygrad_edu.core.operation import is_object
from tinygrad_edu.core.pytree import given_leaves, leaf_pairs, refuse_deep, tree_leaves, tree_map
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.core.tracing.stands_for import plain_results
from tinygrad_edu.core.transforms.argnums import at_places, is_several, places_of, refuse_options
from tinygrad_edu.core.transforms.auxiliary import plain_auxiliary
from tinygrad_edu.core.transforms.depth import at_work, inside_transform
from tinygrad_edu.core.transforms.origins import origins_beside, remember_each
from tinygrad_edu.core.transforms.plain_pull import PLAIN, graph_of, like, plain_like, plain_pull, unwrap
from tinygrad_edu.core.transforms.seeds import exact, zero_like
from tinygrad_edu.core.transforms.variables import call_with_nodes, is_node, shared, variable
from tinygrad_edu.core.value import Value
from tinygrad_edu.core.writes.other_names import unwatched
from tinygrad_edu.errors import NonScalarBackwardError, OperandError, ShapeError

Function = Callable[..., Any]
Argnum = int | Sequence[int]


@functools.partial(one_name_each, "grad")
def grad(
    f: Function, argnum: Argnum = 0, *, argnums: Argnum | None = None, has_aux: bool = False, **options: Option
) -> Function:
    """Return the gradient ∂f/∂x of f, as a function of the same arguments.

    At plain numbers it is plain numbers; at a Tensor it is a Tensor, which a loss may contain (physics-informed nets).
    f: a function of numbers or arrays with one number as its result.
    argnum: the index of the argument to differentiate with respect to, or several; 0.
    argnums: the same as argnum, under JAX's name.
    has_aux: f returns (number, anything else), and the result is (gradient, anything else).
    Errors: NonScalarBackwardError where f gives more than one number; use `jacobian` there.

    >>> round(grad(lambda w, x: (w * x).tanh())(0.5, 2.0), 6)
    0.839949
    """
    both = value_and_grad(f, argnum if argnums is None else argnums, has_aux=has_aux, **options)

    @functools.wraps(f)
    def gradient(*arguments: ArrayLike, **options: Option) -> Any:
        y, found = both(*arguments, **options)
        return (found, y[1]) if has_aux else found

    return gradient


@functools.partial(one_name_each, "value_and_grad")
def value_and_grad(
    f: Function, argnum: Argnum = 0, *, argnums: Argnum | None = None, has_aux: bool = False, **options: Option
) -> Function:
    """Return f and its gradient, (f, ∂f/∂x), in one pass, as a function of the same arguments.

    f: a function of numbers or arrays with one number as its result.
    argnum: the index of the argument to differentiate with respect to.
    argnums: the same, under JAX's name.
    has_aux: f returns (number, anything else), and the result is ((number, anything else), gradient).

    >>> value_and_grad(lambda x: x * x)(3.0)
    (9.0, 6.0)
    >>> value_and_grad(lambda x: (x * x, {"half": x / 2}), has_aux=True)(3.0)
    ((9.0, {'half': 1.5}), 6.0)
    """
    checks.function("f", f, "grad")
    refuse_options("grad", options)
    which = argnum if argnums is None else argnums

    @functools.wraps(f)
    def both(*arguments: ArrayLike, **options: Option) -> tuple[Any, Any]:
        chosen, extra = places_of(which, len(arguments)), list[Any]()

        def number(*x: Node) -> Any:
            result = f(*shared(f, arguments, replace_arguments(arguments, chosen, x)), **options)
            if not has_aux:
                return result
            y, extra[:] = split_pair(result)
            return y

        name = getattr(f, "__name__", "")
        y, pull, nodes = pull_back(number, at_places(arguments, chosen), dtype_of_arrays(arguments), name)
        refuse_several_numbers(y)
        gradients = pull(1.0)
        if has_aux:
            y = y, extra[0] if is_node(y) else plain_auxiliary(extra[0], nodes, name)
        return y, gradients if is_several(which) else gradients[0]

    return both


def split_pair(result: ArrayLike) -> tuple[Any, list[Any]]:
    """(the number, [anything else]) from the pair that `has_aux=True` requires."""
    if not isinstance(result, (tuple, list)) or len(result) != 2:
        raise OperandError(
            f"has_aux=True needs a function that returns (number, anything else), not {type(result).__name__}"
            + (f" of {len(result)}" if isinstance(result, (tuple, list, dict)) else "")
        )
    return result[0], [result[1]]


def refuse_several_numbers(y: Node) -> None:
    if isinstance(y, (tuple, list, dict)):
        raise NonScalarBackwardError(
            f"grad needs one number as the result, but this function returned a {type(y).__name__} of {len(y)}: "
            "return the number only, and compute the rest outside, or return (number, rest) with has_aux=True"
        )
    if np.size(y) != 1:
        raise NonScalarBackwardError(
            f"grad needs a function with one number as its result; this one gives shape {np.shape(y)}. "
            "Reduce it, as in f(x).sum(), or use jacobian"
        )


def replace_arguments(arguments: Sequence[Any], places: Sequence[int], by: Sequence[Any]) -> list[Any]:
    """The arguments with some of them exchanged."""
    exchanged = dict(zip(places, by, strict=True))
    return [exchanged.get(i, x) for i, x in enumerate(arguments)]


def vjp(f: Function, *primals: Node) -> tuple[Any, Function]:
    """Return f(*primals), and the pull-back, a function ȳ ↦ (ȳ·∂f/∂x₁, ȳ·∂f/∂x₂, ...).

    f: a function of numbers or arrays.
    primals: the point, as arguments.

    >>> y, pull = vjp(lambda a, b: a * b, 2.0, 5.0)
    >>> y, pull(1.0)
    (10.0, (5.0, 2.0))
    """
    checks.function("f", f, "vjp")
    return pull_back(f, primals, dtype_of_arrays(primals), getattr(f, "__name__", ""))[:2]


def pull_back(f: Function, primals: Sequence[Any], dtype: Option, name: str) -> tuple[Any, Function, Any]:
    """`vjp` of what the user calls `name`, and the nodes for the primals.

    `dtype`: that of the arrays among the arguments, also for numbers there.
    """
    nested = is_nested(primals)
    primals = tuple(primals)
    with inside_transform():
        variables, y = call_with_nodes(f, primals, dtype)
    inputs = given_leaves(variables)
    graph = None if nested else graph_of(y)
    origins = {} if nested or not MODES.recording else origins_beside(y, graph, inputs, name, primals)

    def pull(seed: Node) -> tuple[Any, ...]:
        if graph is not None and seed.__class__ in PLAIN and not at_work():
            refuse_complex(seed)
            given = iter(plain_pull(graph, inputs, seed))
            return tuple(tree_map(lambda x: like(x, given, False, origins), primals))
        for part in tree_leaves(seed):
            refuse_complex(part)
            refuse_masked(part)
        further = nested or at_work()
        again = further or any(map(is_node, tree_leaves(seed)))
        final = hasattr(seed, "of_samples") and not further and not is_wanted(seed)  # vmap samples: record no graph
        with switch_mode("recording", MODES.recording and not final), unwatched():
            found = iter(derivatives(y, inputs, seed, again))
        return tuple(tree_map(lambda x: like(x, found, again, origins), primals))

    if MODES.tensor_trace is not None and not at_work():  # nodes only because of the trace
        return *plain_results(primals, y, pull), variables
    return (y if nested else remember_each(unwrap(y), origins)), pull, variables


def is_nested(arguments: Sequence[Any]) -> bool:
    """Do the results stay nodes: in another transform, a loss or a trace, and for arguments that are nodes?"""
    return at_work() or MODES.tensor_trace is not None or any(is_node(x) for x in tree_leaves(arguments))


def is_wanted(seed: Node) -> bool:
    """Does what is behind a sample of seeds require a gradient?"""
    while hasattr(seed, "of_samples"):
        seed = seed.inner
    return getattr(seed, "requires_grad", False)


def jvp(f: Function, primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """Return f(*primals), and the derivative of f along the tangents, Σ ∂f/∂xᵢ·tᵢ.

    It is computed by two backward passes: the pull-back is linear in ȳ, so its own pull-back gives this derivative.
    f: a function of numbers or arrays; of a tuple, list or dict of results there is a derivative for each.
    primals: the point, a tuple of arguments.
    tangents: the direction, a tuple of the same shapes.

    >>> jvp(lambda x: x * x, (3.0,), (1.0,))
    (9.0, 6.0)
    >>> jvp(grad(lambda a, b: a * a * b, (0, 1)), (2.0, 5.0), (1.0, 0.0))
    ((20.0, 4.0), (10.0, 4.0))
    """
    checks.function("f", f, "vjp")
    refuse_numbers(primals, tangents)
    nested, recorded, name = is_nested([list(primals), list(tangents)]), MODES.recording, getattr(f, "__name__", "")
    with inside_transform():
        y, pull, variables = pull_back(f, primals, dtype_of_arrays(primals), name)
        # 1s, or 0 for a forgotten return: a gradient of 0 would stay 0 even where the derivative is infinite
        seeds = 0.0 if y is None else tree_map(seed_variable, y)
        pairs = leaf_pairs(pull(seeds), tuple(tangents))
        weighted = [as_variable(g) * t for g, t in pairs if g is not None]  # None: not given
        total = functools.reduce(lambda a, b: a + b, [ops_sum(x) for x in weighted])
        each = [x for leaf in given_leaves(seeds) for x in (leaf.flat if is_object(leaf) else (leaf,))]
        with unwatched():
            found = derivatives(total, each, 1.0, nested)
        rest = iter(found)
        tangent = tree_map(lambda seed: next_tangent(seed, rest), seeds)
    if nested:
        return y, tangent
    beside = [*each, *tree_leaves(variables)]
    origins = origins_beside(total, graph_of(total), beside, name, primals) if recorded else {}
    results = unwrap(y)
    return remember_each(results, origins), remember_each(tree_map(plain_tangent, results, tangent), origins)


def refuse_numbers(primals: Node, tangents: Node) -> None:
    """Errors: OperandError where a tuple of arguments is none, or is nested too deep to be walked."""
    for name, x in (("primals", primals), ("tangents", tangents)):
        if not isinstance(x, (tuple, list)):
            raise OperandError(f"jvp: {name}={x!r:.40}: a tuple with one entry for each argument is needed, ({name},)")
        refuse_deep(x)


def next_tangent(seed: Node, found: Iterator[Any]) -> Any:
    """The next of the derivatives by seeds, in the form of this seed."""
    if seed is None:
        return None
    if is_object(seed):
        return np.reshape(np.array([next(found) for _ in seed.flat], dtype=object), seed.shape)
    return next(found)


def plain_tangent(y: ArrayLike, tangent: Node) -> Any:
    return None if tangent is None else plain_like(y, tangent)


def seed_variable(y: Node) -> Any:
    """Ones like y, as nodes: what a pull-back is linear in."""
    if y is None:
        return None
    if is_object(y):
        return np.reshape(np.array([Value(1.0) for _ in y.flat], dtype=object), y.shape)
    return variable(exact(np.ones(np.shape(y), y.dtype)) if isinstance(y, Tensor) else 1.0)


def ops_sum(x: Node) -> Any:
    return x.sum() if isinstance(x, Tensor) else x


def as_variable(x: Node) -> Any:
    return x if is_node(x) else variable(x)


def dtype_of_arrays(primals: Node) -> Any:
    """The dtype of the first array of floats among the leaves, float64 if all are of others; None for numbers alone."""
    try:
        arrays = [x for x in tree_leaves(primals) if isinstance(x, (Tensor, np.ndarray))]
    except RecursionError:
        refuse_deep(primals)
        raise
    dtypes = [x.dtype for x in arrays if x.dtype.kind in "fiub"]
    return next((dtype for dtype in dtypes if dtype.kind == "f"), np.dtype(float) if dtypes else None)


def derivatives(y: Node, inputs: list[Any], seed: Node, again: bool) -> list[Any]:
    """ȳ·∂y/∂x for each input, as nodes when they are to be differentiated again."""
    if isinstance(y, (dict, list, tuple)) and isinstance(seed, type(y)):
        found = sum_over_leaves(y, seed, lambda leaf, part: derivatives(leaf, inputs, part, again))
        return found or [zero_like(x) for x in inputs]  # nothing in the nesting
    if isinstance(y, Value) and isinstance(seed, Tensor):  # one seed per sample of a vmap: scale by it
        return [ops.mul(seed, g) for g in value.plain_gradients(y, inputs, 1.0)]
    if isinstance(y, Value):
        return value.gradients(y, inputs, seed) if again else value.plain_gradients(y, inputs, seed)
    if isinstance(y, Tensor):
        return tensor_derivatives(y, inputs, seed, again)
    if is_object(y):
        return derivatives(weight_sum(y, seed), inputs, 1.0, again)
    if np.ndim(y) or not isinstance(y, (int, float, np.number, np.ndarray)):
        raise OperandError(
            f"a transform needs a function that returns Values, Tensors or numbers, not {type(y).__name__}"
            + (": does it lack a `return`?" if y is None else "")
            + (": join them with np.stack or np.concatenate" if isinstance(y, (list, tuple)) else "")
        )
    return [zero_like(x) for x in inputs]  # y is a plain number, which depends on no input


def sum_over_leaves(y: ArrayLike, seeds: ArrayLike, each: Callable[[Any, Any], list[Any]]) -> list[Any]:
    """Sum of each(result, seed) over two nestings of the same form; None as a seed counts as 0."""
    if tree_map(lambda _: 0, y) != tree_map(lambda _: 0, seeds):
        raise OperandError("the pull-back of a nesting needs seeds that are nested alike")
    parts = [each(x, s) for x, s in leaf_pairs(y, seeds) if s is not None]
    return [functools.reduce(ops.add, contributions) for contributions in zip(*parts, strict=True)]


def weight_sum(y: Node, weights: ArrayLike) -> Any:
    """Σ wᵢ·yᵢ of an array of Values, made of numbers: its gradient is the pull-back of the weights."""
    if np.shape(weights) not in (y.shape, ()):
        raise ShapeError(f"the pull-back needs a seed of the result's shape {y.shape}, not {np.shape(weights)}")
    each = np.broadcast_to(np.asarray(weights, dtype=object), y.shape)
    with recording():  # also inside no_grad: without its graph the sum would have the gradient 0
        return functools.reduce(ops.add, [ops.mul(v, w) for v, w in zip(y.flat, each.flat, strict=True)], Value(0.0))


def tensor_derivatives(y: Tensor, inputs: list[Any], seed: Node, again: bool) -> list[Any]:
    shape = np.shape(seed)
    if shape not in (y.shape, ()):
        raise ShapeError(f"the pull-back needs a seed of the result's shape {y.shape}, not {shape}")
    if not y.requires_grad:
        return [zero_like(x) for x in inputs]
    if again and MODES.tensor_trace is not None:
        found = tensor_gradients(y, inputs, seed)
    elif again:
        ones = np.ones(y.shape, y.dtype)
        full = ops.mul(seed, ones) if is_node(seed) else Tensor(np.broadcast_to(seed, y.shape), dtype=y.dtype)
        found = tensor_gradients(y, inputs, full)
    else:
        with np.errstate(all="ignore"):
            start = np.array(np.broadcast_to(np.asarray(seed, dtype=y.dtype), y.shape))
            pairs = cotangents(topological(y, wanting), start, pull_with_care)
        found = [pairs.get(x) for x in inputs]
    return [zero_like(x) if g is None else g for x, g in zip(inputs, found, strict=True)]

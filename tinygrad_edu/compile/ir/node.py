"""A function of arrays run without numbers: every operation becomes a node with a symbolic shape.

Every operation on Tensors becomes a node while a trace is running, so that nothing the function reads is frozen in the
program: neither `W.T` nor `W > 0` of a W that it closes over.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import count
from typing import Any

import numpy as np

from tinygrad_edu.compile.codegen.formulas import literal
from tinygrad_edu.compile.ir import bitwise, casts
from tinygrad_edu.compile.ir import truth as truths
from tinygrad_edu.compile.ir.constants import NEUTRAL, POWERS, same, spread_value, value_of
from tinygrad_edu.compile.ir.constants import is_constant as is_constant
from tinygrad_edu.compile.ir.constants import op_name as op_name
from tinygrad_edu.compile.ir.dims import ACTIVE, count_numbers, lengths, note_derivative, text_of
from tinygrad_edu.compile.ir.dims import Size as Size
from tinygrad_edu.compile.ir.parts import Parts
from tinygrad_edu.compile.ir.shape_rules import SHAPES, elementwise_shape
from tinygrad_edu.compile.ir.stands_for import let_nodes_answer, mark_entry, mark_result
from tinygrad_edu.compile.planted_errors import meet
from tinygrad_edu.compile.unread import original
from tinygrad_edu.core import broadcasting, ops
from tinygrad_edu.core.graph import cotangents, topological
from tinygrad_edu.core.modes import MODES
from tinygrad_edu.core.numpy_protocol.dispatch import call_function
from tinygrad_edu.core.numpy_protocol.without_numbers import WITHOUT_NUMBERS
from tinygrad_edu.core.operation import EVERYWHERE, ArrayOperation, Operation, is_flat
from tinygrad_edu.core.operators import install
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.core.tracing.stands_for import class_told, set_class
from tinygrad_edu.core.writes.other_names import refuse_old, unwatched, watched
from tinygrad_edu.errors import TraceError

DECOMPOSITIONS: dict[str, Callable[..., Traced]] = {}  # operations recorded in terms of others; filled by rules.py
COUNTER = count()
PULL_BACKS: dict[str, Callable[..., list[tuple[Traced, Any]]]] = {}  # for nodes with several results


class Traced(Tensor):
    """A Tensor during tracing: an operation, its inputs and a shape, without numbers."""

    __slots__ = ("__weakref__", "checked", "derived", "integer", "kind", "made", "name", "origin", "sizes", "stands")
    op, parents, options = (vars(Tensor)[slot] for slot in ("_op", "_parents", "_options"))
    name: str  # of an input: its name in the program; of a constant: its text
    sizes: tuple[Any, ...]
    integer: bool  # an input of integers, which may be an index
    kind: truths.Kind  # the dtype that NumPy would give it
    made: int  # number in the order of creation
    derived: bool | str  # not made by the user's function, but for a derivative (True) or all samples of vmap ("vmap")
    checked: bool  # targets of a loss that have been checked already (core/losses/targets.py)
    stands: Any  # what it stands for in eager code, where it is known; unset for the others
    origin: Any  # set once it is asked for: ir/stands_for.py

    def __init__(
        self,
        sizes: tuple[Any, ...],
        op: Any = None,
        parents: tuple[Any, ...] = (),
        options: Mapping[str, Any] | None = None,
        name: str = "",
        label: str = "",
        kind: truths.Kind = None,
    ) -> None:
        self.sizes, self.op, self.parents, self.options, self.name = sizes, op, parents, options or {}, name
        self.label, self.gradient, self.requires_grad, self._spent, self.integer = label, None, True, False, False
        self.kind = truths.kind_of_node(op, parents) if kind is None else kind
        self.made, self.checked, self.derived = next(COUNTER), False, MODES.memory is None or MODES.samples

    shape = property(lambda self: self.sizes)
    ndim = property(lambda self: len(self.sizes))
    dtype = property(truths.dtype_of)

    size = property(lambda self: count_numbers(self.sizes))

    @property
    def array(self) -> Any:  # type: ignore[override]
        """Not known while tracing."""
        raise TraceError(
            f"{self!r} has no numbers while it is traced: a compiled function computes with operations alone. "
            "To decide by a value use tg.ops.where; to look at one, call the function without jit"
        )

    @staticmethod
    def __apply__(operation: Operation, arguments: Sequence[Any]) -> Traced:
        if MODES.tensor_trace is not Traced and MODES.tensor_trace is not None:  # inside a vmap
            return MODES.tensor_trace.__apply__(operation, arguments)  # type: ignore[no-any-return]
        operands = casts.round_beside_singles(tuple(map(as_node, truths.check_operands(operation, arguments))))
        meet(operation.name, [operands], is_constant(operands[-1]))
        return unless_recording(watched(truths.apply_as_numpy(operation, operands, record), operation, operands))

    @staticmethod
    def __apply_array__(operation: ArrayOperation, arrays: Sequence[Any], options: Mapping[str, Any]) -> Traced:
        if MODES.tensor_trace is not Traced and MODES.tensor_trace is not None:
            return MODES.tensor_trace.__apply_array__(operation, arrays, options)  # type: ignore[no-any-return]
        operands = tuple(map(as_node, truths.check_operands(operation, arrays)))
        return unless_recording(watched(apply_array(operation, operands, options), operation, operands, options))

    @staticmethod
    def positions(n: Any) -> Traced:
        """0, 1, 2, ... up to n: the index of a loop."""
        return Traced((n,), name=f"range({text_of(n)})")

    @staticmethod
    def exact(array: Any) -> Traced:
        """0s and 1s that a transform needs, as an input that does not decide the program's dtype."""
        trace, dtype = ACTIVE.traces[-1], np.asarray(array).dtype
        node = as_node(np.asarray(array, np.float32))
        trace.of_inputs[node] = dtype
        return trace.note_dtype(node, dtype)  # type: ignore[no-any-return]

    @staticmethod
    def noted(x: Traced, like: Any) -> Traced:
        """The same numbers, known to have this dtype or that of another node."""
        return (ACTIVE.traces[-1].note_dtype if isinstance(like, Traced) else casts.cast)(x, like)  # type: ignore[no-any-return]

    careful = property(lambda _: note_derivative())  # asked by a vmap, which differentiates itself

    @staticmethod
    def derivatives(root: Any, inputs: Sequence[Any], seed: Any) -> list[Traced]:
        """seed·∂root/∂input as further nodes: a transform inside a compiled function."""
        root, nodes = as_node(root), [as_node(x) for x in inputs]
        with unwatched():
            return ACTIVE.traces[-1].note_gradients(differentiate(root, nodes, seed, again=True), nodes)  # type: ignore[no-any-return]

    @staticmethod
    def scan(step: Any, state: Any, xs: Any, count: int | None) -> Any:
        """`scan` as a loop of the program; None where its rounds have to be traced one by one."""
        return DECOMPOSITIONS["scan"](step, state, xs, count) if MODES.tensor_trace is Traced else None

    def rows_of(self, labels: Any) -> Traced:
        """The classes as rows of 0 and 1, one column per logit. Errors: TraceError if the labels are not integers."""
        return DECOMPOSITIONS["rows_of_classes"](labels, self.sizes[-1])

    def __bool__(self) -> bool:
        nodes = [x for x in topological(self, lambda x: x.parents) if isinstance(x, Traced)]
        own = [x.label for x in nodes if x.op is None and not is_constant(x)]
        outside = own and ACTIVE.traces and all(name in ACTIVE.traces[-1].captured for name in own)
        raise TraceError(
            "a compiled function cannot branch on a traced value: choose with tg.ops.where(condition, a, b)"
            + (", or decide by the .data of a closed-over Tensor, which is compared before each call" * bool(outside))
        )

    data, __array__ = array, truths.plain_array
    numpy = lambda self: self.array  # noqa: E731

    def detach(self) -> Traced:
        """The same numbers without a gradient."""
        return Traced(self.sizes, DETACHED, (self,))

    def astype(self, dtype: Any, copy: bool = True, **further: Any) -> Any:
        """Floats rounded to float32 or not; truth values and whole numbers in any dtype."""
        return truths.convert(self, np.dtype(dtype), further, lambda dtype: super(Traced, self).astype(dtype, copy))

    def as_copy(self) -> Any:
        """The same numbers in memory of their own, while a user's function runs; whole numbers stay an index."""
        return Traced(self.sizes, ops.pos, (self,), kind=self.kind) if self.sizes and not self.integer else self

    def __len__(self) -> int:
        if not self.sizes:
            raise TypeError("len() of a number")
        return int(self.sizes[0])

    __and__ = __rand__ = bitwise.conjunction
    __or__ = __ror__ = bitwise.disjunction
    __xor__ = __rxor__ = bitwise.exclusive_disjunction
    __invert__ = bitwise.negation

    def __array_function__(self, function: Any, types: Any, arguments: Any, options: Any) -> Any:
        arguments = casts.as_numpy_takes(function, arguments)
        if options.get("dtype") is None or function in WITHOUT_NUMBERS:  # zeros_like(mask, dtype=float)
            return mark_result(call_function(function, arguments, options), function, arguments)
        return mark_result(casts.call_with_dtype(self, function, arguments, options), function, arguments)

    def __repr__(self) -> str:
        what = self.op.name if self.op else "input" if self.sizes else "number"
        return f"Traced({self.label or self.name or what}, shape={lengths(self)})"

    __class__ = property(class_told, set_class)


# Written like `pos`, which adds nothing to the program's text, and without derivative like a comparison.
DETACHED = Operation(ops.pos.function, None, EVERYWHERE, ops.pos.numpy_name, "")


def constant(x: Any, kind: truths.Kind = truths.FLOAT) -> Traced:
    """A number that is written into the program's text."""
    own = {"dtype": x.dtype} if isinstance(x, np.floating) else None
    return Traced((), options=own, name=text_of(x) if isinstance(x, Size) else literal(float(x)), kind=kind)


def as_node(x: Any) -> Traced:
    """Numbers as constants; Tensors and arrays from outside as further inputs of the program."""
    if isinstance(x, Traced):
        if MODES.written:
            refuse_old((x,), TraceError)
        return x
    if isinstance(x, (int, float, np.integer, np.floating, np.bool_, Size)):
        return constant(x, truths.kind_of_number(x))
    if not ACTIVE.traces:
        raise TraceError(f"{x!r:.60} meets a traced value outside of a trace")
    x = original(x)
    node: Traced = ACTIVE.traces[-1].capture(x)
    if node.op is None and not isinstance(x, Tensor):
        truths.hold(node, np.asarray(x))
    return node


def record(operation: Operation, parents: Sequence[Traced]) -> Traced:
    """Record an elementwise operation as a node."""
    return simplify(operation, Traced(elementwise_shape(operation.name, parents), operation, tuple(parents)))


def simplify(operation: Operation, node: Traced) -> Traced:
    """x - 0, x·1, x/1 and x¹ are x, where the shape stays; operations of constants are constants; x² is x·x."""
    values = [spread_value(x) for x in node.parents]
    known = [v for v in values if v is not None]
    strong = truths.dtypes_of_constants(node.parents)
    if len(known) == len(values):
        number = constant(operation.on_floats(*known), node.kind)
        number.options = {"dtype": np.result_type(*strong)} if strong and node.kind is truths.FLOAT else {}
        return shapes_like(number, node) if node.sizes else number
    if strong and operation.name in NEUTRAL and truths.may_widen():  # x · np.float64(1) is float64
        return node
    # n ** 2.0 is of floats
    same_dtype = operation.name != "pow" or node.parents[1].kind is int or not truths.is_whole_noted(node.parents[0])
    if operation.name == "pow" and values[1] in POWERS and node.parents[0].sizes == node.sizes and same_dtype:
        return POWERS[values[1]](node.parents[0])  # type: ignore[no-any-return]
    chosen = node.parents[1 if values[0] else 2] if operation.name == "where" else node
    if operation.name == "where" and values[0] is not None and chosen.kind == node.kind and not strong:
        return chosen if truths.replaces(chosen, node) else shapes_like(chosen, node)
    if (neutral := NEUTRAL.get(operation.name)) is not None:
        a, b = node.parents
        if same(values[1], neutral) and truths.replaces(a, node) and same_dtype:
            return a  # type: ignore[no-any-return]
        if operation.name in ("add", "mul") and same(values[0], neutral) and truths.replaces(b, node):
            return b  # type: ignore[no-any-return]
    return node


def unless_recording(x: Traced) -> Traced:
    """The node itself; under `no_grad` the same numbers without a gradient."""
    return x if MODES.recording or x.dtype.kind != "f" else x.detach()


def apply_array(operation: ArrayOperation, arrays: Sequence[Any], options: Mapping[str, Any]) -> Traced:
    """Record an operation on arrays as a node, or as the nodes that it is made of."""
    primitive, rewrite = SHAPES.get(operation.name), DECOMPOSITIONS.get(operation.name)
    if not (primitive or rewrite or operation.made_of):
        raise TraceError(f"{operation.name} cannot be compiled: {operation.instead or truths.WITHOUT_JIT}")
    parents: tuple[Traced, ...] = tuple([as_node(x) for x in arrays])
    if operation.name == "matmul" and truths.counts(parents):  # True·True + True·True is True
        counts = Traced.__apply_array__(operation, [truths.as_float(x) for x in parents], options)
        return ops.greater(counts, 0.0)  # type: ignore[no-any-return]
    if rewrite:
        other = mark_entry(operation, truths.settle(operation, parents, rewrite(*parents, **options)), parents, options)
        kept = bool(ACTIVE.traces) and operation.name in ACTIVE.traces[-1].keep
        return Traced(other.sizes, operation, parents, options) if kept else other
    if primitive:
        return Traced(primitive(parents, **options), operation, parents, options)
    if operation.shape is None:
        return truths.settle(operation, parents, operation.made_of(*parents, **options))  # type: ignore[misc, no-any-return]
    return Traced(operation.shape(*parents, **options), operation, parents, options)


def differentiate(root: Traced, inputs: Iterable[Traced], seed: Any = 1.0, again: bool = False) -> list[Traced]:
    """d root / d input as further nodes of the trace: the same partials and pull-backs, run on Traced.

    `again`: may these be differentiated in turn?
    """
    wanted = list(inputs)
    order = topological(root, lambda x: x.parents)
    needed = set(wanted)
    for x in order:
        if not is_flat(x.op) and any(p in needed for p in x.parents):
            needed.add(x)

    def pull(x: Traced, g: Any) -> list[tuple[Traced, Any]]:
        if isinstance(g, Parts):  # the parts of a loop's results
            return PULL_BACKS[op_name(x)](x, g, needed, again)
        found = zip(x.parents, contributions(x, g, again), strict=True)
        return [(p, as_shape_of(p, c)) for p, c in found if p in needed and c is not None]

    found = cotangents(order, shapes_like(as_node(seed), root) if root.sizes else as_node(seed), pull)
    return [found[x] if x in found else shapes_like(constant(0.0), x) for x in wanted]


def as_shape_of(parent: Traced, contribution: Any) -> Any:
    """A contribution to a parent's gradient, summed over what broadcasting has repeated."""
    whole = isinstance(contribution, Parts)
    return contribution if whole else broadcasting.unbroadcast(as_node(contribution), parent.sizes)


def shapes_like(x: Traced, like: Traced) -> Any:
    return broadcasting.broadcast_to(x, like.sizes)


def contributions(x: Traced, g: Traced, again: bool) -> Sequence[Any]:
    """g·∂x/∂parent for each parent; None where it is 0."""
    if x.op is None:
        return []
    if not isinstance(x.op, Operation):
        careful = ACTIVE.traces[-1].careful and getattr(x.op, "careful", None)
        if careful:
            return careful(g, x, *x.parents, **x.options)  # type: ignore[no-any-return]
        found = ((again and getattr(x.op, "vjp_again", None)) or x.op.vjp)(g, x, *x.parents, **x.options)
        if not ACTIVE.traces[-1].careful or getattr(x.op, "linear", x.op.name not in NONLINEAR):
            return found  # type: ignore[no-any-return]
        # A gradient of 0 everywhere stays 0, even beside NaN; what is finite keeps its derivative by that gradient.
        flows = broadcasting.sum(ops.not_equal(g, 0.0)) > 0.0
        return [c if c is None else ops.where(ops.maximum(flows, ops.equal(c - c, 0.0)), c, 0.0) for c in found]
    if x.op.partials is None:
        return [None] * len(x.parents)
    # A gradient of 0 stays 0 where the derivative may be infinite. Other derivatives can become infinite by overflow:
    # if a program's gradients contain NaN, it is compiled again with this guard everywhere.
    guarded = x.op.domain is not EVERYWHERE or ACTIVE.traces[-1].careful
    whole = x.op.name not in ("mul", "where")  # for boolean operands the partials of these two are the same
    parents = [truths.as_float(p) if whole and p.sizes else p for p in x.parents]
    return [pull_by_partial(g, d, guarded, again) for d in x.op.partials(x, *parents)]


NONLINEAR = ("prod", "cumprod")  # nonlinear primitives that are not in the table


def pull_by_partial(g: Traced, partial: Any, guarded: bool, again: bool) -> Any:
    """g·∂y/∂x; None where the derivative is 0 everywhere.

    Guarded, 0 stays 0. If this will be differentiated again, by g, only an infinite derivative is left out.
    """
    d = partial if isinstance(partial, Traced) else constant(partial)
    value = value_of(d)
    if partial.__class__ is float and value == 0.0:
        return None
    product = g * d
    finite = d.kind is not truths.FLOAT or (value is not None and math.isfinite(value))
    if not guarded or finite:
        return product
    if again:
        return g * ops.where(ops.equal(g, 0.0) * ops.not_equal(d - d, 0.0), 0.0, d)
    return ops.where(ops.equal(g, 0.0), 0.0, product)


install(Traced)
let_nodes_answer(Traced)

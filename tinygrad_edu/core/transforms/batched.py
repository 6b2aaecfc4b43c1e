"""A Tensor of one sample that stands for all samples of a batch: `vmap` calls its function with it.

It has the shape of one sample. An operation on it is one operation on the whole batch, by a rule that says which axes
move; its own graph is of samples, so that a transform inside the function gives a gradient for each sample.
"""

from __future__ import annotations

import operator
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from tinygrad_edu.core import ops
from tinygrad_edu.core.aliases import ArrayLike, Node, Option
from tinygrad_edu.core.broadcasting import broadcast_to, unbroadcast
from tinygrad_edu.core.formulas.readings import refuse_own_operands
from tinygrad_edu.core.graph import cotangents, topological
from tinygrad_edu.core.losses.targets import rows_of_classes
from tinygrad_edu.core.modes import MODES, switch_mode
from tinygrad_edu.core.numpy_protocol.dispatch import call_function
from tinygrad_edu.core.numpy_protocol.without_numbers import WITHOUT_NUMBERS
from tinygrad_edu.core.operation import EVERYWHERE, ArrayOperation, Operation, is_flat
from tinygrad_edu.core.operators import install
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.core.tracing.stands_for import class_told, hash_told, let_answer, set_class
from tinygrad_edu.core.transforms import batch_rules
from tinygrad_edu.core.transforms import batched_index as batched_index  # fills RULES_OF_INDEX
from tinygrad_edu.core.transforms.batch_rules import NumbersNeededError, holds_nan, in_dtype_of, numbers_needed
from tinygrad_edu.core.transforms.class_in_loop import classes_in_loop
from tinygrad_edu.core.writes.other_names import refuse_old, unwatched
from tinygrad_edu.core.writes.write_guard import refuse_changed
from tinygrad_edu.errors import TinygradError, TraceError


@contextmanager
def numpys_words_taken_off() -> Iterator[None]:
    """A block in which `a[i] = x` of an array raises our own error, which NumPy would hide behind its own."""
    try:
        yield
    except ValueError as error:
        if isinstance(error.__cause__, (NumbersNeededError, TinygradError)):
            raise error.__cause__ from None
        raise


class _Levels(threading.local):
    def __init__(self) -> None:
        self.open: list[tuple[Any, Any]] = []  # per active vmap: (the trace around it, the number of samples)


LEVELS = _Levels()


@contextmanager
def batch(size: ArrayLike) -> Iterator[Any]:
    """A block in which every operation of this thread works on samples, all of which refer to what it gives."""
    LEVELS.open.append((MODES.tensor_trace, size))
    try:
        with switch_mode("tensor_trace", Batched):
            yield LEVELS.open[-1]
    finally:
        LEVELS.open.pop()


@contextmanager
def outside() -> Iterator[Any]:
    """A block in which operations work on whole batches, as around the innermost vmap; gives the number of samples.

    Errors: TraceError in a thread that the vmapped function has begun, or after it.
    """
    if not LEVELS.open:
        raise TraceError(
            "a sample of vmap means something only in the thread that runs vmap, while it runs: do not keep it"
        )
    level, before, MODES.samples = LEVELS.open.pop(), MODES.samples, "vmap"
    try:
        with switch_mode("tensor_trace", level[0]):
            yield level[1]
    finally:
        MODES.samples = before
        LEVELS.open.append(level)


class Batched(Tensor):
    """One sample of `inner`, whose first axis counts the samples; `common`: inner is the same for all of them."""

    __slots__ = ("__weakref__", "common", "inner", "level", "run", "stands")

    of_samples = True  # tells code that sees only the class, as in MODES.tensor_trace, that this is a vmap

    inner: Any
    common: bool
    level: int
    stands: Any  # what it stands for in the loop over samples, where that is known; unset for the others

    def __init__(
        self, inner: ArrayLike, common: bool, op: ArrayLike = None, parents: ArrayLike = (), options: Option = None
    ) -> None:
        self.inner, self.common, self.level, self.run = inner, common, len(LEVELS.open), LEVELS.open[-1:]
        self._op, self._parents, self._options = op, tuple(parents), options or {}
        self.gradient, self.label, self.requires_grad, self._spent = None, "", True, False

    shape = property(lambda self: tuple(np.shape(self.inner)) if self.common else tuple(np.shape(self.inner))[1:])
    ndim = property(lambda self: len(self.shape))
    dtype = property(lambda self: getattr(self.inner, "dtype", np.dtype(float)))

    @property
    def size(self) -> Any:
        total: Any = 1
        for n in self.shape:
            total = total * n
        return total

    @property
    def array(self) -> Any:  # type: ignore[override]
        raise NumbersNeededError

    data = array

    def __bool__(self) -> bool:
        raise NumbersNeededError

    def __float__(self) -> float:
        raise NumbersNeededError

    def __setitem__(self, index: ArrayLike, value: ArrayLike) -> None:
        raise NumbersNeededError

    def __array__(self, dtype: Option = None, copy: bool | None = None) -> Any:
        raise NumbersNeededError

    @staticmethod
    def __apply__(operation: Operation, arguments: Sequence[Any]) -> Batched:
        if MODES.written:
            refuse_old(arguments, numbers_needed)
        parents = [sample(x) for x in arguments]
        rank = max((x.ndim for x in parents if isinstance(x, Batched)), default=0)
        rank = max([rank, *(np.ndim(x) for x in parents if not isinstance(x, Batched))])
        with outside(), recording_for(parents):
            inner = operation(*[batch_rules.align(x, rank) for x in parents])
        return recorded(inner, all(is_common(x) for x in parents), operation, parents)

    @staticmethod
    def __apply_array__(operation: ArrayOperation, arrays: Sequence[Any], options: Mapping[str, Any]) -> Batched:
        if MODES.written:
            refuse_old(arrays, numbers_needed)
        refuse_own_operands(operation, arrays)
        parents = [as_sample(x) for x in arrays]
        options = {name: option_of_sample(x) for name, x in options.items()}
        given = [*parents, *batch_rules.options_of(options)]
        common = all(map(is_common, given))
        with outside() as size, recording_for(given):
            if common:
                inner = batch_rules.on_common(operation, parents, options)
            else:
                inner = batch_rules.on_batch(operation, parents, options, size)
        return recorded(inner, common, operation, parents, options)

    @staticmethod
    def positions(n: Node) -> Any:
        """0, 1, 2, ... up to n, in the trace around."""
        trace, _ = LEVELS.open[-1]
        return Batched(trace.positions(n), True) if trace is not None else np.arange(n)

    @staticmethod
    def exact(array: Node) -> Batched:
        """0s and 1s that a transform needs, the same for all samples."""
        with outside():
            inner = array if MODES.tensor_trace is None else MODES.tensor_trace.exact(array)
        return Batched(inner, True)

    @staticmethod
    def derivatives(root: Node, inputs: Sequence[Any], seed: Node) -> list[Any]:
        """seed·∂root/∂input for each sample, as further nodes."""
        # a root from outside: vmap(pull), where pull = vjp(f, x) was made before
        parents = own_parents if is_sample(root) else wanting
        order = topological(root, parents)
        needed: set[Any] = set(inputs)
        for x in order:
            if any(p in needed for p in parents(x)) and not is_flat(x.op):
                needed.add(x)

        def pull(x: Tensor, g: Node) -> list[tuple[Any, Any]]:
            found = zip(x.parents, contributions(x, g), strict=True)
            wanted = [(p, c) for p, c in found if isinstance(p, Tensor) and p in needed and c is not None]
            return [(p, in_dtype_of(p, unbroadcast(as_sample(c), p.shape))) for p, c in wanted]

        with unwatched():
            found = cotangents(order, seed if isinstance(seed, Batched) else seed_like(root, seed), pull)
        return [Batched.noted(found[x], x) if x in found else None for x in inputs]

    @staticmethod
    def noted(x: Batched, like: ArrayLike) -> Batched:
        """The same numbers, known to have that dtype, of which the trace around takes note."""
        with outside():
            trace = MODES.tensor_trace
            if trace is None or not hasattr(x.inner, "parents"):
                return x
            inner = trace.noted(x.inner, like.inner if isinstance(like, Batched) else like)
        return recorded(inner, x.common, ops.pos, [x], {})

    def rows_of(self, labels: ArrayLike) -> Batched:
        """The class numbers as rows of 0 and 1, one column for each logit."""
        labels = as_sample(labels)
        with outside():
            rows_of = getattr(self.inner, "rows_of", None)
            rows = rows_of(labels.inner) if rows_of else rows_of_classes(labels.inner, self.shape[-1])
        return Batched(rows, labels.common)

    def detach(self) -> Batched:
        with outside():
            inner = self.inner.detach() if isinstance(self.inner, Tensor) else self.inner
        return Batched(inner, self.common)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a number")
        return int(self.shape[0])

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    def logical(self, name: str, *others: ArrayLike) -> Batched:
        """~, &, | and ^ of conditions."""
        parents = [self, *[sample(x) for x in others]]
        rank = max(np.ndim(x) for x in parents)
        with outside():
            inner = getattr(operator, name)(*[batch_rules.align(x, rank) for x in parents])
        return Batched(inner, all(is_common(x) for x in parents))

    def __and__(self, other: ArrayLike) -> Any:
        return self.logical("__and__", other)

    def __or__(self, other: ArrayLike) -> Any:
        return self.logical("__or__", other)

    def __xor__(self, other: ArrayLike) -> Any:
        return self.logical("__xor__", other)

    def __invert__(self) -> Any:
        return self.logical("__invert__")

    __rand__, __ror__, __rxor__ = __and__, __or__, __xor__

    def __array_function__(self, function: Any, types: ArrayLike, arguments: ArrayLike, options: Option) -> Any:
        fills = function in WITHOUT_NUMBERS  # these fill boolean arrays too, so they keep the dtype asked for
        asked = {name: x for name, x in options.items() if fills or name != "dtype" or np.dtype(x).kind != "f"}
        return call_function(function, arguments, asked)

    def __repr__(self) -> str:
        return f"Batched(one sample of shape {self.shape})"

    __class__ = property(class_told, set_class)

    def eager_classes(self) -> tuple[Any, ...]:
        """What the sample may be in a loop over the samples."""
        return classes_in_loop(self, own_parents)

    def refuse_question(self, what: str) -> None:
        """Errors: NumbersNeededError, which makes it that loop."""
        raise NumbersNeededError


install(Batched)
Batched.__hash__ = hash_told  # type: ignore[assignment, method-assign]
let_answer(Batched, watched=False)


@contextmanager
def recording_for(parents: Sequence[Any]) -> Iterator[None]:
    """No graph, and no copies of constants for it, if no inner Tensor requires one."""
    wanted = any(getattr(x.inner, "requires_grad", False) for x in parents if isinstance(x, Batched))
    with switch_mode("recording", MODES.recording and wanted):
        yield


def recorded(inner: Node, common: bool, operation: Any, parents: Sequence[Any], options: Option = None) -> Batched:
    """The result of an operation; under `no_grad` it has no history."""
    return Batched(inner, common, operation, parents, options) if MODES.recording else Batched(inner, common)


def is_sample(x: Node) -> bool:
    """Does x stand for the samples of the innermost vmap, and not of one around it?"""
    return isinstance(x, Batched) and x.level == len(LEVELS.open)


def is_common(x: Node) -> bool:
    return not isinstance(x, Batched) or x.common


def sample(x: Node) -> Any:
    """Tensors from outside are the same for all samples; plain numbers and arrays stay as they are."""
    return Batched(x, True) if isinstance(x, Tensor) and not is_sample(x) else x


def option_of_sample(x: Any) -> Any:
    """`sample` of an option, and of the parts of a tuple."""
    return tuple([sample(part) for part in x]) if type(x) is tuple else sample(x)


def as_sample(x: Node) -> Any:
    return x if is_sample(x) else Batched(x if isinstance(x, Tensor) else np.asarray(x), True)


def own_parents(x: Node) -> list[Any]:
    return [p for p in x.parents if isinstance(p, Batched)]


def wanting(x: Node) -> list[Any]:
    """The parents that require a gradient, in the graph around the innermost vmap."""
    return [p for p in x.parents if isinstance(p, Tensor) and p.requires_grad]


def seed_like(root: Node, seed: ArrayLike) -> Any:
    """The seed as the gradient of a root; of a compiled function a node, because an array would decide its dtype."""
    trace = LEVELS.open[0][0]
    if trace is None or np.ndim(seed):
        return as_sample(np.broadcast_to(np.asarray(seed, root.dtype), root.shape))
    with switch_mode("tensor_trace", trace):
        number = trace.__apply__(ops.pos, (float(seed),))
    return broadcast_to(as_sample(number), root.shape)


def contributions(x: Tensor, g: Node) -> Sequence[Any]:
    """g·∂x/∂parent for each parent; None where it is 0."""
    if x.op is None:
        return []
    if x.__class__ is Tensor:  # somebody may have written to its array in the meantime
        refuse_changed(x)
    if isinstance(x.op, ArrayOperation):
        return x.op.vjp(g, x, *x.parents, **x.options)
    if x.op.partials is None:
        return [None] * len(x.parents)
    singular = x.op.domain is not EVERYWHERE  # where the derivative may be infinite, a gradient of 0 stays 0
    return [times(g, d, singular) for d in x.op.partials(x, *x.parents)]


def times(g: Node, d: ArrayLike, singular: bool) -> Any:
    """g·d; None where the derivative is 0 everywhere. It stays linear in g where g is 0, for the derivative by g."""
    if isinstance(d, float):
        return (g if d == 1.0 else g * d) if d else None
    product = g * d
    if not singular and not holds_nan(product):
        return product
    infinite = ops.not_equal(d * 0.0, 0.0)
    return g * ops.where(ops.equal(g, 0.0) * infinite, 0.0, d)

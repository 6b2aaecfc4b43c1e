"""The trace of one batch's loss, and a signature by which two traces can be compared."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np

from tinygrad_edu.compile.ir.dims import Size
from tinygrad_edu.compile.ir.node import Traced
from tinygrad_edu.compile.ir.stands_for import mark
from tinygrad_edu.compile.ir.truth import hold
from tinygrad_edu.compile.passes.exact_range import EXACT, computes_in_float64, count_inexact
from tinygrad_edu.compile.passes.float_dtypes import common_dtype
from tinygrad_edu.compile.passes.fuse import SizeNames
from tinygrad_edu.compile.passes.whole_numbers import read_as_numbers
from tinygrad_edu.compile.program import Array
from tinygrad_edu.compile.rounds.repeats import roll
from tinygrad_edu.compile.rounds.trace import first_that_works
from tinygrad_edu.compile.trace import Trace
from tinygrad_edu.compile.untraceable import refuse_noticing
from tinygrad_edu.core import ops
from tinygrad_edu.core.graph import topological
from tinygrad_edu.core.methods.plain_arrays import PlainArray
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.core.tracing.stands_for import users_function
from tinygrad_edu.core.writes.write_guard import CLOCK
from tinygrad_edu.errors import TraceError
from tinygrad_edu.train.ending import INEXACT, OWN_NAN

BATCH_NAMES = ("x", "y", "sample_weight")  # the program's names for the arrays of one batch
FIXED_ROWS = (
    "The model or the loss turns the number of rows into a plain number, as np.zeros((len(x), 5)) does: leave the rows "
    "out, np.zeros(5), and it goes for any batch; z[np.arange(len(y)), y] is np.take_along_axis(z, y[:, None], axis=1)"
)

FRACTIONS = (
    "the model or the loss computes with fractions of whole numbers up to {:,} (a quotient, mean, root or sine), which "
    "NumPy has in float64, and the program in float32, as the parameters: convert the numbers to fractions beforehand, "
    "or train model.astype(np.float64)"
)
FEW_DIGITS = 256  # a difference of fractions of whole numbers up to here keeps 16 of the 24 bits of float32


def forward_trace(
    loss: Callable[..., Any], data: Sequence[Array], batch: int, known: Mapping[int, int] = MappingProxyType({})
) -> Trace:
    """The loss of one batch, and the signature of what it consists of; things in `known` are their numbers there.

    Code that makes a plain number of the rows, as np.zeros((len(x), 5)) does, is traced for this batch size alone.
    """
    rows = 1 if batch == 1 else 2  # an axis longer than 1 gets a symbolic size
    trace = first_that_works(partial(trace_once, loss, data, rows, known))
    if rows != batch and rows_of_trace(trace).isdigit():
        last = len(data[0]) % batch
        found = counted_trace(loss, data, (batch, last), known) if last > 1 else None
        trace = found or first_that_works(partial(trace_once, loss, data, batch, known))
    return trace


def counted_trace(
    loss: Callable[..., Any], data: Sequence[Array], sizes: tuple[int, int], known: Mapping[int, int]
) -> Trace | None:
    """One trace for batches of two sizes, where the code makes plain numbers of the rows: None if it is another one for
    each.

    z[np.arange(len(y)), y] is such a code. Both traces have to be the same, operation by operation.
    """
    try:
        one, two = (first_that_works(partial(trace_once, loss, data, n, known, counted=sizes)) for n in sizes)
    except TraceError:
        return None
    same = one.signature == two.signature and not any(rows_of_trace(each).isdigit() for each in (one, two))
    return one if same else None


def loss_if_exact(trace: Trace, dtype: str) -> Traced:
    """The loss of a trace, or NaN where it is computed from whole numbers that the program cannot hold exactly."""
    loss: Traced = trace.results
    roots, given = [loss, *(new for _, new in trace.followed)], {x: x.kind for x in trace.inputs.values() if x.integer}
    count = trace.run(lambda: count_inexact(roots, given, dtype, read_as_numbers(roots) if given else ()))
    return loss if count is None else trace.run(lambda: ops.where(ops.equal(count, 0.0), loss, math.nan))


def refuse_fractions(trace: Trace, data: Sequence[Array], dtype: str) -> None:
    """Errors: TraceError where NumPy has fractions of large whole numbers in float64, and the program in float32."""
    arrays = {**dict(zip(BATCH_NAMES, data, strict=False)), **trace.captured}
    largest = {x: np.max(np.abs(arrays[name]), initial=0) for name, x in trace.inputs.items() if x.integer}
    large = {x: x.kind for x, n in largest.items() if n > FEW_DIGITS}
    if dtype == "float32" and computes_in_float64([trace.results], large):
        raise TraceError(FRACTIONS.format(max(largest.values())))


def why_nan(trace: Trace, loss: Traced, dtype: str) -> str:
    """What may be wrong where the program alone comes to NaN: `loss`, the program's; the trace has the function's."""
    return OWN_NAN if loss is trace.results else INEXACT.format(EXACT[dtype], dtype)


def rows_of_trace(trace: Trace) -> str:
    """The number of rows in a program: a name that serves every batch, or the number that the traced code fixed."""
    names = SizeNames(trace.conditions.equal)
    found = [names.of(x.sizes[0]) for name, x in trace.inputs.items() if name not in trace.captured]
    return next((n for n in found if n.isdigit()), found[0])


def trace_once(
    loss: Callable[..., Any],
    data: Sequence[Array],
    rows: int,
    known: Mapping[int, int],
    written_out: frozenset[Any] | None,
    fixed: bool = False,
    counted: tuple[int, ...] = (),
) -> Trace:
    """The trace; `written_out`: steps of loops over time that are to be traced round by round (None: all); `fixed`:
    are all sizes but the batch's plain numbers, and the program for these alone? `counted`: see Trace."""
    trace = Trace(draws=True, written_out=written_out, fixed=fixed, counted=counted)
    trace.floats = np.dtype(common_dtype(data))
    inputs, job = [], getattr(loss, "__self__", None)  # loss is a job's batch_loss, or a function
    kind = getattr(job, "array_class", PlainArray) if getattr(job, "own_code", False) else PlainArray
    for name, array in zip(BATCH_NAMES, data, strict=False):
        x = trace.input(name, np.broadcast_to(array.dtype.type(0), (rows, *array.shape[1:])), named=1)
        hold(x, array)
        mark(x, kind)
        inputs.append(x)
    begun = next(CLOCK)
    refuse_noticing()
    with users_function():
        trace.results = trace.run(lambda: loss(*inputs))
    trace.run(partial(roll_repeats, trace))
    trace.refuse_leaks([trace.results] if isinstance(trace.results, Traced) else [])
    trace.signature = forward_signature(trace, known, begun)
    trace.signature += (counted,) if counted else ()
    return trace


def roll_repeats(trace: Trace) -> None:
    """Repetitions as loops, in the loss and in what a model keeps for the next step."""
    if isinstance(trace.results, Traced):
        trace.results, *new = roll([trace.results, *(new for _, new in trace.followed)])
        trace.followed = [(kept, x) for (kept, _), x in zip(trace.followed, new, strict=True)]


def forward_signature(trace: Trace, known: Mapping[int, int], begun: int) -> Any:
    """Equal for two traces that are the same program on the same arrays: every operation, constant and array.

    A constant Tensor that the code makes anew, as tg.Tensor([1.0, 2.0]) in forward, is its numbers; `begun`: the tick
    of the clock when the trace began.
    """
    number: dict[Any, int] = {}
    nodes = []
    roots = [x for x in (trace.results, *(new for _, new in trace.followed)) if isinstance(x, Traced)]
    for x in (x for root in roots for x in topological(root, lambda x: x.parents)):
        if x in number:
            continue
        number[x] = len(number)
        name = x.op.name if x.op is not None else x.name
        nodes.append((name, text_of(x.sizes), text_of(x.options), tuple([number[p] for p in x.parents])))

    def number_of(x: object) -> int:
        return known.get(id(x), id(x))

    def of_captured(x: Any) -> Any:
        if not isinstance(x, Tensor):
            return text_of(x)
        return text_of(x.array) if x._made > begun and not x.requires_grad else number_of(x)

    captured = [(name, of_captured(x)) for name, x in trace.captured.items()]
    masks = [(name, mask.p, number_of(mask.rng)) for name, mask in trace.masks.items()]
    return nodes, captured, masks, [(number_of(kept), number.get(new)) for kept, new in trace.followed]


def text_of(x: object) -> Any:
    """A setting of an operation, with every number in it; arrays by their bytes."""
    if isinstance(x, Size):
        return x.text
    if isinstance(x, np.ndarray):
        return x.shape, str(x.dtype), x.tobytes()
    if isinstance(x, Mapping):
        return tuple([(key, text_of(each)) for key, each in x.items()])
    if isinstance(x, (tuple, list)):
        return tuple(map(text_of, x))
    return (text_of(x.start), text_of(x.stop), text_of(x.step)) if isinstance(x, slice) else repr(x)


def holds_integers(array: Array) -> bool:
    return array.dtype.kind in "iu"

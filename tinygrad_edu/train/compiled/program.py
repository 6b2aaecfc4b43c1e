"""Whole training runs inside compiled code: gather a batch, step, update, epoch after epoch, in one function.

All parameters lie in one flat buffer, and so do their gradients and each of the optimizer's memories: an update is one
loop over one vector. The weights, and the intermediate results of a batch, are views of flat memory: few arguments,
which Numba compiles and calls quickly.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import accumulate
from typing import Any

import numpy as np

from tinygrad_edu.compile.backend import cache
from tinygrad_edu.compile.codegen import module_writer
from tinygrad_edu.compile.codegen.formulas import function_text
from tinygrad_edu.compile.codegen.templates import EPOCHS, IN_ORDER, IN_TURN
from tinygrad_edu.compile.codegen.updates import in_parts_if, limits
from tinygrad_edu.compile.program import Array, ProgramBody, indent, shape_of
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.errors import TraceError
from tinygrad_edu.train.compiled import blocks as of_blocks
from tinygrad_edu.train.compiled.blocks import Blocks, BlocksOfTrace, find_blocks, with_blocks
from tinygrad_edu.train.compiled.fixed_sizes import AnySizes, FixedSizes, OfSizes
from tinygrad_edu.train.compiled.forward import (
    FIXED_ROWS,
    forward_trace,
    holds_integers,
    loss_if_exact,
    refuse_fractions,
    why_nan,
)
from tinygrad_edu.train.compiled.packed_call import COMMON, TAKEN, Kind, PackedCode, unpack
from tinygrad_edu.train.compiled.task import MEMORY_NAMES, CompiledTask
from tinygrad_edu.train.compiled.update_rule import update_body

ARRAY_NAMES = ("X", "Y", "W")  # arrays of all samples
BAD, BAD_ONE = "losses[epoch] - losses[epoch] != 0.0", "some({})"
# Arguments that each of several runs side by side has for itself.
EACH = ("orders", "state", "saved", "gradient", "work", "rates", "losses", "norms", "changes")


@dataclass(frozen=True)
class BatchLayout:
    """The sizes that the program asks for, in its order; how many numbers, and how many whole ones, a batch takes."""

    sizes: Array
    work: int
    whole: int
    drawn: list[tuple[int, ...]]  # shape of the random numbers for each mask: for a full batch, and for the last one


class TrainingProgram:
    """A recipe, compiled for batches and layers of any size: `Buffers` for one run, then `code` on them.

    Errors: TraceError where the loss uses what cannot be compiled.
    """

    def __init__(self, recipe: CompiledTask, data: Sequence[Array], batch: int, stacked: bool = True) -> None:
        """`stacked`: the arrays of equal blocks lie together (blocks.py)."""
        self.step, self.blocks, self.why_nan = step_body(recipe, data, batch, stacked)
        self.update, self.floats = update_body(recipe)
        self.floats += ["clip_norm"] * recipe.clip_norm + ["clip_value"] * recipe.clip_value
        captured = self.step.trace.captured
        found = {id(array): name for name, array in captured.items()}
        self.parameters = [found[id(p)] for p in recipe.parameters]  # their names in the step
        self.given = [name for name in captured if name not in self.parameters]
        self.followed = [key.removeprefix("after_") for key in self.step.shapes if key.startswith("after_")]
        self.layouts: dict[Any, BatchLayout] = {}
        self.paces: dict[Any, float] = {}  # seconds of an epoch by the sizes of the run, once one was measured
        self.memories, self.dtype, self.accurate = recipe.memories, recipe.dtype, recipe.accurate
        self.data = dict(zip(self.step.trace.inputs, ARRAY_NAMES[: len(data)], strict=False))  # batch -> all samples
        rows = {self.step.names.of(self.step.trace.inputs[k].sizes[0]) for k in self.data}
        self.rows = {name for name in rows if not name.isdigit()}  # digits: 1, or fixed by the traced code
        self.fixed_rows = batch != 1 and len(self.rows) < len(rows)
        self.size_names = [name for name in self.step.own_sizes() if name not in self.rows]
        self.masks = self.step.trace.masks
        self.drawn_from: list[int] = []  # for each mask, which of the model's generators it is drawn from
        self.kept_in: list[int] = []  # for each followed array, which of the model's buffers it belongs to
        self.foreign = False  # whether code of the user's takes part
        self.signature = self.step.trace.signature
        self.limited = recipe.clip_norm or recipe.clip_value or recipe.stops is not None
        self.recipe = replace(recipe, loss=float, parameters=())  # drops the traced model, so that it can be freed
        self.text = self.module_text(recipe)
        self.of_sizes: dict[FixedSizes, OfSizes | None] = {}  # programs for one set of sizes only
        self.abreast: dict[bool, Any] = {}  # for runs side by side: with orders, and without (side_by_side.py)

    def module_text(
        self, recipe: CompiledTask, lanes: int = 0, ordered: bool = False, sizes: Any = None, packed: bool = False
    ) -> str:
        """The operations, and one function that trains.

        lanes: so many runs side by side (side_by_side.py); ordered: each of them takes its samples in an order.
        sizes: the FixedSizes that it is for alone; packed: does it take addresses (packed_call.py)?
        Errors: NotImplementedError for lanes, sizes or addresses where Numba alone understands the program.
        """
        plus = {f"plus_{name}": "+=" if self.accurate else f"= {name} +" for name in ("squares", "moved")}
        stops = recipe.stops
        update, shared = in_parts_if(packed and not sizes, self.update.lines, self.accurate)
        lines = EPOCHS.format(
            keep=indent_lines(2, (f"copy({name}, {name}_kept)" for name in self.followed)),
            restore=indent_lines(3, (f"copy({name}_kept, {name})" for name in self.followed)),
            sizes=indent_lines(1, (sizes or AnySizes).lines(self.size_names)),
            parameters=indent_lines(1, self.parameter_lines()),
            vectors=indent_lines(1, self.vector_lines()),
            batch=indent_lines(3, self.batch_lines(ordered if lanes else None, sizes)),
            bad=BAD_ONE.format(BAD) if lanes else BAD,
            step=indent_lines(3, self.step_lines()),
            clip=indent_lines(3, limits(recipe.clip_norm, recipe.clip_value, plus)),
            update=indent_lines(3, update),
            stop=indent_lines(2, ["if stops(stopping, losses[epoch]):", "    break"] if stops else []),
            **plus,
            **(sizes or AnySizes).parts(),
        )
        rule = '\n@njit(error_model="numpy")\n' + function_text("stops", stops) + "\n" if stops else ""
        functions = merge(self.step.functions, self.update.functions) + shared + rule
        if sizes and not self.accurate:
            functions = sizes.functions(functions, self.dtype)
        own = f"lanes={lanes}, each={EACH}, one={('t', 'first', *self.floats)}" if lanes else ""
        options: dict[str, Any] = {"accurate": self.accurate, "lanes": own, "whole": not (sizes or packed)}
        if packed:
            lines = f"{indent_lines(1, unpack(self.kinds()))}\n{lines}"
        return module_writer.module(functions, "epochs", TAKEN if packed else self.arguments(), lines, **options)

    def arguments(self) -> str:
        """The function's arguments, in order."""
        return ", ".join(self.kinds())

    def kinds(self) -> dict[str, Kind]:
        """(dtype, axes) of each argument, in order; the samples are given as matrices."""
        inputs = self.step.trace.inputs

        def kind(name: str, axes: int | None = None) -> Kind:
            x = inputs[name]
            return "int64" if x.integer else self.dtype, len(x.sizes) if axes is None else axes

        common = {name: (self.dtype if dtype == "real" else dtype, axes) for name, (dtype, axes) in COMMON.items()}
        return {
            **{array: kind(name, 2) for name, array in self.data.items()},
            **common,
            **{name: kind(name) for name in self.given},
            **{f"{name}_kept": kind(name) for name in self.followed},
            **dict(of_blocks.generator_kinds(self.masks, self.blocks.masks)),
        }

    def parameter_lines(self) -> Iterable[str]:
        """Views of each parameter and its gradient; of a single number, its place."""
        for name in with_blocks(self.parameters, self.blocks.weights):
            if isinstance(name, Blocks):
                yield from of_blocks.place_lines(name, self.stack_shapes)
                continue
            shape = self.step.names.shape(self.step.trace.inputs[name])
            if shape:
                yield f"{name}, d_{name} = view(state, at, {tuple_of(shape)}), view(gradient, at, {tuple_of(shape)})"
            else:
                yield f"at_{name} = at"
            yield f"at += {product_of(shape)}"

    def vector_lines(self) -> Iterable[str]:
        """All weights as one vector, their gradients, the optimizer's memories, its settings."""
        yield "w, g = view(state, 0, (at,)), view(gradient, 0, (at,))"
        for i in range(self.memories):
            yield f"{MEMORY_NAMES[i]} = view(state, {i + 1} * at, (at,))"
        yield "weights = at"
        for i, name in enumerate(self.floats):
            yield f"{name} = settings[{i}]"

    def batch_lines(self, ordered: bool | None, fixed: FixedSizes | None) -> Iterable[str]:
        """The batch's own sizes, its samples, and arrays for its intermediate results."""
        yield from (f"{rows} = size" for rows in sorted(self.rows))
        inputs = [(name, array, self.step.trace.inputs[name]) for name, array in self.data.items()]
        shapes = [tuple_of(self.step.names.shape(x)) for _, _, x in inputs]
        yield "at, place = 0, 0"
        columns = fixed.columns if fixed else [f"{array}.shape[1]" for array in self.data.values()]
        named = [(*each, shape, k) for each, shape, k in zip(inputs, shapes, columns, strict=True)]
        in_turn = [IN_TURN.format(name=name, array=array, shape=shape, columns=k) for name, array, _, shape, k in named]
        in_order = []
        for name, array, x, shape, k in named:
            memory, place = ("whole", "place") if x.integer else ("work", "at")
            text = IN_ORDER.format(name=name, array=array, shape=shape, columns=k, memory=memory, place=place)
            in_order += text.splitlines()
        if ordered is None:  # decided when the program runs
            yield from ["if orders.shape[1] == 0:", *indent(in_turn), "else:", *indent(in_order)]
        else:
            yield from in_order if ordered else in_turn
        yield from self.mask_lines()
        for name, sizes in self.results().items():
            yield f"{name} = room(work, at, {tuple_of(sizes)})"
            yield f"at += {product_of(sizes)}"

    def mask_lines(self) -> Iterable[str]:
        """The random numbers for dropout."""
        for each in with_blocks(self.masks, self.blocks.masks):
            if isinstance(each, Blocks):
                shares = [self.masks[name].p for name in each.groups[0]]
                yield from of_blocks.draw_lines(each, self.stack_shapes, shares)
                continue
            extent, p = self.step.names.shape(self.masks[each].node), self.masks[each].p
            yield f"{each}, {each}_rows = view(work, at, {tuple_of(extent)}), view(work, at, ({product_of(extent)},))"
            yield from of_blocks.draw_mask(each, p)
            yield f"at += {product_of(extent)}"

    def results(self) -> dict[str, Sequence[str]]:
        """The arrays that a step computes in memory of its own: intermediate results, and buffers for the next step."""
        stacks = {stack.name: self.step.names.shape(stack) for stack in self.blocks.leaves}
        stacks |= {f"d_{name}": shape for name, shape in stacks.items()}
        after = {f"after_{name}": self.step.shapes[f"after_{name}"] for name in self.followed}
        return {**self.step.buffers, **stacks, **after}

    @cached_property
    def stack_shapes(self) -> dict[str, Sequence[str]]:
        """The shape of each stack of blocks."""
        found = [*self.blocks.weights, *self.blocks.masks]
        return {x.name: self.step.names.shape(x) for blocks in found for x in blocks.stacks}

    def step_lines(self) -> Iterable[str]:
        """Loss and gradients; parameters that are single numbers are read and written in place."""
        alone = [x for x in with_blocks(self.parameters, self.blocks.weights) if isinstance(x, str)]
        single = [name for name in alone if not self.step.trace.inputs[name].sizes]
        yield from (f"{name} = w[at_{name}]" for name in single)
        for blocks in self.blocks.weights:
            yield from of_blocks.read_lines(blocks, self.stack_shapes)
        yield from self.step.lines
        for blocks in self.blocks.weights:
            yield from of_blocks.write_lines(blocks, self.stack_shapes)
        yield from (f"g[at_{name}] = d_{name}" for name in single)
        yield from (f"copy(after_{name}, {name})" for name in self.followed)

    def captures(self, parameters: Sequence[Tensor]) -> list[Any]:
        """What the loss closes over, in the program's order, with these parameters instead of those first seen."""
        given = dict(zip(self.parameters, parameters, strict=True))
        found = [given.get(name, x) for name, x in self.step.trace.captured.items()]
        return [getattr(x, "array", x) for x in found]

    def forget(self) -> None:
        """Let go of the model that was traced: `captured` is given the parameters of each that is trained."""
        self.step.trace.captured = dict.fromkeys(self.step.trace.captured)

    def layout(self, parameters: Sequence[Tensor], data: Sequence[Array], batch: int) -> BatchLayout:
        """What batches of this size need, from the shapes alone, the same object for the same shapes.

        Errors: TraceError where the program is not made for them.
        """
        captured = self.captures(parameters)
        key = (batch, len(data[0]) % batch, *(a.shape[1:] for a in data), *map(np.shape, captured))
        if key not in self.layouts:
            full, last = (self.sizes_of(captured, data, rows) for rows in (batch, len(data[0]) % batch or batch))
            if full is None or last is None:
                raise TraceError(
                    f"the sizes of a batch differ from those that the program was made for{self.why_rows(data, batch)}"
                )
            masks = [self.step.names.shape(mask.node) for mask in self.masks.values()]
            results = sum(math.prod(shape_of(shape, full)) for shape in [*self.results().values(), *masks])
            drawn = [tuple(math.prod(shape_of(shape, sizes)) for sizes in (full, last)) for shape in masks]
            kinds = [[a for a in data if holds_integers(a) == whole] for whole in (False, True)]
            rows = [batch * sum(math.prod(a.shape[1:]) for a in arrays) for arrays in kinds]
            sizes = np.array([full[name] for name in self.size_names], dtype=np.int64)
            self.layouts[key] = BatchLayout(sizes, rows[0] + results, rows[1], drawn)
        return self.layouts[key]

    def why_rows(self, data: Sequence[Array], batch: int) -> str:
        """Advice about a last batch that the program cannot take."""
        last = len(data[0]) % batch
        return f": batches of {batch} and a last one of {last}. {FIXED_ROWS}" if self.fixed_rows and last else ""

    def sizes_of(self, captured: Sequence[Any], data: Sequence[Array], rows: int) -> dict[str, int] | None:
        """Every size by name, for a batch of `rows` rows."""
        if self.step.trace.counted and rows not in self.step.trace.counted:
            return None
        batch = [np.broadcast_to(0.0, (rows, *a.shape[1:])) for a in data]
        return self.step.sizes([*batch, *captured])

    def form(self, sizes: FixedSizes | None) -> TrainingProgram | OfSizes:
        """The program for these sizes alone, or the one of any sizes."""
        return (sizes and self.of_sizes[sizes]) or self

    @cached_property
    def machine_text(self) -> str:
        """The text that is compiled: the same, with the addresses of arrays as arguments if that is possible."""
        try:
            return self.module_text(self.recipe, packed=True)
        except NotImplementedError:
            return self.text

    @cached_property
    def code(self) -> Callable[..., None]:
        """The compiled `epochs`."""
        found = cache.load(self.machine_text, "training").epochs
        return found if self.machine_text is self.text else PackedCode(found, self.kinds())


def step_body(
    recipe: CompiledTask, data: Sequence[Array], batch: int, stacked: bool
) -> tuple[ProgramBody, BlocksOfTrace, str]:
    """Loss and gradients of one batch, the blocks whose arrays lie together, and what a NaN of its own means."""
    trace = forward_trace(recipe.loss, data, batch)
    found = {id(array): name for name, array in trace.captured.items()}
    missing = [p for p in recipe.parameters if id(p) not in found]
    if missing:
        raise TraceError(f"the loss does not depend on {missing[0]!r:.60}, or is computed outside of the trace")
    names = [found[id(p)] for p in recipe.parameters]
    blocks = find_blocks(trace, names) if stacked else BlocksOfTrace()
    wanted = [trace.inputs[name] for name in with_blocks(names, blocks.weights) if isinstance(name, str)]
    wanted += blocks.leaves
    gradients = trace.gradients(wanted)
    refuse_fractions(trace, data, recipe.dtype)
    loss = loss_if_exact(trace, recipe.dtype)
    results = {"loss": loss} | {f"d_{x.name}": g for x, g in zip(wanted, gradients, strict=True)}
    results |= {f"after_{trace.run(partial(trace.capture, kept)).name}": new for kept, new in trace.followed}
    return ProgramBody(trace, results, recipe.dtype, recipe.accurate), blocks, why_nan(trace, loss, recipe.dtype)


def merge(*texts: str) -> str:
    """The definitions in these texts, each once."""
    pieces = dict.fromkeys(piece for text in texts for piece in text.split("\n\n"))
    return "\n\n".join(pieces)


def indent_lines(depth: int, lines: Iterable[str]) -> str:
    return "\n".join(indent(lines, depth))


def tuple_of(shape: Sequence[str]) -> str:
    """A shape as a tuple: (a, b), (a,)."""
    return f"({', '.join(shape)}{',' * (len(shape) == 1)})"


def product_of(shape: Sequence[str]) -> str:
    return " * ".join(shape) or "1"


def views(flat: Array, shapes: Sequence[tuple[int, ...]]) -> list[Array]:
    """Pieces of a flat array in the shapes given."""
    ends = list(accumulate(map(math.prod, shapes)))
    return [flat[e - math.prod(s) : e].reshape(s) for e, s in zip(ends, shapes, strict=True)]

"""`jit` of functions of arrays: one program for each structure of the arguments, whatever the sizes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from tinygrad_edu.compile import packed, uncompiled, written_arguments
from tinygrad_edu.compile.call import CAREFUL, Call, check_argument, prepare_call, signature, structure
from tinygrad_edu.compile.first_run import compared, on_leaves, with_gradients
from tinygrad_edu.compile.in_graph import array_node, refuse_change
from tinygrad_edu.compile.ir.node import Traced
from tinygrad_edu.compile.ir.truth import hold
from tinygrad_edu.compile.kept_results import beside_kept, kept_by_trace, undo_attempt
from tinygrad_edu.compile.number_classes import gradient_like
from tinygrad_edu.compile.own_attributes import is_double, own_attributes, withhold
from tinygrad_edu.compile.passes.exact_range import COUNT, computes_in_float64, count_inexact
from tinygrad_edu.compile.passes.float_dtypes import common_dtype, float_dtypes
from tinygrad_edu.compile.program import Program, has_other_array, number_array
from tinygrad_edu.compile.program_dtypes import program_dtype, settle_dtypes, whole_inputs
from tinygrad_edu.compile.quick_call import QuickCalls
from tinygrad_edu.compile.result_types import (
    belongs_to_graph,
    classes_of,
    in_dtype,
    keep_numbers,
    note_classes,
    split_dtypes,
    with_classes,
)
from tinygrad_edu.compile.rounds.trace import first_that_works
from tinygrad_edu.compile.stretched import with_warning
from tinygrad_edu.compile.trace import Trace
from tinygrad_edu.compile.traced_results import as_traced, frame_of, refuse_others, with_constants, with_repeats_rolled
from tinygrad_edu.compile.untraceable import call_with_nodes, compiling, copy_of_array, explain_failure
from tinygrad_edu.compile.variants import parameter_names
from tinygrad_edu.core.backward import has_nan
from tinygrad_edu.core.lost_gradients import mark
from tinygrad_edu.core.pytree import flatten, leaf_names, tree_leaves, tree_map, with_leaves
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.core.tracing.askers import HERE
from tinygrad_edu.core.transforms.origins import remember_call
from tinygrad_edu.core.writes.checksum import checksum

Function = Callable[..., Any]


class ArrayFunction:
    """A compiled function of arrays: for its results alone, and for one result with all its gradients.

    One program serves every size. Another nesting, number of axes or dtype needs a new one, and so does an axis whose
    length becomes 1. Tensors and arrays that the function closes over are read again at every call.
    """

    def __init__(
        self,
        f: Function,
        accurate: bool = False,
        parallel: bool = False,
        run_trace: Callable[[Function], Any] = lambda trace: trace(),
        first_change: Callable[[], str] = str,
    ) -> None:
        """`first_change`: the name of what the function closes over and has changed in Python since it was traced."""
        self.f, self.accurate, self.parallel, self.run_trace = f, accurate, parallel, run_trace
        self.first_change = first_change
        self.programs: dict[Any, list[Program]] = {}
        self.calls: dict[Any, Call] = {}
        self.asked = set[str]()  # do traces ask for the "class" of arguments, or their "identity"? It belongs to keys
        self.quick = QuickCalls()

    def source(self, name: str) -> str:
        """The newest program's loops, then the operations that they call."""
        return str(list(self.programs.values())[-1][-1].listing(name))

    def module_source(self, name: str) -> str:
        """The newest program's text, as it is compiled."""
        return list(self.programs.values())[-1][-1].text

    def backward(self, arguments: Sequence[Any]) -> Any:
        """The result, its gradient added to the Tensors that the function closes over."""
        program = self.prepare(arguments, "closed over")[0].program
        own, result = on_leaves(self.f, uncompiled.plain), lambda both: both[1]["result"]
        run = partial(self.differentiate, arguments, "closed over")
        call, found = compared(program, own, arguments, run, result, writes=False)
        for name, x in call.program.trace.captured.items():
            if f"d_{name}" in found:
                g = np.asarray(found[f"d_{name}"], dtype=x.dtype)
                if x.parents:  # computed before the call: its gradient goes on to its leaves
                    x.backward(g, retain_graph=True)
                else:
                    x.gradient = g if x.gradient is None else x.gradient + g
        if call.program.trace.written:
            written_arguments.write_beside(call, found, arguments, ())
        return found["result"]

    def call(self, arguments: Sequence[Any], name: str) -> Any:
        """The results as plain numbers and arrays; Tensors where they depend on Tensors."""
        call, inputs = self.prepare(arguments, by="")
        run = partial(self.run_call, call, inputs, arguments, name)
        note, kinds = partial(note_classes, call, arguments), classes_of(arguments)
        return compared(call.program, self.f, arguments, run, forget=self.quick.known.clear, note=note, key=kinds)

    def run_call(self, call: Call, inputs: list[Any], arguments: Sequence[Any], name: str) -> Any:
        """The results of a call that is laid out."""
        wanted, trace = call.outer_tensors(), call.program.trace
        if not wanted or not (trace.kept or belongs_to_graph(call, arguments)):
            found = with_classes(call, self.plain_results(call, inputs, arguments), arguments)
            return found if trace.frame is None else trace.frame.fill(found)
        if not isinstance(trace.results, Traced) or trace.written or trace.kept:
            return self.f(*arguments)
        kept = tree_map(copy_of_array, tuple(arguments))
        again = self.unless_changed(name, lambda: self.f(*kept), call)
        return mark(array_node(name, self.results(call, inputs), again, wanted), tree_leaves(tuple(arguments)))

    def plain_results(self, call: Call, inputs: list[Any], arguments: Sequence[Any]) -> Any:
        """What is computed, as plain numbers and arrays."""
        frame = call.program.trace.frame
        if uncompiled.is_way(arguments):
            found = uncompiled.results(self.f, arguments)
            return found if frame is None else frame.pick(found)
        if call.program.trace.written or call.program.trace.kept:
            return written_arguments.run_and_write(self, call, inputs, arguments)
        found = self.results(call, inputs)
        # a NaN may come from 0·∞, which counts as 0
        if call.program.trace.differentiated and any(map(has_nan, tree_leaves(found))):
            return self.results(*self.prepare(arguments, by=CAREFUL))
        self.quick.keep((), call, arguments)
        return found

    def unless_changed(self, name: str, again: Callable[[], Any], call: Call) -> Callable[[], Any]:
        """Run it again for the gradient. Errors: SavedArrayChangedError if what the first run has read has changed."""
        # the graph itself notices changes of the others
        others = [x for x, _, _ in call.captured if not getattr(x, "requires_grad", False)]
        before = [(x, number_array(x), checksum(number_array(x))) for x in others]

        def run() -> Any:
            changed = [x for x, array, known in before if has_other_array(x, array) or checksum(array) != known]
            refuse_change(name, self.first_change() or ("an array" if changed else ""))
            return again()

        return run

    def results(self, call: Call, inputs: list[Any]) -> Any:
        dtypes = call.program.result_dtypes
        if isinstance(call.program.trace.results, Traced):
            numbers, out = call.run(inputs)
            found = out[0] if out else numbers[0]
            return in_dtype(found, dtypes[0]) if dtypes else found
        return self.nested(call, call.by_name(inputs))

    def nested(self, call: Call, by_name: dict[str, Any]) -> Any:
        """The results in the nesting in which the function returns them."""
        dtypes = call.program.result_dtypes
        found = [by_name[f"result{i}"] for i, _ in enumerate(tree_leaves(call.program.trace.results))]
        if dtypes:
            found = list(map(in_dtype, found, dtypes))
        return with_leaves(call.program.trace.results, found)

    def value_and_gradients(
        self, arguments: Sequence[Any], chosen: frozenset[int] | None = None, copied: Sequence[Any] = ()
    ) -> tuple[Any, Any]:
        """(result, gradients nested like the arguments), None for those that are not among the chosen ones.

        `copied`: the arguments that are differentiated by, of which the function has copies if it writes to them.
        """
        some = chosen is not None and len(chosen) < len(arguments)
        if uncompiled.is_way(arguments):
            call, _ = self.prepare(arguments, "arguments")  # refuses here, too, what cannot be compiled
            value, found = uncompiled.value_and_gradients(self.f, arguments)
            if call.program.trace.written:
                written_arguments.write_by_running(self.f, arguments, copied)
            return value, with_leaves(found, map(gradient_like, tree_leaves(found), tree_leaves(tuple(arguments))))
        by = f"arguments {sorted(chosen)}" if some and chosen else "arguments"
        own, program = with_gradients(self.f, chosen), self.prepare(arguments, by)[0].program
        run = partial(self.run_both, arguments, chosen, copied, by)
        return tuple(compared(program, own, arguments, run, forget=self.quick.known.clear, writes=False))

    def run_both(
        self, arguments: Sequence[Any], chosen: frozenset[int] | None, copied: Sequence[Any], by: str
    ) -> tuple[Any, Any]:
        """The same, by a program that there is."""
        call, found = self.differentiate(arguments, by)
        if call.program.trace.written:
            written_arguments.write_beside(call, found, arguments, copied)
        elif chosen and not call.program.trace.kept:
            self.quick.keep(tuple(sorted(chosen)), call, arguments)
        each = [found.get(f"d_{name}") for name in call.program.trace.inputs]
        both = (
            found["result"],
            with_leaves(arguments := tuple(arguments), map(gradient_like, each, tree_leaves(arguments))),
        )
        return tuple(remember_call(self.f, both, call.outer_tensors_of_results(), arguments))

    def differentiate(self, arguments: Sequence[Any], by: str) -> tuple[Call, dict[str, Any]]:
        """All results by name, and the kept ones put in place. A NaN may come from 0·∞: again, with care."""
        call, inputs = self.prepare(arguments, by)
        found = call.by_name(inputs)
        transformed = call.program.trace.differentiated  # the result contains gradients too
        if any(has_nan(g) for name, g in found.items() if name != "result" or transformed):
            call, inputs = self.prepare(arguments, f"{by}{CAREFUL}")
            found = call.by_name(inputs)
        keep_numbers(call, found, arguments)
        return call, found

    def prepare(self, arguments: Sequence[Any], by: str) -> tuple[Call, list[Any]]:
        """What to run for these arguments, and its inputs; traced now if there is no program yet.

        `by`: what it differentiates by, "arguments", "closed over" (Tensors that require a gradient) or "" for
        nothing; followed by CAREFUL if a gradient of 0 must not meet an infinite derivative.
        """
        given, key = arguments, signature(arguments, by)
        if key is None:  # nested arguments, or some that must become arrays first
            given = list(tree_leaves(tuple(arguments)))
            given = given if signature(given, by) else [check_argument(x) for x in given]
            key = (flatten(tuple(arguments), []), signature(given, by))
        if own := own_attributes(list(tree_leaves(tuple(arguments))), self.asked):
            key = (*key, own)
        call = self.calls.get(key)
        if call is None or not call.fits():
            if len(self.calls) > 64:  # sizes may change at every call, and their programs would fill the memory
                self.calls.clear()
            call = self.calls[key] = self.find_program(
                arguments, [check_argument(x) for x in tree_leaves(tuple(arguments))], by
            )
        return call, call.inputs(given)

    def find_program(self, arguments: Sequence[Any], given: list[Any], by: str) -> Call:
        """The program of this structure and these sizes."""
        leaves = list(tree_leaves(tuple(arguments)))
        structures = by, flatten(tuple(arguments), []), *map(structure, given)
        key = *structures, own_attributes(leaves, self.asked)
        for program in self.programs.get(key, []):
            captured = [number_array(x) for x in program.trace.captured.values()]
            sizes = program.sizes([*given, *captured])
            if sizes is not None and [structure(x) for x in captured] == program.captured_structure:
                return prepare_call(program, sizes, [*given, *captured])
        program = self.run_trace(lambda: self.trace_program(arguments, given, by))
        self.asked |= program.trace.asked
        key = *structures, own_attributes(leaves, self.asked)
        self.programs.setdefault(key, []).append(program)
        arrays = [*given, *map(number_array, program.trace.captured.values())]
        sizes = program.sizes(arrays)
        assert sizes is not None
        return prepare_call(program, sizes, arrays)

    def trace_program(self, arguments: Sequence[Any], given: list[Any], by: str) -> Program:
        """A program for symbolic sizes; if that fails, one whose loops are unrolled, or one for these sizes alone."""
        return with_warning(self.f, first_that_works(partial(self.program_for, arguments, given, by)), arguments, by)

    def program_for(
        self,
        arguments: Sequence[Any],
        given: list[Any],
        by: str,
        written_out: frozenset[Any] | None,
        fixed: bool = False,
        mixed: bool = False,
    ) -> Program:
        undo_attempt()
        trace = Trace(reserved=(), careful=by.endswith(CAREFUL), fixed=fixed, written_out=written_out)
        nodes = self.input_nodes(trace, arguments, given)
        trace.mixed |= mixed
        own = list(trace.inputs.values())
        with explain_failure(self.f, arguments):
            results = trace.run(
                lambda: beside_kept(with_constants(tree_map(as_traced, call_with_nodes(self.f, nodes))))
            )
            if HERE.identity and "identity" not in trace.asked:  # the trace has asked for the hash of a Tensor
                return self.program_for(arguments, given, by, written_out, fixed, mixed)
            trace.written, trace.kept = written_arguments.writes_to(trace, own), kept_by_trace()
            trace.frame = frame_of(results, [*trace.written, *trace.kept])
            results = results if trace.frame is None else trace.frame.pick(results)
            outputs = list(tree_leaves(results))
            refuse_others(outputs if outputs or not trace.frame else own[:1], results)
            # looked up before `run`, in which arrays of Tensors would count as read by the function
            whole = whole_inputs(trace, own, arguments)
            trace.in_float64 |= computes_in_float64(outputs, whole)
            left = [x for keep in trace.kept for x in keep.nodes()]
            dtypes = settle_dtypes(trace, given, [*outputs, *left], by)
            dtypes, trace.kept_dtypes = split_dtypes(dtypes, len(outputs))
            if trace.meets_double and not trace.mixed:
                return self.program_for(arguments, given, by, written_out, fixed, mixed=True)
            beside = [write.node for write in trace.written], left
            trace.results, (nodes, trace.left) = trace.run(lambda: with_repeats_rolled((results, beside)))
            for write, node in zip(trace.written, nodes, strict=True):
                write.node = node
            outputs = list(tree_leaves(trace.results))
            counted = [*outputs, *trace.left]
            inexact = trace.run(lambda: count_inexact(counted, whole, program_dtype(trace, given)))
        with compiling(getattr(self.f, "__name__", "the function")):
            program = self.program_of(trace, own, outputs, inexact, arguments, given, by)
        program.result_dtypes = dtypes
        return program

    def input_nodes(self, trace: Trace, arguments: Sequence[Any], given: Sequence[Any]) -> list[Any]:
        """The nodes with which the function is called, nested like its arguments."""
        leaves = list(tree_leaves(tuple(arguments)))
        trace.numbers = {x.dtype for x in leaves if is_double(x)}
        trace.floats = np.dtype(common_dtype(given, trace.numbers))
        trace.mixed = len(float_dtypes(given) | trace.numbers) > 1
        pairs = list(zip(parameter_names(self.f, len(arguments)), arguments, strict=True))
        numbers = iter(given)
        nodes = [tree_map(lambda _, n=n: trace.input(n, next(numbers)), x) for n, x in pairs]
        labels = [label for n, x in pairs for label in leaf_names(x, n)]
        for node, label, x, argument in zip(trace.inputs.values(), labels, given, leaves, strict=True):
            node.label = label
            hold(node, x)
            withhold(node, argument)
            if isinstance(argument, Tensor):
                trace.tensors.append(node)
        return list(with_leaves(nodes, trace.one_for_each(leaves))) if HERE.identity else nodes

    def program_of(
        self,
        trace: Trace,
        own: Sequence[Traced],
        outputs: Sequence[Traced],
        inexact: Traced | None,
        arguments: Sequence[Any],
        given: Sequence[Any],
        by: str,
    ) -> Program:
        """The program of a trace; `own`, its inputs that are arguments; `inexact`, a result that must be 0."""
        if by.removesuffix(CAREFUL):
            closed_over = [trace.inputs[k] for k, x in trace.captured.items() if getattr(x, "requires_grad", False)]
            wanted = select_inputs(own, arguments, by) if by.startswith("arguments") else closed_over
            found = trace.gradients([trace.same.get(x, x) for x in wanted])
            results = {"result": trace.results} | {f"d_{x.name}": g for x, g in zip(wanted, found, strict=True)}
        else:
            results = {f"result{i}": y for i, y in enumerate(outputs)}
        results |= {f"written{i}": write.node for i, write in enumerate(trace.written)}
        results |= {f"kept{i}": x for i, x in enumerate(trace.left)}
        if inexact is not None:
            results[COUNT] = inexact
        program = packed.program_of(trace, results, program_dtype(trace, given), self.accurate, self.parallel)
        program.captured_structure = [structure(number_array(x)) for x in trace.captured.values()]
        return program


def select_inputs(own: Sequence[Traced], arguments: Sequence[Any], by: str) -> list[Traced]:
    """The inputs to differentiate with respect to: all of them, or those of the arguments listed in `by`."""
    numbers = by.removesuffix(CAREFUL).removeprefix("arguments").strip(" []")
    if not numbers:
        return list(own)
    chosen = {int(i) for i in numbers.split(",")}
    places = [i for i, x in enumerate(arguments) for _ in tree_leaves(x)]
    return [x for i, x in zip(places, own, strict=True) if i in chosen]

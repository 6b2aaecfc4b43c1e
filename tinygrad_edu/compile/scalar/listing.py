"""A tape as plain Python: forward, then backward, as a student could have written it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tinygrad_edu.compile.codegen.formulas import literal, partial_texts
from tinygrad_edu.compile.codegen.names import free_name
from tinygrad_edu.core.operation import EVERYWHERE


def python_lines(program: Any, name: str) -> Iterable[str]:
    """The trace as a Python function that returns the results and the gradients of the inputs."""
    tape = program.tape
    nodes = list(tape.rows.items())
    at = row_names(program)
    yield f"def {name}({', '.join(at[i] for i in program.input_rows)}):"
    for node, i in nodes:
        inputs = ", ".join(at[tape.rows[p]] for p in node.parents)
        if node.op is not None:
            yield f"    {at[i]} = {node.op.name}({inputs})"
        elif i not in program.input_rows:
            yield f"    {at[i]} = {literal(float(tape.data[i]))}"
    yield "    # backward: d_v is the derivative of the result with respect to v"
    yield f"    {' = '.join(f'd_{x}' for x in at)} = 0.0"
    yield f"    d_{at[program.output_rows[-1]]} = 1.0"
    for node, i in reversed(nodes):
        if node.op is not None and node.op.partials is not None:
            letters = [at[tape.rows[p]] for p in node.parents]
            indent = "    "
            if node.op.domain is not EVERYWHERE:  # its derivative may be infinite
                yield f"    if d_{at[i]} != 0.0:"
                indent = "        "
            for letter, text in zip(letters, partial_texts(node.op, at[i], letters), strict=True):
                yield f"{indent}d_{letter} += d_{at[i]} * ({text})"
    results = ", ".join(at[i] for i in program.output_rows)
    yield f"    return ({results},), ({''.join(f'd_{at[i]}, ' for i in program.input_rows)})"


def row_names(program: Any) -> list[str]:
    """A name for each row: its label or argument name if that is free, else v and the row's number."""
    found: dict[int, str] = {}
    taken: set[str] = set()
    labelled = [(row, f"x{k}") for k, row in enumerate(program.input_rows)]
    labelled += zip(program.closed_over_rows, (x.label for x in program.closed_over), strict=True)
    for row, label in labelled:
        if not label:
            continue
        found[row] = free_name(label, taken, ())
        taken.add(found[row])
    return [found.get(i, f"v_{i}") for i in range(len(program.tape.rows))]

"""Nodes that are alike are computed in vectors: they give the numbers that Values give."""

import math

import numpy as np
import pytest

from tinygrad_edu import Value, jit
from tinygrad_edu.compile.scalar import wide_runs
from tinygrad_edu.compile.scalar.tape import Tape
from tinygrad_edu.compile.scalar.tape_loops import in_vectors
from tinygrad_edu.compile.scalar.wide_runs import NARROW, SHARED, WIDE, lay_out
from tinygrad_edu.core.operation import TABLE

ROWS = {row.name: row for row in TABLE.values() if in_vectors(row)}
SAMPLES = [*np.linspace(-2.0, 2.0, 17), 0.0, -0.0, 1.0, 0.5]  # 21 numbers: whole vectors, and a rest


@pytest.fixture(autouse=True)
def runs_in_small_tapes(monkeypatch):
    monkeypatch.setattr(wide_runs, "FEWEST", 0)
    monkeypatch.setattr(wide_runs, "WORTH", 0.1)


def of_samples(row, samples):
    """Σ row(operands) over the samples, with each way of sharing an operand between them."""

    def f(a, b, c):
        shared, total = (a, b, c), a * 0.0
        for x in samples:
            for which in range(len(row.parameters)):
                given = [s if k == which else s * float(x) for k, s in enumerate(shared[: len(row.parameters)])]
                total = total + row(*given)
        return total

    return f


def eager(f, *numbers):
    leaves = [Value(x) for x in numbers]
    y = f(*leaves)
    y.backward()
    return y.data, [x.grad for x in leaves]


def runs_of_jit(f):
    (program,) = f.forms.scalars.programs.values()
    return program.tape.runs


@pytest.mark.slow
@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_every_operation_in_a_run_gives_the_same(row):
    f = of_samples(row, SAMPLES)
    compiled = jit(f)
    with np.errstate(all="ignore"):
        for numbers in [(0.7, -1.3, 0.4), (-2.0, 2.0, 1.0), (0.0, 1.0, 2.0), (1e200, 1e-200, 3.0)]:
            y, gradients = compiled.value_and_grad(*numbers, argnum=(0, 1, 2))
            expected, wanted = eager(f, *numbers)
            assert y == expected or (math.isnan(y) and math.isnan(expected)), numbers
            scale = max([1.0, *(abs(g) for g in wanted if math.isfinite(g))])
            assert np.allclose(gradients, wanted, rtol=1e-12, atol=1e-13 * scale, equal_nan=True), numbers
    assert WIDE in runs_of_jit(compiled)[:, 2]


@pytest.mark.slow
def test_a_gradient_of_zero_gives_zero_through_an_infinite_derivative_in_a_run_too():
    def f(a):
        return sum((a * float(i % 2)).sqrt() * 0.0 for i in range(40)) + a

    assert jit(f).value_and_grad(4.0) == (4.0, 1.0)
    assert eager(f, 4.0) == (4.0, [1.0])


def test_each_row_comes_after_its_operands_and_each_is_in_one_run():
    def f(*w):
        hidden = [sum((w[j] * x for j in range(3)), w[3]).relu() for x in SAMPLES]
        return sum(h * w[4] + w[5] / 3.0 for h in hidden) + w[0].tanh()

    compiled = jit(f)
    compiled(*np.linspace(0.5, 1.0, 6).tolist())
    runs, tape = runs_of_jit(compiled), next(iter(compiled.forms.scalars.programs.values())).tape
    for node, row in tape.rows.items():
        assert all(tape.rows[p] < row for p in node.parents)
    computed = [row for first, stop, *_ in runs for row in range(first, stop)]
    assert computed == list(range(len(tape.leaves), len(tape.rows)))
    for first, stop, kind, *operands in runs:
        for step, column in zip(operands, tape.inputs[first:stop].T, strict=True):
            if kind == WIDE and step in (0, 1):
                assert set(np.diff(column)) == {step}
                assert column.max() < first  # no node of a run depends on another node of the same run


def test_a_chain_and_a_small_graph_keep_the_order_of_the_trace():
    chain = ["", *["add"] * 40]
    order, inputs, runs = lay_out(chain, [[], *[[i, i] for i in range(40)]], set(), {"add"})
    assert order.tolist() == list(range(41))
    assert runs.tolist() == [[0, 41, NARROW, 2, 2, 2]]
    assert inputs[:, 0].tolist() == [0, *range(40)]


def test_one_operand_for_all_and_one_for_each():
    """w·x of 20 samples: a shared row, and constants that stand side by side however they were made."""
    operations = ["", *["", "mul"] * 20]
    parents = [[], *[p for i in range(20) for p in ([], [0, 2 * i + 1])]]
    order, _, runs = lay_out(operations, parents, set(range(1, 41, 2)), {"mul"})
    assert order[:1].tolist() == [0]
    assert order[1:21].tolist() == list(range(1, 41, 2))
    assert runs.tolist() == [[21, 41, WIDE, SHARED, 1, 2]]


def test_a_graph_of_one_leaf():
    tape = Tape([Value(2.0)])
    tape.forward()
    tape.backward([3.0])
    assert (tape.data.tolist(), tape.grad.tolist()) == ([2.0], [3.0])

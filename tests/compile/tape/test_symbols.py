"""The table run on text: what is written evaluates to what the table itself computes."""

import ast
import math
import operator
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.operations.test_table import ROWS, SMOOTH, points
from tinygrad_edu import ops
from tinygrad_edu.compile.codegen import math_approximations, module_writer
from tinygrad_edu.compile.codegen.formulas import Symbol, definitions, in_float32, literal, partial_texts, text_of
from tinygrad_edu.compile.codegen.names import GENERATED, TRAINING, free_name, is_free
from tinygrad_edu.compile.codegen.templates import CLIP, EPOCHS, HEADER
from tinygrad_edu.core.operation import TABLE, op
from tinygrad_edu.errors import TraceError
from tinygrad_edu.train.compiled.fixed_sizes import AnySizes, FixedSizes
from tinygrad_edu.train.compiled.packed_call import COMMON
from tinygrad_edu.train.compiled.program import BAD, BAD_ONE

NAMESPACE = {name: lambda *x, row=row: row.on_floats(*map(float, x)) for name, row in ROWS.items()} | {"math": math}
EDGES = [0.0, -0.0, 1.0, -1.0, 0.5, 2.0, -3.0, 700.0, math.inf, -math.inf, math.nan]


def same(a, b):
    return np.array_equal(np.asarray(a, float), np.asarray(b, float), equal_nan=True)


def ieee(text, **numbers):
    """A text evaluated on NumPy's floats, which divide by zero as IEEE 754 says."""
    functions = {name: lambda *x, f=f: np.float64(f(*x)) for name, f in NAMESPACE.items() if name != "math"}
    with np.errstate(all="ignore"):
        return float(eval(text, {**functions, "math": math}, {name: np.float64(x) for name, x in numbers.items()}))


# Derivatives


@pytest.mark.parametrize("row", SMOOTH.values(), ids=SMOOTH)
def test_the_text_of_every_derivative_is_the_derivative(row):
    edges = [[x] * len(row.parameters) for x in EDGES] if len(row.parameters) == 1 else []
    for point in [*points(row), *edges]:
        y, letters = row.on_floats(*point), "abc"[: len(point)]
        texts = partial_texts(row, "y", letters)
        found = [ieee(text, y=y, **dict(zip(letters, point, strict=True))) for text in texts]
        assert same(found, row.partials_on_floats(y, point)), (texts, point)


def test_a_derivative_that_decides_by_if_is_refused_with_the_alternative():
    @op(partials=lambda y, x: (1.0 if x > 0.0 else 0.0,))
    def ramp(x):
        return x

    del TABLE["ramp"]
    with pytest.raises(TraceError, match=r"`if x > 0.0`: write ops.where"):
        partial_texts(ramp, "y", "x")


# Brackets

LETTERS = {"a": 1.7, "b": -0.6, "c": 3.0}
ARITHMETIC = [operator.add, operator.sub, operator.mul, operator.truediv]
COMPARISON = [operator.gt, operator.ge, operator.lt, operator.le, operator.eq, operator.ne]
TREE_CONSTANTS = [2.0, -1.5, 0.0, math.inf]
LEAVES = st.sampled_from([*LETTERS, *TREE_CONSTANTS])


def grown(inner):
    return st.one_of(
        st.tuples(st.sampled_from([*ARITHMETIC, *COMPARISON]), inner, inner),
        st.tuples(st.sampled_from([operator.neg, operator.pos, abs]), inner),
        st.tuples(st.sampled_from([ops.relu, ops.square]), inner),
        st.tuples(st.just(operator.pow), inner, st.just(2.0)),
    )


def computed(tree, leaf):
    """A tree of operations on what `leaf` makes of letters and numbers."""
    if not isinstance(tree, tuple):
        return leaf(tree)
    function, *inputs = tree
    return function(*[computed(x, leaf) for x in inputs])


@given(st.recursive(LEAVES, grown, max_leaves=12))
def test_brackets_keep_the_meaning(tree):
    expected = outcome(lambda: computed(tree, lambda x: LETTERS.get(x, x)))
    text = text_of(computed(tree, lambda x: Symbol(x) if x in LETTERS else Symbol(f"c{TREE_CONSTANTS.index(x)}")))
    constants = {f"c{i}": x for i, x in enumerate(TREE_CONSTANTS)}
    assert same(outcome(lambda: eval(text, NAMESPACE, LETTERS | constants)), expected), text


def outcome(compute):
    """What comes out, or -2 where Python's arithmetic raises."""
    try:
        return float(compute())
    except ArithmeticError:
        return -2.0


def test_numbers_beside_symbols_are_bracketed_like_them():
    a = Symbol("a")
    assert [text_of(x) for x in (2.0 - a, a - -1.5, -1.5 * a, 1.0 - (2.0 - a), -(a * 2.0), 1.0 / (a / 2.0))] == [
        "2.0 - a", "a - (-1.5)", "(-1.5) * a", "1.0 - (2.0 - a)", "-(a * 2.0)", "1.0 / (a / 2.0)",
    ]  # fmt: skip


def test_a_comparison_of_comparisons_is_no_chain():
    a, b = Symbol("a"), Symbol("b")
    assert text_of((a > b) == (b > a)) == "(a > b) == (b > a)"
    assert text_of(~((a > b) & (b > 1.0)) | (a < b)) == "not (a > b and b > 1.0) or a < b"


@pytest.mark.parametrize("x", EDGES)
def test_a_literal_reads_back_as_the_same_float(x):
    found = eval(literal(x), {"math": math})
    assert same(found, x)
    assert math.copysign(1.0, found) == math.copysign(1.0, x) or x != x


# Definitions


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_the_text_of_an_operation_is_the_operation(row):
    text = "import math\n" + "\n".join(definitions([row]).values())
    space = {}
    exec(text, space)
    for point in points(row):
        assert same(space[row.name](*point), row.on_floats(*point)), text


def test_what_an_operation_calls_stands_before_it():
    assert list(definitions([TABLE["sigmoid"]])) == ["abs", "exp", "where", "sigmoid"]


def test_float32_text_has_float32_constants():
    assert in_float32("y = 0.5 * float(x) + math.inf") == ("y = np.float32(0.5) * np.float32(x) + np.float32(math.inf)")


# Names


@pytest.mark.parametrize("name", ["exp", "np", "sum", "lambda", "t1", "i0", "result", "results", "d_x", "x_0", "plus"])
def test_names_of_the_generated_text_are_not_given_away(name):
    assert not is_free(name)
    assert free_name(name, ()) != name


@pytest.mark.parametrize("name", sorted(TRAINING))
def test_names_of_the_training_around_a_step_are_not_given_away(name):
    assert free_name(name, ()) not in TRAINING
    assert free_name(name, (), ()) == (name if is_free(name) else f"{name}_")


@pytest.mark.parametrize("name", ["h_last", "y_rows", "at_b", "u3"])
def test_names_that_the_training_makes_of_others_are_not_given_away(name):
    assert not is_free(name)


CLIP_TEXT = "\n".join(f"            {line}" for line in CLIP.format(plus_squares="+=").splitlines())
IN_BATCH = "            at, place, stops = 0, 0, 0"


@pytest.mark.parametrize("sizes", [AnySizes, FixedSizes((), 1, (2, 1), 2, 3, 4)])
def test_what_the_training_program_calls_its_own_is_reserved(sizes):
    pieces = {"plus_squares": "+=", "plus_moved": "+=", "batch": IN_BATCH, "clip": CLIP_TEXT, **sizes.parts()}
    pieces["bad"] = BAD_ONE.format(BAD)  # as for runs side by side
    pieces["sizes"] = "\n".join(f"    {line}" for line in sizes.lines(()))
    lines = EPOCHS.format_map(defaultdict(str, pieces))
    text = module_writer.module("", "epochs", f"X, Y, W, {', '.join(COMMON)}", lines, accurate=False)
    tree = ast.parse(text.removeprefix(HEADER))
    names = {x.arg if isinstance(x, ast.arg) else x.id for x in ast.walk(tree) if isinstance(x, (ast.arg, ast.Name))}
    assert {name for name in names if free_name(name, ()) == name} == set()
    assigned = {x.id for x in ast.walk(tree) if isinstance(x, ast.Name) and isinstance(x.ctx, ast.Store)}
    assert assigned.isdisjoint([*TABLE, *vars(math_approximations)])  # a variable would hide the function


@pytest.mark.slow
@given(st.text(max_size=8), st.integers(1, 5))
def test_every_name_becomes_an_identifier_of_its_own(name, count):
    taken = []
    for _ in range(count):
        taken.append(free_name(name, taken))
        assert taken[-1].isidentifier()
        assert not GENERATED.fullmatch(taken[-1])
    assert len(set(taken)) == count

"""Arithmetic as text: the value is Python's own, the gradients are the graph's, and nothing else has a meaning."""

import ast
import contextlib
import math
import operator
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_edu.errors import ExpressionError, OperandError
from tinygrad_edu.expression import DEEPEST, FUNCTIONS, LONGEST, evaluate

INF = math.inf


# What has a meaning

EXPRESSIONS = [  # (text, variables, value, gradients)
    ("tanh(a*b + c)", {"a": 2.0, "b": -3.0, "c": 6.0}, 0.0, {"a": -3.0, "b": 2.0, "c": 1.0}),
    ("a / b - b", {"a": 6.0, "b": 2.0}, 1.0, {"a": 0.5, "b": -2.5}),
    ("a ** 2 ** n", {"a": 3.0, "n": 1.0}, 9.0, {"a": 6.0, "n": 9.0 * math.log(3.0) * 2.0 * math.log(2.0)}),
    ("-a ** 2", {"a": 3.0}, -9.0, {"a": -6.0}),
    ("+x * x + x", {"x": 3.0}, 12.0, {"x": 7.0}),
    ("maximum(a, relu(b))", {"a": 1.0, "b": 2.0}, 2.0, {"a": 0.0, "b": 1.0}),
    ("clip(a)", {"a": 4.0}, 4.0, {"a": 1.0}),  # its bounds have defaults
    ("  2*(a\n + 1)  # doubled", {"a": 1.0}, 4.0, {"a": 2.0}),
    ("0x10 + 1_000 + 1e-3 + a", {"a": 0.0}, 1016.001, {"a": 1.0}),
    ("1 / a", {"a": 0.0}, INF, {"a": -INF}),
    ("log(a)", {"a": 0.0}, -INF, {"a": INF}),
    ("a", {"a": 2.5}, 2.5, {"a": 1.0}),
    ("9 ** 9 ** 9 ** 9", {}, INF, {}),
    ("10 ** 400", {}, INF, {}),
    ("1e999", {}, INF, {}),
    ("größe * π", {"größe": 2.0, "π": 3.0}, 6.0, {"größe": 3.0, "π": 2.0}),
    ("µ + ﬁ", {"µ": 1.0, "ﬁ": 2.0}, 3.0, {"μ": 1.0, "fi": 1.0}),  # as Python reads both: NFKC
    ("tanh * 2", {"tanh": 3.0}, 6.0, {"tanh": 2.0}),  # not called, so it is an ordinary name
]


@pytest.mark.parametrize(("text", "variables", "value", "gradients"), EXPRESSIONS)
def test_value_and_gradients(text, variables, value, gradients):
    root, leaves = evaluate(text, variables)
    root.backward()
    assert root.data == pytest.approx(value)
    assert {name: leaf.grad for name, leaf in leaves.items()} == pytest.approx(gradients)


def test_nothing_divided_by_nothing_is_not_a_number():
    assert math.isnan(evaluate("a / a", {"a": 0.0})[0].data)


def test_leaves_stand_in_the_order_of_the_text_and_bear_their_names():
    _, leaves = evaluate("b * (c + a) - b", {"a": 1.0, "b": 2.0, "c": 3.0})
    assert [leaf.label for leaf in leaves.values()] == list(leaves) == ["b", "c", "a"]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_operation_with_a_derivative_can_be_called(name):
    row = FUNCTIONS[name]
    names = [f"x{i}" for i in range(len(row.parameters))]
    box = row.domain[0]
    # in the middle of the domain: acosh needs at least 1
    point = [sum(box[min(i, len(box) - 1)]) / 2.0 for i in range(len(names))]
    root, leaves = evaluate(f"{name}({', '.join(names)})", dict(zip(names, point, strict=True)))
    assert root.data == row(*point)
    assert list(leaves) == names


FLOATS = {"a": 1.25, "b": -0.5, "c": 3.0}
numbers = st.one_of(st.integers(0, 99).map(str), st.floats(0.0, 1e3).map(repr), st.sampled_from(list(FLOATS)))
BINARY = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}


def larger(parts):
    return st.one_of(
        st.tuples(parts, st.sampled_from(["+", " - ", "*", " / "]), parts).map("".join),
        st.tuples(st.sampled_from(["-", "+", "- -"]), parts).map("".join),
        parts.map("({})".format),
    )


@given(st.recursive(numbers, larger, max_leaves=30))
def test_generated_arithmetic_is_pythons_own(text):
    root, _ = evaluate(text, {name: x for name, x in FLOATS.items() if name in text})
    expected = python(ast.parse(text, mode="eval").body)
    assert root.data == expected or (math.isnan(root.data) and math.isnan(expected))


def python(tree):
    """The same tree in floats, with Python's operators; 1/0 is IEEE 754's."""
    match tree:
        case ast.Constant(value=number):
            return float(number)
        case ast.Name(id=name):
            return FLOATS[name]
        case ast.UnaryOp(op=ast.USub(), operand=part):
            return -python(part)
        case ast.UnaryOp(operand=part):
            return python(part)
    left, right = python(tree.left), python(tree.right)
    if isinstance(tree.op, ast.Div) and right == 0.0:
        return math.nan if left == 0.0 or math.isnan(left) else math.copysign(INF, left) * math.copysign(1.0, right)
    return BINARY[type(tree.op)](left, right)


# What has none

DANGEROUS = [
    "a.real", "a.__class__", "(1.5).hex()", "tanh.function", "a.b.c",
    "__import__('os')", "eval('1')", "exec('1')", "open('x')", "print(a)", "foo(a)", "getattr(a, b)", "a(1)",
    "greater(a, b)", "sum(a)", "__class__(a)", "tanh(a)(b)", "(tanh)(a)(b)", "[tanh][0](a)",
    "lambda: a", "lambda x: x", "(lambda: 1)()", "[x for x in a]", "(x for x in a)", "{x: x for x in a}",
    "'text'", "b'text'", "f'{a}'", "f'{a!r:>{b}}'", "'\\d'", "a[0]", "a[:]", "[a]", "(a, b)", "()", "{a}", "{}", "...",
    "tanh(x=a)", "tanh(*a)", "tanh(**a)", "tanh(a, x=1)", "(y := 1)", "await a", "yield a", "(yield)", "a = 1", "a; b",
    "a if a else b", "a < b", "a == b", "a and b", "not a", "~a", "a // b", "a % b", "a @ b", "a << b", "a | b",
    "True", "False", "None", "1j", "a + 2j", "import os", "del a", "a\nb", "a b", "", "   ", "# a", "(a", "a)", "a +",
    "a\0", "\ud800", "\\", "0777", "1__0", "2a", "a!", "$a", "a?", "`a`", "1" + "0" * 400, "1" * 900,
]  # fmt: skip


@pytest.mark.parametrize("text", DANGEROUS)
def test_everything_else_is_refused(text):
    variables = {name: 2.0 for name in "ab" if name in text}
    with pytest.raises(ExpressionError) as caught:
        evaluate(text, variables)
    assert caught.value.__cause__ is None
    assert "\n" not in str(caught.value)


NESTED = {
    "brackets": "(" * 400 + "a" + ")" * 400,
    "lists": "[" * 999,
    "signs": "-" * 999 + "a",
    "calls": "tanh(" * 180 + "a" + ")" * 99,
    "sums": "a" + "+a" * 499,
    "powers": "a" + "**a" * 300,
    "not": "not " * 249 + "a",
}


@pytest.mark.parametrize("text", NESTED.values(), ids=NESTED)
def test_deep_nesting_is_refused(text):
    with pytest.raises(ExpressionError, match=r"nested|never closed"):
        evaluate(text, {"a": 1.0})


@pytest.mark.parametrize("text", ["-" * (DEEPEST - 1) + "1", "(" * 90 + "1" + ")" * 90, "1" + "+1" * 190])
def test_nesting_below_the_limit_is_read(text):
    assert abs(evaluate(text, {})[0].data) in (1.0, 191.0)


def test_long_text_is_refused_with_its_length():
    with pytest.raises(ExpressionError, match=r"1,001 characters; 1,000 are allowed"):
        evaluate("a" * (LONGEST + 1), {})
    assert evaluate("a" * LONGEST, {"a" * LONGEST: 2.0})[0].data == 2.0


@pytest.mark.parametrize(
    "text", ["9**9**9**9", "2**99999999", "9**9**9**9*0", "tanh(9**9**9)", "(" * 100_000, "1" * 10**6]
)
def test_no_text_keeps_the_reader_busy(text):
    start = time.perf_counter()
    with contextlib.suppress(ExpressionError):
        evaluate(text, {})
    assert time.perf_counter() - start < 5.0  # milliseconds; computing the value would never end


WORDS = [  # (text, variables, what the message names)
    ("a * b", {}, "no value for a, b: add a=1.0 b=1.0"),
    ("a * b", {"b": 1.0}, "no value for a: add a=1.0"),
    ("pi * a", {"a": 1.0}, "no value for pi: add pi=3.141592653589793"),
    ("a", {"a": 1.0, "b": 1.0, "c": 1.0}, "b, c are not in the expression, which has a"),
    ("1 + 1", {"a": 1.0}, "a is not in the expression, which has no names"),
    ("tahn(a)", {"a": 1.0}, r"unknown operation 'tahn'. Did you mean 'tan"),
    ("a + foo.bar", {"a": 1.0}, "'foo.bar' has no meaning here"),
    ("a + [b for b in a]", {"a": 1.0}, r"'\[b for b in a\]' has no meaning here"),
    ("a +* b", {"a": 1.0, "b": 1.0}, r"'a \+\* b' is not an expression: .* at character 4"),
    ("1" + "0" * 400, {}, "401 digits"),
]


@pytest.mark.parametrize(("text", "variables", "words"), WORDS)
def test_messages_name_the_place(text, variables, words):
    with pytest.raises(ExpressionError, match=words):
        evaluate(text, variables)


@pytest.mark.parametrize("text", ["tanh()", "tanh(a, a)", "maximum(a)", "clip(a, a, a, a)"])
def test_a_wrong_number_of_arguments_is_named(text):
    with pytest.raises(OperandError, match=rf"{text.partition('(')[0]} takes \(.*, but was given \d arguments"):
        evaluate(text, {"a": 1.0} if "(a" in text else {})

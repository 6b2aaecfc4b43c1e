"""Which arrays may overlap: by the text alone, and never fewer than do."""

import ast

import numpy as np
import pytest

from tinygrad_edu.compile.backend import cache
from tinygrad_edu.compile.backend.alias_scopes import roots_of
from tinygrad_edu.compile.codegen import module_writer
from tinygrad_edu.compile.codegen.templates import HEADER


def roots(text):
    return {name: "".join(sorted(found)) for name, found in roots_of(ast.parse(text).body[0]).items()}


def test_a_view_lies_where_its_memory_lies_and_a_room_in_itself():
    found = roots("def f(m, x):\n a, b = view(m, 0, (2,)), room(m, 2, (2,))\n c = a.T\n row = x[1]\n n = 3 * m.size")
    assert (found["a"], found["b"], found["c"], found["row"]) == ("m", "b", "m", "x")


def test_what_lies_in_one_of_two_places_may_overlap_with_both():
    assert roots("def f(m, x, k):\n if k > 0:\n  a = view(m, 0, (2,))\n else:\n  a = x\n b = a")["b"] == "mx"
    # k is a number; one root too many does no harm
    assert roots("def f(m, x, k):\n a = x if k > 0 else m")["a"] == "kmx"


def test_a_variable_that_gets_its_value_further_down_is_found():
    loop = "def f(m, x, n):\n a = x\n for i in range(n):\n  b = a\n  a = view(m, i, (2,))"
    assert roots(loop)["b"] == "mx"


def test_two_names_that_change_places_may_be_either():
    assert roots("def f(x, y):\n a, b = x, y\n a, b = b, a") == {"x": "x", "y": "y", "a": "xy", "b": "xy"}


SHIFTED = """\
    n = x.shape[0] - 1
    a, b = view(x, 0, (n,)), view(x, 1, (n,))
    for i in range(n):
        b[i] = a[i] + 1.0
"""


@pytest.mark.parametrize("n", [2, 9, 100])
def test_views_that_overlap_are_computed_one_number_after_the_other(n):
    """Where LLVM took them for different memory, it would compute several at once, from the numbers before."""
    pytest.importorskip("numba")
    text = module_writer.module("", "run", "x, times", SHIFTED, accurate=False)
    assert text.startswith(HEADER)
    assert "@direct" in text
    x = np.zeros(n)
    cache.load(text, "shifted").run(x, 1)
    np.testing.assert_array_equal(x, np.arange(n))

"""Generated programs on every back end; `python -m tests.fuzz SECONDS` runs more of the same."""

from unittest import mock

import numpy as np
import pytest

from tests.compile.programs import without_numba
from tests.fuzz.compare import differences
from tests.fuzz.generator import Case, Step, case
from tinygrad_edu import jit, ops

# Number of programs in Python and in machine code: 0.1 and 0.7 s each. `python -m tests.fuzz` runs more.
COUNT = {True: 60, False: 10}
DTYPES = (np.float64, np.float32)
# Seeds of differences that the generator has found; all are fixed.
FOUND = [15, 35, 36, 72, 136, 156, 158, 194, 1088, 1344, 1364, 1421, 1436, 2028, 10_089, 10_167, 10_269]


def problems(seed, plain):
    """What is wrong with the case of that seed."""
    made = case(seed, DTYPES[seed % 2], special=seed % 3 == 0)
    return [f"seed {seed} {made}", *found] if (found := differences(made, plain)) else []


@pytest.mark.parametrize("seed", FOUND)
def test_what_was_once_wrong(seed):
    assert not problems(seed, plain=True)


@pytest.mark.slow
@pytest.mark.parametrize("plain", [True, False], ids=["as Python", "as machine code"])
def test_generated_programs_agree(plain):
    for seed in range(10_000, 10_000 + COUNT[plain]):
        found = problems(seed, plain)
        assert not found, "\n".join(found)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_sign_of_zero(dtype):
    """1/y shows it; adding 0.0 loses it."""
    x = np.array([-0.0, 0.0, -1.0], dtype=dtype)
    for f in (lambda x: 1.0 / x, lambda x: 1.0 / (x + 0.0), lambda x: 1.0 / (x - 0.0), lambda x: 1.0 / (0.0 - x)):
        with np.errstate(divide="ignore"), without_numba():
            assert np.array_equal(jit(f)(x), f(x))


def test_a_wrong_rule_is_noticed():
    """The comparison itself: a derivative that is off by a thousandth differs."""
    x = np.array([[0.5, -1.0, 2.0]])
    made = Case([x], [], [Step("sin", (0,))])  # no hand-written pull-back in core/fast/pulls.py
    assert not differences(made)
    wrong = {"array_partials": lambda _, x: (1.001 * np.cos(x),)}
    with mock.patch.dict(vars(ops.sin), wrong):  # only in the eager pass
        assert differences(made)

"""Random programs of views, copies and updates in place: NumPy's numbers, or an error that names the second name."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.errors import GraphError, TraceError

VIEWS = (
    *("{0}", "{0}[:2]", "{0}[1:]", "{0}[1]", "{0}.T", "{0}.reshape(-1)", "{0}[:, :2]", "{0}[::-1]", "np.ravel({0})"),
    *("np.diagonal({0})", "{0}[None]", "np.swapaxes({0}, 0, 1)", "np.split({0}, len({0}))[0]", "np.squeeze({0})"),
)
COPIES = (
    *("{0}.copy()", "{0} * 1.0", "+{0}", "{0}.flatten()", "{0}.astype(float)", "np.concatenate([{0}])", "{0} ** 1"),
    *("np.where(True, {0}, 0.0)", "{0}[[0]]", "np.tile({0}, 1)", "np.stack([{0}])[0]", "np.roll({0}, 0)", "-{0}"),
)
UPDATES = ("+= 1", "-= 0.5", "*= 2", "/= 4", "**= 2", "+= {0}", "-= {0}.mean()", "*= {0}")
X = np.random.default_rng(0).normal(size=(3, 3))


def make_program(rng):
    """The text of a random function of x with 3 to 8 lines."""
    names, lines = ["x"], []
    for n in range(rng.integers(3, 9)):
        kind, a, b = rng.random(), rng.choice(names), rng.choice(names)
        if kind < 0.5:
            lines.append(f"{a} {rng.choice(UPDATES).format(b)}")
            continue
        lines.append(f"v{n} = {rng.choice(VIEWS if kind < 0.8 else COPIES).format(a)}")
        names.append(f"v{n}")
    read = [name for name in names if rng.random() < 0.5] or names[-1:]
    result = " + ".join(f"{i + 1} * np.sum(np.sin({name}))" for i, name in enumerate(read))
    return "\n    ".join(["def f(x):", *lines, f"return {result}"])


def programs(seeds):
    """(text, function, NumPy's result, what is in x afterwards) for those that NumPy runs."""
    for seed in seeds:
        text, space = make_program(np.random.default_rng(seed)), {"np": np}
        exec(text, space)
        x = X.copy()
        try:
            with np.errstate(all="ignore"):
                want = space["f"](x)
        except (ValueError, IndexError, np.exceptions.AxisError):
            continue
        if np.isfinite(want):
            yield text, space["f"], want, x


@pytest.mark.parametrize("part", range(4))
def test_eager_transforms_of_random_programs(part):
    ran = refused = 0
    for text, f, want, _ in programs(range(part, 160, 4)):
        assert tg.vmap(f)(np.stack([X, X]))[1] == pytest.approx(want), text
        try:
            assert tg.value_and_grad(f)(X.copy())[0] == pytest.approx(want), text
            ran += 1
        except GraphError as error:
            assert "under one name" in str(error), text  # noqa: PT017
            refused += 1
    assert min(ran, refused) >= 5


def test_compiled_random_programs():
    ran = 0
    for text, f, want, after in programs(range(1000, 1005)):
        x = X.copy()
        try:
            assert tg.jit(f)(x) == pytest.approx(want), text
            np.testing.assert_allclose(x, after, err_msg=text)
            ran += 1
        except TraceError as error:
            assert "under one name" in str(error), text  # noqa: PT017
    assert ran >= 2

"""np.errstate around a compiled call: where NumPy raises, calls or prints, so does the compiled function."""

import threading

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.compile.numpy_errors import are_raised
from tinygrad_edu.core.pytree import tree_leaves

# a kind of error: a function, an argument without the error, one with it
KINDS = {
    "divide": (lambda x: np.log(x).sum(), [1.0, 2.0], [1.0, 0.0]),
    "over": (lambda x: np.exp(x).sum(), [1.0, 2.0], [1.0, 800.0]),
    "invalid": (lambda x: np.sqrt(x).sum(), [1.0, 2.0], [1.0, -1.0]),
    "under": (lambda x: (x * x).sum(), [1.0, 2.0], [1.0, 1e-200]),
}
WAYS = {
    "call": lambda f: (f, tg.jit(f)),
    "value_and_grad": lambda f: (tg.value_and_grad(f), tg.jit(f).value_and_grad),
    "of a gradient": lambda f: (tg.grad(f), tg.jit(tg.grad(f))),
    "of vmap": lambda f: (tg.vmap(f), tg.jit(tg.vmap(f))),
}
kinds = pytest.mark.parametrize("kind", KINDS)


@kinds
@pytest.mark.parametrize("way", WAYS)
def test_errors_are_raised_as_without_jit(way, kind):
    f, well, bad = KINDS[kind]
    plain, compiled = WAYS[way](f)
    well, bad = (np.atleast_2d(x) if way == "of vmap" else np.array(x) for x in (well, bad))
    before = compiled(well)
    with np.errstate(**{kind: "raise"}):
        with pytest.raises(FloatingPointError):
            plain(bad)
        with pytest.raises(FloatingPointError):
            compiled(bad)
    with np.errstate(all="ignore"):
        compiled(bad)
    for a, b in zip(tree_leaves(compiled(well)), tree_leaves(before), strict=True):
        np.testing.assert_array_equal(a, b)


@kinds
def test_backward_raises_too(kind):
    _, well, bad = KINDS[kind]
    f = KINDS[kind][0]
    w = tg.Tensor(np.array(well), requires_grad=True)
    compiled = tg.jit(lambda: f(w))
    compiled.backward()
    w.grad = None
    w.data = np.array(bad)
    with np.errstate(**{kind: "raise"}), pytest.raises(FloatingPointError):
        compiled.backward()
    assert w.grad is None


def test_a_function_of_the_caller_is_called():
    compiled, found = tg.jit(KINDS["divide"][0]), []
    compiled(np.ones(2))
    with np.errstate(divide="call", call=lambda *error: found.append(error[0])):
        compiled(np.zeros(2))
    assert found == ["divide by zero"]


def test_what_counts():
    assert not are_raised()
    for name in ("ignore", "warn"):
        with np.errstate(all=name):
            assert not are_raised()
    for name in ("raise", "call", "print", "log"):
        with np.errstate(under=name):
            assert are_raised()
            found = []
            thread = threading.Thread(target=lambda found=found: found.append(are_raised()))
            thread.start()
            thread.join()
            assert found == [False]  # it begins with NumPy's own
    assert not are_raised()

"""`f.value_and_grad` of a compiled function refuses arrays without a gradient, as `tg.value_and_grad(f)` does."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.compile.programs import without_numba
from tinygrad_edu.core.pytree import tree_leaves
from tinygrad_edu.errors import DtypeError

X, N = np.array([0.5, 2.0]), np.array([1, 2])
ARGUMENTS = {  # (arguments, argnum, is it refused?)
    "int64": ((N,), 0, True),
    "bool": ((X > 1.0,), 0, True),
    "uint8": ((N.astype(np.uint8),), 0, True),
    "without axes": ((np.array(3),), 0, True),
    "in a dict": (({"a": X, "n": N},), 0, True),
    "in a list": (([X, N],), 0, True),
    "the second of two": ((X, N), (0, 1), True),
    "not differentiated by": ((X, N), 0, False),
    "the first": ((N, X), 1, False),
    "an int": ((X, 3), (0, 1), False),
    "an int64": ((X, np.int64(3)), 1, False),
    "float32": ((X.astype(np.float32), N), 0, False),
}


def total(*arguments):
    return sum(np.sum(x * x * 0.5) for x in tree_leaves(arguments))


@pytest.mark.parametrize("name", ARGUMENTS)
def test_as_without_jit(name):
    arguments, argnum, refused = ARGUMENTS[name]
    compiled, plain = tg.jit(total), tg.value_and_grad(total, argnum)
    with without_numba():
        if refused:
            messages = []
            for f in (plain, lambda *x: compiled.value_and_grad(*x, argnum=argnum)):
                with pytest.raises(DtypeError, match="Integers have no gradient") as error:
                    f(*arguments)
                messages.append(str(error.value))
            assert messages[0] == messages[1]
            return
        found, expected = compiled.value_and_grad(*arguments, argnum=argnum), plain(*arguments)
    for a, b in zip(tree_leaves(found), tree_leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


INSIDE = {
    "grad": lambda x: tg.grad(total)(x).sum(),
    "value_and_grad": lambda x: tg.value_and_grad(total)(x)[1],
    "vjp": lambda x: tg.vjp(total, x)[1](1.0),
    "jvp": lambda x: tg.jvp(total, (x,), (np.ones(2),)),
    "jacobian": lambda x: tg.jacobian(total)(x),
    "hessian": lambda x: tg.hessian(total)(x),
    "grad of a sum": lambda x: tg.grad(total)(x + 1).sum(),
}


@pytest.mark.parametrize("name", INSIDE)
def test_a_transform_inside_refuses_them_as_well(name):
    f = INSIDE[name]
    with without_numba():
        for x in (N, X > 1.0):
            for way in (f, tg.jit(f)):
                with pytest.raises(DtypeError, match=r"(?i)integers have no gradient|truth values"):
                    way(x)
        assert np.shape(tg.jit(f)(X)) == np.shape(f(X))

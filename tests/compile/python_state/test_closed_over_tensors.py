"""What a compiled function closes over is read anew at each call."""

import operator
import warnings

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.compile.arrays.test_programs import made
from tests.compile.programs import checked, normal, recorder, without_numba
from tinygrad_edu import Tensor, jit, ops
from tinygrad_edu.core.operation import TABLE
from tinygrad_edu.errors import DtypeError, OperandError, TraceError

# What a function closes over


def test_tensors_that_are_closed_over_are_read_anew():
    W, b = Tensor(normal(4, 3), requires_grad=True, label="W"), Tensor(normal(4), label="b")
    f = jit(lambda x: ops.sum(ops.tanh(x @ W.T + b.reshape(1, -1)) * ops.where(b > 0.0, b, 1.0)))
    x = normal(5, 3)
    with without_numba():
        for k in range(3):
            W.data = normal(4, 3) + k
            b.data = normal(4) * (-1.0) ** k
            assert f(x).item() == pytest.approx(f.f(x).item(), rel=1e-13)
    assert made(f) == 1


def test_what_is_computed_from_closed_over_tensors_alone_is_computed_anew():
    b, c = Tensor(normal(3), label="b"), Tensor(normal(3), label="c")
    f = jit(lambda x: ops.sum(x * (b * c + 2.0).tanh() * -c * (c > b)))
    x = normal(3)
    with without_numba():
        for k in range(3):
            b.data, c.data = normal(3) * k, normal(3) + k
            assert f(x) == pytest.approx(f.f(x).item(), rel=1e-13)
    assert made(f) == 1


def test_a_closed_over_tensor_of_another_shape_is_traced_anew():
    W = Tensor(normal(3, 2), requires_grad=True, label="W")
    f = jit(lambda x: ops.sum(x * W))
    with without_numba():
        for shape in ((3, 2), (4, 5), (5,), (1, 5), (3, 2)):
            W.data = normal(*shape)
            x = normal(*shape)
            W.grad = None
            assert f.backward(x) == pytest.approx((x * W.data).sum())
            assert np.array_equal(W.grad, x)
    assert made(f) == 3


def test_backward_leaves_tensors_without_gradient_alone():
    W, c = Tensor(normal(3), requires_grad=True, label="W"), Tensor(normal(3), label="c")
    f = jit(lambda x: ops.sum(x * W * c))
    with without_numba():
        f.backward(normal(3))
        f.backward(normal(3))
    assert np.allclose(W.grad, 2 * normal(3) * c.data)
    assert c.grad is None


def test_what_was_computed_before_is_part_of_the_program():
    W = Tensor(normal(3, 2), requires_grad=True, label="W")
    f = jit(lambda x: ops.sum(x @ ops.tanh(W) @ (W.T * 2.0)))
    with without_numba(), tg.no_grad():
        W.data = W.data + 1.0
        x = normal(4, 3)
        assert f(x) == pytest.approx(f.f(x).item(), rel=1e-13)
        W.data = W.data - 1.5
        assert f(x) == pytest.approx(f.f(x).item(), rel=1e-13)


def test_numbers_alone_may_meet_closed_over_tensors():
    W = Tensor(normal(3), requires_grad=True, label="W")
    f = jit(lambda a: ops.sum(a * W))
    g = jit(lambda: ops.sum(W * W))
    with without_numba():
        assert f.value_and_grad(2.0) == pytest.approx((2 * W.data.sum(), W.data.sum()))
        assert g.backward() == pytest.approx((W.data**2).sum())
        assert np.allclose(W.grad, 2 * W.data)


def test_arrays_and_lists_that_are_closed_over():
    A, c = normal(3, 2), [1.0, 2.0]
    with without_numba():
        checked(lambda x: ops.sum(A * x * c), normal(3, 2))


@pytest.mark.parametrize(
    "what", [np.array(["a"]), np.array([1j]), None, object(), tg.Value(1.0)], ids=lambda x: type(x).__name__
)
def test_what_is_no_array_of_numbers_is_refused(what):
    with pytest.raises((OperandError, DtypeError, TraceError)):
        jit(lambda x: ops.sum(x * what))(normal(3))
    if isinstance(what, np.ndarray):
        with pytest.raises((OperandError, DtypeError)):
            jit(lambda x, y: ops.sum(x))(normal(3), what)


def test_a_branch_on_what_is_closed_over_says_what_to_do():
    w = tg.Tensor([1.0, 2.0])
    for condition in (lambda x: np.isnan(w).any(), lambda x: (w > 0).all(), lambda x: w[0] * 2.0 > 1.0):
        with pytest.raises(
            TraceError, match=r"by the \.data of a closed-over Tensor, which is compared before each call$"
        ):
            tg.jit(lambda x, c=condition: x if c(x) else -x)(np.ones(2))
    with pytest.raises(TraceError, match=r"where\(condition, a, b\)$"):
        tg.jit(lambda x: x if (x * w).sum() > 0 else -x)(np.ones(2))
    f = tg.jit(lambda x, bad: x * w * 2.0 if bad else -x * w)
    with without_numba():
        assert f(np.ones(2), bool(np.isnan(w.data).any())).tolist() == [-1.0, -2.0]
        assert f(np.ones(2), True).tolist() == [2.0, 4.0]


OF_TWO = ("add", "sub", "mul", "truediv", "pow", "mod", "floordiv", "matmul", "iadd", "isub", "imul", "itruediv")


def test_no_operator_and_no_method_takes_the_numbers_of_a_tensor_that_is_closed_over():
    """The quick forms of eager code would: then a program has them for ever, or cannot be compiled at all."""
    W, b, (note, kinds) = Tensor(np.full((2, 2), 0.3)), Tensor(np.full((2, 2), 0.7)), recorder()

    def apply_all(x):
        for name in OF_TWO:
            for other in (b, 2.0, 3) if name != "matmul" else (b,):
                node = getattr(operator, name)(W * 1.0 if name[0] == "i" else W, other)
                note(node)
        for name in ("add", "sub", "mul", "truediv", "pow"):
            note(getattr(operator, name)(2.0, W))
        for name, row in TABLE.items():
            if len(row.parameters) == 1 and hasattr(W, name):
                note(getattr(W, name)())
        return x * 1.0

    with np.errstate(all="ignore"):
        jit(apply_all)(np.ones(3))
    assert len(kinds) > 60
    assert {type(x).__name__ for x in kinds[: len(kinds) // 2]} == {"Traced"}


@pytest.mark.parametrize("how", ["call", "backward"])
@pytest.mark.parametrize("arguments", [(), (2.0,), (np.ones((3, 2)),)], ids=["none", "a number", "an array"])
def test_one_program_serves_all_numbers_of_a_tensor_whatever_the_arguments(arguments, how):
    """The compiler's own look at a closed-over Tensor counted as the function's: without arguments, 8 programs were
    compiled for the first 8 steps of a training, and all further steps ran without jit."""
    w = Tensor(np.full((2, 1), 0.5), requires_grad=True)
    f = tg.jit(lambda *given: (np.tanh(np.ones((3, 2)) @ w) ** 2).sum() * sum(np.sum(x) for x in (1.0, *given)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(10):
            f(*arguments).backward() if how == "call" else f.backward(*arguments)
            w.data -= 0.01 * w.grad
            w.grad = None
    assert len(f.known) == 1

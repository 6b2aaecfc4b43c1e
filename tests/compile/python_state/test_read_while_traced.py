"""Numbers that Python reads while a function is traced: another trace when they change, and none for the others."""

import functools
import threading
from collections import deque, namedtuple
from types import SimpleNamespace

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.compile.programs import without_numba
from tinygrad_edu import Tensor, Value, jit, nn, ops
from tinygrad_edu.errors import SavedArrayChangedError

A, B, AT, M = np.ones(3), np.ones(3, bool), np.arange(3), np.ones((3, 3))
W, K, V = Tensor(np.ones(3), requires_grad=True, label="W"), Tensor(np.ones(3)), Value(1.0)
Pair = namedtuple("Pair", "left right")
HELD = SimpleNamespace(a=A, inner={"a": A, "many": [A]}, both=(A, M), pair=Pair(A, M))
QUEUE = deque([A])
TIMES_A = functools.partial(np.multiply, A)
X = np.array([1.0, 2.0, 0.5])


class Own:
    table = A


READ = {  # what Python computes from numbers that the program reads too
    "a branch": lambda x: x * A if A[0] > 0 else x * A * 3,
    "a branch after": lambda x: (x * A) * (1.0 if A.sum() > 0 else 3.0),
    "a number": lambda x: x * A * float(A[0]),
    "an array by NumPy": lambda x: x * A * (A * 2),
    "an entry of a view": lambda x: x * A * A[::-1][0],
    "entries at indices": lambda x: x * A * A[AT],
    "a function": lambda x: x * A / np.linalg.norm(A),
    "asarray": lambda x: x * A if np.asarray(A)[0] > 0 else x,
    "the buffer": lambda x: x * A * memoryview(A)[0],
    "a loop": lambda x: x * A * sum(sorted(A)),
    "a text": lambda x: x * A * float(f"{A[0]:.3f}"),
    "another dtype": lambda x: x * A * A.astype(int),
    "a new Tensor": lambda x: x * A * Tensor(A),
    "in a deque": lambda x: x * QUEUE[0] * QUEUE[0][0],
    "in a partial": lambda x: TIMES_A(x) * A[0],
    "in a class": lambda x: x * Own.table * Own.table[1],
    "in a tuple": lambda x: x * A * HELD.both[0][2],
    "W.data": lambda x: x * W if W.data[0] > 0 else x * W * 3,
    "W.numpy()": lambda x: x * W * W.numpy().sum(),
    "W.detach()": lambda x: x * W * float(W.detach().data[0]),
    "W.tolist()": lambda x: x * W * W.tolist()[0],
    "W.argmax()": lambda x: x * W * (1.0 + W.argmax()),
    "W.grad": lambda x: x * W * W.grad,
    "the shape": lambda x: (x * W).sum() / W.shape[0],
}
UNREAD = {  # numbers that only the program reads
    "a product": lambda x: A * x,
    "a ufunc": lambda x: np.multiply(A, x) + np.add(x, A),
    "products": lambda x: np.dot(A, x) + M @ x,
    "views": lambda x: M.T @ x * A[::-1] + M[0] + A.reshape(3, 1)[:, 0],
    "rows": lambda x: sum((x * row for row in M), 0.0 * x),
    "an index": lambda x: x[AT] + np.take(x, AT),
    "a mask": lambda x: np.where(B, x, A),
    "joined": lambda x: np.concatenate([x, A]) + np.stack([A, x]).sum(),
    "einsum": lambda x: np.einsum("i,ij->j", x, M),
    "its shape": lambda x: x * A / A.shape[0] / len(A),
    "an attribute": lambda x: HELD.a * x + HELD.inner["a"] + HELD.inner["many"][0],
    "parts of tuples": lambda x: (lambda a, m: m @ (a * x))(*HELD.both) + HELD.pair.left,
    "a default": lambda x, a=A: x * a,
    "a loss": lambda x: nn.losses.mse(x, A),
    "class numbers": lambda x: nn.losses.cross_entropy(x.reshape(1, 3) + M, AT),
    "vmap": lambda x: tg.vmap(lambda r: r * A)(x.reshape(1, 3)),
    "a gradient": lambda x: tg.grad(lambda z: (z * A).sum())(x),
    "a Tensor": lambda x: x * W * 3.0 + ops.tanh(K) - (W > K) * K.T,
}


@pytest.fixture(autouse=True)
def as_python():
    with without_numba():
        yield


def change(k):
    """Other numbers, in place."""
    A[:] = M[0] = [[1.0, 2.0, 3.0], [-5.0, 2.0, 1.0], [3.0, 4.0, 9.0], [2.0, 2.0, 2.0]][k]
    AT[:], B[:] = np.roll(AT, 1), A > 1.5
    K.data[:] = A + 1.0
    W.data = A[: 2 if k == 3 else 3].copy()
    W.grad = W.data * 2.0


@pytest.mark.parametrize("name", [*READ, *UNREAD])
def test_jit_gives_what_the_function_gives(name):
    f = {**READ, **UNREAD}[name]
    compiled = jit(lambda x: ops.sum(f(x)))
    for k in (0, 1, 3) if name == "the shape" else (0, 1):
        change(k)
        x, gradient = X[: W.size], W.grad
        y, g = compiled.value_and_grad(x)
        expected = tg.value_and_grad(lambda z: ops.sum(f(z)))(x)
        assert np.allclose(y, expected[0], rtol=1e-12, atol=0.0)
        assert np.allclose(g, expected[1], rtol=1e-12, atol=0.0)
        W.grad = gradient
    assert (len(compiled.known) == 1) == (name in UNREAD)


def test_values_whose_number_is_read():
    frozen, free = jit(lambda x: x * V * V.data), jit(lambda x: (x * V + 3.0 * V).tanh())
    with tg.no_grad():
        for V.data in (1.0, -2.0, 3.0):
            assert frozen(2.0) == 2.0 * V.data**2
            assert free(2.0) == np.tanh(5.0 * V.data)
    assert (len(frozen.known), len(free.known)) == (3, 1)


def test_everything_is_put_back():
    a, w = HELD.inner["many"][0], W
    for f in [*READ.values(), *UNREAD.values()][::5]:
        change(0)
        jit(f)(X)
    assert HELD.inner["many"][0] is a is A
    assert (type(A), type(w), type(HELD.both), type(HELD.pair)) == (np.ndarray, Tensor, tuple, Pair)


def test_an_array_that_only_a_later_program_reads():
    f = jit(lambda x: x * A if np.ndim(x) == 1 else x * A[0])
    change(0)
    f(X)
    assert np.array_equal(f(M), M * A[0])
    change(1)
    assert np.array_equal(f(M), M * A[0])


def test_two_threads_read_one_tensor():
    start, wrong = threading.Barrier(3), []

    def work(k):
        f = jit(lambda x: x * W * A * (W.data[0] + k))
        start.wait()
        with tg.no_grad():  # the modes of this thread only
            if not np.array_equal(f(X), X * W.data * A * (W.data[0] + k)):
                wrong.append(k)

    change(0)
    threads = [threading.Thread(target=work, args=(k,)) for k in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert type(W) is Tensor


COUNT = [1.0]


@pytest.mark.parametrize(
    ("f", "written"),
    [
        (lambda x: (x * W * A).sum(), lambda: A.__setitem__(0, 9.0)),
        (lambda x: (x * W * K).sum(), lambda: K.data.__setitem__(0, 9.0)),
        (lambda x: (x * W).sum() if A[0] > 0 else x.sum(), lambda: A.__setitem__(0, -9.0)),
        (lambda x: (x * W).sum() * COUNT[0], lambda: COUNT.append(COUNT.pop() + 1.0)),
    ],
)
def test_a_change_between_a_call_and_its_backward_pass_is_refused(f, written):
    change(0)
    for k in range(2):
        W.grad, y = None, jit(f)(X)
        if k:
            written()
            with pytest.raises(SavedArrayChangedError, match="which has changed since the call"):
                y.backward()
        else:
            y.backward()


def test_a_tensor_that_was_computed_before_the_call_keeps_its_numbers():
    change(0)
    y = W * 2.0
    f = jit(lambda x: (x * y).sum())
    f.backward(X)
    assert np.array_equal(W.grad, A * 2.0 + 2.0 * X)
    W.data = A + 5.0
    with tg.no_grad():
        assert f(X) == f.f(Tensor(X)).item() == (2.0 * A * X).sum()

"""Arrays that are written to between forward and backward: noticed at any size, or without effect on the gradient."""

import itertools

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.core.writes.checksum import BLOCK, SMALL, checksum
from tinygrad_edu.errors import SavedArrayChangedError

RNG = np.random.default_rng(0)


def rearranged(a, order):
    a[...] = a.reshape(-1)[order].reshape(a.shape)


WRITES = {
    "negate": lambda a: np.negative(a, out=a),
    "negate two": lambda a: np.multiply(a[:2], -1.0, out=a[:2]),
    "negate half": lambda a: np.multiply(a[::2], -1.0, out=a[::2]),
    "add": lambda a: np.add(a, 1.0, out=a),
    "mirror rows": lambda a: a.__setitem__(..., a[::-1].copy()),
    "mirror columns": lambda a: a.__setitem__(..., a[..., ::-1].copy()),
    "roll": lambda a: a.__setitem__(..., np.roll(a, 1, axis=-1)),
    "swap two": lambda a: rearranged(a, [1, 0, *range(2, a.size)]),
    "swap far": lambda a: rearranged(a, [a.size - 1, *range(1, a.size - 1), 0]),
    "swap pieces": lambda a: a.reshape(-1).view(np.uint32).__setitem__(slice(2), a.reshape(-1).view(np.uint32)[1::-1]),
    "shuffle": lambda a: rearranged(a, RNG.permutation(a.size)),
    "sort": lambda a: a.sort(axis=-1),
    "zero": lambda a: a.fill(0.0),
    "one bit": lambda a: np.bitwise_xor.at(
        a.reshape(-1).view(np.uint8), [RNG.integers(a.nbytes)], 1 << RNG.integers(8)
    ),
    # the signs of two float32 entries, or two bits of one float64
    "two signs": lambda a: np.bitwise_xor.at(a.reshape(-1).view(np.uint8), [3, 7], 128),
}
SIZES = [
    (5,),
    (4, 3),
    (64, 8),
    (SMALL // 8,),
    (SMALL // 8 + 1,),
    (BLOCK + 3,),
    (200, 64),
    (3 * BLOCK // 64, 64),
    (9, 11, 200),
]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("shape", SIZES, ids=str)
@pytest.mark.parametrize("name", WRITES)
def test_every_write_changes_the_fingerprint(name, shape, dtype):
    array = np.random.default_rng(1).normal(size=shape).astype(dtype)  # in no order, which `sort` would leave as it is
    before, bytes_before = checksum(array), array.tobytes()
    WRITES[name](array)
    assert array.tobytes() != bytes_before
    assert checksum(array) != before


def test_each_single_bit_of_a_large_array():
    array = RNG.normal(size=SMALL // 8 + 100)
    seen = {checksum(array)}
    bits, places = array.view(np.uint8), RNG.integers(array.nbytes, size=2000)
    for i in places:
        bits[i] ^= 1 << (i % 8)
        seen.add(checksum(array))
        bits[i] ^= 1 << (i % 8)
    assert len(seen) == 1 + len(set(places.tolist()))


@pytest.mark.parametrize("n", [0, 1, SMALL, SMALL + 1, SMALL + 7, 4 * BLOCK, 4 * BLOCK + 4])
def test_any_layout_dtype_and_size(n):
    array = RNG.integers(0, 256, n).astype(np.uint8)
    before = checksum(array)
    assert before == checksum(array.copy()) == checksum(np.repeat(array, 2)[::2])
    if n:
        array[-1] ^= 1
        assert checksum(array) != before


def test_the_fingerprint_of_a_file_is_the_same_everywhere():
    """Checkpoints keep it: these numbers must not depend on the process, the machine or the release."""
    assert checksum(np.arange(5.0)) == 4228581943
    assert checksum(np.arange(50_000.0)) == 3289805244


PROGRAMS = {
    "square": lambda x, c: np.sum(x * x * c),
    "tanh": lambda x, c: np.sum(np.tanh(x) * c),
    "maximum": lambda x, c: np.sum(np.maximum(x, c)),
    "where": lambda x, c: np.sum(np.where(c > 0, x * x, x)),
    "transpose": lambda x, c: np.sum(x.T * x.T),
    "cumsum": lambda x, c: np.sum(np.cumsum(x * x, axis=0) * c),
    "softmax": lambda x, c: np.sum(tg.ops.softmax(x) * c),
}


@pytest.mark.parametrize("shape", [(4, 3), (200, 64), (9000,)], ids=str)
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_write_is_noticed_or_does_not_matter(name, shape):
    f, noticed = PROGRAMS[name], 0
    start, factor = RNG.normal(size=shape), RNG.normal(size=shape)
    leaf = tg.Tensor(start, requires_grad=True)
    f(leaf, factor).backward()
    for write, target in itertools.product(WRITES.values(), ["leaf", "inner", "constant"]):
        x, c = tg.Tensor(start, requires_grad=True), tg.Tensor(factor)
        inner = x * 1.0
        held = {"leaf": x, "inner": inner, "constant": c}[target].data
        y = f(x if target == "leaf" else inner, c)
        write(held)
        try:
            y.backward()
            np.testing.assert_allclose(x.grad, leaf.grad, rtol=1e-12, atol=1e-12)
        except SavedArrayChangedError:
            noticed += 1
    assert noticed or name == "where"


@pytest.mark.parametrize("hold", [lambda a: a, lambda a: a[:1], lambda a: memoryview(a), lambda a: a.reshape(-1)[1:]])
def test_an_array_that_nobody_holds_is_not_looked_at_again_until_it_is_handed_out(hold):
    w = tg.Tensor(np.ones(3), requires_grad=True)
    w.data -= 0.5
    (w * w).sum().backward()
    assert w._guard.known is None  # so the next use needs no checksum
    held = hold(w.data)
    for _ in range(2):
        loss = (w * w).sum()
    held[0] = 9.0
    with pytest.raises(SavedArrayChangedError):
        loss.backward()


@pytest.mark.parametrize("shape", [(2, 3, 4), (5, 2, 3, 4), (0, 3, 4), (2, 3, 1)])
def test_a_stack_by_one_matrix_is_what_numpy_says(shape):
    a, b = np.random.default_rng(0).normal(size=shape), np.random.default_rng(1).normal(size=(shape[-1], 2))
    rows = lambda stack: stack.reshape(int(np.prod(stack.shape[:-1])), stack.shape[-1])  # noqa: E731
    x, y = tg.Tensor(a, requires_grad=True), tg.Tensor(b, requires_grad=True)
    product = x @ y
    np.testing.assert_allclose(product.data, np.matmul(a, b))
    (product * product).sum().backward()
    np.testing.assert_allclose(x.grad, 2.0 * np.matmul(np.matmul(a, b), b.T))
    np.testing.assert_allclose(y.grad, 2.0 * rows(a).T @ rows(np.matmul(a, b)), atol=1e-14)
    product.data[...] = 0.0  # its array is its own

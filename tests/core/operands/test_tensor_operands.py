"""What may stand beside a Tensor and what NumPy may do with it; the rest is refused by name."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.errors import DetachedError, DtypeError, OperandError, ShapeError, UnsupportedNumpyError


def leaf(*numbers, **options):
    return tg.Tensor(list(numbers), requires_grad=True, **options)


# Numbers and dtypes

NUMBERS = [2, 2.0, True, np.float64(2.0), np.float32(2.0), np.int64(2), np.array(2.0), np.array([1, 2]), [True, False]]


@pytest.mark.parametrize("other", NUMBERS, ids=repr)
def test_float32_stays_float32_beside_numbers(other):
    x = leaf(1.0, 2.0, dtype=np.float32)
    for y in (x * other, other * x, x + other, x**other, np.maximum(x, other), tg.ops.where(True, x, other)):
        assert y.dtype == np.float32
        y.sum().backward()
    assert x.grad.dtype == np.float32
    assert (x @ np.array([1, 2])).dtype == np.float32


WRONG = [  # (not an array of floats, a word that the error contains)
    ([1, 2], "int64.*write 1.0 for 1, or ask for dtype=float"),
    ([True], "bool"),
    ([1j], r"complex128.*use .real and .imag"),
    (["a"], "<U1.*Text has to become numbers"),
    ([None], "object"),
    (None, "object"),
    ([object()], "object"),
    (np.ones(2, dtype=np.float16), "float16"),
    ([tg.Value(1.0)], "Values belong to the scalar back end"),
]


@pytest.mark.parametrize(("data", "message"), WRONG, ids=lambda x: str(x)[:20])
def test_wrong_dtypes_are_named(data, message):
    with pytest.raises(DtypeError, match=f"a Tensor holds float32 or float64, not {message}|{message}"):
        tg.Tensor(data)


@pytest.mark.parametrize("dtype", [int, complex, "no such dtype", np.float16])
def test_a_dtype_other_than_the_two_is_refused(dtype):
    with pytest.raises(DtypeError, match="holds float32 or float64, not dtype="):
        tg.Tensor([1.0], dtype=dtype)
    assert tg.Tensor([1, 2], dtype=float).dtype == np.float64


@pytest.mark.parametrize("other", [None, "a", 1j, np.array([1j]), tg.Value(1.0), np.array([None, None]), {}], ids=str)
def test_no_operand_but_real_numbers(other):
    for combine in (lambda x: x + other, lambda x: other + x, lambda x: x @ [other], lambda x: np.maximum(x, other)):
        with pytest.raises((OperandError, DtypeError)):
            combine(leaf(1.0))


def test_lists_that_are_no_array_are_explained():
    with pytest.raises(ShapeError, match="differ in length"):
        tg.Tensor([[1.0], [1.0, 2.0]])
    for entry in (1.0, [1.0]):
        with pytest.raises((OperandError, DetachedError), match=r"(join|np\.stack)"):
            tg.Tensor([tg.Tensor(entry, requires_grad=True), tg.Tensor(entry)])
    # accepted, because no gradient would be lost
    assert tg.Tensor([tg.Tensor(1.0), tg.Tensor(2.0)]).data.tolist() == [1.0, 2.0]


X, W, B = (tg.Tensor(np.ones(s), label=n) for n, s in [("x", (32, 4)), ("W", (8, 4)), ("b", (32,))])
SHAPES = [
    (lambda: X @ W, r"x @ W: shapes (32, 4) and (8, 4) do not match: 4 != 8. Did you mean W.T, of shape (4, 8)?"),
    (lambda: X + B, r"x + b: shapes (32, 4) and (32,) do not match: 4 != 32. Did you mean b.reshape(32, 1)?"),
    (lambda: X.T @ W, r"32 != 8"),
    (lambda: X @ tg.Tensor(2.0), "use * for a number"),
    (lambda: tg.ops.where(X > 0.0, X, np.ones(3)), "where(condition, x, b): shapes (32, 4) and (32, 4) and (3,)"),
    (lambda: X.reshape(5, 5), "reshape of x (32, 4): cannot reshape array of size 128 into shape (5,5)"),
    (lambda: X.sum(axis=3), "sum of x (32, 4): axis 3 is out of bounds for array of dimension 2"),
    (lambda: X[40], "getitem of x (32, 4): index 40 is out of bounds for axis 0 with size 32"),
    (lambda: X.squeeze(axis=0), "drops axes of size 1 only, and the shape is (32, 4)"),
    (lambda: tg.ops.split(X, 3), "axis 0 has 32 entries, which cannot be split into 3 equal sections"),
    (lambda: X.item(), "item() gives one number"),
]


@pytest.mark.parametrize(("f", "message"), SHAPES, ids=[message[:30] for _, message in SHAPES])
def test_shape_errors_name_what_where_and_the_fix(f, message):
    with pytest.raises(ShapeError) as error:
        f()
    assert message in str(error.value)


# NumPy's functions

UNSUPPORTED = [
    (np.unwrap, "np.unwrap has no derivative here"),
    (np.linalg.eig, "np.linalg.eig has no derivative here"),
    (np.frexp, "np.frexp has no derivative here"),
    (lambda x: np.full_like(x, x[0]), r"np.full_like would lose .* np\.broadcast_to\(value"),
    (lambda x: np.full_like(np.ones(2), x[0]), "np.copyto has no derivative here. Use np.where"),
    (np.unwrap, r"Use the angles themselves"),
    (lambda x: np.fft.fft(x), "np.fft.fft has no derivative here. Use products with np.cos"),
    (lambda x: np.pad(x, 1, mode="linear_ramp"), r"np.pad\(mode='linear_ramp'\)"),
    (np.divide.accumulate, r"np.divide.accumulate\(\) has no derivative"),
    (np.spacing, "np.spacing has no derivative here. Use "),
    (lambda x: np.put(x, [0], 1.0), "np.put has no derivative"),
    (lambda x: np.ravel(x, order="F"), r"np.ravel\(order='F'\) has no derivative here; without order it has"),
    (lambda x: np.add(x, x, dtype=np.float32), "np.add"),
]


@pytest.mark.parametrize(("f", "message"), UNSUPPORTED, ids=[message for _, message in UNSUPPORTED])
def test_what_numpy_does_beyond_the_table_is_refused_by_name(f, message):
    with pytest.raises(UnsupportedNumpyError, match=message):
        f(leaf(1.0, 2.0))
    with pytest.raises(UnsupportedNumpyError, match=r"np\.sin and np\.cos of them; .* Or leave the graph on purpose"):
        np.unwrap(leaf(1.0))


@pytest.mark.parametrize("f", [np.exp, np.sum, np.cumsum, lambda x, out: np.add(out, x, out=out)])
def test_out_is_refused(f):
    with pytest.raises(DetachedError, match=r"lose (its|the) gradient"):
        f(leaf(1.0, 2.0), out=np.zeros(2))


def test_adding_to_a_plain_array_in_place_is_refused():
    a = np.zeros(2)
    with pytest.raises(DetachedError, match=r"write a = a \+ x in place of a \+= x"):
        a += leaf(1.0, 2.0)


SPELLINGS = [  # positional options in NumPy's order, and NumPy's other names
    (lambda n, x: n.sum(x, 0, None, None, True)),
    (lambda n, x: n.std(x, 1, None, None, 1)),
    (lambda n, x: n.clip(x, a_min=0.2, a_max=None)),
    (lambda n, x: n.clip(x, min=0.2, max=0.6)),
    (lambda n, x: n.clip(x, None, 0.5)),
    (lambda n, x: n.concatenate([x, x], axis=None)),
    (lambda n, x: n.reshape(x, (3, 2), order="C")),
    (lambda n, x: n.pad(x, ((1, 0), (0, 1)), "constant", constant_values=1.0)),
    (lambda n, x: n.split(x, [1], axis=np.int64(1))[0]),
    (lambda n, x: n.expand_dims(x, np.int64(0))),
    (lambda n, x: n.linalg.norm(x, None, 1)),
    (lambda n, x: n.add.reduce(x)),
    (lambda n, x: n.where(x > 0.5, x, 0)),
    (lambda n, x: n.dot(x, n.ones((2, 3, 4)))),
]


@pytest.mark.parametrize("call", SPELLINGS)
def test_numpys_spellings_mean_the_same(call):
    x = np.arange(6.0).reshape(2, 3) / 6.0
    y = call(np, tg.Tensor(x, requires_grad=True))
    assert isinstance(y, tg.Tensor)
    assert y.requires_grad
    np.testing.assert_allclose(y.data, call(np, x), rtol=1e-15)


@pytest.mark.parametrize("f", [np.shape, np.argmax, np.isnan, np.zeros_like, np.isfinite, np.argsort, np.size])
def test_functions_without_derivative_see_the_plain_numbers(f):
    np.testing.assert_array_equal(f(leaf(1.0, 2.0)), f(np.array([1.0, 2.0])))

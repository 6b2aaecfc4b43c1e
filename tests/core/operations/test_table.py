"""Every row of the operation table, held against theory: slopes, agreement of the back ends, kinks, infinities."""

import math

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.core.operation import TABLE, Operation, op
from tinygrad_edu.core.ops import tanh
from tinygrad_edu.errors import GradcheckError, OperandError

ROWS = dict(TABLE)  # as imported: the tests below add rows and remove them again
SMOOTH = {name: row for name, row in ROWS.items() if row.partials is not None}
COMPARISONS = {name: row for name, row in ROWS.items() if row.partials is None}
POINTS = 3  # random points in each box

each_row = pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
each_smooth = pytest.mark.parametrize("row", SMOOTH.values(), ids=SMOOTH)
each_comparison = pytest.mark.parametrize("row", COMPARISONS.values(), ids=COMPARISONS)
back_ends = pytest.mark.parametrize("size", [None, 4], ids=["scalar", "tensor"])


def intervals(row, box):
    """One interval for each parameter; the last one of a box repeats."""
    return [box[min(i, len(box) - 1)] for i in range(len(row.parameters))]


def points(row, size=None, seed=0):
    """Random points of the domain, a few in each box: lists of floats, or of arrays of `size` floats."""
    rng = np.random.default_rng(seed)
    for box in row.domain:
        for _ in range(POINTS if size is None else 1):
            yield [rng.uniform(low, high, size) if low < high else low for low, high in intervals(row, box)]


def in_free_arguments(row, point):
    """The operation as a function of the arguments that an interval leaves free (a condition is not), and those."""
    box = next(b for b in row.domain if all(holds(i, x) for i, x in zip(intervals(row, b), point, strict=True)))
    free = [i for i, (low, high) in enumerate(intervals(row, box)) if low < high]

    def f(*chosen):
        full = list(point)
        for i, x in zip(free, chosen, strict=True):
            full[i] = x
        return row(*full)

    return f, [point[i] for i in free]


def tensors_of(row, arrays):
    """Tensors that require a gradient, but for an argument that has no derivative, as the order of polygamma."""
    return [tg.Tensor(x, requires_grad=i not in fixed(row)) for i, x in enumerate(arrays)]


def fixed(row):
    return getattr(row, "fixed", ())


def holds(interval, x):
    return np.all((interval[0] <= x) & (x <= interval[1]))


def total(y):
    return y.sum() if isinstance(y, tg.Tensor) else y


# Derivatives


@back_ends
@each_smooth
def test_taylor_slope_is_two(row, size):
    for point in points(row, size):
        f, free = in_free_arguments(row, point)
        assert tg.taylor_slope(f, *free) >= 1.8, point


@back_ends
@each_smooth
def test_taylor_slope_of_the_derivative_is_two(row, size):
    for point in points(row, size, seed=1):
        f, free = in_free_arguments(row, point)
        for i in range(len(free)):
            derivative = tg.grad(lambda *x, f=f: total(f(*x)), i)
            assert tg.taylor_slope(derivative, *free) >= 1.8, (i, point)


@back_ends
@each_smooth
def test_gradcheck_agrees(row, size):
    for point in points(row, size, seed=2):
        f, free = in_free_arguments(row, point)
        assert tg.gradcheck(f, *free)


@back_ends
@each_smooth
def test_the_checkers_catch_a_derivative_wrong_by_a_thousandth(row, size):
    def off(y, *x):
        return tuple(1.001 * d for d in row.partials(y, *x))

    wrong = Operation(row.function, off, row.domain, row.numpy_name, row.scipy_name)
    for point in points(row, size, seed=3):
        f, free = in_free_arguments(wrong, point)
        if not any(np.any(g) for g in tg.vjp(f, *free)[1](1.0)):
            continue  # left of relu's kink every derivative is 0, so an error of 0.1% does not show
        assert min(tg.taylor_slope(f, *free, seed=direction) for direction in range(3)) < 1.8, point
        with pytest.raises(GradcheckError, match=r"argument \d, index"):
            tg.gradcheck(f, *free)


# the same result in every form


def plain(x):
    return x.data if isinstance(x, (tg.Value, tg.Tensor)) else x


@each_row
def test_float_array_value_and_tensor_agree(row):
    for point in points(row):
        expected = row(*point)
        arrays = [np.array([x, x]) for x in point]
        assert type(expected) is (bool if row.name in COMPARISONS else float)
        np.testing.assert_allclose(row(*arrays), [expected] * 2, rtol=1e-13)
        assert plain(row(*map(tg.Value, point))) == expected
        np.testing.assert_array_equal(plain(row(*map(tg.Tensor, arrays))), row(*arrays))


@each_smooth
def test_gradients_of_value_and_tensor_agree(row):
    for point in points(row):
        values = [tg.Value(x) for x in point]
        tensors = tensors_of(row, [[x] for x in point])
        row(*values).backward()
        row(*tensors).sum().backward()
        for v, t in list(zip(values, tensors, strict=True))[len(fixed(row)) :]:
            np.testing.assert_allclose(t.grad, [v.grad], rtol=1e-12, atol=1e-15)


@each_smooth
def test_float32_stays_float32(row):
    for point in points(row, size=3):
        arrays = [np.asarray(x, dtype=np.float32) for x in point]
        assert row(*arrays).dtype == np.float32
        tensors = tensors_of(row, arrays)
        y = row(*tensors)
        y.sum().backward()
        assert {y.dtype, *(t.grad.dtype for t in tensors[len(fixed(row)) :])} == {np.dtype(np.float32)}


@each_comparison
def test_comparisons_give_plain_booleans(row):
    assert type(row(tg.Value(1.0), 2.0)) is bool
    assert type(row(1.0, tg.Value(2.0))) is bool
    y = row(tg.Tensor([1.0, 2.0], requires_grad=True), 2.0)
    assert isinstance(y, np.ndarray)
    assert y.dtype == bool


# methods whose arguments are PyTorch's: x.where(condition, y), x.polygamma(n)
OF_TORCH = {"where": lambda c, x, y: x.where(bool(plain(c)), y), "polygamma": lambda n, x: x.polygamma(n)}


def ways(row, make):
    """The same call spelled in every way: tg.ops, method, NumPy's name."""
    first, *others = [make(x, i not in fixed(row)) for i, x in enumerate(next(points(row)))]
    yield getattr(tg.ops, row.name)(first, *others)
    if row.name in OF_TORCH:
        yield OF_TORCH[row.name](first, *others)
        return
    yield getattr(first, row.name)(*others)
    if hasattr(np, row.numpy_name):
        yield getattr(np, row.numpy_name)(first, *others)
        yield getattr(first, row.numpy_name)(*others)


@pytest.mark.parametrize("make", [lambda x, _=True: tg.Value(x), tg.Tensor], ids=["Value", "Tensor"])
@each_row
def test_every_row_is_reached_by_every_name(row, make):
    kind = type(make(1.0)) if row.name in SMOOTH else (bool, np.bool_)
    results = list(ways(row, make))
    assert all(isinstance(y, kind) for y in results)
    assert all(plain(y) == plain(results[0]) and getattr(y, "op", row) is row for y in results)
    assert row.name in dir(tg.ops)


def test_rows_with_a_numpy_name_are_counted():
    """A row whose function NumPy no longer has under that name would be tested by fewer names, without a word."""
    assert sum(hasattr(np, row.numpy_name) for row in ROWS.values()) >= 60


@each_row
def test_docstring_is_the_formula(row):
    assert row.__doc__
    assert row.name in COMPARISONS or "∂" in row.__doc__ or "dy/dx" in row.__doc__ or "gradient" in row.__doc__


def test_a_wrong_number_of_arguments_is_named():
    with pytest.raises(OperandError, match=r"tanh takes \(x\), but was given 2 arguments"):
        tanh(1.0, 2.0)
    assert tg.ops.leaky_relu(-2.0) == -0.02
    assert tg.ops.leaky_relu(-2.0, 0.5) == -1.0


# declared in one place


@pytest.fixture
def bump():
    @op(partials=lambda y, x: (-y * tanh(x),))
    def bump(x):
        """1/cosh x.  dy/dx = -y·tanh x."""
        return 1.0 / math.cosh(x) if isinstance(x, float) else 1.0 / np.cosh(x)

    yield bump
    del TABLE["bump"]


def test_one_declaration_is_enough(bump):
    assert tg.ops.bump is bump
    assert bump(0.5) == pytest.approx(1.0 / math.cosh(0.5))
    np.testing.assert_allclose(tg.ops.bump(np.array([0.5, -1.0])), 1.0 / np.cosh([0.5, -1.0]))
    for x in (0.5, np.array([0.5, -1.0])):
        assert tg.gradcheck(tg.ops.bump, x)
        assert tg.taylor_slope(tg.grad(lambda x: total(tg.ops.bump(x))), x) >= 1.8

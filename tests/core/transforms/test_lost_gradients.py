"""A derivative by the input, inside the loss of the weights that it depends on: physics-informed networks and such."""

import copy
import io
import json
import operator
import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.core.transforms.lost_programs import RIGHT, WRONG
from tinygrad_edu import Tensor, nn
from tinygrad_edu.core.lost_gradients import MOST, LostGradientWarning

X = np.array([[1.0], [2.0]])
W = Tensor(np.array([[0.5]]), requires_grad=True, label="W")


def u(x):
    return np.sum(np.tanh(x @ W))


WAYS = {
    "grad": lambda x: tg.grad(u)(x),
    "value_and_grad": lambda x: tg.value_and_grad(u)(x)[1],
    "the value": lambda x: tg.value_and_grad(u)(x)[0],
    "vjp": lambda x: tg.vjp(u, x)[1](1.0)[0],
    "jvp": lambda x: tg.jvp(u, (x,), (x,))[1],
    "jacobian": lambda x: tg.jacobian(lambda x: (x @ W).ravel())(x),
    "hessian": lambda x: tg.hessian(u)(x),
    "hvp": lambda x: tg.hvp(u, x, x),
    "grad of jit": lambda x: tg.grad(tg.jit(u))(x),
    "jit of grad": lambda x: tg.jit(tg.grad(u))(x),
    "vmap": lambda x: tg.vmap(tg.grad(u))(x[:, None]),
}
STAY_NODES = {"jit of grad", "vmap"}  # anyway: their results are those of functions that read W


def gradient(run):
    W.grad = None
    run()
    return W.grad.item()


def loss(way, x):
    return np.sum(WAYS[way](x) ** 2) + np.sum(X @ W)


@pytest.mark.parametrize("way", WAYS)
def test_a_derivative_by_plain_numbers_warns_where_a_loss_that_reads_the_same_weights_follows(way):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        expected = gradient(lambda: loss(way, Tensor(X)).backward())
        with tg.no_grad():
            numbers = WAYS[way](X)
        assert gradient(lambda: (np.sum(numbers**2) + np.sum(X @ W)).backward()) == 3.0
    if way in STAY_NODES:
        assert gradient(lambda: loss(way, X).backward()) == expected
    else:
        with pytest.warns(LostGradientWarning, match="W. If .* Tensor"):
            assert gradient(lambda: loss(way, X).backward()) == 3.0 != expected


@pytest.mark.slow
@pytest.mark.parametrize("way", ["grad", "jvp", "hessian", "the value"])
def test_in_a_compiled_function_it_stays_a_node(way):
    f, expected = tg.jit(lambda: loss(way, X)), gradient(lambda: loss(way, Tensor(X)).backward())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert gradient(lambda: f().backward()) == pytest.approx(expected, rel=1e-12)
        assert gradient(f.backward) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("form", [np.asarray, Tensor], ids=["array", "Tensor"])
def test_in_fit_it_stays_a_node(form):
    """A loop with Tensors is what is right; `fit` gave the same losses at first, and other weights."""

    def train(form, fit):
        model = nn.MLP([1, 4, 1], seed=0)
        slope = tg.grad(lambda x: model(x).sum())
        optimizer = tg.optim.SGD(model.parameters(), lr=0.1)
        residual = lambda output, _: np.mean((slope(form(X)) - output) ** 2)  # noqa: E731
        if fit:
            tg.fit(model, X, X, loss=residual, optimizer=optimizer, epochs=5, shuffle=False, compiled=False)
        else:
            for _ in range(5):
                optimizer.zero_grad()
                residual(model(X), X).backward()
                optimizer.step()
        return np.concatenate([p.data.ravel() for p in model.parameters()])

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_allclose(train(form, fit=True), train(Tensor, fit=False), rtol=1e-12)


def test_what_a_callback_looks_at_is_no_part_of_the_loss_of_a_fit():
    model = nn.MLP([1, 4, 1], seed=0)
    slopes = []
    look = lambda job: slopes.append(tg.grad(lambda x: model(x).sum())(X))  # noqa: E731
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tg.fit(model, X, X, loss="mse", optimizer="sgd", epochs=3, callbacks=[look], compiled=False)


@pytest.mark.parametrize("program", RIGHT.values(), ids=RIGHT)
def test_no_warning_where_the_numbers_are_meant(program):
    with warnings.catch_warnings():
        warnings.simplefilter("error", LostGradientWarning)
        program()


@pytest.mark.parametrize("program", WRONG.values(), ids=WRONG)
def test_a_warning_where_a_gradient_is_lost(program):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        program()
    assert {x.category for x in found} == {LostGradientWarning}
    assert {Path(x.filename).name for x in found} <= {"lost_programs.py"}  # it points at the line of backward()


A = tg.grad(u)(X)
FLOAT = tg.grad(lambda x: np.sum(W) * x**2)(3.0)
NUMBERS = {"array": A, "float": FLOAT, "NumPy's float": A.sum(), "float32": A.astype(np.float32).sum()}
PLAIN = {"array": np.ndarray, "float": float, "NumPy's float": np.float64, "float32": np.float32}


@pytest.mark.parametrize("name", NUMBERS)
def test_such_numbers_are_like_all_others(name):
    x, kind = NUMBERS[name], PLAIN[name]
    plain = x.copy() if name == "array" else kind(x)
    assert type(plain) is kind
    assert (repr(x), str(x)) == (repr(plain), str(plain))
    assert isinstance(x, kind)
    for back in (pickle.loads(pickle.dumps(x)), copy.copy(x), copy.deepcopy(x)):
        assert type(back) is kind
        assert np.array_equal(back, plain)
    file = io.BytesIO()
    np.save(file, x)
    file.seek(0)
    assert type(np.load(file)) is np.ndarray
    assert json.dumps(np.asarray(x).tolist()) == json.dumps(np.asarray(plain).tolist())
    for made in (np.array([x, x]), np.asarray(x), np.full(2, x) if np.ndim(x) == 0 else np.stack([x, x])):
        assert made.dtype == np.asarray(plain).dtype
    assert type(tg.Tensor(x, dtype=float).data.sum()) is np.float64


@pytest.mark.parametrize("f", [np.add, np.subtract, np.multiply, np.divide, np.power, np.maximum, np.arctan2])
def test_what_is_computed_of_them_remembers_and_is_right(f):
    for name, x in NUMBERS.items():
        plain = x.copy() if name == "array" else PLAIN[name](x)
        for y in (2.0, np.float64(2.0), np.array([[1.0, 2.0]])):
            for made, expected in ((f(x, y), f(plain, y)), (f(y, x), f(y, plain)), (f(x, x), f(plain, plain))):
                np.testing.assert_array_equal(made, expected)
                assert made.dtype == expected.dtype
                assert made._origins


OPERATORS = [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow]


@pytest.mark.parametrize("f", OPERATORS)
def test_operators_of_them_are_those_of_their_kind(f):
    for name, x in NUMBERS.items():
        plain = x.copy() if name == "array" else PLAIN[name](x)
        for y in (2, 2.0, np.float32(2.0), np.array([[1.0, 2.0]])):
            for made, expected in ((f(x, y), f(plain, y)), (f(y, x), f(y, plain)), (f(x, x), f(plain, plain))):
                np.testing.assert_array_equal(made, expected)
                assert np.asarray(made).dtype == np.asarray(expected).dtype
                assert isinstance(made, type(expected))
                assert made._origins


def test_signs_comparisons_and_roundings_remember_nothing():
    for f in (np.sign, np.round, np.floor, np.argmax, np.zeros_like, lambda x: x > 0, lambda x: x.astype(int), np.copy):
        made = f(A)
        assert not getattr(made, "_origins", None)
    assert type(FLOAT > 1.0) is bool


def test_what_they_are_added_to_in_place_remembers_and_is_the_same_memory():
    total = start = np.zeros((2, 1))
    total += A
    assert total._origins
    assert np.shares_memory(total, start)
    assert type(start) is np.ndarray
    np.testing.assert_array_equal(start, np.asarray(A))
    assert np.add(start, A, out=start.copy()).__class__ is np.ndarray


def test_derivatives_that_depend_on_their_arguments_alone_are_of_no_class_of_ours():
    loss = lambda w, x: np.sum((x * w) ** 2)  # noqa: E731
    assert type(tg.grad(loss)(np.ones(2), X)) is np.ndarray
    assert type(tg.grad(loss)(2.0, 3.0)) is float
    assert all(type(x) is np.ndarray for x in tg.jvp(lambda x: x * 2.0, (X,), (X,)))
    a, b = tg.grad(lambda a, b: np.sum(a + b), argnum=(0, 1))(np.ones(2), np.ones(2))
    a += 1.0
    assert b.tolist() == [1.0, 1.0]


def test_a_loss_of_such_numbers_alone_says_what_to_write():
    with pytest.raises(AttributeError, match=r"no backward\(\).*tg.grad\(f\)\(tg.Tensor\(x\)\)"):
        np.mean((A - 1.0) ** 2).backward()
    assert not hasattr(A, "shapes")


def test_running_means_of_derivatives_remember_few():
    mean, x = 0.0, np.ones((1, 1))
    for _ in range(20):
        W.assign(W.array + 0.01)
        mean = 0.9 * mean + tg.grad(u)(x)
    assert len(mean._origins) <= MOST

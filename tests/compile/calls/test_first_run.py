"""The first run of each program is compared with the function itself."""

import collections
import threading

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.compile.programs import without_numba
from tinygrad_edu import Tensor, Value
from tinygrad_edu.compile.first_run import MOST_WORK
from tinygrad_edu.compile.ir.node import Traced
from tinygrad_edu.compile.ir.work import work
from tinygrad_edu.core.modes import MODES
from tinygrad_edu.errors import TraceError

X = np.array([[0.5, -1.0, 2.0], [1.5, 0.25, -0.75]])


def traced():
    """Does the function run on nodes? No user can ask; here it stands for all questions answered otherwise."""
    return MODES.tensor_trace is not None or MODES.value_trace is not None


def writes(x):
    if not traced():
        x[0] = 7.0
    return (x * x).sum()


DIFFERENT = {
    "number": lambda x: (x * x).sum() * (2.0 if traced() else 3.0),
    "one entry": lambda x: x * np.where(np.arange(3) == 1, 2.0 if traced() else 2.0001, 1.0),
    "nesting": lambda x: [x.sum()] if traced() else (x.sum(),),
    "class of a dict": lambda x: {"a": x.sum()} if traced() else collections.OrderedDict(a=x.sum()),
    "keys": lambda x: {"a": x.sum()} if traced() else {"b": x.sum()},
    "shape": lambda x: x.sum(axis=0, keepdims=traced()),
    "dtype": lambda x: x if traced() else x.astype(np.float32),
    "truth values": lambda x: x if traced() else x > 0,
    "NaN": lambda x: x * (1.0 if traced() else np.nan),
    "infinity": lambda x: x / (1.0 if traced() else 0.0),
    "what it writes": writes,
    "something that is no number": lambda x: x.sum() if traced() else "a text",
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_another_result_is_refused_at_each_call(name):
    f = tg.jit(DIFFERENT[name])
    with without_numba():
        for _ in range(2):
            with pytest.raises(TraceError, match=r"computes something else when it is compiled: .*, where .* gives"):
                f(X.copy())


def test_an_array_that_is_given_twice():
    f = tg.jit(lambda x, y: x * 2.0 if x is y else x * 3.0)
    with without_numba():
        try:
            found = f(X, X)
        except TraceError:
            return
    np.testing.assert_allclose(found, 2.0 * X)


def test_results_have_the_class_of_those_of_the_function_itself():
    f = lambda W: tg.value_and_grad(lambda s: np.sum((s * W) ** 2))(np.ones(3))  # noqa: E731
    with without_numba():
        assert [type(y) for y in tg.jit(f)(X[0])] == [type(y) for y in f(X[0])] == [float, np.ndarray]


def test_the_message_names_the_entry_and_both_numbers():
    def loss(x):
        return {"squares": x * (2.0 if traced() else 3.0)}

    with without_numba(), pytest.raises(TraceError, match=r"loss .* result\['squares'\]\[0, 2\] is 4.0, .* gives 6.0"):
        tg.jit(loss)(X)


def test_gradients_are_compared_too():
    f = tg.jit(lambda x: (x * x).sum() + (0.0 if traced() else 1.0) * (x - x).sum())
    g = tg.jit(lambda x: ((x if not traced() else Tensor(x)) ** 2).sum() if not traced() else (x * X).sum())
    with without_numba():
        np.testing.assert_allclose(f.value_and_grad(X)[1], 2 * X)
        with pytest.raises(TraceError, match="computes something else"):
            g.value_and_grad(X)  # the same value at X, and half of its gradient


@pytest.mark.parametrize(
    ("f", "x"),
    [
        (lambda x: np.sum(x * 2 if isinstance(x, np.ndarray) else x * 3), X),
        (lambda x: np.sum(x * 2 if type(x) is np.ndarray else x * 3), X),
        (lambda x: x**2 if isinstance(x, float) else x**3, 3.0),
    ],
)
def test_a_derivative_without_jit_that_answers_a_question_otherwise_is_named(f, x):
    """It was accused of what the function by itself had not given."""
    with without_numba(), pytest.raises(TraceError, match="calls it with Tensors") as caught:
        tg.jit(f).value_and_grad(x)
    assert f"is {tg.value_and_grad(f)(x)[0]}, and <lambda> by itself {f(x)}" in str(caught.value)


def test_numbers_closed_over_and_backward():
    w, W = Value(3.0), Tensor(X, requires_grad=True)
    scalar = tg.jit(lambda a: a * w * (2.0 if traced() else 3.0))
    arrays = tg.jit(lambda x: (x * W).sum() * (2.0 if traced() else 3.0))
    with without_numba():
        for run in (lambda: scalar(2.0), lambda: scalar.backward(2.0), lambda: arrays(X), lambda: arrays.backward(X)):
            with pytest.raises(TraceError, match="computes something else"):
                run()
    assert w.grad == 0.0


def far_apart(x):
    """The logistic map: an error of 1 ulp is as large as the state after 60 rounds."""
    for _ in range(100):
        x = 3.9 * x * (1.0 - x)
    return x


SAME = {
    "chaos": lambda x: far_apart(np.abs(x) / 4.0 + 0.01),
    "cancellation": lambda x: (x - x.mean()).sum(),
    "cancellation of whole numbers": lambda x: (lambda n: (n / 7.0 - (n / 7.0).mean()).sum())(x > 0),
    "balanced classes": lambda x: tg.grad(lambda b: np.mean((x @ (0.0 * b) + b.sum() - np.sign(X[:, 0])) ** 2))(
        x[0] * 0.0
    ),
    "what is 0, of numbers in the text": lambda x: (lambda z: (np.exp(z) / np.exp(z).sum()).sum() - 1.0)(0.0 * x + 0.3),
    "a gradient of 0": lambda x: tg.grad(lambda b: np.tanh((x + b - (x + b).mean(0)) / x.std(0)).sum())(X[0]),
    "near a tie": lambda x: np.sum(x) > np.sum(x[::-1]),
    "NaN": lambda x: np.log(x),
    "in float32": lambda x: np.tanh(x.astype(np.float32)).sum(axis=0),
    "a table that is made": lambda x, kept={}: kept.setdefault("k", 2.0) * (x * x).sum(),
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", SAME)
def test_what_differs_by_rounding_runs(name):
    with without_numba():
        assert np.shape(tg.jit(SAME[name])(X)) == np.shape(SAME[name](X))


def test_the_function_runs_once_more_and_what_it_changes_is_put_back():
    rng, table, runs = np.random.default_rng(0), {}, []

    def f(x):
        if not traced():
            runs.append(rng.normal())
        table["k"] = 1
        return (x * x).sum()

    before = rng.bit_generator.state
    message = "changes runs, and a compiled program would leave something else there"
    with without_numba(), pytest.raises(TraceError, match=message):
        tg.jit(f)(X)
    assert (rng.bit_generator.state, runs, table) == (before, [], {})


def test_what_another_thread_changes_meanwhile_stays():
    W, run, changed = Tensor(X, requires_grad=True), threading.Event(), threading.Event()

    def write():
        run.wait(5.0)
        W.data = X + 1.0
        changed.set()

    def f(x):
        if not traced():
            run.set()
            changed.wait(5.0)
        return (x * x).sum() + (W * 0.0).sum()

    thread = threading.Thread(target=write)
    thread.start()
    with without_numba(), tg.no_grad():
        tg.jit(f)(X)
    run.set()
    thread.join()
    np.testing.assert_array_equal(W.data, X + 1.0)


def test_a_function_that_raises_an_error_by_itself_is_not_compared():
    with without_numba():
        assert tg.jit(lambda x: (x * x).sum() * (2.0 if traced() else 1 / 0))(X) == pytest.approx(2 * (X * X).sum())


def test_a_function_that_would_take_long_is_not_compared():
    nodes = [Traced((2**13, 2**13)), Traced((3, 3))]
    assert [work(nodes[:1]) > MOST_WORK, work(nodes[1:])] == [True, 2**10 + 9]


QUESTIONS = [
    lambda x: x * (2.0 if x[:] is x else 3.0),
    lambda x: x * (2.0 if np.squeeze(x) is x else 3.0),
    lambda x: x * len(repr(x)),
    lambda x: x * (2.0 if "array" in str(type(x)) else 3.0),
    lambda x: x * (2.0 if isinstance(x, collections.abc.Hashable) else 3.0),
    lambda x: x * (2.0 if type(x.size) is int else 3.0),
    lambda x: x * (2.0 if x.base is None else 3.0),
    lambda x: x * len(x.__doc__),
    lambda x: x * (2.0 if x.ctypes.data else 3.0),
    lambda x: x * (2.0 if f"{x}"[0] == "[" else 3.0),
]


@pytest.mark.parametrize("number", range(len(QUESTIONS)))
def test_questions_are_answered_as_for_an_array_or_refused(number):
    f = QUESTIONS[number]
    with without_numba():
        try:
            found = tg.jit(f)(X)
        except TraceError:
            return
    np.testing.assert_allclose(found, f(X))


NUMBERS = {
    "whole": lambda a, b: a * b + 1,
    "a quotient": lambda a, b: a // b,
    "a ratio": lambda a, b: a / b,
    "a truth value": lambda a, b: a > b,
    "several": lambda a, b: (a - b, {"half": a * 0.5}, a == b),
    "a power": lambda a, b: a**b,
}


@pytest.mark.parametrize("name", NUMBERS)
def test_single_numbers_have_the_class_of_those_of_the_function_itself(name):
    f = NUMBERS[name]
    compiled = tg.jit(f)
    for given in ((7, 2), (7.0, 2.0), (7, 2.0), (2, 7), (7, 2)):
        assert repr(compiled(*given)) == repr(f(*given))

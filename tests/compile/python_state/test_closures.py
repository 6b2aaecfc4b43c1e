"""What a compiled function closes over may change between calls: jit gives what the function gives, or says no."""

import warnings
from types import SimpleNamespace

import numpy as np
import pytest

from tests.compile.programs import recorder, without_numba
from tinygrad_edu import Tensor, Value, grad, jit, nn, ops
from tinygrad_edu.errors import TraceError

X = np.random.default_rng(0).normal(size=(5, 4))
SCALE = 2.0


@pytest.fixture(autouse=True)
def as_python():
    """The generated programs run as Python, which compiles nothing."""
    with without_numba():
        yield


class Own(nn.Module):
    def __init__(self):
        self.layer, self.act, self.beta, self.mask = nn.Linear(4, 3, rng=0), np.tanh, 1.0, np.ones(3)
        self.settings, self.more, self.history = SimpleNamespace(k=1.0), {"k": [1.0]}, []

    def forward(self, x):
        y = self.act(self.layer(x)) * self.mask.mean() * self.settings.k * self.more["k"][0]
        return y * self.beta

    def note(self, y):  # not called during a trace
        self.history.append(y)


def mlp():
    return nn.MLP([4, 6, 3], seed=0)


def normed():
    return nn.Sequential(nn.Linear(4, 6, rng=0), nn.BatchNorm(6), nn.Linear(6, 2, rng=1)).eval()


def dropped():
    return nn.Sequential(nn.Linear(4, 6, rng=0), nn.Dropout(0.5, rng=3), nn.Linear(6, 2, rng=1)).eval()


def put(name, value):
    return lambda m: setattr(m, name, value)


MODEL_CHANGES = {  # (how the model is made, what changes between two calls)
    "weights": (mlp, lambda m: m.load_state_dict({k: 2 * x for k, x in m.state_dict().items()})),
    "another parameter": (mlp, lambda m: setattr(m.layers[0], "weight", Tensor(np.ones((6, 4)), requires_grad=True))),
    "another layer": (mlp, lambda m: m.layers.__setitem__(1, nn.Linear(6, 3, rng=9))),
    "one layer more": (dropped, lambda m: m.layers.append(nn.Linear(2, 2, rng=5))),
    "its statistics": (normed, lambda m: (m.train(), m(X), m.eval())),
    "its mode": (dropped, lambda m: m.train()),
    "a hook": (mlp, lambda m: m.layers[0].register_forward_hook(lambda module, given, y: y * 2.0)),
    "an activation": (Own, put("act", ops.relu)),
    "an attribute": (Own, put("beta", 0.5)),
    "an array in place": (Own, lambda m: m.mask.__setitem__(0, 7.0)),
    "another array": (Own, put("mask", np.arange(3.0))),
    "an object's attribute": (Own, lambda m: setattr(m.settings, "k", 3.0)),
    "an entry of a dict": (Own, lambda m: m.more["k"].__setitem__(0, 3.0)),
    "its forward": (Own, put("forward", lambda x: x * 2.0)),
}


@pytest.mark.parametrize("name", MODEL_CHANGES)
def test_a_changed_model_is_noticed(name):
    make, change = MODEL_CHANGES[name]
    model = make()
    for f in (model, lambda x: model(x), model.forward):
        compiled = jit(f)
        assert np.allclose(compiled(X).data, f(X).data)
    whole = jit(lambda x: np.sum(model(x) ** 2))
    whole.value_and_grad(X)
    change(model)
    if name == "its mode":
        with pytest.raises(TraceError, match="Dropout draws new numbers"):
            compiled(X)
        return
    assert np.allclose(np.asarray(jit(lambda x: model(x))(X)), model(X).data)
    assert np.allclose(np.asarray(whole(X)), np.sum(model(X) ** 2).data)
    assert np.allclose(whole.value_and_grad(X)[1], grad(lambda x: np.sum(model(x) ** 2))(X))


def test_globals_and_closures_are_read_again():
    global SCALE
    factor, many, array = 1.0, [1.0], np.ones(4)

    def f(x, k=[2.0]):  # noqa: B006
        return np.sum(x) * SCALE * factor * sum(many) * k[0] * np.mean(array)

    compiled = jit(f)
    changes = [
        lambda: globals().update(SCALE=3.0),
        lambda: many.append(4.0),
        lambda: f.__defaults__[0].__setitem__(0, 5.0),
        lambda: array.__setitem__(0, -1.0),
    ]
    assert compiled(X) == pytest.approx(f(X))
    for change in changes:
        change()
        assert compiled(X) == pytest.approx(f(X))
    factor = 7.0
    assert compiled(X) == pytest.approx(f(X))
    SCALE = 2.0


def test_numbers_of_the_tape_too():
    w, k = Value(2.0), [3.0]
    f = jit(lambda x: x * w * k[0])
    assert f(1.0).data == 6.0
    k[0], w.data = 5.0, 4.0
    assert f(1.0).data == 20.0


def test_an_earlier_state_has_its_program_still():
    model = Own()
    f = jit(lambda x: model(x))
    for beta in (1.0, 2.0) * 20:
        model.beta = beta
        assert np.allclose(np.asarray(f(X)), model(X).data)
    assert len(f.known) == 2


def test_what_the_function_does_not_read_makes_no_program():
    model = Own()
    f = jit(lambda x: np.sum(model(x)))
    for i in range(20):
        model.note(float(f(X).data))
        model.other = i
    assert len(model.history) == 20
    assert len(f.known) == 1


def test_too_many_states_run_without_jit():
    model = Own()
    f = jit(lambda x: np.sum(model(x)))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for i in range(12):
            model.beta = float(i)
            assert float(f(X).data) == pytest.approx(np.sum(model(X)).data)
            assert np.allclose(f.value_and_grad(X)[1], grad(lambda x: np.sum(model(x)))(X))
    assert "closes over model.beta, which has changed more than 8 times" in str(said[0].message)


def counter():
    state = [0]

    def f(x):
        state[0] += 1
        return np.sum(x) * state[0]

    return f


def generator():
    rng = np.random.default_rng(0)
    return lambda x: np.sum(x * rng.normal(size=4))


def shared():
    return lambda x: np.sum(x * np.random.rand())


def iterator():
    numbers = iter(range(100))
    return lambda x: np.sum(x) * next(numbers)


@pytest.mark.parametrize("make", [counter, generator, shared, iterator])
@pytest.mark.parametrize("given", [X, 2.0], ids=["array", "number"])
def test_what_every_call_counts_or_draws_is_refused(make, given):
    with pytest.raises(TraceError, match="computes something else at each call"):
        jit(make())(given)


def test_what_lies_beside_an_iterator_is_put_back():
    numbers, log, total = iter(range(100)), [], np.zeros(4)

    def f(x):
        log.append(next(numbers))
        total[0] += 1.0
        return np.sum(x)

    with pytest.raises(TraceError, match="iterator"):
        jit(f)(X)
    assert (log, total.tolist()) == ([], [0.0] * 4)


def test_one_trace_serves_all_calls():
    note, traces = recorder()

    @jit
    def f(x):
        note(1)
        return np.sum(x)

    for _ in range(3):
        assert f(X) == pytest.approx(X.sum())
    assert len(traces) == 2  # the trace, and the function itself beside its first run


def test_every_change_in_lists_of_lists_is_seen_and_equal_numbers_are_none():
    rows, (note, traces) = [[1.0, 2.0], [3.0, 4.0]], recorder()

    def of(x):
        note(None)
        return sum(x * w for row in rows for w in row)

    f = jit(of)
    assert f(2.0) == 20.0
    rows[1][0] = float("3")  # another object with the same number
    assert (f(2.0), f(3.0), len(traces)) == (20.0, 30.0, 2)
    for change in (
        lambda: rows[1].__setitem__(0, 5.0), lambda: rows[0].append(1.0), lambda: rows[1].pop(), rows.pop,
        lambda: rows.append([7.0]), lambda: rows.__setitem__(0, [8.0]),
    ):  # fmt: skip
        change()
        assert f(1.0) == sum(w for row in rows for w in row)


@pytest.mark.parametrize("flag", [True, False, np.True_])
def test_a_flag_is_what_it_is(flag):
    f = lambda x, on: np.sum(x) if on is True or isinstance(on, np.bool_) else np.sum(x) * 10  # noqa: E731
    assert jit(f)(X, flag) == pytest.approx(f(X, flag))


def test_a_method_is_compiled_for_each_object():
    class Scaled:
        def __init__(self, k):
            self.k = k

        @jit
        def __call__(self, x):
            return np.sum(x) * self.k

    one, two = Scaled(1.0), Scaled(2.0)
    assert two(X) == pytest.approx(2 * one(X))
    one.k = 3.0
    assert one(X) == pytest.approx(3 * X.sum())

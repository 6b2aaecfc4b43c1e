"""vmap against a loop over samples: every operation, gradients, axes, nesting, jit, and bad arguments."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.core.operations.test_table import SMOOTH, points
from tests.examples import CALLS, IDS, drawn
from tinygrad_edu.core.operation import ARRAY_TABLE
from tinygrad_edu.core.transforms import vmap as at_work
from tinygrad_edu.core.transforms.batch_rules import RULES
from tinygrad_edu.errors import DetachedError, OperandError, SettingError, ShapeError, TraceError

SAMPLES = 3
RNG = np.random.default_rng(0)


def batches(shapes):
    return [np.stack(xs) for xs in zip(*[drawn(shapes, seed=s) for s in range(SAMPLES)], strict=True)]


def leaves(y):
    return list(y) if isinstance(y, (list, tuple)) else [y]


def plain(y):
    return np.asarray(getattr(y, "data", y))


@pytest.mark.parametrize(("name", "call", "shapes"), CALLS, ids=IDS)
def test_every_operation_is_that_of_each_sample(name, call, shapes):
    arrays = batches(shapes)
    f = lambda *xs: tuple(leaves(call(tg.ops, *xs)))  # noqa: E731
    found = tg.vmap(f)(*arrays)
    each = [f(*map(tg.Tensor, [a[i] for a in arrays])) for i in range(SAMPLES)]
    for y, *expected in zip(found, *each, strict=True):
        np.testing.assert_allclose(y, np.stack([plain(e) for e in expected]), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("name", "call", "shapes"), CALLS, ids=IDS)
def test_gradients_for_each_sample(name, call, shapes):
    """The first argument is the same for all samples, as weights are."""
    arrays = batches(shapes)

    def loss(*xs):
        return sum(tg.ops.sum(tg.ops.sin(y)) for y in leaves(call(tg.ops, *xs)))

    shared = len(arrays) > 1
    first = arrays[0][0] if shared else arrays[0]
    found = tg.vmap(tg.grad(loss), in_axes=(None if shared else 0, *(0,) * (len(arrays) - 1)))(first, *arrays[1:])
    for i in range(SAMPLES):
        expected = tg.grad(loss)(first if shared else first[i], *[a[i] for a in arrays[1:]])
        np.testing.assert_allclose(found[i], expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("name", "call", "shapes"), CALLS[::8], ids=IDS[::8])
def test_a_pull_back_made_outside_takes_one_seed_for_each_sample(name, call, shapes):
    """All rows of a Jacobian at once: its graph is of whole arrays, and the seeds alone are samples."""
    arrays = drawn(shapes)
    y, pull = tg.vjp(lambda *xs: leaves(call(tg.ops, *xs))[-1], *arrays)
    seeds = RNG.normal(size=(SAMPLES, *np.shape(y)))
    found = tg.vmap(pull)(seeds)
    for g, *expected in zip(found, *[pull(seed) for seed in seeds], strict=True):
        assert type(g) is np.ndarray
        np.testing.assert_allclose(g, np.stack(expected), rtol=1e-10, atol=1e-12)


def test_pull_backs_in_vmaps_of_vmaps_in_programs_and_of_numbers():
    f, w, seeds = lambda w: np.tanh(np.outer(w, w)), np.array([0.3, -0.2, 0.9]), RNG.normal(size=(4, 3, 3))
    expected = np.stack([tg.vjp(f, w)[1](u)[0] for u in seeds])
    pull = tg.vjp(f, w)[1]
    twice = tg.vmap(tg.vmap(pull))(np.stack([seeds, seeds]))[0]
    np.testing.assert_allclose(twice, [expected] * 2, rtol=1e-10, atol=1e-13)
    inside = lambda w, seeds: tg.vmap(tg.vjp(f, w)[1])(seeds)[0]  # noqa: E731
    np.testing.assert_allclose(tg.jit(inside)(w, seeds), expected, rtol=1e-10, atol=1e-13)
    around = tg.vmap(lambda w: inside(w, seeds))(np.stack([w, w]))[1]
    np.testing.assert_allclose(around, expected, rtol=1e-10, atol=1e-13)
    total = lambda w: np.sum(inside(w, seeds) ** 2)  # noqa: E731
    assert tg.gradcheck(total, w)
    np.testing.assert_allclose(tg.vmap(tg.vjp(lambda a: a**3, 2.0)[1])(np.array([1.0, 2.0]))[0], [12.0, 24.0])


@pytest.mark.parametrize("row", SMOOTH.values(), ids=SMOOTH)
def test_every_elementwise_operation(row):
    x = next(points(row, size=SAMPLES))
    free = [v for v in x if np.ndim(v)]

    def f(*values):
        given = iter(values)
        return row(*[next(given) if np.ndim(p) else p for p in x])

    np.testing.assert_allclose(tg.vmap(f)(*free), f(*free), rtol=1e-13)
    slope = tg.vmap(tg.grad(f))(*free)
    np.testing.assert_allclose(slope, tg.grad(lambda *v: tg.ops.sum(f(*v)))(*free), rtol=1e-12, atol=1e-14)


def test_every_rule_is_of_an_operation():
    assert RULES.keys() <= ARRAY_TABLE.keys()


def network(weights, x):
    return tg.ops.sum(tg.ops.tanh(x @ weights["W"] + weights["b"]) @ weights["v"])


WEIGHTS = {"W": RNG.normal(size=(4, 5)), "b": RNG.normal(size=5), "v": RNG.normal(size=5)}
X = RNG.normal(size=(6, 4))


def test_gradients_of_a_network_for_each_sample_in_one_pass():
    calls = []

    def counted(weights, x):
        calls.append(x.shape)
        return network(weights, x)

    found = tg.vmap(tg.grad(counted), in_axes=(None, 0))(WEIGHTS, X)
    assert calls == [(4,)]
    for name, w in WEIGHTS.items():
        assert found[name].shape == (6, *w.shape)
        for i in range(6):
            np.testing.assert_allclose(found[name][i], tg.grad(network)(WEIGHTS, X[i])[name], rtol=1e-12)


def test_a_model_that_it_closes_over():
    model = tg.nn.MLP([4, 5, 1], seed=0)
    y = tg.vmap(lambda x: model(x).sum())(X)
    assert isinstance(y, tg.Tensor)
    np.testing.assert_allclose(y.data, model(X).data[:, 0], rtol=1e-12)
    y.sum().backward()
    got = [p.grad for p in model.parameters()]
    model.zero_grad()
    model(X).sum().backward()
    for a, p in zip(got, model.parameters(), strict=True):
        np.testing.assert_allclose(a, p.grad, rtol=1e-12, atol=1e-14)


def test_axes():
    a, b = RNG.normal(size=(4, 3)), RNG.normal(size=(3, 5))
    f = lambda u, v: tg.ops.outer(u, v)  # noqa: E731
    expected = np.stack([np.outer(a[:, i], b[i]) for i in range(3)])
    np.testing.assert_allclose(tg.vmap(f, in_axes=(1, 0))(a, b), expected)
    np.testing.assert_allclose(tg.vmap(f, in_axes=(-1, 0), out_axes=2)(a, b), np.moveaxis(expected, 0, 2))
    found = tg.vmap(lambda p: p["x"] * p["k"], in_axes=({"x": 0, "k": None},))({"x": a, "k": b[0, :3]})
    np.testing.assert_allclose(found, a * b[0, :3])
    assert tg.vmap(lambda x: 2.0)(a).tolist() == [2.0] * 4
    assert tg.vmap(lambda x, k: x * k, in_axes=(0, None))(a, 2.0).shape == (4, 3)
    assert tg.vmap(lambda x: x * 2.0)(np.ones((0, 3))).shape == (0, 3)
    assert tg.vmap(lambda x: x * 2.0)(np.ones((2, 3), np.float32)).dtype == np.float32


def test_nested():
    a, b = RNG.normal(size=(3, 4)), RNG.normal(size=(2, 4))
    products = tg.vmap(tg.vmap(lambda u, v: tg.ops.sum(u * tg.ops.sin(v)), in_axes=(None, 0)), in_axes=(0, None))
    np.testing.assert_allclose(products(a, b), a @ np.sin(b).T, rtol=1e-12)
    np.testing.assert_allclose(
        tg.vmap(lambda x: tg.vmap(lambda y: y * x.sum())(x))(a), a * a.sum(axis=1, keepdims=True), rtol=1e-12
    )


def test_a_gradient_through_vmap_and_a_hessian_inside():
    f = lambda x: tg.ops.sum(tg.vmap(lambda row: tg.ops.sum(row) ** 3)(x))  # noqa: E731
    x = RNG.normal(size=(3, 2))
    assert tg.gradcheck(f, x)
    assert tg.gradcheck(tg.grad(f), x)
    g = lambda row: row[0] ** 3 * row[1]  # noqa: E731
    found = tg.vmap(lambda row: tg.grad(lambda r: tg.ops.sum(tg.grad(g)(r) * row))(row))(x)
    for i in range(3):
        np.testing.assert_allclose(found[i], tg.hessian(g)(x[i]) @ x[i], rtol=1e-10)


def test_one_that_looks_at_numbers_runs_sample_by_sample():
    f = lambda x: tg.ops.sum(x * 2.0) if x[0] > 0.0 else tg.ops.max(np.sort(x))  # noqa: E731
    x = RNG.normal(size=(5, 3))
    np.testing.assert_allclose(tg.vmap(f)(x), [f(row) for row in x], rtol=1e-12)
    found = tg.vmap(tg.grad(lambda x: tg.ops.prod(x)))(x)
    np.testing.assert_allclose(found, [np.prod(row) / row for row in x], rtol=1e-12)
    assert tg.vmap(lambda x: x.item() + 1.0)(np.array([1.0, 2.0])).tolist() == [2.0, 3.0]


def test_labels_and_other_indices_of_samples():
    z, labels = RNG.normal(size=(5, 4)), np.array([0, 3, 1, 1, 2])
    loss = lambda z, label: -tg.ops.log_softmax(z)[label]  # noqa: E731
    expected = -np.take_along_axis(tg.ops.log_softmax(z), labels[:, None], 1)[:, 0]
    np.testing.assert_allclose(tg.vmap(loss)(z, labels), expected, rtol=1e-12)
    found = tg.vmap(tg.grad(loss))(z, labels)
    np.testing.assert_allclose(found, tg.ops.softmax(z) - np.eye(4)[labels], rtol=1e-12, atol=1e-14)


def test_compiled():
    """One program for any number of samples."""
    compiled = tg.jit(lambda w, x: tg.vmap(network, in_axes=(None, 0))(w, x))
    gradients = tg.jit(lambda w, x: tg.vmap(tg.grad(network), in_axes=(None, 0))(w, x))
    for n in (6, 2, 5):
        x = X[:n]
        np.testing.assert_allclose(compiled(WEIGHTS, x), [network(WEIGHTS, row) for row in x], rtol=1e-12)
        found, expected = gradients(WEIGHTS, x), tg.vmap(tg.grad(network), in_axes=(None, 0))(WEIGHTS, x)
        for name, w in expected.items():
            np.testing.assert_allclose(found[name], w, rtol=1e-12)
    assert sum(map(len, compiled.arrays.programs.values())) == 1
    assert sum(map(len, gradients.arrays.programs.values())) == 1


def test_compiled_inside():
    f = tg.jit(lambda x: tg.ops.sum(tg.ops.tanh(x) ** 2))
    x = RNG.normal(size=(4, 3))
    np.testing.assert_allclose(tg.vmap(f)(x), [f(row) for row in x], rtol=1e-12)


def test_what_looks_at_numbers_is_refused_under_jit():
    with pytest.raises(TraceError, match=r"vmap of a function that looks at numbers .* tg\.ops\.where"):
        tg.jit(lambda x: tg.vmap(lambda row: row.sum() if row[0] > 0.0 else row.sum() * 2.0)(x))(np.ones((3, 2)))


BAD = [
    (lambda: tg.vmap(lambda a, b: a + b)(np.ones(3), np.ones(4)), ShapeError, "have 3, 4 samples"),
    (lambda: tg.vmap(lambda a, b: a, in_axes=(0,))(np.ones(3), 1.0), SettingError, "1 entries, .* 2 arguments"),
    (lambda: tg.vmap(lambda a: a)(1.0), SettingError, r"axis 0 cannot count .* shape \(\); None is for"),
    (lambda: tg.vmap(lambda a: a, in_axes=None)(np.ones(3)), SettingError, "names no axis"),
    (lambda: tg.vmap(lambda a: a, in_axes=2)(np.ones((3, 2))), SettingError, "axis 2 cannot count"),
    (lambda: tg.vmap(lambda a: "text")(np.ones(3)), OperandError, "returns str"),
    (lambda: tg.vmap(lambda a: None)(np.ones(3)), OperandError, "returns NoneType"),
    (lambda: tg.vmap(lambda a: a @ np.ones(5))(np.ones((3, 4))), ShapeError, "4"),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD, ids=[m for *_, m in BAD])
def test_bad_arguments_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_an_error_leaves_nothing_behind():
    with pytest.raises(ZeroDivisionError):
        tg.vmap(lambda x: 1 / 0)(np.ones(3))
    assert at_work.LEVELS.open == []
    assert tg.Tensor([1.0]).sum().item() == 1.0


def test_each_result_has_its_own_axis():
    x = np.arange(6.0).reshape(3, 2)
    a, b = tg.vmap(lambda row: (row * 2.0, row.sum() * row), out_axes=(0, 1))(x)
    np.testing.assert_array_equal(a, 2.0 * x)
    np.testing.assert_array_equal(b, (x.sum(1, keepdims=True) * x).T)
    found = tg.vmap(lambda row, w: {"y": (row * w, row), "w": w * 2.0}, (0, None), {"y": (1, 0), "w": None})(
        x, np.ones(2)
    )
    np.testing.assert_array_equal(found["y"][0], x.T)
    np.testing.assert_array_equal(found["w"], [2.0, 2.0])
    one_by_one = tg.vmap(lambda row: (row * 2.0 if row[0] > 1 else row, row), out_axes=(1, 0))(x)
    np.testing.assert_array_equal(one_by_one[0], np.where(x[:, :1] > 1, 2 * x, x).T)


@pytest.mark.parametrize("out_axes", [(0, 1), {"a": 0}, (0, (1, 1)), None])
def test_out_axes_that_do_not_fit_are_named(out_axes):
    with pytest.raises(SettingError, match="out_axes"):
        tg.vmap(lambda row: row, out_axes=out_axes)(np.ones((3, 2)))


def fill_a_tensor(row):
    y = tg.Tensor(np.zeros(3))
    y[0], y[1:] = row[0] * 2.0, row[1:]
    return y


def fill_an_array(row):
    y = np.zeros(3)
    y[0], y[2] = row[0], row[1]
    return y


def write_over(row):
    y = row * 1.0
    y[0] = 5.0
    return y


def write_over_the_sample(row):
    row[0] = 5.0
    return row


def read_as_plain(row):
    return np.asarray(row) * float(row[0])


@pytest.mark.parametrize("f", [fill_a_tensor, fill_an_array, write_over, write_over_the_sample, read_as_plain])
def test_functions_that_write(f):
    """They run sample by sample."""
    x = np.arange(1.0, 7.0).reshape(2, 3)
    found = tg.vmap(f)(x)
    assert np.array_equal(x, np.arange(1.0, 7.0).reshape(2, 3))
    assert type(found) is np.ndarray
    np.testing.assert_array_equal(found, [f(row.copy()) if f is not fill_a_tensor else f(row).data for row in x])


def test_gradients_of_functions_that_write():
    x = np.arange(1.0, 7.0).reshape(2, 3)
    for f in (fill_a_tensor, write_over):
        each = tg.vmap(tg.grad(lambda row, f=f: (f(row) ** 2).sum()))(x)
        np.testing.assert_allclose(each, [tg.grad(lambda row, f=f: (f(row) ** 2).sum())(row) for row in x])
    with pytest.raises(DetachedError, match=r"out\[i\] = x"):
        tg.grad(lambda row: fill_an_array(row).sum())(x[0])


def test_what_cannot_be_written_into_an_array_says_what_to_do():
    def fill(x):
        out = np.zeros(2)
        out[0] = x[0]
        return out

    with pytest.raises(DetachedError, match=r"To fill an array make it a Tensor"):
        tg.vmap(fill)(tg.Tensor(np.ones((3, 2)), requires_grad=True))


def test_a_sample_in_another_thread_is_refused():
    def f(x):
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(lambda: np.sum(np.tanh(x))).result()

    with pytest.raises(TraceError, match="only in the thread that runs vmap"):
        tg.vmap(f)(np.ones((2, 3)))
    kept = []
    tg.vmap(lambda x: kept.extend(iter((x,))) or x * 2.0)(np.ones((2, 3)))
    assert [isinstance(x, np.ndarray) for x in kept] == [True, True]

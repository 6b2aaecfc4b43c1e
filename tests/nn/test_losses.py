"""Losses: against scikit-learn and a published case; reductions and weights; compiled; what is refused."""

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu import Tensor, Value, nn, ops
from tinygrad_edu.errors import DtypeError, NameNotFoundError, OperandError, SettingError, ShapeError, TraceError
from tinygrad_edu.nn.losses import LOSSES

N, WIDTH = 6, 3
OF_ROWS = [name for name, loss in LOSSES.items() if loss.takes_class_numbers]
ENTRIES = [name for name in LOSSES if name not in OF_ROWS]
REDUCTIONS = ["mean", "sum", "none"]
each_loss = pytest.mark.parametrize("name", LOSSES)
each_reduction = pytest.mark.parametrize("reduction", REDUCTIONS)


def problem(name, rng, samples=N):
    """Predictions and targets that the loss takes."""
    p = rng.normal(0.0, 2.0, (samples, WIDTH))
    t = rng.uniform(0.1, 0.9, (samples, WIDTH))
    if name == "bce":
        p = rng.uniform(0.1, 0.9, (samples, WIDTH))
    if name == "hinge":
        t = rng.choice([-1.0, 1.0], (samples, WIDTH))
    return (p, t / t.sum(axis=1, keepdims=True)) if name in OF_ROWS else (p, t)


def as_values(array):
    return np.vectorize(Value, otypes=[object])(array)


def plain(y):
    if isinstance(y, np.ndarray) and y.dtype.kind == "O":
        return np.vectorize(lambda v: v.data, otypes=[float])(y)
    return y.data if isinstance(y, (Value, Tensor)) else np.asarray(y)


def gradient(f, p):
    """(f(p), d Σ f / d p) on Tensors."""
    x = Tensor(p, requires_grad=True)
    y = f(x)
    y.sum().backward()
    return y.data, x.grad


def close(a, b, rtol=1e-12):
    np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-14)


# compared with other implementations

WEIGHTS = [None, np.array([1.0, 0.0, 2.0, 0.5, 3.0, 1.0])]


@pytest.mark.parametrize("weight", WEIGHTS, ids=["plain", "weighted"])
def test_scikit_learns_metrics(weight):
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    p, t = rng.normal(size=(N, WIDTH)), rng.normal(size=(N, WIDTH))
    labels, proba = rng.integers(0, 2, N), rng.uniform(0.01, 0.99, N)
    z, classes = rng.normal(size=(N, WIDTH)), np.array([0, 1, 2, 0, 1, 2])
    score, signs = rng.normal(size=N), 2 * labels - 1
    logit = np.log(proba / (1.0 - proba))
    pairs = [
        (nn.losses.mse(p, t, sample_weight=weight), metrics.mean_squared_error(t, p, sample_weight=weight)),
        (nn.losses.mae(p, t, sample_weight=weight), metrics.mean_absolute_error(t, p, sample_weight=weight)),
        (nn.losses.bce(proba, labels, sample_weight=weight), metrics.log_loss(labels, proba, sample_weight=weight)),
        (
            nn.losses.bce_with_logits(logit, labels, sample_weight=weight),
            metrics.log_loss(labels, proba, sample_weight=weight),
        ),
        (
            nn.losses.cross_entropy(z, classes, sample_weight=weight),
            metrics.log_loss(classes, ops.softmax(z), sample_weight=weight),
        ),
        (nn.losses.hinge(score, signs, sample_weight=weight), metrics.hinge_loss(signs, score, sample_weight=weight)),
    ]
    for ours, theirs in pairs:
        close(ours, theirs)


def test_poisson_is_half_the_deviance_up_to_what_no_prediction_changes():
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(1)
    z, t = rng.normal(size=N), rng.integers(1, 9, N) * 1.0
    theirs = 0.5 * metrics.mean_poisson_deviance(t, np.exp(z))
    close(nn.losses.poisson(z, t) + np.mean(t * np.log(t) - t), theirs)


# The delta rule on AND: outputs for the inputs 11, 00 and 01, published in the question (case 6)

INPUTS = np.array([[1.0, 1.0], [0.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
AND = np.array([[1.0], [0.0], [0.0], [0.0]])
WITHOUT = [0.9666565909058419, 2.05087653022386e-5, 0.023803593411627456]
WITH = [0.8446651307271656, 0.004030424878725242, 0.129178264332045]


def trained(gradient, steps):
    """The outputs of a unit whose weight for the constant input begins at -2, the others at 0."""
    W, X = np.array([[0.0], [0.0], [-2.0]]), np.column_stack([INPUTS, np.ones(4)])
    for _ in range(steps):
        W = W - 0.021 * gradient(W, X)
    return 1.0 / (1.0 + np.exp(-(X @ W)[:3, 0]))


def on_values(loss):
    def slope(W, X):
        values = as_values(W)
        loss(X @ values).backward()
        return np.vectorize(lambda v: v.grad, otypes=[float])(values)

    return slope


@pytest.mark.slow
@pytest.mark.parametrize(
    ("loss", "outputs"),
    [
        (lambda z: nn.losses.delta_rule(z, AND, reduction="sum"), WITHOUT),
        (lambda z: 0.5 * nn.losses.mse(ops.sigmoid(z), AND, reduction="sum"), WITH),
    ],
    ids=["without the slope", "with the slope"],
)
def test_the_delta_rule_gives_the_published_outputs(loss, outputs):
    compiled = tg.jit(lambda W, X: loss(X @ W), accurate=True)
    close(trained(lambda *x: compiled.value_and_grad(*x)[1], 10_000), outputs, 1e-11)
    eager = trained(tg.grad(lambda W, X: loss(X @ W)), 500)
    close(trained(lambda *x: compiled.value_and_grad(*x)[1], 500), eager, 1e-12)
    close(trained(on_values(loss), 500), eager, 1e-12)


# Reductions and weights


@each_loss
@each_reduction
def test_reductions_and_back_ends(name, reduction):
    """Tensors, arrays and arrays of Values; "mean" and "sum" are those of "none"."""
    p, t = problem(name, np.random.default_rng(2))
    loss = functools.partial(LOSSES[name], reduction=reduction)
    y, g = gradient(lambda x: loss(x, t), p)
    values = as_values(p)
    v = loss(values, t)
    (ops.sum(v) if reduction == "none" else v).backward()
    each = LOSSES[name](p, t, reduction="none")
    assert each.shape == ((N,) if name in OF_ROWS else (N, WIDTH))
    close(y, {"mean": each.mean(), "sum": each.sum(), "none": each}[reduction])
    close(plain(v), y)
    close(np.vectorize(lambda v: v.grad, otypes=[float])(values), g)
    close(loss(p, t), y)


@each_loss
@given(weights=st.lists(st.integers(0, 3), min_size=N, max_size=N).filter(any), seed=st.integers(0, 99))
@settings(derandomize=True, deadline=None, max_examples=15)
def test_a_weight_of_n_is_n_samples(name, weights, seed):
    p, t = problem(name, np.random.default_rng(seed))
    for reduction in ("mean", "sum"):
        loss = functools.partial(LOSSES[name], reduction=reduction)
        repeated = loss(np.repeat(p, weights, axis=0), np.repeat(t, weights, axis=0))
        y, g = gradient(lambda x, loss=loss: loss(x, t, sample_weight=weights), p)
        close(y, repeated)
        v = loss(as_values(p), t, sample_weight=weights)
        close(v.data, repeated)
        assert not g[np.array(weights) == 0].any()


@each_loss
def test_weights_of_one_change_nothing_and_their_scale_nothing_either(name):
    p, t = problem(name, np.random.default_rng(3))
    w = np.random.default_rng(4).uniform(0.1, 2.0, N)
    close(LOSSES[name](p, t, sample_weight=np.ones(N)), LOSSES[name](p, t))
    close(LOSSES[name](p, t, sample_weight=7.0 * w), LOSSES[name](p, t, sample_weight=w))
    each = LOSSES[name](p, t, reduction="none")
    w_each = np.random.default_rng(5).uniform(0.1, 2.0, each.shape)
    close(LOSSES[name](p, t, sample_weight=w_each), np.average(each, weights=w_each))


@each_loss
def test_float32_stays_float32(name):
    p, t = problem(name, np.random.default_rng(6))
    x = Tensor(p.astype(np.float32), requires_grad=True)
    y = LOSSES[name](x, t, sample_weight=np.ones(N))
    y.backward()
    assert y.dtype == x.grad.dtype == np.float32
    np.testing.assert_allclose(y.item(), LOSSES[name](p, t), rtol=1e-5)


def test_single_numbers_and_lists():
    v = Value(0.5)
    nn.losses.huber(v, 3.0, delta=2.0).backward()
    assert v.grad == -2.0
    assert float(nn.losses.mse(1.0, 3.0)) == 4.0
    a, b = Value(1.0), Value(-1.0)
    nn.losses.hinge([a, b], [1, 1], sample_weight=[1, 3]).backward()
    assert (a.grad, b.grad) == (0.0, -0.75)


def test_a_loss_is_found_by_its_name_everywhere():
    import pickle

    for name, loss in LOSSES.items():
        assert getattr(ops, name) is getattr(nn.losses, name) is loss
        assert pickle.loads(pickle.dumps(loss)) is loss
        assert name in repr(loss)


def test_saturated_probabilities_cost_100_and_still_have_a_slope():
    y, g = gradient(lambda p: nn.losses.bce(p, [1.0, 0.0, 1.0], reduction="none"), np.array([0.0, 1.0, 1.0]))
    close(y, [100.0, 100.0, 0.0])
    close(g, [-1e12, 1e12, 0.0])


# Compiled


@each_loss
@each_reduction
def test_compiled_losses_agree(name, reduction):
    p, t = problem(name, np.random.default_rng(7))
    f = tg.jit(lambda z, t: LOSSES[name](z, t, reduction=reduction).sum())
    y, g = gradient(lambda x: LOSSES[name](x, t, reduction=reduction), p)
    value, slope = f.value_and_grad(p, t)
    close(value, y.sum())
    close(slope, g)


@pytest.mark.parametrize("given", ["as an argument", "closed over"])
@pytest.mark.parametrize("name", ["mse", "cross_entropy"])
def test_compiled_weights(name, given):
    p, t = problem(name, np.random.default_rng(8))
    w = np.random.default_rng(9).uniform(0.1, 2.0, N)
    if given == "as an argument":
        value, slope = tg.jit(lambda z, t, w: LOSSES[name](z, t, sample_weight=w)).value_and_grad(p, t, w)
    else:
        value, slope = tg.jit(lambda z, t: LOSSES[name](z, t, sample_weight=w)).value_and_grad(p, t)
    y, g = gradient(lambda x: LOSSES[name](x, t, sample_weight=w), p)
    close(value, y)
    close(slope, g)


def test_compiled_programs_serve_every_batch_size():
    f = tg.jit(lambda z, t: nn.losses.huber(z, t, delta=0.7))
    for samples in (5, 2, 9):
        p, t = problem("huber", np.random.default_rng(samples), samples)
        y, g = gradient(lambda x, t=t: nn.losses.huber(x, t, delta=0.7), p)
        value, slope = f.value_and_grad(p, t)
        close(value, y)
        close(slope, g)
    assert len(next(iter(f.arrays.programs.values()))) == 1


@pytest.mark.slow
def test_compiled_scalars():
    f = tg.jit(lambda p, t: nn.losses.huber([p], [t]))
    assert f.value_and_grad(3.0, 0.5) == (2.0, 1.0)


@pytest.mark.parametrize("given", ["as an argument", "closed over"])
def test_compiled_classes(given):
    z, labels = np.random.default_rng(10).normal(size=(4, 3)), np.array([0, 1, 2, 0])
    f = tg.jit(lambda z, t: nn.losses.cross_entropy(z, t if given == "as an argument" else labels))
    y, g = gradient(lambda x: nn.losses.cross_entropy(x, labels), z)
    value, slope = f.value_and_grad(z, labels)
    close(value, y)
    close(slope, g)


def test_compiled_classes_that_are_no_integers_are_refused():
    with pytest.raises(TraceError, match="needs an array of integers"):
        tg.jit(nn.losses.cross_entropy)(np.zeros((4, 3)), np.zeros(4))


# What is refused

P = np.full((3, 2), 0.5)
T = np.ones((3, 2))
BAD_TARGETS = [  # (losses, prediction, target, error, a part of its text)
    (ENTRIES, P, T[:2], ShapeError, r"prediction \(3, 2\) and target \(2, 2\) differ"),
    (ENTRIES, P, T.ravel(), ShapeError, r"Did you mean target\.reshape\(3, 2\)"),
    (ENTRIES, P, np.array([[1.0, np.nan], [1, 1], [1, 1]]), SettingError, r"target nan at index \(0, 1\)"),
    (ENTRIES, P, np.array([[1.0, 1.0], [np.inf, 1], [1, 1]]), SettingError, r"target inf at index \(1, 0\)"),
    (ENTRIES, P, [["a", "b"]] * 3, DtypeError, "targets are real numbers"),
    (ENTRIES, P, [[1.0, 2.0], [1.0]], ShapeError, "differ in length"),
    (LOSSES, np.zeros((0, 2)), np.zeros((0, 2)), ShapeError, r"mean of no numbers.*\(0, 2\)"),
    (["bce", "bce_with_logits", "delta_rule"], P, -T, SettingError, r"target -1\.0 at index \(0, 0\).*use hinge"),
    (["hinge"], P, [[0, 1]] * 3, SettingError, r"target 0 at .*neither -1 nor 1.*2\*target - 1"),
    (["hinge"], P, 3.0 * T, SettingError, r"target 3\.0 at index \(0, 0\)"),
    (["cross_entropy"], P, [0, 1, 2], SettingError, r"class 2 is outside 0\.\.1"),
    (["cross_entropy"], P, [0, -1, 1], SettingError, "class -1 is outside"),
    (["cross_entropy"], P, [0, 1], ShapeError, r"need integer classes of shape \(3,\)"),
    (["cross_entropy"], P, [0.0, 1.0, 1.0], ShapeError, "dtype float64"),
    (["cross_entropy"], P, np.full((3, 2), np.nan), SettingError, "target nan"),
    (["cross_entropy"], P, ["a", "b", "a"], DtypeError, "real numbers, not <U1"),
]


@pytest.mark.parametrize("make", [Tensor, as_values, lambda p: p], ids=["Tensor", "Values", "array"])
@pytest.mark.parametrize(
    ("name", "p", "t", "error", "text"), [(name, *rest) for names, *rest in BAD_TARGETS for name in names]
)
def test_targets_are_refused(name, p, t, error, text, make):
    with pytest.raises(error, match=f"(?s){text}"):
        LOSSES[name](make(p), t)


@pytest.mark.parametrize("make", [Tensor, lambda p: p], ids=["Tensor", "array"])
def test_logits_are_no_probabilities(make):
    with pytest.raises(SettingError, match="prediction lies between 2 and 2: give logits to bce_with_logits"):
        nn.losses.bce(make(2.0 * T), T)


BAD_SETTINGS = [
    ({"reduction": "avg"}, NameNotFoundError, "unknown reduction 'avg'. .*Known: batchmean, mean, none, sum"),
    ({"sample_weight": [1.0, 2.0]}, ShapeError, r"sample_weight has shape \(2,\).* \(3,\), for each entry \(3, 2\)"),
    ({"sample_weight": 2.0}, ShapeError, r"sample_weight has shape \(\)"),
    ({"sample_weight": [1.0, -2.0, 1.0]}, SettingError, "between -2 and 1"),
    ({"sample_weight": [0.0, 0.0, 0.0]}, SettingError, "at least one must be above 0"),
    ({"sample_weight": [1.0, np.nan, 1.0]}, SettingError, "finite"),
    ({"sample_weight": ["a", "b", "c"]}, DtypeError, "weights are real numbers"),
    ({"delta": 0.0}, SettingError, r"huber\(delta=0\.0\)"),
    ({"delta": np.nan}, SettingError, r"huber\(delta=nan\)"),
]


@pytest.mark.parametrize(("options", "error", "text"), BAD_SETTINGS)
def test_settings_are_refused(options, error, text):
    with pytest.raises(error, match=text):
        nn.losses.huber(P, T, **options)


def test_nan_in_a_prediction_shows_in_the_loss():
    """A loss is where a bad run becomes visible, so NaN goes through; `detect_anomaly` finds where it began."""
    assert np.isnan(float(nn.losses.mse([np.nan], [0.0])))
    with tg.detect_anomaly(), pytest.raises(tg.errors.AnomalyError):
        nn.losses.mse(Tensor([np.nan], requires_grad=True), [0.0])


def test_the_two_back_ends_do_not_mix():
    with pytest.raises(OperandError):
        nn.losses.mse(Tensor([1.0]), [Value(1.0)])

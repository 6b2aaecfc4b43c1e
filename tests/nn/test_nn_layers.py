"""Dropout, normalization and embedding: one meaning on both back ends, in training and after it."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import Tensor, Value, nn, ops
from tinygrad_edu.errors import DtypeError, SettingError, ShapeError, TraceError
from tinygrad_edu.nn import BatchNorm, Dropout, Embedding, LayerNorm

BACK_ENDS = ["scalar", "tensor"]
both = pytest.mark.parametrize("backend", BACK_ENDS)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(1.0, 2.0, shape)


def plain(y):
    return np.vectorize(lambda v: v.data, otypes=[float])(y) if isinstance(y, np.ndarray) else y.data


def close(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)


def assert_twins(make, inputs, bend=ops.sin):
    """Outputs, gradients and state after each input are the same on both back ends."""
    scalar, tensor = (make(backend) for backend in BACK_ENDS)
    for x in inputs:
        y, z = scalar(x), tensor(x)
        close(plain(y), plain(z))
        for model, out in ((scalar, y), (tensor, z)):
            model.zero_grad()
            ops.sum(bend(out)).backward()
        for model in (scalar, tensor):
            assert model.state_dict().keys() == scalar.state_dict().keys()
        for name, g in tensor.gradients().items():
            close(scalar.gradients()[name], g)
        for name, w in tensor.state_dict().items():
            close(scalar.state_dict()[name], w)


# Training and use


def test_train_and_eval_reach_every_module():
    inner = nn.Sequential(nn.Linear(2, 2), Dropout(0.5))
    model = nn.Sequential(inner, BatchNorm(2), [nn.MLP([2, 3, 1], dropout=0.5)][0])
    places = [name for name, _ in model.named_modules()]
    assert places[:4] == ["", "layers.0", "layers.0.layers.0", "layers.0.layers.1"]
    assert places[-1] == "layers.2.dropout"
    assert all(module.training for _, module in model.named_modules())
    assert model.eval() is model
    assert not any(module.training for _, module in model.named_modules())
    assert model.train() is model
    assert all(module.training for _, module in model.named_modules())


# Dropout


@pytest.mark.parametrize("p", [0.0, 0.2, 0.5, 0.9])
def test_dropout_keeps_the_mean_and_drops_its_share(p):
    x = np.ones((200, 500))
    y = Dropout(p, rng=0)(x)
    standard_error = np.sqrt(p / (1.0 - p) / x.size)
    assert abs(np.mean(y == 0.0) - p) <= 5.0 * np.sqrt(p * (1.0 - p) / x.size)
    assert abs(y.mean() - 1.0) <= 5.0 * standard_error
    np.testing.assert_allclose(y[y != 0.0], 1.0 / (1.0 - p))


def test_dropout_gives_the_gradient_to_what_it_kept():
    x = Tensor(np.ones(50), requires_grad=True)
    y = Dropout(0.5, rng=3)(x)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, y.data)
    values = np.array([Value(1.0) for _ in range(50)])
    dropped = Dropout(0.5, rng=3)(values)
    np.testing.assert_array_equal(plain(dropped), y.data)


def test_dropout_draws_anew_and_is_still_after_eval():
    layer, x = Dropout(0.5, rng=0), np.ones(100)
    assert (layer(x) != layer(x)).any()
    np.testing.assert_array_equal(Dropout(0.5, rng=1)(x), Dropout(0.5, rng=1)(x))
    layer.eval()
    np.testing.assert_array_equal(layer(x), x)
    np.testing.assert_array_equal(layer([1, 2]), [1.0, 2.0])
    assert repr(layer) == "Dropout(p=0.5)"
    assert Dropout(0.5, rng=0)(Tensor(np.ones(9, np.float32))).dtype == np.float32


# Normalization


@pytest.mark.parametrize("layer", [LayerNorm, BatchNorm])
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("shape", [(4, 3), (2, 5, 3)])
def test_normalization_is_the_same_on_both_back_ends(layer, affine, shape):
    inputs = [normal(*shape, seed=seed) for seed in range(3)]
    assert_twins(
        lambda backend: nn.Sequential(
            nn.Linear(3, 3, rng=0, backend=backend), layer(3, affine=affine, backend=backend)
        ),
        inputs,
    )


@both
def test_layer_norm_is_its_formula(backend):
    layer, x = LayerNorm(4, eps=0.1, backend=backend), normal(5, 4)
    layer.load_state_dict({"weight": [1.0, 2.0, 3.0, 4.0], "bias": [0.5, 0.0, -0.5, 1.0]})
    expected = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 0.1)
    close(plain(layer(x)), expected * [1, 2, 3, 4] + [0.5, 0, -0.5, 1])
    close(plain(layer(x[0])), plain(layer(x))[0])
    assert list(LayerNorm(4, bias=False, backend=backend).state_dict()) == ["weight"]


@both
def test_batch_norm_follows_the_batches_and_then_stands_still(backend):
    layer, x = BatchNorm(2, momentum=0.25, backend=backend), normal(6, 2)
    y = plain(layer(x))
    np.testing.assert_allclose(y.mean(0), 0.0, atol=1e-12)
    np.testing.assert_allclose(y.std(0), 1.0, rtol=1e-4)
    state = layer.state_dict()
    close(state["running_mean"], 0.25 * x.mean(0))
    close(state["running_var"], 0.75 + 0.25 * x.var(0, ddof=1))
    layer.eval()
    expected = (x - state["running_mean"]) / np.sqrt(state["running_var"] + 1e-5)
    close(plain(layer(x)), expected)
    close(plain(layer(x[:1])), expected[:1])
    close(layer.state_dict()["running_mean"], state["running_mean"])


def test_buffers_are_kept_and_not_trained():
    layer = BatchNorm(3)
    assert [name for name, _ in layer.named_buffers()] == ["running_mean", "running_var"]
    assert [name for name, _ in layer.named_parameters()] == ["weight", "bias"]
    assert list(layer.gradients()) == ["weight", "bias"]
    assert list(layer.state_dict()) == ["weight", "bias", "running_mean", "running_var"]
    scalar = BatchNorm(3, backend="scalar")
    assert len(scalar.parameters()) == 6
    layer(normal(4, 3))
    scalar.load_state_dict(layer.state_dict())
    np.testing.assert_array_equal(scalar.state_dict()["running_var"], layer.state_dict()["running_var"])
    assert repr(layer) == (
        "BatchNorm: 6 parameters and 6 numbers that are not trained\n"
        "  weight: (3,)\n  bias: (3,)\n  running_mean: (3,), not trained\n  running_var: (3,), not trained"
    )


# Embedding


@both
def test_embedding_reads_rows_and_adds_their_gradients(backend):
    layer = Embedding(5, 2, rng=0, backend=backend)
    index = np.array([[3, 0], [3, 3]])
    y = layer(index)
    W = layer.state_dict()["weight"]
    np.testing.assert_array_equal(plain(y), W[index])
    ops.sum(y * np.arange(8.0).reshape(2, 2, 2)).backward()
    g = layer.gradients()["weight"]
    np.testing.assert_array_equal(g, [[2, 3], [0, 0], [0, 0], [0 + 4 + 6, 1 + 5 + 7], [0, 0]])
    # floats with integer values, as `fit` passes them
    np.testing.assert_array_equal(plain(layer([1.0, 4.0])), W[[1, 4]])
    assert layer(np.zeros((0, 3), int)).shape == (0, 3, 2)
    assert layer(2).shape == (2,)


@both
@pytest.mark.parametrize(
    ("index", "error", "text"),
    [
        ([0, 5], SettingError, r"index 5 is outside 0\.\.4: the table has 5 entries"),
        ([-1], SettingError, "index -1 is outside"),
        ([0.5], DtypeError, r"not float64 such as (np\.float64\()?0\.5"),
        ([np.nan], DtypeError, "nan"),
        (["a"], DtypeError, "'a'"),
        ([True], DtypeError, "bool"),
        ([[1, 2], [1]], ShapeError, "differ in length"),
    ],
)
def test_indices_are_refused(index, error, text, backend):
    with pytest.raises(error, match=text):
        Embedding(5, 2, backend=backend)(index)


# Models of them


@pytest.mark.parametrize(
    "settings", [{"norm": "layer"}, {"norm": "batch"}, {"dropout": 0.4}, {"norm": "batch", "dropout": 0.4}]
)
def test_an_mlp_of_them_is_the_same_on_both_back_ends(settings):
    inputs = [normal(6, 2, seed=seed) for seed in range(3)]
    assert_twins(lambda backend: nn.MLP([2, 5, 4, 1], seed=2, backend=backend, **settings), inputs)


def test_dropout_and_norm_leave_the_weights_as_they_begin():
    usual = nn.MLP([2, 4, 1], seed=5).state_dict()
    for settings in ({"dropout": 0.3}, {"norm": "batch"}):
        state = nn.MLP([2, 4, 1], seed=5, **settings).state_dict()
        for name, w in usual.items():
            np.testing.assert_array_equal(state[name], w)
    assert "norms.0.running_mean" in state
    model = nn.MLP([2, 4, 1], seed=5, dropout=0.3).eval()
    np.testing.assert_array_equal(model(np.ones((3, 2))).data, nn.MLP([2, 4, 1], seed=5)(np.ones((3, 2))).data)


def test_a_model_with_them_learns():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 2))
    y = (X[:, :1] * X[:, 1:] > 0.0) * 1.0
    model = nn.MLP([2, 24, 24, 1], "relu", seed=1, norm="batch", dropout=0.1)
    optimizer = tg.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(150):
        optimizer.zero_grad()
        nn.losses.bce_with_logits(model(X), y).backward()
        optimizer.step()
    assert np.mean((model.eval()(X).data > 0.0) == y) > 0.95


# Compiled


@pytest.mark.slow
def test_layer_norm_compiles():
    model = nn.Sequential(nn.Linear(3, 4, rng=0), LayerNorm(4), ops.mish, nn.Linear(4, 1, rng=1))
    x = normal(6, 3)
    loss = tg.jit(lambda x: ops.sum(ops.sin(model(x))))
    close(loss(x), ops.sum(ops.sin(model(x))).item())
    ops.sum(ops.sin(model(x))).backward()
    expected = model.gradients()
    model.zero_grad()
    loss.backward(x)
    for name, g in model.gradients().items():
        np.testing.assert_allclose(g, expected[name], rtol=1e-10, atol=1e-12)


def test_what_changes_at_every_step_is_not_compiled_in_training():
    x = normal(6, 3)
    for layer, reason in ((Dropout(0.5), "draws new numbers"), (BatchNorm(3), "running statistics")):
        with pytest.raises(TraceError, match=f"{type(layer).__name__} .*{reason}.* after eval.*tg.fit"):
            tg.jit(lambda x, layer=layer: layer(x))(x)


def test_embedding_compiles():
    layer, index = Embedding(5, 2, rng=0), np.array([3, 0, 3])
    f = tg.jit(lambda i: ops.sum(ops.sin(layer(i))))
    close(f.backward(index), ops.sum(ops.sin(layer(index))).item())
    expected = np.zeros((5, 2))
    np.add.at(expected, index, np.cos(layer.weight.data[index]))
    close(layer.weight.grad, expected)


def test_what_is_compiled_after_eval_sees_later_statistics():
    layer, x = BatchNorm(3), normal(6, 3)
    f = tg.jit(lambda x: layer(x))
    layer.eval()
    close(f(x), layer(x).data)
    layer.train()
    layer(x)
    layer.eval()
    close(f(x), layer(x).data)


# What is refused

REFUSED = [
    (lambda b: Dropout(1.0), SettingError, r"Dropout\(p=1\.0\)"),
    (lambda b: Dropout(-0.1), SettingError, r"Dropout\(p=-0\.1\)"),
    (lambda b: Dropout(np.nan), SettingError, "p=nan"),
    (lambda b: Dropout(0.5, rng="a"), SettingError, r"Dropout\(rng='a'\)"),
    (lambda b: LayerNorm(0, backend=b), SettingError, r"LayerNorm\(features=0\)"),
    (lambda b: LayerNorm(2, eps=-1.0, backend=b), SettingError, r"LayerNorm\(eps=-1\.0\)"),
    (lambda b: BatchNorm(2.0, backend=b), SettingError, r"BatchNorm\(features=2\.0\)"),
    (lambda b: BatchNorm(2, momentum=1.5, backend=b), SettingError, r"momentum=1\.5"),
    (lambda b: Embedding(0, 2, backend=b), SettingError, r"Embedding\(entries=0\)"),
    (lambda b: Embedding(2, 2, init="norml", backend=b), tg.errors.NameNotFoundError, "Did you mean 'normal'"),
    (lambda b: LayerNorm(3, backend=b)(normal(4, 2)), ShapeError, r"shape \(4, 2\).* must be 3 wide"),
    (lambda b: BatchNorm(3, backend=b)(normal(4, 2)), ShapeError, "must be 3 wide"),
    (lambda b: BatchNorm(3, backend=b)(normal(1, 3)), ShapeError, r"at least two samples.*\(1, 3\)"),
    (lambda b: BatchNorm(3, backend=b)(normal(0, 3)), ShapeError, r"at least two samples.*\(0, 3\)"),
    (lambda b: LayerNorm(2, backend=b)(["a", "b"]), DtypeError, "'a'"),
    (lambda b: LayerNorm(2, backend="gpu"), SettingError, "backend='gpu'"),
    (lambda b: BatchNorm(2, backend="scalar")(Tensor(normal(3, 2))), SettingError, "not a Tensor"),
]


@both
@pytest.mark.parametrize(("make", "error", "text"), REFUSED, ids=[text for *_, text in REFUSED])
def test_settings_and_inputs_are_refused(make, error, text, backend):
    with pytest.raises(error, match=f"(?s){text}"):
        make(backend)


@both
def test_a_refused_batch_leaves_the_statistics_alone(backend):
    layer = BatchNorm(3, backend=backend)
    before = layer.state_dict()
    with pytest.raises(ShapeError):
        layer(normal(1, 3))
    for name, w in layer.state_dict().items():
        np.testing.assert_array_equal(w, before[name])


@pytest.mark.parametrize("layer", [nn.ConvTranspose1d(1, 1, 2, padding=2), nn.ConvTranspose2d(1, 1, 2, padding=2)])
def test_a_transposed_convolution_whose_padding_leaves_nothing(layer):
    axes = layer.weight.ndim - 2
    for length in (1, 2, 3):
        with pytest.raises(ShapeError, match="and nothing is left"):
            layer(np.ones((3, 1, *[length] * axes)))
    assert layer(np.ones((3, 1, *[4] * axes))).shape == (3, 1, *[1] * axes)

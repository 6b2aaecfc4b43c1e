"""Every layer: the same on both back ends and compiled, right gradients, float32, checkpoints."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.compile.programs import without_numba
from tests.nn.layers import CASES, IDS, LAYERS, given, has_parameters, made, output
from tinygrad_edu import nn, ops
from tinygrad_edu.core.operation import TABLE
from tinygrad_edu.errors import DtypeError, SettingError, ShapeError
from tinygrad_edu.nn.activations import LAYERS as OF_ROWS
from tinygrad_edu.nn.activations import class_name, find_activation, is_activation
from tinygrad_edu.nn.lazy import LAYERS as LAZY

each_layer = pytest.mark.parametrize(("name", "i"), CASES, ids=IDS)
HOLDERS = {"Module", "ModuleDict", "ModuleList", "Sequential"}  # containers of other layers


def weigh(y):
    """One number, in which every entry counts differently."""
    y = output(y)
    return ops.sum(ops.sin(y) * np.cos(np.arange(np.size(y) * 1.0)).reshape(np.shape(y)))


def plain(x):
    return x.data if isinstance(x, tg.Tensor) else x


def numbers_of(y):
    y = plain(output(y))
    return np.vectorize(lambda v: v.data, otypes=[float])(y) if y.dtype.kind == "O" else y


def test_every_layer_has_an_example():
    layers = {name for name in nn.__all__ if isinstance(getattr(nn, name), type)}
    assert layers - HOLDERS - LAZY.keys() == LAYERS.keys()


@each_layer
def test_both_back_ends_are_the_same(name, i):
    x = given(name, i)
    tensor = made(name, i)
    y = tensor(x)
    if not has_parameters(name):
        return
    scalar = made(name, i, backend="scalar")
    z = scalar(x)
    np.testing.assert_allclose(numbers_of(z), numbers_of(y), rtol=1e-12, atol=1e-13)
    weigh(y).backward()
    weigh(z).backward()
    for place, g in scalar.gradients().items():
        np.testing.assert_allclose(g, tensor.gradients()[place], rtol=1e-11, atol=1e-12)


@each_layer
def test_gradients_are_those_of_central_differences(name, i):
    layer, x = made(name, i), given(name, i)
    if name != "Embedding":
        assert tg.gradcheck(lambda x: weigh(layer(x)), x)
    state = layer.state_dict()
    if name.startswith("BatchNorm"):
        layer.eval()
    for p in [p for p in layer.parameters() if p.size < 40]:

        def f(w, p=p):
            p.data = w
            return float(plain(weigh(layer(x))))

        layer.zero_grad()
        weigh(layer(x)).backward()
        start, h, wanted = p.data.copy(), 1e-6, p.grad
        for index in list(np.ndindex(*p.shape))[:6]:
            step = np.zeros(p.shape)
            step[index] = h
            found = (f(start + step) - f(start - step)) / (2.0 * h)
            np.testing.assert_allclose(wanted[index] if wanted is not None else 0.0, found, rtol=2e-6, atol=2e-7)
        p.data = start
    layer.load_state_dict(state)


@each_layer
def test_compiled_is_the_same(name, i):
    layer, x = made(name, i).eval(), given(name, i)
    with without_numba():
        y, expected = tg.jit(lambda x: weigh(layer(x)))(x), weigh(layer(x))
    np.testing.assert_allclose(y, plain(expected), rtol=1e-10, atol=1e-11)


@each_layer
def test_second_derivatives(name, i):
    layer, x = made(name, i).eval(), given(name, i)
    if name not in ("Embedding", "MaxPool1d", "MaxPool2d") and name in list(LAYERS)[:20]:
        assert tg.taylor_slope(tg.grad(lambda x: weigh(layer(x))), x) >= 1.8


@each_layer
def test_float32_is_asked_for_by_dtype(name, i):
    x = given(name, i)
    layers = [made(name, i).astype("float32")]
    if has_parameters(name):
        layers += [made(name, i, dtype="float32"), made(name, i, dtype=np.float32)]
    for layer in layers:
        arrays = [*dict(layer.named_arrays()).values(), *dict(layer.named_buffers()).values()]
        assert all(a.dtype == np.float32 for a in arrays)
        if arrays:
            y = output(layer(x))
            assert y.dtype == np.float32
            ops.sum(y).backward()
            assert all(p.grad is None or p.grad.dtype == np.float32 for p in layer.parameters())
            np.testing.assert_allclose(plain(y), plain(output(made(name, i)(x))), rtol=1e-4, atol=1e-5)
    if has_parameters(name):
        assert made(name, i, dtype="float32").astype(float).parameters()[0].dtype == np.float64
        with pytest.raises(DtypeError):
            made(name, i, backend="scalar", dtype="float32")


@each_layer
def test_a_checkpoint_brings_it_back(name, i, tmp_path):
    layer, x = made(name, i), given(name, i)
    layer(x)  # changes running statistics
    layer.save(tmp_path / "layer.safetensors")
    other = made(name, i)
    for p in other.parameters():
        p.data = p.data + 1.0
    other.load(tmp_path / "layer.safetensors")
    np.testing.assert_array_equal(numbers_of(other.eval()(x)), numbers_of(layer.eval()(x)))


@each_layer
def test_it_prints(name, i):
    assert repr(made(name, i)).startswith(name)


WRONG = [name for name in list(LAYERS)[:24] if name not in ("Flatten", "MaxPool1d", "AvgPool1d", "MLP", "Elman")]


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_shape_is_refused_by_name(name):
    with pytest.raises(ShapeError):
        made(name)(np.ones((2, 7)) if name not in ("MaxPool2d", "AvgPool2d", "AdaptiveAvgPool2d") else np.ones(3))


# One class for each activation row


@pytest.mark.parametrize("row", [row.name for row in TABLE.values() if is_activation(row)])
def test_every_activation_row_is_a_layer(row):
    kind = getattr(nn, class_name(row))
    x = np.linspace(0.1, 0.9, 7)
    defaults = TABLE[row].defaults
    np.testing.assert_array_equal(kind(*defaults)(x), TABLE[row](x, *defaults))
    assert find_activation(kind()) is TABLE[row]
    assert find_activation(kind) is find_activation(TABLE[row]) is TABLE[row]
    assert nn.MLP([2, 3, 1], activation=kind()).activation is TABLE[row]
    assert OF_ROWS[class_name(row)] is kind


def test_settings_of_activations():
    assert nn.LeakyReLU(0.2)(np.array([-1.0])).tolist() == [-0.2]
    assert nn.LeakyReLU(negative_slope=0.2)(np.array([-1.0])).tolist() == [-0.2]
    assert nn.ELU(alpha=2.0, inplace=True)(np.array([1.0])).tolist() == [1.0]
    assert [repr(x) for x in (nn.ReLU(True), nn.LeakyReLU(0.2, True))] == ["ReLU()", "LeakyReLU(slope=0.2)"]
    assert repr(nn.Softmax(dim=0)) == "Softmax(axis=0)"
    with pytest.raises(SettingError, match="ReLU takes no settings"):
        nn.ReLU(0.1)
    assert find_activation("ReLU") is ops.relu

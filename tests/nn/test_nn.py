"""Layers and models: one seed gives one network on both back ends; what does not fit is refused by name and number."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn, ops
from tinygrad_edu.core.operation import TABLE
from tinygrad_edu.errors import DtypeError, NameNotFoundError, OperandError, SettingError, ShapeError, TinygradError
from tinygrad_edu.nn.init import INITIALIZERS
from tinygrad_edu.nn.layers import OTHER_NAMES, find_activation, is_activation
from tinygrad_edu.nn.losses import LOSSES

BACK_ENDS = ["scalar", "tensor"]
ACTIVATIONS = [name for name, row in TABLE.items() if is_activation(row)]
both = pytest.mark.parametrize("backend", BACK_ENDS)


def numbers(y):
    return np.vectorize(lambda v: v.data, otypes=[float])(y) if isinstance(y, np.ndarray) else y.data


def close(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-15)


def target(loss, rng, samples, width):
    """What each loss compares with: numbers, probabilities, classes."""
    if LOSSES[loss].takes_class_numbers:
        return rng.integers(width, size=samples)
    if loss == "hinge":
        return rng.choice([-1.0, 1.0], (samples, width))
    return rng.uniform(size=(samples, width))  # between 0 and 1, as some losses require


def ran(model, X, y, loss):
    """The loss and the gradients by name."""
    value = LOSSES[loss](model(X), y)
    value.backward()
    return value.item(), model.gradients()


def assert_back_ends_agree(X, y, loss, *arguments, **settings):
    models = [nn.MLP(*arguments, **settings, backend=backend) for backend in BACK_ENDS]
    (loss_a, gradients_a), (loss_b, gradients_b) = (ran(model, X, y, loss) for model in models)
    close(loss_a, loss_b)
    assert gradients_a.keys() == gradients_b.keys()
    for name in gradients_a:
        close(gradients_a[name], gradients_b[name])
        assert np.any(gradients_a[name]), f"{name}: nothing was compared"


# One network on both back ends


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "gelu", "softplus", "silu", "elu"])
@pytest.mark.parametrize("sizes", [[2, 1], [2, 3, 2], [1, 8, 1], [4, 5, 6, 3]], ids=str)
def test_loss_and_gradients_are_the_same(sizes, activation, loss):
    if LOSSES[loss].takes_class_numbers and sizes[-1] == 1:
        sizes = [*sizes[:-1], 2]  # with a single class there is nothing to learn
    rng = np.random.default_rng(1)
    X = rng.standard_normal((5, sizes[0]))
    out = "sigmoid" if loss == "bce" else "identity"  # bce takes probabilities
    assert_back_ends_agree(X, target(loss, rng, 5, sizes[-1]), loss, sizes, activation, out, seed=3)


@pytest.mark.parametrize(
    "settings", [{"bias": False}, {"out_activation": "tanh"}, {"out_activation": "softmax"}], ids=str
)
@pytest.mark.parametrize("init", [name for name in INITIALIZERS if name != "zeros"])
def test_every_initializer_and_setting_is_the_same(init, settings):
    rng = np.random.default_rng(8)
    assert_back_ends_agree(
        rng.standard_normal((4, 3)), rng.standard_normal((4, 2)), "mse", [3, 4, 2], init=init, **settings
    )


def test_there_is_every_activation():
    assert set(ACTIVATIONS) >= {
        "tanh", "relu", "leaky_relu", "sigmoid", "gelu", "silu", "elu", "softplus", "sin", "selu", "celu", "mish",
        "softsign", "relu6", "hard_tanh", "hard_sigmoid", "hard_swish", "log_sigmoid",
    }  # fmt: skip
    assert find_activation("logistic") is ops.sigmoid
    assert find_activation("swish") is ops.silu


@pytest.mark.parametrize("activation", [*ACTIVATIONS, *OTHER_NAMES, "identity", "softmax"])
def test_every_activation_is_the_same(activation):
    """Weights and inputs that keep x Wᵀ + b between 0.05 and 0.8, inside the domain of all of them."""
    rng = np.random.default_rng(9)
    models = [nn.MLP([2, 3, 1], activation, backend=backend) for backend in BACK_ENDS]
    state = {name: rng.uniform(0.05, 0.35, w.shape) for name, w in models[0].state_dict().items()}
    for model in models:
        model.load_state_dict(state)
    X, y = rng.uniform(0.1, 0.6, (4, 2)), rng.standard_normal((4, 1))
    (loss_a, gradients_a), (loss_b, gradients_b) = (ran(model, X, y, "mse") for model in models)
    close(loss_a, loss_b)
    for name in gradients_a:
        close(gradients_a[name], gradients_b[name])


@both
def test_one_seed_is_one_network(backend):
    model, again, other = (nn.MLP([3, 4, 2], seed=seed, backend=backend) for seed in (5, 5, 6))
    for name, w in model.state_dict().items():
        np.testing.assert_array_equal(w, again.state_dict()[name])
        assert "bias" in name or np.all(w != other.state_dict()[name])


@both
def test_linear_is_its_formula(backend):
    layer = nn.Linear(2, 3, rng=np.random.default_rng(4), backend=backend)
    W, b = layer.state_dict().values()
    X = np.array([[1.0, -2.0], [0.5, 3.0]])
    close(numbers(layer(X)), X @ W.T + b)
    assert layer(X[0]).shape == (3,)
    assert layer(np.ones((4, 5, 2))).shape == (4, 5, 3)


# What a model can be asked


def test_parameters_bear_the_names_of_their_places():
    names = ["layers.0.weight", "layers.0.bias", "layers.1.weight", "layers.1.bias"]
    tensor, scalar = nn.MLP([2, 3, 1]), nn.MLP([2, 1, 1], backend="scalar")
    assert [name for name, _ in tensor.named_parameters()] == names
    assert [name for name, _ in scalar.named_parameters()] == [
        "layers.0.weight[0,0]", "layers.0.weight[0,1]", "layers.0.bias[0]", "layers.1.weight[0,0]", "layers.1.bias[0]",
    ]  # fmt: skip
    for model in (tensor, scalar):
        assert list(model.state_dict()) == list(model.gradients()) == names
        assert [p.label for p in model.parameters()] == [name for name, _ in model.named_parameters()]


@both
def test_repr_lists_the_shapes(backend):
    assert repr(nn.MLP([2, 3, 1], bias=False, backend=backend)) == (
        "MLP: 9 parameters\n  layers.0.weight: (3, 2)\n  layers.1.weight: (1, 3)"
    )
    assert repr(nn.Linear(40, 100)).startswith("Linear: 4,100 parameters")


@both
def test_a_layer_used_twice_has_its_parameters_once(backend):
    shared = nn.Linear(2, 2, backend=backend)
    model = nn.Sequential(shared, ops.tanh, shared)
    assert model.parameters() == shared.parameters()
    tg.optim.SGD(model.parameters(), lr=0.1)


@both
def test_sequential_takes_layers_and_functions(backend):
    first, last = (nn.Linear(*w, rng=np.random.default_rng(1), backend=backend) for w in ((2, 3), (3, 1)))
    model = nn.Sequential(first, np.tanh, lambda x: x * 2.0, nn.Sequential(ops.relu, last))
    X = np.array([[0.3, -0.4], [1.0, 2.0]])
    W, b, V, c = model.state_dict().values()
    close(numbers(model(X)), np.maximum(np.tanh(X @ W.T + b) * 2.0, 0.0) @ V.T + c)
    assert next(model.named_parameters())[0].startswith("layers.0.weight")
    assert list(model.state_dict())[-1] == "layers.3.layers.1.bias"


@both
def test_zero_grad_and_gradients(backend):
    model = nn.MLP([2, 1], backend=backend)
    assert not any(np.any(g) for g in model.gradients().values())
    ran(model, np.ones((3, 2)), np.ones((3, 1)), "mse")
    assert all(np.all(g) for g in model.gradients().values())
    model.zero_grad()
    assert not any(np.any(g) for g in model.gradients().values())


def test_a_state_moves_from_one_back_end_to_the_other():
    scalar, tensor = (nn.MLP([2, 3, 1], seed=seed, backend=b) for seed, b in enumerate(BACK_ENDS))
    scalar.load_state_dict(tensor.state_dict())
    for name, w in tensor.state_dict().items():
        np.testing.assert_array_equal(scalar.state_dict()[name], w)
    tensor.state_dict()["layers.0.weight"][:] = 99.0  # changes a copy only
    assert 99.0 not in tensor.state_dict()["layers.0.weight"]


UNFIT = [  # (one entry of the state, the error, what its text names)
    ({"layers.0.weigth": np.ones((3, 2))}, SettingError, r"layers\.0\.weigth"),
    ({"layers.1.weight": None}, DtypeError, r"layers\.1\.weight: .*float"),
    (
        {"layers.1.weight": np.ones((3, 1))},
        ShapeError,
        r"layers\.1\.weight has shape \(1, 3\) in the model, \(3, 1\) in the state",
    ),
    ({"layers.1.weight": np.ones(3)}, ShapeError, r"\(1, 3\) in the model, \(3,\) in the state"),
    ({"layers.1.bias": ["one"]}, DtypeError, r"layers\.1\.bias: .*Text has to become numbers"),
    ({"layers.1.bias": [1j]}, DtypeError, r"layers\.1\.bias: .*Complex numbers"),
    ({"layers.1.bias": [[1.0], [1.0, 2.0]]}, ShapeError, r"layers\.1\.bias: .*differ in length"),
]


@both
@pytest.mark.parametrize(("entry", "error", "text"), UNFIT)
def test_a_state_that_does_not_fit_changes_nothing(entry, error, text, backend):
    model = nn.MLP([2, 3, 1], backend=backend)
    before = model.state_dict()
    state = {name: w + 1.0 for name, w in before.items()} | entry
    with pytest.raises(error, match=text):
        model.load_state_dict(state)
    for name, w in model.state_dict().items():
        np.testing.assert_array_equal(w, before[name])


@both
def test_a_state_with_a_name_missing_is_refused(backend):
    model = nn.MLP([2, 1], backend=backend)
    with pytest.raises(SettingError, match=r"layers\.0\.bias"):
        model.load_state_dict({"layers.0.weight": np.ones((1, 2))})


# What is refused

SETTINGS = [
    ({"sizes": [2]}, SettingError, r"MLP\(\[2\]\) needs at least two widths"),
    ({"sizes": 2}, SettingError, "two widths"),
    ({"sizes": [2, 0]}, SettingError, "out_features=0"),
    ({"sizes": [2.5, 1]}, SettingError, "in_features=2.5"),
    ({"sizes": [2, True]}, SettingError, "out_features=True"),
    ({"activation": "tanhh"}, NameNotFoundError, "unknown activation 'tanhh'. Did you mean 'tanh'"),
    ({"activation": ["tanh"]}, NameNotFoundError, "unknown activation"),
    ({"activation": np.tanh}, SettingError, "given by its name: activation='tanh'"),
    ({"activation": lambda x: x}, SettingError, "such as 'relu'.*forward of a Module"),
    ({"activation": "add"}, NameNotFoundError, "unknown activation 'add'"),  # takes two arguments
    ({"activation": "greater"}, NameNotFoundError, "unknown activation 'greater'"),  # has no derivative
    ({"out_activation": "sofmax"}, NameNotFoundError, "Did you mean 'softmax'"),
    ({"init": "he"}, NameNotFoundError, "unknown init 'he'.*Known: glorot_normal, glorot_uniform, he_normal"),
    ({"init": 3}, NameNotFoundError, "unknown init 3"),
    ({"init": ["normal"]}, NameNotFoundError, "unknown init"),
    ({"init": lambda rng, a, b: np.ones((a, b))}, ShapeError, r"gave shape \(2, 3\).*\(3, 2\)"),
    ({"backend": "gpu"}, SettingError, "backend='gpu': the back ends are 'tensor' and 'scalar'"),
    ({"seed": -1}, SettingError, "seed=-1"),
    ({"seed": "a"}, SettingError, "seed='a'"),
    ({"norm": "bach"}, NameNotFoundError, "unknown norm 'bach'. Did you mean 'batch'"),
    ({"dropout": 1.0}, SettingError, r"Dropout\(p=1.0\) lies outside \[0, 1\)"),
    ({"dropout": "much"}, SettingError, "p='much'"),
]


@pytest.mark.parametrize(("settings", "error", "text"), SETTINGS, ids=lambda x: str(x).partition(" at 0x")[0][:40])
def test_settings_are_refused(settings, error, text):
    with pytest.raises(error, match=text):
        nn.MLP(**{"sizes": [2, 3, 1], **settings})


INPUTS = [
    (np.ones((4, 3)), ShapeError, r"shape \(4, 3\).* must be 2 wide"),
    (1.0, ShapeError, r"shape \(\)"),
    ([[1.0, 2.0], [1.0]], ShapeError, "differ in length"),
    (["a", "b"], OperandError, "'a'"),
    ([1j, 2.0], OperandError, "1j|1.j"),
]


@both
@pytest.mark.parametrize(("x", "error", "text"), INPUTS, ids=lambda x: str(x)[:30])
def test_inputs_are_refused(x, error, text, backend):
    with pytest.raises(error, match=text):
        nn.MLP([2, 1], backend=backend)(x)


def test_the_two_back_ends_do_not_mix():
    with pytest.raises(SettingError, match="not a Tensor"):
        nn.MLP([2, 1], backend="scalar")(tg.Tensor([1.0, 2.0]))
    with pytest.raises(OperandError, match="Values belong to the scalar back end"):
        nn.MLP([2, 1])([tg.Value(1.0), tg.Value(2.0)])


@both
@pytest.mark.parametrize("x", [[[1, 2]], np.array([[1, 2]], dtype=np.uint8), np.array([[True, True]]), [[1.0, 2.0]]])
def test_whole_numbers_are_taken_as_numbers(x, backend):
    model = nn.MLP([2, 1], seed=2, backend=backend)
    close(numbers(model(x)), numbers(model(np.array(x, dtype=float))))


@both
@pytest.mark.parametrize("loss", LOSSES)
def test_an_empty_batch_has_an_output_but_no_loss(loss, backend):
    output = nn.MLP([2, 3], backend=backend)(np.ones((0, 2)))
    assert output.shape == (0, 3)
    with pytest.raises(ShapeError, match=rf"{loss}: the mean of no numbers.*\(0, 3\)"):
        LOSSES[loss](output, target(loss, np.random.default_rng(0), 0, 3))


@both
@pytest.mark.parametrize("loss", [name for name, loss in LOSSES.items() if not loss.takes_class_numbers])
def test_a_loss_broadcasts_nothing(loss, backend):
    output = nn.MLP([2, 1], backend=backend)(np.ones((3, 2)))
    with pytest.raises(ShapeError, match=r"\(3, 1\) and target \(3,\).*target\.reshape\(3, 1\)"):
        LOSSES[loss](output, np.ones(3))


def test_a_module_without_forward_says_so():
    class Lazy(nn.Module):
        pass

    with pytest.raises(NotImplementedError, match=r"Lazy has no forward\(x\)"):
        Lazy()(1.0)
    assert issubclass(ShapeError, TinygradError)

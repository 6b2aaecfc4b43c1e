"""Modules in PyTorch's words: places and dtypes, parameters, cells, names of arguments, the order of apply."""

import copy

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.errors import DtypeError, SettingError, ShapeError

RNG = np.random.default_rng(0)


def test_places_and_dtypes():
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm(3))
    assert model.to("cpu") is model
    assert model.cpu() is model
    assert model.to(device="cpu:0") is model
    for call, dtype in (("to('float32')", "f4"), ("double()", "f8"), ("float()", "f4"), ("to(np.float64)", "f8"),
                        ("to('cpu', dtype='float32')", "f4"), ("to(tg.Tensor([1.0]))", "f8")):  # fmt: skip
        eval(f"model.{call}", {"model": model, "np": np, "tg": tg})
        assert {array.dtype for array in model.state_dict().values()} == {np.dtype(dtype)}
    assert len(list(model.buffers())) == 2


@pytest.mark.parametrize("target", ["cuda", "cuda:1", "mps", "int32", "complex64", 3])
def test_other_places_and_dtypes_are_refused(target):
    arrays = [] if target == "int32" else [tg.Tensor([1.0])]  # x.to("int32") is x.int(), as in PyTorch
    for thing in (nn.Linear(2, 1), *arrays):
        with pytest.raises(DtypeError, match=r"CPU|float32 or float64|float32"):
            thing.to(target)


def test_apply_goes_in_pytorchs_order():
    torch = pytest.importorskip("torch")
    found = {}
    for library, kind in ((torch.nn, torch.nn.Module), (nn, nn.Module)):
        L, S = library.Linear, library.Sequential
        names = found.setdefault(kind, [])
        S(L(2, 3), S(L(3, 4), library.Tanh()), L(4, 1)).apply(
            lambda m, names=names: names.append((type(m).__name__, getattr(m, "in_features", 0)))
        )
    assert found[nn.Module] == found[torch.nn.Module]


def test_a_module_dict_has_attributes():
    both = nn.ModuleDict({"a": nn.Linear(2, 3), "f": np.tanh})
    assert both.a is both["a"]
    assert both.f is np.tanh
    with pytest.raises(AttributeError, match="its modules are a, f"):
        both.b  # noqa: B018


class Encoded(nn.Module):
    """It keeps a table that is made anew with each model, and moves it on in forward."""

    def __init__(self):
        self.inner = nn.Linear(2, 1, rng=0)
        self.register_buffer("table", tg.Tensor(np.ones(2)), persistent=False)
        self.register_buffer("kept", tg.Tensor(np.ones(2)))

    def forward(self, x):
        self.table = tg.Tensor(self.table.data + 1.0)
        return self.inner(x * self.table)


def test_a_buffer_that_is_not_persistent_is_not_saved(tmp_path):
    model, other = nn.Sequential(Encoded(), Encoded()), nn.Sequential(Encoded(), Encoded())
    names = {f"layers.{i}.{name}" for i in (0, 1) for name in ("inner.weight", "inner.bias", "kept")}
    assert set(model.state_dict()) == names
    assert "layers.1.table" in dict(model.named_buffers())
    model[0].table.data = np.zeros(2)
    model.save(tmp_path / "model.safetensors")
    other.load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(other[0].table.data, np.ones(2))
    other.load_state_dict({**model.state_dict(), "layers.0.table": np.full(2, 5.0)})
    np.testing.assert_array_equal(other[0].table.data, np.full(2, 5.0))
    assert set(nn.Module.state_dict(model)) == set(torch_like(model))
    model[0].register_buffer("table", np.zeros(2))
    assert set(model.state_dict()) == {*names, "layers.0.table"}


def torch_like(model):
    from tinygrad_edu.interop.torch_weights import torch_state_dict

    return {f"layers.{name}" for name in torch_state_dict(model)}


def test_a_run_goes_on_with_buffers_that_are_not_persistent(tmp_path):
    X = np.random.default_rng(0).normal(size=(8, 2))

    def train(epochs, **more):
        model = Encoded()
        run = tg.fit(
            model, X, X[:, :1], loss="mse", optimizer="sgd", epochs=epochs, compiled=False, validation=(X, X[:, :1]),
            patience=9, **more,
        )  # fmt: skip
        return run, model

    train(2)[0].save(tmp_path / "run.safetensors")
    (whole, model), (resumed, other) = train(4), train(4, resume_from=tmp_path / "run.safetensors")
    np.testing.assert_array_equal(whole.loss_curve, resumed.loss_curve)
    np.testing.assert_array_equal(model.table.data, other.table.data)


def test_tied_weights_are_named_once():
    model = nn.Sequential(nn.Embedding(5, 2), nn.Linear(2, 5, bias=False))
    model[1].weight = model[0].weight
    assert [name for name, _ in model.named_parameters()] == ["layers.0.weight"]
    assert len(tg.optim.SGD([p for _, p in model.named_parameters()]).params) == 1
    assert len(model.state_dict()) == 2


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_a_third_argument_may_be_the_number_of_layers(kind):
    layer, same = getattr(nn, kind)(3, 4, 2, rng=0), getattr(nn, kind)(3, 4, num_layers=2, rng=0)
    assert [p.shape for p in layer.parameters()] == [p.shape for p in same.parameters()]
    assert len(list(getattr(nn, kind)(3, 4, rng=0).parameters())) < len(list(layer.parameters()))
    with pytest.raises(SettingError, match=rf"{kind}\(3, 4, num_layers=2\)"):
        getattr(nn, kind)(3, 4, 2, True)
    with pytest.raises(SettingError, match="batch, time, features"):
        getattr(nn, kind)(3, 4, batch_first=False)


@pytest.mark.parametrize("kind", ["Conv1d", "Conv2d"])
def test_a_border_is_filled_with_zeros(kind):
    assert getattr(nn, kind)(3, 4, 3, padding=1, padding_mode="zeros").padding
    with pytest.raises(SettingError, match="the border is filled with zeros"):
        getattr(nn, kind)(3, 4, 3, padding=1, padding_mode="reflect")


def test_time_does_not_come_first_in_attention():
    for layer in (nn.MultiHeadAttention, nn.TransformerEncoderLayer):
        with pytest.raises(SettingError, match=rf"{layer.__name__}\(batch_first=False\): series are \(batch"):
            layer(4, 2, batch_first=False)


SAME = [  # (in PyTorch's words, in ours)
    ("LSTM(input_size=3, hidden_size=4, batch_first=True, rng=0)", "LSTM(3, 4, rng=0)"),
    ("GRU(3, hidden_size=4, rng=0)", "GRU(3, 4, rng=0)"),
    ("RNN(3, 4, nonlinearity='relu', rng=0)", "RNN(3, 4, 'relu', rng=0)"),
    ("LSTMCell(input_size=3, hidden_size=4, rng=0)", "LSTMCell(3, 4, rng=0)"),
    ("BatchNorm1d(num_features=3)", "BatchNorm1d(3)"), ("BatchNorm2d(num_features=3)", "BatchNorm2d(3)"),
    ("LayerNorm(normalized_shape=3, elementwise_affine=False)", "LayerNorm(3, affine=False)"),
    ("MultiHeadAttention(4, 2, batch_first=True, rng=0)", "MultiHeadAttention(4, 2, rng=0)"),
    ("TransformerEncoderLayer(4, 2, 8, batch_first=True, rng=0)", "TransformerEncoderLayer(4, 2, 8, rng=0)"),
    ("Embedding(num_embeddings=3, embedding_dim=2, rng=0)", "Embedding(3, 2, rng=0)"),
]  # fmt: skip


@pytest.mark.parametrize(("theirs", "ours"), SAME)
def test_names_of_arguments(theirs, ours):
    a, b = eval(f"nn.{theirs}").state_dict(), eval(f"nn.{ours}").state_dict()
    assert a.keys() == b.keys()
    assert all(np.array_equal(a[name], b[name]) for name in a)


@pytest.mark.torch
def test_gelu_of_either_kind():
    import torch

    x = RNG.normal(size=20)
    for approximate in ("none", "tanh"):
        expected = torch.nn.GELU(approximate=approximate)(torch.tensor(x))
        np.testing.assert_allclose(nn.GELU(approximate=approximate)(x), expected.numpy(), rtol=1e-12, atol=1e-15)
    with pytest.raises(SettingError, match="no settings"):
        nn.GELU(approximate="other")
    assert nn.MLP([2, 3, 1], nn.GELU(approximate="tanh")).activation.name == "gelu_tanh"


@pytest.mark.torch
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize("shape", [(5, 3), (3,)])
def test_a_cell_is_pytorchs(kind, shape):
    import torch

    gates = {"LSTM": ["input_gate", "forget_gate", "cell_gate", "output_gate"], "GRU": ["reset", "update", "candidate"],
             "RNN": ["hidden"]}[kind]  # fmt: skip
    theirs, ours = getattr(torch.nn, f"{kind}Cell")(3, 4).double(), getattr(nn, f"{kind}Cell")(3, 4, rng=0)
    state = {name: each.detach().numpy() for name, each in theirs.state_dict().items()}
    parts = {name: np.split(array, len(gates)) for name, array in state.items()}
    for i, name in enumerate(gates):
        gate = getattr(ours, name)
        gate.weight_ih.data, gate.weight_hh.data = parts["weight_ih"][i], parts["weight_hh"][i]
        gate.bias.data = parts["bias_ih"][i] + (0.0 if name == "candidate" else parts["bias_hh"][i])
    if kind == "GRU":
        ours.candidate_bias.data = parts["bias_hh"][2]
    h, e = None, None
    for x in RNG.normal(size=(3, *shape)):
        h, e = ours(x, h), theirs(torch.tensor(x), e)
    found, expected = (h, e) if kind == "LSTM" else ((h,), (e,))
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a.data, b.detach().numpy(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("backend", ["tensor", "scalar"])
def test_what_a_module_computes_and_keeps_is_no_parameter(backend):
    class Keeping(nn.Module):
        def __init__(self):
            self.layer = nn.Linear(2, 3, backend=backend)

        def forward(self, x):
            self.hidden = self.layer(x)
            self.seen = [self.hidden * 2.0]
            return self.hidden

    model = Keeping()
    before = list(model.state_dict())
    model(np.ones((4, 2)))
    assert list(model.state_dict()) == before == ["layer.weight", "layer.bias"]
    tg.optim.SGD(model.parameters(), lr=0.1)
    model.load_state_dict(model.state_dict())


def test_next_of_parameters():
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    assert next(model.parameters()) is model[0].weight
    parameters = model.parameters()
    assert [next(parameters) for _ in range(4)] == list(parameters) == model.parameters()
    with pytest.raises(StopIteration):
        next(parameters)
    assert len(copy.deepcopy(parameters)) == 4


def test_attention_in_pytorchs_words():
    q = RNG.normal(size=(2, 5, 4))
    ours = nn.scaled_dot_product_attention(q, q, q, is_causal=True)
    np.testing.assert_array_equal(ours, nn.scaled_dot_product_attention(q, q, q, causal=True))
    np.testing.assert_allclose(nn.scaled_dot_product_attention(q, q, q, scale=0.5),
                               nn.scaled_dot_product_attention(q, q, q), rtol=1e-12)  # fmt: skip
    for wrong in ({"dropout_p": 0.1}, {"dropout_p": True}, {"is_causal": 1}, {"scale": "a"}):
        with pytest.raises(SettingError, match=r"nn\.Dropout\(0\.1\)|is_causal|scale"):
            nn.scaled_dot_product_attention(q, q, q, **wrong)


@pytest.mark.torch
def test_the_places_of_attentions_arguments_are_pytorchs():
    import torch

    q, mask = RNG.normal(size=(2, 5, 4)), RNG.uniform(size=(5, 5)) > 0.3
    t, there = torch.tensor(q), torch.nn.functional.scaled_dot_product_attention
    for ours, theirs, options in (((None, 0.0, True), (None, 0.0, True), {}), ((mask,), (torch.tensor(mask),), {}),
                                  ((None, 0.0, True), (None, 0.0, True), {"scale": 0.3})):  # fmt: skip
        expected = there(t, t, t, *theirs, **options).numpy()
        np.testing.assert_allclose(nn.scaled_dot_product_attention(q, q, q, *ours, **options), expected, rtol=1e-11)
        listed = nn.scaled_dot_product_attention(*[q.tolist()] * 3, *ours, **options)
        np.testing.assert_allclose(listed, expected, rtol=1e-11)
    with pytest.raises(SettingError, match=r"nn\.Dropout\(0\.5\)"):
        nn.scaled_dot_product_attention(q, q, q, None, 0.5)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        ("GRUCell(3, 4, 1)", r"GRUCell\(bias=1\): True or False"),
        ("GRUCell(3, 4)(np.ones((2, 3)), (np.ones((2, 4)), np.ones((2, 4))))", "one array h, and is a tuple of 2"),
        ("RNNCell(3, 4)(np.ones((2, 7, 3)))", r"one time.*nn\.RNN"),
        ("GRUCell(3, 4)(np.ones((2, 3)), np.ones((2, 5)))", r"h has shape \(2, 5\)"),
        ("LSTMCell(3, 4)(np.ones((2, 3)), np.ones((2, 4)))", r"has to be \(h, c\), and is of shape \(2, 4\)"),
        ("LSTMCell(3, 4)(np.ones((2, 3)), (np.ones((2, 4)), np.ones((2, 3))))", r"c has shape \(2, 3\)"),
        ("Linear(2, 3, device='cuda')", r"Linear\(device='cuda'\): this library computes on the CPU"),
    ],
)
def test_what_a_cell_does_not_read_is_refused(call, text):
    with pytest.raises((SettingError, ShapeError), match=text):
        eval(f"nn.{call}")


def test_what_means_nothing_here_is_taken():
    for call in ("Linear(2, 3, device='cpu')", "Conv2d(1, 2, 3, device=None)", "LSTMCell(2, 3, device='cpu:0')",
                 "LayerNorm(3, device='cpu')", "Dropout(0.5, True)", "Dropout(inplace=True)"):  # fmt: skip
        eval(f"nn.{call}")
    assert nn.Embedding(5, 2, 0).padding_idx == 0
    assert repr(nn.GELU(approximate="tanh")) == "GELU(approximate='tanh')"
    assert repr(nn.GELU(approximate="none")) == repr(nn.GELU()) == "GELU()"


def test_the_older_word_for_a_sum():
    p, t = np.array([[1.0, 2.0]]), np.zeros((1, 2))
    assert nn.losses.mse(p, t, size_average=False) == 5.0
    assert nn.losses.mse(p, t, size_average=True) == 2.5

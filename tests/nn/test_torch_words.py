"""Modules in PyTorch's words: places and dtypes, lazy layers, cells, names of arguments, the order of apply."""

import copy
import pickle

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.compile.programs import without_numba
from tinygrad_edu import nn
from tinygrad_edu.errors import DtypeError, OperandError, SettingError, ShapeError

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


@pytest.mark.parametrize("target", ["cuda", "cuda:1", "mps", "int32", 3])
def test_other_places_and_dtypes_are_refused(target):
    for thing in (nn.Linear(2, 1), tg.Tensor([1.0])):
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


def test_tied_weights_are_named_once():
    model = nn.Sequential(nn.Embedding(5, 2), nn.Linear(2, 5, bias=False))
    model[1].weight = model[0].weight
    assert [name for name, _ in model.named_parameters()] == ["layers.0.weight"]
    assert len(tg.optim.SGD([p for _, p in model.named_parameters()]).params) == 1
    assert len(model.state_dict()) == 2


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_a_third_argument_is_no_number_of_layers(kind):
    with pytest.raises(SettingError, match=rf"{kind}\(3, 4, num_layers=2\)"):
        getattr(nn, kind)(3, 4, 2)
    with pytest.raises(SettingError, match="batch, time, features"):
        getattr(nn, kind)(3, 4, batch_first=False)


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


IMAGES = RNG.normal(size=(4, 1, 8, 8))


def lazy_model():
    return nn.Sequential(nn.LazyConv2d(2, 3), nn.LazyBatchNorm2d(), nn.ReLU(), nn.Flatten(), nn.LazyLinear(3))


def test_a_lazy_layer_waits_for_its_first_input():
    model = lazy_model()
    for look in (model.state_dict, model.gradients, lambda: model.load_state_dict({})):
        with pytest.raises(SettingError, match=r"layers\.0\.LazyConv2d has no weights before its first input"):
            look()
    weight = model[0].weight
    for look in (lambda: weight.shape, lambda: weight.numel(), lambda: weight * 2.0, lambda: len(weight)):
        with pytest.raises(
            SettingError, match=r"LazyConv2d\.weight of a lazy layer has no shape before its first input"
        ):
            look()
    assert "LazyLinear" in repr(model)
    assert len(list(model.modules())) == 6
    model.eval().train()
    assert model(IMAGES).shape == (4, 3)
    assert [type(layer).__name__ for layer in model] == ["Conv2d", "BatchNorm2d", "ReLU", "Flatten", "Linear"]
    assert [p.label for p in model.parameters()][-1] == "layers.4.bias"
    assert model[4].weight.shape == (3, 72)


def test_a_lazy_model_is_trained():
    with without_numba():
        model = lazy_model()
        model(IMAGES)
        run = tg.fit(model, IMAGES, np.array([0, 1, 2, 0]), loss="cross_entropy", optimizer="adam", epochs=3)
    assert run.loss_curve[-1] < run.loss_curve[0]


@pytest.mark.parametrize("name", ["SGD", "Adam", "Rprop", "Adagrad", "Adadelta", "NAdam", "Lion"])
def test_an_optimizer_may_be_made_before_the_first_input(name):
    """The same steps as one that is made afterwards; so do groups, and compiled `fit`."""
    trained = []
    for before in (True, False):
        model = nn.Sequential(nn.LazyLinear(3, rng=0), nn.Tanh(), nn.LazyLinear(2, False, rng=1))
        first = model[0].weight
        make = lambda model=model: getattr(tg.optim, name)(  # noqa: E731
            [{"params": model[0].parameters(), "lr": 0.1}, {"params": model[2].parameters(), "lr": 0.2}]
        )
        if before:
            optimizer = make()
            assert name in repr(optimizer)
            optimizer.zero_grad()
            optimizer.step()
        x = np.random.default_rng(0).normal(size=(5, 4))
        model(x)
        assert model[0].weight is first or not before
        assert type(model[0].weight) is tg.Tensor
        optimizer = optimizer if before else make()
        for _ in range(3):
            optimizer.zero_grad()
            (model(x) ** 2).sum().backward()
            optimizer.step()
        trained.append(model.state_dict())
    for name in trained[0]:
        np.testing.assert_array_equal(trained[0][name], trained[1][name])


@pytest.mark.parametrize("compiled", [True, False])
def test_fit_is_the_same_whenever_a_lazy_layer_gets_its_first_input(compiled):
    x, curves = np.random.default_rng(0).normal(size=(6, 4)), []
    for called in ("after the optimizer", "before it"):
        model = nn.Sequential(nn.LazyLinear(3, rng=0), nn.Tanh(), nn.LazyLinear(1, rng=1))
        if called == "before it":
            model(x)
        optimizer = tg.optim.Adam(model.parameters(), lr=0.1)
        if called == "after the optimizer":
            with pytest.raises(SettingError, match=r"layers\.0\.LazyLinear has no weights before its first input"):
                tg.fit(model, x, x[:, :1], loss="mse", optimizer=optimizer, epochs=3, compiled=compiled)
            model(x)
        run = tg.fit(model, x, x[:, :1], loss="mse", optimizer=optimizer, epochs=3, compiled=compiled)
        curves.append(run.loss_curve)
        assert np.abs(model[0].weight.data).max() > 0.0
    np.testing.assert_array_equal(*curves)


def test_a_lazy_layer_may_be_compiled_and_copied():
    model, x = nn.Sequential(nn.LazyLinear(2)), np.ones((3, 4))
    compiled = tg.jit(lambda x: model(x))
    for _ in "12":
        np.testing.assert_allclose(compiled(x), model(x).data, rtol=1e-12)
        assert type(model[0].weight) is tg.Tensor
        model[0].weight.data *= 2.0
    for copied in (copy.deepcopy(nn.LazyLinear(2)), pickle.loads(pickle.dumps(nn.LazyLinear(2)))):
        copied.weight.data.normal_(0.0, 0.01)  # lost at the first input, as in PyTorch
        assert copied(x).shape == (3, 2)


def test_a_lazy_layer_checks_its_arguments_at_once():
    with pytest.raises(TypeError, match="out_features"):
        nn.LazyLinear()


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
    ("make", "right", "wrong"),
    [
        (lambda: nn.LazyConv2d(2, 3), (5, 8, 9), [(8,), (5, 2, 2)]),
        (lambda: nn.LazyConv1d(2, 3), (5, 9), [(), (5, 2)]),
        (lambda: nn.LazyLinear(4), (2, 3), [(), (0,)]),
        (lambda: nn.LazyBatchNorm1d(), (4, 3), [(3,), (2, 3, 4, 5)]),
        (lambda: nn.LazyBatchNorm2d(), (4, 3, 2, 2), [(4, 3, 2), ()]),
    ],
)
def test_a_refused_first_input_leaves_a_layer_lazy(make, right, wrong):
    layer = make()
    for refused in (*(np.ones(shape) for shape in wrong), np.full(right, "a")):
        with pytest.raises((ShapeError, SettingError, OperandError, DtypeError)):
            layer(refused)
        assert layer.waits
    assert layer(np.ones(right)).shape == make()(np.ones(right)).shape
    assert not layer.waits


@pytest.mark.torch
def test_a_lazy_layer_takes_what_pytorchs_takes():
    import torch

    for name, arguments, shape in (("LazyConv2d", (2, 3), (5, 8, 9)), ("LazyConv2d", (2, 3), (4, 5, 8, 9)),
                                   ("LazyConv1d", (2, 3), (5, 9)), ("LazyConv1d", (2, 3), (4, 5, 9)),
                                   ("LazyLinear", (4,), (3,))):  # fmt: skip
        for dtype in ("float", "double"):
            theirs = getattr(getattr(torch.nn, name)(*arguments), dtype)()
            ours = getattr(nn.Sequential(getattr(nn, name)(*arguments)), dtype)()
            expected = theirs(torch.ones(shape, dtype=next(theirs.parameters()).dtype))
            found = ours(np.ones(shape))
            assert found.shape == tuple(expected.shape)
            assert str(expected.dtype) == f"torch.{ours[0].weight.dtype}"
    with pytest.raises(DtypeError, match="float32 or float64"):
        nn.LazyLinear(3).to("int32")


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

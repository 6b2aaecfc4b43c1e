"""Weights by torch's names: what torch computes from them is what the model computes, and back."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.errors import SettingError, ShapeError
from tinygrad_edu.interop import load_torch_state_dict, torch_state_dict

rng = np.random.default_rng(0)
ROWS, SERIES, IMAGES = rng.normal(size=(5, 4)), rng.normal(size=(3, 6, 4)), rng.normal(size=(2, 3, 6, 6))


def networks(torch):
    """name: (a model, the same in torch, an input)"""
    t = torch.nn
    relu = t.ReLU
    first = lambda model: lambda x: model(x)[0]  # noqa: E731
    recurrent = {
        f"{name} {layers} {both}": (
            getattr(nn, name)(4, 3, num_layers=layers, bidirectional=both, rng=1),
            getattr(t, name)(4, 3, layers, batch_first=True, bidirectional=both), SERIES, first,
        )
        for name in ("RNN", "GRU", "LSTM") for layers in (1, 3) for both in (False, True)
    }  # fmt: skip
    attention = nn.MultiHeadAttention(4, 2, rng=1)
    return {
        "MLP": (
            nn.MLP([4, 3, 3, 2], "relu"),
            t.Sequential(t.Linear(4, 3), relu(), t.Linear(3, 3), relu(), t.Linear(3, 2)), ROWS,
        ),
        "MLP with norms and dropout": (
            nn.MLP([4, 3, 2], "relu", norm="batch", dropout=0.5),
            t.Sequential(t.Linear(4, 3), t.BatchNorm1d(3), relu(), t.Dropout(0.5), t.Linear(3, 2)), ROWS,
        ),
        "no bias": (
            nn.MLP([4, 3, 2], "relu", bias=False),
            t.Sequential(t.Linear(4, 3, False), relu(), t.Linear(3, 2, False)), ROWS,
        ),
        "images": (
            nn.Sequential(nn.Conv2d(3, 4, 3, padding=1, groups=1, rng=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2),
                          nn.Flatten(), nn.Linear(36, 2, rng=2)),
            t.Sequential(t.Conv2d(3, 4, 3, padding=1), t.BatchNorm2d(4), relu(), t.MaxPool2d(2), t.Flatten(),
                         t.Linear(36, 2)),
            IMAGES,
        ),
        "transposed": (nn.ConvTranspose2d(3, 2, 3, 2, rng=1), t.ConvTranspose2d(3, 2, 3, 2), IMAGES),
        "norms": (
            nn.Sequential(nn.LayerNorm(4), nn.RMSNorm(4), nn.Linear(4, 4, rng=1)),
            t.Sequential(t.LayerNorm(4), t.RMSNorm(4, eps=nn.RMSNorm(4).eps), t.Linear(4, 4)), ROWS,
        ),
        "groups": (nn.GroupNorm(3, 3), t.GroupNorm(3, 3), IMAGES),
        "embedding": (nn.Embedding(5, 3, rng=1), t.Embedding(5, 3), np.array([[0, 4], [2, 2]])),
        "encoder": (
            nn.TransformerEncoderLayer(4, 2, 5, 0.0, rng=1),
            t.TransformerEncoderLayer(4, 2, 5, 0.0, batch_first=True), SERIES,
        ),
        "attention": (
            attention, t.MultiheadAttention(4, 2, batch_first=True), SERIES, lambda m: lambda x: m(x, x, x)[0],
        ),
        **recurrent,
    }  # fmt: skip


NAMES = [
    "MLP", "MLP with norms and dropout", "no bias", "images", "transposed", "norms", "groups", "embedding", "encoder",
    "attention", *(f"{n} {k} {b}" for n in ("RNN", "GRU", "LSTM") for k in (1, 3) for b in (False, True)),
]  # fmt: skip


def own_output(model, x):
    y = model(x)
    return (y[0] if isinstance(y, tuple) else y).data


@pytest.mark.torch
@pytest.mark.parametrize("name", NAMES)
def test_torch_computes_the_same(name, tmp_path):
    torch = pytest.importorskip("torch", reason="needs torch")
    load_file = pytest.importorskip("safetensors.torch").load_file
    model, theirs, x, *how = networks(torch)[name]
    if not isinstance(x, np.ndarray) or x.dtype.kind == "f":
        model.train()
        for p in model.parameters():
            p.data = p.data + rng.normal(size=p.shape) * 0.1
        own_output(model, x)  # changes running statistics
    model.eval()
    tg.export(model, tmp_path / "net.safetensors")
    theirs = theirs.double().eval()
    theirs.load_state_dict(load_file(tmp_path / "net.safetensors"))
    call = how[0](theirs) if how else theirs
    given = torch.from_numpy(x)
    with torch.no_grad():
        np.testing.assert_allclose(call(given).numpy(), own_output(model, x), rtol=1e-9, atol=1e-10)


@pytest.mark.torch
@pytest.mark.parametrize("name", NAMES)
def test_the_model_computes_what_torch_does(name, tmp_path):
    torch = pytest.importorskip("torch", reason="needs torch")
    save_file = pytest.importorskip("safetensors.torch").save_file
    torch.manual_seed(0)
    model, theirs, x, *how = networks(torch)[name]
    theirs = theirs.double().eval()
    save_file(theirs.state_dict(), tmp_path / "net.safetensors")
    for state in (theirs.state_dict(), tmp_path / "net.safetensors"):
        load_torch_state_dict(model, state)
        call = how[0](theirs) if how else theirs
        with torch.no_grad():
            expected = call(torch.from_numpy(x)).numpy()
        np.testing.assert_allclose(own_output(model.eval(), x), expected, rtol=1e-9, atol=1e-10)


MODELS = [
    nn.MLP([4, 3, 2], norm="batch"), nn.LSTM(4, 3, num_layers=2, bidirectional=True, rng=0), nn.GRU(4, 3, rng=0),
    nn.TransformerEncoderLayer(4, 2, 5, 0.0, rng=1), nn.Elman(2, 3, 1, seed=0),
]  # fmt: skip


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_there_and_back(model):
    before = model.state_dict()
    state = torch_state_dict(model)
    model.load_state_dict({name: np.zeros_like(x) for name, x in before.items()})
    load_torch_state_dict(model, state)
    assert all((model.state_dict()[name] == x).all() for name, x in before.items())


def test_another_network_is_refused_and_changes_nothing():
    model = nn.GRU(4, 3, rng=0)
    before, state = model.state_dict(), torch_state_dict(model)
    with pytest.raises(SettingError, match="without bias_hh_l0 and with bias"):
        load_torch_state_dict(model, {**{k: x for k, x in state.items() if k != "bias_hh_l0"}, "bias": np.zeros(1)})
    with pytest.raises(ShapeError, match="shape"):
        load_torch_state_dict(model, {**state, "weight_ih_l0": np.zeros((9, 5))})
    assert all((model.state_dict()[name] == x).all() for name, x in before.items())
    attention = nn.MultiHeadAttention(4, 2, rng=0)
    with pytest.raises(ShapeError, match="in_proj_weight"):
        load_torch_state_dict(attention, {**torch_state_dict(attention), "in_proj_weight": np.zeros((7, 4))})

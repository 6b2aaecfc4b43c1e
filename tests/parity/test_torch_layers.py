"""Layers against PyTorch's of the same name and arguments: values and gradients to 1e-12 in float64."""

import numpy as np
import pytest

from tests.parity.test_torch_nn import close, normal
from tests.parity.torch_spelling import torch  # skips this module if torch is missing
from tinygrad_edu import Tensor, nn, ops

pytestmark = pytest.mark.torch

IMAGES, SERIES = (3, 4, 7, 6), (3, 4, 9)
# (name, arguments, named arguments, shape of an input), the same for both libraries
CALLS = [
    ("Conv1d", (4, 6, 3), {"stride": 2, "padding": 1, "dilation": 2, "groups": 2}, SERIES),
    ("Conv1d", (4, 2, 3), {"padding": "same", "bias": False}, SERIES),
    ("Conv2d", (4, 6, 3), {}, IMAGES),
    ("Conv2d", (4, 6, (3, 2), (2, 1), (1, 0), 1, 2), {}, IMAGES),
    ("Conv2d", (4, 4, 3), {"padding": "valid", "dilation": (2, 1), "groups": 4}, IMAGES),
    ("ConvTranspose1d", (4, 6, 3), {"stride": 3, "padding": 1, "output_padding": 2, "groups": 2}, SERIES),
    ("ConvTranspose2d", (4, 3, 3, 2, 1, 1), {}, IMAGES),
    ("ConvTranspose2d", (4, 2, (2, 3)), {"dilation": 2, "bias": False}, IMAGES),
    ("MaxPool1d", (3,), {"stride": 2, "padding": 1}, SERIES),
    ("MaxPool2d", (2,), {"ceil_mode": True}, IMAGES),
    ("MaxPool2d", ((2, 3), (1, 2), (1, 1)), {}, IMAGES),
    ("AvgPool1d", (4,), {"padding": 2}, SERIES),
    ("AvgPool2d", (3,), {"stride": 2, "padding": 1, "count_include_pad": False}, IMAGES),
    ("AvgPool2d", (2,), {"ceil_mode": True}, IMAGES),
    ("AdaptiveAvgPool2d", ((3, 4),), {}, IMAGES),
    ("AdaptiveAvgPool2d", (1,), {}, IMAGES),
    ("Flatten", (), {}, IMAGES),
    ("Flatten", (0, 1), {}, IMAGES),
    ("BatchNorm1d", (4,), {}, SERIES),
    ("BatchNorm1d", (9,), {"momentum": 0.3}, (5, 9)),
    ("BatchNorm2d", (4,), {"eps": 1e-3}, IMAGES),
    ("LayerNorm", ((7, 6),), {}, IMAGES),
    ("RMSNorm", (6,), {}, IMAGES),
    ("GroupNorm", (2, 4), {}, IMAGES),
    ("GroupNorm", (4, 4), {"eps": 1e-2}, SERIES),
    ("Softmax", (1,), {}, IMAGES),
    ("LogSoftmax", (-1,), {}, IMAGES),
    *[(name, (), {}, SERIES) for name in ("ReLU", "Tanh", "Sigmoid", "GELU", "SiLU", "ELU", "SELU", "CELU", "Mish")],
    *[(name, (), {}, SERIES) for name in ("Softplus", "Softsign", "ReLU6", "Hardtanh", "LogSigmoid", "Hardswish")],
    ("LeakyReLU", (0.2,), {}, SERIES),
]
IDS = [f"{name}-{i}" for i, (name, *_) in enumerate(CALLS)]


def same_numbers(ours, theirs):
    """Random weights in both."""
    state = {name: normal(*array.shape, seed=i) for i, (name, array) in enumerate(ours.named_arrays())}
    ours.load_state_dict({**ours.state_dict(), **state})
    theirs.double().load_state_dict({name: torch.tensor(w) for name, w in ours.state_dict().items()}, strict=False)


def agree(ours, theirs, x):
    """Outputs, gradients by parameters and by the input, and running statistics."""
    mine, other = Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    y, e = ours(mine), theirs(other)
    close(y.data, e.detach().numpy())
    weights = normal(*y.shape, seed=99)
    ours.zero_grad()
    theirs.zero_grad()
    ops.sum(ops.sin(y) * weights).backward()
    (torch.sin(e) * torch.tensor(weights)).sum().backward()
    np.testing.assert_allclose(mine.grad, other.grad.numpy(), rtol=1e-11, atol=1e-12)
    for name, parameter in theirs.named_parameters():
        np.testing.assert_allclose(ours.gradients()[name], parameter.grad.numpy(), rtol=1e-11, atol=1e-12)
    for name, w in theirs.named_buffers():
        if name != "num_batches_tracked":
            close(ours.state_dict()[name], w.numpy())


@pytest.mark.parametrize(("name", "settings", "named", "shape"), CALLS, ids=IDS)
def test_layer(name, settings, named, shape):
    ours, theirs = getattr(nn, name)(*settings, **named), getattr(torch.nn, name)(*settings, **named)
    same_numbers(ours, theirs)
    for mode in (True, False):
        agree(ours.train(mode), theirs.train(mode), normal(*shape, seed=7))


def in_torchs_names(ours, prefix=""):
    """What torch's MultiheadAttention calls the numbers of ours."""
    state = ours.state_dict()
    parts = ("query", "key", "value")
    named = {
        "in_proj_weight": np.concatenate([state[f"{p}.weight"] for p in parts]),
        "in_proj_bias": np.concatenate([state[f"{p}.bias"] for p in parts]),
        "out_proj.weight": state["out.weight"],
        "out_proj.bias": state["out.bias"],
    }
    return {prefix + name: torch.tensor(w) for name, w in named.items()}


@pytest.mark.parametrize("causal", [False, True])
def test_multi_head_attention(causal):
    ours, theirs = (
        nn.MultiHeadAttention(8, 2, causal=causal, rng=0),
        torch.nn.MultiheadAttention(8, 2, batch_first=True),
    )
    for i, p in enumerate(ours.parameters()):
        p.data = normal(*p.shape, seed=i) * 0.3
    theirs.double().load_state_dict(in_torchs_names(ours))
    mask = torch.nn.Transformer.generate_square_subsequent_mask(5).double() if causal else None
    x = normal(3, 5, 8)
    mine, other = Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    y, weights = ours(mine, need_weights=True)
    e, expected = theirs(other, other, other, attn_mask=mask, average_attn_weights=False)
    close(y.data, e.detach().numpy())
    close(weights.data, expected.detach().numpy())
    ops.sum(ops.sin(y)).backward()
    torch.sin(e).sum().backward()
    np.testing.assert_allclose(mine.grad, other.grad.numpy(), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(ours.out.weight.grad, theirs.out_proj.weight.grad.numpy(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("masked", ["booleans", "numbers", None])
def test_scaled_dot_product_attention(masked):
    q, k, v = normal(2, 3, 4, 5), normal(2, 3, 6, 5, seed=1), normal(2, 3, 6, 2, seed=2)
    mask = {"booleans": normal(4, 6, seed=3) > -1.0, "numbers": normal(4, 6, seed=3), None: None}[masked]
    theirs = torch.nn.functional.scaled_dot_product_attention(
        *map(torch.tensor, (q, k, v)), attn_mask=None if mask is None else torch.tensor(mask)
    )
    close(nn.scaled_dot_product_attention(q, k, v, mask), theirs.numpy(), rtol=1e-11)


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_transformer_encoder_layer(norm_first, activation):
    settings = (8, 2, 16, 0.0, activation, 1e-4)
    ours = nn.TransformerEncoderLayer(*settings, norm_first=norm_first, rng=0)
    theirs = torch.nn.TransformerEncoderLayer(*settings, batch_first=True, norm_first=norm_first).double()
    for i, p in enumerate(ours.parameters()):
        p.data = normal(*p.shape, seed=i) * 0.3
    state = in_torchs_names(ours.attention, "self_attn.")
    rest = {name: torch.tensor(w) for name, w in ours.state_dict().items() if not name.startswith("attention.")}
    theirs.load_state_dict({**state, **rest})
    x = normal(3, 5, 8)
    mine, other = Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    y, e = ours(mine), theirs(other)
    np.testing.assert_allclose(y.data, e.detach().numpy(), rtol=1e-11, atol=1e-12)
    ops.sum(ops.sin(y)).backward()
    torch.sin(e).sum().backward()
    np.testing.assert_allclose(mine.grad, other.grad.numpy(), rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(ours.linear1.weight.grad, theirs.linear1.weight.grad.numpy(), rtol=1e-9, atol=1e-11)


def test_embedding_with_a_padding():
    ours, theirs = nn.Embedding(5, 3, padding_idx=2, rng=0), torch.nn.Embedding(5, 3, padding_idx=2).double()
    theirs.load_state_dict({"weight": torch.tensor(ours.weight.data)})
    index = np.array([[0, 2, 4], [2, 2, 1]])
    y, e = ours(index), theirs(torch.tensor(index))
    close(y.data, e.detach().numpy())
    ops.sum(ops.sin(y + 1.0)).backward()
    torch.sin(e + 1.0).sum().backward()
    close(ours.weight.grad, theirs.weight.grad.numpy())


def stacked_state(ours, layers, directions, gates):
    """torch's names of the gates of each layer and direction."""
    found = {}
    for level in range(layers):
        for direction in range(directions):
            each = ours if level == direction == 0 else ours.levels.reverse if level == 0 else None
            each = ours.levels.deeper[level - 1][direction] if each is None else each
            parts = [getattr(each, gate) for gate in gates]
            end = f"_l{level}" + "_reverse" * direction
            found[f"weight_ih{end}"] = np.concatenate([g.weight_ih.data for g in parts])
            found[f"weight_hh{end}"] = np.concatenate([g.weight_hh.data for g in parts])
            found[f"bias_ih{end}"] = np.concatenate([g.bias.data for g in parts])
            found[f"bias_hh{end}"] = np.zeros_like(found[f"bias_ih{end}"])
    return {name: torch.tensor(w) for name, w in found.items()}


GATES = {"RNN": ["hidden"], "LSTM": ["input_gate", "forget_gate", "cell_gate", "output_gate"]}


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("kind", GATES)
def test_layers_on_top_of_each_other(kind, bidirectional):
    ours = getattr(nn, kind)(4, 3, num_layers=2, bidirectional=bidirectional, rng=0)
    theirs = getattr(torch.nn, kind)(4, 3, num_layers=2, bidirectional=bidirectional, batch_first=True).double()
    theirs.load_state_dict(stacked_state(ours, 2, 1 + bidirectional, GATES[kind]))
    x = normal(2, 5, 4)
    mine, other = Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    (y, state), (e, expected) = ours(mine), theirs(other)
    close(y.data, e.detach().numpy())
    for s, t in zip(state if kind == "LSTM" else [state], expected if kind == "LSTM" else [expected], strict=True):
        close(s.data, t.detach().numpy())
    ops.sum(ops.sin(y)).backward()
    torch.sin(e).sum().backward()
    np.testing.assert_allclose(mine.grad, other.grad.numpy(), rtol=1e-10, atol=1e-12)
    again, _ = ours(x, state)
    close(again.data, theirs(torch.tensor(x), expected)[0].detach().numpy())

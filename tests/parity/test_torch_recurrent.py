"""RNN, GRU and LSTM against PyTorch's, to 1e-12 in float64: outputs, last states and all gradients."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.parity.torch_spelling import torch  # skips this module if torch is missing
from tinygrad_edu import nn

pytestmark = pytest.mark.torch
WIDTHS = 3, 5
# Our gates in the order in which torch stacks them.
GATES = {
    "RNN": ["hidden"],
    "GRU": ["reset", "update", "candidate"],
    "LSTM": ["input_gate", "forget_gate", "cell_gate", "output_gate"],
}
SHAPES = [(1, 3), (6, 3), (4, 6, 3), (1, 1, 3)]


def assert_close(found, expected):
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12 * np.abs(expected).max(initial=0.0))


def pair(kind, bias=True, **settings):
    """(ours, torch's) with the same weights; torch's second bias is 0 but for the candidate of a GRU."""
    ours = getattr(nn, kind)(*WIDTHS, bias=bias, rng=3, **settings)
    state = {name: w if w.ndim > 1 else w + 0.1 * np.arange(len(w)) for name, w in ours.state_dict().items()}
    ours.load_state_dict(state)
    activation = {"nonlinearity": settings["activation"]} if "activation" in settings else {}
    theirs = getattr(torch.nn, kind)(*WIDTHS, bias=bias, batch_first=True, dtype=torch.float64, **activation)
    for part in ("weight_ih", "weight_hh"):
        put(theirs, part, np.concatenate([state[f"{gate}.{part}"] for gate in GATES[kind]]))
    if bias:
        put(theirs, "bias_ih", np.concatenate([state[f"{gate}.bias"] for gate in GATES[kind]]))
        second = np.zeros((len(GATES[kind]), WIDTHS[1]))
        if kind == "GRU":
            second[2] = state["candidate_bias"]
        put(theirs, "bias_hh", second.ravel())
    return ours, theirs


def put(module, name, array):
    with torch.no_grad():
        getattr(module, f"{name}_l0").copy_(torch.tensor(array))


def expected_gradients(theirs, kind, bias):
    """torch's gradients under our names."""
    found = {}
    for part in ("weight_ih", "weight_hh", *(["bias_ih"] if bias else [])):
        pieces = np.split(getattr(theirs, f"{part}_l0").grad.numpy(), len(GATES[kind]))
        found |= {f"{gate}.{part.replace('bias_ih', 'bias')}": g for gate, g in zip(GATES[kind], pieces, strict=True)}
    if kind == "GRU" and bias:
        found["candidate_bias"] = np.split(theirs.bias_hh_l0.grad.numpy(), 3)[2]
    return found


def states_of(kind, state):
    return state if kind == "LSTM" else (state,)


def compare(kind, shape, given, bias=True, **settings):
    rng = np.random.default_rng(0)
    ours, theirs = pair(kind, bias, **settings)
    x = rng.standard_normal(shape)
    a, b = tg.Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    start = [rng.standard_normal((*shape[:-2], WIDTHS[1])) for _ in range(2 if kind == "LSTM" else 1)]
    mine = [tg.Tensor(s, requires_grad=True) for s in start]
    other = [torch.tensor(s, requires_grad=True) for s in start]
    outputs, last = ours(a, (tuple(mine) if kind == "LSTM" else mine[0]) if given else None)
    layered = [s[None] for s in other]  # torch's states have a leading axis for layers
    expected, after = theirs(b, (tuple(layered) if kind == "LSTM" else layered[0]) if given else None)
    assert_close(outputs.data, expected.detach().numpy())
    loss, reference = tg.ops.sin(outputs).sum(), torch.sin(expected).sum()
    for s, e in zip(states_of(kind, last), states_of(kind, after), strict=True):
        assert_close(s.data, e[0].detach().numpy())
        loss, reference = loss + tg.ops.cos(s).sum(), reference + torch.cos(e).sum()
    loss.backward()
    reference.backward()
    assert_close(a.grad, b.grad.numpy())
    gradients = ours.gradients()
    wanted = expected_gradients(theirs, kind, bias)
    assert gradients.keys() == wanted.keys()
    for name, g in gradients.items():
        assert_close(g, wanted[name])
    for s, e in zip(mine, other, strict=True):
        assert given == (s.grad is not None)
        if given:
            assert_close(s.grad, e.grad.numpy())


@pytest.mark.parametrize("given", [False, True], ids=["from 0", "from a state"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("kind", GATES)
def test_outputs_states_and_gradients(kind, shape, given):
    compare(kind, shape, given)


@pytest.mark.parametrize("kind", GATES)
def test_without_bias(kind):
    compare(kind, (2, 5, 3), given=True, bias=False)


def test_relu():
    compare("RNN", (2, 5, 3), given=True, activation="relu")


@pytest.mark.parametrize("horizon", [1, 2, 3, 7])
@pytest.mark.parametrize("kind", GATES)
def test_a_horizon_is_torch_detached_at_the_same_times(kind, horizon):
    ours, theirs = pair(kind, horizon=horizon)
    x = np.random.default_rng(1).standard_normal((2, 7, 3))
    tg.ops.sin(ours(x)[0]).sum().backward()
    state, loss = None, 0.0
    for start in range(0, 7, horizon):
        outputs, state = theirs(torch.tensor(x[:, start : start + horizon]), state)
        state = tuple(s.detach() for s in state) if kind == "LSTM" else state.detach()
        loss = loss + torch.sin(outputs).sum()
    loss.backward()
    wanted = expected_gradients(theirs, kind, True)
    for name, g in ours.gradients().items():
        assert_close(g, wanted[name])

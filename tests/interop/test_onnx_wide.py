"""ONNX in float64, the numbers of the model itself; and loops over time as ONNX's Scan."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.interop.networks import X, mlp
from tests.interop.test_onnx import NETWORKS, NOT_IN_ONNX, ROWS, UNARY, OneRow, close, onnx, outputs, session
from tinygrad_edu import nn
from tinygrad_edu.compile.onnx_graph.formulas import NOT_WIDE
from tinygrad_edu.errors import SettingError, TraceError


def wide_outputs(found, x):
    (output,) = outputs(found, x, np.float64)
    assert output.dtype == np.float64
    return output


@pytest.mark.parametrize("name", NETWORKS)
def test_float64_is_the_model_itself(name, tmp_path):
    network = NETWORKS[name]
    model = network.make().astype("float64")
    try:
        path = tg.export(model, tmp_path / "net.onnx", network.X, dtype="float64")
    except TraceError as error:
        assert any(f"{missing} is not computed in float64" in str(error) for missing in NOT_WIDE)  # noqa: PT017
        return
    found, _ = session(path), model.eval()
    for rows in ROWS:
        with np.errstate(all="ignore"):
            close(wide_outputs(found, network.X[:rows]), model(network.X[:rows]).data, 1e-13)


REFUSED = {name for name, words in NOT_WIDE.items() if not words}


@pytest.mark.parametrize("name", UNARY)
def test_every_row_of_the_table_in_float64(name, tmp_path):
    model = OneRow(name)
    if name in REFUSED | NOT_IN_ONNX:
        with pytest.raises(TraceError, match=r"not computed in float64|no counterpart"):
            tg.export(model, tmp_path / "net.onnx", model.x, dtype="float64")
        return
    found = session(tg.export(model, tmp_path / "net.onnx", model.x, dtype="float64"))
    with np.errstate(all="ignore"):
        close(wide_outputs(found, model.x), model(model.x).data, 1e-13)


@pytest.mark.parametrize("name", ["expm1", "log1p", "sinh", "asinh", "atanh", "tanh", "acosh"])
def test_all_digits_of_small_numbers(name, tmp_path):
    small = 10.0 ** -np.arange(0.5, 18.0)
    model = OneRow(name)
    model.x = 1.0 + small[:13, None] if name == "acosh" else np.r_[small, -small, 0.0][:, None]
    found = session(tg.export(model, tmp_path / "net.onnx", model.x, dtype="float64"))
    exact = getattr(np, {"asinh": "arcsinh", "atanh": "arctanh", "acosh": "arccosh"}.get(name, name))(model.x)
    np.testing.assert_allclose(wide_outputs(found, model.x), exact, rtol=1e-14)


RECURRENT = {
    "RNN": lambda: nn.RNN(2, 3, num_layers=2, rng=1),
    "GRU": lambda: nn.GRU(2, 3, bidirectional=True, rng=1),
    "LSTM": lambda: nn.LSTM(2, 3, num_layers=2, bidirectional=True, rng=1),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", RECURRENT)
def test_a_series_is_a_loop_whatever_its_length(kind, dtype, tmp_path):
    sizes = []
    for steps in (5, 300):
        model = nn.Sequential(RECURRENT[kind](), lambda y: y[0])
        x = np.random.default_rng(0).normal(size=(3, steps, 2)).astype(dtype)
        path = tg.export(model, tmp_path / f"{steps}.onnx", x, dtype=dtype)
        nodes = onnx.load(path).graph.node
        assert "Scan" in [node.op_type for node in nodes]
        sizes.append(len(nodes))
        (output,) = session(path).run(None, {"x": x[:2]})
        close(output, model.eval()(x[:2].astype(float)).data, 1e-13 if dtype == "float64" else 1e-6)
    assert sizes[0] == sizes[1]


class Cell(nn.Module):
    """A loop of one's own: its state is a pair, and a round closes over weights and an array of its own."""

    def __init__(self):
        self.weight = tg.Tensor(np.random.default_rng(4).normal(size=(2, 2)), requires_grad=True)

    def forward(self, x):
        start = np.mean(x, axis=1)

        def step(state, entry):
            low, high = state
            new = np.tanh(low @ self.weight + entry * start)
            return (new, np.maximum(high, new)), new * high

        (_, high), ys = tg.scan(step, (start, start * 0.5), np.transpose(x, (1, 0, 2)))
        return np.sum(ys, axis=0) + high


def test_a_loop_of_ones_own(tmp_path):
    x = np.random.default_rng(0).normal(size=(4, 6, 2))
    path = tg.export(Cell(), tmp_path / "net.onnx", x, dtype="float64")
    assert [node.op_type for node in onnx.load(path).graph.node].count("Scan") == 1
    close(wide_outputs(session(path), x), Cell()(x).data, 1e-13)


@pytest.mark.parametrize("dtype", ["float16", "int64", "words", 3])
def test_other_numbers_are_refused(dtype, tmp_path):
    with pytest.raises(SettingError, match="float32 or float64"):
        tg.export(mlp()(), tmp_path / "net.onnx", X, dtype=dtype)
    with pytest.raises(SettingError, match="dtype= is for ONNX only"):
        tg.export(mlp()(), tmp_path / "net.c", X, dtype="float64")

"""ONNX: checked by onnx.checker, run by onnxruntime, the same outputs to 1e-6 (float32)."""

import subprocess
import sys
import warnings

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.interop.networks import ACTIVATIONS, OF_LAYERS, OTHERS, X, Y, mlp
from tinygrad_edu import nn
from tinygrad_edu.compile.onnx_graph.nodes import names_read
from tinygrad_edu.core.operation import TABLE, Operation
from tinygrad_edu.errors import SettingError, TraceError

onnx = pytest.importorskip("onnx", reason="needs onnx: the extra onnx")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs onnxruntime: the extra test")
onnxruntime.set_default_logger_severity(3)
NETWORKS = {**OF_LAYERS, **ACTIVATIONS, **OTHERS}
ROWS = (10, 1, 3)  # one file serves any number of rows


def session(path):
    onnx.checker.check_model(str(path), full_check=True)
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def outputs(session, x, dtype=np.float32):
    whole = session.get_inputs()[0].type == "tensor(int64)"
    return session.run(None, {"x": np.asarray(x, np.int64 if whole else dtype)})


def close(found, expected, atol=1e-6):
    expected = np.asarray(expected)
    size = max(1.0, np.abs(expected[np.isfinite(expected)]).max(initial=0.0))
    np.testing.assert_allclose(found, expected, rtol=0.0, atol=atol * size)


def in_float32(x):
    x = np.asarray(x)
    return x if x.dtype.kind in "iu" else x.astype(np.float32).astype(float)


@pytest.mark.parametrize("name", NETWORKS)
def test_outputs_are_the_same_for_any_number_of_rows(name, tmp_path):
    network = NETWORKS[name]
    model = network.make()
    path = tg.export(model, tmp_path / "net.onnx", network.X)
    graph = onnx.load(path).graph
    assert {x.name for x in graph.initializer} <= set(names_read(graph.node)), "a runtime warns of what is not read"
    found = session(path)
    assert model.training
    model.eval()
    for rows in ROWS:
        x = network.X[:rows]
        with np.errstate(all="ignore"):
            close(outputs(found, x)[0], model(in_float32(x)).data)


UNARY = [
    name for name, row in TABLE.items() if isinstance(row, Operation) and len(row.parameters) == len(row.defaults) + 1
]
NOT_IN_ONNX = {"gammaln", "log_ndtr", "ndtri"}


class OneRow(nn.Module):
    """A model that is one operation of the table, and inputs all over its domain."""

    def __init__(self, name):
        self.operation, self.weight = TABLE[name], tg.Tensor(np.ones(1), requires_grad=True)
        self.x = np.concatenate([np.linspace(*interval, 40) for (interval, *_) in TABLE[name].domain])[:, None]

    def forward(self, x):
        return 1.0 * self.operation(x * self.weight)


@pytest.mark.parametrize("name", UNARY)
def test_every_row_of_the_table_of_one_argument(name, tmp_path):
    model = OneRow(name)
    if name in NOT_IN_ONNX:
        with pytest.raises(TraceError, match="no counterpart in ONNX"):
            tg.export(model, tmp_path / "net.onnx", model.x)
        return
    found = session(tg.export(model, tmp_path / "net.onnx", model.x))
    with np.errstate(all="ignore"):
        close(outputs(found, model.x)[0], model(in_float32(model.x)).data, atol=2e-6)


def test_convolutions_are_convolutions_and_softmax_is_softmax(tmp_path):
    model = nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1, rng=1), nn.ReLU(), nn.Flatten(), nn.Linear(32, 3, rng=2), nn.Softmax()
    )
    path = tg.export(model, tmp_path / "net.onnx", np.zeros((1, 1, 4, 4)))
    kinds = [node.op_type for node in onnx.load(path).graph.node]
    assert kinds.count("Conv") == 1
    assert "Softmax" in kinds
    names = [x.name for x in onnx.load(path).graph.initializer]
    assert "layers.0.weight" in names


def test_long_series_and_both_directions(tmp_path):
    model = nn.Sequential(
        nn.LSTM(2, 3, num_layers=2, bidirectional=True, rng=1), lambda y: y[0][:, -1], nn.Linear(6, 1, rng=2)
    )
    x = np.random.default_rng(0).normal(size=(4, 20, 2))
    found = session(tg.export(model, tmp_path / "net.onnx", x))
    close(outputs(found, x)[0], model.eval()(in_float32(x)).data)


def test_a_run_and_a_float32_model(tmp_path):
    model = mlp(dtype="float32")()
    run = tg.fit(model, X, Y, loss="mse", optimizer="adam", epochs=2, compiled=False)
    close(outputs(session(tg.export(run, tmp_path / "net.onnx")), X)[0], run.model.eval()(X).data)


@pytest.mark.parametrize("labels", [[3, 7], ["no", "yes"], ["a", "b", "c"]])
@pytest.mark.parametrize("hidden", [(5,), (4, 3)])
def test_classifiers(labels, hidden, tmp_path):
    pytest.importorskip("sklearn", reason="needs scikit-learn: the extra sklearn")
    rng = np.random.default_rng(1)
    x = rng.normal(size=(60, 3)).astype(np.float32)
    y = np.asarray(labels)[rng.integers(0, len(labels), 60)]
    with warnings.catch_warnings(action="ignore"):
        model = tg.estimators.MLPClassifier(hidden, max_iter=20, activation="relu").fit(x, y)
    probabilities, label = outputs(session(model.to_onnx(tmp_path / "net.onnx")), x)
    close(probabilities, model.predict_proba(x))
    assert label.tolist() == model.predict(x).tolist()
    close(outputs(session(tg.export(model, tmp_path / "other.onnx")), x)[0], model.predict_proba(x))


def test_regressors(tmp_path):
    sklearn = pytest.importorskip("sklearn", reason="needs scikit-learn: the extra sklearn")
    x = np.random.default_rng(1).normal(size=(40, 2)).astype(np.float32)
    with warnings.catch_warnings(action="ignore"):
        model = tg.estimators.MLPRegressor(hidden_layer_sizes=[4], max_iter=20).fit(x, x[:, 0])
    close(outputs(session(model.to_onnx(tmp_path / "net.onnx")), x)[0].ravel(), model.predict(x))
    with pytest.raises(sklearn.exceptions.NotFittedError):
        tg.estimators.MLPRegressor().to_onnx(tmp_path / "net.onnx")


def test_what_cannot_be_exported(tmp_path):
    model = mlp()()
    model.layers[0].weight.data[0, 0] = np.inf
    with pytest.raises(SettingError, match=r"layers\.0\.weight is NaN or infinite"):
        tg.export(model, tmp_path / "net.onnx")
    part = nn.Sequential(nn.Linear(2, 2, rng=1), lambda y: y[1:])
    with pytest.raises(TraceError, match="depends on the number of rows"):
        tg.export(part, tmp_path / "net.onnx")
    assert not list(tmp_path.iterdir())


def test_without_onnx_it_says_what_to_install(tmp_path):
    program = (
        "import sys; sys.modules['onnx'] = None\nimport tinygrad_edu as tg\ntg.export(tg.nn.MLP([2, 2]), 'net.onnx')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert "export to .onnx needs onnx: `pip install onnx` brings it" in done.stderr

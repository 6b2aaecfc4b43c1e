"""The training program in C99: compiled without a warning, and the numbers of `fit`, for every row of the tables."""

import ctypes
import functools
import re
import subprocess
import warnings

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.interop.compilers import Library, compile_c, level_of, library, networks_in_c
from tests.interop.generated_python import fit_in_python
from tests.interop.networks import ALL, MARKED, X, Y, group_of, mlp
from tests.interop.node import literal, numbers, run
from tinygrad_edu import nn, optim
from tinygrad_edu.errors import SettingError, TraceError
from tinygrad_edu.interop.c99_training import CTrainingFile
from tinygrad_edu.interop.programs import network_program

EPOCHS = 5


def adam(parameters):
    return optim.Adam(parameters, lr=0.01)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """A network in C; those of its group are compiled together."""
    group = functools.cache(lambda *wanted: networks_in_c(*wanted, tmp_path_factory.mktemp("group")))
    return lambda name: group(group_of(name), level_of(name))[name]


@pytest.mark.parametrize("name", MARKED)
def test_it_trains_as_fit_does(name, compiled):
    network, net = ALL[name], compiled(name)
    losses, error = net.train(network.X, network.y, net.program.job.batch_size, EPOCHS)
    model, done = network.run(EPOCHS)
    if done.n_epochs < EPOCHS:
        assert error == "the loss is NaN or infinite"
        return
    assert error is None
    np.testing.assert_allclose(losses, done.loss_curve, rtol=1e-12, atol=1e-13)
    expected = model.eval()(network.X).data
    np.testing.assert_allclose(net.predict(network.X, expected.shape), expected, rtol=1e-10, atol=1e-11)
    np.testing.assert_allclose(net.function("gradient_norm")(), done.grad_norms[-1], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(net.function("change")(), done.update_norms[-1], rtol=1e-6, atol=1e-9)


def rings(loss):
    points = np.random.default_rng(5).normal(size=(60, 2))
    y = (points**2).sum(axis=1, keepdims=True)
    return points, (y.ravel() > 1.0).astype(int) if loss == "cross_entropy" else y


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
@pytest.mark.parametrize("optimizer", [adam, lambda p: optim.SGD(p, lr=0.02), lambda p: optim.SGD(p, 0.02, 0.9)])
def test_1000_steps_in_shuffled_batches(loss, optimizer, tmp_path):
    points, y = rings(loss)

    def model():
        return nn.MLP([2, 8, 8, 2 if loss == "cross_entropy" else 1], seed=2)

    settings = {"loss": loss, "optimizer": optimizer, "batch_size": 8}
    program = network_program(model(), points, y, hidden=False, **settings)
    net = Library(program, CTrainingFile(program, "net", None).text(), tmp_path)
    losses, error = net.train(points, y, 8, 130, net.shuffle(7, 60, 130))
    assert error is None
    done = tg.fit(model(), points, y, epochs=130, seed=7, compiled=False, **settings)
    assert 130 * 8 >= 1000
    np.testing.assert_allclose(losses, done.loss_curve, rtol=0.0, atol=1e-10)


@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
def test_the_same_bits_as_the_generated_python(loss, tmp_path):
    """exp, log and tanh are the library's own on both sides: nothing may differ, not by one digit."""
    points, y = (array[:12] for array in rings(loss))

    def model():
        return nn.MLP([2, 4, 2 if loss == "cross_entropy" else 1], seed=2)

    settings = {"loss": loss, "optimizer": lambda p: optim.SGD(p, lr=0.125, momentum=0.5), "batch_size": 5}
    program = network_program(model(), points, y, hidden=False, **settings)
    losses, _ = Library(program, CTrainingFile(program, "net", None).text(), tmp_path).train(points, y, 5, 20)
    assert losses.tolist() == list(fit_in_python(model(), points, y, epochs=20, shuffle=False, **settings).loss_curve)


def test_float32(tmp_path):
    points, y = rings("cross_entropy")
    settings = {"loss": "cross_entropy", "optimizer": adam, "batch_size": 8}
    model, other = (nn.MLP([2, 8, 2], seed=2, dtype="float32") for _ in range(2))
    program = network_program(model, points, y, hidden=False, **settings)
    text = CTrainingFile(program, "net", None).text()
    assert re.search(r"\bfloat \w+ = tanh_s\(", text)
    losses, _ = Library(program, text, tmp_path).train(points, y, 8, 20)
    done = tg.fit(other, points, y, epochs=20, shuffle=False, compiled=False, **settings)
    np.testing.assert_allclose(losses, done.loss_curve, rtol=1e-5)


def test_orders_are_those_of_numpy(tmp_path):
    net = library(ALL["optimizer Adam"], tmp_path)
    for seed in (0, 1, 2**32, 2**63 + 5):
        expected = np.random.default_rng(seed).permuted(np.tile(np.arange(50), (2, 1)), axis=1)
        assert (net.shuffle(seed, 50, 2) == expected).all()


def test_reset_goes_back_to_the_start_and_nan_to_the_last_epoch(tmp_path):
    net = library(ALL["norms"], tmp_path)
    network, batch = ALL["norms"], 6
    first, _ = net.train(network.X, network.y, batch, 3)
    pointer = net.lib.net_weights
    pointer.restype = ctypes.POINTER(ctypes.c_double)
    total = sum(p.size for p in network.make().parameters())
    before = pointer()[:total]
    outputs = net.predict(network.X, (10, 3))
    bad = np.array(network.y)
    bad[2] = np.inf
    losses, error = net.train(network.X, bad, batch, 2)
    assert error == "the loss is NaN or infinite"
    assert not np.isfinite(losses[0])
    assert pointer()[:total] == before
    assert (net.predict(network.X, (10, 3)) == outputs).all()
    net.lib.net_reset()
    assert (net.train(network.X, network.y, batch, 3)[0] == first).all()


def test_what_does_not_fit_is_refused(tmp_path):
    net = library(ALL["loss class numbers"], tmp_path)
    assert "at least 1" in net.train(X, np.zeros(len(X)), 5, 1)[1]
    assert "at least 1" in net.train(X, np.zeros(len(X)), 0, 1)[1]
    assert net.train(X, np.full(len(X), 3), 4, 1)[1] == "a class has no column in the logits"


def test_nothing_is_allocated_and_nothing_is_included():
    program = network_program(mlp()(), X, Y, loss="mse", optimizer=adam, hidden=False)
    text = CTrainingFile(program, "net", None).text()
    assert re.findall("#include (.*)", text) == ["<math.h>", "<stdint.h>", "<string.h>"]
    assert not re.search(r"\b(malloc|calloc|realloc|alloca|free)\b", text)
    assert max(map(len, text.splitlines())) < 400


HOSTILE = [
    "*/ int evil; /*", 'x"; exit(1); "', "main", "double", "X__0", "x_at", "state", "a\\\nb", "printf", "sum_d",
    "rate_of", "net_train", "given__0", "start", "n_v", "nest_t1", "product_d", "INFINITY", "__STDC__", "errno",
    "\u00e9",
]  # fmt: skip


@pytest.mark.parametrize("label", HOSTILE)
def test_names_never_become_code(label, tmp_path):
    model = mlp()()
    for layer in model.layers:
        layer.weight.label = label
    program = network_program(model, X, Y, loss="mse", optimizer=adam, batch_size=4, hidden=False)
    text = CTrainingFile(program, "net", None).text(main=True)
    assert "evil; " not in text
    assert "exit(1)" not in text
    losses, error = Library(program, text, tmp_path, level="-O0").train(X, Y, 4, 2)
    assert error is None
    done = tg.fit(mlp()(), X, Y, loss="mse", optimizer=adam, batch_size=4, epochs=2, shuffle=False, compiled=False)
    np.testing.assert_allclose(losses, done.loss_curve, rtol=1e-12)


@pytest.mark.parametrize("name", ["", "a b", "double", "x;int", "main", "9x", "n" * 41])
def test_a_name_is_an_identifier(name, tmp_path):
    with pytest.raises(SettingError, match="C identifier"):
        tg.export(mlp()(), tmp_path / "net.c", name=name)


# the file, and a program of its own


def csv(*arrays, heading="a,b,c\n"):
    rows = np.column_stack([np.reshape(a, (len(a), -1)).astype(float) for a in arrays])
    return heading + "".join(",".join(map(repr, row)) + "\n" for row in rows.tolist())


def program(model, folder, *given, **settings):
    return compile_c(tg.export(model, folder / "own.c", *given, main=True, **settings).read_text(), folder, "-O1")


def call(file, *words, given=""):
    return subprocess.run([file, *words], input=given, capture_output=True, text=True, timeout=60, check=False)


def test_a_program_of_its_own_trains_and_predicts(tmp_path):
    settings = {"loss": "mse", "optimizer": adam, "batch_size": 4}
    file = program(mlp()(), tmp_path, X, Y, **settings)
    trained = call(file, "train", "6", "9", str(tmp_path / "weights"), given=csv(X, Y))
    assert trained.stderr == ""
    model = mlp()()
    done = tg.fit(model, X, Y, epochs=6, seed=9, compiled=False, **settings)
    np.testing.assert_allclose([float(x) for x in trained.stdout.split()], done.loss_curve, rtol=1e-12)
    found = call(file, "predict", str(tmp_path / "weights"), given=csv(X, heading=""))
    outputs = [[float(x) for x in line.split(",")] for line in found.stdout.splitlines()]
    np.testing.assert_allclose(outputs, model.eval()(X).data, rtol=1e-10)


def test_prediction_alone(tmp_path):
    model = nn.Sequential(nn.Linear(2, 3, rng=1), nn.BatchNorm(3), nn.Softmax())
    found = call(program(model, tmp_path), given=csv(X))
    outputs = [[float(x) for x in line.split(",")] for line in found.stdout.splitlines()]
    np.testing.assert_allclose(outputs, model.eval()(X).data, rtol=1e-12)
    assert "train" not in (tmp_path / "own.c").read_text()


@pytest.mark.parametrize(
    ("words", "given", "says"),
    [
        (["predict"], "1,2,3\n", "line 1: 2 numbers between commas are needed"),
        (["predict"], "1,2\n3\n", "line 2: 2 numbers"),
        (["train", "2"], "1,2,3,4,5\nx\n", "line 2: 2 + 3 numbers between commas are needed"),
        (["train", "2"], "1,2,3,4,5\n" * 11, "line 11: there is room for 10 samples"),
        (["train", "2"], "", "n and batch have to be at least 1"),
        (["train", "0"], "", "train EPOCHS"),
        (["fly"], "", "predict [WEIGHTS] or train EPOCHS"),
        (["predict", "no such file"], "", "the file of weights cannot be read"),
    ],
)
def test_rows_that_are_none(words, given, says, own_program):
    done = call(own_program, *words, given=given)
    assert done.returncode == 1
    assert says in done.stderr


@pytest.fixture(scope="module")
def own_program(tmp_path_factory):
    return program(mlp()(), tmp_path_factory.mktemp("own"), X, Y, loss="mse", optimizer="sgd")


# arguments of export


def test_a_run_brings_everything_with_it(tmp_path):
    done = tg.fit(mlp()(), X, Y, loss="mse", optimizer=adam, epochs=3, batch_size=4, clip_norm=0.5, compiled=False)
    text = tg.export(done, tmp_path / "net.c").read_text()
    assert "double clip_norm;" in text
    assert done.model.layers[0].weight.data.ravel()[0].astype(str) in text
    with pytest.raises(SettingError, match="a run brings data"):
        tg.export(done, tmp_path / "net.c", X, Y, loss="mse", optimizer="sgd")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"path": "net.txt"}, "the ending says what to write"),
        ({"path": "net.js", "main": True}, "main= and samples= are for C only"),
        ({"path": "net.c", "loss": "mse"}, "needs X, y, loss and optimizer"),
        ({"path": "net.c", "train": True}, "needs X, y, loss and optimizer"),
    ],
)
def test_settings_that_do_not_go_together(settings, says, tmp_path):
    with pytest.raises(SettingError, match=re.escape(says)):
        tg.export(mlp()(), tmp_path / settings.pop("path"), **settings)


def test_what_cannot_be_written(tmp_path):
    model = mlp()()
    model.layers[0].weight.data[0, 0] = np.nan
    with pytest.raises(SettingError, match="NaN or infinite"):
        tg.export(model, tmp_path / "net.c")
    with pytest.raises(SettingError, match="give X"):
        tg.export(nn.Conv2d(1, 1, 2), tmp_path / "net.c")
    with pytest.raises(TraceError, match="Tensors"):
        tg.export(nn.MLP([2, 2], backend="scalar"), tmp_path / "net.c")
    weighted = tg.fit(
        mlp()(), X, Y, loss="mse", optimizer="sgd", epochs=1, sample_weight=np.ones(len(X)), compiled=False
    )
    with pytest.raises(TraceError, match="sample_weight"):
        tg.export(weighted, tmp_path / "net.c")
    plateau = optim.schedules.reduce_on_plateau(0.1)
    with pytest.raises(TraceError, match="follows the losses"):
        tg.export(mlp()(), tmp_path / "net.c", X, Y, loss="mse", optimizer=lambda p: optim.SGD(p, plateau))


class OfRows(nn.Module):
    """A model that is another one for another number of rows."""

    def __init__(self):
        self.layer = nn.Linear(2, 3, rng=1)

    def forward(self, x):
        return self.layer(x) * (2.0 if x.shape[0] == 4 else 1.0)


def test_a_number_of_rows_that_the_program_is_not_made_for(tmp_path):
    program = network_program(OfRows(), X[:8], Y[:8], loss="mse", optimizer="sgd", batch_size=2, hidden=False)
    net = Library(program, CTrainingFile(program, "net", None).text(), tmp_path)
    assert net.train(X, Y, 2, 1)[1] is None
    assert net.train(X[:9], Y[:9], 2, 1)[1] is None
    other = network_program(OfRows(), X[:8], Y[:8], loss="mse", optimizer="sgd", batch_size=8, hidden=False)
    net = Library(other, CTrainingFile(other, "net", None).text(), tmp_path, "other")
    assert "for that many rows" in net.train(X[:8], Y[:8], 4, 1)[1]
    assert net.train(X[:8], Y[:8], 3, 1)[1] is None


def test_an_estimator_leaves_as_the_network_it_is(tmp_path):
    pytest.importorskip("sklearn", reason="needs scikit-learn: the extra sklearn")
    with warnings.catch_warnings(action="ignore"):
        model = tg.estimators.MLPClassifier((4,), max_iter=5).fit(X, np.arange(len(X)) % 3)
    found = call(program(model, tmp_path), given=csv(X))
    outputs = [[float(x) for x in line.split(",")] for line in found.stdout.splitlines()]
    np.testing.assert_allclose(outputs, model.predict_proba(X), rtol=1e-12)
    script = tg.export(model, tmp_path / "network.js").read_text()
    script += f"const net = network.create(), X = {literal(X)};"
    script += "found.push(Array.from(net.predict(X)), net.activations(X)[0].shape);"
    probabilities, shape = run(script, tmp_path)
    np.testing.assert_allclose(numbers(probabilities), model.predict_proba(X).ravel(), rtol=1e-12)
    assert shape == [str(len(X)), "4"]
    assert tg.export(model, tmp_path / "net.safetensors").exists()


@pytest.mark.parametrize("name", ["net.c", "net.js", "net.mjs", "net.onnx"])
@pytest.mark.parametrize("training", [True, False])
def test_a_number_of_rows_that_is_fixed_and_models_of_values_are_refused(tmp_path, name, training):
    class Rows(nn.Module):
        def __init__(self):
            self.layer = nn.Linear(2, 3, rng=1)

        def forward(self, x):
            return self.layer(x) + np.ones((len(x), 3))

    given = (X[:6], Y[:6, :1] * np.ones(3)) if training else (X[:6],)
    settings = {"loss": "mse", "optimizer": "sgd", "batch_size": 3} if training else {}
    with pytest.raises(TraceError, match="number of rows"):
        tg.export(Rows(), tmp_path / name, *given, **settings)
    scalar = nn.MLP([2, 1], backend="scalar")
    run = tg.fit(scalar, X[:3], X[:3, :1], loss="mse", optimizer="sgd", epochs=1)
    for model in (scalar, run):
        with pytest.raises(TraceError, match="models of Tensors: make it with backend='tensor'"):
            tg.export(model, tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["net.c", "net.js", "net.onnx", "net.safetensors"])
def test_what_is_no_network_is_refused_by_name(tmp_path, name):
    exceptions = pytest.importorskip("sklearn.exceptions", reason="needs scikit-learn: the extra sklearn")
    pipeline = pytest.importorskip("sklearn.pipeline").make_pipeline(tg.estimators.MLPClassifier())
    for strange, said in ((pipeline, "not Pipeline: .*last step"), (3.0, "not float"), (None, "not NoneType")):
        with pytest.raises(SettingError, match=said):
            tg.export(strange, tmp_path / name)
    with pytest.raises(exceptions.NotFittedError):
        tg.export(tg.estimators.MLPRegressor(), tmp_path / name)
    assert not list(tmp_path.iterdir())

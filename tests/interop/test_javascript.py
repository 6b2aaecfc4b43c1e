"""The training program in JavaScript: the numbers of `fit`, for every row of the tables; in Node."""

import functools
import json
import math

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.interop.generated_python import fit_in_python
from tests.interop.networks import ALL, MARKED, SCHEDULES, X, Y, group_of, mlp
from tests.interop.node import literal, numbers, run
from tinygrad_edu import nn, optim
from tinygrad_edu.errors import SettingError, TraceError
from tinygrad_edu.interop.javascript import training_program

EPOCHS = 5


def adam(parameters):
    return optim.Adam(parameters, lr=0.01)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Losses and predictions of a network; those of its group are found together."""

    @functools.cache
    def group(wanted):
        names = [name for name in ALL if group_of(name) == wanted]
        return dict(zip(names, trained_together(names, tmp_path_factory.mktemp("node")), strict=True))

    return lambda name: map(numbers, group(group_of(name))[name])


def trained_together(names, folder):
    script = []
    for network in [ALL[name] for name in names]:
        text = training_program(network.make(), network.X, network.y, **network.arguments)
        script.append(
            f"{{ {text} const net = network.create(), X = {literal(network.X)}, y = {literal(network.y)};\n"
            f"const losses = Array.from(net.train(X, y, {EPOCHS}));\n"
            f"found.push([losses, Array.from(net.predict(X))]); }}"
        )
    return run("\n".join(script), folder)


@pytest.mark.slow
@pytest.mark.parametrize("name", MARKED)
def test_it_trains_as_fit_does(name, trained):
    losses, predictions = trained(name)
    model, done = ALL[name].run(EPOCHS)
    if done.n_epochs < EPOCHS:  # both end at a NaN
        assert len(losses) == done.n_epochs + 1
        assert not math.isfinite(losses[-1])
        return
    np.testing.assert_allclose(losses, done.loss_curve, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(predictions, model.eval()(ALL[name].X).data.ravel(), rtol=1e-10, atol=1e-11)


# A thousand steps and more


def sources(kind, loss):
    rng = np.random.default_rng(5)
    points = rng.normal(size=(60, 2))
    y = (points**2).sum(axis=1, keepdims=True)
    return points, (y.ravel() > 1.0).astype(int) if loss == "cross_entropy" else y


@pytest.mark.slow
@pytest.mark.parametrize(
    ("loss", "optimizer", "dtype", "off"),
    [
        ("mse", lambda p: optim.SGD(p, lr=0.02, momentum=0.9), "float64", 1e-10),
        ("cross_entropy", adam, "float64", 1e-10),
        ("cross_entropy", adam, "float32", 2e-2),  # float32 sums in another order, continued for 1,000 steps
    ],
)
def test_1000_steps_in_shuffled_batches(loss, optimizer, dtype, off, tmp_path):
    points, y = sources(0, loss)

    def model():
        return nn.MLP([2, 8, 8, 2 if loss == "cross_entropy" else 1], seed=2, dtype=dtype)

    text = training_program(model(), points, y, loss=loss, optimizer=optimizer, batch_size=8)
    script = (
        f"{text} const X = {literal(points)}, y = {literal(y)}, orders = network.Generator.of_seed(7).orders(60, 130);"
    )
    script += "found.push(Array.from(network.create().train(X, y, 130, orders)));"
    losses = numbers(run(script, tmp_path)[0])
    eager = tg.fit(
        model(), points, y, loss=loss, optimizer=optimizer, batch_size=8, epochs=130, seed=7, compiled=False
    ).loss_curve
    assert 130 * 8 >= 1000
    np.testing.assert_allclose(losses, eager, rtol=0.0, atol=off)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
def test_the_same_bits_as_the_generated_python(loss, dtype, tmp_path):
    """exp, log and tanh are the library's own on both sides: nothing may differ, not by one digit."""
    points, y = sources(0, loss)
    points, y = points[:12], y[:12]

    def model():
        return nn.MLP([2, 4, 2 if loss == "cross_entropy" else 1], seed=2, dtype=dtype)

    def optimizer(parameters):
        return optim.SGD(parameters, lr=0.125, momentum=0.5)

    text = training_program(model(), points, y, loss=loss, optimizer=optimizer, batch_size=5)
    script = f"{text} const X = {literal(points)}, y = {literal(y)}, net = network.create();"
    script += "found.push(Array.from(net.train(X, y, 20)), net.weights.map(x => Array.from(x)).flat());"
    losses, weights = map(numbers, run(script, tmp_path))

    trained = model()
    settings = {"loss": loss, "optimizer": optimizer, "batch_size": 5, "shuffle": False}
    done = fit_in_python(trained, points, y, epochs=20, **settings)
    if dtype == "float64":
        assert losses.tolist() == list(done.loss_curve)
    # Eagerly, float32 losses are summed in float32; the compiled program and this one use float64.
    np.testing.assert_allclose(losses, done.loss_curve, rtol=1e-6)
    assert weights.tolist() == [float(x) for p in trained.parameters() for x in p.data.ravel()]


# use by a page


@pytest.fixture(scope="module")
def text():
    return training_program(mlp()(), X, Y, loss="mse", optimizer=adam, batch_size=4)


def test_layers_of_other_widths(text, tmp_path):
    other = mlp(sizes=(4, 7, 2))()
    weights = json.dumps([{"shape": p.shape, "data": p.data.ravel().tolist()} for p in other.parameters()])
    rng = np.random.default_rng(0)
    points, y = rng.normal(size=(9, 4)), rng.normal(size=(9, 2))
    script = f"{text} const net = network.create({weights}), X = {literal(points)}, y = {literal(y)};"
    script += "found.push(Array.from(net.train({shape: [9, 4], data: X.flat()}, {shape: [9, 2], data: y.flat()}, 9)));"
    done = tg.fit(other, points, y, loss="mse", optimizer=adam, batch_size=4, epochs=9, shuffle=False, compiled=False)
    np.testing.assert_allclose(numbers(run(script, tmp_path)[0]), done.loss_curve, rtol=1e-12)


def test_the_rate_and_the_batch_size_change_as_it_runs(text, tmp_path):
    script = f"""{text} const net = network.create(), X = {literal(X)}, y = {literal(Y)};
    net.train(X, y, 3);
    net.settings.lr = 0.003; net.settings.beta1 = 0.5; net.batchSize = 5;
    found.push(Array.from(net.train(X, y, 3)), net.steps);"""
    losses, steps = run(script, tmp_path)
    model = mlp()()
    optimizer = adam(model.parameters())
    for batch, epochs, lr, beta in ((4, 3, 0.01, 0.9), (5, 3, 0.003, 0.5)):
        optimizer.lr = lr
        optimizer.settings["beta1"] = beta
        settings = {"batch_size": batch, "epochs": epochs, "shuffle": False, "compiled": False}
        done = tg.fit(model, X, Y, loss="mse", optimizer=optimizer, **settings)
    np.testing.assert_allclose(numbers(losses), done.loss_curve, rtol=1e-12)
    assert int(steps) == optimizer.steps


def test_hidden_units_and_a_way_back(text, tmp_path):
    script = f"""{text} const net = network.create(), X = {literal(X)}, y = {literal(Y)}, point = net.snapshot();
    const [hidden] = net.activations(X), first = Array.from(net.train(X, y, 2));
    net.restore(point);
    found.push(hidden.name, hidden.shape, Array.from(hidden.data), first, Array.from(net.train(X, y, 2)));
    net.reset();
    found.push(Array.from(net.train(X, y, 2)));"""
    name, shape, units, first, second, third = run(script, tmp_path)
    assert (name, shape) == ("layers.0", [str(len(X)), "5"])
    np.testing.assert_allclose(numbers(units), np.tanh(mlp()().layers[0](X).data).ravel(), rtol=1e-14)
    assert first == second == third


def test_nan_ends_it_at_the_last_whole_epoch(text, tmp_path):
    script = f"""{text} const net = network.create(), X = {literal(X)}, y = {literal(Y)};
    net.train(X, y, 2);
    const before = net.weights.map(x => Array.from(x)).flat();
    y[3][0] = NaN;
    found.push(Array.from(net.train(X, y, 5)), net.stopped, net.steps);
    found.push(before, net.weights.map(x => Array.from(x)).flat());"""
    losses, why, steps, before, after = run(script, tmp_path)
    assert (losses, why, steps) == (["NaN"], "nan", "6")
    assert before == after


@pytest.mark.parametrize(
    ("call", "says"),
    [
        ("net.train([[1, 2], [3, 4]], [[1, 2, 3]])", "X has 2 samples and y 1"),
        ("net.train([[1, 2, 3]], [[1, 2, 3]])", "or for layers of these widths"),
        ("net.train([], [])", "X holds 0 numbers"),
        ("net.train([1, 2, 3], [[1, 2, 3]])", "X holds 3 numbers: rows of 2 are needed"),
        ("net.train([[1, 2]], [[1, 2, 3]], 2, [0])", "order has 1 numbers: 2 epochs of 1 samples need 2"),
        ("network.create([[1, 2]])", "1 arrays of weights for 4 parameters"),
    ],
)
def test_what_does_not_fit_is_refused(call, says, text, tmp_path):
    script = f"{text} const net = network.create(); try {{ {call}; }} catch (e) {{ found.push(e.message); }}"
    assert says in run(script, tmp_path)[0]


def test_a_class_without_a_column_is_refused(tmp_path):
    text = training_program(mlp()(), X, np.arange(len(X)) % 3, loss="cross_entropy", optimizer="sgd")
    script = f"{text} try {{ network.create().train([[1, 2]], [3]); }} catch (e) {{ found.push(e.message); }}"
    assert run(script, tmp_path) == ["a class has no column in the logits"]


def test_orders_are_those_of_numpy(text, tmp_path):
    seeds = [0, 1, 4_294_967_296, 2**130 + 17]
    script = f"{text} for (const seed of {json.dumps([str(s) for s in seeds])}) {{"
    script += "const rng = network.Generator.of_seed(seed); found.push(rng.random(), Array.from(rng.orders(50, 2))); }"
    found = run(script, tmp_path)
    for i, seed in enumerate(seeds):
        rng = np.random.default_rng(seed)
        assert float(found[2 * i]) == rng.random()
        assert (
            numbers(found[2 * i + 1]).tolist() == rng.permuted(np.tile(np.arange(50), (2, 1)), axis=1).ravel().tolist()
        )


HOSTILE = [
    "</script><script>alert(1)//",
    'x"; alert(1); "',
    "constructor",
    "__proto__",
    "class",
    "x_at",
    "n",
    "a\nb",
    "sum_d",
]


@pytest.mark.parametrize("label", HOSTILE)
def test_names_never_become_code(label, tmp_path):
    model = mlp()()
    model.layers[0].weight.label = label
    text = training_program(model, X, Y, loss="mse", optimizer=adam, batch_size=4)
    assert "</script" not in text
    assert "alert(1)" not in text
    script = f"{text} found.push(Array.from(network.create().train({literal(X)}, {literal(Y)}, 2)));"
    done = tg.fit(mlp()(), X, Y, loss="mse", optimizer=adam, batch_size=4, epochs=2, shuffle=False, compiled=False)
    np.testing.assert_allclose(numbers(run(script, tmp_path)[0]), done.loss_curve, rtol=1e-12)


@pytest.mark.parametrize("name", ["", "a b", "class", "x;alert(1)", "é"])
def test_a_name_is_an_identifier(name):
    with pytest.raises(SettingError, match="JavaScript identifier"):
        training_program(mlp()(), X, Y, loss="mse", optimizer="sgd", name=name)


def test_what_cannot_be_written():
    with pytest.raises(TraceError, match="L-BFGS"):
        training_program(mlp()(), X, Y, loss="mse", optimizer="lbfgs")
    model = nn.Sequential(nn.Linear(2, 3, rng=1), tg.ops.erfc)
    with pytest.raises(TraceError, match=r"erfc.*JavaScript"):
        training_program(model, X, Y, loss="mse", optimizer="sgd")


def test_a_module_exports_it():
    text = training_program(mlp()(), X, Y, loss="mse", optimizer="sgd", module=True)
    assert text.endswith("export default network;\n")


def test_every_schedule_is_tried():
    fixed = set(optim.schedules.__all__) - {
        "Plateau",
        "Schedule",
        "adaptive",
        "as_schedule",
        "constant",
        "reduce_on_plateau",
    }
    assert {name.split()[0] for name in SCHEDULES} == fixed

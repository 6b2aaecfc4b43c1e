"""What does not fit is one clear error on every way of training, and nothing is half trained."""

from contextlib import nullcontext

import numpy as np
import pytest

from tinygrad_edu import fit, fit_many, nn, no_grad, optim
from tinygrad_edu.errors import DtypeError, NameNotFoundError, SettingError, ShapeError
from tinygrad_edu.train import fit_online
from tinygrad_edu.train.samples import check_samples

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(12, 2)), RNG.uniform(0.1, 0.9, size=(12, 1))
LABELS = np.arange(12) % 3


def last(array, value):
    """Wrong in the last batch only."""
    array = np.array(array)
    array[-1] = value
    return array


EVERY_WAY = [  # (changes, error, text), for one output and mse unless stated otherwise
    ({"X": last(X, np.nan)}, SettingError, r"X holds 2 entries that are NaN or infinite, the first at index \(11, 0\)"),
    ({"X": last(X, np.inf)}, SettingError, "X holds 2 entries"),
    ({"y": last(Y, np.nan)}, SettingError, r"y holds 1 entry that is NaN or infinite, the first at index \(11, 0\)"),
    ({"X": X[:0], "y": Y[:0]}, SettingError, "(samples|times)=0"),
    ({"X": X[:0]}, (SettingError, ShapeError), "samples=0|X has 0"),
    ({"y": Y[:0]}, ShapeError, "X has 12 (rows and|time steps, but) y has 0"),
    ({"y": Y[:5]}, ShapeError, "X has 12 (rows and|time steps, but) y has 5"),
    ({"y": 1.0}, ShapeError, "y is one number|X has 12 rows and y has 1"),
    ({"X": X[:, :1]}, ShapeError, "2 wide|2 features"),
    ({"X": np.c_[X, X]}, ShapeError, "2 wide|2 features"),
    ({"y": np.c_[Y, Y]}, ShapeError, "differ in shape|differ"),
    ({"X": X.astype(str)}, DtypeError, "X holds text"),
    ({"y": Y.astype(str)}, DtypeError, "y holds text"),
    ({"X": X.astype(object)}, DtypeError, "X holds object"),
    ({"y": last(Y, 1.5), "loss": "bce_with_logits"}, SettingError, r"target 1\.5 at index \(11, 0\) is not between"),
    ({"y": last(Y, -0.5), "loss": "bce"}, SettingError, r"target -0\.5 at index \(11, 0\) is not between 0 and 1"),
    ({"y": last(np.ones_like(Y), 0.0), "loss": "hinge"}, SettingError, r"target 0\.0 at index \(11, 0\) is neither"),
    ({"loss": "msse"}, NameNotFoundError, "Did you mean 'mse'"),
    ({"loss": None}, NameNotFoundError, "unknown loss None"),
    ({"epochs": 0}, SettingError, "epochs=0"),
    ({"epochs": 1.5}, SettingError, r"epochs=1\.5"),
]
OF_FIT = [
    ({"y": last(LABELS, 3), "loss": "cross_entropy", "outputs": 3}, SettingError, "classes from 0 to 3 .* 3 outputs"),
    ({"y": last(LABELS, -1), "loss": "cross_entropy", "outputs": 3}, SettingError, "classes from -1 to 2"),
    (
        {"y": LABELS * 1.0, "loss": "cross_entropy", "outputs": 3},
        SettingError,
        r"from 0 to 2 are needed. Write y.astype\(int\)$",
    ),
    (
        {"y": LABELS, "loss": "cross_entropy", "outputs": 1},
        SettingError,
        "1 output. .*give the model an output for each",
    ),
    ({"y": LABELS[:0], "loss": "cross_entropy", "outputs": 3}, ShapeError, "X has 12 rows and y has 0"),
    ({"y": last(LABELS * 1.0, np.nan), "loss": "cross_entropy", "outputs": 3}, SettingError, "target is NaN"),
    ({"X": iter(X)}, DtypeError, r"X is a \w+: one array is needed, .* such as list\(X\)"),
    ({"y": {"a": Y}}, DtypeError, r"y is a dict: one array is needed, .* np.column_stack\(list\(y.values\(\)\)\)"),
    ({"batch_size": 0}, SettingError, "batch_size=0"),
    ({"batch_size": 2.5}, SettingError, r"batch_size=2\.5"),
]
WAYS = ["compiled", "eager", "scalar", "lbfgs", "many"]


def state_of(model, optimizer):
    memory = repr((optimizer.t, optimizer.memory)) if hasattr(optimizer, "t") else ""
    return {name: x.tolist() for name, x in model.state_dict().items()}, memory, [p.grad for p in model.parameters()]


def train(way, model, x, y, optimizer, **given):
    if way == "many":
        fit_many(lambda seed: model, x, y, optimizer=lambda p: optimizer, seeds=[0], **given)
    elif way == "online":
        fit_online(model, x, y, optimizer=optimizer, **given)
    else:
        fit(model, x, y, optimizer=optimizer, compiled=way == "compiled", **given)


def refused(way, model, optimizer, error, text, **given):
    """The call raises, and model and optimizer are as before."""
    before = state_of(model, optimizer)
    given = {"X": X, "y": Y, "loss": "mse", "epochs": 3} | ({} if way == "online" else {"batch_size": 5}) | given
    with pytest.raises(error, match=text):
        train(way, model, given.pop("X"), given.pop("y"), optimizer, **given)
    assert state_of(model, optimizer) == before
    assert model.training


@pytest.mark.parametrize("way", ["compiled", "many"])
def test_a_wrong_width_where_there_is_a_program_from_before(way):
    for _ in range(2):  # the second model has been trained before
        model = nn.MLP([2, 3, 1], seed=0)
        train(way, model, X, Y, optim.Adam(model.parameters()), loss="mse", epochs=1, batch_size=5)
    refused(way, model.train(), optim.Adam(model.parameters()), ShapeError, "2 wide|2 features", X=np.hstack([X, X]))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("changes", "error", "text"), EVERY_WAY + OF_FIT, ids=[x for *_, x in EVERY_WAY + OF_FIT])
def test_fit(changes, error, text, way):
    changes = dict(changes)
    model = nn.MLP([2, 3, changes.pop("outputs", 1)], seed=0, backend="scalar" if way == "scalar" else "tensor")
    optimizer = optim.LBFGS(model.parameters()) if way == "lbfgs" else optim.Adam(model.parameters())
    given = {"batch_size": None, **changes} if way == "lbfgs" else changes
    refused(way, model, optimizer, error, text, **given)


@pytest.mark.parametrize("way", [("tensor", True), ("tensor", False), ("scalar", False)])
@pytest.mark.parametrize(("changes", "error", "text"), EVERY_WAY, ids=[text for *_, text in EVERY_WAY])
def test_fit_online(changes, error, text, way):
    model = nn.Elman(2, 3, 1, seed=0, backend=way[0])
    refused("online", model, optim.Adam(model.parameters()), error, text, compiled=way[1], **changes)


@pytest.mark.parametrize("way", ["compiled", "eager", "scalar", "many"])
def test_an_index_outside_of_an_embedding_in_the_last_batch(way):
    """Dropout's generator is where it was, too."""
    backend = "scalar" if way == "scalar" else "tensor"
    generator = np.random.default_rng(5)
    model = nn.Sequential(
        nn.Embedding(4, 3, rng=0, backend=backend), lambda e: e[:, 0], nn.Dropout(0.5, rng=generator),
        nn.Linear(3, 1, rng=np.random.default_rng(1), backend=backend),
    )  # fmt: skip
    tokens = last(np.arange(12)[:, None] % 4, 4)
    before = generator.bit_generator.state
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    refused(way, model, optimizer, SettingError, "index 4 is outside", X=tokens, shuffle=False)
    assert generator.bit_generator.state == before


@pytest.mark.parametrize("way", ["compiled", "eager"])
def test_an_error_of_ones_own_in_the_middle(way):
    """A callback that fails: the epochs before it are whole, and stay."""

    def fails(job):
        if len(job.losses) == 2:
            raise RuntimeError("mine")

    def run(epochs, callbacks=()):
        model = nn.MLP([2, 3, 1], seed=0)
        given = {"loss": "mse", "optimizer": optim.SGD(model.parameters(), lr=0.1), "batch_size": 5, "epochs": epochs}
        with pytest.raises(RuntimeError, match="mine") if callbacks else nullcontext():
            fit(model, X, Y, compiled=way == "compiled", callbacks=callbacks, **given)
        return {name: x.tolist() for name, x in model.state_dict().items()}

    assert run(5, [fails]) == run(2)


@pytest.mark.parametrize("make", [lambda: nn.MLP([2, 1], activation="tanhh"), lambda: nn.RNN(2, 1, activation="tanhh")])
def test_an_unknown_activation(make):
    with pytest.raises(NameNotFoundError, match="Did you mean 'tanh'"):
        make()


def test_a_recurrent_layer_needs_its_last_output():
    model = nn.GRU(2, 1, rng=0)
    with pytest.raises(ShapeError, match="last_output"):
        fit(model, np.ones((4, 3, 2)), np.ones(4), loss="mse", optimizer=optim.SGD(model.parameters()), epochs=1)


@pytest.mark.parametrize(
    "call", [fit, lambda model, *data, **settings: fit_many(lambda seed: model, *data, **settings)]
)
@pytest.mark.parametrize(
    ("X", "y", "name"),
    [
        ([[1.0, 2.0], [3.0]], [1.0, 2.0], "X is a list of 2"),
        ((np.ones((2, 2)), np.ones(2)), [1.0, 2.0], "X is a tuple of 2"),
        ([[1.0, 2.0], [3.0, 4.0]], [[1.0], [2.0, 3.0]], "y is a list of 2"),
    ],
)
def test_rows_that_differ_in_length(X, y, name, call):
    with pytest.raises(ShapeError, match=f"{name}, which differ in shape: one array is needed"):
        call(nn.MLP([2, 1]), X, y, loss="mse", optimizer="sgd", epochs=1)


def test_samples_without_numbers_are_told_from_none():
    for shape, words in (
        ((12, 0, 2), r"X is of shape \(12, 0, 2\): there is nothing"),
        ((0, 2), "samples=0: there is"),
    ):
        with pytest.raises(SettingError, match=words):
            fit(nn.MLP([2, 1]), np.zeros(shape), np.zeros((shape[0], 1)), loss="mse", optimizer="sgd", epochs=1)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
def test_what_is_not_finite_is_found_anywhere_and_large_numbers_are_none_of_it(dtype, bad):
    """In memory in any order; the squares of the largest numbers overflow, and those numbers are fine."""
    for array in (np.ones((7, 9), dtype), np.ones((9, 7), dtype).T, np.ones((14, 9), dtype)[::2]):
        array[3, 4] = np.finfo(dtype).max
        array[2, 2] = -np.finfo(dtype).max
        assert check_samples(array, "X") is not None
        array[6, 8] = bad
        with pytest.raises(SettingError, match=r"X holds 1 entry that is NaN or infinite, the first at index \(6, 8\)"):
            check_samples(array, "X")


@pytest.mark.parametrize("compiled", [False, True, "auto"])
@pytest.mark.parametrize("kind", [optim.SGD, optim.LBFGS])
def test_an_optimizer_made_before_a_layer_was_replaced_is_refused(kind, compiled):
    """It would train the old layer's weights, which nothing uses, and leave the new ones as they are."""
    model = nn.Sequential(nn.Linear(2, 3, rng=0), nn.Tanh(), nn.Linear(3, 1, rng=1))
    optimizer = kind(model.parameters())
    model.layers[2] = nn.Linear(3, 1, rng=2)
    words = rf"holds 2 parameters that neither model nor loss uses, .* lacks 2 of the .*optim\.{kind.__name__}\("
    with pytest.raises(SettingError, match=words):
        fit(model, X, Y, loss="mse", optimizer=optimizer, epochs=1, compiled=compiled)
    assert all(p.grad is None for p in model.parameters())


def test_parameters_of_the_loss_and_a_part_of_the_model_are_meant():
    model, scale = nn.Sequential(nn.Linear(2, 3, rng=0), nn.Tanh(), nn.Linear(3, 1, rng=1)), nn.Parameter([1.0])
    optimizer = optim.SGD([*model[2].parameters(), scale], lr=0.1)
    run = fit(
        model, X, Y, loss=lambda z, t: np.mean((z * scale - t) ** 2), optimizer=optimizer, epochs=2, compiled=False
    )
    assert scale.data[0] != 1.0
    assert "the optimizer holds 2 of the model's 4 parameters" in run.how


@pytest.mark.parametrize("compiled", [False, True, "auto"])
def test_no_grad_around_fit_is_refused(compiled):
    with no_grad(), pytest.raises(SettingError, match="no_grad is on: training needs gradients"):
        fit(nn.MLP([2, 1]), X, Y, loss="mse", optimizer="sgd", epochs=1, compiled=compiled)

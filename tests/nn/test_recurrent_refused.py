"""What recurrent layers refuse, and what they take besides arrays."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.nn.test_recurrent import both, close, every, made, numbers, series
from tinygrad_edu import nn
from tinygrad_edu.errors import NameNotFoundError, OperandError, SettingError, ShapeError
from tinygrad_edu.nn.sequence import Recurrent

# What is refused

SETTINGS = [
    ({"in_features": 0}, SettingError, "in_features=0"),
    ({"hidden_features": 2.5}, SettingError, "hidden_features=2.5"),
    (
        {"horizon": 0},
        SettingError,
        r"horizon=0\): a whole number of at least 1 is needed, the steps that a gradient flows back",
    ),
    ({"horizon": 1.5}, SettingError, "horizon=1.5"),
    ({"horizon": True}, SettingError, "horizon=True"),
    ({"init": "glorot"}, NameNotFoundError, "unknown init 'glorot'"),
    ({"recurrent_init": "orthogonl"}, NameNotFoundError, "Did you mean 'orthogonal'"),
    ({"init": lambda rng, a, b: np.ones((a, b))}, ShapeError, r"gave shape \(2, 3\)"),
    ({"backend": "gpu"}, SettingError, "backend='gpu'"),
]


@pytest.mark.parametrize(("options", "error", "text"), SETTINGS, ids=lambda x: str(x).partition(" at 0x")[0][:40])
@every
def test_settings_are_refused(kind, options, error, text):
    cls = getattr(nn, kind)
    widths = {"out_features": 1} if kind == "Elman" else {}
    with pytest.raises(error, match=text):
        cls(**{"in_features": 2, "hidden_features": 3, **widths, **options})


ELMAN_SETTINGS = [
    ({"self_feedback": 1.0}, SettingError, r"outside \(-1, 1\), where the context .* stays bounded"),
    ({"self_feedback": np.nan}, SettingError, r"self_feedback=nan\) lies outside"),
    ({"context_start": "half"}, SettingError, "context_start='half'"),
    ({"context_start": np.inf}, SettingError, r"outside \(-inf, inf\)"),
    ({"seed": -1}, SettingError, "seed=-1"),
    ({"out_features": 0}, SettingError, "out_features=0"),
    ({"activation": "sigmod"}, NameNotFoundError, "Did you mean 'sigmoid'"),
    ({"out_activation": "linear"}, NameNotFoundError, "unknown activation 'linear'"),
]


@pytest.mark.parametrize(("options", "error", "text"), ELMAN_SETTINGS, ids=lambda x: str(x)[:40])
def test_elmans_settings_are_refused(options, error, text):
    with pytest.raises(error, match=text):
        nn.Elman(**{"in_features": 2, "hidden_features": 3, "out_features": 1, **options})


def test_other_settings_are_refused():
    with pytest.raises(SettingError, match="rng=-1"):
        nn.RNN(2, 3, rng=-1)
    with pytest.raises(NameNotFoundError, match="Did you mean 'tanh'"):
        nn.RNN(2, 3, "tanhh")


INPUTS = [
    (np.ones((4, 3)), r"shape \(4, 3\), but \(time, 2\) or \(batch, time, 2\) is needed"),
    (np.ones(2), r"shape \(2,\)"),
    (np.ones((1, 2, 3, 2)), r"shape \(1, 2, 3, 2\)"),
    (np.ones((0, 2)), "at least one time"),
    (np.ones((3, 0, 2)), "at least one time"),
    (1.0, r"shape \(\)"),
    ([[1.0, 2.0], [1.0]], "differ in length"),
]


@both
@pytest.mark.parametrize(("x", "text"), INPUTS, ids=lambda x: str(x)[:30])
@every
def test_inputs_are_refused(kind, x, text, backend):
    with pytest.raises(ShapeError, match=text):
        made(kind, backend=backend)(x)


def test_a_series_of_numbers_is_told_its_shape():
    with pytest.raises(ShapeError, match=r"x\.reshape\(-1, 1\)"):
        nn.RNN(1, 3)(np.ones(5))


STATES = [
    ("RNN", (4, 2), np.ones(2), r"state h has shape \(2,\), but an input of shape \(4, 2\) needs \(3,\)"),
    ("RNN", (4, 2), np.ones((1, 3)), r"shape \(1, 3\).*needs \(3,\)"),
    ("GRU", (5, 4, 2), np.ones((4, 3)), r"needs \(5, 3\): 3 hidden units, for each sample"),
    ("Elman", (4, 2), np.ones(4), "state context has shape"),
    ("LSTM", (4, 2), np.ones(3), r"the state is \(h, c\); arrays given: 1"),
    ("LSTM", (4, 2), (np.ones(3), np.ones(2)), "state c has shape"),
    ("RNN", (4, 2), (np.ones(3), np.ones(3)), "one array, h; arrays given: 2"),
]


@both
@pytest.mark.parametrize(("kind", "shape", "state", "text"), STATES, ids=lambda x: str(x)[:30])
def test_states_are_refused(kind, shape, state, text, backend):
    with pytest.raises(ShapeError, match=text):
        made(kind, backend=backend)(series(*shape), state)


def test_the_two_back_ends_do_not_mix():
    with pytest.raises(SettingError, match="not a Tensor"):
        made("RNN", backend="scalar")(tg.Tensor(np.ones((3, 2))))
    with pytest.raises(SettingError, match="not a Tensor"):
        made("RNN", backend="scalar")(np.ones((3, 2)), tg.Tensor(np.ones(3)))
    with pytest.raises(OperandError, match="Values belong to the scalar back end"):
        made("RNN")([[tg.Value(1.0), tg.Value(2.0)]])


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_a_layer_behind_a_recurrent_one_says_what_to_unpack(kind):
    model = tg.nn.Sequential(made(kind), tg.nn.Linear(3, 1))
    with pytest.raises(OperandError, match=r"Linear takes one array, not a tuple of 2. .* outputs, state = rnn"):
        model(np.ones((4, 2)))


@both
@every
def test_whole_numbers_lists_and_empty_batches(kind, backend):
    model = made(kind, backend=backend)
    close(numbers(model([[1, 2], [3, 4]])[0]), numbers(model(np.array([[1.0, 2.0], [3.0, 4.0]]))[0]))
    assert model(np.ones((0, 4, 2)))[0].shape == (0, 4, 2 if kind == "Elman" else 3)


@every
def test_nan_stays_in_its_own_series_and_after_its_time(kind):
    model, x = made(kind), series(2, 4, 2)
    x[1, 2, 0] = np.nan
    bad = np.isnan(model(x)[0].data).all(axis=2)
    assert bad.tolist() == [[False] * 4, [False, False, True, True]]


def test_a_layer_without_a_step_says_so():
    class Lazy(Recurrent):
        pass

    with pytest.raises(NotImplementedError, match=r"Lazy has no step\(x, state\)"):
        Lazy(2, 3, None, "tensor")(np.ones((4, 2)))

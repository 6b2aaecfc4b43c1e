"""Settings of the wrong type, sign or size are one error each, in one wording, wherever they are given."""

import math

import numpy as np
import pytest

from tinygrad_edu import Value, checks, clinic, data, fit, nn, optim, train
from tinygrad_edu.data import xor_gate
from tinygrad_edu.errors import NameNotFoundError, SettingError
from tinygrad_edu.train.compiled.moving import Lookout

X, Y = xor_gate()
NOT_WHOLE = [True, False, np.True_, 1.5, math.nan, math.inf, "3", None, [3], np.array([1, 2]), -1, -(10**30)]
NO_NUMBER = [True, np.False_, "1", [0.5], 1j, np.array([1.0, 2.0]), math.nan]
LEAVE_OUT = {"batch_size", "patience", "tol", "clip_norm", "clip_value", "progress"}  # None means "not given"


def fit_with(**given):
    model = nn.MLP([2, 3, 1], seed=0)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    before = model.state_dict()
    try:
        return fit(model, X, Y, **{"loss": "mse", "optimizer": optimizer, "epochs": 2} | given)
    except SettingError:
        assert all(np.array_equal(before[name], x) for name, x in model.state_dict().items())
        raise


WHOLE = {
    **{f"fit {name}": (fit_with, name) for name in ("epochs", "batch_size", "patience", "seed")},
    "Histograms every": (train.Histograms, "every"),
    "Histograms most": (train.Histograms, "most"),
    "Checkpoint every": (lambda **given: train.Checkpoint("run", **given), "every"),
    "Linear in_features": (lambda **given: nn.Linear(out_features=1, **given), "in_features"),
    "MLP seed": (lambda **given: nn.MLP([2, 1], **given), "seed"),
    "Elman seed": (lambda **given: nn.Elman(1, 1, 1, **given), "seed"),
    "LBFGS history": (lambda **given: optim.LBFGS([Value(1.0)], **given), "history"),
    "step every": (lambda **given: optim.schedules.step(0.1, **given), "every"),
    "moons samples": (data.moons, "samples"),
    "batches batch_size": (lambda **given: data.batches(X, Y, **given), "batch_size"),
    "robbins_monro horizon": (lambda **given: optim.robbins_monro(lambda t: 1.0 / (t + 1), **given), "horizon"),
    "diagnose seeds": (lambda **given: clinic.diagnose(fit_with(), X, Y, **given), "seeds"),
}
NUMBERS = {
    **{f"fit {name}": (fit_with, name) for name in ("tol", "clip_norm", "clip_value")},
    "Dropout p": (nn.Dropout, "p"),
    "SGD momentum": (lambda **given: optim.SGD([Value(1.0)], **given), "momentum"),
    "SGD lr": (lambda **given: optim.SGD([Value(1.0)], **given), "lr"),
    "moons noise": (data.moons, "noise"),
    "exponential factor": (lambda **given: optim.schedules.exponential(0.1, **given), "factor"),
    "diagnose budget_s": (lambda **given: clinic.diagnose(fit_with(), X, Y, **given), "budget_s"),
    "Elman self_feedback": (lambda **given: nn.Elman(1, 1, 1, **given), "self_feedback"),
}


@pytest.mark.parametrize("place", WHOLE)
def test_what_is_no_whole_number_is_refused_everywhere(place):
    call, name = WHOLE[place]
    for bad in NOT_WHOLE:
        if not (bad is None and name in LEAVE_OUT):
            with pytest.raises(SettingError, match=f"{name}=.* a whole number of at least"):
                call(**{name: bad})


@pytest.mark.parametrize("place", NUMBERS)
def test_what_is_no_number_in_range_is_refused_everywhere(place):
    call, name = NUMBERS[place]
    for bad in [*NO_NUMBER, -1.0, -math.inf]:
        with pytest.raises(SettingError, match=rf"{name}=(.|\n)* (lies outside|is text)"):
            call(**{name: bad})


@pytest.mark.parametrize("name", ["shuffle", "accurate", "progress"])
def test_flags_are_true_or_false(name):
    for bad in (3, 1, 0.0, [], np.array([True])):
        with pytest.raises(SettingError, match=f"{name}="):
            fit_with(**{name: bad})


@pytest.mark.parametrize(
    "given", [{"compiled": 1}, {"compiled": None}, {"validation": True}, {"callbacks": print}, {"callbacks": [3]}]
)
def test_other_settings_of_fit(given):
    with pytest.raises(SettingError, match=f"{next(iter(given))}="):
        fit_with(**given)


def test_numpy_numbers_are_numbers():
    run = fit_with(epochs=np.int64(2), batch_size=np.uint8(2), tol=np.float32(0.0), seed=np.int32(1), clip_norm=1)
    assert run.n_epochs <= 2
    assert checks.flag("shuffle", np.True_) is True


# an optimizer that belongs to the model


@pytest.mark.parametrize("kind", ["SGD", "Adam", "LBFGS"])
@pytest.mark.parametrize("backend", ["tensor", "scalar"])
@pytest.mark.parametrize("compiled", [False, "auto"])
def test_an_optimizer_of_another_model_is_refused(kind, backend, compiled):
    """The model cell of a notebook is run again, the optimizer's cell is not."""
    old = nn.MLP([2, 3, 1], seed=0, backend=backend)
    optimizer = getattr(optim, kind)(old.parameters())
    model = nn.MLP([2, 3, 1], seed=1, backend=backend)
    with pytest.raises(SettingError, match=f"none of this model's parameters: {kind} was made for another"):
        fit(model, X, Y, loss="mse", optimizer=optimizer, epochs=3, compiled=compiled)


@pytest.mark.parametrize("compiled", [False, True])
def test_some_of_the_parameters_is_freezing_and_is_said(compiled):
    model = nn.MLP([2, 3, 1], seed=0)
    optimizer = optim.SGD(model.parameters()[2:], lr=0.1)
    first = model.parameters()[0].data.copy()
    run = fit(model, X, Y, loss="mse", optimizer=optimizer, epochs=3, compiled=compiled)
    assert run.how.endswith("the optimizer holds 2 of the model's 4 parameters; the others are not trained")
    np.testing.assert_array_equal(model.parameters()[0].data, first)
    assert "holds" not in fit_with().how


@pytest.mark.parametrize("given", ["adam", "ADAM", optim.Adam, lambda p: optim.Adam(p)])
def test_an_optimizer_by_name_or_as_a_function_of_the_parameters(given):
    model, other = nn.MLP([2, 3, 1], seed=0), nn.MLP([2, 3, 1], seed=0)
    run = fit(model, X, Y, loss="mse", optimizer=given, epochs=4)
    again = fit(other, X, Y, loss="mse", optimizer=optim.Adam(other.parameters()), epochs=4)
    np.testing.assert_array_equal(run.loss_curve, again.loss_curve)
    assert run.config["optimizer"] == "Adam"


def test_a_class_that_watches_an_optimizer_is_not_found_by_its_name():
    model = nn.MLP([2, 3, 1], seed=0)
    for name in ("SGD", "Adam", "RMSprop"):
        kind = getattr(optim, name)
        lookout = Lookout(model, kind(model.parameters()))  # its classes exist as long as the lookout does
        assert optim.find(name) is kind
        with lookout.looking():
            assert type(optim.optimizer_for(name, model.parameters())) is kind


def test_every_optimizer_has_a_name():
    for name in optim.__all__:
        if (
            isinstance(getattr(optim, name), type)
            and hasattr(getattr(optim, name), "zero_grad")
            and name != "Optimizer"
        ):
            assert optim.find(name.lower()) is getattr(optim, name)
    with pytest.raises(NameNotFoundError, match="Did you mean 'Adam'"):
        fit_with(optimizer="adamm")
    for strange in (None, 3, lambda p: p, [optim.Adam]):
        with pytest.raises(SettingError, match="optimizer="):
            fit_with(optimizer=strange)

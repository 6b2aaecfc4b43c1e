"""Pause and resume by a file: the same numbers, bit for bit, as without a pause; what does not fit is refused."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.compile.programs import training_without_numba
from tests.threads import interrupted_after
from tinygrad_edu import fit, nn, optim
from tinygrad_edu.data import moons
from tinygrad_edu.errors import SettingError
from tinygrad_edu.nn import storage
from tinygrad_edu.optim import schedules
from tinygrad_edu.train import Checkpoint, Run

pytestmark = pytest.mark.slow

X, Y = moons(30)
WEIGHTS = np.random.default_rng(0).uniform(0.1, 2.0, 30)
CURVES = ("loss_curve", "grad_norms", "update_norms", "validation_curve")
OPTIMIZERS = {
    "momentum": lambda p: optim.SGD(p, lr=0.1, momentum=0.9),
    "Adam": lambda p: optim.Adam(p, lr=0.02),
    "RMSprop": lambda p: optim.RMSprop(p, lr=0.02, momentum=0.5, centered=True),
    "Adagrad": lambda p: optim.Adagrad(p, lr=0.05, lr_decay=0.01, initial_accumulator_value=0.1),
    "Rprop": lambda p: optim.Rprop(p, lr=0.01),
}
LAYERS = {"sizes": [2, 5, 4, 1]}
NATIVE = {
    "Adam",
    "both",
    "drawn",
    "early stopping",
}  # in machine code; what a file holds is the same for the others
OPTIONS = {
    "schedule": {"make": lambda p: optim.SGD(p, lr=schedules.cosine(0.2, steps=40))},
    "plateau": {
        "make": lambda p: optim.SGD(
            p, lr=schedules.warmup(schedules.reduce_on_plateau(0.3, patience=0, threshold=0.1), steps=3)
        )
    },
    "dropout": LAYERS | {"dropout": 0.4},
    "both": LAYERS | {"norm": "batch", "dropout": 0.3},
    "float32": {"float32": True},
    "stratified": {"shuffle": "stratified"},
    "drawn": {"shuffle": "weighted", "sample_weight": WEIGHTS},
    "weights": {"sample_weight": WEIGHTS},
    "all at once": {"batch_size": None},
    "clipped": {"clip_norm": 0.05, "clip_value": 0.02},
    "rule": {"tol": 1e-2, "patience": 2, "epochs": 40},
    "early stopping": {"validation": 0.2, "patience": 3, "tol": 1e-2, "epochs": 40},
    "the best weights": {"validation": (X[:6], -Y[:6]), "patience": 90},
}


def model_of(settings, backend="tensor", start=1):
    """Takes the model's own settings out."""
    own = {name: settings.pop(name) for name in ("activation", "dropout", "norm") if name in settings}
    model = nn.MLP(settings.pop("sizes", [2, 4, 1]), seed=start, backend=backend, **own)
    for p in model.parameters() if settings.pop("float32", False) else []:
        p.data = p.data.astype(np.float32)
    return model


def trained(way, *, make=lambda p: optim.SGD(p, lr=0.1), start=1, **settings):
    """way: "compiled", "eager", "scalar" or "auto"; start: the seed of the model."""
    given = {"epochs": 9, "batch_size": 8, "accurate": True} | settings
    model = model_of(given, "scalar" if way == "scalar" else "tensor", start)
    how = {"compiled": True, "auto": "auto"}.get(way, False)
    return fit(model, X, Y, loss="mse", optimizer=make(model.parameters()), compiled=how, **given)


def assert_equal(a, b):
    for name in CURVES:
        assert getattr(a, name).tolist() == getattr(b, name).tolist(), name
    assert a.stop_reason == b.stop_reason
    for (name, x), y in zip(a.model.state_dict().items(), b.model.state_dict().values(), strict=True):
        assert x.dtype == y.dtype
        assert x.tolist() == y.tolist(), name


def resumed(path, way, **settings):
    """In parts of 3, 2 and the rest, each with a new model and a new optimizer."""
    last = settings.pop("epochs", 9)
    trained(way, **settings, epochs=3).save(path)
    trained(way, **settings, epochs=5, start=7, resume_from=path).save(path)
    return trained(way, **settings, epochs=last, start=8, resume_from=path)


@pytest.mark.parametrize("way", ["compiled", "eager", "scalar"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_run_goes_on_from_its_file_bit_for_bit(name, way, tmp_path):
    make = OPTIMIZERS[name]
    with training_without_numba(unless=name in NATIVE):
        run, whole = resumed(tmp_path / "run", way, make=make), trained(way, make=make)
    assert_equal(run, whole)
    np.testing.assert_allclose(run.loss_curve, trained("eager", make=make).loss_curve, rtol=1e-10)


@pytest.mark.parametrize("way", ["compiled", "eager"])
@pytest.mark.parametrize("option", OPTIONS)
def test_with_every_option(option, way, tmp_path):
    settings = OPTIONS[option]
    with training_without_numba(unless=option in NATIVE):
        assert_equal(resumed(tmp_path / "run", way, **settings), trained(way, **settings))


@pytest.mark.parametrize("way", ["compiled", "eager"])
def test_in_this_process_the_best_weights_are_not_where_it_goes_on(way):
    """A pause restores the best weights; the run goes on from the last ones."""
    settings = OPTIONS["the best weights"]
    first = trained(way, **settings, epochs=4)
    assert "the best by validation" in first.stop_reason
    assert_equal(first.resume(9), trained(way, **settings))


SAVED = {"sizes": [2, 5, 4, 1], "dropout": 0.4, "validation": 0.2, "patience": 50}
PROGRAM = (
    "import sys; from tests.train.resume.test_fit_checkpoint import saved; "
    "saved(*sys.argv[1:3], 9, resume_from=sys.argv[2])"
)


def saved(way, path, epochs, **more):
    """What two files hold of a run that is saved: the one from which it can go on, and its record."""
    run = trained(way, **SAVED, epochs=epochs, **more)
    run.save(path)
    run.save(f"{path}.json")
    return storage.read_arrays(path), Path(f"{path}.json").read_text(encoding="utf-8")


@pytest.mark.optimized
@pytest.mark.parametrize("way", ["compiled", "eager"])
def test_in_another_process(way, tmp_path):
    """Begun here, ended there: as a run that was never ended."""
    path = str(tmp_path / "parts")
    begun = saved(way, path, 4)
    command = [sys.executable, "-c", PROGRAM, way, path]
    subprocess.run(command, check=True, cwd=Path(__file__).parents[3], env=os.environ, timeout=300)
    arrays, record = storage.read_arrays(path), Path(f"{path}.json").read_text(encoding="utf-8")
    whole = saved(way, str(tmp_path / "whole"), 9)
    assert begun[1] != record
    assert json.loads(record) | {"how": ""} == json.loads(whole[1]) | {"how": ""}
    for name, x in whole[0].items():
        assert x.tolist() == arrays[name].tolist(), name


@pytest.mark.parametrize("way", ["compiled", "eager"])
def test_after_ctrl_c(way, tmp_path):
    """Somewhere in an epoch, with a rule that has to be where it was, and units dropped out."""
    settings = OPTIONS["dropout"] | {"tol": 1e-12, "patience": 10**6}
    trained(way, **settings, epochs=2)  # compile before it is interrupted
    with interrupted_after(0.4):
        run = trained(way, **settings, epochs=10**7)
    assert "interrupted" in run.stop_reason
    run.save(tmp_path / "run")
    assert_equal(
        trained(way, **settings, epochs=run.n_epochs + 3, resume_from=tmp_path / "run"),
        trained(way, **settings, epochs=run.n_epochs + 3),
    )


def test_a_run_goes_on_the_way_it_went(tmp_path):
    """compiled="auto" would choose by the number of epochs, and the other way rounds otherwise."""
    trained("compiled", epochs=3).save(tmp_path / "run")
    on = trained("auto", resume_from=tmp_path / "run")
    assert on.how == "compiled: as before"
    assert_equal(on, trained("compiled"))
    trained("eager", epochs=3).save(tmp_path / "run")
    assert trained("auto", resume_from=tmp_path / "run").how == "eager: as before"


@pytest.mark.parametrize("way", ["compiled", "eager"])
@pytest.mark.parametrize("every", [1, 4])
def test_a_file_written_on_the_way(way, every, tmp_path):
    """As after a power cut: the last whole file is what there is. Its stopping rule has seen its last epoch."""
    settings = {"validation": 0.2, "patience": 6, "epochs": 60, "make": lambda p: optim.SGD(p, lr=0.3)}
    cut = trained(way, **settings | {"epochs": 6}, callbacks=[Checkpoint(tmp_path / "run", every)])
    found = Run.load(tmp_path / "run")
    assert found.n_epochs == 6 - 6 % every
    assert found.stop_reason == f"not finished: saved after {found.n_epochs} of 6 epochs"
    assert found.loss_curve.tolist() == cut.loss_curve[: found.n_epochs].tolist()
    on = trained(way, **settings, resume_from=tmp_path / "run")
    assert 6 < on.n_epochs < 60
    assert_equal(on, trained(way, **settings))


@pytest.mark.parametrize("kind", [np.random.MT19937, np.random.Philox, np.random.SFC64, np.random.PCG64DXSM])
def test_every_kind_of_generator_is_kept(kind, tmp_path):
    def run(epochs, seed=3, **options):
        layers = [nn.Linear(2, 4, rng=0), nn.Dropout(0.5, rng=np.random.Generator(kind(seed))), nn.Linear(4, 1, rng=1)]
        model = nn.Sequential(*layers)
        optimizer = optim.SGD(model.parameters(), lr=0.1)
        return fit(model, X, Y, loss="mse", optimizer=optimizer, epochs=epochs, compiled=False, **options)

    run(3).save(tmp_path / "run")
    assert_equal(run(6, seed=99, resume_from=tmp_path / "run"), run(6))


# What is read back


def test_a_run_is_read_back(tmp_path):
    run = trained("eager", make=lambda p: optim.SGD(p, lr=schedules.step(0.1, every=4)), validation=0.2)
    for path in (tmp_path / "run.json", tmp_path / "run"):
        assert run.save(path) == path
        found = Run.load(path)
        for name in CURVES:
            np.testing.assert_array_equal(getattr(found, name), getattr(run, name))
        assert (found.stop_reason, found.how) == (run.stop_reason, run.how)
        assert found.config["lr"] == "step(lr=0.1, every=4, factor=0.1)"
        assert {**found.config, "lr": 0} == json.loads(json.dumps({**run.config, "lr": 0}))
        with pytest.raises(SettingError, match="was not made by fit"):
            found.resume(20)
    assert found.model(X).data.tolist() == run.model(X).data.tolist()
    assert Run.load(tmp_path / "run.json").model is None


def test_the_weights_go_into_a_model_of_ones_own(tmp_path):
    def made():
        return nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))

    model = made()
    run = fit(model, X, Y, loss="mse", optimizer=optim.Adam(model.parameters()), epochs=2)
    run.save(tmp_path / "run")
    assert Run.load(tmp_path / "run").model is None
    other = made()
    assert Run.load(tmp_path / "run", other).model is other
    assert other(X).data.tolist() == model(X).data.tolist()
    with pytest.raises(SettingError, match="names differ"):
        Run.load(tmp_path / "run", nn.MLP([2, 3, 3, 1]))


def test_float32_models_are_read_back_as_float32(tmp_path):
    run = trained("eager", float32=True)
    run.save(tmp_path / "run")
    assert {p.dtype for p in Run.load(tmp_path / "run").model.parameters()} == {np.dtype(np.float32)}

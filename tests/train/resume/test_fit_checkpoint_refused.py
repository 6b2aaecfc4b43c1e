"""Files of another task, damaged files and runs that cannot go on are refused."""

import json
import os

import numpy as np
import pytest

from tests.train.resume.test_fit_checkpoint import OPTIMIZERS, WEIGHTS, X, Y, model_of, trained
from tinygrad_edu import fit, nn, optim
from tinygrad_edu.errors import CheckpointError, DtypeError, SettingError, ShapeError, TinygradError
from tinygrad_edu.nn import storage
from tinygrad_edu.train import Checkpoint, Run, fit_online

pytestmark = pytest.mark.slow


# What is refused


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "run.safetensors"
    trained("eager", make=OPTIMIZERS["Adam"], epochs=3).save(path)
    return path


def refused(path, **settings):
    """The error, after which model and optimizer are as they were."""
    model = model_of(settings, start=5)
    optimizer = settings.pop("make", OPTIMIZERS["Adam"])(model.parameters())
    before, memory = model.state_dict(), repr(getattr(optimizer, "memory", None))
    given = {"X": X, "y": Y, "loss": "mse", "epochs": 9, "batch_size": 8, "accurate": True} | settings
    with pytest.raises(TinygradError) as error:
        fit(model, given.pop("X"), given.pop("y"), optimizer=optimizer, compiled=False, resume_from=path, **given)
    assert all(np.array_equal(before[name], x) for name, x in model.state_dict().items())
    assert repr(getattr(optimizer, "memory", None)) == memory
    return error.value


OTHER = [
    ({"sizes": [2, 5, 1]}, ShapeError, r"layers\.0\.weight has shape \(5, 2\) in the model, \(4, 2\) in the state"),
    ({"sizes": [2, 4, 4, 1]}, SettingError, "missing"),
    ({"sizes": [2, 1]}, SettingError, "unknown"),
    ({"float32": True}, DtypeError, "is float32, and the file holds float64"),
    ({"activation": "relu"}, SettingError, "activation was 'tanh' and is 'relu' now"),
    ({"dropout": 0.5}, SettingError, "dropout was 0.0 and is 0.5 now"),
    ({"X": X[:20], "y": Y[:20]}, ShapeError, r"X had the shape \[30, 2\] and now has \[20, 2\]"),
    ({"X": X + 1e-9}, SettingError, "X holds other numbers than before"),
    ({"y": -Y}, SettingError, "y holds other numbers"),
    ({"sample_weight": WEIGHTS}, ShapeError, r"sample_weight had the shape None and now has \[30\]"),
    ({"validation": 0.2}, ShapeError, r"X had the shape \[30, 2\] and now has \[24, 2\]"),
    ({"make": OPTIMIZERS["momentum"]}, SettingError, "optimizer was 'Adam' and is 'SGD' now"),
    ({"make": lambda p: optim.Adam(p, lr=0.3)}, SettingError, r"lr was 0\.02 and is 0\.3 now"),
    ({"make": lambda p: optim.Adam(p, lr=0.02, eps=1e-3)}, SettingError, "optimizer_settings was .*'eps': 1e-08"),
    ({"make": lambda p: optim.LBFGS(p), "batch_size": None}, SettingError, "optimizer was 'Adam' and is 'LBFGS' now"),
    ({"loss": "huber"}, SettingError, "loss was 'mse' and is 'huber' now"),
    ({"batch_size": 4}, SettingError, "batch_size was 8 and is 4 now"),
    ({"shuffle": False}, SettingError, "shuffle was True and is False now"),
    ({"seed": 1}, SettingError, "seed was 0 and is 1 now"),
    ({"clip_norm": 1.0}, SettingError, r"clip_norm was None and is 1\.0 now"),
    ({"tol": 0.1}, SettingError, r"tol was None and is 0\.1 now"),
    ({"epochs": 3}, SettingError, "epochs=3: this run has already done 3 epochs"),
]


@pytest.mark.parametrize(("settings", "kind", "text"), OTHER, ids=[text for *_, text in OTHER])
def test_another_task_is_refused(settings, kind, text, saved):
    error = refused(saved, **settings)
    assert type(error) is kind
    assert str(error).startswith(str(saved))
    with pytest.raises(kind, match=text):
        raise error


def damaged(saved, path, change):
    arrays, texts = storage.read_all(saved)
    change(arrays, texts)
    storage.write_arrays(path, arrays, texts)


def facts(change):
    def damage(arrays, texts):
        found = json.loads(texts["run"])
        change(found)
        texts["run"] = json.dumps(found)

    return damage


DAMAGE = [
    (lambda arrays, texts: arrays.pop("memory.1"), CheckpointError, "lacks a part"),
    (lambda arrays, texts: arrays.pop("curve.losses"), CheckpointError, "lacks a part"),
    (lambda arrays, texts: arrays.pop("model.layers.0.weight"), SettingError, "missing"),
    (lambda arrays, texts: arrays.update({"model.nose": np.ones(1)}), SettingError, "unknown .*nose"),
    (lambda arrays, texts: arrays.update({"memory.0": np.ones(3)}), ShapeError, "memory does not fit"),
    (lambda arrays, texts: arrays.update({"steps": np.ones(3, int)}), ShapeError, "memory does not fit"),
    (lambda arrays, texts: texts.clear(), CheckpointError, "holds arrays, but not a run"),
    (lambda arrays, texts: texts.update(format="another"), CheckpointError, "holds arrays, but not a run"),
    (lambda arrays, texts: texts.update(run="{"), CheckpointError, "lacks a part"),
    (facts(lambda found: found.pop("stopping")), CheckpointError, "lacks a part"),
    (facts(lambda found: found.pop("config")), CheckpointError, "lacks a part"),
    (facts(lambda found: found.update(generators=[{"bit_generator": "PCG64"}])), SettingError, "random generators"),
]


@pytest.mark.parametrize(("change", "kind", "text"), DAMAGE)
def test_a_file_with_parts_missing_is_refused(change, kind, text, saved, tmp_path):
    damaged(saved, tmp_path / "run", change)
    with pytest.raises(kind, match=text):
        raise refused(tmp_path / "run")


@pytest.mark.parametrize("length", [0, 5, 200, -1])
def test_a_truncated_file_is_refused(length, saved, tmp_path):
    (tmp_path / "run").write_bytes(saved.read_bytes()[:length])
    with pytest.raises(CheckpointError, match="not a complete safetensors file"):
        raise refused(tmp_path / "run")
    with pytest.raises(CheckpointError):
        Run.load(tmp_path / "run")


@pytest.mark.parametrize("text", ["", "[1, 2]", '{"loss_curve": [1.0]}'])
def test_other_json_is_refused(text, tmp_path):
    (tmp_path / "run.json").write_text(text, encoding="utf-8")
    with pytest.raises(CheckpointError, match="is not a run written by"):
        Run.load(tmp_path / "run.json")


@pytest.mark.parametrize("name", ["run.json", "run.safetensors"])
@pytest.mark.parametrize("moment", ["fsync", "replace"])
def test_an_interrupted_save_leaves_the_old_file_whole(name, moment, tmp_path, monkeypatch):
    path = tmp_path / name
    run = trained("eager", epochs=2)
    run.save(path)
    before = path.read_bytes()

    def failed(*_):
        raise KeyboardInterrupt

    on = run.resume(4)
    with monkeypatch.context() as patched:
        patched.setattr(os, moment, failed)
        with pytest.raises(KeyboardInterrupt):
            on.save(path)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == [name]


def test_a_run_that_went_on_is_not_saved_as_it_was(tmp_path):
    run = trained("eager", epochs=2)
    later = run.resume(4)
    for call in (lambda: run.save(tmp_path / "run"), lambda: run.resume(8)):
        with pytest.raises(SettingError, match="training has gone on since this run of 2 epochs"):
            call()
    run.save(tmp_path / "run.json")
    later.save(tmp_path / "run")
    assert Run.load(tmp_path / "run").n_epochs == 4


def test_runs_that_fit_has_not_made_have_curves_alone(tmp_path):
    model = nn.Elman(1, 3, 1)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    run = fit_online(model, np.ones((5, 1)), np.ones((5, 1)), loss="mse", optimizer=optimizer, epochs=2)
    with pytest.raises(SettingError, match="was not made by fit"):
        run.save(tmp_path / "run")
    assert Run.load(run.save(tmp_path / "run.json")).loss_curve.tolist() == run.loss_curve.tolist()


def test_settings_of_the_callback():
    with pytest.raises(SettingError, match="every=0"):
        Checkpoint("run", every=0)

"""Where a file goes is checked by one gate; an export changes nothing that another thread can see."""

import functools
from pathlib import Path

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.threads import at_once
from tinygrad_edu import nn, train
from tinygrad_edu.errors import SettingError, ShapeError

X, Y = tg.data.xor_gate()
MODEL = nn.MLP([2, 3, 1], seed=0)
RUN = tg.fit(MODEL, X, Y, loss="mse", optimizer="adam", epochs=2, compiled=False)
WRITERS = {  # functions that write to or read from a path, and a file ending that they accept
    "Run.save": (RUN.save, ".json"),
    "a run to go on with": (RUN.save, ".safetensors"),
    "Run.load": (train.Run.load, ""),
    "Module.save": (MODEL.save, ".safetensors"),
    "export": (lambda path: tg.export(MODEL, path), ".js"),
    "weights": (lambda path: tg.export(MODEL, path), ".safetensors"),
    "report": (lambda path: tg.report(RUN, path=path), ".html"),
    "a drawing": (lambda path: tg.draw(MODEL).save(path), ".html"),
    "an animation": (lambda path: tg.animate(RUN, frames=2).save(path), ".html"),
    "a checkpoint": (lambda path: train.Checkpoint(path), ".safetensors"),
}


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("path", [None, 5, True, [1], b"x.js", "", "\0"])
def test_what_is_no_path_is_refused(name, path):
    with pytest.raises(SettingError, match=r"the path of a file is needed"):
        WRITERS[name][0](path)


@pytest.mark.parametrize("name", ["export", "weights"])
def test_a_missing_folder_is_named_and_nothing_else(tmp_path, name):
    call, ending = WRITERS[name]
    with pytest.raises(FileNotFoundError, match=rf"no such folder to write into: '{tmp_path}/nowhere'$"):
        call(tmp_path / "nowhere" / f"net{ending}")
    Path(tmp_path, f"folder{ending}").mkdir()
    with pytest.raises(IsADirectoryError, match=rf"there is a folder where.*folder{ending}'$"):
        call(tmp_path / f"folder{ending}")
    assert [each.name for each in tmp_path.iterdir()] == [f"folder{ending}"]


@pytest.mark.parametrize("show", [tg.animate, lambda *given: tg.report(*given, path="never.html")])
def test_samples_of_another_width_are_refused(show):
    with pytest.raises(ShapeError, match=r"must be 2 wide"):
        show(RUN, np.zeros((4, 5)), Y)


def test_a_run_of_fit_online_is_not_called_one_of_a_file(tmp_path):
    series = np.linspace(0.0, 1.0, 8)[:, None]
    run = train.fit_online(nn.Elman(1, 2, 1, seed=0), series, series, loss="mse", optimizer="adam", epochs=1)
    with pytest.raises(SettingError, match="as a run of fit_online or one loaded from a file never does"):
        tg.export(run, tmp_path / "net.c")


def test_threads_that_export_one_model_leave_its_modes_alone(tmp_path):
    model = nn.Sequential(
        nn.Linear(3, 4, rng=0), nn.Dropout(0.5, rng=1), nn.Dropout(0.5, rng=2), nn.Linear(4, 1, rng=3)
    )
    model[2].eval()
    before, seen = [each.training for each in model.modules()], []

    def work(k):
        for i in range(3):
            tg.export(model, tmp_path / f"{k}{i}.js", np.zeros((2, 3)))
            seen.append([each.training for each in model.modules()])  # while other threads are exporting

    assert not at_once(*(functools.partial(work, k) for k in range(4)))
    assert seen == [before] * 12
    assert len({path.read_text() for path in tmp_path.iterdir()}) == 1

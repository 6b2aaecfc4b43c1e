"""The report of a file with a model that a file cannot build: it and the command say why the data is not used."""

import html

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.cli import main


class Res(nn.Module):
    def __init__(self):
        self.inner = nn.Linear(2, 1, rng=0)

    def forward(self, x):
        return self.inner(x)


X = np.random.default_rng(0).normal(size=(12, 2))
OWN = "cannot build 'Res', which is no nn.MLP"
FILES = {
    "own": (Res, "run.safetensors", OWN, "A file cannot build Res, which is no nn.MLP"),
    "own, curves": (Res, "run.json", OWN, "A file cannot build Res, which is no nn.MLP"),
    "sequential": (lambda: nn.Sequential(Res()), "run.safetensors", "cannot build 'Sequential'", "build Sequential"),
    "curves": (lambda: nn.MLP([2, 1], seed=0), "run.json", "holds curves alone", "are not in this record"),
    "whole": (lambda: nn.MLP([2, 1], seed=0), "run.safetensors", "", ""),
}


@pytest.mark.parametrize("name", FILES)
def test_the_command_says_why_the_data_is_not_used(name, tmp_path, monkeypatch, capsys):
    make, file, said, written = FILES[name]
    monkeypatch.chdir(tmp_path)
    tg.fit(make(), X, X[:, :1], loss="mse", optimizer="sgd", epochs=2, compiled=False).save(file)
    np.savetxt("d.csv", np.hstack([X, X[:, :1]]), delimiter=",")
    assert main(["report", file, "--data", "d.csv", *["--diagnose"] * bool(said), "-o", "page.html"]) == 0
    out = capsys.readouterr().out
    assert ("--data was not used: " in out) == bool(said)
    assert said in out
    page = html.unescape((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert written in page
    assert ("holds curves alone" in page) == (name == "curves")

"""Runs that were read from a file: with their samples they are diagnosed as in memory, else it is said why not."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn, optim
from tinygrad_edu.cli import main
from tinygrad_edu.clinic import diagnose
from tinygrad_edu.clinic.diagnosis.facts import reload
from tinygrad_edu.data import moons
from tinygrad_edu.errors import ShapeError
from tinygrad_edu.train import Run

X, Y = moons(80, seed=3)
CLASSES = (Y.ravel() > 0).astype(int)
SIZES = (2, 8, 1)


def own_loss(output, target):
    return ((output - target) ** 2).mean()


def trained(optimizer=lambda p: optim.Adam(p, lr=0.03), *, y=Y, model=None, sizes=SIZES, net=None, **options):
    model = nn.MLP(sizes, **(net or {})) if model is None else model
    options = {"loss": "mse", "epochs": 20, "compiled": False} | options
    return tg.fit(model, X, y, optimizer=optimizer(model.parameters()), **options)


def single(model):
    for p in model.parameters():
        p.data = p.data.astype(np.float32)
    return model


SAME = {
    "a rate too high": lambda: trained(lambda p: optim.SGD(p, lr=20.0), batch_size=20),
    "a schedule": lambda: trained(lambda p: optim.Adam(p, lr=optim.schedules.exponential(0.03, 0.5)), batch_size=20),
    "options": lambda: trained(lambda p: optim.Adam(p, lr=0.01, betas=(0.8, 0.9), weight_decay=2.0), batch_size=20),
    "a start": lambda: trained(net={"init": "zeros"}, batch_size=20),
    "a share held out": lambda: trained(validation=0.25, batch_size=20),
    "classes": lambda: trained(y=CLASSES, sizes=(2, 8, 2), loss="cross_entropy", epochs=2),
    "float32": lambda: trained(model=single(nn.MLP(SIZES)), batch_size=20),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SAME)
def test_a_file_with_its_samples_is_diagnosed_as_the_run_in_memory(name, tmp_path):
    run = SAME[name]()
    y = CLASSES.astype(float) if name == "classes" else Y  # as read from a CSV file
    read = diagnose(Run.load(run.save(tmp_path / "run.safetensors")), X, y, seeds=3)
    known = diagnose(run, seeds=3)
    assert read.summary == known.summary
    assert [(c.code, c.evidence) for c in read.causes] == [(c.code, c.evidence) for c in known.causes]
    assert read.not_checked == known.not_checked


def online():
    model = nn.Elman(2, 3, 1)
    return tg.train.fit_online(
        model, X, Y, loss="mse", optimizer=optim.SGD(model.parameters(), lr=0.01), epochs=3, compiled=False
    )


CURVE_ONLY = {  # what is missing: (the run, its file, X and y, a part of the sentence)
    "samples": (trained, "run.safetensors", (None, None), "give X and y"),
    "targets": (trained, "run.safetensors", (X, None), "give X and y"),
    "weights": (trained, "run.json", (X, Y), "curves alone"),
    "a loss": (lambda: trained(loss=own_loss), "run.safetensors", (X, Y), "own_loss"),
    "a schedule": (
        lambda: trained(lambda p: optim.SGD(p, lr=lambda t: 0.1)), "run.safetensors", (X, Y), "lr=by_function",
    ),
    "weights of samples": (
        lambda: trained(sample_weight=np.linspace(1.0, 2.0, 80)), "run.safetensors", (X, Y), "were weighted",
    ),
    "an initializer": (lambda: trained(net={"init": nn.init.normal(3.0)}), "run.safetensors", (X, Y), "init"),
}  # fmt: skip


@pytest.mark.parametrize("name", CURVE_ONLY)
def test_what_is_lacking_is_said_and_the_curve_is_diagnosed(name, tmp_path):
    make, file, data, words = CURVE_ONLY[name]
    found = diagnose(Run.load(make().save(tmp_path / file)), *data)
    assert found.healthy is None
    assert found.causes == []
    assert words in found.not_checked[-1]
    assert words in " ".join(str(found).split())


def test_another_module_cannot_be_begun_anew(tmp_path):
    model = nn.Sequential(nn.Linear(2, 4, rng=0), tg.ops.tanh, nn.Linear(4, 1, rng=1))
    path = trained(model=model).save(tmp_path / "run.safetensors")
    assert "only an nn.MLP" in diagnose(Run.load(path, model), X, Y).not_checked[-1]


def test_a_run_through_time_says_why_only_its_curve_is_looked_at():
    assert "not a run of fit" in diagnose(online(), X, Y).not_checked[-1]


def test_other_samples_are_noticed_and_wrong_ones_refused(tmp_path):
    run = Run.load(trained(batch_size=20).save(tmp_path / "run.safetensors"))
    assert "80 samples, and here are 60" in diagnose(run, X[:60], Y[:60], seeds=3).not_checked[0]
    with pytest.raises(ShapeError):
        diagnose(run, X, Y[:60])


@pytest.mark.parametrize(
    "schedule",
    [
        optim.schedules.exponential(0.1, factor=0.5),
        optim.schedules.step(0.1, every=10, factor=0.1),
        optim.schedules.cosine(0.1, steps=20),
    ],
    ids=repr,
)
def test_a_schedule_is_read_as_it_prints(schedule):
    assert np.array_equal(reload.schedule_of(repr(schedule)).rates(0, 50), schedule.rates(0, 50))


@pytest.mark.parametrize(
    "text", ["", "open('x')", "constant(0.1)", "nothing(lr=0.1)", "exponential(lr=-1.0)", "np(lr=1)", "1 +"]
)
def test_what_is_no_schedule_is_not_run(text):
    assert reload.schedule_of(text) is None


@pytest.mark.slow
def test_the_report_of_a_file_holds_the_causes(tmp_path, capsys):
    run = trained(lambda p: optim.Adam(p, lr=1e-6), batch_size=20).save(tmp_path / "run.safetensors")
    table = tmp_path / "data.csv"
    np.savetxt(table, np.hstack([X, Y]), delimiter=",")
    page = tmp_path / "page.html"
    assert main(["report", str(run), "--data", str(table), "--diagnose", "-o", str(page)]) == 0
    assert "wrote" in capsys.readouterr().out
    assert "lr_too_low" in page.read_text(encoding="utf-8")

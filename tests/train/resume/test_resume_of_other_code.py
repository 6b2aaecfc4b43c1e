"""A run that is resumed with other code, or with other numbers that its callbacks read, says so in `run.how`."""

import subprocess
import sys

import numpy as np
import pytest

from tinygrad_edu import fit, nn, optim
from tinygrad_edu.nn import storage
from tinygrad_edu.train.code_of_runs import digest

X = np.random.default_rng(0).normal(size=(12, 3))
BEGINNING = '''
import numpy as np
import tinygrad_edu as tg
RATE = 0.9
FACTORS = {"all": 0.95}

def scale(job, factor=1.0):
    """Make the weights smaller."""
    for p in job.model.parameters():
        p.data = factor * p.data

def callback(job):
    scale(job, RATE * FACTORS["all"])

def closure(late):
    return lambda job: scale(job, 1.0 - 0.01 * late)

class Counts:
    every = 1
    def __init__(self, after=3):
        self.after = after
    def __call__(self, job):
        if len(job.losses) % self.every == 0 and len(job.losses) > self.after:
            scale(job, 0.9)

class Own(tg.nn.Module):
    def __init__(self):
        self.layer = tg.nn.Linear(3, 1, rng=0)
    def forward(self, x):
        return self.layer(x) * 1.0

class Rule(tg.optim.SGD):
    def step(self):
        for p in self.params:
            p.data = p.data - self.lr * p.grad

def loss(z, y):
    return ((z - y) ** 2).mean()

callbacks = [callback, closure(2), Counts()]
'''
CHANGES = {  # what is replaced in the program, by what -> what run.how says
    ("p.data = factor * p.data", "p.data = factor * (p.data + 0.1)"): "the code of scale (callback)",
    ("def callback(job):", "def callback(job):\n    print(end='')"): "the code of callback (callback)",
    ("RATE = 0.9", "RATE = 0.5"): "RATE, 0.9 then and 0.5 now",
    ('"all": 0.95', '"all": 0.9'): "FACTORS['all'], 0.95 then and 0.9 now",
    ("factor=1.0", "factor=2.0"): "scale(), 1.0 then and 2.0 now",
    ("1.0 - 0.01 * late", "1.0 - 0.02 * late"): "the code of <lambda> (callback)",
    ("closure(2)", "closure(3)"): "late, 2 then and 3 now",
    ("every = 1", "every = 2"): "Counts.every, 1 then and 2 now",
    ("after=3", "after=2"): "[2].after, 3 then and 2 now",
    ("scale(job, 0.9)", "scale(job, 0.8)"): "the code of Counts.__call__ (callback)",
    ("* 1.0", "* 0.5 * 2.0"): "the code of Own.forward (model)",
    ("self.lr * p.grad", "p.grad * self.lr"): "the code of Rule.step (optimizer)",
    ("((z - y) ** 2)", "((y - z) ** 2)"): "the code of loss (loss)",
    ("callback, closure(2)", "closure(2)"): "the code of callback (callback)",
}
SAME = [
    ('"""Make the weights smaller."""', '"""Other words."""'),
    ("import numpy as np\n", "import numpy as np\n\n# another line\n"),
    ("for p in job.model.parameters():\n        p.data = factor * p.data",
     "for weight in job.model.parameters():\n        weight.data = factor * weight.data"),
]  # fmt: skip


def train(change, epochs, start=None, file="program.py"):
    """The program with a change, from another file: its text is compiled anew each time."""
    assert change is None or change[0] in BEGINNING
    space = {"__name__": "a_program"}
    exec(compile(BEGINNING.replace(*change) if change else BEGINNING, file, "exec"), space)
    model = space["Own"]()
    settings = {"optimizer": space["Rule"](model.parameters(), lr=0.1), "compiled": False, "resume_from": start}
    return fit(model, X, X[:, :1], loss=space["loss"], epochs=epochs, callbacks=space["callbacks"], **settings)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    return train(None, 2).save(tmp_path_factory.mktemp("runs") / "run.st")


@pytest.mark.parametrize("change", CHANGES)
def test_other_code_is_told(change, saved):
    assert CHANGES[change] in train(change, 4, saved).how


@pytest.mark.parametrize("change", [None, *SAME])
def test_the_same_code_in_another_file_is_the_same(change, saved):
    assert "another than in the saved run" not in train(change, 4, saved, "moved/elsewhere.py").how


def test_another_version_of_python_is_told_and_not_refused(saved, tmp_path):
    arrays, texts = storage.read_all(saved)
    other = texts["run"].replace('"python": "3.', '"python": "2.')
    storage.write_arrays(tmp_path / "old.st", arrays, {**texts, "run": other})
    assert "code saved by Python 2." in train(None, 4, tmp_path / "old.st").how


def test_a_digest_is_the_same_in_every_process():
    """A set of texts has another order in each."""
    text = "def f(x):\n    return x in {'a', 'b', 'c', 'd', 'e'} and (lambda: [x, (1.5, 'a')])\n"
    space: dict = {}
    exec(text, space)
    program = f"from tinygrad_edu.train.code_of_runs import digest\n{text}print(digest(f.__code__))"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert told.strip() == digest(space["f"].__code__)


def test_a_function_that_was_written_anew_is_told_by_resume(monkeypatch):
    """The run goes on with the function that it was given."""

    def halve(job):
        job.model.layers[0].bias.data = 0.5 * job.model.layers[0].bias.data

    halve.__qualname__, halve.__module__ = "halve", __name__
    monkeypatch.setitem(globals(), "halve", halve)
    model = nn.MLP([3, 1], seed=0)
    settings = {"optimizer": optim.SGD(model.parameters(), lr=0.1), "compiled": False, "callbacks": [halve]}
    run = fit(model, X, X[:, :1], loss="mse", epochs=2, **settings)
    again = run.resume(3)
    assert "written anew" not in again.how
    monkeypatch.setitem(globals(), "halve", lambda job: None)
    assert "halve was written anew since: this run goes on with the earlier one" in again.resume(4).how

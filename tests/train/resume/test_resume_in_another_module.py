"""A script is __main__, in processes that it spawns __mp_main__, elsewhere a module: its runs go on in each of them."""

import sys
from types import ModuleType

import numpy as np
import pytest

from tinygrad_edu import fit, nn, optim
from tinygrad_edu.errors import SettingError

X = np.random.default_rng(0).normal(size=(12, 3))
Y = X[:, :1] * X[:, 1:2]
SCRIPT = """
import dataclasses
import numpy as np
import tinygrad_edu as tg

def mse(z, y):
    return ((z - y) ** 2).mean() * 1.0

def bend(z):
    return np.tanh(z) * 1.5

def start(rng, fan_in, fan_out):
    return rng.normal(size=(fan_out, fan_in)) * 0.3

def rate(t):
    return 0.1 / (t + 1)

class Loss:
    def __call__(self, z, y):
        return abs(z - y).mean()
    def method(self, z, y):
        return ((z - y) ** 4).mean()
    @staticmethod
    def inside(z, y):
        return ((z - y) ** 6).mean()

@dataclasses.dataclass(frozen=True)
class Fields:
    k: float = 2.0
    def __call__(self, z, y):
        return (abs(z - y) ** self.k).mean()

def made():
    def loss(z, y):
        return ((z - y) ** 2).sum()
    return loss

class Rule(tg.optim.SGD):
    pass

class Own(tg.nn.Module):
    def __init__(self):
        self.a, self.bend = tg.nn.Linear(3, 1, rng=0), bend
    def forward(self, x):
        return self.bend(self.a(x))

def callback(job):
    pass
"""
GIVEN = {
    "function": lambda m: {"loss": m.mse},
    "lambda": lambda m: {"loss": eval("lambda z, y: ((z - y) ** 2).mean()", vars(m))},
    "closure": lambda m: {"loss": m.made()},
    "object": lambda m: {"loss": m.Loss()},
    "dataclass": lambda m: {"loss": m.Fields()},
    "method": lambda m: {"loss": m.Loss().method},
    "in a class": lambda m: {"loss": m.Loss.inside},
    "init": lambda m: {"model": nn.MLP([3, 4, 1], init=m.start, seed=0)},
    "in a chain": lambda m: {"model": nn.Sequential(nn.Linear(3, 2, rng=0), m.bend, nn.Linear(2, 1, rng=1))},
    "model": lambda m: {"model": m.Own()},
    "rate": lambda m: {"optimizer": lambda p: optim.SGD(p, lr=m.rate)},
    "rule": lambda m: {"optimizer": lambda p: m.Rule(p, lr=0.1)},
    "callback": lambda m: {"callbacks": [m.callback]},
}
NAMES = ("__main__", "__mp_main__", "script", "package.scripts.train")


@pytest.fixture(autouse=True)
def modules(monkeypatch):
    monkeypatch.setattr(sys, "modules", dict(sys.modules))


def script(name, text=SCRIPT):
    """The script as a module of this name."""
    module = ModuleType(name)
    sys.modules[name] = module
    exec(compile(text, "script.py", "exec"), vars(module))
    return module


def train(module, kind, epochs, **more):
    given = {"model": nn.MLP([3, 4, 1], seed=0), "loss": "mse", **GIVEN[kind](module)}
    model = given.pop("model")
    optimizer = given.pop("optimizer", lambda p: optim.SGD(p, lr=0.1))(model.parameters())
    return fit(model, X, Y, optimizer=optimizer, epochs=epochs, compiled=False, seed=0, **given, **more)


@pytest.mark.parametrize("kind", GIVEN)
def test_a_run_goes_on_where_its_script_is_another_module(kind, tmp_path):
    path, whole = tmp_path / "run.safetensors", train(script("__main__"), kind, 4).loss_curve
    train(script("__main__"), kind, 2).save(path)
    for name in NAMES[1:]:
        np.testing.assert_array_equal(train(script(name), kind, 4, resume_from=path).loss_curve, whole)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("kind", "old", "new"),
    [
        ("function", "mean() * 1.0", "mean() * 1.1"),
        ("closure", "sum()", "mean()"),
        ("object", "abs(z - y)", "abs(z + y)"),
        ("in a chain", "np.tanh(z)", "np.sin(z)"),
        ("model", "self.bend(self.a(x))", "self.bend(self.a(x + 1.0))"),
    ],
)
def test_other_code_of_the_same_name_is_refused(name, kind, old, new, tmp_path):
    train(script("__main__"), kind, 2).save(tmp_path / "run.safetensors")
    assert old in SCRIPT
    with pytest.raises(SettingError, match=r"resumed|first batch|another"):
        train(script(name, SCRIPT.replace(old, new)), kind, 4, resume_from=tmp_path / "run.safetensors")


def test_a_loss_of_a_library_is_another_one(tmp_path):
    train(script("script"), "function", 2).save(tmp_path / "run.safetensors")
    with pytest.raises(SettingError, match=r"loss was 'script.mse' and is 'mse' now"):
        train(script("script"), "rule", 4, resume_from=tmp_path / "run.safetensors")

"""What an import costs: each claim in an interpreter of its own, where nothing has been imported before."""

import subprocess
import sys

import pytest

import tinygrad_edu as tg

HEAVY = {
    "numpy",
    "numba",
    "scipy",
    "matplotlib",
    "torch",
    "jax",
    "sklearn",
    "graphviz",
    "pygraphviz",
    "tqdm",
    "safetensors",
}


def imported_by(code):
    """The heavy packages that a program loads."""
    program = f"{code}\nimport sys\nprint(*sorted({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


SCALAR_ONLY = [
    "import tinygrad_edu",
    "import tinygrad_edu as tg; dir(tg); tg.errors.TinygradError",
    "from tinygrad_edu import Value",
    "from tinygrad_edu import Value\nx = Value(2.0)\n((x * 3.0 + 1.0 / x - x**2).tanh() + abs(-x)).backward()",
    "from tinygrad_edu import Value, ops\nops.where(Value(1.0) > 0.0, ops.sigmoid(Value(1.0)), 0.0).backward()",
    "from tinygrad_edu import Value, no_grad, detect_anomaly\nwith no_grad(), detect_anomaly():\n    Value(1.0).exp()",
]


@pytest.mark.parametrize("code", SCALAR_ONLY)
def test_the_scalar_engine_loads_the_standard_library_only(code):
    assert imported_by(code) == set()


@pytest.mark.parametrize("names", ["Tensor", "Tensor, Value, nn, optim, grad, gradcheck"])
def test_the_tensor_engine_loads_numpy_only(names):
    assert imported_by(f"from tinygrad_edu import {names}") == {"numpy"}


def test_a_training_step_loads_neither_compiler_nor_plots():
    code = (
        "import numpy as np, tinygrad_edu as tg\n"
        "model = tg.nn.MLP([2, 3, 1])\n"
        "optimizer = tg.optim.Adam(model.parameters())\n"
        "tg.nn.losses.mse(model(np.ones((4, 2))), np.zeros((4, 1))).backward()\n"
        "optimizer.step()"
    )
    assert imported_by(code) == {"numpy"}


@pytest.mark.parametrize("name", tg.__all__)
def test_every_public_name_is_there(name):
    assert getattr(tg, name) is not None
    assert name in dir(tg)


@pytest.mark.parametrize("before", ["tg.Drawing", "import tinygrad_edu.draw", "import tinygrad_edu.draw.dot"])
def test_draw_can_be_called_whatever_was_imported_before(before):
    imported_by(f"import tinygrad_edu as tg\n{before}\nassert 'digraph' in tg.draw(tg.Value(1.0)).dot")


def test_the_list_of_public_names_is_sorted_and_complete():
    assert sorted(tg.__all__) == sorted({*tg.WHERE, *tg.MODULES})


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(AttributeError, match=r"no attribute 'Tensr'.*Tensor"):
        tg.Tensr  # noqa: B018

"""Types: what a user writes passes `mypy --strict`, and parameters of the engine say what they may be."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import tinygrad_edu.core

CORE = Path(tinygrad_edu.core.__file__).parent
PROGRAM = """
import numpy as np
import tinygrad_edu as tg

X, y = np.ones((4, 3)), np.ones((4, 1))
W = tg.Tensor(np.ones((3, 1)), requires_grad=True, label="W")
b = tg.Tensor(np.zeros(1), requires_grad=True)
loss = np.mean((np.tanh(X @ W + b) - y) ** 2) + 0.1 * np.sum(W * W)
loss.backward()
print(f"{loss:.4f}", W.grad)
np.mean(W).backward()
np.max(W).backward()
np.sum(W, axis=0).sum().backward()
np.where(W > 0, W, 0.0).sum().backward()
np.concatenate([W, W]).sum().backward()
W.tanh().sum().backward()
v = tg.Value(2.0)
z = (np.tanh(v) * v + v**2 / 3).relu()
z.backward()
print(v.grad, z.parents, -z, 1 - z, z.leaky_relu(0.1))
model = tg.nn.MLP([3, 4, 1], seed=0)
np.mean((model(X) - y) ** 2).backward()
g = tg.grad(lambda w: np.sum(w * w))(np.ones(3))
for name in ("sgd", "adam"):  # names that stand in a variable
    run = tg.fit(model, X, y, loss="mse", optimizer=name, epochs=1)
run = tg.fit(model, X, y, loss=lambda p, t: np.mean(p - t), optimizer=tg.optim.Adam(model.parameters()), epochs=1)
"""


@pytest.mark.slow
def test_a_users_program_passes_strict_type_checks(tmp_path):
    pytest.importorskip("mypy")
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    subprocess.run([sys.executable, str(program)], check=True, capture_output=True)
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--config-file=",
        "--cache-dir",
        ".mypy_cache/user",
        str(program),
    ]
    found = subprocess.run(command, capture_output=True, text=True, check=False, cwd=CORE.parents[1])
    assert found.returncode == 0, found.stdout


def test_few_parameters_of_the_engine_are_any():
    kinds = []
    for path in CORE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                a = node.args
                given = [*a.posonlyargs, *a.args, *a.kwonlyargs, *filter(None, [a.vararg, a.kwarg])]
                kinds += [ast.unparse(x.annotation) for x in given if x.annotation]
    assert kinds.count("Any") <= 0.1 * len(kinds), f"{kinds.count('Any')} of {len(kinds)}"

"""The programs in the pages on C and JavaScript are run, and print what the pages say."""

import re
import subprocess
from pathlib import Path

import numpy as np

import tinygrad_edu as tg
from tests.interop.compilers import compile_c
from tests.interop.node import literal, run
from tinygrad_edu.data import moons

PAGES = Path(__file__).parents[2] / "docs" / "how-to"


def page(name):
    """(the text, the two numbers it says)."""
    text = (PAGES / f"{name}.md").read_text(encoding="utf-8")
    return text, re.search(r"^0\.\d{12} 0\.\d{12}$", text, re.MULTILINE)[0]


def program(text, language):
    (found,) = re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)
    return found


def exported(path):
    X, y = moons(120, noise=0.2, seed=0)

    def adam(parameters):
        return tg.optim.Adam(parameters, lr=0.02)

    tg.export(tg.nn.MLP([2, 8, 1], seed=0), path, X, y, loss="mse", optimizer=adam, batch_size=20)
    return X, np.asarray(y)


def in_c(name, array):
    return f"static const double {name}[] = {{{', '.join(map(repr, np.ravel(array).astype(float).tolist()))}}};\n"


def test_the_program_in_c(tmp_path):
    text, numbers = page("c")
    X, y = exported(tmp_path / "net.c")
    (tmp_path / "moons.h").write_text(in_c("X", X) + in_c("y", y), encoding="utf-8")
    done = subprocess.run([compile_c(program(text, "c"), tmp_path, "-O2", name="own")], capture_output=True, text=True)
    assert done.stdout.strip() == numbers


def test_the_program_in_javascript(tmp_path):
    text, numbers = page("javascript")
    X, y = exported(tmp_path / "network.js")
    script = (tmp_path / "network.js").read_text(encoding="utf-8")
    own = program(text, "js").replace("console.log(", "found.push(")
    assert run(f"{script}const X = {literal(X)}, y = {literal(y)};\n{own}", tmp_path) == [numbers]

"""The programs of the README that are no doctests: they need several processes."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROGRAMS = [text for text in re.findall(r"```python\n(.*?)```", README, re.S) if ">>>" not in text]
LINES, SECONDS = 10, 120


def program(word):
    (found,) = [text for text in PROGRAMS if word in text]
    assert len(found.splitlines()) < LINES
    return found


def test_every_program_is_run_here():
    assert len(PROGRAMS) == 2


def run(command, folder):
    given = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=folder, env=given, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_sweep(tmp_path):
    pytest.importorskip("distributed")
    lines = "".join(f"    {line}\n" for line in program("Client").splitlines())
    file = tmp_path / "sweep.py"
    file.write_text(f'if __name__ == "__main__":\n{lines}    print(runs.losses.shape)\n', encoding="utf-8")
    assert run([sys.executable, str(file)], tmp_path) == "(1, 1000)\n"


def test_the_ranks(tmp_path):
    pytest.importorskip("mpi4py")
    file = tmp_path / "train.py"
    file.write_text(program("MPI") + "print(run.n_epochs)\n", encoding="utf-8")
    mpiexec = Path(sys.executable).with_name("mpiexec")
    said = run([str(mpiexec), "-n", "2", sys.executable, str(file)], tmp_path)
    assert said.count("20") == 2  # lines of both ranks may mix

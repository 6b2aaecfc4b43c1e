"""The documentation, built once for all tests of its pages, and the modules that build it."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
GUIDED = sorted((ROOT / "examples").glob("[0-9][0-9]_*.py"))
ANEW = {"01", "03"}  # programs that the site runs itself, for their pictures


def loaded(name):
    """A module of docs/, which is no package."""
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)  # dataclasses look up their module there
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def site(shared_folder, tmp_path_factory, seen):
    """Built once for all workers. What a program prints is what test_examples.py has seen, but for those ANEW."""
    pytest.importorskip("mkdocs", reason="needs the extra docs")
    pytest.importorskip("sklearn", reason="needs the extra sklearn")
    if (built := shared_folder / "site").exists():
        return built
    folder, known = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("seen")
    for program in GUIDED:
        if program.name[:2] not in ANEW:
            shutil.copy(seen(program.name[:2])[0], known)
    options = ["--strict", "--quiet", "--site-dir", str(folder)]
    command = [sys.executable, "-W", "ignore", "-m", "mkdocs", "build", *options]
    environment = {**os.environ, loaded("programs").SEEN: str(known)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder if built.exists() else folder.rename(built)

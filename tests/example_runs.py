"""Each program of the guided path run once, for the tests of what it shows and for the site that shows it."""

import contextlib
import io
import json
import os
import runpy
import shutil
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


def example(number):
    (found,) = EXAMPLES.glob(f"{number}_*.py")
    return found


def run_here(path, folder):
    """Run a copy in this process, in `folder`, as readers do: starting Python 16 times takes half of the time."""
    printed = io.StringIO()
    folder.mkdir()
    path = shutil.copy(path, folder)
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
        patch.chdir(folder)
        patch.setattr(sys, "argv", [path])
        runpy.run_path(path, run_name="__main__")
    written = {file.name: file.read_text(encoding="utf-8") for file in sorted(folder.glob("out/*"))}
    return {"output": printed.getvalue(), "written": written}


@pytest.fixture(scope="session")
def seen(shared_folder, tmp_path_factory):
    """number → (the file with what the program printed and wrote, that record); workers share the files."""
    pytest.importorskip("matplotlib")
    kept = shared_folder / "examples"
    kept.mkdir(exist_ok=True)

    def record(number):
        path = example(number)
        file = kept / f"{path.stem}.json"
        if not file.exists():
            folder = tmp_path_factory.mktemp("example")
            text = json.dumps(run_here(path, folder / "here"))
            (folder / file.name).write_text(text, encoding="utf-8")
            os.replace(folder / file.name, file)
        return file, json.loads(file.read_text(encoding="utf-8"))

    return record

"""The course in a browser's Python, where there are no processes, and the site that brings it there."""

import importlib.util
import json
from pathlib import Path

import numpy as np

from tinygrad_edu import course
from tinygrad_edu.course import folder, sandbox

ROOT = Path(__file__).parents[2]


def test_a_browser_has_no_processes_and_grades_all_the_same(monkeypatch):
    calls = [sandbox.LearnerCall("f", {"x": np.arange(3.0)}, 1), sandbox.LearnerCall("g", {"x": 1.0})]
    source = "def f(x):\n    return 2 * x\ndef g(x):\n    return 1 / 0\n"
    here, there = sandbox.run(source, calls, 5.0), None
    monkeypatch.setattr(sandbox.sys, "platform", "emscripten")
    monkeypatch.setattr(sandbox.subprocess, "Popen", None)
    there = sandbox.run(source, calls, 5.0)
    assert here[0].outputs[0].tolist() == there[0].outputs[0].tolist() == [0.0, 2.0, 4.0]
    assert (
        (here[1].error, here[1].line) == (there[1].error, there[1].line) == ("ZeroDivisionError: division by zero", 4)
    )


def test_the_site_for_browsers_holds_the_notebooks_which_install_the_package_first(tmp_path):
    spec = importlib.util.spec_from_file_location("browser", ROOT / "docs" / "browser.py")
    browser = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(browser)
    notebooks = browser.write_contents(tmp_path)
    assert len(notebooks) == len(course.EXERCISES) + 2
    for notebook in notebooks:
        found = json.loads(notebook.read_text(encoding="utf-8"))
        assert found["cells"][0]["source"] == [browser.INSTALL]
        assert found["metadata"]["kernelspec"] == browser.KERNEL


def test_the_examples_are_copied_and_a_changed_one_is_kept(tmp_path):
    written = folder.write_examples(tmp_path)
    assert {path.name for path in written} == {
        path.name for path in (ROOT / "examples").iterdir() if path.suffix in folder.SUFFIXES
    }
    texts = {path.name: path.read_text(encoding="utf-8") for path in written if path.suffix == ".py"}
    assert [name for name, text in texts.items() if "python examples/" in text] == [], (
        "they are started in their folder"
    )
    assert "\n    python 01_chain_rule_by_hand.py\n" in texts["01_chain_rule_by_hand.py"]
    written[0].write_text("mine", encoding="utf-8")
    written[1].unlink()
    assert folder.write_examples(tmp_path) == [written[1]]
    assert written[0].read_text(encoding="utf-8") == "mine"
    assert written[0] in folder.write_examples(tmp_path, force=True)
    assert written[0].read_text(encoding="utf-8") != "mine"

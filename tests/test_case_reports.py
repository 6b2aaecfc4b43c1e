"""What a case's report says, and the command that runs cases."""

import subprocess
import sys

import pytest

from tests.case_runs import EXAMPLES
from tinygrad_edu import cases
from tinygrad_edu.cases.report import ADVICE, Figure, Report, Trial
from tinygrad_edu.cli import main
from tinygrad_edu.errors import NameNotFoundError

pytestmark = pytest.mark.slow


# What a report is


def bare(**fields):
    return Report(**{"name": "x", "question": "q", "answer": "a", "draw": lambda canvas: None, **fields})


def test_a_figure_that_is_off_is_said_and_counts():
    figures = (Figure("f", 1.0, 1.1, 0.2), Figure("g", 1.0, 1.3, 0.2), Figure("h", 1.0, float("nan"), 0.2))
    assert [figure.reproduced for figure in figures] == [True, False, False]
    report = bare(figures=figures)
    assert not report.reproduced
    assert str(report).count("differs by more than 0.2") == 2


def test_a_report_without_figures_and_trials():
    assert str(bare()) == "x: q\n\nAnswer: a"
    assert "3 of 4" in str(bare(trials=(Trial("c", 3, 4, "m"),), goal="it"))


def test_without_matplotlib_one_sentence_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert bare().drawn(tmp_path / "new") == ADVICE
    assert not (tmp_path / "new").exists()


def test_an_unknown_case_names_the_nearest():
    with pytest.raises(NameNotFoundError, match="Did you mean 'or_xor'"):
        cases.run("xor_or")


# The command


def test_the_command_lists_the_cases(capsys):
    assert main(["case"]) == 0
    listed = [line.split()[:2] for line in capsys.readouterr().out.splitlines()]
    assert listed == [[str(number), name] for number, name in enumerate(cases.CASES, 1)]


def test_the_command_runs_a_case(capsys, tmp_path):
    pytest.importorskip("matplotlib")
    assert main(["case", "by_hand", "--quick", "--out", str(tmp_path / "new")]) == 0
    text = capsys.readouterr().out
    assert f"picture: {tmp_path / 'new' / 'by_hand.png'}" in text
    assert "The examiner of hand-written backprop, given their code:" in text


@pytest.mark.parametrize(
    ("arguments", "words"), [(["lynx_elmann"], "Did you mean 'lynx_elman'"), (["x"], "unknown case 'x'")]
)
def test_the_command_says_what_is_wrong_in_one_sentence(arguments, words, capsys):
    assert main(["case", *arguments]) == 1
    err = capsys.readouterr().err
    assert words in err
    assert err.count("\n") == 1


WITHOUT_SCIKIT_LEARN = """
import sys

class Missing:
    def find_spec(self, name, *_):
        if name.partition(".")[0] == "sklearn":
            raise ModuleNotFoundError("No module named 'sklearn'", name="sklearn")

sys.meta_path.insert(0, Missing())
from tinygrad_edu.cli import main
sys.exit(main(["case", "body_metrics"]))
"""


def test_without_scikit_learn_one_sentence_says_what_to_install():
    command = [sys.executable, "-c", WITHOUT_SCIKIT_LEARN]
    found = subprocess.run(command, capture_output=True, text=True, cwd=EXAMPLES.parent, check=False)
    assert found.returncode == 1
    assert found.stderr.startswith("tinygrad-edu: MLPClassifier needs scikit-learn: `pip install")
    assert found.stderr.count("\n") == 1


def test_the_list_needs_neither_numpy_nor_numba():
    code = "import sys; from tinygrad_edu import cases; print({'numba', 'numpy', 'matplotlib'} & set(sys.modules))"
    command = [sys.executable, "-c", code]
    found = subprocess.run(command, capture_output=True, text=True, cwd=EXAMPLES.parent, check=True)
    assert found.stdout.strip() == "set()"

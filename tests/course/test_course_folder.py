"""clinic.grade for exercises of one's own, and the folder and commands of the course."""

import csv
import json
import shutil
import subprocess
import sys
from types import SimpleNamespace

import nbformat
import numpy as np
import pytest

import tinygrad_edu as tg
from tests.course.test_course import LAYER, RIGHT, by_name, written
from tinygrad_edu.cli import main
from tinygrad_edu.course import check, find, folder, sandbox, submission
from tinygrad_edu.errors import ExaminerError, InputFileError, NameNotFoundError, SettingError

# grade, for a teacher's own exercises


def test_grade_of_gradients_of_ones_own():
    x, W = np.array([[1.0, 2.0]]), np.array([[0.5], [-1.0]])
    grade = tg.clinic.grade(lambda p: np.sum((x @ p["W"]) ** 2), {"W": W}, {"W": -2 * x.T @ (x @ W)})
    assert (grade.score, grade.status, grade.mistakes) == (0.0, "wrong", ("sign_flipped",))
    assert "points uphill" in grade.text


def slope(y):
    return 1.0 - y * y


def with_a_helper(x, W, b, dy):
    dz = dy * slope(np.tanh(x @ W + b))
    return dz @ W.T, x.T @ dz, dz.sum(axis=0)


def test_a_function_brings_those_that_it_calls():
    found = submission.of_functions(with_a_helper)
    assert found.functions.keys() == {"slope", "with_a_helper"}
    inputs = LAYER.arguments("backward", LAYER.inputs(np.random.default_rng(0)))
    assert sandbox.run(found.source, [sandbox.LearnerCall("with_a_helper", inputs, 3)], 5)[0].error == ""


def test_one_result_may_be_a_list_of_lists(tmp_path):
    exercise = find("softmax_cross_entropy")
    text = exercise.solution.replace("return dz", "return dz.tolist()")
    assert tg.clinic.grade(written(tmp_path, exercise, text)).score == 1.0


def test_functions_of_a_notebook():
    def backward(x, W, b, dy):
        y = np.tanh(x @ W + b)
        dz = dy * (1.0 - y * y)
        return dz @ W.T, x.T @ dz, dz.sum(axis=0)

    assert check(backward, exercise="mlp_layer").score == 1.0
    assert tg.clinic.grade(backward, exercise="mlp_layer").score == 1.0

    def forward(x, mask, p):
        return x * mask / (1.0 - p)

    assert check(forward, lambda x: x, exercise="dropout").score < 1.0
    with pytest.raises(NameNotFoundError, match="unknown exercise"):
        check(backward, exercise="mlp_lager")


@pytest.mark.parametrize("options", [{"hint": 4}, {"hint": True}, {"seconds": 0}, {"seconds": -1.0}, {"seed": -1}])
def test_settings_are_checked(options, tmp_path):
    with pytest.raises(SettingError):
        tg.clinic.grade(written(tmp_path, LAYER, LAYER.solution), **options)


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(InputFileError, match="No such file"):
        tg.clinic.grade(tmp_path / "02_mlp_layer.py")
    (tmp_path / "other.py").write_text("x = 1\n")
    with pytest.raises(NameNotFoundError, match=r"unknown exercise.*check_backprop\(forward, params, backward\)"):
        tg.clinic.grade(tmp_path / "other.py")


def test_without_the_course_grade_says_what_to_import(monkeypatch):
    monkeypatch.setattr("tinygrad_edu.clinic.examiner.grade.GRADERS", {})
    with pytest.raises(ExaminerError, match=r"import tinygrad_edu\.course"):
        tg.clinic.grade("x.py")


# The folder, the command line


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    made = tmp_path_factory.mktemp("course")
    folder.write(made)
    return made


@by_name
def test_scripts_and_notebooks_are_the_same_exercise(exercise, course, tmp_path):
    script, book = course / f"{exercise.file}.py", course / f"{exercise.file}.ipynb"
    compile(script.read_text(encoding="utf-8"), str(script), "exec")
    nbformat.validate(nbformat.read(book, as_version=4))
    assert submission.read_submission(script).functions.keys() == submission.read_submission(book).functions.keys()
    assert [tg.clinic.grade(path).status for path in (script, book)] == ["empty", "empty"]
    solutions = dict(folder.file_texts(notebooks=True, solutions=True))
    path = tmp_path / f"{exercise.file}.ipynb"
    path.write_text(solutions[path.name], encoding="utf-8")
    if exercise.number < 4:
        assert tg.clinic.grade(path).score == 1.0


def test_a_script_checks_itself(tmp_path):
    folder.write(tmp_path, notebooks=False, solutions=True)
    command = [sys.executable, str(tmp_path / "12_momentum.py")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=120, check=True)
    assert "2 of 2 right" in done.stdout


def test_no_work_is_written_over(tmp_path):
    folder.write(tmp_path, notebooks=False)
    own = tmp_path / "02_mlp_layer.py"
    own.write_text("my work")
    (tmp_path / "13_adam.py").unlink()
    assert [path.name for path in folder.write(tmp_path, notebooks=False)] == ["13_adam.py"]
    assert own.read_text() == "my work"
    with pytest.raises(SettingError, match="already holds all 15 files: name another folder, or use --force"):
        folder.write(tmp_path, notebooks=False)
    folder.write(tmp_path, notebooks=False, force=True)
    assert own.read_text() != "my work"


def test_the_commands(tmp_path, capsys):
    assert main(["course", str(tmp_path / "c")]) == 0
    assert "wrote 29 files into" in capsys.readouterr().out
    assert main(["check", str(tmp_path / "c" / "02_mlp_layer.py")]) == 1
    assert "nothing is written yet" in capsys.readouterr().out
    path = written(tmp_path, LAYER, LAYER.solution.replace("dz.sum(axis=0)", "dz[-1]"))
    results = tmp_path / "out" / "results.json"
    assert main(["check", str(path), "--hint", "2", "--gradescope", str(results)]) == 0
    assert "that of one sample" in capsys.readouterr().out
    record = json.loads(results.read_text(encoding="utf-8"))
    assert record["score"] == pytest.approx(100 * 2 / 3)
    assert [test["score"] for test in record["tests"]] == pytest.approx([100 / 3, 100 / 3, 0.0])
    assert sum(test["max_score"] for test in record["tests"]) == pytest.approx(100.0, abs=1e-4)
    for wrong in ([str(tmp_path / "none.py")], [str(tmp_path / "out")]):
        assert main(["check", *wrong]) in (1, 2)
        assert capsys.readouterr().err.count("\n") == 1


def test_a_folder_of_submissions(tmp_path, capsys):
    texts = {
        "ann/02_mlp_layer.py": LAYER.solution,
        "bob/02_mlp_layer.py": LAYER.solution.replace("dz.sum(axis=0)", "dz[-1]"),
        "cat/mine.py": "# exercise: mlp_layer\n" + LAYER.solution.replace("dz.sum(axis=0)", "dz[-1]"),
        "dan/02_mlp_layer.py": LAYER.starter,
        "eve/02_mlp_layer.py": f"def backward(x, W, b, dy):\n    import torch\n{RIGHT}",
        "=cmd()/notes.py": "x = 1\n",
    }
    for name, text in texts.items():
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_text(text, encoding="utf-8")
    table = tmp_path / "grades.csv"
    assert main(["check", str(tmp_path / "in"), "--csv", str(table)]) == 1
    out = capsys.readouterr().out
    assert "2 x mlp_layer, last_sample: The gradient of the bias is that of one sample" in out
    read = csv.DictReader(table.read_text(encoding="utf-8").splitlines())
    rows = {row["file"].split("/in/")[1].split("/")[0]: row for row in read}
    assert {name: row["status"] for name, row in rows.items()} == {
        "ann": "right", "bob": "partly", "cat": "partly", "dan": "empty", "eve": "refused", "=cmd()": "not an exercise",
    }  # fmt: skip
    assert rows["ann"]["score"] == "1.0000"
    assert folder.safe("=cmd()") == "'=cmd()"
    for name in ("bob", "cat", "dan", "eve"):
        shutil.rmtree(tmp_path / "in" / name)
    assert main(["check", str(tmp_path / "in")]) == 0  # one exercise is right, and the other file is none


# nbgrader


def run_cell(notebook, replace):
    """Run the code cells of a notebook with a part of the solution replaced; what the last one shows."""
    import ast
    import linecache

    world = {"__name__": "__main__"}
    for i, cell in enumerate(notebook["cells"]):
        if cell["cell_type"] == "code":
            text, name = "".join(cell["source"]).replace(*replace), f"<cell {i}>"
            linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
            tree = ast.parse(text)
            last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
            exec(compile(tree, name, "exec"), world)
            shown = eval(compile(ast.Expression(last.value), name, "eval"), world) if last else None
    return shown


def test_the_sources_for_nbgrader_give_the_credit_of_what_is_right(tmp_path):
    written = folder.write(tmp_path, nbgrader=True)
    assert len(written) == 13
    for path in written:
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
        marks = [cell.metadata.nbgrader for cell in notebook.cells]
        assert len({mark.grade_id for mark in marks}) == len(marks)
        assert [mark.grade for mark in marks] == [False] * (len(marks) - 1) + [True]
        assert any(mark.solution for mark in marks)
    layer = json.loads((tmp_path / "02_mlp_layer.ipynb").read_text(encoding="utf-8"))
    assert run_cell(layer, ("nothing", "")) == 3.0
    assert run_cell(layer, ("dz.sum(axis=0)", "dz[-1]")) == 2.0
    with pytest.raises(AssertionError, match="The derivative of tanh is missing"):
        run_cell(layer, ("dz = dy * (1.0 - y * y)", "dz = dy"))


def test_files_of_one_name_in_two_folders_keep_their_results_apart(tmp_path):
    paths = [tmp_path / place / "02_mlp_layer.py" for place in ("first", "second")]
    for path, text in zip(paths, (LAYER.solution, LAYER.text), strict=True):
        path.parent.mkdir()
        path.write_text(f"# exercise: mlp_layer\n{text}")
    found = folder.grade_together(folder.grade_folder(tmp_path, "mlp_layer"))
    names = [name.split()[0] for name in found.parts]
    assert names == ["first/02_mlp_layer.py"] * 3 + ["second/02_mlp_layer.py"] * 3


def test_older_copies_that_tools_keep_are_no_submissions(tmp_path):
    for place in ("mine.py", ".ipynb_checkpoints/mine-checkpoint.py", "__MACOSX/._mine.py", "._mine.py"):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).write_text(f"# exercise: mlp_layer\n{LAYER.solution if place == 'mine.py' else LAYER.text}")
    found = folder.grade_folder(tmp_path)
    assert [each.path.name for each in found] == ["mine.py"]
    assert folder.grade_together(found).score == 1.0


def test_each_of_the_commonest_mistakes_has_a_sentence():
    kinds = [*folder.suspects.KINDS, *folder.relations.KINDS]
    found = [SimpleNamespace(grade=SimpleNamespace(exercise="chain_rule", mistakes=[kind])) for kind in kinds]
    assert all(line.endswith(".") for line in folder.commonest(found, most=99))

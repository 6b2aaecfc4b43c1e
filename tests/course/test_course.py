"""The course: right solutions pass, classic mistakes are named, and no submission can do harm."""

import csv
import json
import math
import subprocess
import sys
import time

import nbformat
import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.cli import main
from tinygrad_edu.course import EXERCISES, check, find, folder, grading, lab, sandbox, submission
from tinygrad_edu.course.exercise import world_of
from tinygrad_edu.errors import ExaminerError, InputFileError, NameNotFoundError, SettingError

NUMERIC = [exercise for exercise in EXERCISES if exercise.name != "convergence_lab"]
MISTAKES = [(exercise, mistake) for exercise in NUMERIC for mistake in exercise.mistakes]
by_name = pytest.mark.parametrize("exercise", EXERCISES, ids=lambda e: e.name)
numeric = pytest.mark.parametrize("exercise", NUMERIC, ids=lambda e: e.name)


def written(tmp_path, exercise, text, suffix=".py"):
    path = tmp_path / f"{exercise.file}{suffix}"
    path.write_text(f"# exercise: {exercise.name}\n{text}", encoding="utf-8")
    return path


def in_this_process(source, calls, seconds):
    """As sandbox.run, for texts of our own."""
    from tinygrad_edu.course import child

    world = {"np": np, "math": math, "__name__": "submission"}
    exec(compile(source, "submission", "exec"), world)
    answers = [child.called(world[name], dict(given), count) for name, given, count in calls]
    return [sandbox.result_of(json.loads(json.dumps(answer))) for answer in answers]


# The exercises themselves


def test_there_are_fourteen_in_order():
    assert [exercise.number for exercise in EXERCISES] == list(range(1, 15))
    assert all(exercise.minutes >= 10 for exercise in EXERCISES)


@numeric
def test_the_solution_agrees_with_the_engine(exercise):
    """Gradients by Tensors; the optimizers by those of tg.optim."""
    rng = np.random.default_rng(5)
    for _ in range(3):
        inputs = exercise.inputs(rng)
        if "backward" not in exercise.functions:
            return
        right = exercise.right("backward", inputs)
        seed = next((x for name, x in inputs.items() if name.startswith("d")), None)
        names = {grading.input_of(name): name for name in right}
        forward = world_of(exercise, None)["forward"]
        given = exercise.arguments("forward", inputs)
        for x, name in names.items():
            if exercise.name == "embedding":
                expected = np.zeros_like(inputs["table"])
                for i, row in zip(inputs["ids"], seed, strict=True):
                    expected[i] += row
            else:
                expected = numerical(forward, given, x, seed)
            np.testing.assert_allclose(right[name], expected, rtol=1e-5, atol=1e-7, err_msg=name)


def numerical(forward, given, x, seed):
    """Central differences of Σ seed·forward."""
    value = np.array(given[x], dtype=float)
    found = np.empty_like(value)
    for index in np.ndindex(value.shape):
        ends = []
        for h in (1e-6, -1e-6):
            moved = value.copy()
            moved[index] += h
            y = forward(**{**given, x: moved if value.ndim else float(moved)})
            ends.append(np.sum(y if seed is None else seed * y))
        found[index] = (ends[0] - ends[1]) / 2e-6
    return found


@pytest.mark.parametrize(("name", "make"), [
    ("momentum", lambda p, i: tg.optim.SGD(p, lr=i["lr"], momentum=i["momentum"])),
    ("adam", lambda p, i: tg.optim.Adam(p, lr=i["lr"], betas=(i["beta1"], i["beta2"]), eps=i["eps"])),
])  # fmt: skip
def test_the_optimizers_are_those_of_the_library(name, make):
    exercise, rng = find(name), np.random.default_rng(0)
    inputs = dict(exercise.inputs(rng))
    memory = [np.zeros_like(inputs["w"]) for _ in exercise.functions["step"][1:]]
    p = tg.Tensor(inputs["w"].copy(), requires_grad=True)
    optimizer, w = make([p], inputs), inputs["w"]
    for t in range(1, 5):
        g = rng.normal(size=w.shape)
        p.grad, p.spent = g.copy(), False
        optimizer.step()
        now = {**inputs, "w": w, "g": g, "t": t, **dict(zip(exercise.functions["step"][1:], memory, strict=True))}
        w, *memory = exercise.right("step", now).values()
        np.testing.assert_allclose(w, p.data, rtol=1e-12)


@by_name
def test_a_right_solution_passes(exercise, tmp_path):
    grade = tg.clinic.grade(written(tmp_path, exercise, exercise.solution))
    assert (grade.score, grade.status, grade.mistakes) == (1.0, "right", ()), grade.text
    assert grade.exercise == exercise.name or exercise.name == "convergence_lab"


@pytest.mark.parametrize(("exercise", "mistake"), MISTAKES, ids=[f"{e.name}-{m.code}" for e, m in MISTAKES])
def test_each_planted_mistake_is_named(exercise, mistake, tmp_path, monkeypatch):
    monkeypatch.setattr(sandbox, "run", in_this_process)
    assert exercise.solution.count(mistake.old) >= 1
    path = written(tmp_path, exercise, exercise.solution.replace(mistake.old, mistake.new))
    for seed in (0, 1):
        grade = tg.clinic.grade(path, hint=2, seed=seed)
        assert grade.score < 1.0
        assert mistake.code in grade.mistakes, grade.text
        assert mistake.sentence in grade.text


def test_every_mistake_has_a_sentence_and_a_name_of_its_own():
    for exercise in NUMERIC:
        codes = [mistake.code for mistake in exercise.mistakes]
        assert len(codes) == len(set(codes)) >= 3
        assert all(mistake.sentence.endswith(".") for mistake in exercise.mistakes)


# Submissions of every kind


@by_name
def test_a_starter_is_empty_and_says_where_to_begin(exercise, tmp_path):
    assert "#>" not in exercise.starter + exercise.solution
    grade = tg.clinic.grade(written(tmp_path, exercise, exercise.starter))
    assert (grade.score, grade.status) == (0.0, "empty")
    assert "nothing is written yet" in grade.text


LAYER = find("mlp_layer")
FIRST = "    y = np.tanh(x @ W + b)\n    dz = dy * (1.0 - y * y)\n"
RIGHT = FIRST + "    return dz @ W.T, x.T @ dz, dz.sum(axis=0)\n"
SUBMISSIONS = {  # body of backward: (score, status, a part of the text)
    "empty": ("    pass\n", 0.0, "wrong", "missing"),
    "none": ("    return None\n", 0.0, "wrong", "missing"),
    "not implemented": ("    raise NotImplementedError\n", 0.0, "empty", "nothing is written"),
    "one of three": (FIRST + "    return dz @ W.T\n", 1 / 3, "partly", "it is missing in what is returned"),
    "two of three": (FIRST + "    return None, x.T @ dz, dz.sum(axis=0)\n", 2 / 3, "partly", "missing"),
    "by names": (FIRST + "    return {'db': dz.sum(axis=0), 'dx': dz @ W.T, 'dW': x.T @ dz}\n", 1.0, "right", "3 of 3"),
    "lists": (FIRST + "    return [(dz @ W.T).tolist(), x.T @ dz, dz.sum(axis=0)]\n", 1.0, "right", "3 of 3"),
    "other shapes": (FIRST + "    return (dz @ W.T).T, x.T @ dz, dz\n", 1 / 3, "partly", "is needed"),
    "text": ("    return 'dx', 'dW', 'db'\n", 0.0, "wrong", "no array of numbers"),
    "complex": (FIRST + "    return 1j * x, 1j * W, 1j * b\n", 0.0, "wrong", "no array of numbers"),
    "nan": (FIRST + "    return x / 0.0, W * np.nan, b\n", 0.0, "wrong", "NaN or infinity"),
    "a crash": ("    z = x @ W.T.T.T\n    return z[99], 1, 2\n", 0.0, "crashed", "line 2: ValueError"),
    "a wrong name": ("    return dz, dW, db\n", 0.0, "crashed", "line 2: NameError"),
    "a loop": ("    while True:\n        pass\n", 0.0, "slow", "does a loop never end"),
    "a loop that catches": (
        "    while True:\n        try:\n            pass\n        except BaseException:\n            pass\n",
        0.0, "slow", "never end",
    ),
    "recursion": ("    return backward(x, W, b, dy)\n", 0.0, "crashed", "RecursionError"),
    "memory": ("    return np.ones((10**6, 10**6)), 1, 2\n", 0.0, "crashed", "Error"),
    "an exit": ("    raise SystemExit(0)\n", 0.0, "crashed", "SystemExit"),
    "an interrupt": ("    raise KeyboardInterrupt\n", 0.0, "crashed", "KeyboardInterrupt"),
    "much output": ("    print('x' * 10**7)\n" + RIGHT, 1.0, "right", "3 of 3"),
    "writes to its inputs": (
        "    dy *= 1.0 - np.tanh(x @ W + b) ** 2\n    return dy @ W.T, x.T @ dy, dy.sum(axis=0)\n",
        1.0, "right", "3 of 3",
    ),
    "differences": (
        "    def d(a):\n        g = np.zeros_like(a)\n        for i in np.ndindex(a.shape):\n            old = a[i]\n"
        "            a[i] = old + 1e-6\n            up = np.sum(dy * np.tanh(x @ W + b))\n"
        "            a[i] = old - 1e-6\n"
        "            g[i] = (up - np.sum(dy * np.tanh(x @ W + b))) / 2e-6\n            a[i] = old\n        return g\n"
        "    return d(x), d(W), d(b)\n", 0.0, "wrong", "differences in place of the derivative",
    ),
    "imports the library": ("    import tinygrad_edu as tg\n" + RIGHT, 0.0, "refused", "imports tinygrad_edu"),
    "imports torch": ("    import torch\n" + RIGHT, 0.0, "refused", "it imports torch"),
    "imports os": ("    from os import system\n" + RIGHT, 0.0, "refused", "it imports os"),
    "import by name": ("    __import__('os')\n" + RIGHT, 0.0, "refused", "__import__"),
    "eval": ("    eval('1')\n" + RIGHT, 0.0, "refused", "eval"),
    "opens a file": ("    open('/etc/passwd')\n" + RIGHT, 0.0, "refused", "open"),
    "climbs out": ("    ().__class__.__base__\n" + RIGHT, 0.0, "refused", "__base__"),
    "reads by NumPy": ("    np.load('x.npy')\n" + RIGHT, 0.0, "refused", "load"),
    "a hidden import": ("    f = np.lib\n    return getattr(f, 'x' + 'y'), 1, 2\n", 0.0, "crashed", "AttributeError"),
}  # fmt: skip


@pytest.mark.parametrize("name", SUBMISSIONS)
def test_submissions_of_every_kind(name, tmp_path):
    body, score, status, words = SUBMISSIONS[name]
    path = written(tmp_path, LAYER, f"def backward(x, W, b, dy):\n{body}")
    path.write_text(path.read_text().removeprefix("# exercise: mlp_layer\n"))
    start = time.perf_counter()
    grade = tg.clinic.grade(path, seconds=2, hint=2)
    assert time.perf_counter() - start < 60.0
    assert grade.score == pytest.approx(score), grade.text
    assert grade.status == status, grade.text
    assert words in grade.text
    assert sum(share for share, _ in grade.parts.values()) / 3 == pytest.approx(score)


UNREADABLE = {
    "no Python": b"def backward(:\n", "nothing": b"", "no text": b"\xff\xfe\x00\x80", "zeros": b"\0" * 50,
    "deep": b"(" * 5000 + b")" * 5000, "a class": b"class A:\n    pass\n",
    "another function": b"def f():\n    return 1\n",
}  # fmt: skip


@pytest.mark.parametrize("suffix", [".py", ".ipynb"])
@pytest.mark.parametrize("name", UNREADABLE)
def test_what_is_no_submission_has_no_points(name, suffix, tmp_path, capsys):
    path = tmp_path / f"02_mlp_layer{suffix}"
    path.write_bytes(UNREADABLE[name])
    grade = tg.clinic.grade(path)
    assert grade.score == 0.0
    assert grade.status in ("unreadable", "empty", "refused")
    assert main(["check", str(path)]) == 0
    assert capsys.readouterr().err == ""


def test_nothing_but_the_functions_is_run(tmp_path):
    marker = tmp_path / "was_run"
    text = (
        f"open({str(marker)!r}, 'w').close()\nprint('top level')\nraise SystemExit\ndef backward(x, W, b, dy):\n{RIGHT}"
    )
    assert tg.clinic.grade(written(tmp_path, LAYER, text)).score == 1.0
    assert not marker.exists()


def test_a_default_argument_and_constants_are_kept(tmp_path):
    head = "import numpy as np\nEPS = 1e-3\nTWO = (1, [2, -3])\n\n\ndef slope(y):\n    return 1.0 - y * y\n\n\n"
    text = f"{head}def backward(x, W, b, dy, k=2):\n{RIGHT.replace('(1.0 - y * y)', 'slope(y)')}"
    assert tg.clinic.grade(written(tmp_path, LAYER, text)).score == 1.0


def test_a_submission_cannot_write_its_own_grade(tmp_path):
    """Whatever a child writes are results, which are compared here."""
    answer = [{"outputs": [{"array": "bm8="}, 5, {}]}, {"nothing": 1}, 7, None, {"error": 1}, {"outputs": 3}]
    found = [sandbox.result_of(each) for each in answer]
    assert all(
        isinstance(each, sandbox.Result) and not any(isinstance(x, np.ndarray) for x in each.outputs) for each in found
    )


def test_the_environment_of_a_child_holds_no_secrets(monkeypatch):
    monkeypatch.setenv("MY_TOKEN", "secret")
    source = "def f():\n    return sorted(__import__('os').environ)\n"
    result = sandbox.run(source, [("f", {}, 0)], 5)[0]
    assert result.error or "MY_TOKEN" not in result.value


def test_hints_come_in_stages(tmp_path):
    path = written(tmp_path, LAYER, LAYER.solution.replace("dz = dy * (1.0 - y * y)", "dz = dy"))
    one, two, three = (tg.clinic.grade(path, hint=hint).text for hint in (1, 2, 3))
    assert "WRONG" in one
    assert "derivative of tanh is missing" not in one
    assert "derivative of tanh is missing" in two
    assert "dW is computed in line" in two
    assert "dW = xᵀ·dz" in three
    assert "dW = xᵀ·dz" not in two
    line = int(two.split("dW is computed in line ")[1].split()[0])
    assert "dW = x.T @ dz" in path.read_text().splitlines()[line - 1]


def test_two_mistakes_are_both_named(tmp_path):
    text = LAYER.solution.replace("dW = x.T @ dz", "dW = x.T @ dz / len(x)").replace("dz.sum(axis=0)", "dz[-1]")
    grade = tg.clinic.grade(written(tmp_path, LAYER, text), hint=2)
    assert set(grade.mistakes) == {"mean_weights", "last_sample"}


def test_what_no_list_names_the_examiner_does(tmp_path):
    text = LAYER.solution.replace("dx = dz @ W.T", "dx = 2.0 * dz @ W.T").replace(
        "dW = x.T @ dz", "dW = 3.0 * x.T @ dz"
    )
    grade = tg.clinic.grade(written(tmp_path, LAYER, text), hint=2)
    assert grade.mistakes == ()
    assert grade.score == pytest.approx(1 / 3)


def test_the_lab(tmp_path):
    exercise = find("convergence_lab")
    half = exercise.solution.replace('"cause": "lr_too_high"', '"cause": "unlucky"').replace(
        '{"epochs": 600}', '{"lr": 0.2, "hidden": 3}'
    )
    grade = tg.clinic.grade(written(tmp_path, exercise, half), hint=2)
    assert grade.score == pytest.approx(1.0 - 0.5 / 6 - 0.5 / 6)
    assert "exactly one setting" in grade.text
    assert "how the loss jumps" in grade.text
    for answer in (
        "3",
        "{'net_1': 5}",
        "{'net_1': {'cause': 1, 'change': {'epochs': 10**9}}}",
        "{'net_1': {'change': {'x': 1}}}",
    ):
        found = tg.clinic.grade(written(tmp_path, exercise, f"def answers():\n    return {answer}\n"))
        assert found.score == 0.0
    with pytest.raises(NameNotFoundError):
        lab.train("net_7")


@pytest.mark.parametrize("name", lab.SICK)
def test_the_six_networks_are_sick_from_every_seed(name):
    assert max(lab.accuracy(lab.train(name, seed)) for seed in (0, 1, *lab.SEEDS)) < lab.GOAL


# grade, for exercises of one's own


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
    assert sandbox.run(found.source, [("with_a_helper", inputs, 3)], 5)[0].error == ""


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
    with pytest.raises(NameNotFoundError, match="unknown exercise"):
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
    assert submission.read(script).functions.keys() == submission.read(book).functions.keys()
    assert [tg.clinic.grade(path).status for path in (script, book)] == ["empty", "empty"]
    solutions = dict(folder.contents(notebooks=True, solutions=True))
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
    with pytest.raises(SettingError, match="holds all 15 files already: --force"):
        folder.write(tmp_path, notebooks=False)
    folder.write(tmp_path, notebooks=False, force=True)
    assert own.read_text() != "my work"


def test_the_commands(tmp_path, capsys):
    assert main(["course", str(tmp_path / "c")]) == 0
    assert "wrote 29 files into" in capsys.readouterr().out
    assert main(["check", str(tmp_path / "c" / "02_mlp_layer.py")]) == 0
    assert "nothing is written yet" in capsys.readouterr().out
    path = written(tmp_path, LAYER, LAYER.solution.replace("dz.sum(axis=0)", "dz[-1]"))
    results = tmp_path / "out" / "results.json"
    assert main(["check", str(path), "--hint", "2", "--gradescope", str(results)]) == 0
    assert "Only one sample counts" in capsys.readouterr().out
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
    assert main(["check", str(tmp_path / "in"), "--csv", str(table)]) == 0
    out = capsys.readouterr().out
    assert "2 x mlp_layer, last_sample: Only one sample counts" in out
    read = csv.DictReader(table.read_text(encoding="utf-8").splitlines())
    rows = {row["file"].split("/in/")[1].split("/")[0]: row for row in read}
    assert {name: row["status"] for name, row in rows.items()} == {
        "ann": "right", "bob": "partly", "cat": "partly", "dan": "empty", "eve": "refused", "=cmd()": "not an exercise",
    }  # fmt: skip
    assert rows["ann"]["score"] == "1.0000"
    assert folder.safe("=cmd()") == "'=cmd()"

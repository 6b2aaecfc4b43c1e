"""The course: right solutions pass, classic mistakes are named, and no submission can do harm."""

import functools
import json
import math
import time

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.cli import main
from tinygrad_edu.course import EXERCISES, child, find, lab, naming, sandbox
from tinygrad_edu.course.exercise import world_of
from tinygrad_edu.errors import NameNotFoundError

NUMERIC = [exercise for exercise in EXERCISES if exercise.name != "convergence_lab"]
MISTAKES = [(exercise, mistake) for exercise in NUMERIC for mistake in exercise.mistakes]
by_name = pytest.mark.parametrize("exercise", EXERCISES, ids=lambda e: e.name)
numeric = pytest.mark.parametrize("exercise", NUMERIC, ids=lambda e: e.name)


@pytest.fixture(autouse=True)
def compiled_lab(monkeypatch):
    """Sixty runs of the lab: `fit` estimates 0.29 s for each and would not compile; compiled they take 0.01 s."""
    monkeypatch.setattr(lab, "fit", functools.partial(lab.fit, compiled=True))


def written(tmp_path, exercise, text, suffix=".py"):
    path = tmp_path / f"{exercise.file}{suffix}"
    path.write_text(f"# exercise: {exercise.name}\n{text}", encoding="utf-8")
    return path


def in_this_process(source, calls, seconds):
    """As sandbox.run, for texts of our own."""
    world = {"np": np, "math": math, "__name__": "submission"}
    exec(compile(source, "submission", "exec"), world)
    answers = [child.called(world[x.function], dict(x.arguments), x.count, dict(x.names)) for x in calls]
    return [sandbox.result_of(json.loads(json.dumps(answer))) for answer in answers]


# the exercises themselves


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
        names = {naming.input_of(name): name for name in right}
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
        p.grad, p._spent = g.copy(), False
        optimizer.step()
        now = {**inputs, "w": w, "g": g, "t": t, **dict(zip(exercise.functions["step"][1:], memory, strict=True))}
        w, *memory = exercise.right("step", now).values()
        np.testing.assert_allclose(w, p.data, rtol=1e-12)


@by_name
def test_a_right_solution_passes(exercise, tmp_path):
    grade = tg.clinic.grade(written(tmp_path, exercise, exercise.solution))
    assert (grade.score, grade.status, grade.mistakes) == (1.0, "right", ()), grade.text
    assert grade.exercise == exercise.name or exercise.name == "convergence_lab"


@pytest.mark.parametrize(("exercise", "mistake"), MISTAKES, ids=[f"{e.name}-{m.code}-{m.new}" for e, m in MISTAKES])
def test_each_planted_mistake_is_named(exercise, mistake, tmp_path, monkeypatch):
    monkeypatch.setattr(sandbox, "run", in_this_process)
    assert exercise.solution.count(mistake.old) >= 1
    path = written(tmp_path, exercise, exercise.solution.replace(mistake.old, mistake.new))
    grade = tg.clinic.grade(path, hint=2)
    assert grade.score < 1.0
    assert mistake.code in grade.mistakes, grade.text
    assert mistake.sentence in grade.text


def test_every_mistake_has_a_sentence_and_a_name_of_its_own():
    for exercise in NUMERIC:
        said = {}
        for mistake in exercise.mistakes:
            assert said.setdefault(mistake.code, mistake.sentence) == mistake.sentence
            assert mistake.sentence.endswith(".")
        assert len(said) >= 3
        assert len({(m.old, m.new) for m in exercise.mistakes}) == len(exercise.mistakes)


# submissions of every kind


@by_name
def test_a_starter_is_empty_and_says_where_to_begin(exercise, tmp_path):
    assert "#>" not in exercise.starter + exercise.solution
    grade = tg.clinic.grade(written(tmp_path, exercise, exercise.starter))
    assert (grade.score, grade.status) == (0.0, "empty")
    assert "nothing is written yet" in grade.text


def test_arguments_may_have_names_of_the_learners_own(tmp_path):
    lines = "def backward(first, second, third, g):\n    dz = g * (1.0 - np.tanh(first @ second + third) ** 2)\n"
    text = f"import numpy as np\n\n\n{lines}    return dz @ second.T, first.T @ dz, dz.sum(axis=0)\n"
    assert tg.clinic.grade(written(tmp_path, LAYER, text)).score == 1.0


def test_arguments_may_be_collected_by_name(tmp_path):
    lines = "def backward(x, **rest):\n    dz = rest['dy'] * (1.0 - np.tanh(x @ rest['W'] + rest['b']) ** 2)\n"
    text = f"import numpy as np\n\n\n{lines}    return dz @ rest['W'].T, x.T @ dz, dz.sum(axis=0)\n"
    assert tg.clinic.grade(written(tmp_path, LAYER, text)).score == 1.0


LAYER = find("mlp_layer")
FIRST = "    y = np.tanh(x @ W + b)\n    dz = dy * (1.0 - y * y)\n"
RIGHT = FIRST + "    return dz @ W.T, x.T @ dz, dz.sum(axis=0)\n"
SUBMISSIONS = {  # body of backward: (score, status, a part of the text)
    "empty": ("    pass\n", 0.0, "wrong", "missing"),
    "none": ("    return None\n", 0.0, "wrong", "missing"),
    "not implemented": ("    raise NotImplementedError\n", 0.0, "empty", "nothing is written"),
    "a gap above right code": ("    ...  # your code here\n" + RIGHT, 1.0, "right", "3 of 3"),
    "a gap above some code": (FIRST + "    ...\n    return dx, dz, db\n", 0.0, "empty", "nothing is written"),
    "one of three": (FIRST + "    return dz @ W.T\n", 1 / 3, "partly", "it is missing in what is returned"),
    "two of three": (FIRST + "    return None, x.T @ dz, dz.sum(axis=0)\n", 2 / 3, "partly", "it is None: still to"),
    "one by name": (FIRST + "    return {'dW': x.T @ dz, 'db': None}\n", 1 / 3, "partly", "it is None: still to"),
    "by names": (FIRST + "    return {'db': dz.sum(axis=0), 'dx': dz @ W.T, 'dW': x.T @ dz}\n", 1.0, "right", "3 of 3"),
    "lists": (FIRST + "    return [(dz @ W.T).tolist(), x.T @ dz, dz.sum(axis=0)]\n", 1.0, "right", "3 of 3"),
    "other shapes": (FIRST + "    return (dz @ W.T).T, x.T @ dz, dz\n", 1 / 3, "partly", "is needed"),
    "text": ("    return 'dx', 'dW', 'db'\n", 0.0, "wrong", "not an array of numbers"),
    "complex": (FIRST + "    return 1j * x, 1j * W, 1j * b\n", 0.0, "wrong", "not an array of numbers"),
    "nan": (FIRST + "    return x / 0.0, W * np.nan, b\n", 0.0, "wrong", "NaN or infinity"),
    "a crash": ("    z = x @ W.T.T.T\n    return z[99], 1, 2\n", 0.0, "crashed", "line 2: ValueError"),
    "a transpose too few": (FIRST + "    return dz @ W, x.T @ dz, dz.sum(axis=0)\n", 0.0, "crashed", "Is a .T missing"),
    "a wrong axis": (FIRST + "    return dz + dz.sum(axis=1), 1, 2\n", 0.0, "crashed", "keepdims=True missing"),
    "a wrong name": ("    return dz, dW, db\n", 0.0, "crashed", "line 2: NameError"),
    "not yet computed": (
        FIRST + "    dx = dz @ W.T\n    return dx, dW, db\n", 1 / 3, "partly", "the others first, set dW = None",
    ),
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
        "    return d(x), d(W), d(b)\n", 0.0, "wrong", "finite differences instead of the derivative",
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


@pytest.mark.slow
@pytest.mark.parametrize("name", SUBMISSIONS)
def test_submissions_of_every_kind(name, tmp_path):
    body, score, status, words = SUBMISSIONS[name]
    path = written(tmp_path, LAYER, f"def backward(x, W, b, dy):\n{body}")
    path.write_text(path.read_text().removeprefix("# exercise: mlp_layer\n"))
    start = time.perf_counter()
    grade = tg.clinic.grade(path, seconds=0.5 if status == "slow" else 2, hint=2)
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
    assert main(["check", str(path)]) == 1
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
    assert all(isinstance(each, sandbox.CallResult) for each in found)
    assert not any(isinstance(x, np.ndarray) for each in found for x in each.outputs)


def test_the_environment_of_a_child_holds_no_secrets(monkeypatch):
    monkeypatch.setenv("MY_TOKEN", "secret")
    source = "def f():\n    return sorted(__import__('os').environ)\n"
    result = sandbox.run(source, [sandbox.LearnerCall("f", {})], 5)[0]
    assert result.error or "MY_TOKEN" not in result.value


def test_hints_come_in_stages(tmp_path):
    path = written(tmp_path, LAYER, LAYER.solution.replace("dz = dy * (1.0 - y * y)", "dz = dy"))
    one, two, three = (tg.clinic.grade(path, hint=hint).text for hint in (1, 2, 3))
    assert "WRONG" in one
    assert "derivative of tanh is missing" not in one
    assert "derivative of tanh is missing" in two
    assert "dz is computed in line" in two  # not dW, which is wrong because dz is
    assert "dW is computed" not in two
    assert "dW = xᵀ·dz" in three
    assert "dW = xᵀ·dz" not in two
    line = int(two.split("dz is computed in line ")[1].split()[0])
    assert "dz = dy" in path.read_text().splitlines()[line - 1]


def test_results_of_one_line_are_told_in_one_sentence(tmp_path):
    chain = find("chain_rule")
    text = chain.solution.replace(
        "    return d_a, d_b, d_c", "    d_a, d_b, d_c = -d_a, -d_b, -d_c\n    return d_a, d_b, d_c"
    )
    told = tg.clinic.grade(written(tmp_path, chain, text), hint=2).text
    assert "d_a, d_b, d_c are computed in line" in told
    assert told.count("computed in line") == 1


def test_two_mistakes_are_both_named(tmp_path):
    text = LAYER.solution.replace("dW = x.T @ dz", "dW = x.T @ dz / len(x)").replace("dz.sum(axis=0)", "dz[-1]")
    grade = tg.clinic.grade(written(tmp_path, LAYER, text), hint=2)
    assert set(grade.mistakes) == {"mean_weights", "last_sample"}


def test_what_no_list_names_is_told_by_its_relation_to_the_right_numbers(tmp_path):
    text = LAYER.solution.replace("dx = dz @ W.T", "dx = 2.0 * dz @ W.T").replace(
        "dW = x.T @ dz", "dW = 3.0 * x.T @ dz"
    )
    grade = tg.clinic.grade(written(tmp_path, LAYER, text), hint=2)
    assert grade.mistakes == ("constant_factor",)
    assert grade.score == pytest.approx(1 / 3)
    assert "dx: 2 times the right one" in grade.text
    assert "dW: 3 times the right one" in grade.text


def test_what_nothing_explains_is_not_named(tmp_path):
    text = LAYER.solution.replace("dx = dz @ W.T", "dx = np.sin(dz @ W.T)")
    grade = tg.clinic.grade(written(tmp_path, LAYER, text), hint=2)
    assert grade.mistakes == ()
    assert "No known mistake gives these numbers" in grade.text


@pytest.mark.slow
def test_the_lab(tmp_path):
    exercise = find("convergence_lab")
    half = exercise.solution.replace('"cause": "lr_too_high"', '"cause": "unlucky"')
    half = half.replace('{"epochs": 600}', '{"lr": 0.2, "hidden": 3}')
    grade = tg.clinic.grade(written(tmp_path, exercise, half), hint=2)
    assert grade.score == pytest.approx(1.0 - 0.5 / 6 - 0.5 / 6)
    assert "exactly one setting" in grade.text
    assert "how the loss jumps" in grade.text
    wild = "{'net_1': {'cause': 1, 'change': {'epochs': 10**9}}}"
    for answer in ("3", "{'net_1': 5}", wild, "{'net_1': {'change': {'x': 1}}}"):
        found = tg.clinic.grade(written(tmp_path, exercise, f"def answers():\n    return {answer}\n"))
        assert found.score == 0.0
        assert ('5 is not of the form {"cause": "lr_too_low", "change"' in found.text) == (answer == "{'net_1': 5}")
    with pytest.raises(NameNotFoundError):
        lab.train("net_7")


@pytest.mark.slow
@pytest.mark.parametrize("name", lab.SICK)
def test_the_six_networks_are_sick_from_every_seed(name):
    assert max(lab.accuracy(lab.train(name, seed)) for seed in (0, 1, *lab.SEEDS)) < lab.GOAL

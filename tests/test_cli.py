"""The command line: what it prints, what it writes, and one sentence for each thing that goes wrong."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tinygrad_edu import __version__
from tinygrad_edu.cli import commands, main, parser
from tinygrad_edu.draw import drawing, render
from tinygrad_edu.errors import NameNotFoundError

PICTURES = {"xor_scalar.svg", "xor_scalar.png", "xor_tensor.svg", "xor_tensor.png", "loss.png"}
ROOT = Path(__file__).parents[1]
needs_pictures = pytest.mark.skipif(not render.available(), reason="needs Graphviz: the extra viz")


def files(folder):
    return {path.name for path in folder.iterdir()}


# draw


@pytest.mark.parametrize("suffix", ["svg", "png", "pdf", "dot", "html"])
@needs_pictures
def test_draw_prints_the_gradients_and_writes_the_picture(suffix, tmp_path, capsys):
    picture = tmp_path / "new" / f"g.{suffix}"
    assert main(["draw", "tanh(a*b + c)", "a=2", "b=-3", "c=10", "-o", str(picture)]) == 0
    first, *gradients, last = capsys.readouterr().out.splitlines()
    assert first == "tanh(a*b + c) = 0.999329299739067"
    assert [line.split()[0] for line in gradients] == ["d/da", "d/db", "d/dc"]
    assert [float(line.split()[2]) for line in gradients] == pytest.approx([-0.004022852, 0.002681901, 0.001340951])
    assert gradients[1].endswith("at b = -3")
    assert last == f"wrote {picture}"
    assert picture.stat().st_size > 500


def test_draw_writes_into_out_by_default(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(drawing.Drawing, "picture", lambda self, form: b"a picture")
    assert main(["draw", "1/a", "a=0"]) == 0
    out = capsys.readouterr().out
    assert "1/a = inf" in out
    assert re.search("Not a finite number: .* gave inf", out)
    assert files(tmp_path / "out") == {"graph.svg"}


@pytest.mark.parametrize(
    "arguments",
    [
        ["3"],
        ["a", "a=1"],
        ["(-a)", "a=1e3"],
        ["-a", "a=1"],
        ["-omega*x", "x=1", "omega=2"],
        ["-2*a", "a=1"],
        ["a + 1", "a=nan"],
    ],
)
def test_the_smallest_expressions_are_drawn(arguments, tmp_path, capsys):
    assert main(["draw", *arguments, "-o", str(tmp_path / "g.dot")]) == 0
    assert capsys.readouterr().out.startswith(f"{arguments[0]} = ")


@pytest.mark.filterwarnings("default")
def test_without_graphviz_the_advice_is_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(render, "commands", lambda form: iter(()))
    assert main(["draw", "a*2", "a=1", "-o", str(tmp_path / "g.svg")]) == 0
    out, err = capsys.readouterr()
    assert out.endswith(f"wrote {tmp_path / 'g.dot'}\n")
    assert err.startswith("tinygrad-edu: No picture without Graphviz: `pip install")
    assert err.count("\n") == 1


WRONG = [  # (arguments after `draw`, what the error names)
    (["a +"], "'a +' is not an expression"),
    (["2a", "a=1"], "Did you mean '2*a'?"),
    (["a^2", "a=1"], "Did you mean 'a**2'?"),
    ([""], 'an expression is needed, such as "tanh'),
    (["a.real", "a=1"], "'a.real' has no meaning here"),
    (["tahn(a)", "a=1"], "Did you mean"),
    (["tanh(a, a)", "a=1"], "tanh takes"),
    (["a*b", "a=1"], "no value for b: add b=1.0"),
    (["a", "a=1", "b=2"], "b is not in the expression"),
    (["a", "a=1", "a=2"], "given two values: a=1 a=2"),
    (["a", "a=1", "-o", "g.gif"], "'g.gif'. Use one of .svg"),
    (["a", "a=1", "-o", "a_file/g.dot"], "a_file"),
]


@pytest.mark.parametrize(("arguments", "words"), WRONG)
def test_what_is_wrong_is_said_in_one_sentence(arguments, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a_file").touch()
    assert main(["draw", *arguments]) == 1
    err = capsys.readouterr().err
    assert err.startswith("tinygrad-edu: ")
    assert words in err
    assert err.count("\n") == 1
    assert files(tmp_path) == {"a_file"}


USAGE = [  # (arguments that the parser refuses, what it says)
    (["drow", "a"], "there is no command 'drow'. Did you mean draw?"),
    (["course", "--solution=x"], "ignored explicit argument 'x'"),
    (["draw", "a", "a=1", "-x=3"], "'-x=3' is not understood"),
    (["check", "x.py", "--gradescop", "r.json", "--hnt", "2"], "'--hnt' is not understood. Did you mean --hint?"),
    (["draw", "a", "a = 2"], "'a = 2' is not of the form name=number: a=2?"),
    (["draw", "a", "a=1,5"], "a=1.5?"),
    (["--print-completion", "fish"], "Choose from bash, zsh, tcsh"),
    (["cache", "x"], "Choose from info, clear"),
    (["dance"], "dance"),
    (["draw"], "expression"),
    (["draw", "a", "a"], "'a' is not of the form name=number, such as a=2.5"),
    (["draw", "a", "a=x"], "'a=x' is not of the form"),
    (["draw", "a", "2=a"], "'2=a' is not of the form"),
    (["demo", "--steps", "0"], "'0' is not a whole number above 0"),
    (["demo", "--steps", "-5"], "'-5' is not a whole number above 0"),
    (["demo", "--steps", "2.5"], "'2.5' is not a whole number above 0"),
    (["demo", "--steps", "many"], "'many' is not a whole number above 0"),
    (["demo", "--seed", "x"], "--seed"),
]


@pytest.mark.parametrize(("arguments", "words"), USAGE, ids=lambda x: " ".join(x) if isinstance(x, list) else "")
def test_usage_errors_exit_with_2(arguments, words, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    err = capsys.readouterr().err
    assert words in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_a_shell_can_complete_the_commands(shell, capsys):
    pytest.importorskip("shtab", reason="needs the extra completion")
    with pytest.raises(SystemExit) as ended:
        main(["--print-completion", shell])
    script = capsys.readouterr().out
    assert ended.value.code == 0
    assert all(word in script for word in ("diagnose", "--budget", "course"))


def test_version(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert (caught.value.code, capsys.readouterr().out) == (0, f"{__version__}\n")


@pytest.mark.parametrize("arguments", [[], ["help"], ["-h"], ["help", "draw"], ["draw", "--help"]])
def test_help_is_printed(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    out, err = capsys.readouterr()
    assert (caught.value.code, err) == (0, "")
    assert ("name=number" if "draw" in arguments else "report") in out


@pytest.mark.parametrize("command", sorted(parser()._subparsers._group_actions[0].choices))
def test_the_help_of_a_command_says_what_it_does(command, capsys):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    out = capsys.readouterr().out
    about = out.split("\n\n")[1]
    assert re.fullmatch(r"[A-Z].*\.", about, re.DOTALL)
    for example in re.findall(r"example: tinygrad-edu (.*)", out):
        parser().parse_args(shlex.split(example))


def test_without_shtab_completion_names_the_package(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert main(["--print-completion", "bash"]) == 1
    err = capsys.readouterr().err
    assert "needs shtab: `pip install shtab`" in err
    assert err.count("\n") == 1


def test_a_file_that_is_not_there_is_named_without_an_error_number(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for command in (["report", "none"], ["diagnose", "none"], ["check", "none"], ["play", "--csv", "none"]):
        assert main(command) == 2
        assert capsys.readouterr().err == "tinygrad-edu: none: No such file or directory\n"


def test_a_program_in_the_place_of_a_file_of_losses_is_told_what_to_call(tmp_path, monkeypatch, capsys):
    """It was read as a table: "line 4 has 3 cells, and the header names 2"."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("import numpy as np\nx, y = 1, 2\n")
    for command in ("diagnose", "check"):
        assert main([command, "mine.py"]) == 2 - (command == "check")
        assert "clinic.check_backprop" in capsys.readouterr().err


def test_solutions_go_to_a_folder_of_their_own(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["course", "--no-notebooks"]) == main(["course", "--no-notebooks", "--solutions"]) == 0
    assert files(tmp_path) == {"course", "solutions"}
    assert main(["course", "course", "--no-notebooks", "--solutions"]) == 1
    err = capsys.readouterr().err
    assert "name another folder" in err
    assert err.count("\n") == 1


def test_an_option_is_not_ignored_in_silence(tmp_path, capsys):
    exercise = tmp_path / "01_chain_rule.py"
    exercise.write_text("def backward(a, b, c):\n    return 1.0, 2.0, 3.0\n")
    assert main(["check", str(exercise), "--csv", str(tmp_path / "new" / "g.csv")]) == 1
    assert len((tmp_path / "new" / "g.csv").read_text().splitlines()) == 2
    (tmp_path / "notes.py").write_text("x = 1\n")
    assert main(["check", str(tmp_path), "--gradescope", str(tmp_path / "r.json")]) == 0
    names = [test["name"] for test in json.loads((tmp_path / "r.json").read_text())["tests"]]
    assert names == [*(f"01_chain_rule.py d_{x}" for x in "abc"), "notes.py"]


def test_gradescope_has_its_results_where_the_file_is_missing(tmp_path, capsys):
    assert main(["check", str(tmp_path / "none.py"), "--gradescope", str(tmp_path / "r.json")]) == 0
    record = json.loads((tmp_path / "r.json").read_text())
    assert record["score"] == 0.0
    assert "No such file" in record["output"]


def test_a_reader_that_goes_away_is_no_error():
    command = f"{sys.executable} -m tinygrad_edu case | head -c 1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)
    assert done.stderr == ""


@pytest.mark.slow
def test_an_output_without_greek_letters_is_no_error(tmp_path):
    (tmp_path / "01_chain_rule.py").write_text("def backward(a, b, c):\n    return 1.0, 2.0, 3.0\n")
    command = [sys.executable, "-m", "tinygrad_edu", "check", str(tmp_path / "01_chain_rule.py"), "--hint", "3"]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, capture_output=True, env=environment, cwd=ROOT, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (1, b"")
    assert b"d_s\\xb7a" in done.stdout


# demo


@pytest.mark.parametrize(
    ("on_the_path", "called", "shown"),
    [(None, ".venv/bin/tinygrad-edu", ".venv/bin/tinygrad-edu"), ("/bin/x", ".venv/bin/tinygrad-edu", "tinygrad-edu"),
     (None, "/bin/pytest", "tinygrad-edu")],
)  # fmt: skip
def test_what_comes_after_the_demo_can_be_typed_as_it_stands(on_the_path, called, shown, monkeypatch):
    monkeypatch.setattr(commands.shutil, "which", lambda name: on_the_path)
    monkeypatch.setattr(commands.sys, "argv", [called])
    lines = commands.NEXT.format(program=commands.program()).splitlines()[2:]
    assert all(line.startswith(f"  {shown} ") for line in lines)
    for line in lines:
        assert parser().parse_args(line.removeprefix(f"  {shown} ").split("    ")[0].split())


@pytest.mark.slow
@needs_pictures
def test_demo_prints_how_close_the_back_ends_are_and_writes_its_pictures(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    assert main(["demo", "--steps", "40", "--out", str(tmp_path / "out")]) == 0
    out, err = capsys.readouterr()
    gradients, losses = map(float, re.search(r"gradients (\S+) +losses (\S+)", out).groups())
    assert max(gradients, losses) < 1e-12
    assert files(tmp_path / "out") == PICTURES
    assert all(f"wrote {tmp_path / 'out' / name}" in out for name in PICTURES)
    assert [line.split()[:3] for line in out.splitlines() if "1 - mean error" in line] == [
        [gate, steps, "steps"] for gate in ("OR", "XOR") for steps in ("10", "20", "40")
    ]
    assert err == ""


@pytest.mark.parametrize(("arguments", "words"), [(["--seed", "-1"], "seed=-1"), (["--out", "a_file/out"], "a_file")])
def test_demo_says_what_is_wrong_before_it_trains(arguments, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a_file").touch()
    assert main(["demo", *arguments]) == 1
    out, err = capsys.readouterr()
    assert words in err
    assert err.count("\n") == 1
    assert "steps   loss" not in out


def test_ctrl_c_is_not_a_traceback(monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("tinygrad_edu.demo.demo", interrupted)
    assert main(["demo"]) == 130
    assert capsys.readouterr().err == "\ntinygrad-edu: interrupted\n"


# As a program


def run(*arguments):
    command = [sys.executable, "-m", "tinygrad_edu", *arguments]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", cwd=ROOT, timeout=60, check=False)


@pytest.mark.slow
def test_the_program_writes_a_plain_log(tmp_path):
    done = run("demo", "--steps", "8", "--out", str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    assert not re.search(r"[\r\x1b█▏]|it/s|\d+%\|", done.stdout), "a bar in a log file"
    assert "OR and XOR" in done.stdout


def test_the_program_ends_with_the_exit_code_of_main(tmp_path):
    done = run("draw", "a.b", "a=1", "-o", str(tmp_path / "g.dot"))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("tinygrad-edu: 'a.b' has no meaning here")
    assert "Traceback" not in done.stderr


def test_a_case_is_known_by_its_number_and_by_its_program():
    """The list and the programs count them: `tinygrad-edu case 2` was an unknown case."""
    from tinygrad_edu.cases import CASES, name_of_case

    for number, name in enumerate(CASES, 1):
        assert {name_of_case(each) for each in (str(number), f"case_{number}", f"case_{number}_{name}.py")} == {name}
    for unknown in ("0", "10", "case_", "grid"):
        with pytest.raises(NameNotFoundError):
            name_of_case(unknown)

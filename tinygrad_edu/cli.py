"""The command line: tinygrad-edu demo | draw | case | diagnose | report | play | course | examples | check | cache."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tinygrad_edu import __version__
from tinygrad_edu.errors import ExpressionError, InputFileError, TinygradError

LONGEST = 1000  # letters of a message
SHELLS = ("bash", "zsh", "tcsh")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 if it went well, 1 with one sentence on standard error if not, 2 for a file to diagnose."""
    try:
        chosen = parser().parse_args(arguments)
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *_: print(f"tinygrad-edu: {one_line(str(message))}", file=sys.stderr)
            chosen.run(chosen)
    except (TinygradError, OSError, ImportError) as error:  # ImportError: a package that is not installed
        print(f"tinygrad-edu: {one_line(str(error))}", file=sys.stderr)
        return 2 if isinstance(error, InputFileError) else 1
    except (MemoryError, RecursionError) as error:
        print(f"tinygrad-edu: too large or nested too deep for this machine ({type(error).__name__})", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ntinygrad-edu: interrupted", file=sys.stderr)
        return 130
    return 0


def one_line(text: str) -> str:
    """One line of what can be printed: a message may quote a file, and a terminal obeys control characters.

    >>> one_line("no number:\\n\\x1b[2J")
    'no number: \\\\x1b[2J'
    """
    plain = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in " ".join(text.split()))
    return plain if len(plain) <= LONGEST else f"{plain[:LONGEST]}..."


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    top = argparse.ArgumentParser(prog="tinygrad-edu", description="Learn backprop, and see every gradient.")
    top.add_argument("--version", action="version", version=__version__)
    top.add_argument(
        "--print-completion", action=PrintCompletion, choices=SHELLS, help="print the completion script for a shell"
    )
    commands = top.add_subparsers(title="commands", required=True)
    demo = commands.add_parser("demo", help="train OR and XOR on both back ends, and draw what happens")
    demo.add_argument("--steps", type=positive, default=2000, help="training steps for each gate (default: 2000)")
    demo.add_argument("--seed", type=int, default=0, help="seed of the initial weights (default: 0)")
    demo.add_argument("--out", type=Path, default=Path("out"), help="folder for the pictures (default: out)")
    demo.set_defaults(run=run_demo)
    draw = commands.add_parser(
        "draw", help='gradients and picture of an expression: draw "tanh(a*b + c)" a=2 b=-3 c=10'
    )
    draw.add_argument(
        "expression",
        help="numbers, names, + - * / ** and operations such as tanh(x); a minus in front goes in brackets, (-a)",
    )
    draw.add_argument("variables", nargs="*", type=assignment, metavar="name=number", help="a value for each name")
    draw.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("out/graph.svg"),
        help="file to write: .svg, .png, .pdf, .dot or .html (default: out/graph.svg)",
    )
    draw.set_defaults(run=run_draw)
    case = commands.add_parser("case", help="a real network that did not converge: symptom, cause and remedy")
    case.add_argument("name", nargs="?", help="the case; without a name, all are listed")
    case.add_argument("--quick", action="store_true", help="fewer seeds and shorter training, the same pictures")
    case.add_argument("--out", type=Path, default=Path("out"), help="folder for the picture (default: out)")
    case.set_defaults(run=run_case)
    diagnose_options(commands)
    report_options(commands)
    play_options(commands)
    course_options(commands)
    cache = commands.add_parser("cache", help="the compiled programs on this disk: list or delete them")
    cache.add_argument(
        "action", choices=("info", "clear"), help="info: how many there are, and where; clear: delete them"
    )
    cache.set_defaults(run=run_cache)
    return top


class PrintCompletion(argparse.Action):
    """Print the script for a shell, and end; shtab writes it from the parser."""

    def __call__(self, parser: argparse.ArgumentParser, chosen: Any, shell: Any, option: str | None = None) -> None:
        from tinygrad_edu import packages

        print(packages.find("shtab", "--print-completion").complete(parser, shell=shell))
        parser.exit(0)


def diagnose_options(commands: Any) -> None:
    diagnose = commands.add_parser("diagnose", help="why does it not converge? a loss curve, or an estimator and data")
    diagnose.add_argument(
        "file",
        type=Path,
        help="losses in JSON, CSV or a log, as Keras, Lightning, fastai or Run.save keep them, or a pickled estimator",
    )
    diagnose.add_argument(
        "--data", type=Path, help="CSV file that the estimator was trained on, the target in the last column"
    )
    diagnose.add_argument(
        "--trust-pickle",
        action="store_true",
        help="allow loading a pickle; it can run any code, so only one of your own",
    )
    diagnose.add_argument(
        "--budget", type=positive, default=30, help="seconds to spend on training again (default: 30)"
    )
    diagnose.set_defaults(run=run_diagnose)


def report_options(commands: Any) -> None:
    report = commands.add_parser("report", help="a training run as one HTML page, from a file that Run.save wrote")
    report.add_argument("run_file", type=Path, metavar="RUN", help="what run.save(...) wrote")
    report.add_argument("--data", type=Path, help="CSV file of samples to measure on, the target in the last column")
    report.add_argument("--histograms", type=Path, help="what train.Histograms.save(...) wrote")
    report.add_argument(
        "--diagnose", action="store_true", help="add a diagnosis; with --data, causes are proved by training again"
    )
    report.add_argument("--title", default="", help="title of the page")
    report.add_argument(
        "-o", "--output", type=Path, default=Path("out/report.html"), help="file to write (default: out/report.html)"
    )
    report.set_defaults(run=run_report)


def play_options(commands: Any) -> None:
    play = commands.add_parser("play", help="write the playground: a page in which you build and train a network")
    play.add_argument(
        "--csv", type=Path, help="CSV file of your own samples, one in each row, the target in the last column"
    )
    play.add_argument("--title", default="", help="title of the page")
    play.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("out/playground.html"),
        help="file to write (default: out/playground.html)",
    )
    play.set_defaults(run=run_play)


def course_options(commands: Any) -> None:
    course = commands.add_parser("course", help="write the exercises into a folder: scripts and notebooks to fill in")
    course.add_argument(
        "folder", type=Path, nargs="?", default=Path("course"), help="folder to write to (default: course)"
    )
    course.add_argument("--solutions", action="store_true", help="write the solutions, for teachers")
    course.add_argument("--no-notebooks", action="store_true", help="write scripts only")
    course.add_argument("--force", action="store_true", help="overwrite existing files")
    course.set_defaults(run=run_course)
    examples = commands.add_parser("examples", help="copy the tutorial's programs, the cases and the notebooks")
    examples.add_argument(
        "folder", type=Path, nargs="?", default=Path("examples"), help="folder to write to (default: examples)"
    )
    examples.add_argument("--force", action="store_true", help="overwrite existing files")
    examples.set_defaults(run=run_examples)
    check = commands.add_parser("check", help="grade an exercise, or a folder of submissions")
    check.add_argument("path", type=Path, help="a script, a notebook, or a folder of them")
    check.add_argument(
        "--hint",
        type=int,
        choices=(1, 2, 3),
        default=1,
        help="1: which results are wrong, 2: the mistake and its line, 3: the formula as well (default: 1)",
    )
    check.add_argument("--exercise", default="", help="name of the exercise, if the file does not say it")
    check.add_argument("--seconds", type=positive, default=10, help="time limit for each file (default: 10)")
    check.add_argument("--csv", type=Path, help="for a folder: write all grades to this CSV file")
    check.add_argument("--gradescope", type=Path, help="for one file: write results.json for Gradescope")
    check.set_defaults(run=run_check)


def positive(text: str) -> int:
    """A whole number above 0."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def assignment(text: str) -> tuple[str, float]:
    """name=number as a pair."""
    name, equals, number = text.partition("=")
    try:
        if not (equals and name.isidentifier()):
            raise ValueError
        return name, float(number)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form name=number, such as a=2.5") from None


def run_demo(chosen: argparse.Namespace) -> None:
    from tinygrad_edu.demo import demo

    demo(chosen.out, chosen.steps, chosen.seed)


def run_draw(chosen: argparse.Namespace) -> None:
    """Print the value and every gradient, and write the picture."""
    from tinygrad_edu.draw import draw
    from tinygrad_edu.expression import evaluate

    variables = dict(chosen.variables)
    if len(variables) < len(chosen.variables):
        raise ExpressionError("a name is given two values: " + " ".join(f"{n}={x:g}" for n, x in chosen.variables))
    root, leaves = evaluate(chosen.expression, variables)
    root.backward()
    print(f"{chosen.expression} = {root.data!r}")
    for name, leaf in leaves.items():
        print(f"  d/d{name} = {leaf.grad!r:<24} at {name} = {leaf.data:g}")
    print(f"wrote {draw(root, title=chosen.expression).save(chosen.output)}")


def run_case(chosen: argparse.Namespace) -> None:
    """Print one case, or the names of all."""
    from tinygrad_edu import cases

    if chosen.name is None:
        print("\n".join(f"{name:<14} {about}" for name, about in cases.CASES.items()))
    else:
        print(cases.run(chosen.name, chosen.out, chosen.quick))


def run_diagnose(chosen: argparse.Namespace) -> None:
    """Print what a loss curve shows, or why an estimator does not learn."""
    from tinygrad_edu import clinic
    from tinygrad_edu.clinic.diagnosis import files

    if not files.is_pickle(chosen.file):
        if chosen.data is not None:
            raise InputFileError(f"--data goes with a pickled estimator, and {chosen.file} is none")
        print(clinic.diagnose_history(chosen.file))
        return
    estimator = files.read_estimator(chosen.file, chosen.trust_pickle)
    if chosen.data is None:
        raise InputFileError(f"{chosen.file} is an estimator: --data FILE.csv is needed, what it was trained on")
    data = files.read_data(chosen.data, getattr(estimator, "classes_", None))
    print(clinic.diagnose(estimator, *data, budget_s=chosen.budget))


def run_report(chosen: argparse.Namespace) -> None:
    from tinygrad_edu.clinic import diagnose
    from tinygrad_edu.clinic.diagnosis import files
    from tinygrad_edu.reporting import report
    from tinygrad_edu.train import Histograms, Run

    X, y = files.read_data(chosen.data) if chosen.data else (None, None)
    histograms = Histograms.load(chosen.histograms) if chosen.histograms else None
    run = Run.load(chosen.run_file)
    diagnosis = diagnose(run, X, y) if chosen.diagnose else None
    named = {"title": chosen.title, "path": chosen.output}
    path = report(run, X, y, diagnosis=diagnosis, histograms=histograms, **named)
    print(f"wrote {path}")


def run_play(chosen: argparse.Namespace) -> None:
    from tinygrad_edu.reporting.playground import page

    own = [page.from_csv(chosen.csv)] if chosen.csv else []
    page.write_playground(own, chosen.output, chosen.title)
    print(f"wrote {chosen.output}: open it in a browser")


def run_course(chosen: argparse.Namespace) -> None:
    from tinygrad_edu.course import folder

    written = folder.write(chosen.folder, not chosen.no_notebooks, chosen.solutions, chosen.force)
    print(f"wrote {len(written)} files into {chosen.folder}: begin with README.md")


def run_examples(chosen: argparse.Namespace) -> None:
    from tinygrad_edu.course import folder

    written = folder.write_examples(chosen.folder, chosen.force)
    print(f"wrote {len(written)} files into {chosen.folder}: begin with {written[0].name}")


def run_check(chosen: argparse.Namespace) -> None:
    """Print the grade; of a folder a line for each file, and the commonest mistakes."""
    from tinygrad_edu.course import folder, grade_folder
    from tinygrad_edu.course.grading import grade_file
    from tinygrad_edu.nn import storage

    if not chosen.path.is_dir():
        grade = grade_file(chosen.path, chosen.exercise, chosen.hint, chosen.seconds)
        print(grade)
        if chosen.gradescope:
            print(f"wrote {grade.to_gradescope(chosen.gradescope)}")
        return
    found = grade_folder(chosen.path, chosen.exercise, chosen.seconds)
    for each in found:
        score = f"{each.grade.score:6.1%}  {each.grade.status}" if each.grade else f"     -  {each.problem}"
        print(f"{score}  {each.path}")
    print("\n".join(["", "The commonest mistakes:", *(folder.commonest(found) or ["none that is known"])]))
    if chosen.csv:
        storage.replace(chosen.csv.resolve(), folder.as_csv(found).encode())
        print(f"wrote {chosen.csv}")


def run_cache(chosen: argparse.Namespace) -> None:
    from tinygrad_edu.compile.backend import cache

    print(cache.info() if chosen.action == "info" else f"deleted: {cache.clear()}")


if __name__ == "__main__":
    sys.exit(main())

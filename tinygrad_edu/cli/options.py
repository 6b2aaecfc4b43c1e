"""The commands and their options, and one sentence for each that is not there."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from tinygrad_edu import __version__
from tinygrad_edu.cli.commands import (
    run_cache,
    run_case,
    run_check,
    run_course,
    run_demo,
    run_diagnose,
    run_draw,
    run_examples,
    run_play,
    run_report,
)  # fmt: skip
from tinygrad_edu.spelling import near_names

SHELLS = ("bash", "zsh", "tcsh")


class Parser(argparse.ArgumentParser):
    """A parser that says in one sentence what is wrong, and what is probably meant."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {self.advice(message)} (see {self.prog} --help)\n")

    def advice(self, message: str) -> str:
        """argparse's own message, in plainer words where there are some."""
        if found := re.match(r"argument (\S+): invalid choice: '?(.*?)'? \(choose from (.*)\)", message):
            kind = "command" if found[1] == "COMMAND" else found[1]
            choices = [choice.strip(" '") for choice in found[3].split(",")]
            return f"there is no {kind} {found[2]!r}.{question(found[2], choices)} Choose from {', '.join(choices)}"
        if found := re.match(r"unrecognized arguments: (.*)", message):
            first = found[1].split()[0]
            return f"{first!r} is not understood.{question(first.partition('=')[0], self.options())}"
        return message

    def options(self) -> list[str]:
        """Every option of this command, and of those below it."""
        below = [p for a in self._actions if isinstance(a, argparse._SubParsersAction) for p in a.choices.values()]
        return [*self._option_string_actions, *(option for each in below for option in each._option_string_actions)]


def question(given: str, known: Iterable[str]) -> str:
    """A question where something known is near."""
    nearest = near_names(given.lower(), known, cutoff=0.5)
    return f" Did you mean {nearest[0]}?" if nearest else ""


def readable(arguments: Sequence[str]) -> list[str]:
    """The arguments as argparse reads them: `help draw` as `draw --help`, and an expression that begins with a minus
    as an expression."""
    first, *rest = arguments or [""]
    if first == "help":
        return [*rest[:1], "--help"]
    if first in ("-v", "-V", "version"):
        return ["--version"]
    if first == "draw" and rest and re.match(r"-(?!-|[oh]\b)", rest[0]):
        return ["draw", f" {rest[0]}", *rest[1:]]
    return list(arguments) or ["--help"]


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    top = Parser(
        prog="tinygrad-edu", description="Learn backprop, and see every gradient.",
        epilog="tinygrad-edu COMMAND --help: the options of a command. Begin with tinygrad-edu demo.",
    )  # fmt: skip
    top.add_argument("--version", action="version", version=__version__)
    top.add_argument(
        "--print-completion", action=PrintCompletion, choices=SHELLS, help="print the completion script for a shell"
    )
    commands = top.add_subparsers(title="commands", required=True, metavar="COMMAND")
    demo_options(commands)
    diagnose_options(commands)
    report_options(commands)
    play_options(commands)
    course_options(commands)
    cache = command(commands, "cache", "the compiled programs on this disk: list or delete them")
    cache.add_argument(
        "action",
        nargs="?",
        default="info",
        choices=("info", "clear"),
        help="info: how many there are, and where; clear: delete them",
    )
    cache.set_defaults(run=run_cache)
    return top


def demo_options(commands: Any) -> None:
    demo = command(commands, "demo", "train OR and XOR on both back ends, and draw what happens")
    demo.add_argument("--steps", type=positive, default=2000, help="training steps for each gate (default: 2000)")
    demo.add_argument("--seed", type=int, default=0, help="seed of the initial weights (default: 0)")
    demo.add_argument("--out", type=Path, default=Path("out"), help="folder for the pictures (default: out)")
    demo.set_defaults(run=run_demo)
    words = "value, gradients and picture of an expression"
    draw = command(commands, "draw", words, '"tanh(a*b + c)" a=2 b=-3 c=10')
    draw.add_argument(
        "expression",
        type=str.strip,
        help="numbers, names, + - * / ** and operations such as tanh(x)",
    )
    draw.add_argument("variables", nargs="*", type=assignment, metavar="name=number", help="a value for each name")
    add_output(draw, "out/graph.svg", ": .svg, .png, .pdf, .dot or .html")
    draw.set_defaults(run=run_draw)
    words = "a real network that did not converge: symptom, cause and remedy"
    case = command(commands, "case", words, "by_hand")
    case.add_argument("name", nargs="?", help="the case, or its number; without one, all are listed")
    case.add_argument("--quick", action="store_true", help="fewer seeds and shorter training, the same pictures")
    case.add_argument("--out", type=Path, default=Path("out"), help="folder for the picture (default: out)")
    case.set_defaults(run=run_case)


def add_output(parser: argparse.ArgumentParser, default: str, kinds: str = "") -> None:
    """The option -o of a command that writes a file."""
    words = f"file to write{kinds} (default: {default})"
    parser.add_argument("-o", "--output", type=Path, default=Path(default), help=words)


def command(commands: Any, name: str, words: str, example: str = "") -> Any:
    """The parser of one command; `words` appear in the list of commands and at the top of its own help."""
    example = f"example: tinygrad-edu {name} {example}" if example else ""
    return commands.add_parser(name, help=words, description=f"{words[0].upper()}{words[1:]}.", epilog=example)


class PrintCompletion(argparse.Action):
    """Print the script for a shell, and end; shtab writes it from the parser."""

    def __call__(self, parser: argparse.ArgumentParser, chosen: Any, shell: Any, option: str | None = None) -> None:
        from tinygrad_edu import packages

        print(packages.find("shtab", "--print-completion").complete(parser, shell=shell))
        parser.exit(0)


def diagnose_options(commands: Any) -> None:
    words = "why a network does not converge: from its loss curve, or from an estimator and its data"
    diagnose = command(commands, "diagnose", words, "losses.csv")
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
    words = "a training run as one HTML page, from a file that run.save wrote"
    report = command(commands, "report", words, "run.safetensors --diagnose")
    report.add_argument("run_file", type=Path, metavar="RUN", help="what run.save(...) wrote")
    report.add_argument("--data", type=Path, help="CSV file of samples to measure on, the target in the last column")
    report.add_argument("--histograms", type=Path, help="what train.Histograms.save(...) wrote")
    report.add_argument(
        "--diagnose", action="store_true", help="add a diagnosis; with --data, causes are proved by training again"
    )
    report.add_argument("--title", default="", help="title of the page")
    add_output(report, "out/report.html")
    report.set_defaults(run=run_report)


def play_options(commands: Any) -> None:
    play = command(commands, "play", "write the playground: a page in which you build and train a network")
    play.add_argument(
        "--csv", type=Path, help="CSV file of your own samples, one in each row, the target in the last column"
    )
    play.add_argument("--title", default="", help="title of the page")
    add_output(play, "out/playground.html")
    play.set_defaults(run=run_play)


def course_options(commands: Any) -> None:
    course = command(commands, "course", "write the exercises into a folder: scripts and notebooks to fill in")
    course.add_argument(
        "folder", type=Path, nargs="?", help="folder to write to (default: course; for solutions: solutions)"
    )
    course.add_argument("--solutions", action="store_true", help="write the solutions, for teachers")
    course.add_argument("--no-notebooks", action="store_true", help="write scripts only")
    course.add_argument(
        "--nbgrader",
        action="store_true",
        help="write notebooks with solutions and a graded cell, as nbgrader's sources",
    )
    course.add_argument("--force", action="store_true", help="overwrite existing files")
    course.set_defaults(run=run_course)
    examples = command(commands, "examples", "copy the tutorial's programs, the cases and the notebooks")
    examples.add_argument(
        "folder", type=Path, nargs="?", default=Path("examples"), help="folder to write to (default: examples)"
    )
    examples.add_argument("--force", action="store_true", help="overwrite existing files")
    examples.set_defaults(run=run_examples)
    words = "grade an exercise of the course, or a folder of submissions"
    check = command(commands, "check", words, "course/01_chain_rule.py --hint 2")
    check.description += (
        " Exit status: 0 if every exercise is right, 1 if one is not, 2 for a file that cannot be read; with "
        "--gradescope 0 once the results are written, whatever the score."
    )
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
    check.add_argument("--csv", type=Path, help="write all grades to this CSV file")
    check.add_argument("--gradescope", type=Path, help="write results.json for Gradescope")
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
        better = text.replace(" ", "").replace(",", ".")
        said = f": {better}?" if better != text and assignable(better) else ", such as a=2.5"
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form name=number{said}") from None


def assignable(text: str) -> bool:
    """Is it of the form name=number?"""
    return re.fullmatch(r"[^\W\d]\w*=[-+]?\d+(\.\d*)?", text) is not None

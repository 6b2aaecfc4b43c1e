"""What each command does."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinygrad_edu import whole_files
from tinygrad_edu.errors import AnomalyError, ExpressionError, InputFileError

if TYPE_CHECKING:
    from tinygrad_edu.course.folder import Graded


# What to try after the demo.
NEXT = """
Next:
  {program} examples my-examples    the tutorial's programs, to run and change
  {program} course my-course        exercises that grade themselves
  {program} play                    a network to build and train in the browser"""


def run_demo(chosen: argparse.Namespace) -> None:
    from tinygrad_edu.demo import demo

    demo(chosen.out, chosen.steps, chosen.seed)
    print(NEXT.format(program=program()))


def program() -> str:
    """How this command line is called: by its name, or where that is not on the PATH, as it was now."""
    called = sys.argv[0]
    return "tinygrad-edu" if shutil.which("tinygrad-edu") or Path(called).stem != "tinygrad-edu" else called


def run_draw(chosen: argparse.Namespace) -> None:
    """Print the value and every gradient, and write the picture."""
    from tinygrad_edu.draw import draw
    from tinygrad_edu.draw.drawing import file_form
    from tinygrad_edu.expression import evaluate

    file_form(chosen.output)
    variables = dict(chosen.variables)
    if len(variables) < len(chosen.variables):
        raise ExpressionError("a name is given two values: " + " ".join(f"{n}={x:g}" for n, x in chosen.variables))
    root, leaves = evaluate(chosen.expression, variables)
    root.backward()
    print(f"{chosen.expression} = {root.data!r}")
    for name, leaf in leaves.items():
        print(f"  d/d{name} = {leaf.grad!r:<24} at {name} = {leaf.data:g}")
    explain_anomaly(chosen.expression, variables)
    print(f"wrote {draw(root, title=chosen.expression).save(chosen.output)}")


def explain_anomaly(expression: str, variables: Mapping[str, float]) -> None:
    """Say which operation gave the first NaN or infinity, if there is one."""
    from tinygrad_edu.core.modes import detect_anomaly
    from tinygrad_edu.expression import evaluate

    try:
        with detect_anomaly():
            evaluate(expression, variables)[0].backward()
    except AnomalyError as error:
        print(f"Not a finite number: {error}")


def run_case(chosen: argparse.Namespace) -> None:
    """Print one case, or the names of all."""
    from tinygrad_edu import cases

    if chosen.name is None:
        print("\n".join(f"{k}  {name:<14} {about}" for k, (name, about) in enumerate(cases.CASES.items(), 1)))
    else:
        print(cases.run(chosen.name, chosen.out, chosen.quick))


def run_diagnose(chosen: argparse.Namespace) -> None:
    """Print what a loss curve shows, or why an estimator does not learn."""
    from tinygrad_edu import clinic
    from tinygrad_edu.clinic.diagnosis import data_files, files

    if chosen.file.suffix == ".py":
        raise InputFileError(
            f"{chosen.file} is a program: diagnose reads a file of losses. In the program, "
            "print(tg.clinic.diagnose(run)) tells why a run does not learn, and "
            "tg.clinic.check_backprop checks a backward pass"
        )
    if not files.is_pickle(chosen.file):
        if chosen.data is not None:
            raise InputFileError(f"--data is for a pickled estimator, and {chosen.file} is not one")
        print(clinic.diagnose_history(chosen.file))
        return
    estimator = files.read_estimator(chosen.file, chosen.trust_pickle)
    if chosen.data is None:
        raise InputFileError(f"{chosen.file} is an estimator: give the data it was trained on with --data FILE.csv")
    data = data_files.read_data(chosen.data, getattr(estimator, "classes_", None))
    print(clinic.diagnose(estimator, *data, budget_s=chosen.budget))


def run_report(chosen: argparse.Namespace) -> None:
    from tinygrad_edu.clinic import diagnose
    from tinygrad_edu.clinic.diagnosis import data_files
    from tinygrad_edu.reporting import report
    from tinygrad_edu.train import Histograms, Run

    X, y = data_files.read_data(chosen.data) if chosen.data else (None, None)
    histograms = Histograms.load(chosen.histograms) if chosen.histograms else None
    run = Run.load(chosen.run_file)
    diagnosis = diagnose(run, X, y) if chosen.diagnose else None
    named = {"title": chosen.title, "path": chosen.output}
    path = report(run, X, y, diagnosis=diagnosis, histograms=histograms, **named)
    print(f"wrote {path}")
    if chosen.data and run.model is None:
        print(f"--data was not used: {why_no_model(run, chosen.run_file)}")


def why_no_model(run: Any, path: Path) -> str:
    """Why a run out of a file has no model that could be asked for answers."""
    from tinygrad_edu.reporting.record import own_class

    if name := own_class(run):
        return (
            f"{path} cannot build {name!r}, which is no nn.MLP. In Python, tg.report(tg.train.Run.load(path, model), "
            "X, y) has its answers, with a model of that class, if the file holds its weights (a .json does not)"
        )
    return f"{path} holds curves alone. To a path that does not end in .json, Run.save writes the weights too"


def run_play(chosen: argparse.Namespace) -> None:
    from tinygrad_edu.reporting.playground import page

    own = [page.from_csv(chosen.csv)] if chosen.csv else []
    page.write_playground(own, chosen.output, chosen.title)
    print(f"wrote {chosen.output}: open it in a browser")


def run_course(chosen: argparse.Namespace) -> None:
    from tinygrad_edu.course import folder

    place = chosen.folder or Path("solutions" if chosen.solutions else "course")
    written = folder.write(place, not chosen.no_notebooks, chosen.solutions, chosen.force, chosen.nbgrader)
    what = "nbgrader generate_assignment makes the assignment of them" if chosen.nbgrader else "begin with README.md"
    print(f"wrote {len(written)} files into {place}: {what}")


def run_examples(chosen: argparse.Namespace) -> None:
    from tinygrad_edu.course import folder

    written = folder.write_examples(chosen.folder, chosen.force)
    print(f"wrote {len(written)} files into {chosen.folder}: begin with {written[0].name}")
    extra = [path.name for path in written if b"this program needs pip install" in path.read_bytes()]
    print(f"  {' and '.join(extra)} need more packages: each says which when it is run" * bool(extra))


def run_check(chosen: argparse.Namespace) -> int:
    """Print the grade; of a folder a line for each file, and the commonest mistakes. The exit code: is all right?"""
    from tinygrad_edu.course import folder, grade_folder
    from tinygrad_edu.course.grading import grade_file

    try:
        if chosen.path.is_dir():
            found = grade_folder(chosen.path, chosen.exercise, chosen.seconds, chosen.hint)
            print_grades(found)
        else:
            grade = grade_file(chosen.path, chosen.exercise, chosen.hint, chosen.seconds)
            print(grade)
            found = [folder.Graded(chosen.path, grade)]
    except InputFileError as error:  # without a results file, Gradescope shows the student nothing
        if not chosen.gradescope:
            raise
        found = [folder.Graded(chosen.path, None, str(error))]
        print(error)
    if chosen.gradescope:
        print(f"wrote {folder.grade_together(found).to_gradescope(chosen.gradescope)}")
    if chosen.csv:
        chosen.csv.parent.mkdir(parents=True, exist_ok=True)
        whole_files.replace(chosen.csv.resolve(), folder.as_csv(found).encode())
        print(f"wrote {chosen.csv}")
    scores = [each.grade.score for each in found if each.grade]  # other files of a folder are no exercises
    right = bool(scores) and min(scores) == 1.0
    return 0 if right or chosen.gradescope else 1  # for Gradescope, a score of any size is work done


def print_grades(found: Sequence[Graded]) -> None:
    """A line for each file of a folder, and the commonest mistakes."""
    from tinygrad_edu.course import folder

    for each in found:
        score = f"{each.grade.score:6.1%}  {each.grade.status}" if each.grade else f"     -  {each.problem}"
        print(f"{score}  {each.path}")
    mistakes = folder.commonest(found)
    print("\n".join(["", *(["The commonest mistakes:", *mistakes] if mistakes else ["No mistake is named."])]))


def run_cache(chosen: argparse.Namespace) -> None:
    from tinygrad_edu.compile.backend import cache

    print(cache.info() if chosen.action == "info" else f"deleted: {cache.clear()}")

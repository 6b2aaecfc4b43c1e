"""The course in a folder: scripts and notebooks with gaps, or solutions; and a folder of submissions graded."""

from __future__ import annotations

import ast
import csv
import io
import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from tinygrad_edu.clinic.examiner.grade import Grade
from tinygrad_edu.course import catalog, relations, suspects
from tinygrad_edu.course.exercise import BEGIN, END, Exercise
from tinygrad_edu.course.grading import grade_file
from tinygrad_edu.course.submission import SUFFIXES
from tinygrad_edu.errors import InputFileError, SettingError, TinygradError
from tinygrad_edu.whole_files import replace

FIRST = "01_chain_rule_by_hand.py"
CHECK = """

if __name__ == "__main__":
    from tinygrad_edu.course import check

    print(check(__file__))
"""
README = """# The course

{count} exercises, about {hours:.0f} hours. In each file, replace `...` with your own lines, then run it, or

    tinygrad-edu check {first}.py
    tinygrad-edu check {first}.py --hint 2     names the mistake and its line
    tinygrad-edu check {first}.py --hint 3     gives the formula

A part at a time: return `None` for the gradients that you have not written yet.

| exercise | minutes |
|---|--:|
{rows}

Teachers: `tinygrad-edu course FOLDER --solutions` writes the solutions; `tinygrad-edu check FOLDER --csv grades.csv`
grades a folder of submissions, and lists the commonest mistakes; `--gradescope results.json` writes the points.
"""


def write(
    folder: str | os.PathLike[str],
    notebooks: bool = True,
    solutions: bool = False,
    force: bool = False,
    nbgrader: bool = False,
) -> list[Path]:
    """Write the exercises, or their solutions, into a folder; returns the paths.

    A file that is there already is left as it is, unless `force`: it may hold a learner's work.
    folder: the folder to write into; it is made if missing.
    notebooks: write notebooks beside the scripts?
    solutions: whether to write the solutions; False.
    force: whether to overwrite files; False.
    nbgrader: write notebooks alone, as sources for `nbgrader generate_assignment`?
    Errors: SettingError where every file is there already; OSError.
    """
    files = exercise_sources() if nbgrader else file_texts(notebooks, solutions)
    return save(folder, {name: text.encode() for name, text in files}, force)


def write_examples(folder: str | os.PathLike[str], force: bool = False) -> list[Path]:
    """Copy the programs of the tutorial, the cases and the notebooks into a folder; returns the paths.

    A file that is there already is left as it is, unless `force`.
    folder: the folder to write into; it is made if missing.
    force: whether to overwrite files; False.
    Errors: SettingError where every file is there already; OSError.

    >>> import tempfile
    >>> write_examples(tempfile.mkdtemp())[0].name
    '01_chain_rule_by_hand.py'
    """
    programs = sorted(path for path in examples().iterdir() if path.suffix in SUFFIXES)
    return save(folder, {path.name: as_started_there(path) for path in programs}, force)


def as_started_there(path: Path) -> bytes:
    """A program that says how it is started in a folder of its own: `python 01_....py`, without examples/."""
    return path.read_bytes().replace(b"python examples/" + path.name.encode(), b"python " + path.name.encode())


def examples() -> Path:
    """Where the programs are: at the root of a checkout, or among the data files of an installed package."""
    places = [Path(__file__).resolve().parents[2] / "examples", *shared()]
    found = [place for place in places if (place / FIRST).is_file()]
    if not found:
        raise InputFileError(f"the examples are missing from this installation: there is no {places[-1] / FIRST}")
    return found[0]


def shared() -> list[Path]:
    """The folder into which the wheel puts them, wherever pip has put it."""
    try:
        files = metadata.files("tinygrad-edu") or []
    except metadata.PackageNotFoundError:
        return []
    return [Path(str(file.locate())).resolve().parent for file in files if file.match(f"tinygrad_edu/examples/{FIRST}")]


def save(folder: str | os.PathLike[str], files: dict[str, bytes], force: bool) -> list[Path]:
    """Write the files that are not there yet; with `force`, all."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    new = {name: content for name, content in files.items() if force or not (folder / name).exists()}
    if not new:
        raise SettingError(
            f"{folder} already holds all {len(files)} files: name another folder, or use --force, which "
            "writes them anew: what you wrote into them is then lost"
        )
    for name, content in new.items():
        replace((folder / name).resolve(), content)
    return [folder / name for name in new]


def file_texts(notebooks: bool, solutions: bool) -> Iterator[tuple[str, str]]:
    """(name, text) of each file."""
    first = catalog.EXERCISES[0]
    rows = "\n".join(f"| {exercise.title[3:].split(' (')[0]} | {exercise.minutes} |" for exercise in catalog.EXERCISES)
    hours = sum(exercise.minutes for exercise in catalog.EXERCISES) / 60.0
    yield "README.md", README.format(count=len(catalog.EXERCISES), hours=hours, first=first.file, rows=rows)
    for exercise in catalog.EXERCISES:
        text = exercise.solution if solutions else exercise.starter
        yield f"{exercise.file}.py", f"# exercise: {exercise.name}\n{text.rstrip()}\n{CHECK}"
        if notebooks:
            yield f"{exercise.file}.ipynb", notebook(exercise, text)


def exercise_sources() -> Iterator[tuple[str, str]]:
    """(name, text) of a notebook for each exercise but the lab: the solution in nbgrader's marks, and a graded cell."""
    for exercise in catalog.EXERCISES:
        if exercise.formulas:
            made = json.loads(notebook(exercise, exercise.text.replace(BEGIN, MARKS[0]).replace(END, MARKS[1])))
            *cells, check = made["cells"]
            points = sum(map(len, exercise.functions.values()))
            for i, each in enumerate(cells):
                wanted = any(mark in line for line in each["source"] for mark in MARKS)
                each["metadata"]["nbgrader"] = marked(each["cell_type"], f"{exercise.name}-{i}", solution=wanted)
            check["metadata"]["nbgrader"] = marked("code", f"{exercise.name}-check", grade=True, points=points)
            asked = ", ".join(exercise.functions)
            text = f'check({asked}, exercise="{exercise.name}", hint=2).to_nbgrader(points={points})'
            check["source"] = ["from tinygrad_edu.course import check\n", "\n", text]
            yield f"{exercise.file}.ipynb", json.dumps(made, indent=1) + "\n"


MARKS = ("### BEGIN SOLUTION", "### END SOLUTION")


def marked(kind: str, name: str, solution: bool = False, grade: bool = False, points: int = 0) -> dict[str, Any]:
    """The metadata that nbgrader keeps for a cell. Source: its format, schema version 3."""
    found = {
        "grade_id": name, "schema_version": 3, "cell_type": kind, "task": False, "solution": solution,
        "grade": grade, "locked": not solution,
    }  # fmt: skip
    return {**found, "points": points} if grade else found


def notebook(exercise: Exercise, text: str) -> str:
    """The exercise as a notebook: the task, the given code, the functions to fill in, the check."""
    tree = ast.parse(text)
    lines = text.splitlines()
    task = ast.get_docstring(tree) or ""
    parts = ["\n".join(lines[node.lineno - 1 : node.end_lineno]) for node in tree.body[1:]]
    first = f"# exercise: {exercise.name}\n{parts[0]}" if parts else f"# exercise: {exercise.name}"
    names = ", ".join(exercise.functions)
    check = f'from tinygrad_edu.course import check\n\nprint(check({names}, exercise="{exercise.name}"))'
    title, _, rest = task.partition("\n")
    cells = [cell("markdown", f"## {title}\n{indent(rest)}", 0)]
    cells += [cell("code", part, i + 1) for i, part in enumerate([first, *parts[1:], check])]
    metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    return json.dumps({"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}, indent=1) + "\n"


def indent(text: str) -> str:
    """The text unchanged: formulas are indented by four spaces, which Markdown shows as code."""
    return text


def cell(kind: str, source: str, number: int) -> dict[str, Any]:
    """A cell in nbformat 4.5."""
    made = {"cell_type": kind, "id": f"cell-{number}", "metadata": {}, "source": source.splitlines(keepends=True)}
    return made if kind == "markdown" else {**made, "execution_count": None, "outputs": []}


# A folder of submissions


@dataclass(frozen=True)
class Graded:
    """A file of a folder and its grade; `problem`, why it has none."""

    path: Path
    grade: Grade | None
    problem: str = ""


def grade_folder(
    folder: str | os.PathLike[str], exercise: str = "", seconds: float = 10.0, hint: int = 2
) -> list[Graded]:
    """Every script and notebook below a folder, each in a process of its own; what is not an exercise is named as such.

    Folders and files whose names begin with a dot or two underscores are left out: Jupyter keeps older copies there.
    folder: the folder of the submissions.
    exercise: the name of the exercise, for files that do not say it.
    seconds: how long each submission may run.
    hint: how much each text tells, from 1.
    Errors: InputFileError where the folder holds none.
    """
    folder = Path(folder)
    paths = sorted(path for path in folder.rglob("*") if path.suffix in SUFFIXES and path.is_file())
    paths = [path for path in paths if not any(map(is_kept_by_a_tool, path.relative_to(folder).parts))]
    if not paths:
        raise InputFileError(f"{folder} holds no submissions: .py or .ipynb files are needed")
    return [grade_path(path, exercise, seconds, hint) for path in paths]


def is_kept_by_a_tool(name: str) -> bool:
    """Such as .ipynb_checkpoints, __MACOSX, __pycache__ and the ._ files of macOS; a learner's __init__.py is none."""
    return name.startswith(".") or (name.startswith("__") and not name.endswith(SUFFIXES))


def grade_path(path: Path, exercise: str, seconds: float, hint: int) -> Graded:
    try:
        return Graded(path, grade_file(path, exercise, seconds=seconds, hint=hint))
    except TinygradError as error:
        return Graded(path, None, str(error))


def grade_together(found: Sequence[Graded]) -> Grade:
    """One grade for several files of one learner: each file counts the same, and has its results among the parts."""
    several, top = len(found) > 1, os.path.commonpath([each.path.parent for each in found])
    parts: dict[str, tuple[float, str]] = {}
    for each in found:
        own = each.grade.parts if each.grade else {"": (0.0, each.problem)}
        path = each.path.relative_to(top).as_posix()  # files in different folders may have the same name
        parts |= {f"{path} {name}".strip() if several else name: part for name, part in own.items()}
    score = sum(each.grade.score for each in found if each.grade) / len(found)
    text = "\n\n".join(str(each.grade) if each.grade else f"{each.path.name}: {each.problem}" for each in found)
    codes = tuple(code for each in found if each.grade for code in each.grade.mistakes)
    return Grade(score, text, parts, "right" if score == 1.0 else "partly" if score else "wrong", codes)


def as_csv(found: Sequence[Graded]) -> str:
    """One row for each file: file, exercise, score, status, mistakes, what was said."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["file", "exercise", "score", "status", "mistakes", "remark"])
    for each in found:
        g = each.grade
        row = ["", "", "not an exercise", "", each.problem]
        if g is not None:
            row = [g.exercise, f"{g.score:.4f}", g.status, " ".join(g.mistakes), " ".join(g.text.split())]
        writer.writerow([safe(str(x)) for x in (each.path.as_posix(), *row)])
    return text.getvalue()


def safe(cell: str) -> str:
    """No formula to a spreadsheet: a cell of a learner's text that begins like one is quoted.

    >>> safe("=1+1"), safe("sign"), safe("")
    ("'=1+1", 'sign', '')
    """
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell


def commonest(found: Sequence[Graded], most: int = 10) -> list[str]:
    """The mistakes made most often, with their sentences."""
    counts = Counter((g.grade.exercise, code) for g in found if g.grade for code in g.grade.mistakes)
    sentences = {(e.name, m.code): m.sentence for e in catalog.EXERCISES for m in e.mistakes}
    others = {**suspects.KINDS, **relations.KINDS}
    return [
        f"{count} x {exercise}, {code}: {sentences.get((exercise, code), others.get(code, ''))}".rstrip(": ")
        for (exercise, code), count in counts.most_common(most)
    ]

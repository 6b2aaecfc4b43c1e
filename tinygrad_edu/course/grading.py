"""Grading: a learner's functions on random inputs, compared with the right numbers, and the mistake named."""

from __future__ import annotations

import ast
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_edu import checks
from tinygrad_edu.clinic.examiner.grade import Grade
from tinygrad_edu.course import catalog, naming, sandbox, submission
from tinygrad_edu.course.exercise import Exercise
from tinygrad_edu.course.naming import Evidence, Findings
from tinygrad_edu.course.submission import Submission

Array = np.ndarray[Any, Any]
CASES = 4  # random inputs per exercise
RIGHT = 3e-11  # relative error of a right result: rounding gives 1e-15 to 1e-12, central differences 1e-10 or more
NUMERICAL = 1e-4  # relative error below which a wrong result comes from finite differences, not from a wrong formula
HINTS = (1, 2, 3)


@dataclass
class Outcome:
    """One result of a function over all cases: `error`, the largest relative one, or what else is the matter."""

    function: str
    name: str
    error: float = 0.0
    said: str = ""
    crashed: bool = False

    @property
    def right(self) -> bool:
        return not self.said and self.error <= RIGHT


@dataclass
class Marking:
    """All that was found in a submission."""

    exercise: Exercise
    given: Submission
    outcomes: list[Outcome] = field(default_factory=list)
    found: Findings = field(default_factory=Findings)


def grade_file(
    given: Any, exercise: str = "", hint: int = 1, seconds: float = 10.0, seed: int | None = None, name: str = ""
) -> Grade:
    """The grade of a script, a notebook or a function; see clinic.grade.

    Errors: InputFileError, NameNotFoundError for an exercise that is not there, SettingError for settings.
    """
    checks.one_of("hint", hint, HINTS)
    checks.number("seconds", seconds, "(0, 3600]")
    found = submission.of_functions(given) if callable(given) else submission.read_submission(given)
    chosen = catalog.find(exercise or name_in(given, found) or (found.name if not callable(given) else ""))
    return grade(found, chosen, hint, seconds, seed_of(chosen) if seed is None else checks.seed("seed", seed))


def seed_of(exercise: Exercise) -> int:
    """An exercise's own seed: a file that is checked twice gets the same inputs, and the same relative errors."""
    return zlib.crc32(exercise.name.encode())


def name_in(given: Any, found: Submission) -> str:
    """The exercise that a file says it is, in its first lines."""
    if callable(given):
        return ""
    text = Path(given).read_bytes()[:4000].decode("utf-8", "replace")
    named = submission.exercise_name(text)
    return named if named in catalog.BY_NAME else ""


def grade(given: Submission, exercise: Exercise, hint: int, seconds: float, seed: int) -> Grade:
    """The grade of functions that were read."""
    if given.problem:
        status = "unreadable" if "it is no" in given.problem else "refused"
        return grade_of_zero(exercise, given, status, f"{given.name} is not graded: {given.problem}.")
    if exercise.name == "convergence_lab":
        from tinygrad_edu.course import lab

        return lab.grade_answers(exercise, given, hint, seconds)
    written = [function for function in exercise.functions if given.filled(function)]
    if not written:
        missing = [f for f in exercise.functions if f not in given.functions]
        what = f"{' and '.join(missing)} is missing" if missing else "nothing is written yet"
        return grade_of_zero(exercise, given, "empty", f"{exercise.title}: {what}. {begin(exercise)}")
    marking = Marking(exercise, given)
    rng = np.random.default_rng(seed)
    inputs = [exercise.inputs(rng) for _ in range(CASES)]
    calls = [call_of(exercise, given, f, case) for f in written for case in inputs]
    results = sandbox.run(given.source, calls, seconds)
    by_function = {f: results[i * CASES : (i + 1) * CASES] for i, f in enumerate(written)}
    for function in exercise.functions:
        mark(marking, function, inputs, by_function.get(function))
    evidence = evidence_of(marking, inputs, by_function)
    if evidence.wrong:
        marking.found = naming.find_mistakes(evidence)
    return grade_of(marking, hint)


def call_of(exercise: Exercise, given: Submission, function: str, case: Mapping[str, Any]) -> sandbox.LearnerCall:
    """The call of a function on the inputs of a case."""
    names = exercise.functions[function]
    variables = dict(zip(names, given.variables(function, names), strict=True))
    return sandbox.LearnerCall(function, exercise.arguments(function, case), len(names), variables)


def begin(exercise: Exercise) -> str:
    """Where to start."""
    name = next(iter(exercise.functions))
    return f"Replace `...` in `{name}` with your own lines; its docstring says what it returns."


def grade_of_zero(exercise: Exercise, given: Submission, status: str, text: str) -> Grade:
    """A grade of 0, and why."""
    parts = {name: (0.0, status) for names in exercise.functions.values() for name in names}
    return Grade(0.0, text, parts or {"answers": (0.0, status)}, status, (), exercise.name, given.name)


def mark(
    marking: Marking, function: str, inputs: Sequence[Mapping[str, Any]], results: Sequence[sandbox.CallResult] | None
) -> None:
    """Compare the results of one function with the right ones."""
    names = marking.exercise.functions[function]
    if results is None:
        marking.outcomes += [Outcome(function, name, np.inf, f"{function} is still to be written") for name in names]
        return
    outcomes = {name: Outcome(function, name) for name in names}
    for case, result in zip(inputs, results, strict=True):
        right = marking.exercise.right(function, case)
        got = by_name(names, result)
        for name, outcome in outcomes.items():
            before = error_before(name, right[name], result)
            error, said = (before, "") if before <= RIGHT else compare(names, name, got.get(name), right[name], result)
            outcome.error = max(outcome.error, error)
            outcome.said = outcome.said or said + (later(result, names) if said else "")
            outcome.crashed |= bool(result.error and said)
    marking.outcomes += outcomes.values()


def error_before(name: str, right: Any, result: sandbox.CallResult) -> float:
    """The relative error of what a function that failed had computed by then; infinite if there is nothing."""
    got = result.before.get(name)
    return compare([name], name, got, right, sandbox.CallResult())[0] if isinstance(got, np.ndarray) else np.inf


def by_name(names: Sequence[str], result: sandbox.CallResult) -> dict[str, Any]:
    """The returned values by name: the function's own names, or else in order."""
    if result.named is not None:
        return dict(result.named)
    return dict(zip(names, result.outputs, strict=False))


def compare(names: Sequence[str], name: str, got: Any, right: Any, result: sandbox.CallResult) -> tuple[float, str]:
    """(relative error, what else is the matter), of one of the `names` that are returned."""
    if result.error:
        where = f"line {result.line}: " if result.line else ""
        return np.inf, f"{where}{result.error}{advice(result.error)}"
    if got is None:
        return np.inf, absent(names, name, result)
    if isinstance(got, str):
        return np.inf, f"it is not an array of numbers, but {got}"
    right = np.asarray(right, dtype=float)
    if got.shape != right.shape:
        return np.inf, f"it has the shape {got.shape}, and {right.shape} is needed"
    if not np.isfinite(got).all():
        return np.inf, "it holds NaN or infinity"
    size = float(np.linalg.norm(right)) or 1.0
    return float(np.linalg.norm(got - right)) / size, ""


def advice(error: str) -> str:
    """What to look at where the shapes of two arrays do not match: the commonest crash, told in NumPy's words alone.

    >>> advice("ValueError: shapes (4,6) and (5,6) not aligned: 6 (dim 1) != 5 (dim 0)")
    '. Is a .T missing, or one too many, or are the factors in the wrong order?'
    """
    if "not aligned" in error or "mismatch in its core dimension" in error:
        return ". Is a .T missing, or one too many, or are the factors in the wrong order?"
    if "could not be broadcast" in error:
        return ". Is a sum over the wrong axis, or is keepdims=True missing?"
    return ""


def later(result: sandbox.CallResult, names: Sequence[str]) -> str:
    """Advice if a later result is not defined yet: the others can be graded already."""
    missing = re.match(r"NameError: name '(\w+)' is not defined", result.error)
    return f". To check the others first, set {missing[1]} = None" if missing and missing[1] in names else ""


def absent(names: Sequence[str], name: str, result: sandbox.CallResult) -> str:
    """The message for a result that is None or missing."""
    there = name in result.named if result.named is not None else names.index(name) < len(result.outputs)
    if there and any(x is not None for x in (result.named or {}).values() or result.outputs):
        return "it is None: still to be written"
    return f"it is missing in what is returned{count_of(result)}"


def count_of(result: sandbox.CallResult) -> str:
    """How much a function returned, where that is not what its exercise asks for."""
    if result.named is not None:
        return f": {', '.join(result.named)}"
    if all(x is None for x in result.outputs):
        return ": nothing is returned (is `return` missing?)"
    return f": {len(result.outputs)} result{'s are' if len(result.outputs) > 1 else ' is'} returned"


def evidence_of(
    marking: Marking, inputs: Sequence[Mapping[str, Any]], results: Mapping[str, Sequence[sandbox.CallResult]]
) -> Evidence:
    """All that the learner's functions gave as arrays, beside the right numbers."""
    exercise = marking.exercise
    got: list[dict[str, Any]] = [
        {k: x for f, some in results.items() for k, x in by_name(exercise.functions[f], some[i]).items()}
        for i in range(len(inputs))
    ]
    right = [{k: x for f in exercise.functions for k, x in exercise.right(f, case).items()} for case in inputs]
    arrays = [o for o in marking.outcomes if all(isinstance(each.get(o.name), np.ndarray) for each in got)]
    names, wrong = [o.name for o in arrays], [o.name for o in arrays if not o.right]
    return Evidence(exercise, inputs, got, right, names, wrong)


def grade_of(marking: Marking, hint: int) -> Grade:
    """Score and text."""
    outcomes, exercise = marking.outcomes, marking.exercise
    right = sum(outcome.right for outcome in outcomes)
    score = right / len(outcomes)
    crashed = any(o.crashed for o in outcomes)
    slow = any("does a loop never end" in o.said for o in outcomes)
    status = "right" if score == 1.0 else "slow" if slow else "partly" if right else "crashed" if crashed else "wrong"
    said = [verdict(o) if marking.found.mistakes else verdict(o) + doubt(o) for o in outcomes]
    parts = {o.name: (float(o.right), v) for o, v in zip(outcomes, said, strict=True)}
    lines = [f"{exercise.title}: {right} of {len(outcomes)} right, on {CASES} random inputs.", ""]
    width = max(len(o.name) for o in outcomes)
    for i, (o, v) in enumerate(zip(outcomes, said, strict=True)):
        again = o.crashed and any(x.crashed and x.function == o.function for x in outcomes[:i])
        lines.append(f"  {o.name:<{width}}  {'right' if o.right else 'WRONG'}  {'the same' if again else v}")
    lines += hints(marking, hint) if score < 1.0 else []
    return Grade(score, "\n".join(lines), parts, status, marking.found.codes, exercise.name, marking.given.name)


def verdict(outcome: Outcome) -> str:
    """The verdict on one result, in words."""
    return outcome.said or f"relative error {outcome.error:.2g}"


def doubt(outcome: Outcome) -> str:
    """A suspicion in words, if a wrong result is nearly right and no mistake is known."""
    if outcome.said or outcome.right or outcome.error >= NUMERICAL:
        return ""
    return " (right to a few digits only: finite differences instead of the derivative?)"


def hints(marking: Marking, hint: int) -> list[str]:
    """In stages: which result, the mistake and its line, the formula."""
    wrong = [o for o in marking.outcomes if not o.right]
    if hint == 1 and all(o.crashed for o in wrong):
        return ["", "Correct the error in that line first: no hint can say more before your lines run."]
    if hint == 1:
        return [
            "",
            f"Wrong: {', '.join(o.name for o in wrong)}. More: hint 2 names the mistake, hint 3 the formula "
            "(check(..., hint=2), or --hint 2 on the command line).",
        ]
    # A result that is right to a few digits was explained above: it contains no mistaken formula.
    judged = marking.found.mistakes or (marking.found.unknown and not all(doubt(o) for o in wrong))
    lines = marking.found.lines() if judged else []
    lines += [f"  {said}" for said in lines_of(marking.given, places(marking, [o for o in wrong if not o.crashed]))]
    formulas = [marking.exercise.formulas[o.name] for o in wrong if o.name in marking.exercise.formulas]
    blocks = [lines, ["The formulas:", *(f"  {formula}" for formula in formulas)] if hint == 3 else []]
    return [line for block in blocks if block for line in ("", *block)]


def places(marking: Marking, wrong: Sequence[Outcome]) -> list[tuple[str, str]]:
    """(function, variable) of what is computed wrongly: the d_u of a mistake, where the learner has a line for it.

    Else the results: all that come after a wrong line are wrong, so that they say little of where it is.
    """
    found: list[tuple[str, str]] = []
    for outcome in wrong:
        own = [f for f in marking.found.mistakes if outcome.name in f.names]
        held = [(outcome.function, v) for f in own for v in f.variables if line_of(marking.given, outcome.function, v)]
        found += held if own and all(f.variables for f in own) and held else [(outcome.function, outcome.name)]
    return [*dict.fromkeys(found)]


def lines_of(given: Submission, wrong: Sequence[tuple[str, str]]) -> list[str]:
    """A sentence for each line in which something wrong is computed; wrong: (function, variable)."""
    names: dict[int, list[str]] = {}
    for function, name in wrong:
        names.setdefault(line_of(given, function, name), []).append(name)
    told = {n: some for n, some in names.items() if n}
    return [f"{', '.join(some)} {'is' if len(some) == 1 else 'are'} computed in line {n}" for n, some in told.items()]


def line_of(given: Submission, function: str, name: str) -> int:
    """The last line of the learner's function that assigns this variable; 0 if there is none of that name."""
    node = given.functions.get(function)
    lines = [
        each.lineno
        for each in (ast.walk(node) if node else ())
        if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store) and each.id == name
    ]
    return max(lines, default=0)

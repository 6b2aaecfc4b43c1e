"""Grading: a learner's functions on random inputs, compared with the right numbers, and the mistake named."""

from __future__ import annotations

import ast
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_edu import checks
from tinygrad_edu.clinic.examiner.check import check_backprop
from tinygrad_edu.clinic.examiner.grade import Grade
from tinygrad_edu.course import catalog, sandbox, submission
from tinygrad_edu.course.exercise import Exercise, Mistake, world_of
from tinygrad_edu.course.submission import Submission
from tinygrad_edu.errors import TinygradError

Array = np.ndarray[Any, Any]
CASES = 4  # random inputs
RIGHT = 3e-11  # relative error of a right result: rounding is 1e-15 to 1e-12, central differences are 1e-10 and more
NUMERICAL = 1e-4  # below it a wrong result is right to four digits: no formula, but differences
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
    named: list[Mistake] = field(default_factory=list)
    places: dict[str, list[str]] = field(default_factory=dict)  # of several mistakes: code, and the results it explains
    examined: str = ""  # what the examiner says, where none of the exercise's own mistakes gives these numbers


def grade_file(
    given: Any, exercise: str = "", hint: int = 1, seconds: float = 10.0, seed: int | None = None, name: str = ""
) -> Grade:
    """The grade of a script, a notebook or a function; see clinic.grade.

    Errors: InputFileError, NameNotFoundError for an exercise that is not there, SettingError for settings.
    """
    checks.one_of("hint", hint, HINTS)
    checks.number("seconds", seconds, "(0, 3600]")
    found = submission.of_functions(given) if callable(given) else submission.read(given)
    chosen = catalog.find(exercise or name_in(given, found) or (found.name if not callable(given) else ""))
    return grade(found, chosen, hint, seconds, secrets.randbits(32) if seed is None else checks.seed("seed", seed))


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
        return nothing(exercise, given, status, f"{given.name} is not graded: {given.problem}.")
    if exercise.name == "convergence_lab":
        from tinygrad_edu.course import lab

        return lab.grade_answers(exercise, given, hint, seconds)
    written = [function for function in exercise.functions if given.filled(function)]
    if not written:
        missing = [f for f in exercise.functions if f not in given.functions]
        what = f"{' and '.join(missing)} is missing" if missing else "nothing is written yet"
        return nothing(exercise, given, "empty", f"{exercise.title}: {what}. {begin(exercise)}")
    marking = Marking(exercise, given)
    rng = np.random.default_rng(seed)
    inputs = [exercise.inputs(rng) for _ in range(CASES)]
    calls = [(f, exercise.arguments(f, case), len(exercise.functions[f])) for f in written for case in inputs]
    results = sandbox.run(given.source, calls, seconds)
    by_function = {f: results[i * CASES : (i + 1) * CASES] for i, f in enumerate(written)}
    for function in exercise.functions:
        mark(marking, function, inputs, by_function.get(function))
    name_mistakes(marking, inputs, by_function)
    return grade_of(marking, hint)


def begin(exercise: Exercise) -> str:
    """Where to start."""
    name = next(iter(exercise.functions))
    return f"Replace `...` in `{name}` by your own lines; the comment above says what it returns."


def nothing(exercise: Exercise, given: Submission, status: str, text: str) -> Grade:
    """A grade of 0, and why."""
    parts = {name: (0.0, status) for names in exercise.functions.values() for name in names}
    return Grade(0.0, text, parts or {"answers": (0.0, status)}, status, (), exercise.name, given.name)


def mark(
    marking: Marking, function: str, inputs: Sequence[Mapping[str, Any]], results: Sequence[sandbox.Result] | None
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
            error, said = compare(name, got.get(name), right[name], result)
            outcome.error = max(outcome.error, error)
            outcome.said = outcome.said or said
            outcome.crashed |= bool(result.error)
    marking.outcomes += outcomes.values()


def by_name(names: Sequence[str], result: sandbox.Result) -> dict[str, Any]:
    """What a function returned, by its order or by its own names."""
    if result.named is not None:
        return dict(result.named)
    return dict(zip(names, result.outputs, strict=False))


def compare(name: str, got: Any, right: Any, result: sandbox.Result) -> tuple[float, str]:
    """(relative error, what else is the matter)."""
    if result.error:
        where = f"line {result.line}: " if result.line else ""
        return np.inf, f"{where}{result.error}"
    if got is None:
        return np.inf, "it is missing in what is returned"
    if isinstance(got, str):
        return np.inf, f"it is no array of numbers, but {got}"
    right = np.asarray(right, dtype=float)
    if got.shape != right.shape:
        return np.inf, f"it has the shape {got.shape}, and {right.shape} is needed"
    if not np.isfinite(got).all():
        return np.inf, "it holds NaN or infinity"
    size = float(np.linalg.norm(right)) or 1.0
    return float(np.linalg.norm(got - right)) / size, ""


def name_mistakes(
    marking: Marking, inputs: Sequence[Mapping[str, Any]], results: Mapping[str, Sequence[sandbox.Result]]
) -> None:
    """The classic mistakes whose numbers are the learner's, in every case; else what the examiner finds.

    One mistake that explains all that is wrong goes before several that explain a part each, and a mistake that would
    also change what it does not explain goes last.
    """
    exercise = marking.exercise
    wrong = [o for o in marking.outcomes if not o.right and not o.said]
    told = [o for o in marking.outcomes if not o.said]
    explained = {
        m.code: [o for o in wrong if gives(exercise, m, o, inputs, results[o.function])] for m in exercise.mistakes
    }
    at_odds = {
        code
        for code, some in explained.items()
        if some and any(changes(exercise, code, o, inputs) for o in told if o not in some)
    }
    possible = sorted(
        (m for m in exercise.mistakes if explained[m.code]), key=lambda m: (m.code in at_odds, -len(explained[m.code]))
    )
    whole = [m for m in possible if len(explained[m.code]) == len(wrong)]
    marking.named = [m for m in whole if m.code not in at_odds] or whole
    if not whole:
        for outcome in wrong:
            code = next((m.code for m in possible if outcome in explained[m.code]), "")
            marking.places.setdefault(code, []).append(outcome.name)
        marking.named = [m for m in possible if m.code in marking.places]
    if wrong and not marking.named and "backward" in results:
        marking.examined = examine(exercise, inputs[0], results["backward"][0])


def changes(exercise: Exercise, code: str, outcome: Outcome, inputs: Sequence[Mapping[str, Any]]) -> bool:
    """Does a mistake change this result?"""
    mistake = next(m for m in exercise.mistakes if m.code == code)
    for case in inputs:
        right = exercise.right(outcome.function, case)[outcome.name]
        theirs = exercise.right(outcome.function, case, mistake).get(outcome.name)
        if theirs is None or np.shape(theirs) != np.shape(right):
            return True
        if float(np.linalg.norm(theirs - right)) > 1e-6 * (float(np.linalg.norm(right)) or 1.0):
            return True
    return False


def gives(
    exercise: Exercise, mistake: Mistake, outcome: Outcome, inputs: Sequence[Mapping[str, Any]],
    results: Sequence[sandbox.Result],
) -> bool:  # fmt: skip
    """Does the solution with this mistake give the learner's numbers?"""
    names = exercise.functions[outcome.function]
    for case, result in zip(inputs, results, strict=True):
        theirs = exercise.right(outcome.function, case, mistake).get(outcome.name)
        got = by_name(names, result).get(outcome.name)
        if theirs is None or not isinstance(got, np.ndarray) or np.shape(theirs) != got.shape:
            return False
        if not float(np.linalg.norm(got - theirs)) <= 1e-8 * (float(np.linalg.norm(got)) or 1.0):
            return False
    return changes(exercise, mistake.code, outcome, inputs)


def examine(exercise: Exercise, case: Mapping[str, Any], result: sandbox.Result) -> str:
    """What the examiner of the clinic says of these gradients; "" where it has nothing certain to say."""
    got = by_name(exercise.functions["backward"], result)
    found = {input_of(name): x for name, x in got.items() if isinstance(x, np.ndarray) and input_of(name) in case}
    params = {name: np.asarray(case[name], dtype=float) for name in found}
    rest = {name: x for name, x in case.items() if name not in params}
    seed = next((rest[name] for name in rest if name.startswith("d")), None)
    forward = world_of(exercise, None).get("forward")
    if forward is None or not params or any(x.shape != params[name].shape for name, x in found.items()):
        return ""

    def loss(p: Mapping[str, Any]) -> Any:
        given = {**rest, **p}
        y = forward(**{name: given[name] for name in exercise.parameters["forward"] if name in given})
        return y if seed is None else np.sum(seed * y)

    try:
        report = check_backprop(loss, params, found)
    except (TinygradError, ArithmeticError, ValueError, TypeError):
        return ""
    slips = [slip for slip in report.slips if slip.certain]
    return f"{slips[0].sentence} {slips[0].fix}".strip() if slips else ""


def input_of(gradient: str) -> str:
    """x of dx, a of d_a."""
    return gradient[1:].lstrip("_") if gradient.startswith("d") else gradient


def grade_of(marking: Marking, hint: int) -> Grade:
    """Score and text."""
    outcomes, exercise = marking.outcomes, marking.exercise
    right = sum(outcome.right for outcome in outcomes)
    score = right / len(outcomes)
    crashed = any(o.crashed for o in outcomes)
    slow = any("does a loop never end" in o.said for o in outcomes)
    status = "right" if score == 1.0 else "slow" if slow else "partly" if right else "crashed" if crashed else "wrong"
    said = [verdict(o) if marking.named else verdict(o) + doubt(o) for o in outcomes]
    parts = {o.name: (float(o.right), v) for o, v in zip(outcomes, said, strict=True)}
    lines = [f"{exercise.title}: {right} of {len(outcomes)} right, on {CASES} random inputs.", ""]
    width = max(len(o.name) for o in outcomes)
    lines += [
        f"  {o.name:<{width}}  {'right' if o.right else 'WRONG'}  {v}" for o, v in zip(outcomes, said, strict=True)
    ]
    lines += hints(marking, hint) if score < 1.0 else []
    codes = tuple(mistake.code for mistake in marking.named)
    return Grade(score, "\n".join(lines), parts, status, codes, exercise.name, marking.given.name)


def verdict(outcome: Outcome) -> str:
    """What is said of one result."""
    return outcome.said or f"relative error {outcome.error:.2g}"


def doubt(outcome: Outcome) -> str:
    """What is suspected where a wrong result is nearly right and no mistake is known."""
    if outcome.said or outcome.right or outcome.error >= NUMERICAL:
        return ""
    return " (right to a few digits only: differences in place of the derivative?)"


def hints(marking: Marking, hint: int) -> list[str]:
    """In stages: which result, the mistake and its line, the formula."""
    wrong = [o for o in marking.outcomes if not o.right]
    if hint == 1:
        return [
            "",
            f"Wrong: {', '.join(o.name for o in wrong)}. More: --hint 2 names the mistake, --hint 3 the formula.",
        ]
    lines = [""]
    if marking.named and marking.places:
        lines += ["Your numbers are those of " + ("these mistakes:" if len(marking.named) > 1 else "this mistake:")]
        lines += [f"  {', '.join(marking.places[m.code])}: {m.sentence}" for m in marking.named]
        unknown = ", ".join(marking.places.get("", []))
        lines += [f"  {unknown}: no classic mistake gives these numbers."] if unknown else []
    elif marking.named:
        many = len(marking.named) > 1
        lines += ["Your numbers are those of " + ("one of these mistakes:" if many else "this mistake:")]
        lines += [f"  {mistake.sentence}" for mistake in marking.named]
    elif marking.examined:
        lines += ["Your numbers are those of this mistake:", f"  {marking.examined}"]
    elif any(not o.said for o in wrong):
        lines += ["No classic mistake gives these numbers: check each step against the formulas above."]
    lines += [f"  {o.name} is computed in line {n}" for o in wrong if (n := line_of(marking.given, o))]
    if hint == 3:
        formulas = marking.exercise.formulas
        lines += ["", "The formulas:", *(f"  {formulas[o.name]}" for o in wrong if o.name in formulas)]
    return lines


def line_of(given: Submission, outcome: Outcome) -> int:
    """The last line of the learner's function that assigns this result; 0 where it is not told by its name."""
    node = given.functions.get(outcome.function)
    lines = [
        each.lineno
        for each in (ast.walk(node) if node else ())
        if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store) and each.id == outcome.name
    ]
    return max(lines, default=0)

"""A whole program that trains itself: its parameters are found, and its step is followed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tinygrad_edu import checks
from tinygrad_edu.clinic.examiner.beside_kinks import RIGHT_BESIDE, SEEDS, WRONG_BESIDE, as_right, same_mistake
from tinygrad_edu.clinic.examiner.forward.book import total
from tinygrad_edu.clinic.examiner.forward.forward_network import network_of
from tinygrad_edu.clinic.examiner.judge import better_of, little_of, with_words
from tinygrad_edu.clinic.examiner.learner.inputs import LearnerForward, check_rate
from tinygrad_edu.clinic.examiner.learner.kinks import has_kink, moved_beside
from tinygrad_edu.clinic.examiner.learner.learner_program import (
    LearnerProgram,
    are_equal,
    floats_in,
    form_of,
    whole_numbers,
)
from tinygrad_edu.clinic.examiner.learner.own_errors import tell_errors
from tinygrad_edu.clinic.examiner.learner.reachable import preserve
from tinygrad_edu.clinic.examiner.learner.structure import Leaf, Structure
from tinygrad_edu.clinic.examiner.lines.recorder import record_run
from tinygrad_edu.clinic.examiner.lines.recording import Recording
from tinygrad_edu.clinic.examiner.lines.untouched import like_weights, missed_updates, remark_on
from tinygrad_edu.clinic.examiner.report import BackpropReport
from tinygrad_edu.clinic.examiner.steps.step_verdict import StepVerdict
from tinygrad_edu.clinic.examiner.steps.update_step import plain_descent
from tinygrad_edu.clinic.examiner.steps.verdict_reports import tell_of_signs
from tinygrad_edu.errors import ExaminerError
from tinygrad_edu.pen import check_arguments

Array = np.ndarray[Any, Any]


@check_arguments
def check_program(
    obj: Any, *, step: Callable[[], Any], loss: Callable[[], Any], lr: float | None = None
) -> BackpropReport:
    """Examine a program that updates its own weights: its gradients, and its update.

    An array is a parameter if the step changes it and the loss depends on it; it is named by its path. Arrays that
    only the loss writes, such as the state of a recurrent network, are not. A weight that the step does not change is
    reported as forgotten if the program computes its gradient, or trains its other half (W1 but not b1); any other one
    gets a remark. The step may follow any optimizer of `tg.optim`, with clipping or weight decay, and may make several
    updates, on one sample or a few each. If the update rule is not known, only the gradients are judged. Afterwards
    everything that the program can reach is as it was, also if its step raises.

    obj: what holds the parameters: an object, a list of layers, a dict, a module or its globals().
    step: a function without arguments that trains the program once.
    loss: a function without arguments that measures the loss, on the same data.
    lr: the learning rate, where it is known.
    Errors: ExaminerError where the step changes nothing, or the loss cannot be judged.

    >>> net = {"w": 3.0}
    >>> def train():
    ...     net["w"] -= 0.1 * 2.0 * (net["w"] - 1.0)
    >>> check_program(net, step=train, loss=lambda: (net["w"] - 1.0) ** 2, lr=0.1).ok, net
    (True, {'w': 3.0})
    """
    checks.function("step", step, "check_program")
    checks.function("loss", loss, "check_program")
    rate, name = check_rate(lr), variable_of(obj)
    with preserve(obj, step, loss) as state:
        program = LearnerProgram(obj, step, loss, state, name)
        report = examine_program(program, rate)
        return beside_kink(program, report, rate) or report


FRAMES = 3  # from `variable_of` to the caller: check_program, and the check of its arguments around it


def variable_of(obj: Any) -> str:
    """The caller's name for the object."""
    names = [n for n, x in sys._getframe(FRAMES).f_locals.items() if x is obj and not n.startswith("_")]
    return names[0] if names and not isinstance(obj, dict) else ""


def examine_program(program: LearnerProgram, rate: float | None) -> BackpropReport:
    """Run the step once, find what it changed, and judge that."""
    before, numbers = program.leaves(), program.numbers()
    states = floats_in(program.roots)
    with tell_errors("your step"):
        recording = record_run(program.step)
    drawn = program.state.has_drawn()
    after, later = program.numbers(), floats_in(program.roots)
    held = {id(leaf.given) for leaf in program.leaves().values()}
    broken = [n for n, leaf in program.leaves().items() if n in numbers and not program.finite(leaf)]
    counts = [k for k in whole_numbers(states[1]) if k + 1 in set(whole_numbers(later[1]))]
    program.state.restore()
    program.find_spots()
    changed = [n for n in numbers if n in after and not are_equal(numbers[n], after[n])]
    chosen = {n: before[n] for n in changed if program.matters(before[n])}
    late = not chosen and {n: before[n] for n in names_of_second_step(program, numbers) if program.matters(before[n])}
    if not chosen and not late:
        raise ExaminerError(words_of_no_change(program, changed, broken))
    chosen = without_state(program, chosen or late or {})
    left, remark = left_alone(program, before, numbers, {*changed, *(numbers.keys() - after.keys())}, chosen, recording)
    chosen |= {n: before[n] for n in left}
    # really gone, not only found in another place first
    lost = [n for n in numbers if n not in after and id(before[n].given) not in held]
    gone = [n for n in lost if program.matters(before[n])]
    chosen |= {n: before[n] for n in gone}
    learner = LearnerForward(program.loss(chosen), form_of(chosen), program.state, program.roots, whole=True)
    weights = {n: numbers[n] for n in chosen}
    new = {n: after.get(n, numbers[n]) for n in chosen}
    verdict = StepVerdict(
        program, learner, weights, new, rate, recording, (states[0], later[0]), counts, gone, bool(late), drawn
    )
    report = examine_step(verdict)
    report.note = f"{report.note} {remark}".strip()
    tell_of_signs(report, recording, new)
    return report


def beside_kink(program: LearnerProgram, report: BackpropReport, rate: float | None) -> BackpropReport | None:
    """Where the loss has a kink, the report on the program from random parameters nearby; None where it has none.

    What is right beside it is right; what is wrong there is so with proof, or was so before.
    """
    program.state.restore()
    leaves = {n: leaf for n, leaf in program.leaves().items() if n in report.errors}
    weights = {n: x for n, x in program.numbers().items() if n in leaves}
    learner = LearnerForward(program.loss(leaves), form_of(leaves), program.state, program.roots, whole=True)
    if weights.keys() != report.errors.keys() or not has_kink(learner, weights):
        return None
    found = [x for seed in SEEDS if (x := examined_at(program, leaves, moved_beside(weights, seed), rate))]
    program.state.restore()
    wrong = next((x for x in found if not x.ok), None)
    if not found or (wrong is not None and (same_mistake(report, wrong) or (report.ok and not wrong.has_proof))):
        return None
    if wrong is None:
        return None if report.ok else as_right(report, RIGHT_BESIDE)
    wrong.note = f"{WRONG_BESIDE} {wrong.note}".strip()
    return wrong


def examined_at(
    program: LearnerProgram, leaves: Mapping[str, Leaf], numbers: Mapping[str, Array], rate: float | None
) -> BackpropReport | None:
    """The report on the program with other parameters; None where it cannot be run with them."""
    program.state.restore()
    for name, leaf in leaves.items():
        program.put(leaf, Structure.of(leaf.given).fill({"params": numbers[name]}))
    try:
        with preserve(*program.roots) as state:
            return examine_program(replace(program, state=state), rate)
    except Exception:  # the program may raise anything there
        return None


def examine_step(verdict: StepVerdict) -> BackpropReport:
    """The verdict; where the loss adds a little number in its log, with or without it in the derivative."""
    verdict.learner.checked_loss(verdict.weights)  # what cannot be judged is refused before anything is looked for
    little = little_of(verdict.learner, verdict.weights)
    if little is None:
        return verdict.report()
    plain, whole = (replace(verdict, learner=replace(verdict.learner, plain_logs=x)) for x in (True, False))
    if right := plainly_right(whole):
        return right
    report = plainly_right(plain) or replace(plain, loose=little.shares).report()
    return with_words(report, little) if report.ok else better_of(whole.report(), report, little)


def plainly_right(verdict: StepVerdict) -> BackpropReport | None:
    """Gradient descent, seen at once; None for what needs a closer look."""
    weights, learner = verdict.weights, verdict.learner
    net, method, note = network_of(learner, weights, learner.checked_loss(weights))
    right = {n: np.asarray(total(net, n)) + np.zeros(x.shape) for n, x in weights.items()}
    whole = all(verdict.new[n].shape == x.shape for n, x in weights.items())
    rule = plain_descent(verdict.walk(right)) if whole and not verdict.late else None
    return verdict.all_right(net, right, method, f"The step is {rule}. {note}".strip()) if rule else None


def left_alone(
    program: LearnerProgram,
    leaves: Mapping[str, Leaf],
    numbers: Mapping[str, Array],
    changed: Collection[str],
    trained: Collection[str],
    recording: Recording,
) -> tuple[list[str], str]:
    """(parameters that the step has forgotten, a remark on weights that it may keep fixed on purpose)."""
    idle = [n for n in numbers if n not in changed and not isinstance(leaves[n].given, (int, np.integer))]
    left = [n for n in missed_updates(idle, numbers, trained, recording) if program.is_read(leaves[n])]
    kept = [n for n in like_weights(idle, numbers, trained) if n not in left and program.is_read(leaves[n])]
    return left, remark_on(kept)


def without_state(program: LearnerProgram, leaves: dict[str, Leaf]) -> dict[str, Leaf]:
    """The parameters among these: what the loss alone writes is state, unless there would be no parameter left."""
    return {n: leaf for n, leaf in leaves.items() if not program.is_written_by_loss(leaf)} or leaves


def names_of_second_step(program: LearnerProgram, numbers: Mapping[str, Array]) -> list[str]:
    """Parameters that change in two steps but not in one: the first may use gradients that do not exist yet."""
    program.step()
    program.step()
    after = program.numbers()
    program.state.restore()
    return [n for n in numbers if n in after and not are_equal(numbers[n], after[n])]


def words_of_no_change(program: LearnerProgram, changed: Sequence[str], broken: Sequence[str]) -> str:
    if broken:
        return (
            f"step() makes NaN or infinity of {', '.join(broken)}: look for the root or the log of a negative number, "
            "an overflow in exp, or a division by 0 in the update"
        )
    if not changed:
        return f"step() changed nothing that can be reached from {program.name or 'the object'}"
    return (
        f"step() changed {', '.join(changed)}, but loss() does not depend on any of them: does it measure "
        "the same object? Or does the step only give a name to new weights (w = w - lr * g in a loop over them)?"
    )

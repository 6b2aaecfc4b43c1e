"""A whole program that trains itself: its parameters are found, its step is followed and judged."""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_edu import checks
from tinygrad_edu.clinic.examiner.book import total, truth_of
from tinygrad_edu.clinic.examiner.check import deltas_of, difference, factors_of, hints_of, rounding, slack_of
from tinygrad_edu.clinic.examiner.forward_network import network_of
from tinygrad_edu.clinic.examiner.gradients import Given
from tinygrad_edu.clinic.examiner.inputs import LearnerForward, check_rate
from tinygrad_edu.clinic.examiner.judge import judge
from tinygrad_edu.clinic.examiner.learner_program import LearnerProgram, floats_in, form_of, same, whole_numbers
from tinygrad_edu.clinic.examiner.lines import find_places
from tinygrad_edu.clinic.examiner.made_gradients import gradients_are_made, relative
from tinygrad_edu.clinic.examiner.moments import moments_of
from tinygrad_edu.clinic.examiner.reachable import places, preserve
from tinygrad_edu.clinic.examiner.recording import Recording, record_run
from tinygrad_edu.clinic.examiner.report import BackpropReport
from tinygrad_edu.clinic.examiner.search import TOLERANCE
from tinygrad_edu.clinic.examiner.several_updates import SeveralUpdates, samples_of
from tinygrad_edu.clinic.examiner.step_walk import Walk
from tinygrad_edu.clinic.examiner.update_rules import UpdateRule
from tinygrad_edu.clinic.examiner.update_step import ASSIGNED, FoundRule, find_rule, simple_rule, update_slip
from tinygrad_edu.clinic.examiner.watch import Updates, readings, watch_updates
from tinygrad_edu.errors import ExaminerError

Array = np.ndarray[Any, Any]
STEPS = 3  # in a row: one tells gradient descent, three tell momentum from Adam
Known = tuple[dict[str, Array], str, str]  # the right gradients, the method, a note
Examined = tuple[int, tuple[int, ...], BackpropReport]  # the update, the samples that it was made on, what was found
BIAS = re.compile(r"(^|[._])(b\d*|bias(es)?\d*)(\[\d+\])*$", re.IGNORECASE)  # what a step may not leave as it is
NUMBER = re.compile(r"\d+")  # layers[0].W and layers[2].W are of one kind
UPDATES = 2  # wrong ones that are examined: what one sample leaves open (a target of 0), another may tell
RATES = ("lr", "learning_rate", "alpha", "rate", "eta", "step_size", "learningrate", "l_rate")


def check_program(
    obj: Any, *, step: Callable[[], Any], loss: Callable[[], Any], lr: float | None = None
) -> BackpropReport:
    """Examine a program that updates itself: its gradients, and its update.

    obj: what holds the parameters: an object, a list of layers, a dict, a module or its globals(). step: trains it
    once; loss: measures it, on the same data. lr: the learning rate, where it is known. What a step changes and the
    loss depends on is a parameter, and so is a bias (by its name) that the step leaves as it is; each is named by its
    path. A right step of SGD, momentum, Nesterov, Adam, RMSprop or Adagrad, clipped or with weight decay, is right, and
    so is one that makes several of them, on one sample or a few each. Everything that the program can reach is left as
    it was, also when its step raises.
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
        return examine_program(LearnerProgram(obj, step, loss, state, name), rate)


def variable_of(obj: Any) -> str:
    """What the caller calls the object."""
    names = [n for n, x in sys._getframe(2).f_locals.items() if x is obj and not n.startswith("_")]
    return names[0] if names and not isinstance(obj, dict) else ""


def examine_program(program: LearnerProgram, rate: float | None) -> BackpropReport:
    """Run the step once, find what it changed, and judge that."""
    before, numbers = program.leaves(), program.numbers()
    states = floats_in(program.roots)
    recording = record_run(program.step)
    after, later = program.numbers(), floats_in(program.roots)
    counts = [k for k in whole_numbers(states[1]) if k + 1 in set(whole_numbers(later[1]))]
    program.state.restore()
    program.find_spots()
    changed = [n for n in numbers if n in after and not same(numbers[n], after[n])]
    if not changed:
        raise ExaminerError(f"step() changed nothing that can be reached from {program.name or 'the object'}")
    chosen = {n: before[n] for n in changed if program.matters(before[n])}
    kinds = {NUMBER.sub("#", n) for n in chosen}
    idle = [n for n in numbers if n not in changed and n in after and (BIAS.search(n) or NUMBER.sub("#", n) in kinds)]
    chosen |= {n: before[n] for n in idle if chosen and program.matters(before[n])}
    gone = [n for n in numbers if n not in after and chosen and program.matters(before[n])]
    chosen |= {n: before[n] for n in gone}
    if not chosen:
        raise ExaminerError(
            f"step() changed {', '.join(changed)}, but loss() does not depend on any of them: does it measure "
            "the same object? Or does the step only give a name to new weights (w = w - lr * g in a loop over them)?"
        )
    learner = LearnerForward(program.loss(chosen), form_of(chosen), program.state, program.roots, whole=True)
    weights = {n: numbers[n] for n in chosen}
    new = {n: after.get(n, numbers[n]) for n in chosen}
    return Verdict(program, learner, weights, new, rate, recording, (states[0], later[0]), counts, gone).report()


@dataclass(eq=False)
class Verdict:
    """One step against the right gradients."""

    program: LearnerProgram
    learner: LearnerForward
    weights: dict[str, Array]
    new: dict[str, Array]
    lr: float | None
    recording: Recording
    states: tuple[list[Array], list[Array]]
    counts: list[int]
    gone: Sequence[str] = ()  # what the step has thrown away

    def report(self) -> BackpropReport:
        start = self.learner.checked_loss(self.weights)
        net, method, note = network_of(self.learner, self.weights, start)
        right = {n: np.asarray(total(net, n)) + np.zeros(x.shape) for n, x in self.weights.items()}
        if all(self.new[n].shape == x.shape for n, x in self.weights.items()):
            return self.by_walk(net, right, self.walk(right), method, note)
        return self.by_gradient(right)

    def by_walk(self, net: Any, right: dict[str, Array], walk: Walk, method: str, note: str) -> BackpropReport:
        """A rule that gives the steps; several updates in one; else the gradients that the first step implies."""
        rule = simple_rule(walk)
        if rule is None or not rule.rule.right:
            several = self.several(net, right, method)
            if several:
                return self.by_updates(several, net, right, walk, method, note)
            rule = rule or find_rule(walk)
        if rule is not None:
            return self.by_rule(net, right, rule, walk, method, note)
        if names := self.find_assignments(right):
            return self.by_wrong_rule(ASSIGNED, names, net, walk, (right, method, note))
        report = self.by_gradient(right)
        fitted = any(slip.mutant is not None and slip.mutant.chance for slip in (report.explanations or [()])[0])
        if (not report.certain or fitted) and gradients_are_made(
            self.recording, right, factors_of(net, self.lr), self.lr
        ):  # a factor without a reason explains no update
            return self.other_update(net, right, walk, method, note)
        return report

    def several(self, net: Any, right: dict[str, Array], method: str) -> list[SeveralUpdates]:
        """The updates of the step one by one, where it makes more than one, in each way to tell them apart."""
        leaves = {n: leaf for n, leaf in self.program.leaves().items() if n in self.weights}
        self.program.state.restore()
        watched = watch_updates(self.program.step, lambda: {n: self.program.held(x) for n, x in leaves.items()})
        self.program.state.restore()
        found = [*readings(watched)] if method == "traced" else []

        def walk(points: list[dict[str, Array]], gradients: list[dict[str, Array]]) -> Walk:
            numbers = [float(x) for x in floats_in(self.program.roots)[1]]
            return Walk(points, gradients, self.lr, numbers, ((), ()), (), self.single)

        if method != "traced" or self.gone:
            return []
        samples = samples_of(self.learner, self.weights, net, self.recording)
        if not found and len(samples.batches) == 1:  # a single update, and it took but a part of the data
            one = SeveralUpdates(samples, Updates([self.weights, self.new], total=1), self.lr, walk)
            return [one] if one.is_likely(right) else []
        return [SeveralUpdates(samples, x, self.lr, walk) for x in found]

    def by_updates(
        self, ways: list[SeveralUpdates], net: Any, right: dict[str, Array], walk: Walk, method: str, note: str
    ) -> BackpropReport:
        """All of the updates are right, or the first that is not is examined on the samples that it was made on."""
        for several in ways:
            rule = several.rule()
            if rule is not None:
                return self.by_rule(net, right, rule, walk, method, note)
        several = max(ways, key=lambda x: x.clearness())
        k, chosen, report = self.plainest([self.of_update(several, k) for k in several.wrong()[:UPDATES]])
        report.followed = True
        report.note = f"{several.which(k, chosen)} {report.note}".strip()
        if report.network is not None and not report.ok:
            self.add_places(report, report.network, None, (several.points[k], several.points[k + 1]))
        return report

    def of_update(self, several: SeveralUpdates, k: int) -> list[Examined]:
        """One update on the samples that it was made on, once for each scale that the loss may have beside it."""
        chosen, found = several.nearest(k), []
        for rate, implied in several.implied(k, chosen):
            tolerances = self.tolerances(several.points[k], implied)
            report = judge(several.samples.of(chosen), several.points[k], Given(implied), self.lr and rate, tolerances)
            found.append((k, chosen, report))
        return found

    def plainest(self, updates: list[list[Examined]]) -> Examined:
        """The update and the scale at which the fewest slips explain the numbers, and explain those of the others too.

        One sample can leave open what it is: with a target of 0, y - t is y.
        """
        found: list[tuple[tuple[bool, bool, int], Examined]] = []
        for n, (_, _, report) in enumerate(updates[0]):
            others = [e for update in updates[1:] for _, _, r in update if r.certain for e in r.explanations]
            common = report.keep_common(others) if report.certain and others else False
            number = len((report.explanations or [()])[0])
            found.append(((not report.certain, bool(others) and not common, number), updates[0][n]))
        key, best = min(found, key=lambda x: x[0])
        later = [x for update in updates[1:] for x in update if x[2].certain]
        return later[0] if key[0] and later else best

    def tolerances(self, weights: Mapping[str, Array], implied: Mapping[str, Array]) -> dict[str, float]:
        lr, lost = self.lr or 1.0, 2e8 if self.single else 1.0  # of single precision's rounding to double's
        return {n: self.tolerance + lost * rounding(x, implied[n], lr) for n, x in weights.items()}

    def walk(self, right: dict[str, Array]) -> Walk:
        """The step, a few times in a row, with the right gradient at each point."""
        weights, gradients = [self.weights, self.new], [right]
        numbers = [float(x) for x in floats_in(self.program.roots)[1]]
        for k in range(1, STEPS):
            self.program.state.restore()
            try:
                for _ in range(k + 1):
                    self.program.step()
                held = self.program.numbers()
                now = {n: held[n] for n in self.weights}
                self.program.state.restore()
                gradients.append(self.gradient_at(weights[-1]))
            except Exception:  # the program need not run several steps: what is known is used
                self.program.state.restore()
                break
            if any(now[n].shape != x.shape for n, x in self.weights.items()):
                break
            weights.append(now)
        taken = gradients[: len(weights) - 1]
        return Walk(weights, taken, self.lr, numbers, self.states, self.counts, self.single)

    @property
    def single(self) -> bool:
        """Does the program compute in single precision?"""
        return self.learner.single

    @property
    def tolerance(self) -> float:
        return 1e-4 if self.single else TOLERANCE

    def gradient_at(self, params: dict[str, Array]) -> dict[str, Array]:
        net, _, _ = network_of(self.learner, params, self.learner.loss(params))
        return {n: np.asarray(total(net, n)) + np.zeros(x.shape) for n, x in params.items()}

    def by_rule(
        self, net: Any, right: dict[str, Array], rule: FoundRule, walk: Walk, method: str, note: str
    ) -> BackpropReport:
        """A step whose rule is known: all is right, or the gradients are and the rule is not."""
        if rule.rule.right:
            text = f"The step is {rule}."
            zero = dict.fromkeys(self.weights, 0.0)
            note = f"{text} {note}".strip()
            return BackpropReport(zero, {}, [], right, right, method=method, note=note, network=net, followed=True)
        return self.by_wrong_rule(rule.rule, [*self.weights], net, walk, (right, method, note))

    def find_assignments(self, right: dict[str, Array]) -> list[str]:
        """The wrong parameters, if each of them is lr·g now, in place of w - lr·g, and others are right."""
        lr = self.lr or self.rate_of(right)
        steps = {n: relative(difference(x, self.new[n]), lr * right[n]) for n, x in self.weights.items()}
        wrong = [n for n, error in steps.items() if error > 1e-3 and np.any(self.weights[n])]
        close = all(relative(self.new[n], lr * right[n]) < 1e-5 for n in wrong)
        others = [steps[n] for n in right if n not in wrong]
        return wrong if close and others and max(others) < 1e-5 else []

    def by_wrong_rule(
        self, rule: UpdateRule, names: Sequence[str], net: Any, walk: Walk, known: Known
    ) -> BackpropReport:
        """The gradients are right, and what is done with those of the named parameters is not."""
        report = self.wrong_update(net, *known, walk)
        report.explanations = [(update_slip(rule, names),)]
        self.add_places(report, net, walk, assigned=rule is ASSIGNED)
        return report

    def wrong_update(self, net: Any, right: dict[str, Array], method: str, note: str, walk: Walk) -> BackpropReport:
        """What is known of an update that is not right: the numbers of the first step that shows it."""
        lr, text = self.lr or 1.0, "The right gradients are made, but the step takes other numbers: see the table."
        for k, (before, after) in enumerate(itertools.pairwise(walk.weights)):
            given, right = {n: (x - after[n]) / lr for n, x in before.items()}, walk.gradients[k]
            errors = {n: relative(given[n], g) for n, g in right.items()}
            wrong = {n: e for n, e in errors.items() if e > self.tolerance}
            if wrong:
                break
        text += f" It shows in step {k + 1}." if k else ""
        note = f"{text} {note}".strip()
        return BackpropReport(errors, wrong, [], given, right, method=method, note=note, network=net, followed=True)

    def other_update(self, net: Any, right: dict[str, Array], walk: Walk, method: str, note: str) -> BackpropReport:
        """The right gradients are made, and something that is no known rule is done with them."""
        report = self.wrong_update(net, right, method, note, walk)
        self.add_places(report, net, walk)
        return report

    def by_gradient(self, right: dict[str, Array]) -> BackpropReport:
        """The gradients that the step implies, against the right ones."""
        lr = self.lr or self.rate_of(right)
        implied = {n: difference(x, self.new[n]) / lr for n, x in self.weights.items()}
        tolerances = self.tolerances(self.weights, implied)
        report = judge(self.learner, self.weights, Given(implied), self.lr, tolerances)
        report.followed = True
        if self.gone:
            report.explanations = []
            report.note = f"After the step {', '.join(self.gone)} is gone: what held it is shorter."
        elif report.missing:
            left = ", ".join(report.missing)
            report.note = f"The step leaves {left} as before: is its gradient computed, and used? {report.note}".strip()
        if not report.ok and report.network is not None:
            self.add_places(report, report.network, None)
        return report

    def rate_of(self, right: dict[str, Array]) -> float:
        """The learning rate where it is not told: of the parameters whose change is a multiple of the gradient."""
        ratios = []
        for n, g in right.items():
            d = difference(self.weights[n], self.new[n])
            c = float(np.vdot(g, d)) / (float(np.vdot(g, g)) or 1.0) if d.shape == g.shape else 0.0
            if c > 0.0 and np.linalg.norm(d - c * g) <= 1e-6 * np.linalg.norm(d):
                ratios.append(c)
        held = [
            p.value for p in places(self.program.roots) if str(p.key).lower() in RATES and isinstance(p.value, float)
        ]
        return float(np.median(ratios)) if ratios else (held[0] if held else 1.0)

    def add_places(
        self, report: BackpropReport, net: Any, walk: Walk | None, ends: tuple[Any, Any] | None = None, *,
        assigned: bool = False,
    ) -> None:  # fmt: skip
        """The lines at which the step leaves what is right, from the changed parameters back.

        ends: the parameters before and after the update that is examined, by default those of the whole step.
        """
        if report.method != "traced":
            return
        before, after = ends or (self.weights, self.new)
        lr = self.lr or 1.0
        truth = truth_of(net, before, self.single, slack_of(report))
        for n, g in report.right.items():
            truth.add_whole(before[n] - lr * g, f"the right new {n}")
            if not (assigned and n in report.wrong):
                truth.add_whole(lr * g, f"lr·∂L/∂{n}")
        for n, x in moments_of(walk) if walk is not None else ():
            truth.add_whole(x, f"an average of ∂L/∂{n}")
        wrong = {n: after[n] for n in report.wrong}
        hints = hints_of(report, [after[n] for n in report.right if n not in wrong], updates=True, at_end=assigned)
        report.places = find_places(self.recording, truth, wrong, factors_of(net, self.lr), deltas_of(net), hints)

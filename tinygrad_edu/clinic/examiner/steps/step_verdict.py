"""The verdict on one step of a program: its gradients, or what it does with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.check import (
    add_places,
    deltas_of,
    difference,
    factors_of,
    hints_of,
    rounding,
    slack_of,
)
from tinygrad_edu.clinic.examiner.forward.book import Batch, total, truth_of
from tinygrad_edu.clinic.examiner.forward.forward_network import network_of
from tinygrad_edu.clinic.examiner.judge import judge
from tinygrad_edu.clinic.examiner.learner.gradients import Given
from tinygrad_edu.clinic.examiner.learner.inputs import LearnerForward
from tinygrad_edu.clinic.examiner.learner.learner_program import LearnerProgram, rate_of
from tinygrad_edu.clinic.examiner.lines.forgotten_lines import lines_beside
from tinygrad_edu.clinic.examiner.lines.lines import find_places
from tinygrad_edu.clinic.examiner.lines.recorder import record_run
from tinygrad_edu.clinic.examiner.lines.recording import Recording
from tinygrad_edu.clinic.examiner.lines.untouched import words_of_missed
from tinygrad_edu.clinic.examiner.report import BackpropReport
from tinygrad_edu.clinic.examiner.search import TOLERANCE
from tinygrad_edu.clinic.examiner.steps.batches import order_in
from tinygrad_edu.clinic.examiner.steps.clipping import limits_of
from tinygrad_edu.clinic.examiner.steps.in_turn import descent_in_turn, descent_with_own_rates
from tinygrad_edu.clinic.examiner.steps.made_gradients import assigned_ones, gradients_are_made
from tinygrad_edu.clinic.examiner.steps.moments import moments_of, of_update
from tinygrad_edu.clinic.examiner.steps.scaled_steps import of_scaled_step
from tinygrad_edu.clinic.examiner.steps.several_updates import SeveralUpdates, is_one_gradient, samples_of
from tinygrad_edu.clinic.examiner.steps.step_walk import Walk
from tinygrad_edu.clinic.examiner.steps.unknown_rule import UNKNOWN, is_rule_of_its_own, shows_again, words_of_unknown
from tinygrad_edu.clinic.examiner.steps.update_mistakes import ASSIGNED, GROWING, RULES
from tinygrad_edu.clinic.examiner.steps.update_rules import UpdateRule
from tinygrad_edu.clinic.examiner.steps.update_step import (
    DECAY,
    FIRST_STEP,
    FoundRule,
    by_table,
    find_rule,
    right_rule,
    simple_rule,
    update_slip,
)
from tinygrad_edu.clinic.examiner.steps.used_gradients import Used, gradients_of_step
from tinygrad_edu.clinic.examiner.steps.verdict_reports import (
    LATE,
    SECOND,
    Examined,
    Known,
    has_penalty,
    plainest,
    rate_between,
    wrong_update,
)
from tinygrad_edu.clinic.examiner.steps.watch import Updates, Watched, readings, watch_updates

Array = np.ndarray[Any, Any]
STEPS = 3  # steps in a row: one identifies gradient descent, three tell momentum from Adam
UPDATES = 2  # wrong updates examined: what one sample leaves open (a target of 0), another may decide


@dataclass(eq=False)
class StepVerdict:
    """One step against the right gradients."""

    program: LearnerProgram
    learner: LearnerForward
    weights: dict[str, Array]
    new: dict[str, Array]
    lr: float | None
    recording: Recording
    states: tuple[list[Array], list[Array]]
    counts: list[int]
    gone: Sequence[str] = ()  # parameters that the step has discarded
    late: bool = False  # the second step changes them, not the first
    drawn: bool = False  # the step draws random numbers: of samples, perhaps
    loose: Mapping[str, float] = field(default_factory=dict)  # larger tolerances, by parameter
    watched: Watched | None = None  # the first step, change by change

    def report(self) -> BackpropReport:
        start = self.learner.checked_loss(self.weights)
        net, method, note = network_of(self.learner, self.weights, start)
        right = {n: np.asarray(total(net, n)) + np.zeros(x.shape) for n, x in self.weights.items()}
        if all(self.new[n].shape == x.shape for n, x in self.weights.items()):
            return self.by_walk(net, right, self.walk(right), method, note)
        return self.by_gradient(right)

    def by_late_walk(self, net: Any, right: dict[str, Array], walk: Walk, method: str, note: str) -> BackpropReport:
        """The first step changes nothing: right steps come after it, or each uses what the one before has computed."""
        rest = replace(walk, weights=walk.weights[1:], gradients=walk.gradients[1:])
        two = replace(walk, weights=walk.weights[:3], gradients=walk.gradients[:2])  # layers updated on the way back
        rule = right_rule(rest) if len(rest.gradients) > 1 else None
        rule = rule or by_table(two, [RULES["gradient_of_the_step_before"]])
        if rule is not None:
            return self.by_rule(net, right, rule, walk, method, f"The first step changes nothing. {note}".strip())
        return self.by_gradient(right)

    def by_walk(self, net: Any, right: dict[str, Array], walk: Walk, method: str, note: str) -> BackpropReport:
        """A rule that gives the steps; several updates in one; else the gradients that the first step implies."""
        if self.late:
            return self.by_late_walk(net, right, walk, method, note)
        rule = simple_rule(walk) or descent_with_own_rates(walk, self.recording, net)
        if rule is not None and net.penalties and (twice := self.penalty_again(right, rule)):
            return twice
        if rule is None or not rule.rule.right:
            several = self.several(net, right, method)
            if report := self.by_updates(several, net, right, walk, method, note):
                return report
            rule = rule or find_rule(walk, limits_of(self.recording, walk, factors_of(net, self.lr)))
        if rule is not None and rule.rule is GROWING and has_penalty(net):
            rule = None  # the loss's own penalty is in the step with the other sign
        if rule is not None:
            unsure = FIRST_STEP in rule.extra or (DECAY in rule.extra and has_penalty(net))
            later = self.at_second_point(walk) if unsure and method == "traced" else None
            return later or self.by_rule(net, right, rule, walk, method, note)
        if names := assigned_ones(self.weights, self.new, right, self.lr or self.rate(right)):
            return self.by_wrong_rule(ASSIGNED, names, net, walk, (right, method, note))
        if (used := gradients_of_step(self.recording, walk)) and not (report := self.by_used(used)).ok:
            return report
        report = self.by_gradient(right)
        factors = factors_of(net, self.lr)
        if not (report.has_proof and shows_again(report, walk)) and gradients_are_made(
            self.recording, right, factors, self.lr
        ):  # a factor without a reason explains nothing
            used = of_scaled_step(walk, factors)
            return self.by_used(used) if used else self.other_update(net, right, walk, method, note)
        return report

    def at_second_point(self, walk: Walk) -> BackpropReport | None:
        """A mistake with proof in the second step, which the first one hides: a penalty on a bias that begins at 0."""
        if self.lr is None or len(walk.weights) < 3:
            return None
        before, after = walk.weights[1:3]
        implied = {n: (x - after[n]) / self.lr for n, x in before.items()}
        report = judge(self.learner, before, Given(implied), self.lr, self.tolerances(before, implied))
        if report.ok or not report.has_proof or report.network is None:
            return None
        self.program.state.restore()
        self.program.step()
        second = replace(self, recording=record_run(self.program.step), weights=before, new=after)
        self.program.state.restore()
        report.followed, report.note = True, f"{SECOND} {report.note}".strip()
        second.add_places(report, report.network, None)
        return report

    def several(self, net: Any, right: dict[str, Array], method: str) -> list[SeveralUpdates]:
        """The updates of the step one by one, where it makes more than one, in each way to tell them apart."""
        leaves = {n: leaf for n, leaf in self.program.leaves().items() if n in self.weights}
        self.program.state.restore()
        self.watched = watch_updates(self.program.step, lambda: {n: self.program.held(x) for n, x in leaves.items()})
        self.program.state.restore()
        found = [*readings(self.watched)] if method == "traced" else []

        def walk(points: list[dict[str, Array]], gradients: list[dict[str, Array]]) -> Walk:
            return Walk(points, gradients, self.lr, self.program.plain_numbers(), ((), ()), (), self.single)

        if method != "traced" or self.gone:
            return []
        samples = samples_of(self.learner, self.weights, net, self.recording)
        few = len(samples.batches) == 1 or (self.drawn and samples.may_be_drawn)
        if not found and few:  # a single update that used only a part of the data
            one = SeveralUpdates(samples, Updates([self.weights, self.new], total=1), self.lr, walk)
            return [one] if one.is_likely(right) else []
        return [SeveralUpdates(samples, x, self.lr, walk) for x in found]

    def by_updates(
        self, ways: list[SeveralUpdates], net: Any, right: dict[str, Array], walk: Walk, method: str, note: str
    ) -> BackpropReport | None:
        """All of the updates are right, or the first that is not is examined on the samples that it was made on."""
        in_turn = descent_in_turn(self.watched, self.gradient_at, self.lr) if method == "traced" else None
        rule = in_turn or next((found for several in ways if (found := several.rule())), None)
        if rule is not None:
            return self.by_rule(net, right, rule, walk, method, note)
        of_all = bool(ways) and gradients_are_made(self.recording, right, [1.0], None)  # a decay, then the rest
        if not ways or of_all or is_one_gradient(self.weights, self.new, right):
            return None  # one gradient at one point, applied row by row
        several = max(ways, key=lambda x: x.clearness())
        k, chosen, report, scale = plainest([self.of_update(several, k) for k in several.wrong()[:UPDATES]])
        if not report.has_proof and several.are_made(self.recording):
            return self.all_right(net, right, method, f"{UNKNOWN} {note}".strip())
        report.followed = True
        report.note = f"{several.which(k, chosen)} {report.note}".strip()
        if report.network is not None and not report.ok:
            scale = scale if report.certain else several.scale_in_run(report.network, self.recording, k, chosen, scale)
            ends, batch = (several.points[k], several.points[k + 1]), several.batch(chosen, scale)
            rated = replace(self, lr=self.lr or rate_between(ends, report.given) / scale)
            rated.add_places(report, report.network, None, ends, batch=batch)
        return report

    def of_update(self, several: SeveralUpdates, k: int) -> list[Examined]:
        """One update on the samples that it was made on, once for each scale that the loss may have beside it."""
        chosen, found = several.nearest(k), []
        for rate, implied in several.implied(k, chosen):
            tolerances = self.tolerances(several.points[k], implied)
            report = judge(several.samples.of(chosen), several.points[k], Given(implied), self.lr and rate, tolerances)
            found.append((k, chosen, report, rate / (self.lr or rate)))
        return found

    def tolerances(self, weights: Mapping[str, Array], implied: Mapping[str, Array]) -> dict[str, float]:
        # ratio of the rounding errors of single and double precision
        lr, lost = self.lr or 1.0, 2e8 if self.single else 1.0
        exact = {n: self.tolerance + lost * rounding(x, implied[n], lr) for n, x in weights.items()}
        return {n: max(t, self.loose.get(n, 0.0)) for n, t in exact.items()}

    def walk(self, right: dict[str, Array]) -> Walk:
        """The step, a few times in a row, with the right gradient at each point."""
        weights, gradients = [self.weights, self.new], [right]
        numbers = self.program.plain_numbers()
        for k in range(1, STEPS):
            self.program.state.restore()
            try:
                for _ in range(k + 1):
                    self.program.step()
                held = self.program.numbers()
                now = {n: held[n] for n in self.weights}
                self.program.state.restore()
                gradients.append(self.gradient_at(weights[-1]))
            except Exception:  # the program may fail at later steps; use those that worked
                self.program.state.restore()
                break
            if any(now[n].shape != x.shape for n, x in self.weights.items()):
                break
            weights.append(now)
        return Walk(weights, gradients[: len(weights) - 1], self.lr, numbers, self.states, self.counts, self.single)

    @property
    def single(self) -> bool:
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
            return self.all_right(net, right, method, f"The step is {rule}. {note}".strip())
        names = [n for n, x in self.weights.items() if rule.rule is not ASSIGNED or np.any(x != self.new[n])]
        return self.by_wrong_rule(rule.rule, names, net, walk, (right, method, note))

    def all_right(self, net: Any, right: dict[str, Array], method: str, note: str) -> BackpropReport:
        zero = dict.fromkeys(self.weights, 0.0)
        return BackpropReport(zero, {}, [], right, right, method=method, note=note, network=net, followed=True)

    def penalty_again(self, right: dict[str, Array], rule: FoundRule) -> BackpropReport | None:
        """The report on a step that looks like one with weight decay, where the loss itself has that penalty.

        The loss's gradient holds λw already: to subtract it once more is not a decay, it is the penalty counted twice.
        """
        report = self.by_gradient(right) if DECAY in rule.extra else None
        slips = report.explanations[0] if report is not None and report.certain else ()
        again = [s.code == "regularisation_wrong" and not (s.mutant and s.mutant.chance) for s in slips]
        return report if again and all(again) else None

    def by_wrong_rule(
        self, rule: UpdateRule, names: Sequence[str], net: Any, walk: Walk, known: Known
    ) -> BackpropReport:
        """The gradients are right, and what is done with those of the named parameters is not."""
        report = wrong_update(net, known, walk, self.lr or 1.0, self.tolerance)
        report.explanations = [(update_slip(rule, names),)]
        self.add_places(report, net, walk, assigned=rule is ASSIGNED, adapts=rule.adapts)
        return report

    def other_update(self, net: Any, right: dict[str, Array], walk: Walk, method: str, note: str) -> BackpropReport:
        """The right gradients are made, and something that is not a known rule is done with them."""
        report = wrong_update(net, (right, method, note), walk, self.lr or 1.0, self.tolerance)
        if is_rule_of_its_own(self.recording, walk, report.wrong, factors_of(net, self.lr), self.lr):
            words = words_of_unknown(self.recording, right, self.lr)
            return self.all_right(net, right, method, f"{words} {note}".strip())
        self.add_places(report, net, walk)
        return report

    def by_gradient(self, right: dict[str, Array]) -> BackpropReport:
        """The gradients that the step implies, against the right ones."""
        lr = self.lr or self.rate(right)
        implied = {n: difference(x, self.new[n]) / lr for n, x in self.weights.items()}
        tolerances = self.tolerances(self.weights, implied)
        report = judge(self.learner, self.weights, Given(implied), self.lr, tolerances)
        report.followed = True
        if self.late:
            report.explanations, report.missing, report.note = [], (), LATE
        elif self.gone:
            report.explanations = []
            report.note = f"After the step {', '.join(self.gone)} is gone: what held it is shorter."
        elif report.missing:
            report.note = f"{words_of_missed(report.missing)} {report.note}".strip()
        if not report.ok and report.network is not None:
            self.add_places(report, report.network, None)
        report.places = report.places or lines_beside(report.missing, self.new, self.recording)
        return report

    def by_used(self, used: Used) -> BackpropReport:
        """The gradients that the step was made of, where what it subtracts are not they."""
        tolerances = dict.fromkeys(self.weights, self.tolerance)
        report = judge(self.learner, self.weights, Given(used.gradients), None, tolerances)
        report.followed, words = True, used.words
        if not report.ok and {*used.seen}.isdisjoint(report.wrong):  # the mistake is in gradients that are not clipped
            words = f"The step clips gradients to ±{used.limit:.6g}, which is right."
            cut = {n: np.clip(report.right[n], -used.limit, used.limit) for n in used.seen}
            self.add_places(report, report.network, None, also=cut)
        elif not report.ok and report.network is not None:
            add_places(report, self.recording, self.weights, self.lr)
        report.note = f"{words} {report.note}".strip()
        return report

    def rate(self, right: dict[str, Array]) -> float:
        return rate_of(self.program, self.weights, self.new, right)

    def add_places(
        self, report: BackpropReport, net: Any, walk: Walk | None, ends: tuple[Any, Any] | None = None, *,
        assigned: bool = False, adapts: bool = False, also: Mapping[str, Array] | None = None,
        batch: Batch | None = None,
    ) -> None:  # fmt: skip
        """The lines at which the step leaves what is right, from the changed parameters back.

        ends: the parameters before and after the update that is examined, by default those of the whole step.
        assigned, adapts: lr·g is not what belongs here, since it is assigned or the rule is that of Adam or the like.
        also: what else is subtracted rightly, by name: a clipped gradient. batch: the samples that it was made on.
        """
        if report.method != "traced":
            return
        before, after = ends or (self.weights, self.new)
        batch = batch or order_in(self.recording, net)
        lr = (self.lr or 1.0) * (batch.scale if batch is not None else 1.0)
        truth = truth_of(net, before, self.single, slack_of(report), batch)
        other = report.wrong if assigned or adapts else ()
        of_update(truth, before, lr, {n: g for n, g in report.right.items() if n not in other})
        of_update(truth, before, lr, also or {}, ", clipped")
        for n, x in moments_of(walk) if walk is not None else ():
            truth.add_whole(x, f"an average of ∂L/∂{n}")
        wrong = {n: after[n] for n in report.wrong if n not in report.missing}
        hints = hints_of(report, [after[n] for n in report.right if n not in wrong], updates=True, at_end=assigned)
        factors = [1.0, -1.0] if adapts else factors_of(net, self.lr)
        report.places = find_places(self.recording, truth, wrong, factors, deltas_of(net), hints)

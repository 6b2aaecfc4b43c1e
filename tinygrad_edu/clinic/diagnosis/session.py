"""The course of a diagnosis: train again from other seeds, look for certain faults, then try changes until one repairs.

Single changes come first, then sets of them, then a walk from a network that learns back to this one. The verdict says
of how many seeds it is true.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.clinic.diagnosis import fidelity, overfitting
from tinygrad_edu.clinic.diagnosis.beginning import with_its_start
from tinygrad_edu.clinic.diagnosis.causes.table import PROVED_OTHERWISE, texts_of
from tinygrad_edu.clinic.diagnosis.certain import certainties
from tinygrad_edu.clinic.diagnosis.combined import fewest_together, scales_before_work, steady, with_more_work
from tinygrad_edu.clinic.diagnosis.companions import SUSPECTED
from tinygrad_edu.clinic.diagnosis.explosion import tell_from_high_rate
from tinygrad_edu.clinic.diagnosis.facts.look import copies, principal, reconstructs
from tinygrad_edu.clinic.diagnosis.facts.measurements import Record
from tinygrad_edu.clinic.diagnosis.facts.subject import Subject
from tinygrad_edu.clinic.diagnosis.frozen import weights_that_stay
from tinygrad_edu.clinic.diagnosis.luck import bad_luck
from tinygrad_edu.clinic.diagnosis.mending import certain_causes
from tinygrad_edu.clinic.diagnosis.others import that_help_with_others
from tinygrad_edu.clinic.diagnosis.outdone import outdone_by_the_fitting_loss
from tinygrad_edu.clinic.diagnosis.proof import baseline as yardstick
from tinygrad_edu.clinic.diagnosis.proof.budget import NoTimeError
from tinygrad_edu.clinic.diagnosis.proof.goal import Goal, derive_goal, explicit_goal
from tinygrad_edu.clinic.diagnosis.proof.retrain import Trained, answers
from tinygrad_edu.clinic.diagnosis.proof.trial import short
from tinygrad_edu.clinic.diagnosis.proof.trials import Trials
from tinygrad_edu.clinic.diagnosis.represented import by_other_form
from tinygrad_edu.clinic.diagnosis.result import Diagnosis, FoundCause
from tinygrad_edu.clinic.diagnosis.single import by_lower_goal, single, try_usual_changes
from tinygrad_edu.clinic.diagnosis.symptoms.data import of_data
from tinygrad_edu.clinic.diagnosis.symptoms.network import of_network
from tinygrad_edu.clinic.diagnosis.symptoms.seeds import of_seeds
from tinygrad_edu.clinic.diagnosis.together import codes_together, tell_tried, with_fault, with_words
from tinygrad_edu.clinic.diagnosis.walk import walk_back

MOST_OF = 0.8  # share of other seeds that reach the goal if the run is healthy
MOSTLY = 0.5  # share of other seeds beyond which bad luck is more likely than a fault that few seeds survive
LUCK = 0.3  # share from which a run that reaches its goal is no exception
PLAIN = 2.0  # suspicion from which a cause is tried even in a good run
CLEAR = 1.5  # suspicion from which a cause is named before bad luck
LEAST = 0.1  # least share of the task that a goal asks for
MARGIN = 0.05  # margin by which the reference must beat permuted targets, and by which other seeds may miss a goal
NO_STRUCTURE = 0.3  # share reached by the reference below which the targets may be random


class DiagnosisSession:
    """One diagnosis."""

    def __init__(self, subject: Subject, goal: Any, seeds: Sequence[int], budget: float) -> None:
        self.subject, self.record, self.task = subject, Record(subject), subject.task
        self.trials = Trials(self.record, seeds, budget)
        self.wanted = goal
        self.random: str = ""  # why the targets look random; "" if they do not
        self.looked_at: set[str] = set()  # codes of causes

    def result(self) -> Diagnosis:
        """Make the diagnosis; the line of progress is taken away even if that fails."""
        try:
            return self.found()
        finally:
            self.trials.end()

    def found(self) -> Diagnosis:
        t = self.trials
        try:
            runs = self.first_runs()
        except NoTimeError as error:
            return self.not_trained(str(error))
        t = self.trials
        self.estimate = answers(self.subject.model, self.subject.setup, self.task)
        if not self.record.losses.size:  # of a network from another library only the weights are known
            self.record.losses = np.append(runs[0].losses, [np.nan] * runs[0].diverged)
        t.symptoms = of_data(self.record) + of_network(self.record)
        t.symptoms += of_seeds([np.append(run.losses, [np.nan] * run.diverged) for run in runs])
        try:
            t.judge_first(runs, self.goal([run.estimate for run in runs]))
        except NoTimeError as error:  # without a yardstick nothing can be said about how good the run is
            return self.not_trained(str(error), "There was no time to find out what can be reached")
        self.hit = not self.subject.diverged and t.bench.goal.is_reached(self.estimate, self.task)
        self.all_but = not self.hit and not self.subject.diverged and self.misses_by_chance()
        if not self.hit and (found := certain_causes(t)):
            return self.named(found)
        if other := fidelity.differs(self.subject, runs):
            return self.not_repeated(other)
        if causes := self.overfitted():
            return self.named(causes)
        good = (self.hit or self.all_but) and not self.random
        return self.of_good_run() if good else self.of_bad_run()

    def first_runs(self) -> list[Trained]:
        """Train the setup unchanged from other seeds, with weights drawn as those that the run began with."""
        runs = self.trials.first()
        if other := with_its_start(self.subject, runs):
            self.subject, self.record = other, Record(other)
            runs = self.trials.anew(self.record)
        return runs

    # Verdicts

    def of_good_run(self) -> Diagnosis:
        """The diagnosis of a run that reaches its goal: do other seeds reach it too, and is there a plain fault?"""
        t = self.trials
        if causes := self.held_back() or outdone_by_the_fitting_loss(t):
            return self.named(causes)
        t.not_checked += overfitting.tell_unchecked(self.subject)
        if t.as_is.share < MOST_OF and not self.near():
            t.as_is = t.extend(t.as_is)
        if t.as_is.share >= MOST_OF or self.near():
            misses = "misses the goal by less than its standard error" if self.all_but else "reaches the goal"
            return self.healthy(f"{self.healthy_so_far()}: this run {misses}")
        causes = single(t, SUSPECTED, self.looked_at) or fewest_together(t)
        if causes:
            return self.named(causes)
        if t.as_is.share >= LUCK:
            return self.healthy("This run reaches the goal")
        return self.card(True, [], f"This run reaches the goal ({self.measured()}) by luck: {self.others()}.")

    def of_bad_run(self) -> Diagnosis:
        """The diagnosis of a run that misses its goal: which single change, or which set of changes, repairs it."""
        t = self.trials
        if self.random:
            return self.named(by_other_form(t, self.random) or [self.labels_random()])
        if t.as_is.reached > 0:
            t.as_is = t.extend(t.as_is)
        if fidelity.all_others_learn(self.record, t.as_is):
            return self.not_repeated(fidelity.others_learn(t))
        lucky = self.unlucky()
        likely = bool(lucky)  # as the list may be emptied below
        causes = single(t, CLEAR if likely else SUSPECTED, self.looked_at, likely)
        if causes and likely and t.suspicion(causes[0].code) < CLEAR:
            causes, lucky = [*lucky, *causes], []
        first = [*causes, *lucky]
        causes = steady(t, scales_before_work(t, first)) or (walk_back(t) if t.slow else [])
        causes = causes or try_usual_changes(t, self.looked_at) or fewest_together(t) or walk_back(t) or lucky
        causes = causes or single(t, 1e-9, self.looked_at) or with_more_work(t)
        causes = causes or by_other_form(t, self.random) or by_lower_goal(t)
        return self.named(causes) if causes else self.nothing()

    def held_back(self) -> list[FoundCause]:
        """The plain faults of a run that is good enough, if mending one brings it to all that is possible."""
        t = self.trials
        before = t.bench.goal
        if before.derived is None or t.suspects()[0][0] < PLAIN or self.random:
            return []
        t.by(derive_goal(1.0, yardstick.POSSIBLE.source, self.task))
        causes = [] if t.as_is.reached else that_help_with_others(t, single(t, PLAIN, self.looked_at))
        if not causes:
            t.by(before)
            self.looked_at.clear()
        return causes

    def misses_by_chance(self) -> bool:
        """Is a derived goal missed by less than its standard error, while other seeds of the same setup reach it?"""
        goal, as_is = self.trials.bench.goal, self.trials.as_is
        if goal.derived is None or as_is.reached == 0:
            return False
        away = goal.number - goal.worth(self.estimate, self.task)
        return away < goal.error(self.estimate, self.task) and self.near()

    def near(self) -> bool:
        """Is the median of the other seeds at the goal, or below it by little?"""
        goal = self.trials.bench.goal
        room = MARGIN * abs(goal.number) if goal.measure in ("r2", "accuracy") else 0.1 * abs(goal.number)
        aim = goal.number if goal.measure in ("r2", "accuracy") else -goal.number
        return bool(np.median(self.trials.as_is.worths) >= aim - room)

    # The goal

    def goal(self, estimates: Sequence[Any]) -> Goal:
        """The goal: the user's, or one derived from a yardstick, or the best possible if that is reached anyway."""
        setup, task = self.subject.setup, self.task
        if self.wanted is not None:
            return explicit_goal(self.wanted, setup, task)
        most = derive_goal(1.0, yardstick.POSSIBLE.source, task)
        if most.is_reached(self.estimate, task) and any(most.is_reached(e, task) for e in estimates):
            return most
        if reconstructs(task) and len(setup.sizes) > 2 and task.X.ndim == 2:
            width = min(setup.sizes[1:-1])
            share = min(principal(task, width), 1.0)
            source = f"the first {width} principal components, the best linear code of that width"
            return derive_goal(share, source, task)
        if setup.own_loss and setup.estimator is None and not task.classes and not certainties(self.record):
            return yardstick.loss_goal(setup, task, self.trials.bench.budget)
        return self.compared(most)

    def compared(self, most: Goal) -> Goal:
        """A goal derived from the reference network and the nearest neighbours."""
        rows = self.record.flat
        if rows is None or not len(rows.X) or np.ptp(rows.X) == 0.0:
            return most
        found = yardstick.measure_baseline(self.record, self.trials.bench.budget)
        if found.share < NO_STRUCTURE and rows.samples >= yardstick.FEWEST:
            if weak := yardstick.weak_relation(rows):
                return derive_goal(*max((found.share, found.source), (weak, yardstick.LINEAR)), self.task)
            self.look_for_structure(found.own)
        return derive_goal(max(found.share, LEAST), found.source, self.task)

    def look_for_structure(self, share: float) -> None:
        """Set `random` if the reference and the nearest samples tell no more of the targets than of permuted ones."""
        assert self.record.flat is not None
        told, chance = self.record.neighbours
        if told > max(chance, 0.0) + MARGIN:
            return
        try:
            permuted = yardstick.of_permuted(self.record.flat, self.trials.bench.budget)
        except NoTimeError:
            self.trials.bench.budget.cut.append("labels_random")
            return
        if share <= max(permuted) + MARGIN:
            self.random = (
                f"a network that learns such tasks explains {max(share, 0.0):.1%} of the targets of held-out samples, "
                f"and of permuted targets {max(min(permuted), 0.0):.1%} to {max(*permuted, 0.0):.1%}"
            )

    def labels_random(self) -> FoundCause:
        sentence, remedy = PROVED_OTHERWISE["labels_random"]
        seen = " ".join(s.sentence for s in self.trials.symptoms if s.code == "no_structure")
        return FoundCause("labels_random", sentence, seen, f"{self.random}.", remedy)

    # causes that no single trial of the table proves

    def overfitted(self) -> list[FoundCause]:
        """The validation curve turns up, though the training samples are learned."""
        losses = self.subject.losses
        learned = self.hit or (len(losses) > 1 and losses[-1] < 0.5 * losses[0])
        return overfitting.prove_overfitting(self.trials) if learned else []

    def unlucky(self) -> list[FoundCause]:
        """This run failed, and most others of the same setup do not."""
        return [] if self.hit or self.trials.as_is.share <= MOSTLY else [bad_luck(self.trials, self.measured())]

    # endings

    def measured(self) -> str:
        goal, where = self.trials.bench.goal, overfitting.samples_judged(self.subject)
        return f"{goal.measure} {goal.measured(self.estimate, self.task):.3g} on {where}, goal {goal.number:.3g}"

    def healthy_so_far(self) -> str:
        """The word, with its limit where a score on training samples is all that speaks for the run."""
        unknown = any(row.startswith("overfitting") for row in self.trials.not_checked)
        return "Healthy as far as training goes" if unknown else "Healthy"

    def others(self) -> str:
        as_is = self.trials.as_is
        low, high = as_is.interval
        return f"{as_is.reached} of {as_is.count} other seeds do (90% interval {low:.0%} to {high:.0%})"

    def healthy(self, verdict: str) -> Diagnosis:
        as_is = self.trials.as_is
        if as_is.share < MOST_OF and self.near():
            middle = abs(float(np.median(as_is.worths)))
            rest = f"and other seeds reach {middle:.3g} in the median"
        else:
            rest = f"and so do {self.others().replace(' other seeds do', ' other seeds')}"
        return self.card(True, [], with_fault(f"{verdict} ({self.measured()}), {rest}.", self.trials.symptoms))

    def nothing(self) -> Diagnosis:
        """No change does significantly better."""
        as_is = self.trials.as_is
        hasty = any(row.endswith("no time left") for row in self.trials.not_checked)
        rest = "; there was no time for some: give a larger budget_s" if hasty else ""
        if as_is.reached:
            rest += f"; with nothing changed, {as_is.reached} of {as_is.count} other seeds reach it"
        verdict = (
            f"The run misses the goal ({self.measured()}), and none of the changes that were tried fixes it{rest}."
        )
        return self.card(False, [], verdict)

    def named(self, causes: list[FoundCause]) -> Diagnosis:
        causes, goal = tell_from_high_rate(self.trials, causes), self.trials.bench.goal
        reaches = not self.subject.diverged and goal.is_reached(self.estimate, self.task)
        code = causes[0].code
        verdict = f"The run misses the goal ({self.measured()})"
        if code == "overfitting":
            verdict = f"The run learns ({self.measured()}), but gets worse on others"
        elif code == "labels_random":
            verdict = f"There is nothing for the run to learn ({self.measured().partition(',')[0]})"
        elif reaches:
            verdict = f"This run reaches the goal by luck ({self.measured()}); {self.others()}"
        return self.card(False, causes, f"{verdict}: {codes_together(causes)}.")

    def not_trained(self, why: str, unknown: str = "There was no time to train it again") -> Diagnosis:
        """Not even as it is, or with no goal: what one pass shows, and what the data show, is all there is."""
        t, record = self.trials, self.record
        late = t.bench.budget.clock_left <= 0.0  # passes through the network may take long
        t.symptoms = of_data(record) + (of_network(record) if record.losses.size and not late else [])
        found = [
            FoundCause(code, texts_of(code)[0], certainty.seen, certainty.proof, texts_of(code)[1])
            for code, certainty in certainties(record).items()
        ]
        t.not_checked.append(f"every cause that is proved by training again: {why}")
        said = f"The run cannot learn: {found[0].code}" if found else unknown
        return Diagnosis(
            False if found else None, found, None, f"{said}; budget_s={t.budget:g}.", t.symptoms, [], t.not_checked,
            time.perf_counter() - t.began, self.subject.setup, self.task, self.subject.model,
        )  # fmt: skip

    def not_repeated(self, how: str) -> Diagnosis:
        """Diagnosis of a run that repetitions do not reproduce: only frozen weights can be proved to be its cause."""
        if self.subject.fixed and not self.hit and self.trials.as_is.share >= MOST_OF:
            return self.named([weights_that_stay(self.subject, self.trials.as_is)])
        self.trials.not_checked.append("every cause that is proved by training again")
        self.trials.not_checked += [fidelity.UNTOLD] * fidelity.relies_on_words(self.subject)
        return self.card(None, [], f"My repetition does not repeat your run: {how}.")

    def card(self, healthy: bool | None, causes: list[FoundCause], summary: str) -> Diagnosis:
        t, setup = self.trials, self.subject.setup
        causes = with_words(causes, setup)
        named = {cause.code for cause in causes} | {cause.trial.code for cause in causes if cause.trial}
        tried = [x for x in t.done if x.code not in named and not x.beats(t.as_is)] if healthy is False else []
        return Diagnosis(
            healthy, causes, t.bench.goal, summary, t.symptoms, tell_tried(tried), [*self.unchecked()],
            time.perf_counter() - t.began, self.subject.setup, self.task, self.subject.model, short(t.as_is),
        )  # fmt: skip

    def unchecked(self) -> Iterator[str]:
        """What was not checked, and why."""
        yield from self.trials.bench.budget.notes()
        yield from dict.fromkeys([*self.trials.not_checked, *self.trials.bench.failed])
        if copies(self.task):
            yield f"copies: many of the {self.task.samples} samples occur more than once; each counts once here"
        if self.task.samples < yardstick.FEWEST:
            few = f"{self.task.samples} samples are" if self.task.samples > 1 else "one sample is"
            yield f"labels_random: {few} too few to tell"
        if self.subject.setup.pattern is not None and not self.subject.plain:
            yield "causes that need another structure: this is not an nn.MLP, so only its training was varied"

"""The result of a diagnosis: causes with their proofs, best first, as text, as HTML, and as repaired settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from textwrap import wrap
from typing import Any

import numpy as np

from tinygrad_edu.clinic.diagnosis.card import card
from tinygrad_edu.clinic.diagnosis.facts.setup import Setup
from tinygrad_edu.clinic.diagnosis.facts.task import Task
from tinygrad_edu.clinic.diagnosis.proof.goal import Goal
from tinygrad_edu.clinic.diagnosis.proof.retrain import Trained
from tinygrad_edu.clinic.diagnosis.proof.trial import Trial
from tinygrad_edu.clinic.diagnosis.repair import apply_setup
from tinygrad_edu.clinic.diagnosis.repair import repair_model as repair_model
from tinygrad_edu.clinic.diagnosis.symptoms.symptom import Symptom
from tinygrad_edu.core.methods.spellings import Missing, tell
from tinygrad_edu.elsewhere import instead_of
from tinygrad_edu.errors import SettingError
from tinygrad_edu.nn.module import Module
from tinygrad_edu.pen import check_attributes

Array = np.ndarray[Any, Any]
WIDTH = 96  # columns; a case indents the card by four


@check_attributes
@dataclass(frozen=True)
class FoundCause:
    """A cause that was proved.

    code: its name, such as "lr_too_high".
    sentence: what is wrong.
    evidence: what was measured.
    proof: what training again showed.
    remedy: what to do.
    change: the settings that repair it.
    trial: the runs of the proof.

    >>> print(*FoundCause("a_cause", "It is wrong.", "Seen.", "0 of 5; then 5 of 5.", "Mend it.").lines(1), sep="\\n")
    1. a_cause: It is wrong.
       Seen: Seen.
       Proof: 0 of 5; then 5 of 5.
       Remedy: Mend it.
    """

    code: str
    sentence: str
    evidence: str
    proof: str
    remedy: str
    change: Mapping[str, Any] = field(default_factory=dict)
    trial: Trial | None = field(default=None, repr=False, compare=False)

    def lines(self, number: int) -> list[str]:
        """Its part of the card."""
        text = [f"{number}. {self.code}: {self.sentence}"]
        rows = (("Seen", self.evidence), ("Proof", self.proof), ("Remedy", self.remedy))
        return text + [f"   {name}: {each}" for name, each in rows if each]


@check_attributes
@dataclass
class Diagnosis:
    """What `diagnose` found.

    healthy: whether the run learned, or nothing that was tried does better; None for a curve alone.
    causes: each a FoundCause, best first.
    tried_without_effect: a sentence for each change that did not help.
    not_checked: a sentence for each thing that was not looked at, and why.
    goal: a Goal, with its number and a sentence.
    symptoms: everything that was measured, with or without a proof.
    seconds: how long it took.

    >>> from tinygrad_edu.clinic import diagnose_curve
    >>> found = diagnose_curve([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0])
    >>> found.healthy, found.causes, found.symptoms[0].code
    (None, [], 'divergence')
    """

    healthy: bool | None
    causes: list[FoundCause]
    goal: Goal | None = None
    summary: str = ""
    symptoms: list[Symptom] = field(default_factory=list)
    tried_without_effect: list[str] = field(default_factory=list)
    not_checked: list[str] = field(default_factory=list)
    seconds: float = 0.0
    setup: Setup | None = field(default=None, repr=False)
    task: Task | None = field(default=None, repr=False)
    model: Module | None = field(default=None, repr=False)
    as_is: str = ""

    def apply(self) -> tuple[dict[str, Any], Module]:
        """(the repaired settings, the trained model): of the first cause's proof, the best of its runs.

        The model takes X as it was given; where inputs or targets are scaled, it does that itself. Of an estimator it
        is one too: it has predict, predict_proba and score, and `.estimator` is a fitted one of the user's library.
        Errors: SettingError where no change repairs it.
        """
        if self.setup is None or self.task is None or self.model is None:
            raise SettingError("apply(): a loss curve has no model and no data; use diagnose(run)")
        if self.healthy:
            return settings_by_name(self.setup, {}), self.model
        trial = self.causes[0].trial if self.causes else None
        if trial is None:
            what = self.causes[0].code if self.causes else "an unknown cause"
            raise SettingError(f"apply(): no change of settings is known to fix {what}")
        best = max(zip(trial.worths, range(trial.count), strict=True))[1]
        run: Trained = trial.runs[best]
        return settings_by_name(trial.setup, {"seed": run.seed}), apply_setup(
            run.model, trial.setup, self.task, self.setup, run.seed
        )

    def __str__(self) -> str:
        return "\n".join(self.lines())

    __repr__ = __str__

    def lines(self) -> list[str]:
        """The card."""
        text = [self.summary]
        text += [f"Goal: {self.goal.sentence}."] if self.goal else []
        for number, cause in enumerate(self.causes, 1):
            text += ["", *cause.lines(number)]
        # what was seen is told as evidence, unless a change helps of which nothing was seen
        told = bool(self.causes) and self.healthy is False and all(cause.evidence for cause in self.causes)
        unused = [] if told else [s.sentence for s in self.symptoms if not self.tells(s)]
        for title, rows in (
            ("Noticed:", unused),
            (f"Tried, not proved ({self.as_is}):" if self.as_is else "Tried, not proved:", self.tried_without_effect),
            ("Not checked:", self.not_checked),
        ):
            text += ["", title, *(f"   {row}" for row in rows)] if rows else []
        return [line for part in text for line in wrap_line(part)]

    def tells(self, symptom: Symptom) -> bool:
        """Is a symptom the evidence of a cause that was proved?"""
        return any(symptom.sentence in cause.evidence for cause in self.causes)

    def _repr_html_(self) -> str:
        return card(self)


def wrap_line(line: str) -> list[str]:
    """A line of the card in lines of its width."""
    indent = " " * (len(line) - len(line.lstrip()) + 3)
    return wrap(line.lstrip(), WIDTH, initial_indent=indent[3:], subsequent_indent=indent) or [""]


def settings_by_name(setup: Setup, more: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a setup by name, apart from the network itself."""
    return {**{k: v for k, v in vars(setup).items() if k != "pattern"}, **more}


tell(Diagnosis, instead_of("clinic.Diagnosis"), Missing)

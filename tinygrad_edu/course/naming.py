"""Which mistake it was: what gives the learner's numbers on every random input is named, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.check import check_backprop
from tinygrad_edu.course import relations, suspects
from tinygrad_edu.course.exercise import Exercise, world_of
from tinygrad_edu.course.suspects import Suspect
from tinygrad_edu.errors import TinygradError

Array = np.ndarray[Any, Any]
CHANGED = 1e-6  # relative difference from which a mistake is visible in a result
Numbers = Sequence[Mapping[str, Any]]  # one mapping per case: name of a result -> numbers


@dataclass(frozen=True)
class Finding:
    """A mistake, and the results that it explains; `variables`: what the wrong lines compute, where that is known."""

    code: str
    sentence: str
    names: tuple[str, ...]
    variables: tuple[str, ...] = ()


@dataclass(frozen=True)
class Findings:
    """The mistakes found: `each` explains a part, all of them `together` the whole, or "one of" them the whole."""

    how: str = "each"
    mistakes: tuple[Finding, ...] = ()
    unknown: tuple[str, ...] = ()

    @property
    def codes(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(finding.code for finding in self.mistakes))

    def lines(self) -> list[str]:
        """For the learner."""
        if not self.mistakes:
            return ["No known mistake gives these numbers: check each step against the formulas of the exercise."]
        many = len({finding.sentence for finding in self.mistakes}) > 1
        if self.how != "each":
            words = {"one of": "one of these mistakes", "together": "these mistakes, made together"}[self.how]
            lines = [f"Your numbers are those of {words if many else 'this mistake'}:"]
            return lines + [f"  {sentence}" for sentence in dict.fromkeys(f.sentence for f in self.mistakes)]
        whose = "Some of your numbers" if self.unknown else "Your numbers"
        lines = [f"{whose} are those of {'these mistakes' if many else 'this mistake'}:"]
        for sentence in dict.fromkeys(f.sentence for f in self.mistakes):
            names = dict.fromkeys(name for f in self.mistakes if f.sentence == sentence for name in f.names)
            lines.append(f"  {', '.join(names)}: {sentence}")
        unknown = ", ".join(self.unknown)
        return lines + ([f"  {unknown}: no known mistake gives these numbers."] if unknown else [])


@dataclass
class Evidence:
    """A learner's numbers beside the right ones, and what each suspect gives, computed once.

    names: all results that the learner gives as arrays. wrong: those of them that are not right.
    """

    exercise: Exercise
    inputs: Sequence[Mapping[str, Any]]
    got: Numbers
    right: Numbers
    names: Sequence[str]
    wrong: Sequence[str]
    known: dict[Suspect, Numbers] = field(default_factory=dict)

    def numbers(self, suspect: Suspect) -> Numbers:
        if suspect not in self.known:
            self.known[suspect] = [suspect.results(self.exercise, case) for case in self.inputs]
        return self.known[suspect]

    def begins_alike(self, suspect: Suspect) -> bool:
        """Does it give one wrong result of the first case? Most suspects are cleared by that."""
        first = suspect.results(self.exercise, self.inputs[0])
        return any(name in first and relations.are_the_same(self.got[0][name], first[name]) for name in self.wrong)

    def explains(self, suspect: Suspect) -> list[str]:
        """The wrong results whose numbers it gives in every case, and which it changes."""
        theirs = self.numbers(suspect)
        return [
            name
            for name in self.wrong
            if all(
                name in t and relations.are_the_same(g[name], t[name]) for g, t in zip(self.got, theirs, strict=True)
            )
            and self.changes(suspect, name)
        ]

    def changes(self, suspect: Suspect, name: str) -> bool:
        """Does it change this result?"""
        pairs = zip(self.numbers(suspect), self.right, strict=True)
        return any(name not in t or not relations.are_the_same(t[name], r[name], CHANGED) for t, r in pairs)

    def at_odds(self, suspect: Suspect, some: Sequence[str]) -> bool:
        """Would it also change a result that it does not explain?"""
        return any(self.changes(suspect, name) for name in self.names if name not in some)

    def cases(self, name: str) -> list[relations.Case]:
        parts = zip(self.got, self.right, self.inputs, strict=True)
        return [relations.Case(name, got[name], np.asarray(right[name]), right, given) for got, right, given in parts]


def find_mistakes(evidence: Evidence) -> Findings:
    """The mistakes that give the learner's numbers.

    In this order: one classic mistake for all that is wrong; several, each for a part; two together; then for what is
    left the relation to the right numbers, and small changes of the solution; last, what the examiner says.
    """
    classics = suspects.classics(evidence.exercise)
    found = explain_all(evidence, classics) or cover(evidence, classics) or together(evidence)
    if found is None:
        found = partly(evidence, classics)
    return found if found.mistakes else ask_examiner(evidence)


def explain_all(evidence: Evidence, given: Iterable[Suspect], how: str = "one of") -> Findings | None:
    """The suspects that explain everything that is wrong, without contradicting anything else."""
    fit = [s for s in given if len(evidence.explains(s)) == len(evidence.wrong)]
    fit = [s for s in fit if not evidence.at_odds(s, evidence.wrong)]
    if not fit:
        return None
    chosen = fit if how == "one of" else fit[:1]
    return Findings(how, tuple(f for s in chosen for f in findings_of(s, evidence.wrong)))


def findings_of(suspect: Suspect, names: Sequence[str]) -> list[Finding]:
    variables = suspect.variables or ((),) * len(suspect.codes)
    parts = zip(suspect.codes, suspect.sentences, variables, strict=True)
    return [Finding(code, sentence, tuple(names), changed) for code, sentence, changed in parts]


def cover(evidence: Evidence, given: Iterable[Suspect]) -> Findings | None:
    """Several, each of which explains a part and spoils nothing else, so that all is explained."""
    found, rest = parts(evidence, given, evidence.wrong, odd=False)
    return Findings("each", tuple(found)) if not rest else None


def parts(
    evidence: Evidence, given: Iterable[Suspect], rest: Sequence[str], odd: bool
) -> tuple[list[Finding], list[str]]:
    """(findings for `rest`, what of it is left); `odd`, those that would spoil another result too, as the last."""
    explained = {suspect: evidence.explains(suspect) for suspect in given}
    ranked = sorted(
        ((evidence.at_odds(suspect, some), -len(some), suspect) for suspect, some in explained.items() if some),
        key=lambda each: each[:2],
    )
    found: list[Finding] = []
    left = list(rest)
    for at_odds, _, suspect in ranked:
        mine = [name for name in explained[suspect] if name in left]
        if mine and (odd or not at_odds):
            found += findings_of(suspect, mine)
            left = [name for name in left if name not in mine]
    return found, left


def together(evidence: Evidence) -> Findings | None:
    """Two classic mistakes at once."""
    return explain_all(evidence, filter(evidence.begins_alike, suspects.pairs(evidence.exercise)), "together")


def partly(evidence: Evidence, classics: Sequence[Suspect]) -> Findings:
    """Explanations of parts: classic mistakes, relations to the right numbers, small changes of the solution."""
    found, rest = parts(evidence, classics, evidence.wrong, odd=False)
    related = {name: relations.relation(evidence.cases(name)) for name in rest}
    small = [s for s in suspects.small_changes(evidence.exercise) if evidence.begins_alike(s)]
    if not found and None in related.values():
        one = explain_all(evidence, small, "together")
        if one is not None:
            return one
    for name, said in related.items():
        found += [Finding(*said, (name,))] if said else []
    rest = [name for name in rest if related[name] is None]
    for given, odd in ((small, False), (classics, True), (small, True)):
        more, rest = parts(evidence, given, rest, odd)
        found += more
    return Findings("each", tuple(found), tuple(rest))


def ask_examiner(evidence: Evidence) -> Findings:
    """The clinic's explanation of these gradients, if it is certain."""
    exercise, case, got = evidence.exercise, evidence.inputs[0], evidence.got[0]
    found = {input_of(name): got[name] for name in evidence.names if input_of(name) in case}
    params = {name: np.asarray(case[name], dtype=float) for name in found}
    rest = {name: x for name, x in case.items() if name not in params}
    seed = next((rest[name] for name in rest if name.startswith("d")), None)
    forward = world_of(exercise, None).get("forward")
    unknown = Findings("each", (), tuple(evidence.wrong))
    if forward is None or not params or any(x.shape != params[name].shape for name, x in found.items()):
        return unknown

    def loss(p: Mapping[str, Any]) -> Any:
        given = {**rest, **p}
        y = forward(**{name: given[name] for name in exercise.parameters["forward"] if name in given})
        return y if seed is None else np.sum(seed * y)

    try:
        report = check_backprop(loss, params, found)
    except (TinygradError, ArithmeticError, ValueError, TypeError):
        return unknown
    certain = [slip for slip in report.slips if slip.certain]
    if not certain:
        return unknown
    said = f"{certain[0].sentence} {certain[0].fix}".strip()
    return Findings("together", (Finding(certain[0].code, said, tuple(evidence.wrong)),))


def input_of(gradient: str) -> str:
    """x of dx, a of d_a."""
    return gradient[1:].lstrip("_") if gradient.startswith("d") else gradient

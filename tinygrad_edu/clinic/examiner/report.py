"""What the examiner says: a card that a beginner can read, and the same as HTML and as a picture."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.clinic.examiner.catalogue import Mutant, letters
from tinygrad_edu.clinic.examiner.forward.layout import ROWS, in_layout, layout_of
from tinygrad_edu.clinic.examiner.forward.network import Network
from tinygrad_edu.clinic.examiner.lines.lines import FoundPlace
from tinygrad_edu.pen import check_attributes

if TYPE_CHECKING:
    from tinygrad_edu.draw import Drawing

Array = np.ndarray[Any, Any]
SCOPE = {
    "": "",
    "own": " Only in this layer's own gradients: what it passes to the layer below is right.",
    "below": " Only in what it passes to the layer below: this layer's own gradients are right.",
}
EXAMPLES = 3  # entries shown side by side
RULED_OUT = "Your backward was run at other weights too. There these are ruled out, which give the same numbers here:"
ALIKE = "None of the other weights that were tried tells them apart: on this data they are the same."


@check_attributes
@dataclass(frozen=True)
class FoundSlip:
    """A mistake that gives the learner's numbers (`certain`), or the one that comes nearest.

    code: its name in the catalogue.
    where: the layer.
    name: the learner's own name of the array that it is about.
    explains: the parameters whose gradients it changes.
    residual: ‖learner's - mistake's‖ / ‖learner's‖, the largest of all gradients.
    line: the formula as the learner has it.
    right: the formula as it should be.

    >>> from tinygrad_edu.clinic import check_backprop
    >>> x, W = np.array([[1.0, 2.0]]), np.array([[0.5], [-1.0]])
    >>> slip = check_backprop(lambda p: np.sum((x @ p["W"]) ** 2), {"W": W}, {"W": -2 * x.T @ (x @ W)}).slips[0]
    >>> slip.code, slip.explains, slip.certain
    ('sign_flipped', ('W',), True)
    """

    code: str
    where: str
    name: str
    explains: tuple[str, ...]
    residual: float
    certain: bool
    sentence: str
    fix: str
    line: str
    right: str
    example: str = ""
    mutant: Mutant | None = field(default=None, repr=False, compare=False)

    def __str__(self) -> str:
        return f"{self.code} in the {self.where}".replace("the every", "every").replace("the the", "the")


@check_attributes
@dataclass
class BackpropReport:
    """What `check_backprop` found.

    `ok` says whether every gradient is right. `slips` holds the mistakes that give the wrong numbers, best first: those
    of the best explanation, then those of others that give the same numbers. `unexplained` holds the names whose wrong
    gradient no certain mistake gives.

    errors: name → relative error of its gradient.
    wrong: the same, of the wrong gradients only.
    explanations: tuples of one or two mistakes that together give the numbers; the best first.
    given: name → the learner's gradient.
    right: name → the right gradient.
    method: "traced", or "finite differences" where the forward could not be traced.
    note: a remark for the reader, if any.
    probe: parameters at which two explanations differ.
    alike: they gave the same numbers at all other parameters that were tried.
    ruled_out: mistakes that give the same numbers here, and not at other parameters, where the backward was run too.
    places: lines of the learner's backward, best first, where it was handed over as a callable and could be followed.
    followed: could it be followed?
    missing: names with no gradient, or one that is 0 throughout.
    kept: names of the lowest layers with no gradient, which are taken for frozen and not judged.
    update_alone: are the gradients right, and what a step makes of them is not?
    noted: is the mistake explained in `note`, and not in the catalogue?

    >>> from tinygrad_edu.clinic import check_backprop
    >>> x, W = np.array([[1.0, 2.0]]), np.array([[0.5], [-1.0]])
    >>> report = check_backprop(lambda p: np.sum((x @ p["W"]) ** 2), {"W": W}, {"W": -2 * x.T @ (x @ W)})
    >>> report.ok, report.wrong, report.certain, report.method
    (False, {'W': 2.0}, True, 'traced')
    """

    errors: dict[str, float]
    wrong: dict[str, float]
    explanations: list[tuple[FoundSlip, ...]]
    given: dict[str, Array] = field(repr=False)
    right: dict[str, Array] = field(repr=False)
    predicted: dict[str, Array] = field(default_factory=dict, repr=False)
    method: str = "traced"
    note: str = ""
    probe: Any = None
    alike: bool = False
    ruled_out: tuple[str, ...] = ()
    network: Network | None = field(default=None, repr=False)
    places: list[FoundPlace] = field(default_factory=list)
    followed: bool = False
    missing: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    update_alone: bool = False
    noted: bool = False
    raw: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def ok(self) -> bool:
        return not self.wrong

    @property
    def slips(self) -> list[FoundSlip]:
        unique = {(s.code, s.where, s.name, s.line): s for e in reversed(self.explanations) for s in reversed(e)}
        return list(reversed(unique.values()))

    @property
    def certain(self) -> bool:
        return bool(self.explanations) and all(slip.certain for slip in self.explanations[0])

    @property
    def has_proof(self) -> bool:
        """A mistake is certain, and no number in it was fitted to the learner's."""
        return self.certain and not any(slip.mutant and slip.mutant.chance for slip in self.explanations[0])

    @property
    def unexplained(self) -> list[str]:
        return [] if self.certain else list(self.wrong)

    def keep_common(self, others: Iterable[tuple[FoundSlip, ...]]) -> bool:
        """Keep of the explanations those that are among these others too, if any is."""
        known = {tuple((slip.code, slip.line) for slip in e) for e in others}
        common = [e for e in self.explanations if tuple((slip.code, slip.line) for slip in e) in known]
        self.explanations = common or self.explanations
        return bool(common)

    def __str__(self) -> str:
        return "\n".join(self.lines())

    __repr__ = __str__

    def headline(self) -> str:
        """How many gradients are right."""
        count = len(self.errors)
        if self.ok:
            return f"All {count} gradients are right." if count > 1 else "The gradient is right."
        if self.update_alone:
            return f"The gradients are right, the update of {', '.join(self.wrong)} is not."
        right = count - len(self.wrong)
        return (
            f"{right} of {count} gradients are right, {len(self.wrong)} wrong."
            if count > 1
            else "The gradient is wrong."
        )

    def lines(self) -> list[str]:
        """The card."""
        width = max(map(len, self.errors), default=1)
        table = [
            f"  {name:<{width}}  {'WRONG' if name in self.wrong else 'right'}  relative error {error:.2g}"
            for name, error in self.errors.items()
        ]
        return [self.headline(), *([self.note] if self.note else []), "", *table, *self.slip_lines()]

    def slip_lines(self) -> list[str]:
        if self.ok:
            return []
        if self.unwritten:
            found = [f"If they are computed: {slip}. {slip.sentence}" for e in self.explanations[:1] for slip in e]
            return ["", self.nothing_yet(), *found, *self.place_lines()]
        if not self.explanations and self.note.startswith("Right to"):
            return ["", *self.numbers()]
        if not self.explanations:
            return ["", *self.unnamed(), *self.place_lines(), "", *self.numbers()]
        found = ["", self.verdict()]
        for slip in self.explanations[0]:
            found += ["", *slip_card(slip)]
        found += [*self.place_lines(), "", *self.numbers(), *self.others()]
        return found

    @property
    def unwritten(self) -> bool:
        """Are all wrong gradients missing or 0, as in an exercise that has not been started?"""
        return bool(self.missing) and set(self.missing) == set(self.wrong)

    def nothing_yet(self) -> str:
        names = ", ".join(self.missing)
        given = [n for n in self.missing if n in self.given]
        one, zero = len(self.missing) == 1, len(given) == len(self.missing)
        if one:
            return f"The gradient of {names} is {'0 everywhere' if zero else 'missing'}. Not written yet?"
        return f"The gradients of {names} are {'all 0' if zero else 'missing'}. Not written yet?"

    def unnamed(self) -> list[str]:
        """What to say if no mistake of the catalogue explains the numbers."""
        if self.noted:
            return ["Look at this line:" if len(self.places) == 1 else "Look at these lines:"] if self.places else []
        if self.places:
            return ["This mistake is not in the catalogue. Look at these lines:"]
        text = "This mistake is not in the catalogue."
        if not self.followed:
            return [text + " For the line, pass your backward itself: check_backprop(forward, params, backward)."]
        return [text + " The line where it happens was not found."]

    def place_lines(self) -> list[str]:
        return [line for place in self.places for line in ["", *(f"  {x}" for x in str(place).split("\n"))]]

    def verdict(self) -> str:
        """The verdict in one sentence: how many mistakes give the numbers, and how closely."""
        if not self.explanations:
            return self.lines()[0]
        count = len(self.explanations[0])
        residual = self.explanations[0][0].residual
        if self.certain:
            slips = "One mistake gives" if count == 1 else "Two mistakes together give"
            return f"{slips} exactly your numbers (to {max(residual, 1e-16):.0e}):"
        return (
            "No mistake in the catalogue, and no two together, give your numbers. "
            f"The closest one, only as a hint (it misses them by {residual:.1%}):"
        )

    def numbers(self) -> list[str]:
        """Entries of a wrong gradient: the learner's, the right ones, and those of the mistake."""
        name = next((n for n in self.wrong if n in self.given), "")
        if not name:
            return []
        given, right = self.given[name], self.right[name]
        if given.shape != right.shape:
            return [f"  {name}: yours has shape {given.shape}, the right gradient {right.shape}"]
        order = np.argsort(-np.abs(given - right), axis=None, kind="stable")[:EXAMPLES]
        rows = [("", "yours", "right", "this mistake")]
        for i in order:
            place = np.unravel_index(i, given.shape)
            index = f"[{', '.join(map(str, place))}]" if place else ""
            slip = self.predicted.get(name, np.full(given.shape, np.nan))
            yours, best, wrong = (f"{float(x[place]):.6g}" for x in (given, right, slip))
            rows.append((f"d{name}{index}", yours, best, wrong))
        shown = range(1, 4 if name in self.predicted else 3)
        widths = [max(len(row[k]) for row in rows) for k in range(4)]
        return [f"  {row[0]:<{widths[0]}}  " + "  ".join(f"{row[k]:>{widths[k]}}" for k in shown) for row in rows]

    def others(self) -> list[str]:
        told = f"{RULED_OUT} {'; or '.join(dict.fromkeys(self.ruled_out))}."
        return [*self.others_left(), *(["", told] if self.ruled_out else [])]

    def others_left(self) -> list[str]:
        """The other explanations that give the same numbers, and how to tell them apart."""
        if len(self.explanations) < 2:
            return []
        named = [" with ".join(map(str, e)) for e in self.explanations[1:]]
        found = ["", f"The same numbers come from: {'; or '.join(dict.fromkeys(named))}."]
        return found + ([str(self.probe)] if self.probe else [ALIKE] if self.alike else [])

    def _repr_html_(self) -> str:
        colour = "#00795a" if self.ok else "#b22222"
        head, *rest = self.lines()
        return (
            f'<div style="border-left:4px solid {colour};padding-left:0.8em"><b>{html.escape(head)}</b>'
            f'<pre style="font-family:monospace;white-space:pre;overflow-x:auto">'  # columns, in every page
            f"{html.escape(chr(10).join(rest))}</pre></div>"
        )

    def draw(self, **options: Any) -> Drawing:
        """The learner's forward as a picture, in which the node of each mistake is marked; options as of `tg.draw`."""
        from tinygrad_edu.clinic.examiner.picture import mark_faults

        return mark_faults(self, options)


def slip_card(slip: FoundSlip) -> list[str]:
    name = f" ({slip.name})" if slip.name else ""
    lines = [f"  {slip}{name}", f"    {slip.sentence}"]
    lines += [f"    yours:      {slip.line}", f"    should be:  {slip.right}"]
    return [*lines, f"    Fix: {slip.fix}"]


def describe_mutant(
    net: Network, mutant: Mutant, residual: float, certain: bool, explains: tuple[str, ...]
) -> FoundSlip:
    """A mutant in words."""
    words = letters_of(net, mutant)
    entry, layout = mutant.slip, layout_of(net, mutant.layers[0]) if mutant.layers else ROWS
    texts = (mutant.line, mutant.right or entry.right, entry.sentence, entry.fix)
    line, right, sentence, fix = (in_layout(text, layout).format_map(words) for text in texts)
    hit = [n for n in explains if mutant.scales.get(n, 1.0) != 1.0]
    hit = hit or [*dict.fromkeys(n for layer in mutant.layers for n in layer.names)]
    name = mutant.parameter or ", ".join([n for n in hit if n in explains] or hit)
    return FoundSlip(
        entry.code, mutant.where, name, explains, residual, certain, sentence + SCOPE[mutant.scope], fix, line, right,
        entry.example, mutant,
    )  # fmt: skip


def letters_of(net: Network, mutant: Mutant) -> Mapping[str, str]:
    """The letters in a mistake's texts; for a mistake in several layers those of any layer l."""
    several = len({layer.number for layer in mutant.layers}) > 1
    if not mutant.layers:
        words = dict.fromkeys(("k", "W", "b", "z", "a", "d", "f", "slope", "x", "over"), mutant.parameter or "?")
    else:
        words = letters(net, mutant.layers[0], mutant.parameter)
    if several:
        mark = words["a"] if words["a"].startswith("a") else ""
        words |= {
            "k": "l",
            "z": "z_l",
            "a": "a_l",
            "d": "δ_l",
            "x": "a_(l-1)",
            "W": mutant.parameter or ("b_l" if mutant.where == "every bias" else "W_l"),
            "b": "b_l",
        }
        words["slope"] = words["slope"].replace(mark, "a_l") if mark else words["slope"]
    return words | {"factor": mutant.factor or mutant.line.split("=")[-1].split("·")[0].strip()}

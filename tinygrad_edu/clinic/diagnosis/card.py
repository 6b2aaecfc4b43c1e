"""The card of a diagnosis as HTML: a box for each cause, and a bar for each share of runs that reached the goal.

Colours are those of the page around it where it names them (the report does), else the ones written behind the comma.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

GOOD, WATCH, BAD = "var(--good, #00794e)", "var(--watch, #8a5300)", "var(--bad, #b3261e)"
LINE, MUTED, SUNKEN = "var(--line, #b9c0cc)", "var(--muted, #5b6270)", "var(--sunken, transparent)"
COLOURS = {True: GOOD, False: BAD, None: WATCH}
VERDICTS = {True: "healthy", False: "trouble found", None: "cannot be told"}
SHARE = re.compile(r"(?:(?P<words>.+?): )?(?P<reached>\d+) of (?P<count>\d+)\b(?P<rest>.*)", re.DOTALL)
WRAP = "overflow-wrap:anywhere"
BOX = f"border:1px solid {LINE};border-radius:.6rem;padding:.6rem .9rem;margin:.75rem 0;background:{SUNKEN}"


@dataclass(frozen=True)
class ShareBar:
    """So many of the runs reached the goal; `rest`, what else is said of them."""

    words: str
    reached: int
    count: int
    rest: str = ""

    @property
    def html(self) -> str:
        share, colour = 100.0 * self.reached / max(self.count, 1), GOOD if self.reached else BAD
        rest = self.rest.replace("seeds reach the goal", "").strip(" .")
        note = f' <small style="color:{MUTED}">{safe_text(rest)}</small>' if rest else ""
        return (
            f'<div style="display:flex;flex-wrap:wrap;gap:.1rem .75rem;align-items:center;margin:.25rem 0">'
            f'<span style="flex:1 1 14rem;min-width:0;{WRAP}">{safe_text(self.words)}{note}</span>'
            # the bar and its number go to the next line together
            f'<span style="display:flex;gap:.75rem;align-items:center;flex:0 0 auto">'
            f'<span role="img" aria-label="{self.reached} of {self.count} runs reach the goal" style="flex:0 0 7rem;'
            f'height:.75rem;border:1px solid {LINE};border-radius:.4rem;overflow:hidden">'
            f'<span style="display:block;height:100%;width:{share:.0f}%;background:{colour}"></span></span>'
            f'<span style="flex:0 0 3.5rem;font-variant-numeric:tabular-nums">{self.reached}/{self.count}</span>'
            f"</span></div>"
        )


def safe_text(value: object) -> str:
    """Anything as text that is safe in an element."""
    return html.escape(str(value))


def bar_of(sentence: str) -> ShareBar | None:
    """A sentence that counts runs, "only lr 0.1 → 0.01: 4 of 5 seeds reach the goal", as a bar.

    >>> bar_of("only lr 0.1 → 0.01: 4 of 5 seeds reach the goal")
    ShareBar(words='only lr 0.1 → 0.01', reached=4, count=5, rest=' seeds reach the goal')
    """
    found = SHARE.fullmatch(sentence.strip())
    if not found or int(found["reached"]) > int(found["count"]):
        return None
    return ShareBar(found["words"] or "", int(found["reached"]), int(found["count"]), found["rest"])


def split_proof(proof: str) -> Iterator[str]:
    """The parts of a proof between semicolons, those within brackets left alone."""
    depth, begin = 0, 0
    for place, letter in enumerate(proof):
        depth += (letter == "(") - (letter == ")")
        if letter == ";" and depth <= 0:
            yield proof[begin:place].strip()
            begin = place + 1
    yield proof[begin:].strip()


def bars_or_sentences(sentences: Iterable[str]) -> str:
    """Bars where runs are counted, else the sentences."""
    rows = ((bar_of(sentence), sentence) for sentence in sentences if sentence)
    return "".join(
        bar.html if bar else f'<p style="margin:.25rem 0;{WRAP}">{safe_text(said)}</p>' for bar, said in rows
    )


def row_of_name(name: str, value: str) -> str:
    return (
        f'<p style="margin:.35rem 0;{WRAP}"><span style="color:{MUTED}">{name}</span> {safe_text(value)}</p>'
        if value
        else ""
    )


def cause(number: int, found: Any) -> str:
    """One cause: what is wrong, what was seen, the proof in bars, and the remedy."""
    proof = bars_or_sentences(split_proof(found.proof))
    return (
        f'<div style="{BOX}"><p style="margin:0 0 .35rem;{WRAP}"><b>{number}. {safe_text(found.sentence)}</b> '
        f"<code>{safe_text(found.code)}</code></p>"
        + row_of_name("Seen:", found.evidence)
        + (
            f'<div style="margin:.35rem 0"><span style="color:{MUTED}">Proof, by training again:</span>{proof}</div>'
            if found.proof
            else ""
        )
        + row_of_name("Remedy:", found.remedy)
        + "</div>"
    )


def fold_away(title: str, content: str) -> str:
    return (
        f'<details style="margin:.5rem 0"><summary>{safe_text(title)}</summary>{content}</details>' if content else ""
    )


def list_items(sentences: Sequence[str]) -> str:
    items = "".join(f"<li>{safe_text(sentence)}</li>" for sentence in sentences)
    return f'<ul style="margin:.35rem 0;{WRAP}">{items}</ul>' if items else ""


def card(diagnosis: Any) -> str:
    """The whole card of a Diagnosis."""
    noticed = [] if diagnosis.causes and diagnosis.healthy is False else [s.sentence for s in diagnosis.symptoms]
    tried = diagnosis.tried_without_effect
    fault = diagnosis.healthy and any(s.code == "mismatched" for s in diagnosis.symptoms)  # as in `with_fault`
    colour, verdict = (
        (WATCH, "fault in the setup") if fault else (COLOURS[diagnosis.healthy], VERDICTS[diagnosis.healthy])
    )
    summary = diagnosis.summary.removeprefix("Healthy").lstrip(": ")  # the verdict before it says so
    as_is = [f"as is: {diagnosis.as_is.removeprefix('as is: ')}"] if diagnosis.as_is and tried else []
    return (
        f'<div style="border-left:4px solid {colour};padding-left:.8em;max-width:52rem">'
        f'<p style="margin:.2rem 0;{WRAP}"><b style="color:{colour}">{verdict}</b> &nbsp;'
        f"<b>{safe_text(summary[:1].upper() + summary[1:])}</b></p>"
        + (row_of_name("Goal:", f"{diagnosis.goal.sentence}.") if diagnosis.goal else "")
        + "".join(cause(number, found) for number, found in enumerate(diagnosis.causes, 1))
        + (f'<p style="margin:.5rem 0 0;color:{MUTED}">Noticed</p>{list_items(noticed)}' if noticed else "")
        + fold_away(f"Tried, not proved ({len(tried)})", bars_or_sentences([*as_is, *tried]) if tried else "")
        + fold_away(f"Not checked ({len(diagnosis.not_checked)})", list_items(diagnosis.not_checked))
        + fold_away("As text", f'<pre><span style="white-space:pre-wrap;{WRAP}">{safe_text(diagnosis)}</span></pre>')
        + "</div>"
    )

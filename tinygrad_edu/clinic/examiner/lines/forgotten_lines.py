"""The line beside which an update is missing: it updates the other half of a pair, the w of a neuron for its b."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.lines.lines import FoundPlace
from tinygrad_edu.clinic.examiner.lines.recording import Made, Recording, key_of
from tinygrad_edu.clinic.examiner.lines.untouched import holder_of

Array = np.ndarray[Any, Any]


def lines_beside(still: Sequence[str], new: Mapping[str, Array], recording: Recording) -> list[FoundPlace]:
    """Where the step updates what belongs to the same object as the parameters that it leaves as they are.

    still: those parameters; new: all parameters after the step.
    """
    lines: dict[tuple[str, int], tuple[Made, list[str], list[str]]] = {}
    for name in still:
        for other in (n for n in new if n not in still and holder_of(n) == holder_of(name) != ""):
            array = np.asarray(new[other], dtype=float)
            keys = (key_of(array), *(key_of(np.asarray(x)) for x in array.ravel()[:1]))  # a list, made item by item
            made = next((m for k in keys if (m := recording.made.get(k)) is not None and m.line), None)
            if made is not None:
                _, others, names = lines.setdefault((made.file, made.line), (made, [], []))
                others.append(other)
                names += [name] if name not in names else []
    return [
        FoundPlace(m.file, m.line, m.source, words_of_update(others, names), m.variable, tuple(names))
        for m, others, names in lines.values()
    ]


def words_of_update(others: Sequence[str], names: Sequence[str]) -> str:
    """What is said of such a line.

    >>> words_of_update(["net.w"], ["net.b"])
    'This line updates net.w; no line of the step updates net.b.'
    """
    return f"This line updates {', '.join(others)}; no line of the step updates {', '.join(names)}."

"""The reason in a TraceError: our own words whole, others' cut between two words."""

import pytest

from tinygrad_edu.compile.untraceable import LONGEST, untraceable
from tinygrad_edu.errors import DtypeError

WORDS = " ".join(f"word{k}" for k in range(200))


def test_our_own_reasons_are_whole():
    assert str(untraceable("f", DtypeError(WORDS))).endswith(f": DtypeError: {WORDS}")


@pytest.mark.parametrize("text", [WORDS, WORDS.replace(" ", "\n  ")])
def test_a_long_reason_of_others_ends_with_a_whole_word(text):
    said = str(untraceable("f", ValueError(text)))
    reason = said.partition(": ValueError: ")[2]
    assert len(reason) <= LONGEST + 1
    assert reason.endswith(" ...")
    assert WORDS.startswith(reason.removesuffix(" ...") + " ")


def test_a_short_reason_is_as_it_was():
    assert str(untraceable("f", ValueError("too large"))).endswith("ValueError: too large")

"""Parameters that a step leaves as they are although it trains what stands beside them."""

from __future__ import annotations

import re
from collections.abc import Collection

BIAS = re.compile(r"(^|[._])(b\d*|bias(es)?\d*)(\[\d+\])*$", re.IGNORECASE)  # what a step may not leave as it is
WEIGHT = re.compile(  # the same, where something beside it is changed: W_xh, by, layers[0].weight.data
    r"(^|[._])(w|u|v|b|weight|bias|theta|kernel|filter|gamma)(e?s)?(_?[a-z]{1,3})?\d*(\.(data|value|val))?(\[\d+\])*$",
    re.IGNORECASE,
)
HELD = re.compile(r"(\.(data|value|val))?(\[\d+\])*$")
NUMBER = re.compile(r"\d+")  # layers[0].W and layers[2].W are of one kind


def left_as_they_are(
    names: Collection[str],
    changed: Collection[str],
    after: Collection[str],
    trained: Collection[str],
    settings: Collection[str] = (),
) -> list[str]:
    """Of all names of numbers, those that a step should have changed: biases, and what is like a trained one.

    Like it is layers[2].W where layers[0].W is trained, and a weight by its name that is held beside a trained one.
    A layer of which nothing is trained is frozen. settings: names of whole numbers, which are no weights.

    >>> names = ["net.Why", "net.by", "net.x", "old.W"]
    >>> left_as_they_are(names, changed=["net.Why"], after=names, trained=["net.Why"])
    ['net.by']
    """
    kinds, holders = {NUMBER.sub("#", n) for n in trained}, {holder_of(n) for n in trained}

    def alike(name: str) -> bool:
        return bool(WEIGHT.search(name)) and holder_of(name) in holders and name not in settings

    still = [n for n in names if n not in changed and n in after]
    return [n for n in still if BIAS.search(n) or NUMBER.sub("#", n) in kinds or alike(n)]


def holder_of(name: str) -> str:
    """What holds a parameter: net.layers[0] holds net.layers[0].W.data.

    >>> holder_of("net.layers[0].W.data"), holder_of("W")
    ('net.layers[0]', '')
    """
    return HELD.sub("", name).rpartition(".")[0]

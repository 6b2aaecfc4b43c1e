"""Methods that nobody calls by name, such as what dataclass writes: what they read is looked at before each call."""

import dataclasses

import numpy as np
import pytest

import tinygrad_edu as tg


@dataclasses.dataclass(order=True)
class Level:
    k: float


@dataclasses.dataclass(unsafe_hash=True)
class Key:
    k: float


class Text:
    k = 1.0

    def __str__(self):
        return str(self.k)


def levels():
    return [Level(1.0), Level(2.0)]


CASES = {
    "<": (levels, lambda n: lambda x: x * (2.0 if n[0] < n[1] else 3.0)),
    ">=": (levels, lambda n: lambda x: x * (2.0 if n[1] >= n[0] else 3.0)),
    "max": (levels, lambda n: lambda x: x * n.index(max(n))),
    "sorted": (levels, lambda n: lambda x: x * sorted(n)[0].k),
    "in": (lambda: [Key(2.0), Key(9.0)], lambda n: lambda x: x * (2.0 if n[0] in [n[1]] else 3.0)),
    "%": (lambda: [Text()], lambda n: lambda x: x * float("%s" % n[0])),  # noqa: UP031
}


@pytest.mark.parametrize(("make", "program"), CASES.values(), ids=CASES)
def test_a_change_is_seen(make, program):
    n, x = make(), np.array([1.0])
    f = program(n)
    compiled = tg.jit(f)
    before = compiled(x)
    n[0].k = 9.0
    assert compiled(x) == f(x)
    assert compiled(x) != before

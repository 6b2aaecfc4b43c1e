"""No rule that gives a step is left out because a few entries were looked at first."""

from __future__ import annotations

import numpy as np
import pytest

from tinygrad_edu.clinic.examiner.steps.rule_screen import Screen
from tinygrad_edu.clinic.examiner.steps.step_walk import Walk
from tinygrad_edu.clinic.examiner.steps.update_rules import FRESH, RULES
from tinygrad_edu.clinic.examiner.steps.update_step import choices_of, find_rule

NUMBERS = {"mu": 0.8, "beta2": 0.97, "eps": 1e-7, "dampening": 0.2}


def walked(name: str, lr: float | None, seed: int, decay: float = 0.0, single: bool = False) -> Walk:
    """Three steps by the rule, of a network's random gradients."""
    rng, rule = np.random.default_rng(seed), RULES[name]
    shapes = {"W1": (7, 5), "b1": (5,), "W2": (5, 1), "b2": (1,)}
    gradients = [{n: 10.0 ** rng.uniform(-4, 1) * rng.normal(size=s) for n, s in shapes.items()} for _ in range(3)]
    for g in gradients:
        g["W1"][0] = 0.0  # as for an input that is always 0
    weights = [{n: rng.normal(size=s) for n, s in shapes.items()}]
    sizes = [int(np.prod(s)) for s in shapes.values()]
    numbers = {**NUMBERS, "place": np.repeat(np.arange(1, 5), sizes), "count": 4}
    flat = [np.concatenate([x.ravel() for x in g.values()]) for g in gradients]
    for made in rule.steps(flat, numbers, FRESH):
        pieces = np.split(made, np.cumsum(sizes)[:-1])
        now = {}
        for (n, w), d in zip(weights[-1].items(), pieces, strict=True):
            moved = w - 0.03 * (d.reshape(w.shape) + decay * w)
            now[n] = moved.astype(np.float32).astype(float) if single else moved
        weights.append(now)
    return Walk(weights, gradients, lr, [*NUMBERS.values()], single=single)


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("lr", [0.03, None])
@pytest.mark.parametrize("name", RULES)
def test_the_true_numbers_pass(name: str, lr: float | None, single: bool) -> None:
    for seed in range(5):
        walk = walked(name, lr, seed, single=single)
        rule, choices = RULES[name], choices_of(walk, RULES[name])
        passed = Screen(walk).pass_on(rule, rule.numbers, choices, FRESH)
        place = [c.index(NUMBERS[n]) for n, c in zip(rule.numbers, choices, strict=True)]
        assert passed[np.ravel_multi_index(place, [len(c) for c in choices])] if place else passed[0]


@pytest.mark.parametrize("name", [n for n, r in RULES.items() if r.right and n.startswith("adam")])
def test_a_decay_beside_adam_passes(name: str) -> None:
    found = find_rule(walked(name, 0.03, 7, decay=0.01))
    assert found is not None
    assert found.rule.right
    assert "weight decay 0.01" in str(found)

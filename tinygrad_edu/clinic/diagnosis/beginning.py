"""Did a network of PyTorch or Keras begin as its repetitions did? Where ReLU units are dead, it can still be seen.

No gradient passes a layer whose units are all dead: its weights, and those before it, stay as they were. Where they
cannot have been drawn by the library's default, and the biases show that they were never moved, somebody else's start
is read off them, and the repetitions begin so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tinygrad_edu.clinic.diagnosis.facts.initial_weights import LayerStart, Start, glorot, of_layers
from tinygrad_edu.clinic.diagnosis.facts.measurements import Moment, Record
from tinygrad_edu.clinic.diagnosis.facts.subject import Subject
from tinygrad_edu.clinic.diagnosis.proof.retrain import Trained
from tinygrad_edu.nn.layers import MLP

Array = np.ndarray[Any, Any]
WIDTH, FAR = math.sqrt(3.0), 4.5  # how far the weights may reach, in standard deviations: uniform, normal
BEYOND = 1.05


def with_its_start(subject: Subject, runs: Sequence[Trained]) -> Subject | None:
    """The subject with the initial weights that its dead layers show; None if unknown, or if repetitions die too."""
    setup, record = subject.setup, Record(subject)
    known = subject.start or not isinstance(subject.model, MLP) or setup.pattern is not None
    if known or setup.norm is not None or not isinstance(setup.init, tuple):
        return None
    last = last_dead(record.end)
    if last < 0 or any(last_dead(record.state(run.model)) >= 0 for run in runs):
        return None
    state = subject.model.state_dict()
    seen = of_layers(state, last + 1)
    if not any(began_elsewhere(state, i, setup.init[i]) for i in range(last + 1)):
        return None
    return replace(subject, setup=setup.but({"init": (*seen, *setup.init[last + 1 :])}))


def last_dead(state: Moment) -> int:
    """The last hidden layer of which all units are dead; -1 where there is none."""
    return max((layer.number for layer in state.hidden if layer.dead == 1.0), default=-1)


def began_elsewhere(state: Mapping[str, Array], number: int, given: LayerStart) -> bool:
    """Are the weights of a layer farther out than the default draws them, and its biases as a start leaves them?

    Biases that were trained are neither all the same, nor all where the default draws them.
    """
    weight = state[f"layers.{number}.weight"]
    bias = state.get(f"layers.{number}.bias", np.zeros(1))
    untouched = np.ptp(bias) == 0.0 or np.abs(bias).max() <= reach(given.bias, bias.shape)
    return bool(untouched and np.abs(weight).max() > reach(given.weight, weight.shape))


def reach(start: Start, shape: tuple[int, ...]) -> float:
    """How far from 0 a start draws the numbers of such an array, and a little more."""
    return BEYOND * (abs(start.centre) + (WIDTH if start.kind == "uniform" else FAR) * start.gain * glorot(shape))

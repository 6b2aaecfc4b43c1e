"""The state of each unit of a chain of layers for some samples: healthy, saturated, dead, or without a gradient."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from tinygrad_edu.core.aliases import Model, Samples
from tinygrad_edu.core.graph import topological
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.draw.stages import candidates_of
from tinygrad_edu.draw.units import Unit, measure_units
from tinygrad_edu.errors import DrawError
from tinygrad_edu.train.histograms import NEARLY_FLAT, VALUES_AT_MOST, evaluation_mode, frozen_ones, nodes_in

Health = Literal["dead", "saturated", "vanishing", "healthy", ""]
MOSTLY = 0.9  # share of the samples from which a unit counts as saturated
VANISHING = 1e-3  # share of the largest gradient of any unit; a unit with less hardly changes its weights


def health_of(model: Model, inputs: Samples) -> Mapping[int, list[Health]]:
    """By the number of the column in the picture: the state of its units on these samples; "" if none can be told.

    A unit is dead if its activation has next to no slope for every sample, saturated if it has for most of them, and
    vanishing if next to nothing of the output's gradient reaches it: the root of the mean square over the samples, by
    that of the unit where it is largest. Of a recurrent layer each step counts as a sample; a gate that is flat makes
    its unit saturated. Of a model of Values the first samples are measured.
    Errors: DrawError without inputs.
    """
    if inputs is None:
        raise DrawError('color="health" is measured on samples: pass some, draw(model, style="network", inputs=X)')
    with frozen_ones(model), evaluation_mode(model), np.errstate(all="ignore"):
        output = model(samples_for(model, inputs))
        output = output[0] if isinstance(output, tuple) else output  # a recurrent layer returns its state too
        total = with_random_signs(output)
        total.backward()
        units = measure_units(model, topological(total), output)
    lengths = {column: [unit.length() for _, unit in sorted(each.items())] for column, each in units.items()}
    largest = max((length for each in lengths.values() for length in each), default=0.0)
    last, states = max(units, default=0), candidates_of(model)
    return {
        column: [
            state(unit, length < VANISHING * largest and column < last, states)
            for (_, unit), length in zip(sorted(each.items()), lengths[column], strict=True)
        ]
        for column, each in units.items()
    }


def samples_for(model: Model, inputs: Samples) -> Any:
    """Whole numbers stay so, for an embedding; one sample becomes a batch of one."""
    array = np.atleast_2d(np.asarray(inputs))
    array = array if array.dtype.kind in "iu" else array.astype(float)
    return array if all(isinstance(p, Tensor) for p in model.parameters()) else array[:VALUES_AT_MOST]


def with_random_signs(output: Any) -> Any:
    """The sum of all outputs, with signs, so that a unit's effects on several of them do not cancel."""
    rng = np.random.default_rng(0)
    if isinstance(output, Tensor):
        return (output * rng.choice([-1.0, 1.0], size=output.shape)).sum()
    values = nodes_in(output)
    return sum(value * sign for value, sign in zip(values, rng.choice([-1.0, 1.0], len(values)).tolist(), strict=True))


def state(unit: Unit, faint: bool, candidates: set[str]) -> Health:
    """The health of one unit. `candidates`: parts of recurrent layers that become the state; other parts are gates."""
    if not all(np.isfinite(part).all() for each in [*unit.slopes.values(), unit.gradients] for part in each):
        return ""
    flat = {name: np.abs(np.concatenate(each)) < NEARLY_FLAT for name, each in unit.slopes.items()}
    gates = set(flat) - candidates if set(flat) & candidates else set()
    if any(each.all() for name, each in flat.items() if name not in gates):
        return "dead"
    if any(each.mean() >= MOSTLY for each in flat.values()):
        return "saturated"
    return "vanishing" if faint else "healthy" if flat else ""

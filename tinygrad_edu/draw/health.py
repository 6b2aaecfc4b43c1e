"""The state of each unit of a chain of layers for some samples: healthy, saturated, or dead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from tinygrad_edu.core.aliases import Model, Samples
from tinygrad_edu.errors import DrawError
from tinygrad_edu.train.histograms import NEARLY_FLAT, ends_in_activation, ends_of_layers, evaluation_mode, slope

Health = Literal["healthy", "saturated", "dead", ""]
MOSTLY = 0.9  # of the samples: from here on a unit counts as saturated


def health_of(model: Model, inputs: Samples) -> Mapping[int, list[Health]]:
    """By the number of the layer: the state of its units, measured by the slope of the activation that ends it.

    A unit is dead if its activation has next to no slope for every sample, saturated if it has for most of them.
    Errors: DrawError without inputs.
    """
    if inputs is None:
        raise DrawError('color="health" is measured on samples: pass some, draw(model, style="network", inputs=X)')
    import numpy

    with evaluation_mode(model), numpy.errstate(all="ignore"):
        ends = ends_of_layers(model, model(numpy.atleast_2d(numpy.asarray(inputs, dtype=float))))
    found = {}
    for layer, nodes in enumerate(ends.values(), 1):
        if len(nodes) == 1 and ends_in_activation(nodes[0]):
            slopes = slope(nodes[0])
            found[layer] = [state(column) for column in slopes.reshape(-1, slopes.shape[-1]).T]
    return found


def state(slopes: Any) -> Health:
    """Of one unit, from its slopes, one for each sample."""
    flat = abs(slopes) < NEARLY_FLAT
    return "dead" if flat.all() else "saturated" if flat.mean() >= MOSTLY else "healthy"

"""The state of each unit of a chain of layers for some samples: healthy, saturated, dead, or without a gradient."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from tinygrad_edu.core.aliases import Model, Samples
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.draw.stages import owners_of_stages
from tinygrad_edu.errors import DrawError
from tinygrad_edu.train.histograms import NEARLY_FLAT, ends_in_activation, ends_of_layers, evaluation_mode, slope

Health = Literal["healthy", "saturated", "dead", "vanishing", ""]
MOSTLY = 0.9  # of the samples: from here on a unit counts as saturated
VANISHING = 1e-3  # of the largest gradient of any unit: what reaches the unit hardly changes its weights


def health_of(model: Model, inputs: Samples) -> Mapping[int, list[Health]]:
    """By the number of the column in the picture: the state of its units on these samples.

    A unit is dead if its activation has next to no slope for every sample, saturated if it has for most of them, and
    vanishing if next to nothing of the output's gradient reaches it: the root of the mean square over the samples, by
    that of the unit where it is largest.
    Errors: DrawError without inputs.
    """
    if inputs is None:
        raise DrawError('color="health" is measured on samples: pass some, draw(model, style="network", inputs=X)')
    import numpy

    with evaluation_mode(model), numpy.errstate(all="ignore"):
        output = model(samples_for(inputs))
        if not isinstance(output, Tensor):
            return {}
        signs = numpy.random.default_rng(0).choice([-1.0, 1.0], size=output.shape)
        (output * signs).sum().backward()
        ends = {column: nodes for column, nodes in ends_by_column(model, output) if len(nodes) == 1}
        lengths = {column: lengths_of(nodes[0]) for column, nodes in ends.items()}
        largest = max((float(each.max()) for each in lengths.values() if each.size), default=0.0)
        last = max(ends, default=0)
        return {k: states_of(nodes[0], lengths[k], largest if k < last else 0.0) for k, nodes in ends.items()}


def samples_for(inputs: Samples) -> Any:
    """Whole numbers stay so, for an embedding; one sample becomes a batch of one."""
    import numpy

    array = numpy.atleast_2d(numpy.asarray(inputs))
    return array if array.dtype.kind in "iu" else array.astype(float)


def ends_by_column(model: Model, output: Any) -> Iterator[tuple[int, list[Any]]]:
    """(column, the nodes with which its layers end); of a layer and the norm behind it, those of the norm."""
    modules = dict(model.named_modules())
    columns = owners_of_stages(model)
    for name, nodes in ends_of_layers(model, output).items():
        column = columns.get(id(modules.get(name, model)))
        if column is not None:
            yield column, [before_reshape(node) for node in nodes]


def before_reshape(node: Any) -> Any:
    """The node whose numbers are only put into another shape, as Flatten does."""
    while getattr(node.op, "name", "") == "reshape":
        node = node.parents[0]
    return node


def by_unit(array: Any, node: Any) -> Any:
    """(entries, units) of what belongs to a node: channels stand behind the samples in an image, else at the end."""
    import numpy

    if node.array.ndim > 3:
        array = numpy.moveaxis(array, 1, -1)
    return numpy.reshape(array, (-1, array.shape[-1]))


def lengths_of(node: Any) -> Any:
    """The root mean square of the gradient that reaches each unit."""
    import numpy

    if node.grad is None:
        return numpy.empty(0)
    return numpy.sqrt(numpy.mean(by_unit(numpy.asarray(node.grad), node) ** 2, axis=0))


def states_of(node: Any, lengths: Any, largest: float) -> list[Health]:
    """The state of each unit of a layer that ends in this node; "" where nothing can be told of it."""
    if not ends_in_activation(node):
        return ["vanishing" if length < VANISHING * largest else "" for length in lengths]
    slopes = by_unit(slope(node), node).T
    faint = [length < VANISHING * largest for length in lengths] or [False] * len(slopes)
    return [state(column, each) for column, each in zip(slopes, faint, strict=True)]


def state(slopes: Any, vanishing: bool) -> Health:
    """Of one unit, from its slopes, one for each sample."""
    flat = abs(slopes) < NEARLY_FLAT
    if flat.all():
        return "dead"
    return "saturated" if flat.mean() >= MOSTLY else "vanishing" if vanishing else "healthy"

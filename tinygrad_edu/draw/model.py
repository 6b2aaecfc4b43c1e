"""The graph of a model: its answer to a sample input."""

from __future__ import annotations

from typing import Any

from tinygrad_edu.core.aliases import Model, Samples
from tinygrad_edu.core.places import record_lines
from tinygrad_edu.draw.graph import is_node
from tinygrad_edu.errors import DrawError, TinygradError


def is_model(target: object) -> bool:
    """Does it have named parameters? Errors: DrawError for a class of models in the place of one."""
    if isinstance(target, type) and hasattr(target, "named_parameters"):
        raise DrawError(f"cannot draw the class {target.__name__}: make a model of it, as in nn.MLP([2, 8, 1])")
    return hasattr(target, "named_parameters")


def sample_run(model: Model, inputs: Samples = None) -> tuple[list[Any], dict[int, str]]:
    """(outputs, names of the parameters by id) of one forward run.

    inputs: what the model is called with; None: zeros, as many as it has inputs.
    Errors: DrawError when that number is unknown, or the model gives back no nodes.
    """
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    given = zeros(model) if inputs is None else inputs
    with record_lines():
        outputs = nodes_in(model(scalar_sample(given)) if is_scalar(model) else tensor_run(model, given))
    if not outputs or not all(map(is_node, outputs)):
        raise DrawError(
            f"{type(model).__name__} turned a sample input into {outputs[:1]!r:.80}: there is nothing to draw"
        )
    return outputs, names


def is_scalar(model: Model) -> bool:
    """Is it made of Values? It says so, or its first parameter is a single float."""
    if hasattr(model, "backend"):
        return bool(model.backend == "scalar")
    _, first = next(iter(model.named_parameters()), ("", None))
    return isinstance(getattr(first, "data", None), float)


def zeros(model: Model) -> list[float]:
    """Zeros for each input of the model, or of its first layer."""
    for part in (model, *getattr(model, "layers", ())[:1]):
        width: Any = getattr(part, "in_features", None)
        if hasattr(width, "__index__"):  # an int, or one of NumPy's
            return [0.0] * int(width)
    name = type(model).__name__
    raise DrawError(f"{name} does not say how many inputs it has. Pass a sample: draw(model, inputs=...)")


def scalar_sample(inputs: Samples) -> Any:
    """Values with the labels x0, x1, ...; nodes stay as they are."""
    from tinygrad_edu.core.value import Value

    numbers = inputs.tolist() if hasattr(inputs, "tolist") else inputs
    return [x if is_node(x) else Value(float(x), label=f"x{place}") for place, x in enumerate(numbers)]


def tensor_run(model: Model, inputs: Samples) -> Any:
    """The answer to a Tensor; of a model that takes whole numbers, such as an embedding, to these."""
    import numpy

    with numpy.errstate(all="ignore"):  # a diverged run is drawn too, with NaN in red
        try:
            return model(tensor_sample(inputs))
        except (TinygradError, IndexError, TypeError):
            if is_node(inputs) or numpy.asarray(inputs).dtype.kind not in "iu":
                raise
            return model(numpy.asarray(inputs))


def tensor_sample(inputs: Samples) -> Any:
    """A Tensor with the label x, which takes part in the graph; one sample becomes a batch of one; a node stays."""
    if is_node(inputs):
        return inputs
    import numpy

    from tinygrad_edu.core.tensor import Tensor

    return Tensor(numpy.atleast_2d(numpy.asarray(inputs, dtype=float)), label="x", requires_grad=True)


def nodes_in(outputs: Any) -> list[Any]:
    """The nodes in lists, tuples and object arrays, first to last."""
    found: list[Any] = []
    stack = [outputs]
    while stack:
        item = stack.pop()
        if is_node(item) or not (isinstance(item, list | tuple) or hasattr(item, "tolist")):
            found.append(item)
        else:
            stack.extend([item.tolist()] if hasattr(item, "tolist") else item[::-1])
    return found

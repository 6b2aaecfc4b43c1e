"""From PyTorch: a torch.nn.Module as an nn.Module of this library, with the same weights.

Nothing is imported from torch but torch.fx, which says what a module with a forward of its own calls in turn.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from typing import Any

import numpy as np

from tinygrad_edu.core.aliases import Model
from tinygrad_edu.core.modes import no_grad
from tinygrad_edu.errors import OperandError, SettingError
from tinygrad_edu.interop.chain import Chain, Step
from tinygrad_edu.nn.layer_modes import modes_kept

Array = np.ndarray[Any, Any]
ACTIVATIONS = {  # class of torch.nn -> our name
    "ReLU": "relu", "ReLU6": "relu6", "Tanh": "tanh", "Sigmoid": "sigmoid", "ELU": "elu", "GELU": "gelu",
    "SiLU": "silu", "SELU": "selu", "CELU": "celu", "Mish": "mish", "Softplus": "softplus", "Softsign": "softsign",
    "Hardtanh": "hard_tanh", "Hardsigmoid": "hard_sigmoid", "Hardswish": "hard_swish", "LogSigmoid": "log_sigmoid",
    "LeakyReLU": "leaky_relu", "Softmax": "softmax", "LogSoftmax": "log_softmax", "Identity": "identity",
}  # fmt: skip
USUAL: dict[str, dict[str, Any]] = {  # arguments for which these classes equal our functions
    "LeakyReLU": {"negative_slope": 0.01}, "ELU": {"alpha": 1.0}, "CELU": {"alpha": 1.0},
    "GELU": {"approximate": "none"}, "Softplus": {"beta": 1.0, "threshold": 20.0},
    "Hardtanh": {"min_val": -1.0, "max_val": 1.0},
}  # fmt: skip
FUNCTIONS = {name.lower(): name for name in ACTIVATIONS} | {"leaky_relu": "LeakyReLU", "log_softmax": "LogSoftmax"}
SHAPES = ("view", "reshape", "squeeze", "unsqueeze")
SAME = ("contiguous", "float", "double")  # what a forward may call that changes neither numbers nor shapes


def is_torch(module: Any) -> bool:
    """Is it a torch.nn.Module?"""
    return any(kind.__module__ == "torch.nn.modules.module" for kind in type(module).__mro__)


def chain_of(module: Model) -> Chain:
    """Its layers in the order in which they are called."""
    if not is_torch(module):
        raise OperandError(f"from_torch takes a torch.nn.Module, not {module!r:.60}")
    found = list(layers_called_in(module))
    refuse_sharing(type(module).__name__, found)
    chain = Chain(tuple(step for part in found for step in step_of(part)))
    refuse_other_outputs(module, chain)
    return chain


def refuse_sharing(kind: str, found: Sequence[Any]) -> None:
    """Two layers of the same weights would be trained apart here. Errors: OperandError."""
    weights = [id(p) for part in found if not isinstance(part, str) for p in part.parameters()]
    if len(set(weights)) < len(weights):
        raise OperandError(
            f"{kind}: two of its layers share their weights, which would become two sets of weights here"
        )


def refuse_other_outputs(module: Any, chain: Chain) -> None:
    """Arguments of functions, axes and hooks show in the outputs alone: those of random rows are compared.

    Errors: OperandError where they differ. A module that cannot be run on rows of numbers is not compared.
    """
    first = next((step for step in chain.steps if step.kind not in ("flatten", "activation", "dropout")), None)
    if first is None or not all(step.arrays for step in chain.linear):
        return
    tried = ((rows, run_twin(module, rows)) for rows in rows_for(first, chain))
    rows, theirs = next(((rows, found) for rows, found in tried if found is not None), (None, None))
    if theirs is None:
        return
    with no_grad():
        ours = np.asarray(chain.whole().eval()(rows).numpy())
    shapes = theirs.shape, (*theirs.shape, 1)  # a forward may squeeze a single output
    if ours.shape not in shapes or not np.allclose(ours.reshape(theirs.shape), theirs, 1e-6, 1e-8, equal_nan=True):
        raise OperandError(
            f"{type(module).__name__}: its layers, applied one after the other, do not give its result: a hook, an "
            "axis, a "
            "shape or an argument has no counterpart here"
        )


def rows_for(first: Step, chain: Chain) -> Iterator[Array]:
    """Random rows for a first layer; of indices as many in a row as the next linear layer takes, or a few."""
    rng = np.random.default_rng(0)
    if first.kind in ("linear", "norm"):
        yield rng.normal(size=(5, first.sizes[0]))
    if first.kind == "embedding":
        beside = [step.sizes[0] // first.sizes[1] for step in chain.linear[:1]]
        yield from (rng.integers(0, first.sizes[0], (5, width)) for width in (*beside, 3) if width)


def run_twin(module: Any, rows: Array) -> Array | None:
    """The outputs of a float64 copy in eval mode; None if it cannot be copied or run."""
    torch = import_module("torch")
    try:
        with torch.no_grad():
            found: Array = copy.deepcopy(module).cpu().double().eval()(torch.as_tensor(rows)).numpy()
    except Exception:  # the user's forward may raise anything
        return None
    return found


def output_shape(module: Any, X: Any) -> tuple[int, ...]:
    """The shape of what it gives for a few samples; () where it cannot be called so."""
    torch = import_module("torch")
    first = next(module.parameters(), torch.zeros(1))
    rows = torch.as_tensor(np.asarray(X)[:2])
    rows = rows if rows.dtype == torch.int64 else rows.to(first.dtype)
    try:
        with modes_kept(module), torch.no_grad():
            return tuple(module.eval()(rows).shape)
    except Exception:  # the user's forward may raise anything
        return ()


def layers_called_in(module: Any) -> Iterator[Any]:
    """The layers that a module calls, one after the other: modules, or names of activations."""
    if type(module).__name__ in LAYERS or type(module).__name__ in ACTIVATIONS:
        yield module
    elif type(module).__name__ == "Sequential":
        for child in module:  # `children()` yields a repeated layer only once
            yield from layers_called_in(child)
    elif type(module).__module__.startswith("torch.nn"):
        yield module  # one of torch's own layers; step_of knows it or refuses it by name
    else:
        yield from trace_calls(module)


def trace_calls(module: Model) -> Iterator[Any]:
    """The modules that a forward calls, if each takes the result of the one before."""
    fx = import_module("torch.fx")
    kind = type(module).__name__
    try:
        graph = fx.symbolic_trace(module).graph
    except Exception as problem:  # tracing the user's forward may raise anything
        raise OperandError(f"{kind}: its forward cannot be followed ({type(problem).__name__}: {problem})") from None
    last: Any = None
    for node in graph.nodes:
        inputs = node.all_input_nodes
        if len(inputs) > 1 or (inputs and last is not None and inputs[0] is not last):
            raise OperandError(
                f"{kind}: {node.name} takes more than the result of the layer before it: the model is not a chain of "
                "layers"
            )
        last = node
        yield from convert_node(module, node, kind)


def convert_node(module: Model, node: Any, kind: str) -> Iterator[Any]:
    """One node of the graph."""
    if node.op == "call_module":
        yield from layers_called_in(module.get_submodule(node.target))
    elif node.op in ("call_function", "call_method"):
        name = node.target if isinstance(node.target, str) else node.target.__name__
        if name in FUNCTIONS:
            yield FUNCTIONS[name]
        elif name == "flatten":
            yield flatten_called(*node.args[1:], **node.kwargs)
        elif name in SHAPES:
            yield name
        elif name not in SAME:
            raise OperandError(f"{kind}: its forward calls {name}, which is not a layer that can be converted")
    elif node.op == "get_attr":
        raise OperandError(f"{kind}: its forward uses {node.target} directly, not through a layer")


def flatten_called(start_dim: int = 0, end_dim: int = -1, **given: Any) -> Any:
    """torch.flatten as a layer: by default it begins at another axis."""
    return import_module("torch").nn.Flatten(start_dim, end_dim)


def step_of(part: Any) -> list[Step]:
    """A layer as a step."""
    name = part if isinstance(part, str) else type(part).__name__
    if name in ACTIVATIONS:
        refuse_unusual(name, part)
        found = ACTIVATIONS[name]
        return [] if found == "identity" else [Step("activation", found)]
    if name in LAYERS:
        return [LAYERS[name](part)]
    if name in SHAPES:  # whether they make a row of each sample is seen by the outputs
        return [Step("flatten")]
    raise SettingError(f"{name} has no counterpart in from_torch: it takes {', '.join([*LAYERS, *ACTIVATIONS])}")


def refuse_unusual(name: str, part: Any) -> None:
    for argument, usual in USUAL.get(name, {}).items():
        given = getattr(part, argument, usual)
        if given != usual:
            raise SettingError(f"{name}({argument}={given}): only {argument}={usual} has a counterpart")


def arrays(layer: Model) -> dict[str, Array]:
    """The parameters and buffers of a layer, by name."""
    state = {name: value.detach().cpu().numpy().astype(float) for name, value in layer.state_dict().items()}
    state.pop("num_batches_tracked", None)
    return state


def sources(layer: Any) -> dict[str, int]:
    """The id of each of its parameters."""
    return {name: id(p) for name, p in layer.named_parameters()}


def frozen(layer: Any) -> tuple[str, ...]:
    """The names of its parameters that training leaves as they are."""
    return tuple(name for name, p in layer.named_parameters() if not p.requires_grad)


def linear(layer: Model) -> Step:
    return Step(
        "linear", sizes=(layer.in_features, layer.out_features), bias=layer.bias is not None, arrays=arrays(layer),
        frozen=frozen(layer), sources=sources(layer),
    )  # fmt: skip


def layer_norm(layer: Model) -> Step:
    if len(layer.normalized_shape) != 1:
        raise SettingError(f"LayerNorm({layer.normalized_shape}): only the last axis has a counterpart")
    return Step(
        "norm", "LayerNorm", tuple(layer.normalized_shape), eps=layer.eps, arrays=arrays(layer),
        frozen=frozen(layer), sources=sources(layer),
        options=scale_and_shift(layer),
    )  # fmt: skip


def scale_and_shift(layer: Any) -> dict[str, bool]:
    """Whether it has γ, and β."""
    return {"affine": layer.weight is not None, "bias": layer.bias is not None}


def batch_norm(layer: Any) -> Step:
    if layer.momentum is None:
        raise SettingError("BatchNorm1d(momentum=None) has no counterpart: only a number has")
    if not layer.track_running_stats:
        raise SettingError("BatchNorm1d(track_running_stats=False) has no counterpart: only one with statistics has")
    return Step(
        "norm", "BatchNorm", (layer.num_features,), eps=layer.eps, arrays=arrays(layer),
        frozen=frozen(layer), sources=sources(layer),
        options={"momentum": float(layer.momentum), **scale_and_shift(layer)},
    )  # fmt: skip


def embedding(layer: Model) -> Step:
    for argument, usual in (("max_norm", None), ("scale_grad_by_freq", False)):
        if getattr(layer, argument, usual) != usual:
            raise SettingError(f"Embedding({argument}={getattr(layer, argument)}) has no counterpart")
    return Step(
        "embedding", sizes=(layer.num_embeddings, layer.embedding_dim), arrays=arrays(layer), frozen=frozen(layer),
        sources=sources(layer), options={"padding_idx": layer.padding_idx},
    )  # fmt: skip


def flatten(layer: Any) -> Step:
    """With the axes that it merges."""
    return Step("flatten", options={"start_dim": layer.start_dim, "end_dim": layer.end_dim})


LAYERS: dict[str, Callable[[Any], Step]] = {
    "Linear": linear,
    "Dropout": lambda layer: Step("dropout", p=layer.p),
    "LayerNorm": layer_norm,
    "BatchNorm1d": batch_norm,
    "Flatten": flatten,
    "Embedding": embedding,
}

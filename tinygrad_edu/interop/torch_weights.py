"""Weights under the names and in the layout of PyTorch's state_dict, and back: by file, without torch itself.

Most layers have torch's names. Others hold in several arrays what torch holds in one (gates, query, key and value), in
one what torch holds in two (the two biases of a gate), or stand at another place (MLP, Sequential). Each such layer is
declared once here, as entries that go both ways.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_edu.core.aliases import Model
from tinygrad_edu.errors import SettingError, ShapeError
from tinygrad_edu.interop.recurrent import GATES, split
from tinygrad_edu.nn import storage
from tinygrad_edu.nn.attention import MultiHeadAttention, TransformerEncoderLayer
from tinygrad_edu.nn.layers import MLP, Sequential
from tinygrad_edu.nn.normalization import BatchNorm
from tinygrad_edu.pen import check_arguments

Array = np.ndarray[Any, Any]
COUNTER = "num_batches_tracked"  # an entry of torch's BatchNorm that nothing here depends on


@dataclass(frozen=True)
class Entry:
    """Arrays that belong together: our names, torch's names, and the way from each to the other."""

    ours: tuple[str, ...]
    theirs: tuple[str, ...]
    to_torch: Callable[..., Sequence[Array]]
    to_ours: Callable[..., Sequence[Array]]


def torch_state_dict(model: Model) -> dict[str, Array]:
    """The weights and buffers of a model by the names that the same network has in torch, in its layout.

    MLP is torch's Sequential of Linear, normalization, activation and dropout, as far as it has them. What torch keeps
    in two arrays and the model in one (the biases of a gate) is written as that array and zeros.

    >>> from tinygrad_edu import nn
    >>> list(torch_state_dict(nn.MLP([2, 3, 1], norm="layer")))
    ['0.weight', '0.bias', '1.weight', '1.bias', '3.weight', '3.bias']
    """
    state, found = model.state_dict(), dict[str, Array]()
    for entry in entries(model):
        arrays = entry.to_torch(*[state[name] for name in entry.ours])
        found |= dict(zip(entry.theirs, arrays, strict=True))
    return found


@check_arguments
def save_torch_state_dict(model: Model, path: str | os.PathLike[str]) -> None:
    """Write `torch_state_dict(model)` as safetensors: `net.load_state_dict(safetensors.torch.load_file(path))`."""
    storage.write_arrays(path, torch_state_dict(model), {"format": "pt"})


@check_arguments
def load_torch_state_dict(model: Model, state: Mapping[str, Any] | str | os.PathLike[str]) -> None:
    """Take the weights of the same network in torch: its state_dict(), arrays, or a safetensors file of them.

    Errors: SettingError for names, ShapeError for shapes that are not the network's, and then nothing is changed;
    CheckpointError for a file that cannot be read.
    """
    arrays = (
        storage.read_arrays(state)
        if isinstance(state, (str, os.PathLike))
        else {k: as_array(x) for k, x in state.items()}
    )
    known = [entry for entry in entries(model) if entry.ours]
    names = [name for entry in known for name in entry.theirs]
    missing = [name for name in names if name not in arrays]
    unexpected = sorted(name for name in arrays if name not in names and not name.endswith(COUNTER))
    if missing or unexpected:
        parts = [
            f"{what} {', '.join(found[:3])}" for what, found in (("without", missing), ("with", unexpected)) if found
        ]
        raise SettingError(f"the state_dict is of another network: it is {' and '.join(parts)}")
    own = dict[str, Array]()
    for entry in known:
        try:
            own |= dict(zip(entry.ours, entry.to_ours(*[arrays[name] for name in entry.theirs]), strict=True))
        except ValueError as error:
            raise ShapeError(f"{', '.join(entry.theirs)}: {error}") from None
    model.load_state_dict(own)


def as_array(x: Any) -> Array:
    """A tensor of torch, or an array; bfloat16, which NumPy has not, as float32."""
    if str(getattr(x, "dtype", "")) == "torch.bfloat16":
        x = x.float()
    return np.asarray(x.detach().cpu().numpy() if hasattr(x, "detach") else x)


def entries(module: Model, own: str = "", theirs: str = "") -> Iterator[Entry]:
    """The entries of a module, under its own and torch's prefixes; what a class derived from ours adds, too."""
    told = set[str]()
    for entry in usual_entries(module, own, theirs):
        told.update(entry.ours)
        yield entry
    left = [name for name in module.state_dict() if own + name not in told]
    if left:
        yield from in_place(module, own, theirs, left)


def usual_entries(module: Model, own: str, theirs: str) -> Iterator[Entry]:
    """The entries of what a layer of its kind consists of."""
    kind = type(module).__name__
    if isinstance(module, MLP):
        yield from of_mlp(module, own, theirs)
    elif isinstance(module, Sequential):
        for i, layer in enumerate(module):
            if hasattr(layer, "named_children"):
                yield from entries(layer, f"{own}layers.{i}.", f"{theirs}{i}.")
    elif kind in GATES["torch"] and hasattr(module, "levels"):
        yield from of_recurrent(module, GATES["torch"][kind], own, theirs)
    elif isinstance(module, MultiHeadAttention):
        yield from of_attention(module, own, theirs)
    else:
        yield from in_place(module, own, theirs)


def in_place(module: Model, own: str, theirs: str, among: Collection[str] | None = None) -> Iterator[Entry]:
    """Under the same names: the module's own arrays, then what is inside; only those `among` these names."""
    names = list(module.state_dict()) if among is None else among
    inside = [(child, x) for child, x in module.named_children() if any(name.startswith(f"{child}.") for name in names)]
    for name in names:
        if not any(name.startswith(f"{child}.") for child, _ in inside):
            yield copy(f"{own}{name}", f"{theirs}{name}")
    if isinstance(module, BatchNorm):
        yield Entry((), (f"{theirs}{COUNTER}",), lambda: [np.array(0)], lambda _: [])
    renamed = {"attention": "self_attn"} if isinstance(module, TransformerEncoderLayer) else {}
    for child, layer in inside:
        yield from entries(layer, f"{own}{child}.", f"{theirs}{renamed.get(child, child)}.")


def copy(own: str, theirs: str) -> Entry:
    return Entry((own,), (theirs,), lambda x: [x], lambda x: [x])


def of_mlp(module: MLP, own: str, theirs: str) -> Iterator[Entry]:
    """Linear, normalization, activation, dropout of each hidden layer, then the last Linear."""
    at = 0
    for i, layer in enumerate(module.layers):
        yield from entries(layer, f"{own}layers.{i}.", f"{theirs}{at}.")
        if i < len(module.norms):
            if module.norm is not None:
                yield from entries(module.norms[i], f"{own}norms.{i}.", f"{theirs}{at + 1}.")
            at += 2 + (module.norm is not None) + (module.dropout is not None)


def join(ours: Sequence[str], theirs: str) -> Entry:
    """Several arrays, one below the other in torch."""
    count = len(ours)
    return Entry(tuple(ours), (theirs,), lambda *x: [np.concatenate(x)], lambda x: np.split(x, count))


def of_attention(module: MultiHeadAttention, own: str, theirs: str) -> Iterator[Entry]:
    """Query, key and value in one array."""
    parts = ("query", "key", "value")
    for what in ("weight", "bias"):
        if f"query.{what}" in module.state_dict():
            yield join([f"{own}{part}.{what}" for part in parts], f"{theirs}in_proj_{what}")
    for name in module.state_dict():
        if name.startswith("out."):
            yield copy(f"{own}{name}", f"{theirs}out_proj.{name.removeprefix('out.')}")


def of_recurrent(module: Model, gates: tuple[str, ...], own: str, theirs: str) -> Iterator[Entry]:
    """Every level and direction: the gates in one array, in torch's order, and two biases for each."""
    names = list(module.state_dict())
    deeper = [name.split(".")[2] for name in names if name.startswith("levels.deeper.")]
    for level in range(1 + len(set(deeper))):
        for turned in (0, 1):
            place = ("" if not turned else "levels.reverse.") if level == 0 else f"levels.deeper.{level - 1}.{turned}."
            if any(name.startswith(f"{place}{gates[0]}.") for name in names):
                end = f"_l{level}" + "_reverse" * turned
                yield of_level(gates, f"{own}{place}", theirs, end, f"{place}{gates[0]}.bias" in names)


def of_level(gates: tuple[str, ...], place: str, theirs: str, end: str, bias: bool) -> Entry:
    """One level in one direction."""
    matrix, column = np.zeros((len(gates), 1)), np.zeros(len(gates))
    sample = split(gates, matrix, matrix, (column, column) if bias else ())
    ours, kinds = tuple(sample), ("weight_ih", "weight_hh", *["bias_ih", "bias_hh"] * bias)

    def to_torch(*given: Array) -> list[Array]:
        known = dict(zip(ours, given, strict=True))
        found = [np.concatenate([known[f"{gate}.{kind}"] for gate in gates]) for kind in ("weight_ih", "weight_hh")]
        if bias:
            second = [known.get(f"{gate}_bias", np.zeros_like(known[f"{gate}.bias"])) for gate in gates]
            found += [np.concatenate([known[f"{gate}.bias"] for gate in gates]), np.concatenate(second)]
        return found

    def to_ours(W: Array, U: Array, *biases: Array) -> list[Array]:
        found = split(gates, W, U, biases)
        return [found[name] for name in ours]

    return Entry(tuple(f"{place}{n}" for n in ours), tuple(f"{theirs}{k}{end}" for k in kinds), to_torch, to_ours)

"""A model as a network: a circle for each unit, an edge for each weight, as one draws it on a blackboard.

The circles stand at positions of our own (`layout=neato` with pinned places), so that no layout engine has to find
them: 300 edges take milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import isfinite
from typing import Any, Literal

from tinygrad_edu.core.aliases import Model, Samples
from tinygrad_edu.draw.dot import ALARM, COLOURS, FONT, QUIET, heading
from tinygrad_edu.draw.stand import (
    LINE,
    MOST_UNITS,
    ROW,
    Column,
    circle_places,
    columns,
    depth_of_captions,
    in_runs,
    lowest,
)
from tinygrad_edu.draw.text import count, escape
from tinygrad_edu.errors import DrawError

Colour = Literal["weight", "gradient", "health"]
POSITIVE, NEGATIVE = "#d55e00", "#0072b2"  # from Okabe and Ito's palette; as in playground and animation
WIDEST = 4.0  # points; width of the edge with the largest number
FAINT = 0.02  # relative to the largest; thinner edges would be invisible and are left out
TINTS: Mapping[str, str] = {
    "healthy": "#d3f0e5", "saturated": "#fdebc8", "dead": "#ffb8b8", "vanishing": "#dccff5", "": "#ffffff",
}  # fmt: skip


@dataclass(frozen=True)
class MatrixChain:
    """Matrices of shape (out, in) from the input on, what the edges show, and a caption for each layer."""

    widths: tuple[int, ...]
    edges: tuple[Any, ...]
    captions: tuple[str, ...]

    @cached_property
    def columns(self) -> list[Column]:
        return columns(self.captions, self.widths)


def draw_network(model: Model, inputs: Samples, colour: Colour, title: str) -> tuple[str, str]:
    """(DOT text, summary) of a model that is a chain of layers.

    inputs: of the network, (samples, features); needed for `colour="health"`, and for a layer without weights.
    Errors: DrawError for a model that is no such chain, or without inputs where they are needed.
    """
    chain = chain_for(model, inputs, colour)
    if colour == "gradient" and not any(edge.any() for edge in chain.edges):
        raise DrawError('color="gradient": every gradient is zero or missing. Call loss.backward() first')
    units = states(model, inputs) if colour == "health" else {}
    kind = "gradients of the weights" if colour == "gradient" else "weights"
    broken = sum(not isfinite(x) for edge in chain.edges for x in edge.ravel().tolist())
    note = f"Edges: {kind}; orange positive, blue negative" + f"; {broken:,} NaN or infinite, dashed" * bool(broken)
    tinted = [units.get(place, ()) for place in range(len(chain.widths))]
    legend = health_legend(chain, tinted) if colour == "health" else ()
    lines = [
        'digraph "network" {',
        f"  graph [layout=neato, splines=line, bgcolor=white, pad=0.25, {FONT}]",
        f"  node [shape=circle, style=filled, fixedsize=true, width=0.36, fontsize=10, {FONT}]",
        "  edge [dir=none]",
        *heading(title, note + health_note(units)),
        *(f"  {line}" for line in [*circles(chain, tinted), *captions(chain), *legend, *edges(chain)]),
        "}",
    ]
    return "\n".join(lines) + "\n", summary(model, chain)


def states(model: Model, inputs: Samples) -> Mapping[int, Sequence[str]]:
    """The health of the units by layer; only this needs NumPy and the trainer, so that other pictures do without."""
    from tinygrad_edu.draw.health import health_of

    return health_of(model, inputs)


def chain_for(model: Model, inputs: Samples, colour: Colour) -> MatrixChain:
    """The layers of an MLP, or of any other model that fit one behind the other. Errors: DrawError."""
    from tinygrad_edu.draw.chain import has_own_forward

    by_sizes = hasattr(model, "sizes") and not has_own_forward(model)
    return chain_of(model, colour) if by_sizes else chain_of_stages(model, inputs, colour)


def chain_of(model: Model, colour: Colour) -> MatrixChain:
    """The linear layers of a model, which must fit one behind the other."""
    state = model.state_dict()
    names = [name for name, array in state.items() if name.endswith("weight") and array.ndim == 2]
    matrices = [state[name] for name in names]
    if not matrices or any(a.shape[0] != b.shape[1] for a, b in pairwise(matrices)):
        what = ", ".join(f"{name} {state[name].shape}" for name in names) or "no matrix called weight"
        raise DrawError(
            f'style="network" draws a chain of linear layers; {type(model).__name__} has {what}. Use style="graph"'
        )
    shown = [model.gradients()[name] for name in names] if colour == "gradient" else matrices
    widths = (matrices[0].shape[1], *(matrix.shape[0] for matrix in matrices))
    ends = activations(model, len(matrices))
    texts = [f"Linear {a}→{b}{end}" for (a, b), end in zip(pairwise(widths), ends, strict=True)]
    return MatrixChain(widths, tuple(shown), ("inputs", *texts))


def chain_of_stages(model: Model, inputs: Samples, colour: Colour) -> MatrixChain:
    """The layers of any model; convolutions, recurrent layers, attention: see stages.py."""
    from tinygrad_edu.draw.stages import single_layer, stages_of

    stages = stages_of(layers_to_draw(model, inputs, colour), gradients=colour == "gradient")
    if stages and stages[0].matrix is None and inputs is not None:
        stages = single_layer(stages, inputs)
    first = stages[0].matrix if stages else None
    if first is None or any(a.matrix.shape[0] != b.matrix.shape[1] for a, b in pairwise(stages)):  # type: ignore[union-attr]
        what = ", ".join(f"{stage.caption} {getattr(stage.matrix, 'shape', '')}".strip() for stage in stages)
        raise DrawError(
            f'style="network" draws a chain of layers, and {type(model).__name__} has '
            f'{what if first is not None else "no matrix called weight; pass inputs="}. Use style="graph"'
        )
    matrices = [stage.matrix for stage in stages]
    widths = (first.shape[1], *(len(matrix) for matrix in matrices))  # type: ignore[arg-type]
    return MatrixChain(widths, tuple(matrices), ("inputs", *(stage.caption for stage in stages)))


def layers_to_draw(model: Model, inputs: Samples, colour: Colour) -> list[Any]:
    """The layers in the order in which they are applied. Errors: DrawError if a user's own forward is no chain."""
    from tinygrad_edu.draw.chain import has_own_forward, refuse_other_order, traced_layers
    from tinygrad_edu.draw.stages import layers_in

    if not has_own_forward(model):
        return list(layers_in(model))
    layers = traced_layers(model, inputs)
    if colour == "health":
        refuse_other_order(model, layers)
    return layers


def activations(model: Model, layers: int) -> list[str]:
    """What stands behind each linear layer, as text: ", tanh", or nothing where the model does not say."""
    hidden = getattr(getattr(model, "activation", None), "name", "")
    last = getattr(getattr(model, "out_activation", None), "name", "")
    return [f", {name}" if name else "" for name in [*[hidden] * (layers - 1), last]]


def circles(chain: MatrixChain, tints: Sequence[Sequence[str]]) -> Iterator[str]:
    """A circle for each unit, and the number of those that are left out."""
    for column in chain.columns:
        layer, width = column.layer, chain.widths[column.layer]
        kind = "input" if layer == 0 else "output" if layer == len(chain.widths) - 1 else "result"
        fill, border = COLOURS[kind]  # type: ignore[index]
        for unit, height in circle_places(width):
            tint = TINTS[tints[layer][unit]] if len(tints[layer]) == width else fill
            label = f"x{unit}" if layer == 0 else f"y{unit}" if kind == "output" else ""
            yield (
                f'{column.name}_{unit} [pos="{column.x:.3f},{column.y + height:.3f}!", label="{label}", '
                f'fillcolor="{tint}", color="{border}"]'
            )
        if width > MOST_UNITS:
            height = circle_places(width)[-1][1] - ROW
            at, text = f"{column.x:.3f},{column.y + height:.3f}!", f"+ {width - MOST_UNITS + 1:,}"
            yield f'm{column.name} [shape=plaintext, style="", pos="{at}", label="{text}"]'


def captions(chain: MatrixChain) -> Iterator[str]:
    """Below each layer what it is: Linear 2→16, tanh."""
    for column in chain.columns:
        lines = escape(chain.captions[column.layer], 120).replace(", ", "<BR/>")
        # aligns the first lines of all captions
        height = column.y + lowest(chain.widths) - 0.55 - LINE / 2 * lines.count("<BR/>")
        yield (
            f'c{column.name} [shape=plaintext, style="", fixedsize=false, pos="{column.x:.3f},{height:.3f}!", '
            f'label=<<FONT COLOR="{QUIET}">{lines}</FONT>>]'
        )


def edges(chain: MatrixChain) -> Iterator[str]:
    """An edge for each weight between circles that are shown, as wide as its number is large in this layer."""
    # if a layer has two columns, edges go on from the second
    last = {column.layer: column.name for column in chain.columns}
    for layer, matrix in enumerate(chain.edges):
        largest = max((abs(x) for x in matrix.ravel().tolist() if isfinite(x)), default=0.0)
        for unit, _ in circle_places(matrix.shape[0]):
            for source, _ in circle_places(matrix.shape[1]):
                number = float(matrix[unit, source])
                share = number / (largest or 1.0) if isfinite(number) else number
                if not abs(share) < FAINT:
                    yield f"{last[layer]}_{source} -> u{layer + 1}_{unit} [{line_style(share)}]"


def line_style(share: float) -> str:
    """The style of an edge, from its number as a share of the largest one."""
    if not isfinite(share):
        return f'color="{ALARM}", style=dashed, penwidth={WIDEST:.2f}'
    return f'color="{POSITIVE if share > 0 else NEGATIVE}", penwidth={WIDEST * abs(share):.2f}'


def health_note(units: Mapping[int, Sequence[str]]) -> str:
    """How many units are in which state."""
    states = [state for layer in units.values() for state in layer if state]
    told = [f"{states.count(state)} {state}" for state in TINTS if state and state in states]
    return f". Units: {', '.join(told)}" if told else ""


def health_legend(chain: MatrixChain, tinted: Sequence[Sequence[str]]) -> Iterator[str]:
    """Below the captions, from left to right: a circle in the colour of each state that occurs, and its name."""
    met = [state for state in TINTS if state and any(state in layer for layer in tinted)]
    bottom = min(column.y for column in chain.columns) + lowest(chain.widths)
    height = bottom - depth_of_captions(chain.captions) - 0.47
    for place, state in enumerate([*met, *unmeasured(chain, tinted)]):
        x, middle = 1.25 * place, 1.25 * place + 0.2 + 0.043 * len(state)
        look = f'label="", width=0.2, fillcolor="{TINTS.get(state, TINTS[""])}", color="#6e6e6e"'
        yield f'h{place} [pos="{x:.3f},{height:.3f}!", {look}]'
        yield (
            f'w{place} [shape=plaintext, style="", fixedsize=false, pos="{middle:.3f},{height:.3f}!", '
            f'label=<<FONT COLOR="{QUIET}">{state}</FONT>>]'
        )


def unmeasured(chain: MatrixChain, tinted: Sequence[Sequence[str]]) -> list[str]:
    """Legend text for hidden units without a state: layers without an activation, attention."""
    hidden = list(zip(chain.widths, tinted, strict=True))[1:-1]
    return ["not measured"] if any(len(states) != width or "" in states for width, states in hidden) else []


def summary(model: Model, chain: MatrixChain) -> str:
    """The picture in words."""
    widths, size = short_widths(chain.widths), sum(array.size for array in model.state_dict().values())
    return f"Network {widths}: {'; '.join(in_runs(chain.captions[1:]))}; {count(size, 'parameter')}"


def short_widths(widths: Sequence[int]) -> str:
    """2-16-1; equal layers one behind the other as one where there are many."""
    texts = [str(width) for width in widths]
    return "-".join(texts if len(texts) <= 10 else in_runs(texts))

"""A model as a network: a circle for each unit, an edge for each weight, as one draws it on a blackboard.

The circles stand at positions of our own (`layout=neato` with pinned places), so that no layout engine has to find
them: 300 edges take milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

from tinygrad_edu.core.aliases import Model, Samples
from tinygrad_edu.draw.dot import COLOURS, FONT, QUIET, heading
from tinygrad_edu.draw.text import count, escape
from tinygrad_edu.errors import DrawError

Colour = Literal["weight", "gradient", "health"]
MOST_UNITS = 12  # circles of a layer; the rest is a number
COLUMN, ROW = 1.9, 0.52  # inches between layers and between units
LINE = 0.185  # inches from a line of a caption to the next
POSITIVE, NEGATIVE = "#0072b2", "#d55e00"  # of Okabe and Ito's palette
WIDEST = 4.0  # points of the edge with the largest number
FAINT = 0.02  # of the largest: thinner edges are left out, as they could not be seen
TINTS: Mapping[str, str] = {
    "healthy": "#d3f0e5", "saturated": "#fdebc8", "dead": "#ffb8b8", "vanishing": "#dccff5", "": "#ffffff",
}  # fmt: skip


@dataclass(frozen=True)
class Chain:
    """Matrices of shape (out, in) from the input on, what the edges show, and a caption for each layer."""

    widths: tuple[int, ...]
    edges: tuple[Any, ...]
    captions: tuple[str, ...]


def draw_network(model: Model, inputs: Samples, colour: Colour, title: str) -> tuple[str, str]:
    """(DOT text, summary) of a model that is a chain of layers.

    inputs: of the network, (samples, features); needed for `colour="health"`, and for a layer without weights.
    Errors: DrawError for a model that is no such chain, or without inputs where they are needed.
    """
    chain = chain_for(model, inputs, colour)
    units = states(model, inputs) if colour == "health" else {}
    kind = "gradients of the weights" if colour == "gradient" else "weights"
    note = f"Edges: {kind}; blue positive, orange negative"
    tinted = [units.get(place, ()) for place in range(len(chain.widths))]
    lines = [
        'digraph "network" {',
        f"  graph [layout=neato, splines=line, bgcolor=white, pad=0.25, {FONT}]",
        f"  node [shape=circle, style=filled, fixedsize=true, width=0.36, fontsize=10, {FONT}]",
        "  edge [dir=none]",
        *heading(title, note + health_note(units)),
        *(
            f"  {line}"
            for line in [*circles(chain, tinted), *captions(chain), *health_legend(chain, units), *edges(chain)]
        ),
        "}",
    ]
    return "\n".join(lines) + "\n", summary(model, chain)


def states(model: Model, inputs: Samples) -> Mapping[int, Sequence[str]]:
    """The health of the units by layer; only this needs NumPy and the trainer, so that other pictures do without."""
    from tinygrad_edu.draw.health import health_of

    return health_of(model, inputs)


def chain_for(model: Model, inputs: Samples, colour: Colour) -> Chain:
    """The layers of an MLP, or of any other model that fit one behind the other. Errors: DrawError."""
    return chain_of(model, colour) if hasattr(model, "sizes") else chain_of_stages(model, inputs, colour)


def chain_of(model: Model, colour: Colour) -> Chain:
    """The linear layers of a model, which must fit one behind the other."""
    state = model.state_dict()
    names = [name for name, array in state.items() if name.endswith("weight") and array.ndim == 2]
    matrices = [state[name] for name in names]
    if not matrices or any(a.shape[0] != b.shape[1] for a, b in pairwise(matrices)):
        what = ", ".join(f"{name} {state[name].shape}" for name in names) or "no matrix called weight"
        raise DrawError(
            f'style="network" draws linear layers one behind the other; {type(model).__name__} has {what}. '
            'Use style="graph"'
        )
    shown = [model.gradients()[name] for name in names] if colour == "gradient" else matrices
    widths = (matrices[0].shape[1], *(matrix.shape[0] for matrix in matrices))
    ends = activations(model, len(matrices))
    texts = [f"Linear {a}→{b}{end}" for (a, b), end in zip(pairwise(widths), ends, strict=True)]
    return Chain(widths, tuple(shown), ("inputs", *texts))


def chain_of_stages(model: Model, inputs: Samples, colour: Colour) -> Chain:
    """The layers of any model; convolutions, recurrent layers, attention: see stages.py."""
    from tinygrad_edu.draw.stages import single_layer, stages_of

    stages = stages_of(model, gradients=colour == "gradient")
    if stages and stages[0].matrix is None and inputs is not None:
        stages = single_layer(stages, inputs)
    first = stages[0].matrix if stages else None
    if first is None or any(a.matrix.shape[0] != b.matrix.shape[1] for a, b in pairwise(stages)):  # type: ignore[union-attr]
        what = ", ".join(f"{stage.caption} {getattr(stage.matrix, 'shape', '')}".strip() for stage in stages)
        raise DrawError(
            f'style="network" draws layers one behind the other, and {type(model).__name__} has '
            f'{what if first is not None else "no matrix called weight; pass inputs="}. Use style="graph"'
        )
    matrices = [stage.matrix for stage in stages]
    widths = (first.shape[1], *(len(matrix) for matrix in matrices))  # type: ignore[arg-type]
    return Chain(widths, tuple(matrices), ("inputs", *(stage.caption for stage in stages)))


def activations(model: Model, layers: int) -> list[str]:
    """What stands behind each linear layer, as text: ", tanh", or nothing where the model does not say."""
    hidden = getattr(getattr(model, "activation", None), "name", "")
    last = getattr(getattr(model, "out_activation", None), "name", "")
    return [f", {name}" if name else "" for name in [*[hidden] * (layers - 1), last]]


def places(width: int) -> list[tuple[int, float]]:
    """(unit, its height in inches) of the circles of a layer: all, or the first ones."""
    shown = width if width <= MOST_UNITS else MOST_UNITS - 1
    rows = min(width, MOST_UNITS)
    return [(unit, ROW * ((rows - 1) / 2 - unit)) for unit in range(shown)]


def circles(chain: Chain, tints: Sequence[Sequence[str]]) -> Iterator[str]:
    """A circle for each unit, and the number of those that are left out."""
    for layer, width in enumerate(chain.widths):
        kind = "input" if layer == 0 else "output" if layer == len(chain.widths) - 1 else "result"
        fill, border = COLOURS[kind]  # type: ignore[index]
        for unit, height in places(width):
            tint = TINTS[tints[layer][unit]] if len(tints[layer]) == width else fill
            label = f"x{unit}" if layer == 0 else f"y{unit}" if kind == "output" else ""
            yield (
                f'u{layer}_{unit} [pos="{COLUMN * layer:.3f},{height:.3f}!", label="{label}", '
                f'fillcolor="{tint}", color="{border}"]'
            )
        if width > MOST_UNITS:
            height = places(width)[-1][1] - ROW
            text = f"+ {width - MOST_UNITS + 1:,}"
            yield f'm{layer} [shape=plaintext, style="", pos="{COLUMN * layer:.3f},{height:.3f}!", label="{text}"]'


def captions(chain: Chain) -> Iterator[str]:
    """Below each layer what it is: Linear 2→16, tanh."""
    lowest = -ROW * (min(max(chain.widths), MOST_UNITS) - 1) / 2 - 0.55
    for layer, text in enumerate(chain.captions):
        lines = escape(text, 120).replace(", ", "<BR/>")
        height = lowest - LINE / 2 * lines.count("<BR/>")  # so that the first lines stand side by side
        yield (
            f'c{layer} [shape=plaintext, style="", fixedsize=false, pos="{COLUMN * layer:.3f},{height:.3f}!", '
            f'label=<<FONT COLOR="{QUIET}">{lines}</FONT>>]'
        )


def edges(chain: Chain) -> Iterator[str]:
    """An edge for each weight between circles that are shown, as wide as its number is large in this layer."""
    for layer, matrix in enumerate(chain.edges):
        largest = float(abs(matrix).max()) if matrix.size else 0.0
        for unit, _ in places(matrix.shape[0]):
            for source, _ in places(matrix.shape[1]):
                share = float(matrix[unit, source]) / largest if largest else 0.0
                if abs(share) >= FAINT:
                    yield f"u{layer}_{source} -> u{layer + 1}_{unit} [{line_style(share)}]"


def line_style(share: float) -> str:
    """Of an edge, by its number as a share of the largest one."""
    return f'color="{POSITIVE if share > 0 else NEGATIVE}", penwidth={WIDEST * abs(share):.2f}'


def health_note(units: Mapping[int, Sequence[str]]) -> str:
    """How many units are in which state."""
    states = [state for layer in units.values() for state in layer if state]
    told = [f"{states.count(state)} {state}" for state in TINTS if state and state in states]
    return f". Units: {', '.join(told)}" if told else ""


def health_legend(chain: Chain, units: Mapping[int, Sequence[str]]) -> Iterator[str]:
    """Below the captions, from left to right: a circle in the colour of each state that occurs, and its name."""
    met = [state for state in TINTS if state and any(state in layer for layer in units.values())]
    lines = max(text.count(", ") for text in chain.captions) + 1
    height = -ROW * (min(max(chain.widths), MOST_UNITS) - 1) / 2 - 0.75 - LINE * lines
    for place, state in enumerate(met):
        x = 1.25 * place
        look = f'label="", width=0.2, fillcolor="{TINTS[state]}", color="#6e6e6e"'
        yield f'h{place} [pos="{x:.3f},{height:.3f}!", {look}]'
        yield (
            f'w{place} [shape=plaintext, style="", fixedsize=false, pos="{x + 0.5:.3f},{height:.3f}!", '
            f'label=<<FONT COLOR="{QUIET}">{state}</FONT>>]'
        )


def summary(model: Model, chain: Chain) -> str:
    """The picture in words."""
    widths, size = "-".join(map(str, chain.widths)), sum(array.size for array in model.state_dict().values())
    return f"Network {widths}: {'; '.join(chain.captions[1:])}; {count(size, 'parameter')}"

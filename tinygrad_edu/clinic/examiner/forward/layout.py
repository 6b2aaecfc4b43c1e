"""How the learner's program writes a layer: x W, x Wᵀ as PyTorch does, or W x with samples in columns.

The texts of mistakes are written for z = x W + b, with samples in rows. The same formula in another layout is another
product: Wᵀ δ for W x, where δ Wᵀ would be the learner's own mistake again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tinygrad_edu.clinic.examiner.forward.layers import Layer
    from tinygrad_edu.clinic.examiner.forward.network import Network


@dataclass(frozen=True)
class Layout:
    """left: does the weight stand on the left, W x? turned: is it transposed in the forward pass?"""

    left: bool = False
    turned: bool = False

    def back(self, d: str, w: str, transposed: str) -> tuple[str, str]:
        """The factors of ∂L/∂x: δ Wᵀ."""
        w = w if self.turned else w + transposed
        return (w, d) if self.left else (d, w)

    def gradient(self, x: str, d: str, transposed: str) -> tuple[str, str]:
        """The factors of ∂L/∂W: xᵀ δ."""
        if self.left == self.turned:
            return (x, d + transposed) if self.left else (x + transposed, d)
        return (d, x + transposed) if self.left else (d + transposed, x)


ROWS = Layout()
# In the order in which they are looked for: a product in code or as a formula, without the transpose, others.
PRODUCTS = re.compile(
    r"(?P<back>\{d\}(?P<at> @ | )\{W\}(?P<t>\.T|ᵀ))"
    r"|(?P<own>(?P<input>\{x\}|\b[axz]\d*(\([^)]*\))?)(?P<t2>\.T|ᵀ)(?P<at2> @ | )\{d\})"
    r"|(?P<straight>\{d\} \{W\})|(?P<plain>\{x\} \{d\})"
)
TURNED = {
    "{W} is not transposed where": "{W} is transposed where",
    "The forward pass goes through {W}, the backward pass through its transpose:": "The forward pass goes through "
    "{W}.T, the backward pass through {W} itself:",
}
OUT_IN = {  # where W has a row for each unit of the layer
    "the input along the rows of W and the delta along its columns": "the delta along the rows of W and the input "
    "along its columns",
}
FORWARD = {
    (False, False): "z = xW + b", (False, True): "z = xWᵀ + b",
    (True, False): "z = Wx + b", (True, True): "z = Wᵀx + b",
}  # fmt: skip


def layout_of(net: Network, layer: Layer) -> Layout:
    """The layout of a layer's first weight."""
    for use in layer.weights:
        step = net.steps[use.step]
        if step.operation == "matmul":
            parent = step.parents[use.slot]
            turned = parent >= 0 and net.steps[parent].operation == "transpose"
            return Layout(use.slot == 0, turned)
    return ROWS


def in_layout(text: str, layout: Layout) -> str:
    """A text for z = x W + b, for another layout.

    >>> in_layout("∂L/∂{x} = {d} {W}ᵀ", Layout(left=True)), in_layout("d{W} = {x}.T @ {d}", Layout(turned=True))
    ('∂L/∂{x} = {W}ᵀ {d}', 'd{W} = {d}.T @ {x}')
    """
    if layout == ROWS:
        return text
    text = PRODUCTS.sub(lambda found: product_in(found, layout), text)
    changes = {"z = xW + b": FORWARD[layout.left, layout.turned]}
    changes |= TURNED if layout.turned else {}
    changes |= OUT_IN if layout.left != layout.turned else {}
    changes |= {"{d}.sum(axis=0)": "{d}.sum(axis=1, keepdims=True)"} if layout.left else {}
    for known, other in changes.items():
        text = text.replace(known, other)
    return text


def product_in(found: re.Match[str], layout: Layout) -> str:
    if found["back"]:
        return found["at"].join(layout.back("{d}", "{W}", found["t"]))
    if found["own"]:
        return found["at2"].join(layout.gradient(found["input"], "{d}", found["t2"]))
    if found["straight"]:  # the transpose is missing, or is one too many
        return " ".join(Layout(layout.left, not layout.turned).back("{d}", "{W}", "ᵀ"))
    return " ".join(part.removesuffix("ᵀ") for part in layout.gradient("{x}", "{d}", "ᵀ"))

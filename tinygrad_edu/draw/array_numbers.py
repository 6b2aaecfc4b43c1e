"""The chain rule at a node of arrays, in numbers: what it hands back to each parent, by the engine's own pull-back."""

from __future__ import annotations

from typing import Any

from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.draw.text import data_of, four_digits, is_large, norm_of, size, value_text

Node = Any
MOST = 200_000  # entries in the arrays of a node; above this the page shows only the rule


def shares_of(node: Node) -> dict[int, Any]:
    """By the place of the parent, its part of the gradient: ∂L/∂node · ∂node/∂parent. Nothing before `backward`."""
    grad = data_of(getattr(node, "grad", None))
    inputs = getattr(node, "parents", ())
    if not hasattr(grad, "dtype") or any(size(data_of(x)) > MOST for x in (node, *inputs)):
        return {}
    import numpy

    from tinygrad_edu.core.backward import pull  # here, because it needs NumPy, and Values are drawn without it

    wanted = [k for k, x in enumerate(inputs) if x.__class__ is node.__class__ and x.requires_grad]
    with numpy.errstate(all="ignore"):
        found = pull(node, grad)
    return {k: share for k, (_, share) in zip(wanted, found, strict=True)}


def share_text(share: ArrayLike, node: Node, slot: int) -> str:
    """A share as text: a small one in full, a large one as shape, norm, and its first element as a product.

    The product is there where each element of the parent meets one element of the node.
    """
    if not is_large(share):
        return value_text(share)
    first = f"; first element {first_product(share, node, slot)}"
    return f"array of shape {tuple(share.shape)}, norm {four_digits(norm_of(share))}{first}"


def first_product(share: ArrayLike, node: Node, slot: int) -> str:
    """The first element: "0.5 · 0.91 = 0.455" of an elementwise operation, else the number alone."""
    end = four_digits(share.reshape(-1)[0])
    partials_on_arrays = getattr(node.op, "partials_on_arrays", None)
    grad = data_of(node.grad)
    if partials_on_arrays is None or grad.shape != share.shape:
        return end
    import numpy

    with numpy.errstate(all="ignore"):
        partial = partials_on_arrays(node.array, [getattr(x, "array", x) for x in node.parents])[slot]
    partial = numpy.broadcast_to(partial, share.shape).reshape(-1)[0]
    return f"{four_digits(grad.reshape(-1)[0])} · {four_digits(partial)} = {end}"


def rule_of(node: Node, slot: int, mine: str, names: list[str]) -> str:
    """The chain rule for one parent, as one writes it: of a product of matrices the transposed other factor."""
    g, parent = f"∂L/∂{mine}", names[slot]
    operation = getattr(node, "op", None)
    matrices = [len(getattr(data_of(getattr(x, "data", x)), "shape", ())) == 2 for x in getattr(node, "parents", ())]
    if getattr(operation, "name", "") == "matmul" and matrices == [True, True]:
        return f"∂L/∂{parent} += " + (f"{g} @ {names[1]}ᵀ" if slot == 0 else f"{names[0]}ᵀ @ {g}")
    return f"∂L/∂{parent} += {g} · ∂{mine}/∂{parent}"


def derivatives_of(node: Node, names: list[str]) -> list[str]:
    """The local derivative ∂node/∂parent for each parent, as text; "" where it is not a number for each element.

    Of an elementwise operation, and of one that ends in a single number, a sum or a mean: exact. Of a product of
    matrices the other factor, transposed. Equal numbers as one.
    """
    parents = getattr(node, "parents", ())
    axes = [len(getattr(data_of(x), "shape", ())) for x in parents]
    if getattr(node.op, "name", "") == "matmul" and axes == [2, 2]:
        return [f"@ {names[1]}ᵀ", f"{names[0]}ᵀ @"]
    if any(size(data_of(x)) > MOST for x in (node, *parents)):
        return []
    import numpy

    with numpy.errstate(all="ignore"):
        found = local_arrays(node)
    return [derivative_text(found[k]) if k in found else "" for k in range(len(parents))]


def local_arrays(node: Node) -> dict[int, Any]:
    """By the place of the parent: the derivative of each element of the node by the element it was made of."""
    import numpy

    from tinygrad_edu.core.backward import pull

    data = data_of(node)
    partials_on_arrays = getattr(node.op, "partials_on_arrays", None)
    if partials_on_arrays is not None:
        return dict(enumerate(partials_on_arrays(node.array, [getattr(x, "array", x) for x in node.parents])))
    wanted = [k for k, x in enumerate(node.parents) if x.__class__ is node.__class__ and x.requires_grad]
    if size(data) != 1 or not wanted:
        return {}
    return {k: share for k, (_, share) in zip(wanted, pull(node, numpy.ones_like(data)), strict=True)}


def derivative_text(partial: Any) -> str:
    """Equal numbers as one, a few in full, many as their norm."""
    import numpy

    partial = numpy.asarray(data_of(partial), dtype=float)
    first = partial.reshape(-1)[:1]
    return four_digits(first[0]) if first.size and (partial == first).all() else value_text(partial)

"""Sums of products over named axes: einsum, tensordot and their like, each a transpose, a reshape and a product."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_edu.core.aliases import ArrayLike, Axis
from tinygrad_edu.core.arrays.diagonals import diagonal
from tinygrad_edu.core.arrays.rearrange import moveaxis
from tinygrad_edu.core.broadcasting import broadcast_to, sum_products
from tinygrad_edu.core.linalg import matmul, outer
from tinygrad_edu.core.operation import compose
from tinygrad_edu.core.shapes import expand_dims, getitem, one_axis, pad, ravel, reshape, stack, transpose, whole_axis
from tinygrad_edu.errors import OperandError, ShapeError

# einsum


@compose(method=False)
def einsum(*operands: ArrayLike, optimize: ArrayLike = False) -> Any:
    """Sums of products described by letters: einsum("ij,jk->ik", a, b) is a @ b, einsum("ii->i", a) a diagonal.

    Letters that are missing after -> are summed over; without ->, those that occur once remain, in alphabetical order.
    "..." stands for any further axes. Two arrays at a time, from the left (`optimize`: in NumPy's order).
    """
    inputs, output, xs = parse(operands)
    terms = list(zip(inputs, xs, strict=True))
    for pair in cheapest_order(inputs, output, xs, optimize) if optimize else []:
        chosen = [terms[i] for i in pair]
        terms = [term for i, term in enumerate(terms) if i not in pair]
        terms.append(contract(chosen, "".join(sorted({*output}.union(*(letters for letters, _ in terms))))))
    return order_axes(contract(terms, output), output)


def cheapest_order(inputs: Sequence[str], output: str, xs: Sequence[Any], optimize: ArrayLike) -> list[Any]:
    """The pairs that NumPy would join, in order, without the last; it reads their shapes only."""
    shapes = [np.broadcast_to(0.0, np.shape(x)) for x in xs]
    return list(np.einsum_path(",".join(inputs) + "->" + output, *shapes, optimize=optimize)[0][1:-1])


def contract(terms: Sequence[tuple[str, Any]], wanted: str) -> tuple[str, Any]:
    """All arrays joined into one; letters that neither a later array nor the result has are summed over."""
    letters, x = reduce_term(*terms[0], wanted + "".join(s for s, _ in terms[1:]))
    for i, (more, y) in enumerate(terms[1:], 2):
        later = wanted + "".join(s for s, _ in terms[i:])
        letters, x = product_of((letters, x), reduce_term(more, y, later + letters), later)
    return reduce_term(letters, x, wanted)


def parse(operands: Sequence[Any]) -> tuple[list[str], str, list[Any]]:
    """(letters of each array, letters of the result, the arrays), with "..." spelled out in capital letters."""
    if not isinstance(operands[0], str):
        operands = spell(operands)
    text, xs = operands[0].replace(" ", ""), list(operands[1:])
    left, arrow, output = text.partition("->")
    inputs = left.split(",")
    if len(inputs) != len(xs):
        raise OperandError(f"einsum({text!r}) names {len(inputs)} arrays, but {len(xs)} were given")
    used = {c for c in text if c.isalpha()}
    free = [c for c in map(chr, range(ord("A"), ord("Z") + 1)) if c not in used] + [chr(c) for c in range(192, 256)]
    extra = [np.ndim(x) - len(s.replace("...", "")) if "..." in s else 0 for s, x in zip(inputs, xs, strict=True)]
    longest = "".join(free[: max(extra)])
    inputs = [s.replace("...", longest[len(longest) - n :]) for s, n in zip(inputs, extra, strict=True)]
    if not arrow:
        every = "".join(inputs)
        output = longest + "".join(sorted(c for c in {*every} if every.count(c) == 1 and c not in longest))
    refuse_bad_letters(text, inputs, xs)
    output = output.replace("...", longest)
    lost = [c for c in longest if c not in output]
    if lost:
        raise OperandError(
            f"einsum({text!r}): the ... stands for {len(longest)} axes, which the result lacks: write them after -> too"
        )
    if len({*output}) < len(output) or not {*output} <= {*"".join(inputs)}:
        raise OperandError(
            f"einsum({text!r}): each letter of the result must occur once in it, and in at least one array"
        )
    return inputs, output, xs


def spell(operands: Sequence[Any]) -> list[Any]:
    """einsum(a, [0, 1], b, [1, 2], [0, 2]) with letters."""
    pairs, last = [*zip(operands[::2], operands[1::2], strict=False)], operands[-1] if len(operands) % 2 else None

    def word(axes: Sequence[Any]) -> str:
        return "".join("..." if i is Ellipsis else chr(ord("a") + int(i)) for i in axes)

    text = ",".join(word(axes) for _, axes in pairs) + ("" if last is None else "->" + word(last))
    return [text, *(x for x, _ in pairs)]


def refuse_bad_letters(text: str, inputs: Sequence[str], xs: Sequence[Any]) -> None:
    """Check that there are as many letters as axes, and one size (or 1) for each letter."""
    sizes: dict[str, Any] = {}
    for i, (letters, x) in enumerate(zip(inputs, xs, strict=True)):
        if len(letters) != np.ndim(x):
            raise ShapeError(f"einsum({text!r}): {len(letters)} letters for array {i}, of shape {np.shape(x)}")
        for c, n in zip(letters, np.shape(x), strict=True):
            if letters.count(c) > 1 and np.shape(x)[letters.index(c)] != n:
                raise ShapeError(
                    f"einsum({text!r}): a diagonal {c}{c} of array {i}, of shape {np.shape(x)}: not square"
                )
            if n != 1 and sizes.setdefault(c, n) != n:
                raise ShapeError(
                    f"einsum({text!r}): the letter {c} stands for {sizes[c]} entries, but for {n} in array {i}"
                )


def reduce_term(letters: str, x: ArrayLike, wanted: str) -> tuple[str, Any]:
    """Diagonals of letters that occur twice; sums over those that nothing else needs."""
    for c in sorted({*letters}):
        while letters.count(c) > 1:
            first, second = letters.index(c), letters.rindex(c)
            x = diagonal(x, 0, first, second)
            letters = letters[:first] + letters[first + 1 : second] + letters[second + 1 :] + c
    alone = tuple(i for i, c in enumerate(letters) if c not in wanted)
    return "".join(c for c in letters if c in wanted), sum_products(x, axis=alone) if alone else x


def product_of(a: tuple[str, Any], b: tuple[str, Any], wanted: str) -> tuple[str, Any]:
    """Letters of both that are still needed count the matrices; the other letters of both are summed by the product."""
    (left, x), (right, y) = a, b
    both = [c for c in left if c in right]
    kept, inner = [c for c in both if c in wanted], [c for c in both if c not in wanted]
    rows, columns = [c for c in left if c not in right], [c for c in right if c not in left]
    if not inner:
        letters = "".join([*kept, *rows, *columns])
        return letters, order_axes((left, x), letters) * order_axes((right, y), letters)
    x, y = same_sizes(x, left, y, right, inner)
    x, y = (
        order_axes((left, x), "".join([*kept, *rows, *inner])),
        order_axes((right, y), "".join([*kept, *inner, *columns])),
    )
    lead, mid = len(kept), len(kept) + len(rows)
    n = np.shape(x)[lead:mid], np.shape(y)[lead + len(inner) :]
    k = math.prod(np.shape(x)[mid:])
    product = matmul(
        reshape(x, (*np.shape(x)[:lead], math.prod(n[0]), k)), reshape(y, (*np.shape(y)[:lead], k, math.prod(n[1])))
    )
    return "".join([*kept, *rows, *columns]), reshape(product, (*np.shape(product)[:-2], *n[0], *n[1]))


def same_sizes(x: ArrayLike, left: str, y: ArrayLike, right: str, inner: Sequence[str]) -> tuple[Any, Any]:
    """An axis of size 1 repeated where the other array has more."""
    for c in inner:
        i, j = left.index(c), right.index(c)
        m, n = np.shape(x)[i], np.shape(y)[j]
        if m != n:
            shape, at, size = (np.shape(x), i, n) if m == 1 else (np.shape(y), j, m)
            wide = (*shape[:at], size, *shape[at + 1 :])
            x, y = (broadcast_to(x, wide), y) if m == 1 else (x, broadcast_to(y, wide))
    return x, y


def order_axes(term: tuple[str, Any], letters: str) -> Any:
    """The array with its axes in the order of the letters, and axes of size 1 for missing ones."""
    own, x = term
    present = [c for c in letters if c in own]
    order = [own.index(c) for c in present]
    x = x if order == [*range(len(order))] else transpose(x, order)
    sizes = iter(np.shape(x))
    return x if len(present) == len(letters) else reshape(x, tuple(next(sizes) if c in own else 1 for c in letters))


# products of arrays of many axes


@compose(method=False)
def tensordot(a: ArrayLike, b: ArrayLike, axes: Axis = 2) -> Any:
    """Σ of products over pairs of axes: the last `axes` of a with the first ones of b, or a pair of lists of axes."""
    if isinstance(axes, (int, np.integer)):
        left, right = [*range(np.ndim(a) - axes, np.ndim(a))], [*range(axes)]
    else:
        left, right = ([int(i) for i in np.atleast_1d(side)] for side in axes)
    left, right = [one_axis(a, i) for i in left], [one_axis(b, i) for i in right]
    if [np.shape(a)[i] for i in left] != [np.shape(b)[i] for i in right]:
        raise ShapeError(f"tensordot: axes {left} of {np.shape(a)} and {right} of {np.shape(b)} differ in size")
    rows = [i for i in range(np.ndim(a)) if i not in left]
    columns = [i for i in range(np.ndim(b)) if i not in right]
    n, m = [np.shape(a)[i] for i in rows], [np.shape(b)[i] for i in columns]
    k = math.prod(np.shape(a)[i] for i in left)
    x = reshape(transpose(a, [*rows, *left]), (math.prod(n), k))
    return reshape(matmul(x, reshape(transpose(b, [*right, *columns]), (k, math.prod(m)))), (*n, *m))


@compose(method=False)
def kron(a: ArrayLike, b: ArrayLike) -> Any:
    """The array of all blocks aᵢ·b."""
    rank = max(np.ndim(a), np.ndim(b))
    n, m = ((1,) * (rank - np.ndim(x)) + tuple(np.shape(x)) for x in (a, b))
    x = reshape(a, tuple(size for k in n for size in (k, 1)))
    y = reshape(b, tuple(size for k in m for size in (1, k)))
    return reshape(x * y, tuple(i * j for i, j in zip(n, m, strict=True)))


@compose(method=False)
def vecdot(a: ArrayLike, b: ArrayLike, axis: int = -1) -> Any:
    """Σ aᵢ·bᵢ along an axis of both."""
    axis = whole_axis(axis)
    return sum_products(moveaxis(a, axis, -1) * moveaxis(b, axis, -1), axis=-1)


@compose(method=False)
def matvec(a: ArrayLike, b: ArrayLike) -> Any:
    """Matrices times vectors: Σ aᵢⱼ·bⱼ."""
    found = matmul(a, expand_dims(b, -1))
    return reshape(found, np.shape(found)[:-1])


@compose(method=False)
def vecmat(a: ArrayLike, b: ArrayLike) -> Any:
    """Vectors times matrices: Σ aᵢ·bᵢⱼ."""
    found = matmul(expand_dims(a, -2), b)
    return reshape(found, (*np.shape(found)[:-2], np.shape(found)[-1]))


@compose(method=False)
def cross(
    a: ArrayLike, b: ArrayLike, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None
) -> Any:
    """The vector product of vectors with 3 entries, (a₁b₂ - a₂b₁, a₂b₀ - a₀b₂, a₀b₁ - a₁b₀), along an axis."""
    axisa, axisb, axisc = map(whole_axis, (axisa, axisb, axisc) if axis is None else (axis,) * 3)
    a, b = moveaxis(a, axisa, -1), moveaxis(b, axisb, -1)
    if (np.shape(a)[-1], np.shape(b)[-1]) != (3, 3):
        raise ShapeError(f"cross: vectors have 3 entries, not {np.shape(a)[-1]} and {np.shape(b)[-1]}")
    (a0, a1, a2), (b0, b1, b2) = ([getitem(x, (..., i)) for i in range(3)] for x in (a, b))
    return moveaxis(stack([a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0], axis=-1), -1, axisc)


@compose(method=False)
def convolve(a: ArrayLike, v: ArrayLike, mode: str = "full") -> Any:
    """Σⱼ aⱼ·vᵢ₋ⱼ, the product of two polynomials.

    mode: "full", "same" (as long as the longer row) or "valid" (only where the rows overlap in full).
    """
    if np.ndim(a) != 1 or np.ndim(v) != 1 or not np.shape(a)[0] or not np.shape(v)[0]:
        raise ShapeError(f"convolve needs two rows that are not empty, not the shapes {np.shape(a)} and {np.shape(v)}")
    if mode not in ("full", "same", "valid"):
        raise OperandError(f'convolve(mode={mode!r}): the modes are "full", "same" and "valid"')
    a, v = (a, v) if np.shape(a)[0] >= np.shape(v)[0] else (v, a)
    n, m = np.shape(a)[0], np.shape(v)[0]
    # Shift row i of the table of products by i places: pad with columns, then reshape to rows that are one shorter.
    table = ravel(pad(outer(v, a), ((0, 0), (0, m))))
    y = sum_products(reshape(getitem(table, slice(0, m * (n + m - 1))), (m, n + m - 1)), axis=0)
    if mode == "full":
        return y
    start, length = ((m - 1) // 2, n) if mode == "same" else (m - 1, n - m + 1)
    return getitem(y, slice(start, start + length))


@compose(method=False)
def correlate(a: ArrayLike, v: ArrayLike, mode: str = "valid") -> Any:
    """Σⱼ aᵢ₊ⱼ·vⱼ: a convolution with v in reverse order."""
    backwards = slice(None, None, -1)
    if np.size(a) < np.size(v):  # so that "same" has the middle where NumPy has it
        return getitem(correlate(v, a, mode), backwards)
    return convolve(a, getitem(v, backwards), mode)


# products of several matrices


@compose(numpy="linalg.multi_dot", method=False)
def multi_dot(arrays: Sequence[Any]) -> Any:
    """The product of several matrices (the ends may be vectors) in the order that needs the fewest multiplications."""
    ends = np.ndim(arrays[0]), np.ndim(arrays[-1])
    xs = [reshape(x, (1, *np.shape(x))) if i == 0 and np.ndim(x) == 1 else x for i, x in enumerate(arrays)]
    xs[-1] = reshape(xs[-1], (*np.shape(xs[-1]), 1)) if np.ndim(xs[-1]) == 1 else xs[-1]
    sizes = [np.shape(xs[0])[0], *(np.shape(x)[1] for x in xs)]
    best: dict[tuple[int, int], tuple[int, int]] = {(i, i): (0, i) for i in range(len(xs))}
    # cheapest order for each part of the chain, shortest parts first (dynamic programming)
    for width in range(1, len(xs)):
        for i in range(len(xs) - width):
            j = i + width
            best[i, j] = min(
                (best[i, k][0] + best[k + 1, j][0] + sizes[i] * sizes[k + 1] * sizes[j + 1], k) for k in range(i, j)
            )

    def product(i: int, j: int) -> Any:
        return xs[i] if i == j else matmul(product(i, best[i, j][1]), product(best[i, j][1] + 1, j))

    y = product(0, len(xs) - 1)
    return reshape(y, tuple(n for n, rank in zip(np.shape(y), ends, strict=True) if rank > 1))

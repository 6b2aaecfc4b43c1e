"""Sizes of windows: how many fit, what stands around them, and what to say about settings that do not fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from tinygrad_edu.core.aliases import ArrayLike, Axis
from tinygrad_edu.core.shapes import getitem
from tinygrad_edu.errors import SettingError, ShapeError

PerAxis = int | Sequence[int]


def window_counts(
    shape: Sequence[int], size: Sequence[int], stride: Sequence[int], dilation: Sequence[int]
) -> tuple[int, ...]:
    """How many windows fit along each axis.

    >>> window_counts((7, 7), (3, 3), (1, 2), (1, 2))
    (5, 2)
    """
    each = zip(shape, size, stride, dilation, strict=True)
    counts = tuple((n - d * (k - 1) - 1) // s + 1 for n, k, s, d in each)
    if any(n < 1 for n in counts):
        raise ShapeError(f"a window of {tuple(size)}, dilation {tuple(dilation)}, is larger than {tuple(shape)}")
    return counts


def view_of_windows(
    x: ArrayLike, size: Sequence[int], stride: Sequence[int], dilation: Sequence[int], counts: ArrayLike
) -> Any:
    """Every window of an array as a view, nothing copied: (..., *size, *counts)."""
    lead, steps = x.strides[: -len(size)], x.strides[-len(size) :]
    inside = [n * d for n, d in zip(steps, dilation, strict=True)]
    between = [n * s for n, s in zip(steps, stride, strict=True)]
    return as_strided(x, (*x.shape[: -len(size)], *size, *counts), (*lead, *inside, *between))


def places(at: Sequence[int], counts: ArrayLike, stride: Sequence[int], dilation: Sequence[int]) -> tuple[slice, ...]:
    """Where one place of the kernel lies in all windows."""
    each = zip(at, counts, stride, dilation, strict=True)
    return tuple(slice(k * d, k * d + (n - 1) * s + 1, s) for k, n, s, d in each)


def span_of(size: ArrayLike, counts: ArrayLike, stride: Axis, dilation: Axis) -> tuple[int, ...]:
    """How far so many windows reach.

    >>> span_of((3,), (4,), (2,), (1,))
    (9,)
    """
    each = zip(size, counts, stride, dilation, strict=True)
    return tuple((n - 1) * s + (k - 1) * d + 1 for k, n, s, d in each)


def each_axis(name: str, setting: str, given: PerAxis, axes: int, least: int) -> tuple[int, ...]:
    """A setting as one whole number for each axis. Errors: SettingError.

    >>> each_axis("conv2d", "stride", 2, 2, 1)
    (2, 2)
    """
    numbers: tuple[Any, ...] = tuple(given) if isinstance(given, (tuple, list)) else (given,) * axes
    whole = all(isinstance(x, (int, np.integer)) and not isinstance(x, bool) and x >= least for x in numbers)
    if len(numbers) != axes or not whole:
        wanted = f"a whole number of at least {least}" + (f", or {axes} of them" if axes > 1 else "")
        raise SettingError(f"{name}({setting}={given!r}): {wanted} is needed")
    return tuple(map(int, numbers))


def padding_of(
    name: str, padding: Axis, size: Sequence[int], stride: Sequence[int], dilation: Sequence[int]
) -> list[tuple[int, int]]:
    """(before, after) along each axis; "same" keeps the length, and puts an odd zero at the end, as in PyTorch."""
    if padding == "valid":
        return [(0, 0)] * len(size)
    if padding == "same":
        if any(s != 1 for s in stride):
            raise SettingError(f'{name}(padding="same", stride={tuple(stride)}): "same" needs stride 1')
        spare = [d * (k - 1) for k, d in zip(size, dilation, strict=True)]
        return [(n // 2, n - n // 2) for n in spare]
    if isinstance(padding, str):
        raise SettingError(f'{name}(padding={padding!r}): a whole number, "same" or "valid" is needed')
    return [(n, n) for n in each_axis(name, "padding", padding, len(size), 0)]


def refuse_channels(
    name: str, x: tuple[Any, ...], weight: tuple[Any, ...], groups: int, transposed: bool = False
) -> None:
    """The axes of an input and a weight must agree. Errors: ShapeError, SettingError."""
    axes = 1 if name.endswith("1d") else 2
    layout = "channels, length" if axes == 1 else "channels, height, width"
    if len(weight) != axes + 2 or len(x) not in (axes + 1, axes + 2):
        missing = " One channel is x[:, None]." if len(x) == axes else ""
        raise ShapeError(
            f"{name}: x has shape {x} and the weight {weight}, but x must be (batch, {layout}) or ({layout}) "
            f"and the weight have {axes + 2} axes.{missing}"
        )
    if not (isinstance(groups, int) and groups > 0):
        raise SettingError(f"{name}(groups={groups!r}): a whole number above 0 is needed")
    channels = x[-axes - 1]
    wanted = weight[0] if transposed else weight[1] * groups
    if channels != wanted:
        raise ShapeError(
            f"{name}: x {x} has {channels} channel{'s' * (channels != 1)}, but the weight {weight} is for {wanted}"
            + (f" ({groups} groups)" if groups > 1 else "")
        )
    if groups > 1 and fix_length(weight[0]) % groups:
        raise SettingError(f"{name}(groups={groups}): {weight[0]} channels cannot be divided into {groups} groups")


def refuse_wide(name: str, shape: Sequence[Any], size: Sequence[int], dilation: Sequence[int]) -> None:
    """A kernel has to fit into the input. Errors: ShapeError."""
    for n, k, d in zip(shape, size, dilation, strict=True):
        if isinstance(n, int) and n < d * (k - 1) + 1:
            raise ShapeError(
                f"{name}: a kernel of {tuple(size)}, dilation {tuple(dilation)}, does not fit into {tuple(shape)} "
                "(padding included): use a smaller kernel, more padding, or fewer poolings before it"
            )


def fix_length(n: Axis) -> int:
    """The length of an axis as a plain number; a trace keeps it, and another length gets a program of its own."""
    return int(n.fix() if hasattr(n, "fix") else n)


def crop(x: ArrayLike, widths: Sequence[int]) -> Any:
    """x without the first and last `widths` entries along its last axes."""
    if not any(widths):
        return x
    return getitem(x, (..., *(slice(n, -n if n else None) for n in widths)))

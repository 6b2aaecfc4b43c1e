"""Example calls of NumPy's further operations, which are made of those in tests/examples.py."""

from collections.abc import Callable
from typing import Any

import numpy as np

Shape = tuple[int, ...]
Example = tuple[Callable[..., Any], *tuple[Shape, ...]]
COORDINATES, POINTS, ORDER = np.array([0.0, 1.0, 1.5, 4.0]), np.array([-3.0, -1.0, 0.1, 2.5]), np.array([[2, 0, 1]])
HOLES = np.array([[True, False, False], [False, False, True]])


def holed(n, x):
    """x with NaN in two places, whatever x is."""
    return n.where(HOLES, np.nan, x)


REARRANGED: dict[str, list[Example]] = {
    "repeat": [
        (lambda n, x: n.repeat(x, 3), (2, 2)),
        (lambda n, x: n.repeat(x, 2, axis=-1), (2, 3)),
        (lambda n, x: n.repeat(x, [2, 0, 1], axis=1), (2, 3)),
    ],
    "tile": [
        (lambda n, x: n.tile(x, 2), (2, 3)),
        (lambda n, x: n.tile(x, (2, 1, 3)), (2, 3)),
        (lambda n, x: n.tile(x, (2,)), ()),
    ],
    "broadcast_arrays": [(lambda n, a, b: n.broadcast_arrays(a, b), (2, 1), (3,))],
    "meshgrid": [
        (lambda n, a, b: n.meshgrid(a, b), (2,), (3,)),
        (lambda n, a, b, c: n.meshgrid(a, b, c, indexing="ij"), (2,), (3,), (2,)),
        (lambda n, a, b: n.meshgrid(a, b, sparse=True), (2,), (3,)),
    ],
    "moveaxis": [
        (lambda n, x: n.moveaxis(x, 0, -1), (2, 3, 4)),
        (lambda n, x: n.moveaxis(x, (0, 1), (-1, -2)), (2, 3, 4)),
    ],
    "rollaxis": [(lambda n, x: n.rollaxis(x, 2), (2, 3, 4)), (lambda n, x: n.rollaxis(x, 0, 3), (2, 3, 4))],
    "roll": [
        (lambda n, x: n.roll(x, 2), (2, 3)),
        (lambda n, x: n.roll(x, -1, axis=1), (2, 3)),
        (lambda n, x: n.roll(x, (1, 7), axis=(0, 1)), (2, 3)),
    ],
    "rot90": [(lambda n, x, k=k: n.rot90(x, k), (2, 3)) for k in range(-1, 4)],
    "fliplr": [(lambda n, x: n.fliplr(x), (2, 3))],
    "flipud": [(lambda n, x: n.flipud(x), (2, 3))],
    "matrix_transpose": [(lambda n, x: n.matrix_transpose(x), (2, 3, 4))],
    "atleast_1d": [
        (lambda n, x: n.atleast_1d(x), ()),
        (lambda n, a, b: n.atleast_1d(a, b), (2,), ()),
    ],
    "atleast_3d": [(lambda n, x: n.atleast_3d(x), s) for s in [(), (2,), (2, 3), (2, 3, 4)]],
    "dstack": [(lambda n, a, b: n.dstack([a, b]), (2, 3), (2, 3)), (lambda n, a, b: n.dstack([a, b]), (3,), (3,))],
    "column_stack": [(lambda n, a, b: n.column_stack([a, b]), (3,), (3, 2))],
    "block": [
        (lambda n, a, b, c, d: n.block([[a, b], [c, d]]), (2, 2), (2, 1), (1, 2), (1, 1)),
        (lambda n, a, b: n.block([a, b]), (2,), (3,)),
    ],
    "append": [
        (lambda n, a, b: n.append(a, b), (2, 2), (3,)),
        (lambda n, a, b: n.append(a, b, axis=0), (2, 2), (1, 2)),
    ],
    "delete": [
        (lambda n, x: n.delete(x, 1), (2, 2)),
        (lambda n, x: n.delete(x, [0, -1], axis=1), (2, 4)),
        (lambda n, x: n.delete(x, slice(0, 2), axis=0), (3, 2)),
    ],
    "insert": [
        (lambda n, x, v: n.insert(x, 1, v), (2, 2), ()),
        (lambda n, x, v: n.insert(x, 1, v, axis=1), (2, 3), (2,)),
        (lambda n, x, v: n.insert(x, [0, 2], v, axis=1), (2, 3), (2, 2)),
    ],
    "array_split": [(lambda n, x: n.array_split(x, 3), (7, 2)), (lambda n, x: n.array_split(x, [1, 3], 1), (2, 4))],
    "hsplit": [(lambda n, x: n.hsplit(x, 2), (2, 4)), (lambda n, x: n.hsplit(x, 2), (4,))],
    "vsplit": [(lambda n, x: n.vsplit(x, 2), (4, 2))],
    "dsplit": [(lambda n, x: n.dsplit(x, 2), (1, 2, 4))],
    "unstack": [(lambda n, x: n.unstack(x), (2, 3)), (lambda n, x: n.unstack(x, axis=-1), (2, 3))],
    "select": [(lambda n, a, b: n.select([COORDINATES > 3.0, COORDINATES > 0.5], [a, b], 7.0), (4,), (4,))],
    "apply_along_axis": [
        (lambda n, x: n.apply_along_axis(lambda row: row[0] * row, 0, x), (2, 3)),
        (lambda n, x: n.apply_along_axis(lambda row, k: row[k] * row[0], 1, x, 1), (2, 3, 2)),
    ],
    "diagonal": [
        (lambda n, x: n.diagonal(x), (3, 3)),
        (lambda n, x: n.diagonal(x, 1), (2, 4)),
        (lambda n, x: n.diagonal(x, -1, 1, 2), (2, 3, 4)),
        (lambda n, x: n.diagonal(x, 0, -1, 0), (3, 2, 4)),
    ],
    "trace": [(lambda n, x: n.trace(x), (3, 3)), (lambda n, x: n.trace(x, 1, 0, 2), (3, 2, 4))],
    "diag": [
        (lambda n, x: n.diag(x), (3, 4)),
        (lambda n, x: n.diag(x), (3,)),
        (lambda n, x: n.diag(x, 2), (3,)),
        (lambda n, x: n.diag(x, -1), (3,)),
    ],
    "diagflat": [(lambda n, x: n.diagflat(x), (2, 2))],
    "tril": [(lambda n, x: n.tril(x), (3, 3)), (lambda n, x: n.tril(x, -1), (2, 3, 4))],
    "triu": [(lambda n, x: n.triu(x), (3, 3)), (lambda n, x: n.triu(x, 1), (2, 3, 4))],
    "entries_along": [(lambda n, x: n.entries_along(x, ORDER[0], 0), (3,))],
    "take_along_axis": [
        (lambda n, x: n.take_along_axis(x, ORDER, 1), (1, 3)),
        (lambda n, x: n.take_along_axis(x, np.array([[0, -1, 1], [1, 0, 1]]), 0), (2, 3)),
        (lambda n, x: n.take_along_axis(x, np.array([[[1]], [[0]]]), 1), (2, 3, 2)),
        (lambda n, x: n.take_along_axis(x, np.array([2, 2, 0]), None), (2, 2)),
    ],
    "sort": [
        (lambda n, x: n.sort(x), (2, 4)),
        (lambda n, x: n.sort(x, axis=0), (4, 2)),
        (lambda n, x: n.sort(x, axis=None), (2, 3)),
    ],
    "partition": [(lambda n, x: n.partition(x, 2), (2, 5)), (lambda n, x: n.partition(x, 1, axis=0), (4, 2))],
    "median": [
        (lambda n, x: n.median(x), (3, 3)),
        (lambda n, x: n.median(x, axis=0), (4, 2)),
        (lambda n, x: n.median(x, axis=(0, 2), keepdims=True), (2, 3, 2)),
    ],
    "percentile": [(lambda n, x: n.percentile(x, 30.0), (5,)), (lambda n, x: n.percentile(x, [5, 50], axis=0), (4, 2))],
    "quantile": [
        (lambda n, x: n.quantile(x, 0.3), (2, 3)),
        (lambda n, x: n.quantile(x, [0.1, 0.9], axis=1), (2, 4)),
        *((lambda n, x, m=m: n.quantile(x, 0.6, axis=0, method=m), (5, 2)) for m in ("lower", "higher", "nearest")),
        (lambda n, x: n.quantile(x, 0.6, axis=0, method="midpoint"), (5, 2)),
    ],
}

STATISTICS: dict[str, list[Example]] = {
    "average": [
        (lambda n, x: n.average(x), (2, 3)),
        (lambda n, x, w: n.average(x, axis=1, weights=w * w), (2, 3), (3,)),
        (lambda n, x, w: n.average(x, weights=w * w), (2, 3), (2, 3)),
        (lambda n, x, w: n.average(x, axis=0, weights=w * w, returned=True), (2, 3), (2,)),
    ],
    "ptp": [(lambda n, x: n.ptp(x), (2, 3)), (lambda n, x: n.ptp(x, axis=0), (2, 3))],
    "cov": [
        (lambda n, x: n.cov(x), (3, 4)),
        (lambda n, x: n.cov(x, rowvar=False, bias=True), (4, 2)),
        (lambda n, x, y: n.cov(x, y), (4,), (4,)),
        (lambda n, x: n.cov(x, ddof=0), (4,)),
    ],
    "corrcoef": [(lambda n, x: n.corrcoef(x), (3, 4)), (lambda n, x, y: n.corrcoef(x, y), (4,), (4,))],
    "diff": [
        (lambda n, x: n.diff(x), (2, 4)),
        (lambda n, x: n.diff(x, 2, axis=0), (4, 2)),
        (lambda n, x, p: n.diff(x, prepend=p, append=1.5), (2, 3), (2, 1)),
    ],
    "ediff1d": [(lambda n, x: n.ediff1d(x), (2, 3))],
    "trapezoid": [
        (lambda n, y: n.trapezoid(y), (2, 4)),
        (lambda n, y: n.trapezoid(y, dx=0.5, axis=0), (4, 2)),
        (lambda n, y, x: n.trapezoid(y, x), (2, 4), (4,)),
        (lambda n, y, x: n.trapezoid(y, x, axis=0), (4, 2), (4,)),
    ],
    "gradient": [
        (lambda n, x: n.gradient(x), (5,)),
        (lambda n, x: n.gradient(x), (3, 4)),
        (lambda n, x: n.gradient(x, 0.5, axis=1, edge_order=2), (2, 4)),
        (lambda n, x: n.gradient(x, COORDINATES), (4,)),
        (lambda n, x: n.gradient(x, COORDINATES, axis=0, edge_order=2), (4, 2)),
    ],
    "interp": [
        (lambda n, x, fp: n.interp(x, POINTS, fp), (5,), (4,)),
        (lambda n, x: n.interp(x, POINTS, COORDINATES, left=9.0, right=8.0), (2, 3)),
    ],
    "cumprod": [
        (lambda n, x: n.cumprod(x), (2, 3)),
        (lambda n, x: n.cumprod(x, axis=0), (3, 2)),
        (lambda n, x: n.cumprod(x, axis=-1), (2, 3)),
    ],
    "nan_to_num": [(lambda n, x: n.nan_to_num(holed(n, x), nan=0.5), (2, 3))],
    "nansum": [(lambda n, x: n.nansum(holed(n, x), axis=1), (2, 3))],
    "nanprod": [(lambda n, x: n.nanprod(holed(n, x), axis=1), (2, 3))],
    "nanmean": [(lambda n, x: n.nanmean(holed(n, x), axis=0, keepdims=True), (2, 3))],
    "nanvar": [(lambda n, x: n.nanvar(holed(n, x), axis=1), (2, 3))],
    "nanstd": [(lambda n, x: n.nanstd(holed(n, x)), (2, 3))],
    "nancumsum": [(lambda n, x, a=a: n.nancumsum(holed(n, x), axis=a), (2, 3)) for a in (None, 0, 1)],
    "nancumprod": [(lambda n, x, a=a: n.nancumprod(holed(n, x), axis=a), (2, 3)) for a in (None, 0, 1)],
    "nanmedian": [(lambda n, x, a=a: n.nanmedian(holed(n, x), axis=a, keepdims=True), (2, 3)) for a in (None, 0, 1)],
    "nanpercentile": [(lambda n, x: n.nanpercentile(holed(n, x), [5, 50], axis=1), (2, 3))],
    "nanquantile": [
        (lambda n, x, m=m: n.nanquantile(holed(n, x), 0.3, 1, method=m), (2, 3)) for m in ("linear", "higher")
    ],
    "polyval": [(lambda n, p, x: n.polyval(p, x), (4,), (2, 3)), (lambda n, x: n.polyval([1.0, 0.0, 2.0], x), (3,))],
    "vander": [(lambda n, x, k=k: n.vander(x, k, increasing=k is None), (3,)) for k in (None, 2, 4)],
    "nanmax": [(lambda n, x: n.nanmax(holed(n, x), axis=1), (2, 3))],
    "nanmin": [(lambda n, x: n.nanmin(holed(n, x), axis=1), (2, 3))],
    "round": [(lambda n, x: n.round(x * 10.1, 1), (2, 3)), (lambda n, x: n.round(x * 10.1), (2, 3))],
    "linspace": [
        (lambda n, a, b: n.linspace(a, b, 5), (), ()),
        (lambda n, a, b: n.linspace(a, b, 4, endpoint=False), (3,), (2, 1)),
    ],
    "logspace": [
        (lambda n, a, b: n.logspace(a, b, 4), (), ()),
        (lambda n, a, b: n.logspace(a, b, 3, endpoint=False, base=2.0), (2,), ()),
    ],
    "compress": [
        (lambda n, x: n.compress([True, False, True], x, axis=0), (3, 2)),
        (lambda n, x: n.compress([False, True], x), (3, 2)),
    ],
    "extract": [(lambda n, x: n.extract(HOLES, x), (2, 3))],
    "fftshift": [
        (lambda n, x: n.fftshift(x), (2, 3)),
        (lambda n, x: n.fftshift(x, 1), (2, 5)),
    ],
    "ifftshift": [(lambda n, x: n.ifftshift(x), (2, 3)), (lambda n, x: n.ifftshift(x, axes=(1,)), (2, 5))],
    "real": [(lambda n, x: n.real(x), (2, 3))],
    "angle": [(lambda n, x: n.angle(x), (2, 3)), (lambda n, x: n.angle(x, deg=True), (4,))],
}

CONTRACTED: dict[str, list[Example]] = {
    "einsum": [
        (lambda n, a, b: n.einsum("ij,jk->ik", a, b), (2, 3), (3, 4)),
        (lambda n, a, b: n.einsum("ij,jk", a, b), (2, 3), (3, 2)),
        (lambda n, x: n.einsum("ii->i", x), (3, 3)),
        (lambda n, x: n.einsum("ii", x), (3, 3)),
        (lambda n, x: n.einsum("ijk->kj", x), (2, 3, 4)),
        (lambda n, a, b: n.einsum("bij,bjk->bik", a, b), (2, 2, 3), (2, 3, 2)),
        (lambda n, a, b: n.einsum("...ij,...j->...i", a, b), (2, 2, 3), (3,)),
        (lambda n, a, b: n.einsum("i,j->ij", a, b), (2,), (3,)),
        (lambda n, a, b: n.einsum("ij,ij->", a, b), (2, 3), (2, 3)),
        (lambda n, a, b, c: n.einsum("ij,jk,kl->il", a, b, c), (2, 3), (3, 4), (4, 2)),
        (lambda n, a, b, c: n.einsum("ij,jk,kl->il", a, b, c, optimize=True), (2, 3), (3, 4), (4, 2)),
        (lambda n, a, b, c: n.einsum("i,i,i->", a, b, c), (3,), (3,), (3,)),
        (lambda n, a, b: n.einsum(a, [0, 1], b, [1, 2], [0, 2]), (2, 3), (3, 2)),
        (lambda n, a, b: n.einsum("iij,jk->ik", a, b), (2, 2, 3), (3, 2)),
    ],
    "tensordot": [
        (lambda n, a, b: n.tensordot(a, b), (2, 3, 4), (3, 4, 2)),
        (lambda n, a, b: n.tensordot(a, b, 1), (2, 3), (3, 4)),
        (lambda n, a, b: n.tensordot(a, b, axes=([0, 2], [1, 0])), (2, 3, 4), (4, 2, 3)),
        (lambda n, a, b: n.tensordot(a, b, 0), (2,), (3,)),
    ],
    "kron": [(lambda n, a, b: n.kron(a, b), (2, 2), (3, 2)), (lambda n, a, b: n.kron(a, b), (2,), (2, 3))],
    "vecdot": [(lambda n, a, b: n.vecdot(a, b), (2, 3), (3,))],
    "matvec": [(lambda n, a, b: n.matvec(a, b), (2, 3, 4), (4,))],
    "vecmat": [(lambda n, a, b: n.vecmat(a, b), (2, 3), (2, 3, 4))],
    "cross": [
        (lambda n, a, b: n.cross(a, b), (2, 3), (3,)),
        (lambda n, a, b: n.cross(a, b, axis=0), (3, 2), (3, 2)),
    ],
    "convolve": [
        (lambda n, a, v: n.convolve(a, v), (5,), (3,)),
        (lambda n, a, v: n.convolve(a, v, "same"), (3,), (6,)),
        (lambda n, a, v: n.convolve(a, v, mode="valid"), (5,), (2,)),
    ],
    "correlate": [
        (lambda n, a, v: n.correlate(a, v), (5,), (3,)),
        (lambda n, a, v: n.correlate(a, v, "full"), (5,), (3,)),
        (lambda n, a, v: n.correlate(a, v, "same"), (5,), (2,)),
        (lambda n, a, v: n.correlate(a, v, "full"), (2,), (4,)),
    ],
    "multi_dot": [
        (lambda n, a, b, c: n.multi_dot([a, b, c]), (2, 3), (3, 4), (4, 2)),
        (lambda n, a, b, c: n.multi_dot([a, b, c]), (3,), (3, 4), (4,)),
    ],
}
NUMPYS = REARRANGED | STATISTICS | CONTRACTED

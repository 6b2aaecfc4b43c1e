"""PyTorch under NumPy's names and arguments, for the examples of tests/examples_numpy.py."""

import functools

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch (torch) is not installed: python -m pip install torch==2.13.0")


def flat_if_none(function):
    """NumPy's axis=None means the flattened array."""

    def call(x, *options, axis=None, **named):
        x, axis = (x.reshape(-1), 0) if axis is None else (x, axis)
        return function(x, *options, axis, **named)

    return call


def tensor(x):
    return x if torch.is_tensor(x) else torch.as_tensor(np.asarray(x))


def where(condition, a, b):
    return torch.where(tensor(condition), tensor(a), tensor(b))


def repeat(x, repeats, axis=None):
    return torch.repeat_interleave(x, tensor(repeats), dim=axis)


def roll(x, shift, axis=None):
    return torch.roll(x, shift, axis)


def meshgrid(*xs, indexing="xy", sparse=False):
    found = torch.meshgrid(*xs, indexing=indexing)
    return [x[tuple(slice(1) if i != axis else slice(None) for i in range(x.ndim))] for x, axis in
            zip(found, (1, 0), strict=True)] if sparse else list(found)  # fmt: skip


def rollaxis(x, axis, start=0):
    return torch.moveaxis(x, axis, start - (axis < start))


def append(x, values, axis=None):
    return torch.cat([x.reshape(-1), values.reshape(-1)]) if axis is None else torch.cat([x, values], axis)


@flat_if_none
def delete(x, obj, axis):
    return torch.index_select(x, axis, torch.as_tensor(np.delete(np.arange(x.shape[axis]), obj)))


def delete_at(x, obj, axis=None):
    return delete(x, obj, axis=axis)


def insert(x, obj, values, axis=None):
    x, axis = (x.reshape(-1), 0) if axis is None else (x, axis)
    numbered = np.insert(np.arange(x.shape[axis]), obj, -1)
    values = values.reshape(-1, 1) if np.ndim(obj) == 0 and x.ndim > 1 else values
    new = values if np.ndim(obj) else values.expand(*x.shape[:axis], 1, *x.shape[axis + 1 :])
    pieces, taken = [], 0
    for i in numbered:
        pieces.append(x.select(axis, int(i)) if i >= 0 else new.select(axis, taken))
        taken += i < 0
    return torch.stack(pieces, axis)


def block(arrays):
    rows = [torch.cat(row, -1) for row in arrays] if isinstance(arrays[0], list) else None
    return torch.cat(rows, -2) if rows else torch.cat(arrays, -1)


def select(conditions, choices, default):
    pairs = list(zip(conditions, choices, strict=True))[::-1]
    return functools.reduce(lambda rest, pair: where(pair[0], pair[1], rest), pairs, torch.tensor(default).double())


def apply_along_axis(function, axis, x, *arguments):
    rows = x.movedim(axis, -1)
    found = torch.stack([function(row, *arguments) for row in rows.reshape(-1, rows.shape[-1])])
    found = found.reshape(*rows.shape[:-1], *found.shape[1:])
    return found.movedim(-1, axis) if found.ndim == x.ndim else found


def sort(x, axis=-1):
    return torch.sort(x.reshape(-1) if axis is None else x, dim=0 if axis is None else axis).values


def partition(x, kth, axis=-1):
    order = np.argpartition(x.detach().numpy(), kth, axis=axis)
    return torch.take_along_dim(x, torch.as_tensor(order), axis)


def over(function):
    """A function of the last axis, over any axes."""

    def reduce(x, *options, axis=None, keepdims=False, **named):
        axes = range(x.ndim) if axis is None else [axis] if isinstance(axis, int) else axis
        inner = [i % x.ndim for i in axes]
        outer = [i for i in range(x.ndim) if i not in inner]
        rows = x.permute(*outer, *inner).reshape(*(x.shape[i] for i in outer), -1)
        y = function(rows, *options, **named)
        return (
            y.reshape(*y.shape[: y.ndim - len(outer)], *(1 if i in inner else n for i, n in enumerate(x.shape)))
            if keepdims
            else y
        )

    return reduce


def quantile(x, q, method="linear"):
    return torch.quantile(x, torch.as_tensor(q, dtype=x.dtype), dim=-1, interpolation=method)


def average(x, axis=None, weights=None, returned=False):
    if weights is None:
        return x.mean()
    if weights.shape != x.shape:
        weights = weights.reshape([-1 if i == axis else 1 for i in range(x.ndim)]).expand(x.shape)
    total = weights.sum() if axis is None else weights.sum(axis)
    y = (x * weights).sum() / total if axis is None else (x * weights).sum(axis) / total
    return [y, total] if returned else y


def cov(x, y=None, rowvar=True, bias=False, ddof=None):
    x = x if y is None else torch.stack([x, y])
    return torch.cov(x if rowvar else x.T, correction=(0 if bias else 1) if ddof is None else ddof)


def diff(x, n=1, axis=-1, prepend=None, append=None):
    ends = [x.new_full((*x.shape[:-1], 1), e) if isinstance(e, float) else e for e in (prepend, append)]
    return torch.diff(x, n, axis, *ends)


def trapezoid(y, x=None, dx=1.0, axis=-1):
    return torch.trapezoid(y, x, dim=axis) if x is not None else torch.trapezoid(y, dx=dx, dim=axis)


def gradient(x, *spacing, axis=None, edge_order=1):
    steps = [torch.as_tensor(s) if np.ndim(s) else s for s in spacing]
    dims = range(x.ndim) if axis is None else [axis]
    found = [torch.gradient(x, spacing=[steps[0]] if steps and np.ndim(steps[0]) else steps[0] if steps else 1.0, dim=d,
                            edge_order=edge_order)[0] for d in dims]  # fmt: skip
    return found if len(found) > 1 else found[0]


def interp(x, xp, fp, left=None, right=None):
    fp = tensor(fp)
    low = torch.as_tensor(np.clip(np.searchsorted(xp, x.detach().numpy(), side="right") - 1, 0, len(xp) - 2))
    xs = torch.as_tensor(xp)
    y = fp[low] + (fp[low + 1] - fp[low]) * (x - xs[low]) / (xs[low + 1] - xs[low])
    y = torch.where(x < xs[0], fp[0] if left is None else torch.tensor(left).double(), y)
    return torch.where(x > xs[-1], fp[-1] if right is None else torch.tensor(right).double(), y)


def known(x):
    return torch.where(torch.isnan(x), 0.0, x), (~torch.isnan(x)).double()


def nanvar(x):
    filled, counts = known(x)
    mean = filled.sum(-1, keepdim=True) / counts.sum(-1, keepdim=True)
    return (torch.where(counts > 0, x - mean, 0.0) ** 2).sum(-1) / counts.sum(-1)


def einsum(first, *others, optimize=False):
    return torch.einsum(first, *others)


def convolve(a, v, mode="full"):
    a, v = (a, v) if len(a) >= len(v) else (v, a)
    y = torch.nn.functional.conv1d(a[None, None], v.flip(0)[None, None], padding=len(v) - 1)[0, 0]
    start, size = {
        "full": (0, len(y)),
        "same": ((len(v) - 1) // 2, len(a)),
        "valid": (len(v) - 1, len(a) - len(v) + 1),
    }[mode]
    return y[start : start + size]


def broadcast_but(x, index, axis):
    """PyTorch takes no negative index."""
    return x, torch.as_tensor(np.asarray(index) % (x.numel() if axis is None else x.shape[axis]))


def norm(x, ord=None, axis=None, keepdims=False):
    if ord is None:
        return torch.linalg.vector_norm(x, dim=axis, keepdim=keepdims)
    matrix = isinstance(axis, tuple) or (axis is None and x.ndim == 2)
    dims = axis if axis is not None else (0, 1) if matrix else 0
    return (torch.linalg.matrix_norm if matrix else torch.linalg.vector_norm)(x, ord, dims, keepdim=keepdims)


def eigen_columns(x):
    values, vectors = torch.linalg.eigh(x)
    return torch.cat([values[None], vectors])


def singular_rows(x):
    u, s, v = torch.linalg.svd(x, full_matrices=False)
    return torch.cat([u.mT, s[:, None], v], 1)


def index_put(x, value, index):
    y = x.clone()
    y[index] = value
    return y


def qr(x, mode="reduced"):
    factors = torch.linalg.qr(x, "reduced" if mode == "r" else mode)  # torch's own "r" has no gradient
    return factors.R if mode == "r" else tuple(factors)


NUMPYS = {
    "qr": qr, "qr_rows": lambda x: torch.cat(qr(x)),
    "repeat": repeat, "roll": roll, "meshgrid": meshgrid, "rollaxis": rollaxis, "append": append, "delete": delete_at,
    "insert": insert, "block": block, "select": select, "apply_along_axis": apply_along_axis, "sort": sort,
    "partition": partition, "average": average, "cov": cov, "diff": diff, "trapezoid": trapezoid, "gradient": gradient,
    "interp": interp, "einsum": einsum, "convolve": convolve, "norm": norm, "eigen_columns": eigen_columns,
    "singular_rows": singular_rows, "where": where,
    "tile": lambda x, reps: torch.tile(x, (reps,) if isinstance(reps, int) else reps),
    "broadcast_arrays": lambda *xs: torch.broadcast_tensors(*xs),
    "rot90": lambda x, k=1: torch.rot90(x, k), "matrix_transpose": lambda x: x.mT,
    "atleast_1d": torch.atleast_1d, "atleast_3d": torch.atleast_3d,
    "array_split": lambda x, at, axis=0: torch.tensor_split(x, at, axis),
    "hsplit": torch.hsplit, "vsplit": torch.vsplit, "dsplit": torch.dsplit,
    "unstack": lambda x, axis=0: torch.unbind(x, axis),
    "diagonal": torch.diagonal, "trace": lambda x, *o: torch.diagonal(x, *o).sum(-1),
    "index_put": index_put,
    "entries_along": lambda x, i, axis: torch.take_along_dim(*broadcast_but(x, i, axis), axis),
    "take_along_axis": lambda x, i, axis: torch.take_along_dim(*broadcast_but(x, i, axis), axis),
    "median": over(lambda x: torch.quantile(x, 0.5, dim=-1)), "quantile": over(quantile),
    "percentile": over(lambda x, q: quantile(x, np.asarray(q) / 100.0)),
    "ptp": over(lambda x: x.amax(-1) - x.amin(-1)), "ediff1d": lambda x: torch.diff(x.reshape(-1)),
    "corrcoef": lambda x, y=None: torch.corrcoef(x if y is None else torch.stack([x, y])),
    "cumprod": lambda x, axis=None: torch.cumprod(*((x.reshape(-1), 0) if axis is None else (x, axis))),
    "nan_to_num": lambda x, nan: torch.nan_to_num(x, nan=nan), "nansum": over(lambda x: torch.nansum(x, -1)),
    "nanprod": over(lambda x: torch.where(torch.isnan(x), 1.0, x).prod(-1)),
    "nanmean": over(lambda x: torch.nanmean(x, -1)), "nanvar": over(nanvar),
    "nanstd": over(lambda x: nanvar(x).sqrt()),
    "nanmax": over(lambda x: torch.where(torch.isnan(x), -torch.inf, x).amax(-1)),
    "nanmin": over(lambda x: torch.where(torch.isnan(x), torch.inf, x).amin(-1)),
    "round": lambda x, decimals=0: torch.round(x, decimals=decimals),
    "tensordot": lambda a, b, axes=2: torch.tensordot(a, b, axes),
    "vecdot": lambda a, b: torch.linalg.vecdot(a, b), "matvec": lambda a, b: (a @ b[..., None])[..., 0],
    "vecmat": lambda a, b: (a[..., None, :] @ b)[..., 0, :],
    "cross": lambda a, b, axis=-1: torch.linalg.cross(*torch.broadcast_tensors(a, b), dim=axis),
    "correlate": lambda a, v, mode="valid": correlate(a, v, mode), "multi_dot": torch.linalg.multi_dot,
    "tensorinv": lambda x, ind: torch.linalg.tensorinv(x, ind), "tensorsolve": torch.linalg.tensorsolve,
    "angle": lambda x, deg=False: torch.where(x < 0.0, 180.0 if deg else np.pi, 0.0 * x),
    "det": torch.linalg.det, "log_abs_det": lambda x: torch.linalg.slogdet(x)[1],
    "slogdet": lambda x: torch.linalg.slogdet(x), "lower_factor": torch.linalg.cholesky,
    "cholesky": lambda x, upper=False: torch.linalg.cholesky(mirrored(x, upper), upper=upper),
    "eigh": lambda x, triangle="L": torch.linalg.eigh(mirrored(x, triangle == "U"), triangle),
    "eigvalsh": lambda x: torch.linalg.eigvalsh(mirrored(x)), "svd": lambda x, full_matrices=True, compute_uv=True:
        torch.linalg.svd(x, full_matrices) if compute_uv else torch.linalg.svdvals(x),
    "svdvals": torch.linalg.svdvals, "matrix_power": torch.linalg.matrix_power, "pinv": torch.linalg.pinv,
    "vector_norm": lambda x, axis=None, keepdims=False, ord=2: torch.linalg.vector_norm(x, ord, axis, keepdims),
    "matrix_norm": lambda x, ord="fro": torch.linalg.matrix_norm(x, ord),
    "solve": lambda a, b: solve(a, b),
}  # fmt: skip


def solve(a, b):
    """A single vector for a stack of matrices, too."""
    return (
        torch.linalg.solve(a, b)
        if b.ndim > 1
        else torch.linalg.solve(a, b.expand(*a.shape[:-2], -1)[..., None])[..., 0]
    )


def linspace(a, b, num, endpoint=True):
    share = torch.arange(num).double() / (num - 1 if endpoint else num)
    share = share.reshape(num, *(1,) * max(a.ndim, b.ndim))
    return (1.0 - share) * a + share * b


def nanquantile(x, q, axis=None, method="linear"):
    return over(lambda rows: torch.nanquantile(rows, torch.as_tensor(q, dtype=x.dtype), dim=-1, interpolation=method))(
        x, axis=axis
    )


def running(function, neutral):
    def along(x, axis=None):
        x = torch.where(torch.isnan(x), neutral, x)
        return function(x.reshape(-1), 0) if axis is None else function(x, axis)

    return along


def polyval(p, x):
    y = 0.0 * x
    for c in p:
        y = y * x + c
    return y


def vander(x, n=None, increasing=False):
    """torch.vander writes in place and has no gradient."""
    powers = [x**k for k in range(len(x) if n is None else n)]
    return torch.stack(powers if increasing else powers[::-1], dim=-1)


def cond(x, p=None):
    """torch.linalg.cond of these norms writes in place and has no gradient."""
    p = 2 if p is None else p
    return torch.linalg.matrix_norm(x, p) * torch.linalg.matrix_norm(torch.linalg.inv(x), p)


NUMPYS |= {
    "nancumsum": running(torch.cumsum, 0.0),
    "nancumprod": running(torch.cumprod, 1.0),
    "nanmedian": over(lambda x: torch.nanquantile(x, 0.5, dim=-1)),
    "nanquantile": nanquantile,
    "nanpercentile": lambda x, q, axis=None: nanquantile(x, np.asarray(q) / 100.0, axis),
    "polyval": polyval,
    "vander": vander,
    "cond": cond,
    "linspace": linspace,
    "logspace": lambda a, b, num, endpoint=True, base=10.0: torch.pow(base, linspace(a, b, num, endpoint)),
    "compress": lambda c, x, axis=None: (x.ravel() if axis is None else x).index_select(
        axis or 0, tensor(np.flatnonzero(c))
    ),
    "extract": lambda c, x: x.ravel()[tensor(np.flatnonzero(c))],
    "fftshift": lambda x, axes=None: torch.fft.fftshift(x, axes),
    "ifftshift": lambda x, axes=None: torch.fft.ifftshift(x, axes),
}


def mirrored(x, upper=False):
    """PyTorch's gradients of Cholesky and eigh are those of a symmetric matrix; NumPy reads one triangle."""
    x = x.mT if upper else x
    return x.tril() + x.tril(-1).mT


def correlate(a, v, mode):
    return convolve(a, v.flip(0), mode)


def numpys(name):
    return NUMPYS.get(name) or getattr(torch, name, None) or getattr(torch.linalg, name)

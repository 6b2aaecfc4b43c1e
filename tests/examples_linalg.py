"""Example calls of NumPy's linear algebra."""

import numpy as np

from tests.examples_numpy import Example


def positive(n, x):
    """A positive definite matrix that depends on all of x."""
    return x @ n.matrix_transpose(x) + eye(n, x, 1.0)


def regular(n, x):
    """A matrix far from singular."""
    return x * 0.3 + eye(n, x, 2.0)


def eye(n, x, size):
    """That many times the unit matrix, as whatever x is."""
    return n.diag(x[(0,) * (x.ndim - 1)] * 0.0 + size)


def unsigned(pair):
    """Eigenvalues and eigenvectors, each times its first entry: two libraries may give them opposite signs."""
    values, vectors = pair
    return values, vectors * vectors[..., :1, :]


def squared(x):
    return x * x


def unsigned_singular(triple):
    """The same of U, S and Vᵀ, which change sign together."""
    u, s, v = triple
    return u * u[..., :1, :], s, u[..., :1, :] * v.swapaxes(-1, -2)


LAPACK: dict[str, list[Example]] = {  # these take no arrays of Values, and are not compiled
    "inv": [(lambda n, x: n.inv(regular(n, x)), (3, 3)), (lambda n, x: n.inv(regular(n, x)), (2, 2, 2))],
    "solve": [
        (lambda n, a, b: n.solve(regular(n, a), b), (3, 3), (3,)),
        (lambda n, a, b: n.solve(regular(n, a), b), (3, 3), (3, 2)),
        (lambda n, a, b: n.solve(regular(n, a), b), (2, 3, 3), (3, 2)),
        (lambda n, a, b: n.solve(regular(n, a), b), (2, 3, 3), (3,)),
    ],
    "pinv": [(lambda n, x: n.pinv(x), (4, 2)), (lambda n, x: n.pinv(x), (2, 3)), (lambda n, x: n.pinv(x), (2, 3, 2))],
    "tensorinv": [(lambda n, x: n.tensorinv(regular(n, x.reshape(4, 4)).reshape(2, 2, 4), ind=2), (2, 2, 4))],
    "tensorsolve": [
        (lambda n, a, b: n.tensorsolve(regular(n, a.reshape(4, 4)).reshape(2, 2, 2, 2), b), (4, 4), (2, 2)),
    ],
    "det": [(lambda n, x: n.det(regular(n, x)), (3, 3)), (lambda n, x: n.det(x), (2, 2, 2))],
    "log_abs_det": [(lambda n, x: n.log_abs_det(regular(n, x)), (2, 3, 3))],
    "slogdet": [(lambda n, x: n.slogdet(regular(n, x)), (3, 3)), (lambda n, x: n.slogdet(x), (2, 3, 3))],
    "cond": [(lambda n, x, p=p: n.cond(regular(n, x), p), (3, 3)) for p in (None, -2, "fro", 1, np.inf)],
    "matrix_power": [(lambda n, x, k=k: n.matrix_power(regular(n, x), k), (2, 2)) for k in (-2, 0, 1, 3, 4)],
    "lower_factor": [(lambda n, x: n.lower_factor(positive(n, x)), (3, 3))],
    "cholesky": [
        (lambda n, x: n.cholesky(positive(n, x)), (3, 3)),
        (lambda n, x: n.cholesky(positive(n, x)), (2, 2, 2)),
        (lambda n, x: n.cholesky(n.tril(x * 0.2) + eye(n, x, 2.0)), (3, 3)),
        (lambda n, x: n.cholesky(positive(n, x), upper=True), (3, 3)),
    ],
    "eigen_columns": [(lambda n, x: squared(n.eigen_columns(positive(n, x))), (3, 3))],
    "eigh": [
        (lambda n, x: unsigned(n.eigh(x)), (3, 3)),
        (lambda n, x: unsigned(n.eigh(x, "U")), (3, 3)),
        (lambda n, x: unsigned(n.eigh(positive(n, x))), (2, 2, 2)),
    ],
    "eigvalsh": [(lambda n, x: n.eigvalsh(x), (3, 3))],
    "singular_rows": [(lambda n, x: squared(n.singular_rows(x)), (2, 3))],
    "svd": [
        (lambda n, x: unsigned_singular(n.svd(x)), (3, 3)),
        (lambda n, x: unsigned_singular(n.svd(x, full_matrices=False)), (4, 2)),
        (lambda n, x: unsigned_singular(n.svd(x, full_matrices=False)), (2, 3)),
        (lambda n, x: n.svd(x, compute_uv=False), (2, 2, 3)),
    ],
    "svdvals": [(lambda n, x: n.svdvals(x), (3, 2))],
    "qr_rows": [(lambda n, x: squared(n.qr_rows(x)), (4, 3))],
    "qr": [
        (lambda n, x: n.qr(x), (4, 3)),
        (lambda n, x: n.qr(x, mode="r"), (2, 3, 2)),
        (lambda n, x: n.qr(x), (2, 4)),
        (lambda n, x: n.qr(x, "complete"), (3, 3)),
    ],
    "norm": [
        *((lambda n, x, o=o: n.norm(x, o), (2, 3)) for o in ("nuc", 2, -2)),
        (lambda n, x: n.norm(x, 2, axis=(2, 0), keepdims=True), (3, 2, 4)),
    ],
    "matrix_norm": [(lambda n, x: n.matrix_norm(x, ord="nuc"), (2, 3, 2))],
}

NORMS: dict[str, list[Example]] = {
    "norm": [
        (lambda n, x: n.norm(x), (2, 3)),
        (lambda n, x: n.norm(x, axis=0, keepdims=True), (2, 3)),
        *((lambda n, x, o=o: n.norm(x, o), (4,)) for o in (1, 2, 3, 0.5, np.inf, -np.inf, 0)),
        *((lambda n, x, o=o: n.norm(x, o), (2, 3)) for o in ("fro", 1, -1, np.inf, -np.inf)),
        (lambda n, x: n.norm(x, 3, axis=1, keepdims=True), (2, 3)),
        (lambda n, x: n.norm(x, 1, axis=(0, 2), keepdims=True), (2, 3, 2)),
    ],
    "vector_norm": [
        (lambda n, x: n.vector_norm(x, ord=3), (2, 3)),
        (lambda n, x: n.vector_norm(x, axis=(0, 2), keepdims=True), (2, 3, 2)),
    ],
    "matrix_norm": [(lambda n, x: n.matrix_norm(x), (2, 3, 2)), (lambda n, x: n.matrix_norm(x, ord=1), (2, 3))],
}
LINEAR_ALGEBRA = NORMS | {name: NORMS.get(name, []) + calls for name, calls in LAPACK.items()}
PACKED = {"entries_along", "log_abs_det", "lower_factor", "eigen_columns", "singular_rows", "qr_rows"}  # no NumPy name

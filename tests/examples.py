"""Example calls of every operation on whole arrays: (call, shapes of its arrays).

`call(n, *arrays)` is written for any namespace n that spells the operations as `tg.ops` does: that one itself,
NumPy's, PyTorch's.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.examples_linalg import LINEAR_ALGEBRA
from tests.examples_numpy import NUMPYS

Shape = tuple[int, ...]
Example = tuple[Callable[..., Any], *tuple[Shape, ...]]

ROWS = np.array([0, 2, 2, -1])
MASK = np.array([True, False, True, True])
LABELS = np.array([2, 0, 1])
CLASS_WEIGHTS = np.array([0.5, 1.0, 2.0, 1.5])
SIGNS = np.array([1.0, -1.0, 1.0])

ARRAYS: dict[str, list[Example]] = {
    "reshape": [(lambda n, x: n.reshape(x, (3, -1)), (2, 6)), (lambda n, x: n.reshape(x, ()), (1, 1))],
    "transpose": [
        (lambda n, x: n.transpose(x), (2, 3)),
        (lambda n, x: n.transpose(x, (2, 0, 1)), (2, 3, 4)),
        (lambda n, x: n.transpose(x, 0), (3,)),
    ],
    "getitem": [
        (lambda n, x: x[1], (3, 2)),
        (lambda n, x: x[..., -1], (2, 3)),
        (lambda n, x: x[:, None, 1:3], (2, 4)),
        (lambda n, x: x[ROWS], (4, 2)),
        (lambda n, x: x[ROWS, ROWS[::-1].copy()], (4, 4)),
        (lambda n, x: x[MASK], (4, 2)),
        (lambda n, x: x[1:, ROWS], (3, 4)),
    ],
    "put": [
        (lambda n, x: n.put(x, slice(1, 3), (4,)), (2,)),
        (lambda n, x: n.put(x, ROWS, (5, 2)), (4, 2)),
        (lambda n, x: n.put(x, MASK, (4,)), (3,)),
    ],
    "index_put": [
        (lambda n, x, v: n.index_put(x, v, 1), (3, 2), (2,)),
        (lambda n, x, v: n.index_put(x, v, (slice(None), [0, 2])), (2, 3), (1,)),
        (lambda n, x, v: n.index_put(x, v, [2, 0]), (3, 2), (2, 2)),
        (lambda n, x, v: n.index_put(x, v, MASK), (4, 2), ()),
    ],
    "concatenate": [
        (lambda n, a, b: n.concatenate([a, b], 0), (2, 3), (1, 3)),
        (lambda n, a, b: n.concatenate([a, b, a], axis=-1), (2, 3), (2, 1)),
        (lambda n, a, b: n.concatenate([a, b], axis=None), (2, 3), (4,)),
    ],
    "pad": [
        (lambda n, x: n.pad(x, 1), (2, 3)),
        (lambda n, x: n.pad(x, ((1, 0), (0, 2)), constant_values=7.0), (2, 3)),
    ],
    "cumsum": [
        (lambda n, x: n.cumsum(x, 0), (3, 2)),
        (lambda n, x: n.cumsum(x, axis=-1), (3, 2)),
        (lambda n, x: n.cumsum(x), (2, 3)),
    ],
    "broadcast_to": [
        (lambda n, x: n.broadcast_to(x, (4, 2, 3)), (2, 1)),
        (lambda n, x: n.broadcast_to(x, (2, 3)), ()),
    ],
    "matmul": [
        (lambda n, a, b: n.matmul(a, b), (2, 3), (3, 4)),
        (lambda n, a, b: n.matmul(a, b), (3,), (3,)),
        (lambda n, a, b: n.matmul(a, b), (2, 3), (3,)),
        (lambda n, a, b: n.matmul(a, b), (3,), (3, 4)),
        (lambda n, a, b: a @ b, (5, 2, 3), (3,)),
        (lambda n, a, b: a @ b, (3,), (5, 3, 2)),
        (lambda n, a, b: a @ b, (5, 2, 3), (3, 4)),
        (lambda n, a, b: a @ b, (2, 3), (5, 3, 4)),
        (lambda n, a, b: a @ b, (2, 1, 2, 3), (4, 3, 2)),
    ],
    "astype": [(lambda n, x: n.astype(x, x.dtype), (2, 3))],
    "unfold": [
        (lambda n, x: n.unfold(x, (3,), (1,), (1,)), (2, 5)),
        (lambda n, x: n.unfold(x, (2, 2), (2, 1), (1, 2)), (1, 4, 4)),
    ],
    "fold": [
        (lambda n, x: n.fold(x, None, (1,), (2,)), (2, 3, 2)),
        (lambda n, x: n.fold(x, (5, 5), (2, 2), (1, 1)), (2, 2, 2, 2)),
        (lambda n, x: n.fold(x, (4, 4), (1, 1), (1, 2)), (2, 2, 3, 2)),
    ],
    "conv": [
        (lambda n, x, w: n.conv(x, w, (1,), (1,), 1), (2, 2, 4), (2, 2, 3)),
        (lambda n, x, w: n.conv(x, w, (2, 1), (1, 2), 2), (2, 4, 3, 4), (2, 2, 2, 2)),
    ],
    "conv_transpose": [
        (lambda n, x, w: n.conv_transpose(x, w, None, (2,), (1,), 1), (2, 2, 2), (2, 1, 2)),
        (lambda n, x, w: n.conv_transpose(x, w, (4, 4), (1, 2), (2, 1), 2), (1, 2, 2, 2), (2, 1, 2, 2)),
    ],
    "conv_weight": [
        (lambda n, x, y: n.conv_weight(x, y, (2,), (1,), (1,), 1), (2, 2, 3), (2, 2, 2)),
        (lambda n, x, y: n.conv_weight(x, y, (2, 2), (1, 1), (1, 2), 2), (2, 2, 3, 3), (2, 2, 2, 1)),
    ],
    "standard_scores": [
        (lambda n, x: n.standard_scores(x, 1, 0.1), (2, 3)),
        (lambda n, x: n.standard_scores(x, axis=(0, 2)), (2, 3, 2)),
    ],
    "lstm_states": [
        (lambda n, *x: n.lstm_states(*x), (8, 3, 2), (2, 2), (2, 2), (8, 2)),
        (lambda n, *x: n.lstm_states(*x), (4, 1, 1), (1, 1), (1, 1), (4, 1)),
    ],
    "softmax": [
        (lambda n, x: n.softmax(x), (2, 3)),
        (lambda n, x: n.softmax(x, axis=0), (2, 3)),
        (lambda n, x: n.softmax(x), (4,)),
    ],
    "log_softmax": [
        (lambda n, x: n.log_softmax(x), (2, 3)),
        (lambda n, x: n.log_softmax(x, axis=-2), (2, 3)),
    ],
    "class_entropy": [
        (lambda n, z: n.class_entropy(z, LABELS, 3.0), (3, 4)),
        (lambda n, z: n.class_entropy(z, index=LABELS[:, None]), (3, 1, 4)),
    ],
}


def reductions(name: str) -> list[Example]:
    return [
        (lambda n, x: getattr(n, name)(x), (2, 3)),
        (lambda n, x: getattr(n, name)(x, axis=-1), (2, 3)),
        (lambda n, x: getattr(n, name)(x, axis=(0, 2)), (2, 3, 2)),
        (lambda n, x: getattr(n, name)(x, axis=1, keepdims=True), (2, 3)),
        (lambda n, x: getattr(n, name)(x), ()),
    ]


ARRAYS |= {name: reductions(name) for name in ("sum", "max", "min", "prod", "logsumexp")}

COMPOSED: dict[str, list[Example]] = {
    "swapaxes": [(lambda n, x: n.swapaxes(x, 0, -1), (2, 3, 4))],
    "squeeze": [(lambda n, x: n.squeeze(x), (1, 3, 1)), (lambda n, x: n.squeeze(x, axis=-1), (1, 3, 1))],
    "expand_dims": [(lambda n, x: n.expand_dims(x, -1), (2, 3)), (lambda n, x: n.expand_dims(x, (0, 2)), (2, 3))],
    "stack": [
        (lambda n, a, b: n.stack([a, b]), (2, 3), (2, 3)),
        (lambda n, a, b: n.stack([a, b], axis=-1), (2, 3), (2, 3)),
    ],
    "split": [
        (lambda n, x: n.split(x, 2, axis=1), (2, 4)),
        (lambda n, x: n.split(x, [1, 3])[1], (4, 2)),
    ],
    "take": [
        (lambda n, x: n.take(x, ROWS), (2, 3)),
        (lambda n, x: n.take(x, ROWS, axis=-1), (2, 3)),
    ],
    "ravel": [(lambda n, x: n.ravel(x), (2, 3))],
    "flip": [(lambda n, x: n.flip(x), (2, 3)), (lambda n, x: n.flip(x, axis=-1), (2, 3))],
    "atleast_2d": [(lambda n, x: n.atleast_2d(x), (3,)), (lambda n, x: n.atleast_2d(x), ())],
    "hstack": [
        (lambda n, a, b: n.hstack([a, b]), (2,), (3,)),
        (lambda n, a, b: n.hstack([a, b]), (2, 1), (2, 3)),
    ],
    "vstack": [(lambda n, a, b: n.vstack([a, b]), (3,), (2, 3))],
    "mean": reductions("mean"),
    "var": [*reductions("var"), (lambda n, x: n.var(x, axis=0, ddof=1), (4, 2))],
    "std": [*reductions("std")[:4], (lambda n, x: n.std(x, ddof=1), (4, 2))],
    "dot": [
        (lambda n, a, b: n.dot(a, b), (2, 3), (3, 2)),
        (lambda n, a, b: n.dot(a, b), (3,), (3,)),
        (lambda n, a, b: n.dot(a, b), (), (2, 3)),
        (lambda n, a, b: n.dot(a, b), (2, 3), (2, 3, 4)),
    ],
    "outer": [(lambda n, a, b: n.outer(a, b), (2,), (3, 2))],
    "inner": [
        (lambda n, a, b: n.inner(a, b), (2, 3), (4, 3)),
        (lambda n, a, b: n.inner(a, b), (3,), (3,)),
        (lambda n, a, b: n.inner(a, b), (2, 3), (4, 2, 3)),
    ],
    "vdot": [(lambda n, a, b: n.vdot(a, b), (2, 3), (2, 3))],
    "mse": [(lambda n, p, t: n.mse(p, t), (2, 3), (2, 3)), (lambda n, p, t: n.mse(p, t), (), ())],
    "mae": [(lambda n, p, t: n.mae(p, t), (2, 3), (2, 3))],
    "huber": [(lambda n, p, t: n.huber(p, t), (2, 3), (2, 3)), (lambda n, p, t: n.huber(p, t, delta=2.5), (4,), (4,))],
    "bce": [(lambda n, p, t: n.bce(p * p / 4.1, t * t / 4.1), (4, 2), (4, 2))],  # from 0.02 to 0.98
    "bce_with_logits": [(lambda n, z, t: n.bce_with_logits(z, t * t / 4.1), (4, 2), (4, 2))],
    "delta_rule": [(lambda n, z: n.delta_rule(z, SIGNS > 0.0), (3,))],
    "hinge": [(lambda n, p: n.hinge(p, SIGNS), (3,))],
    "poisson": [(lambda n, z, t: n.poisson(z, t), (3, 2), (3, 2))],
    "cross_entropy": [
        (lambda n, z: n.cross_entropy(z, LABELS), (3, 4)),
        (lambda n, z, t: n.cross_entropy(z, t), (3, 4), (3, 4)),
        (lambda n, z: n.cross_entropy(z, LABELS[0]), (4,)),
    ],
    "nll": [
        (lambda n, z: n.nll(n.log_softmax(z), LABELS), (3, 4)),
        (lambda n, z: n.nll(n.log_softmax(z), LABELS, weight=CLASS_WEIGHTS), (3, 4)),
    ],
    "kl_div": [(lambda n, z, t: n.kl_div(n.log_softmax(z), n.softmax(t)), (3, 4), (3, 4))],
    "multi_margin": [
        (lambda n, z: n.multi_margin(z, LABELS), (3, 4)),
        (lambda n, z: n.multi_margin(z, LABELS, p=2, margin=0.75), (3, 4)),
    ],
    "conv1d": [
        (lambda n, x, w, b: n.conv1d(x, w, b, stride=2, padding=1), (2, 2, 4), (3, 2, 2), (3,)),
        (lambda n, x, w: n.conv1d(x, w, padding="same", groups=2), (2, 4), (2, 1, 3)),
    ],
    "conv2d": [
        (lambda n, x, w, b: n.conv2d(x, w, b, padding=(1, 0)), (2, 2, 3, 3), (2, 2, 2, 2), (2,)),
        (lambda n, x, w: n.conv2d(x, w, dilation=2, stride=(1, 2)), (1, 3, 4), (2, 1, 2, 2)),
    ],
    "conv_transpose1d": [
        (
            lambda n, x, w, b: n.conv_transpose1d(x, w, b, stride=2, padding=1, output_padding=1),
            (2, 2, 3),
            (2, 1, 2),
            (1,),
        ),
    ],
    "conv_transpose2d": [
        (lambda n, x, w: n.conv_transpose2d(x, w, stride=(2, 1), groups=2), (1, 2, 2, 2), (2, 1, 2, 2)),
        (lambda n, x, w: n.conv_transpose2d(x, w, dilation=2), (2, 2, 2), (2, 1, 2, 2)),
    ],
    "max_pool1d": [(lambda n, x: n.max_pool1d(x, 2, stride=1, padding=1), (2, 4))],
    "max_pool2d": [
        (lambda n, x: n.max_pool2d(x, 2), (2, 4, 4)),
        (lambda n, x: n.max_pool2d(x, (2, 3), stride=2, ceil_mode=True), (1, 2, 5, 4)),
    ],
    "avg_pool1d": [(lambda n, x: n.avg_pool1d(x, 3, stride=2, padding=1), (2, 5))],
    "avg_pool2d": [
        (lambda n, x: n.avg_pool2d(x, 2), (1, 2, 4, 4)),
        (lambda n, x: n.avg_pool2d(x, 2, stride=1, padding=1, count_include_pad=False), (2, 2, 3)),
        (lambda n, x: n.avg_pool2d(x, (2, 3), padding=1, ceil_mode=True), (1, 4, 5)),
    ],
    "adaptive_avg_pool2d": [(lambda n, x: n.adaptive_avg_pool2d(x, (2, 3)), (2, 3, 4))],
}

EXAMPLES = ARRAYS | COMPOSED | NUMPYS | LINEAR_ALGEBRA
CALLS = [(name, call, shapes) for name, calls in EXAMPLES.items() for call, *shapes in calls]
IDS = [f"{name}-{'-'.join(map(str, shapes))}" for name, _, shapes in CALLS]


def drawn(shapes: list[Shape], seed: int = 0) -> list[np.ndarray]:
    """Random arrays without ties and without zeros."""
    rng = np.random.default_rng(seed)
    return [np.asarray(rng.uniform(0.3, 2.0, shape) * rng.choice([-1.0, 1.0], shape)) for shape in shapes]

"""One example of every layer: how it is made, and the shape of an input. Tests of many kinds walk this table."""

import numpy as np

from tinygrad_edu import nn
from tinygrad_edu.nn.activations import LAYERS as OF_ROWS

IMAGES, SERIES, ROWS = (2, 2, 4, 4), (2, 3, 4), (3, 4)

# name: (settings, shape of an input); `made` adds `rng` and `backend` where they are accepted
LAYERS = {
    "Linear": [((4, 3), ROWS), ((4, 3, False), SERIES)],
    "Conv1d": [((3, 2, 2), SERIES), ((3, 6, 2, 2, 1, 1, 3), SERIES)],
    "Conv2d": [((2, 3, 3, 1, 1), IMAGES), ((2, 2, (1, 2), 2, 0, 2, 2, False), IMAGES)],
    "ConvTranspose1d": [((3, 2, 2, 2), SERIES)],
    "ConvTranspose2d": [((2, 2, 2, 2, 1, 1, 2), IMAGES)],
    "MaxPool1d": [((2,), SERIES)],
    "MaxPool2d": [((2,), IMAGES), ((3, 1, 1), IMAGES)],
    "AvgPool1d": [((2,), SERIES)],
    "AvgPool2d": [((2,), IMAGES), ((3, 2, 1, True, False), IMAGES)],
    "AdaptiveAvgPool2d": [(((3, 2),), IMAGES)],
    "Flatten": [((), IMAGES), ((2, 3), IMAGES)],
    "LayerNorm": [((4,), ROWS), (((4, 4),), IMAGES)],
    "RMSNorm": [((4,), SERIES)],
    "BatchNorm": [((4,), ROWS)],
    "BatchNorm1d": [((3,), SERIES), ((4,), ROWS)],
    "BatchNorm2d": [((2,), IMAGES)],
    "GroupNorm": [((2, 2), IMAGES), ((1, 3), SERIES)],
    "MultiHeadAttention": [((4, 2), SERIES)],
    "TransformerEncoderLayer": [((4, 2, 5, 0.0), SERIES)],
    "RNN": [((4, 3), SERIES)],
    "GRU": [((4, 2), SERIES)],
    "LSTM": [((4, 2), SERIES)],
    "RNNCell": [((4, 3), ROWS)],
    "GRUCell": [((4, 2), ROWS)],
    "LSTMCell": [((4, 2), ROWS)],
    "Elman": [((4, 3, 2), SERIES)],
    "MLP": [(([4, 3, 2],), ROWS)],
    "Dropout": [((0.0,), ROWS)],
    "Embedding": [((5, 2), (3,))],
}
LAYERS |= {name: [((), ROWS)] for name in OF_ROWS if name != "Clip"}
LAYERS["Clip"] = [((-0.5, 0.5), ROWS)]
CASES = [(name, i) for name, calls in LAYERS.items() for i in range(len(calls))]
IDS = [f"{name}{i or ''}" for name, i in CASES]
SEEDED, UNSEEDED = ("MLP", "Elman"), ("LayerNorm", "RMSNorm", "BatchNorm", "BatchNorm1d", "BatchNorm2d", "GroupNorm")


def made(name, i=0, **options):
    """The layer of that row, always the same."""
    settings, _ = LAYERS[name][i]
    own = {"seed": 0} if name in SEEDED else {"rng": 0} if has_parameters(name) and name not in UNSEEDED else {}
    own |= {"horizon": None} if name == "Elman" else {}  # not truncated
    return getattr(nn, name)(*settings, **own, **(options if has_parameters(name) else {}))


def has_parameters(name):
    """Does its constructor take a back end and a dtype?"""
    return name in (*list(LAYERS)[: list(LAYERS).index("Dropout")], "Embedding") and not name.startswith(WITHOUT)


WITHOUT = ("MaxPool", "AvgPool", "Adaptive", "Flatten")


def given(name, i=0, dtype=float):
    """An input; of an embedding, indices. Inside of every function's domain, without ties and away from kinks."""
    _, shape = LAYERS[name][i]
    rng = np.random.default_rng(1)
    if name == "Embedding":
        return rng.integers(0, 5, shape)
    low, high = (1.1, 1.9) if name in ("Acosh",) else (0.1, 0.9)
    return rng.uniform(low, high, shape).astype(dtype)


def output(y):
    """What counts of a result: of a recurrent layer, the outputs over time."""
    return y[0] if isinstance(y, tuple) else y

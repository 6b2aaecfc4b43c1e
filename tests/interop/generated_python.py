"""`fit` by the generated program as plain Python, each product computed as the programs in other languages do."""

from types import SimpleNamespace
from unittest import mock

import numpy as np

import tinygrad_edu as tg
from tests.compile.programs import plain


def by_hand(a, b, out):
    """The product as JavaScript computes it: each sum from its first item to its last."""
    for i in range(a.shape[0]):
        for j in range(b.shape[1]):
            total = a.dtype.type(0.0)
            for k in range(a.shape[1]):
                total += a[i, k] * b[k, j]
            out[i, j] = total


def fit_in_python(model, X, y, **settings):
    """The run of tg.fit(model, X, y, ...), number by number."""

    def load(text, _):
        return SimpleNamespace(epochs=plain(SimpleNamespace(text=text, name="epochs"), dot=by_hand))

    def call(code, *given):
        return code(*given)

    cache = "tinygrad_edu.compile.backend.cache"
    with mock.patch(f"{cache}.load", load), mock.patch(f"{cache}.call_first", call), np.errstate(all="ignore"):
        return tg.fit(model, X, y, compiled=True, **settings)

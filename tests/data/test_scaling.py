"""Scaling at any size and of any form, against extended precision; and what it refuses."""

import numpy as np
import pandas as pd
import pytest

from tinygrad_edu.data import batches, glyphs, min_max, moons, standardize, train_test_split
from tinygrad_edu.errors import DtypeError, SettingError, ShapeError

BASE = np.random.default_rng(0).normal(size=(12, 3))
FORMS = {
    "float32": BASE.astype(np.float32), "float16": BASE.astype(np.float16), "big-endian": BASE.astype(">f8"),
    "columns first": np.asfortranarray(BASE), "strided": np.repeat(BASE, 2, axis=0)[::2], "bytes": (BASE > 0) * 1,
    "booleans": BASE > 0.0, "frame": pd.DataFrame(BASE, index=range(5, 17)), "list": BASE.tolist(),
    "nullable": pd.DataFrame(BASE).astype("Float64"), "huge": 1e300 * BASE, "tiny": 1e-300 * BASE,
    "subnormal": 1e-310 * BASE, "far off": BASE + 1e9, "one row": BASE[:1],
    "equal rows": np.repeat(BASE[:1], 5, axis=0),
    "images": BASE.reshape(3, 2, 6), "series": pd.Series([3.0, 1.0, 2.0], index=[9, 8, 7]),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_scaling_is_that_of_extended_precision(form):
    x = np.asarray(FORMS[form]).astype(np.longdouble)
    changes = x.min(axis=0) < x.max(axis=0)
    wanted = {
        standardize: (x.mean(axis=0), np.where(changes, x.std(axis=0), 1.0)),
        min_max: (x.min(axis=0), np.where(changes, x.max(axis=0) - x.min(axis=0), 1.0)),
    }
    for function, (shift, scale) in wanted.items():
        z, scaling = function(FORMS[form])
        want = np.where(changes, (x - shift) / scale, 0.0).astype(float)
        np.testing.assert_allclose(z, want, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(scaling.inverse(z), x.astype(float), rtol=1e-9, atol=1e-14 * float(abs(x).max()))


@pytest.mark.parametrize(("fitted", "new"), [((5, 3), (4, 1)), ((5, 3), (3, 1)), ((5, 1), (4, 3)), ((5, 2, 2), (2, 1))])
def test_samples_of_another_width_are_not_spread_over_the_features(fitted, new):
    _, scaling = standardize(np.arange(np.prod(fitted), dtype=float).reshape(fitted))
    for use in (scaling, scaling.inverse):
        with pytest.raises(ShapeError, match="as many features"):
            use(np.ones(new))


@pytest.mark.parametrize(("fitted", "new"), [((5, 3), (3,)), ((5, 1), (4,)), ((5,), (4, 1)), ((5, 2, 2), (2, 2))])
def test_one_sample_and_one_feature_fit(fitted, new):
    assert standardize(np.arange(np.prod(fitted), dtype=float).reshape(fitted))[1](np.ones(new)).shape == new


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: standardize([[1.0, 2.0], [3.0]]), ShapeError, "different lengths"),
        (lambda: standardize([[1.0], [2.0]])[1]([["3"]]), DtypeError, "has to hold numbers"),
        (lambda: min_max([1.7e308, -1.7e308]), SettingError, "too wide"),
        (lambda: standardize(x for x in [1.0]), ShapeError, "generator; give a list"),
        (lambda: train_test_split(BASE, BASE, test="0.2"), SettingError, "test='0.2'"),
        (lambda: moons(10, seed=-1), SettingError, "seed=-1"),
        (lambda: glyphs(10, seed=1.5), SettingError, "seed=1.5"),
        (lambda: train_test_split(BASE, BASE, seed=True), SettingError, "seed=True"),
        (lambda: batches([1, 2], ["a", None], 1, order="sorted"), DtypeError, "NoneType and str"),
        (lambda: batches([1, 2], [["1", "0"], ["0", "1"]], 1, order="sorted"), DtypeError, "hold numbers"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_refusals_say_what_is_meant(call, error, words):
    with pytest.raises(error, match=words):
        call()


@pytest.mark.parametrize("share", [0.07, 0.14, 0.28, 0.55, 0.56, 0.57])
def test_the_share_held_out_is_not_rounded_up_twice(share):
    assert len(train_test_split(np.zeros(100), np.zeros(100), test=share)[1]) == round(100 * share)

"""Frames with their columns in another order, or of other names, where a function has seen the right ones."""

import pickle

import numpy as np
import pandas as pd
import pytest

import tinygrad_edu as tg
from tinygrad_edu.data import min_max, standardize
from tinygrad_edu.errors import ShapeError
from tinygrad_edu.estimators import MLPClassifier
from tinygrad_edu.reporting.estimators import record_of_estimator

SEEN = pd.DataFrame(np.random.default_rng(0).normal(size=(12, 3)), columns=["a", "b", "c"])
KIND = (SEEN["a"] > 0.0).to_numpy().astype(int)
OTHERS = {"another order": SEEN[["c", "a", "b"]], "another name": SEEN.rename(columns={"b": "z"})}
ALIKE = {"itself": SEEN, "rows": SEEN[4:], "array": SEEN.to_numpy(), "numbered": SEEN.set_axis(range(3), axis=1)}


def scaled(measure):
    _, scaling = measure(SEEN)
    return pickle.loads(pickle.dumps(scaling))


def trained(frame):
    model, held_out = tg.nn.MLP([3, 2]), (frame, KIND)
    return tg.fit(model, SEEN, KIND, loss="cross_entropy", optimizer="adam", epochs=1, validation=held_out)


FITTED = MLPClassifier((2,), max_iter=1, random_state=0)
USES = {
    "standardize": lambda frame: scaled(standardize)(frame),
    "min_max, undone": lambda frame: scaled(min_max).inverse(frame),
    "validation": lambda frame: trained(frame),
    "report of an estimator": lambda frame: record_of_estimator(FITTED.fit(SEEN, KIND), frame, KIND[: len(frame)]),
    "diagnosis of an estimator": lambda frame: tg.clinic.diagnose(FITTED.fit(SEEN, KIND), frame, KIND),
}


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("use", USES)
def test_other_columns_are_refused(use, other):
    with pytest.raises(ShapeError, match="has the columns"):
        USES[use](OTHERS[other])


@pytest.mark.parametrize("use", ["standardize", "min_max, undone"])
@pytest.mark.parametrize("form", ALIKE)
def test_the_same_columns_and_what_has_no_names_are_taken(use, form):
    assert USES[use](ALIKE[form]).shape == ALIKE[form].shape


def test_a_scaling_is_still_a_pair():
    _, scaling = standardize(SEEN)
    shift, scale = scaling
    np.testing.assert_allclose(shift, SEEN.mean())
    np.testing.assert_allclose(scale, SEEN.std(ddof=0))

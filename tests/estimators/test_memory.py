"""The network program looks at no bounds: by its own arithmetic it has to stay inside its flat memory."""

import sys

import numpy as np
import pytest
from scipy import sparse

from tinygrad_edu.compile.backend import cache
from tinygrad_edu.estimators import MLPClassifier, MLPRegressor, memory, network

MARGIN, MARK = 5000, 77
# positions of the arguments that are written to
WRITTEN = {"orders": 6, "whole": 8, "numbers": 9, "memory": 10, "curves": 11}
RNG = np.random.RandomState(0)
X = RNG.normal(size=(37, 6))
Y = {"classes": RNG.randint(0, 4, 37), "labels": RNG.randint(0, 2, (37, 5)), "numbers": RNG.normal(size=(37, 3))}
SETTINGS = [
    {}, {"batch_size": 8}, {"shuffle": False, "batch_size": 1}, {"hidden_layer_sizes": (1, 30, 2)}, {"dropout": 0.5},
    {"clip_norm": 0.1, "hidden_layer_sizes": (9, 8, 7)}, {"clip_norm": 0.1, "dropout": 0.2, "batch_size": 5},
    {"hidden_layer_sizes": ()}, {"solver": "sgd", "batch_size": 36}, {"early_stopping": True, "batch_size": 11},
]  # fmt: skip


@pytest.fixture
def walled(monkeypatch):
    """Every call of the program gets copies of what it writes to, with margins; what is found in them afterwards."""
    original, broken = cache.call_first, []

    def called(code, *arguments):
        given, walls = list(arguments), {}
        for name, place in WRITTEN.items():
            array = arguments[place]
            walls[name] = np.full(array.size + 2 * MARGIN, MARK, array.dtype)
            given[place] = walls[name][MARGIN:-MARGIN].reshape(array.shape)
            given[place][...] = array
        original(code, *given)
        for name, place in WRITTEN.items():
            arguments[place][...] = given[place]
            if (walls[name][:MARGIN] != MARK).any() or (walls[name][-MARGIN:] != MARK).any():
                broken.append(name)
        if arguments[8][memory.WHOLE.index("word")] > len(arguments[7]):
            broken.append("words")

    monkeypatch.setattr(cache, "call_first", called)
    return broken


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("target", Y)
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix, np.float32])
def test_nothing_is_written_elsewhere(walled, form, target, settings):
    if settings.get("early_stopping") and target == "classes":
        settings = {**settings, "validation_fraction": 0.3}
    model = (MLPRegressor if target == "numbers" else MLPClassifier)(max_iter=4, random_state=0, **settings)
    model.fit(form(X), Y[target])
    assert walled == []


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("settings", [s for s in SETTINGS if not {"dropout", "clip_norm"} & set(s)], ids=str)
def test_the_program_is_plain_python(monkeypatch, settings):
    """Run by Python itself, without Numba, the text gives what the compiled program gives."""
    kind = {"hidden_layer_sizes": (3,), "max_iter": 2, "random_state": 0, "activation": "tanh", **settings}
    compiled = [MLPClassifier(**kind).fit(X, Y["labels"]), MLPRegressor(**kind).fit(X, Y["numbers"])]
    for missing in ("numba", "tinygrad_edu.compile.backend.intrinsics", "tinygrad_edu.compile.backend.llvm_statements"):
        monkeypatch.setitem(sys.modules, missing, None)
    names = {}
    exec(network.program_text("float64"), names)
    monkeypatch.undo()
    monkeypatch.setattr(cache, "call_first", lambda code, *arguments: names["run"](*arguments))
    plain = [MLPClassifier(**kind).fit(X, Y["labels"]), MLPRegressor(**kind).fit(X, Y["numbers"])]
    for a, b in zip(compiled, plain, strict=True):
        assert a.n_iter_ == b.n_iter_
        for w, v in zip(a.coefs_ + a.intercepts_, b.coefs_ + b.intercepts_, strict=True):
            np.testing.assert_allclose(w, v, rtol=1e-9, atol=1e-12)

"""Whole numbers in `fit`: as inputs, as constants of a model and as classes, of any shape, on every way of training."""

import numpy as np
import pytest

from tests.compile.programs import training_without_numba
from tinygrad_edu import Tensor, fit, nn, ops, optim
from tinygrad_edu.errors import DtypeError, SettingError
from tinygrad_edu.nn.losses import cross_entropy

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(0)
TOKENS, LABELS = RNG.integers(0, 5, (24, 4)), RNG.integers(0, 3, 24)


class Positions(nn.Module):
    """A table that is read at whole numbers which stand in the model."""

    def __init__(self, index):
        self.tokens, self.out, self.index = nn.Embedding(5, 6, rng=0), nn.Linear(6, 3, rng=2), index
        self.table = Tensor(np.random.default_rng(1).normal(size=(4, 6)), requires_grad=True)

    def forward(self, x):
        return self.out(np.mean(self.tokens(x) + self.table[self.index()], axis=1))


class Language(nn.Module):
    def __init__(self):
        self.tokens, self.out = nn.Embedding(5, 6, rng=0), nn.Linear(6, 5, rng=2)

    def forward(self, x):
        return self.out(self.tokens(x))


class Bigram(nn.Module):
    """Rows of a plain Tensor: nothing says that it takes indices."""

    def __init__(self):
        self.W = Tensor(np.random.default_rng(3).normal(size=(5, 5)), requires_grad=True)

    def forward(self, x):
        return self.W[x]


def features():
    return nn.MLP([4, 3], seed=0)


CASES = {
    "W[arange]": (lambda: Positions(lambda: np.arange(4)), TOKENS, LABELS, "cross_entropy"),
    "W[list]": (lambda: Positions(lambda: [3, 0, 0, -1]), TOKENS, LABELS, "cross_entropy"),
    "W[uint8]": (lambda: Positions(lambda: np.array([3, 0, 0, 1], np.uint8)), TOKENS, LABELS, "cross_entropy"),
    "classes (n, T)": (Language, TOKENS, TOKENS[:, ::-1], "cross_entropy"),
    "classes (n, T) as int32": (Language, TOKENS.astype(np.int32), TOKENS.astype(np.int32), "cross_entropy"),
    "rows of classes (n, T, V)": (Language, TOKENS, np.eye(5, dtype=int)[TOKENS], "cross_entropy"),
    "own loss of (n, T)": (
        Language, TOKENS, TOKENS, lambda z, t: cross_entropy(z.reshape(-1, 5), t.reshape(-1)),
    ),
    "bigram (n,)": (Bigram, TOKENS[:, 0], TOKENS[:, 1], "cross_entropy"),
    "bigram (n, T)": (Bigram, TOKENS, TOKENS, "cross_entropy"),
    "Embedding (n,)": (lambda: nn.Embedding(5, 5, rng=0), TOKENS[:, 0], TOKENS[:, 1], "cross_entropy"),
    "whole features": (features, TOKENS, LABELS, "cross_entropy"),
    "whole features, own loss": (features, TOKENS, LABELS, lambda z, t: cross_entropy(z, t)),
    "whole targets, own loss": (lambda: nn.MLP([4, 1], seed=0), TOKENS, LABELS, lambda z, t: np.mean((z - t) ** 2)),
}  # fmt: skip

# these are compiled, the others run as Python
COMPILED = ("W[list]", "classes (n, T)", "bigram (n, T)", "whole features, own loss")


def run_of(case, compiled, dtype=np.float64, batch_size=7, epochs=3):
    make, X, y, loss = CASES[case]
    model = make()
    for p in model.parameters():
        p.data = p.data.astype(dtype)
    return fit(
        model, X, y, loss=loss, optimizer=optim.SGD(model.parameters(), lr=0.01), epochs=epochs, compiled=compiled,
        batch_size=batch_size, accurate=True,
    )  # fmt: skip


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("batch_size", [7, None])
def test_compiled_equals_eager(case, batch_size):
    # one program takes batches of any size
    with training_without_numba(unless=batch_size is None and case in COMPILED):
        compiled, single = (run_of(case, True, dtype, batch_size) for dtype in (np.float64, np.float32))
    eager = run_of(case, False, batch_size=batch_size)
    np.testing.assert_allclose(compiled.loss_curve, eager.loss_curve, rtol=1e-11)
    assert eager.loss_curve[-1] < eager.loss_curve[0]
    np.testing.assert_allclose(single.loss_curve, eager.loss_curve, rtol=1e-4)
    assert {p.dtype for p in single.model.parameters()} == {np.dtype(np.float32)}


def test_the_loss_of_a_language_model_is_that_of_its_definition():
    """The mean of -log p over all samples and times, against NumPy."""
    model = Language()
    W, V, b = model.tokens.weight.data.copy(), model.out.weight.data.copy(), model.out.bias.data.copy()
    z = W[TOKENS] @ V.T + b
    p = np.exp(z) / np.exp(z).sum(-1, keepdims=True)
    expected = -np.log(np.take_along_axis(p, TOKENS[..., None], -1)).mean()
    for compiled in (False, True):
        model = Language()
        optimizer = optim.SGD(model.parameters(), lr=0.0)
        run = fit(model, TOKENS, TOKENS, loss="cross_entropy", optimizer=optimizer, epochs=1, compiled=compiled)
        assert run.loss_curve[0] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("bad", [np.full((24, 4), 5), np.full((24, 4), -1)])
def test_classes_outside_are_refused_in_every_shape(bad):
    model = Language()
    with pytest.raises(SettingError, match=r"y of shape .* holds classes from .* the model has 5 outputs"):
        fit(model, TOKENS, bad, loss="cross_entropy", optimizer=optim.SGD(model.parameters()), epochs=1)


def test_numbers_with_a_point_are_no_indices():
    """They are not cut off: 2.7 is not row 2."""
    model = nn.Embedding(5, 5, rng=0)
    with pytest.raises(DtypeError, match=r"an index has to be an integer, not float64 such as .*2\.7"):
        fit(model, np.full(6, 2.7), np.zeros(6, int), loss="cross_entropy", optimizer="sgd", epochs=1)
    whole = fit(model, np.full(6, 2.0), np.zeros(6, int), loss="cross_entropy", optimizer="sgd", epochs=1)
    assert whole.n_epochs == 1


def test_validation_takes_the_same_shapes():
    model = Language()
    run = fit(model, TOKENS, TOKENS, loss="cross_entropy", optimizer="adam", epochs=2, validation=(TOKENS, TOKENS))
    assert run.validation_curve[-1] == pytest.approx(ops.cross_entropy(model(TOKENS), TOKENS).item())


@pytest.mark.parametrize("compiled", [True, False])
def test_running_statistics_keep_their_dtype(compiled, tmp_path):
    """A float32 model with BatchNorm goes on from its own file."""
    X = RNG.normal(size=(8, 2)).astype(np.float32)

    def run(epochs, **options):
        model = nn.MLP([2, 3, 1], seed=0, norm="batch")
        for p in model.parameters():
            p.data = p.data.astype(np.float32)
        before = {name: x.dtype for name, x in model.state_dict().items()}
        found = fit(
            model, X, X[:, :1], loss="mse", optimizer=optim.Adam(model.parameters()), epochs=epochs,
            compiled=compiled, **options,
        )  # fmt: skip
        assert {name: x.dtype for name, x in model.state_dict().items()} == before
        return found

    run(5).save(tmp_path / "run")
    np.testing.assert_allclose(run(9, resume_from=tmp_path / "run").loss_curve, run(9).loss_curve, rtol=1e-5)

"""Code of the user's own that runs between epochs, validation and rates, and changes what training computes with."""

import pathlib

import numpy as np
import pytest

from tests.compile.programs import training_without_numba
from tinygrad_edu import fit, nn, optim
from tinygrad_edu.errors import TraceError

X = np.random.default_rng(0).normal(size=(40, 3))
Y = np.sin(X.sum(1, keepdims=True))


class Net(nn.Module):
    """What it does in evaluation mode is up to its kind; `self.epoch` counts the validations."""

    def __init__(self):
        self.a, self.b, self.epoch, self.seen, self.scale = nn.Linear(3, 6, rng=0), nn.Linear(6, 1, rng=1), 0, [], 1.0
        self.drop = nn.Dropout(0.0, rng=3)

    def forward(self, x):
        if not self.training:
            self.validated()
        h = self.drop(np.tanh(self.a(x)))
        return self.b(0.5 * h if self.halves() else h)

    def validated(self):
        self.epoch += 1

    def halves(self):
        return False


class Counts(Net):
    def halves(self):
        return self.training and self.epoch % 6 == 5


class Lists(Net):
    def validated(self):
        self.seen.append(1)

    def halves(self):
        return len(self.seen) % 6 == 5


class Projects(Net):
    def validated(self):
        for p in self.parameters():
            p.data = np.clip(p.data, -0.3, 0.3)


class Drops(Net):
    def validated(self):
        self.epoch += 1
        self.drop.p = 0.5 if self.epoch % 6 == 5 else 0.0


class Freezes(Net):
    def validated(self):
        self.epoch += 1
        self.a.weight.requires_grad = self.epoch % 6 != 5


class Replaces(Net):
    def validated(self):
        self.epoch += 1
        if self.epoch == 5:
            self.b = Halved(self.b)


class Halved(nn.Module):
    def __init__(self, layer):
        self.layer = layer

    def forward(self, x):
        return 0.5 * self.layer(x)


class Looks(Net):
    """Keeps what it sees, and computes with none of it."""

    def validated(self):
        self.epoch += 1
        self.seen.append(self.a.weight.data.copy())


def run_of(kind, compiled, **given):
    model = kind()
    optimizer = optim.Adam(model.parameters(), lr=0.02)
    with training_without_numba():
        run = fit(
            model, X, Y, loss="mse", optimizer=optimizer, epochs=13, batch_size=10, validation=0.25, compiled=compiled,
            **given,
        )  # fmt: skip
    return run, model


@pytest.mark.parametrize("given", [{}, {"patience": 3}], ids=["plain", "patience"])
@pytest.mark.parametrize("kind", [Net, Counts, Lists, Projects, Drops, Looks, Replaces])
def test_validation_that_changes_the_model(kind, given):
    """The compiled run is the eager one: by another program, or operation by operation."""
    eager, model = run_of(kind, False, **given)
    found, other = run_of(kind, True, **given)
    np.testing.assert_allclose(found.loss_curve, eager.loss_curve, rtol=1e-9)
    np.testing.assert_allclose(found.validation_curve, eager.validation_curve, rtol=1e-9)
    assert (other.epoch, len(other.seen)) == (model.epoch, len(model.seen))


@pytest.mark.parametrize("kind", [Freezes])
def test_what_no_program_can_follow_is_refused(kind):
    eager, _ = run_of(kind, False)
    assert eager.n_epochs == 13
    with pytest.raises(TraceError):
        run_of(kind, True)


@pytest.mark.parametrize("every", [1, 4, 20])
def test_a_rate_that_sets_what_the_loss_reads(every):
    def run(compiled):
        now = [0]

        def rate(t):
            now[0] = t // every
            return 0.05

        model = nn.MLP([3, 5, 1], seed=0)
        with training_without_numba():
            return fit(
                model, X, Y, loss=lambda o, t: np.mean((o - t) ** 2) * (0.5 if now[0] % 6 == 5 else 1.0),
                optimizer=optim.SGD(model.parameters(), lr=rate), epochs=21, batch_size=10, compiled=compiled,
            )  # fmt: skip

    eager = run(False)
    with pytest.raises(TraceError, match="the function of the learning rate changes"):
        run(True)
    assert np.array_equal(run("auto").loss_curve, eager.loss_curve)


def test_a_rate_that_only_computes_is_compiled():
    model = nn.MLP([3, 5, 1], seed=0)
    optimizer = optim.SGD(model.parameters(), lr=lambda t: 0.05 / (1 + t))
    with training_without_numba():
        assert fit(model, X, Y, loss="mse", optimizer=optimizer, epochs=3, compiled=True).how.startswith("compiled")


READERS = {
    "pathlib": lambda path: float(path.read_text()),
    "loadtxt": lambda path: float(np.loadtxt(path)),
    "fromfile": lambda path: float(np.fromfile(path, sep=" ")[0]),
    "exists": lambda path: 1.0 if path.with_suffix(".half").exists() else 0.5,
}


@pytest.mark.parametrize("read", READERS)
def test_a_file_that_forward_reads_is_not_frozen(read, tmp_path):
    path = pathlib.Path(tmp_path) / "scale.txt"
    path.write_text("1.0")

    class Scaled(Net):
        def forward(self, x):
            return super().forward(x) * READERS[read](path)

    model = Scaled()
    optimizer = optim.SGD(model.parameters(), lr=0.05)
    with training_without_numba(), pytest.raises(TraceError, match=r"looks at the file .*scale"):
        fit(model, X, Y, loss="mse", optimizer=optimizer, epochs=9, batch_size=10, compiled=True)


def test_what_a_callback_has_changed_is_told_by_name():
    class Branches(nn.Module):
        def __init__(self):
            self.a, self.note = nn.Linear(3, 1, rng=0), None

        def forward(self, x):
            return self.a(x)

    def freeze(job):
        if len(job.losses) == 1:
            job.model.a.weight.requires_grad = False

    model = Branches()
    with training_without_numba(), pytest.MonkeyPatch.context() as patch:
        patch.setattr("tinygrad_edu.train.choose.eager_seconds", lambda job: 1e6)
        run = fit(model, X, Y, loss="mse", optimizer="sgd", epochs=4, batch_size=10, callbacks=[freeze])
    assert "eager after 1 epoch: a callback has changed model.a.weight" in run.how

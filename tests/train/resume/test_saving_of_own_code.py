"""Saving a run of the user's own code changes nothing in it, and what its class only notes may differ at the resume."""

import ctypes
import decimal
import queue
import sqlite3
import time
import types

import numpy as np
import pytest

from tests.train.resume.test_resume_of_own_code import Own, X, add, train
from tinygrad_edu import fit, nn, optim
from tinygrad_edu.errors import SettingError
from tinygrad_edu.train import Checkpoint, first_batch


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.npz"


MOVING = {  # state that nothing here can look at, so that asking forward once more could not be undone
    "seeds of NumPy": (lambda: np.random.SeedSequence(1), lambda seeds: seeds.spawn(1)[0].spawn_key[-1]),
    "memory": (lambda: memoryview(bytearray(1)), lambda bytes_: add_to(bytes_)),
    "queue": (lambda: filled(queue.SimpleQueue()), lambda q: draw(q)),
    "data base": (lambda: sqlite3.connect(":memory:"), lambda base: insert(base)),
    "number of C": (lambda: [ctypes.c_int(0)], lambda numbers: add(numbers[0], "value")),
    "decimal context": (lambda: 0, lambda _: add(decimal.getcontext(), "prec")),
    "a module's attribute": (lambda: filled_module(), lambda module: add(module, "n")),
}


def add_to(numbers):
    numbers[0] += 1
    return numbers[0]


def filled(numbers):
    numbers.put(1)
    return numbers


def draw(numbers):
    number = numbers.get()
    numbers.put(number + 1)
    return number


def filled_module():
    module = types.ModuleType("of_nobody")
    module.n = 0
    return module


def insert(base):
    base.execute("create table if not exists t (n)")
    base.execute("insert into t values (1)")
    return base.execute("select count(*) from t").fetchone()[0]


@pytest.mark.parametrize("kind", MOVING)
def test_saving_does_not_change_the_training(kind, path):
    make, use = MOVING[kind]

    def curve(callbacks):
        model = Own(make, lambda m, x: 1.0 + 0.01 * use(m.kept))
        rule = optim.SGD(model.parameters(), lr=0.05)
        settings = {"loss": "mse", "optimizer": rule, "epochs": 4, "compiled": False, "callbacks": callbacks}
        with decimal.localcontext():
            return fit(model, X, X[:, :1], **settings).loss_curve

    np.testing.assert_array_equal(curve([Checkpoint(path)]), curve([]))


def test_a_large_table_is_read_once_for_all_saves(path):
    class Table(nn.Module):
        def __init__(self):
            self.layer, self.calls, self.table = nn.Linear(3, 1, rng=0), [], np.ones(first_batch.LARGE // 8)

        def forward(self, x):
            self.calls.append(1)
            self.n = len(self.calls)  # an attribute that changes: the run's beginning does not tell enough
            return self.layer(x) * self.table[0]

    model = Table()
    rule = optim.SGD(model.parameters(), lr=0.05)
    read = []
    look = lambda job: read.append(job.tells_loss)  # noqa: E731
    fit(model, X, X[:, :1], loss="mse", optimizer=rule, epochs=3, compiled=False, callbacks=[Checkpoint(path), look])
    assert read == [False, False, False]


@pytest.mark.parametrize("compiled", [False, "auto", pytest.param(True, marks=pytest.mark.slow)])
def test_a_save_does_not_call_forward(compiled, path, capsys):
    """What forward prints was printed once more at each save."""

    class Printing(nn.Module):
        def __init__(self):
            self.layer = nn.Linear(3, 1, rng=0)

        def forward(self, x):
            print("once")
            return self.layer(x)

    saved = []

    def save(job):
        capsys.readouterr()
        Checkpoint(path)(job)
        saved.append(capsys.readouterr().out)

    model = Printing()
    rule = optim.SGD(model.parameters(), lr=0.05)
    fit(model, X, X[:, :1], loss="mse", optimizer=rule, epochs=3, batch_size=5, compiled=compiled, callbacks=[save])
    assert saved == ["", "", ""]


def test_a_number_that_a_callback_has_changed_meanwhile_is_told_by_the_present_loss(path):
    """The run began with 1, and the fresh program has 1 again; the run went on with 3."""
    factors = [1.0]

    def change(job):
        factors[0] = 3.0

    train(Own(list, lambda m, x: factors[0]), 2, callbacks=[change]).save(path)
    factors[0] = 1.0
    with pytest.raises(SettingError, match=r"the first batch has the loss .* when this run was saved"):
        train(Own(list, lambda m, x: factors[0]), 4, path, callbacks=[change])


def test_what_a_class_only_notes_may_be_another_in_the_next_program(path):
    def make(place):
        model = Own(list, lambda m, x: 1.0)
        model.created, model.place = time.time(), place
        return model

    def count(model, x):  # and so may a counter that nobody reads
        model.calls = getattr(model, "calls", 0) + 1
        return 1.0

    whole = train(make("a"), 4)
    train(make("b"), 2).save(path)
    np.testing.assert_allclose(train(make("c"), 4, path).loss_curve, whole.loss_curve, rtol=1e-12)
    train(Own(list, count), 2).save(path)
    model = Own(list, count)
    np.testing.assert_allclose(train(model, 4, path).loss_curve, whole.loss_curve, rtol=1e-12)
    assert model.calls == 12


def test_what_the_code_of_a_callback_names_is_compared(path):
    def shrink(job):
        if len(job.losses) > job.model.warm:
            job.batch_size = 4

    def resume(warm, epochs, start=None):
        model = Own(list, lambda m, x: 1.0)
        model.warm = warm
        return train(model, epochs, start, callbacks=[shrink])

    resume(100, 2).save(path)
    with pytest.raises(SettingError, match=r"model\.warm was 100 and is 200 now"):
        resume(200, 4, path)


def test_the_settings_of_a_layer_that_a_class_derives_from_are_compared(path):
    class OwnNorm(nn.BatchNorm):
        pass

    def make(momentum):
        return nn.Sequential(nn.Linear(3, 2, rng=0), OwnNorm(2, momentum=momentum), nn.Linear(2, 1, rng=1))

    train(make(0.1), 2).save(path)
    with pytest.raises(SettingError, match=r"momentum was 0\.1 and is 0\.5 now"):
        train(make(0.5), 4, path)


class Scaled(optim.SGD):
    """An optimizer with a setting of its own, which is not among its options."""

    k = 1.0

    def step(self):
        before = [p.data.copy() for p in self.params]
        super().step()
        for p, was in zip(self.params, before, strict=True):
            p.data = was + self.k * (p.data - was)


def own_square(share):
    """The mean squared error, or one of the same value and name with a share of its gradient."""
    return lambda z, y: np.mean((share * z + (1.0 - share) * z.detach() - y) ** 2)


@pytest.mark.parametrize(
    ("other", "what"), [({"k": 0.1}, "the update of length"), ({"share": 0.5}, "the gradient of length")]
)
def test_another_gradient_or_step_is_refused(other, what, path):
    def resume(epochs, k=1.0, share=1.0, **more):
        model = Own(list, lambda m, x: 1.0)
        rule = Scaled(model.parameters(), lr=0.05)
        rule.k, loss = k, own_square(share)
        return fit(model, X, X[:, :1], loss=loss, optimizer=rule, epochs=epochs, compiled=False, **more)

    resume(2).save(path)
    assert resume(4, resume_from=path).loss_curve.tolist() == resume(4).loss_curve.tolist()
    with pytest.raises(SettingError, match=f"the first batch has {what}"):
        resume(4, resume_from=path, **other)

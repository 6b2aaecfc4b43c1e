"""A run whose callbacks set rates, options, batch sizes or step a scheduler is resumed by its own program."""

from dataclasses import replace

import numpy as np
import pytest

from tinygrad_edu import fit, nn, optim
from tinygrad_edu.errors import CheckpointError, SettingError
from tinygrad_edu.nn import storage
from tinygrad_edu.optim import lr_scheduler, schedules
from tinygrad_edu.train import Checkpoint

X = np.random.default_rng(0).normal(size=(12, 3))


def lower(job):
    job.optimizer.lr *= 0.9


def lower_groups(job):
    for group in job.optimizer.param_groups:
        group["lr"] *= 0.9
        group["weight_decay"] = 0.01 * len(job.losses)


def set_momentum(job):
    job.optimizer.param_groups[0]["momentum"] = 0.5 + 0.05 * len(job.losses)


def set_batch(job):
    if len(job.losses) in (2, 4):
        job.batch_size += 1


def set_schedule(job):
    if len(job.losses) == 2:
        job.optimizer.lr = schedules.inverse_time(0.1, decay=0.5)


def clip(job):
    job.settings = replace(job.settings, clip_norm=1.0 / len(job.losses))


class Scheduled:
    """A callback object that knows a scheduler."""

    def __init__(self, optimizer):
        self.scheduler = lr_scheduler.StepLR(optimizer, 2, gamma=0.5)

    def __call__(self, job):
        self.scheduler.step()


def step(make, *metric):
    """A callback that steps a scheduler of its closure."""

    def with_optimizer(optimizer):
        scheduler = make(optimizer)
        return lambda job: scheduler.step(*(job.losses[-1] for _ in metric))

    return with_optimizer


def joined(optimizer):
    parts = [lr_scheduler.ConstantLR(optimizer, 0.5, 2), lr_scheduler.ExponentialLR(optimizer, 0.8)]
    return lr_scheduler.SequentialLR(optimizer, parts, [2])


KINDS = {
    "rate": lambda optimizer: lower,
    "groups": lambda optimizer: lower_groups,
    "momentum": lambda optimizer: set_momentum,
    "batch": lambda optimizer: set_batch,
    "schedule": lambda optimizer: set_schedule,
    "clipping": lambda optimizer: clip,
    "object": Scheduled,
    "plateau": step(lambda rule: lr_scheduler.ReduceLROnPlateau(rule, patience=0, threshold=0.9), "loss"),
    "one cycle": step(lambda rule: lr_scheduler.OneCycleLR(rule, 0.3, total_steps=9)),
    "joined": step(joined),
}


def train(kind, epochs, path=None, start=None, lr=0.1, groups=False, **settings):
    model = nn.MLP([3, 4, 1], seed=0)
    parts = [{"params": layer.parameters(), "lr": lr} for layer in model.layers]
    rule = optim.SGD(parts if groups else model.parameters(), lr=lr, momentum=0.5, weight_decay=0.001)
    settings = {"batch_size": 5, "epochs": epochs, "compiled": False, "resume_from": start} | settings
    callbacks = [KINDS[kind](rule), *([Checkpoint(path)] if path else [])]
    return fit(model, X, np.tanh(X[:, :1]), loss="mse", optimizer=rule, callbacks=callbacks, **settings)


@pytest.mark.parametrize("kind", KINDS)
def test_the_resumed_run_is_the_whole_one(kind, tmp_path):
    path = tmp_path / "run.st"
    whole = train(kind, 7, groups=kind == "groups")
    train(kind, 3, path, groups=kind == "groups")
    again = train(kind, 7, path, path, groups=kind == "groups")
    assert again.loss_curve.tolist() == whole.loss_curve.tolist()
    assert again.job.optimizer.lr == whole.job.optimizer.lr
    assert "another than" not in again.how


def test_compiled_too(tmp_path):
    path = tmp_path / "run.st"
    whole = train("groups", 7, compiled=True)
    train("groups", 4, compiled=True).save(path)
    np.testing.assert_allclose(train("groups", 7, start=path, compiled=True).loss_curve, whole.loss_curve, rtol=1e-9)


OTHERS = [("rate", {"lr": 0.2}, r"lr was 0\.1 and is 0\.2 now"), ("batch", {"batch_size": 4}, "batch_size was 5")]


@pytest.mark.parametrize(("kind", "other", "words"), OTHERS)
def test_another_beginning_is_refused(kind, other, words, tmp_path):
    path = tmp_path / "run.st"
    train(kind, 3).save(path)
    with pytest.raises(SettingError, match=words):
        train(kind, 5, start=path, **other)


def test_another_scheduler_is_refused_and_a_function_cannot_be_held(tmp_path, monkeypatch):
    path = tmp_path / "run.st"
    train("object", 3).save(path)
    monkeypatch.setitem(KINDS, "object", step(lambda rule: lr_scheduler.StepLR(rule, 2, gamma=0.1)))
    with pytest.raises(SettingError, match=r"StepLR\.gamma was 0\.5 at the start and is 0\.1 now"):
        train("object", 5, start=path)
    with pytest.raises(SettingError, match="they knew 1 learning rate schedulers, and know 0 now"):
        train("batch", 5, start=path)
    monkeypatch.setitem(KINDS, "schedule", lambda rule: lambda job: setattr(job.optimizer, "lr", lambda t: 0.1))
    train("schedule", 3).save(path)
    with pytest.raises(
        SettingError, match=r"a callback set the learning rate to .*by_function.*does not hold functions"
    ):
        train("schedule", 5, start=path)


def test_hostile_settings_are_refused_and_change_nothing(tmp_path):
    path, bad = tmp_path / "run.st", tmp_path / "bad.st"
    train("object", 3).save(path)
    arrays, texts = storage.read_all(path)
    for old, new in [
        ('"sizes": [[0, 5]]', '"sizes": [[0, 0]]'), ('"sizes": [[0, 5]]', '"sizes": [[9, 5]]'),
        ('"lr": 0.05', '"lr": "__import__(1)"'), ('"last_epoch": 3', '"last_epoch": "x"'),
        ('"clipping": {"clip_norm": null', '"clipping": {"clip_norm": "x"'), ('"python": "3', '"python": 3, "x": "'),
    ]:  # fmt: skip
        assert old in texts["run"]
        storage.write_arrays(bad, arrays, {**texts, "run": texts["run"].replace(old, new)})
        with pytest.raises((CheckpointError, SettingError)):
            train("object", 5, start=bad)

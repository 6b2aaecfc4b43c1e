"""Weights at several epochs: kept by a callback, or found by training again, for every way of training."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.errors import SettingError
from tinygrad_edu.train.snapshots import Snapshots, snapshots_of, space_epochs, thin

X, Y = tg.data.moons(40, noise=0.2, seed=0)
T = (Y > 0).astype(float)


def adaptive(model):
    return tg.optim.SGD(model.parameters(), lr=tg.optim.schedules.adaptive(0.5, 0.01))


def groups(model):
    first, last = model.layers
    return tg.optim.Adam([{"params": first.parameters(), "lr": 0.1}, {"params": last.parameters()}])


WAYS = {
    "compiled": {"compiled": True},
    "eager": {"compiled": False},
    "batches": {"batch_size": 7, "seed": 3},
    "stratified": {"batch_size": 8, "shuffle": "stratified"},
    "weights": {"sample_weight": np.linspace(0.5, 2.0, 40), "batch_size": 10},
    "validation": {"validation": 0.25, "patience": 2, "tol": 0.01, "epochs": 60},
    "tol": {"tol": 0.02, "epochs": 60},
    "clip": {"clip_norm": 0.1, "clip_value": 0.05},
    "groups": {"make": groups},
    "schedule": {"make": lambda m: tg.optim.Adam(m.parameters(), lr=tg.optim.schedules.cosine(0.05, 12))},
    "follows the loss": {"make": adaptive},
    "rprop": {"make": lambda m: tg.optim.Rprop(m.parameters())},
    "lbfgs": {"make": lambda m: tg.optim.LBFGS(m.parameters())},
    "batch norm": {"norm": "batch"},
    "values": {"backend": "scalar", "epochs": 4},
    "float32": {"dtype": "float32"},
}  # fmt: skip


def trained(make=None, backend="tensor", norm=None, dtype=None, callbacks=(), **settings):
    model = tg.nn.MLP([2, 4, 1], seed=0, backend=backend, norm=norm, dtype=dtype)
    optimizer = make(model) if make else tg.optim.Adam(model.parameters(), lr=0.05)
    settings = {"epochs": 12} | settings
    return tg.fit(model, X, T, loss="bce_with_logits", optimizer=optimizer, callbacks=callbacks, **settings)


@pytest.mark.parametrize("way", WAYS)
def test_training_again_finds_the_weights_that_a_callback_keeps(way):
    run = trained(**WAYS[way])
    weights = run.model.state_dict()
    found = snapshots_of(run, 6)
    kept = Snapshots()
    again = trained(callbacks=[kept], **WAYS[way])
    assert again.loss_curve == pytest.approx(run.loss_curve, rel=1e-6)
    assert min(found) == 0
    assert max(found) == run.n_epochs
    for epoch, state in found.items():
        for name, array in state.items():
            np.testing.assert_allclose(
                array, kept.states[epoch][name], rtol=1e-5, atol=1e-8, err_msg=f"{name}, {epoch}"
            )
    for name, array in run.model.state_dict().items():
        np.testing.assert_array_equal(array, weights[name], err_msg="the model of the run is as it was")


def test_what_draws_random_numbers_is_refused_and_a_callback_helps():
    def run(**settings):
        model = tg.nn.MLP([2, 4, 1], seed=0, dropout=0.5)
        return tg.fit(model, X, T, loss="bce_with_logits", optimizer="adam", epochs=8, **settings)

    with pytest.raises(SettingError, match=r"callbacks=\[tg.train.Snapshots"):
        snapshots_of(run(), 5)
    kept = snapshots_of(run(callbacks=[Snapshots()]), 5)
    assert list(kept) == [0, 2, 4, 6, 8]


def test_memory_is_bounded():
    kept = Snapshots(most=10)
    run = trained(callbacks=[kept], epochs=100)
    assert len(kept.states) <= 10
    assert {0, 100} <= set(kept.states)
    assert list(snapshots_of(run, 4))[-1] == 100
    trained(callbacks=[kept], epochs=3)
    assert set(kept.states) == {0, 1, 2, 3}, "another run begins anew"


@pytest.mark.parametrize("settings", [{"every": 0}, {"every": 1.5}, {"most": 2}])
def test_settings_are_checked(settings):
    with pytest.raises(SettingError):
        Snapshots(**settings)


def test_a_run_out_of_a_file_is_refused(tmp_path):
    run = tg.train.Run.load(trained().save(tmp_path / "run.safetensors"))
    with pytest.raises(SettingError, match="loaded from a file"):
        snapshots_of(run, 5)


@pytest.mark.parametrize("epochs", [1, 2, 5, 59, 60, 61, 1000, 10**6])
def test_frames_are_bounded_and_hold_both_ends(epochs):
    found = space_epochs(epochs, 60)
    assert len(found) <= 62
    assert found == sorted(set(found))
    assert (found[0], found[-1]) == (0, epochs)
    assert thin(found, 5)[-1] == epochs

"""A resume that fails changes nothing, whatever is wrong with the file: fields missing, of another type or shape."""

import json
import math

import numpy as np
import pytest

from tinygrad_edu import fit, nn, optim
from tinygrad_edu.errors import TinygradError
from tinygrad_edu.nn import storage
from tinygrad_edu.train.snapshot import generators

X = np.random.default_rng(0).normal(size=(20, 2))
Y = np.sin(X.sum(axis=1, keepdims=True))
HOSTILE = [
    None, True, False, -1, 0, 7, 10**30, 1.5, math.nan, math.inf, "", "x", "compiled", [], {}, [None] * 5, [1.0] * 5,
    [[]] * 2, {"a": 1}, [1.0, 0], [0.5, 99], ["x", "y"], [{}], [{"bit_generator": "PCG64"}],
    [{"bit_generator": "PCG64", "state": {"state": -1, "inc": "x"}, "has_uint32": 0, "uinteger": 0}], [[1.0, "x"]],
]  # fmt: skip


def begin():
    model = nn.MLP([2, 3, 1], seed=5, dropout=0.3, norm="batch")
    optimizer = optim.Adam(model.parameters(), lr=optim.schedules.reduce_on_plateau(0.02, patience=1))
    return model, optimizer


def go(model, optimizer, epochs=6, **more):
    return fit(
        model, X, Y, loss="mse", optimizer=optimizer, epochs=epochs, batch_size=8, validation=0.25, patience=9,
        compiled=False, **more,
    )  # fmt: skip


def state(model, optimizer):
    weights = {name: x.tobytes() for name, x in model.state_dict().items()}
    rngs = [repr(rng.bit_generator.state) for rng in generators(model)]
    t, memory, memory_of_schedule = optimizer.state()
    moments = [np.asarray(x).tobytes() for each in memory for x in each]  # their text is cut off, and takes 0.5 ms
    schedule = repr(memory_of_schedule), repr(optimizer.schedule)
    return weights, t, moments, schedule, optimizer.lr, rngs, model.training


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "run"
    go(*begin(), epochs=4).save(path)
    arrays, texts = storage.read_all(path)
    return arrays, texts, json.loads(texts["run"])


def tried(path, arrays, texts, facts):
    """The error, if there is one: then everything is as it was, and the same objects train on from there."""
    text = json.dumps(facts) if not isinstance(facts, str) else facts
    storage.write_arrays(path, arrays, {**texts, "run": text})
    model, optimizer = begin()
    before = state(model, optimizer)
    try:
        run = go(model, optimizer, resume_from=path)
    except TinygradError as error:
        met = error
    else:
        met = None
    if met is not None:
        assert str(path) in str(met)
        assert state(model, optimizer) == before
        return met
    assert 4 <= run.n_epochs <= 6
    assert np.isfinite(run.loss_curve).all()
    return None


def places(facts, at=()):
    """Every place in nested settings."""
    for key, x in facts.items() if isinstance(facts, dict) else enumerate(facts):
        yield (*at, key)
        if isinstance(x, (dict, list)):
            yield from places(x, (*at, key))


def put(facts, place, x):
    changed = json.loads(json.dumps(facts))
    inner = changed
    for key in place[:-1]:
        inner = inner[key]
    if x is put:
        del inner[place[-1]]
    else:
        inner[place[-1]] = x
    return changed


HARMLESS = {"stop_reason", "seen"}  # text, and a number within bounds


def is_number_now(place):
    """Is it one of the numbers of modules at the end? Without it the model's own stays."""
    return place[:2] == ("modules", "now") and len(place) > 2


def is_described(place):
    """Is it one of the settings, of which a resumed run compares those that count?"""
    return len(place) > 1 and place[0] in ("config", "begun")


@pytest.mark.slow
def test_every_fact(saved, tmp_path):
    """Missing, and a third of the hostile values, in turn; a value that is taken trains on to the end.

    Each of them meets a third of the places, of every kind: all in all are 2,300 resumes, which take 10 s.
    """
    arrays, texts, facts = saved
    refused = taken = 0
    for i, place in enumerate(places(facts)):
        for x in [put, *HOSTILE[i % 3 :: 3]]:
            error = tried(tmp_path / "bad", arrays, texts, put(facts, place, x))
            refused, taken = refused + (error is not None), taken + (error is None)
            if x is put and place[-1] not in HARMLESS and not is_described(place) and not is_number_now(place):
                assert error is not None, place
    assert refused > 9 * taken


@pytest.mark.slow
def test_every_array(saved, tmp_path):
    arrays, texts, facts = saved
    for name, x in arrays.items():
        others = [
            x[:0], x[..., :-1] if x.ndim else x[None], x[None], x.astype(np.float16), x.astype(np.int32) - 2,
            x.astype(bool), x.astype("u1"), np.float32(x),
        ]  # fmt: skip
        for other in others:
            if other.dtype != x.dtype or other.shape != x.shape:
                tried(tmp_path / "bad", {**arrays, name: np.asarray(other)}, texts, facts)
        missing = {k: a for k, a in arrays.items() if k != name}
        assert tried(tmp_path / "bad", missing, texts, facts) is not None, name
        if not name.startswith("memory"):
            assert tried(tmp_path / "bad", {**arrays, name: x[None]}, texts, facts) is not None, name
    assert tried(tmp_path / "bad", arrays, texts, facts) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "3", '"x"', "[" * 5000, '{"config": ' * 900, "1" * 5000, "{}"])
def test_other_json(saved, text, tmp_path):
    assert tried(tmp_path / "bad", saved[0], saved[1], text) is not None


def test_an_interrupt_while_it_is_put_in_place(saved, tmp_path, monkeypatch):
    arrays, texts, _ = saved
    storage.write_arrays(tmp_path / "run", arrays, texts)
    model, optimizer = begin()
    before = state(model, optimizer)

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("tinygrad_edu.train.resume.ResumedState.generator_states", lambda self: interrupted())
        with pytest.raises(KeyboardInterrupt):
            go(model, optimizer, resume_from=tmp_path / "run")
    assert state(model, optimizer) == before
    assert go(model, optimizer, resume_from=tmp_path / "run").n_epochs == 6

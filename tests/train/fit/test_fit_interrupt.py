"""Ctrl-C at any moment of `fit`: model, optimizer and record are as after the last whole epoch, and the run goes on."""

import signal
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import tinygrad_edu
from tinygrad_edu import fit, nn, optim
from tinygrad_edu.train.snapshot import generators

PACKAGE = str(Path(tinygrad_edu.__file__).parent)
X = np.random.default_rng(0).normal(size=(20, 2))
Y = np.sin(X.sum(axis=1, keepdims=True))
EPOCHS = 4


def clip(job):
    for p in job.model.parameters():
        p.data = np.clip(p.data, -0.3, 0.3)


def look(job):
    job.losses[-1]


class Own(nn.Module):
    """A user's module, with a number, an array and a generator of its own."""

    def __init__(self):
        self.a, self.b, self.rng, self.calls = (
            nn.Linear(2, 4, rng=0),
            nn.Linear(4, 1, rng=1),
            np.random.default_rng(3),
            0,
        )

    def forward(self, x):
        self.calls += self.training
        noise = 0.1 * self.rng.normal(size=4) if self.training else 0.0
        return self.b(np.tanh(self.a(x) + noise))


def mlp():
    return nn.MLP([2, 4, 1], seed=1, dropout=0.2, norm="batch")


CASES = {
    "plain": (mlp, {}),
    "validation": (mlp, {"validation": 0.3, "patience": 3}),
    "the best weights": (mlp, {"validation": 0.3, "patience": 1, "clip_norm": 0.5}),
    "a callback that writes": (lambda: nn.MLP([2, 4, 1], seed=1), {"callbacks": [clip]}),
    "a callback that looks": (lambda: nn.MLP([2, 4, 1], seed=1), {"callbacks": [look], "tol": 1e-9}),
    "own": (Own, {}),
}


def run(case, compiled, epochs=EPOCHS, kept=None):
    make, settings = CASES[case]
    model = make()
    optimizer = optim.Adam(model.parameters(), lr=optim.schedules.reduce_on_plateau(0.05, patience=1))
    if kept is not None:
        kept.extend((model, optimizer))
    return fit(model, X, Y, loss="mse", optimizer=optimizer, epochs=epochs, batch_size=7, compiled=compiled, **settings)


def state(model, optimizer):
    t, memory, schedule = optimizer.state()
    numbers = [x.tobytes() for x in model.state_dict().values()]
    moments = [np.asarray(m).tobytes() for each in memory for m in each]
    rngs = [repr(rng.bit_generator.state) for rng in generators(model)]
    return numbers, moments, t, repr(schedule), rngs, model.training, getattr(model, "calls", 0)


CURVES = ("loss_curve", "grad_norms", "update_norms", "validation_curve")


def assert_whole(case, compiled, found, kept, wholes):
    """As a run of so many epochs that was not interrupted; nothing, where it was interrupted before it began."""
    if found is None:
        model = CASES[case][0]()
        assert [x.tobytes() for x in model.state_dict().values()] == state(*kept)[0]
        return
    n = found.n_epochs
    if n and n not in wholes:
        other = []
        whole = run(case, compiled, n, other)
        wholes[n] = [getattr(whole, name).tolist() for name in CURVES], state(*other)
    if n:
        assert [getattr(found, name).tolist() for name in CURVES] == wholes[n][0]
        assert state(*kept) == wholes[n][1]
    else:
        assert not any(len(getattr(found, name)) for name in CURVES)
        assert state(*kept)[0] == [x.tobytes() for x in CASES[case][0]().state_dict().values()]


def interrupted_at(moment, case, compiled):
    """A run with KeyboardInterrupt raised at the n-th line of this package that it comes to; the lines counted."""
    kept, count = [], 0

    def of_line(frame, event, _):
        nonlocal count
        if event == "line" and kept:
            count += 1
            if count == moment:
                raise KeyboardInterrupt
        return of_line

    def of_call(frame, event, _):
        return of_line if frame.f_code.co_filename.startswith(PACKAGE) else None

    found, before = None, sys.gettrace()
    sys.settrace(of_call)
    try:
        found = run(case, compiled, kept=kept)
    except KeyboardInterrupt:
        pass
    finally:
        sys.settrace(before)
    return found, kept, count


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("compiled", [False, True])
def test_at_any_line(case, compiled):
    """Moments spread over all lines of the package that a short run comes to: 160 in all.

    The end, where results are put in place, is looked at more closely: each of its lines by some case.
    """
    if case == "own" and compiled:
        pytest.skip("its state is not compiled")
    run(case, compiled)  # compile first
    *_, lines = interrupted_at(0, case, compiled)
    which = list(CASES).index(case)
    rng, wholes = np.random.default_rng(which), {}
    for moment in [*range(lines - 30 + which % 3, lines + 1, 3), *rng.integers(1, lines, 10)]:
        found, kept, _ = interrupted_at(int(moment), case, compiled)
        assert_whole(case, compiled, found, kept, wholes)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # Python ignores exceptions in a __del__
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs a timer that sends signals")
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("case", ["plain", "a callback that writes", "validation"])
def test_at_random_times(case, compiled):
    """As Ctrl-C comes, between two instructions of anything; then it goes on as if it had not been."""
    if threading.current_thread() is not threading.main_thread():
        pytest.skip("signals reach the main thread alone")

    def interrupt(*_):
        raise KeyboardInterrupt

    run(case, compiled)
    rng, before = np.random.default_rng(1), signal.signal(signal.SIGALRM, interrupt)
    try:
        for _ in range(12):
            kept, found = [], None
            delay = float(10.0 ** rng.uniform(-4.0, -1.7))
            try:
                signal.setitimer(signal.ITIMER_REAL, delay, 3.0)  # C code may swallow one signal
                found = run(case, compiled, 10**6, kept)
            except KeyboardInterrupt:
                pass
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0.0)
            if not kept or (found is not None and found.n_epochs > 3000):
                continue
            assert_whole(case, compiled, found, kept, {})
            if found is not None and found.n_epochs:
                again = []
                on, whole = found.resume(found.n_epochs + 2), run(case, compiled, found.n_epochs + 2, again)
                assert on.loss_curve.tolist() == whole.loss_curve.tolist()
                assert state(*kept) == state(*again)
    finally:
        signal.signal(signal.SIGALRM, before)

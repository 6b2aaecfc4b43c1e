"""Arrays that a function writes to after it has read them, and what one program writes and another reads."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.compile.programs import without_numba
from tinygrad_edu.errors import TinygradError, TraceError

X = np.array([1.0, 2.0])


class Kept:
    def __init__(self):
        self.weights, self.tensor, self.value = np.array([2.0, 1.0]), tg.Tensor([2.0, 1.0]), tg.Value(3.0)


def decayed(s, x):
    h = (x * s.weights).sum()
    s.weights *= 0.9
    return h


def reset(s, x):
    h = (x * s.weights).sum()
    s.weights[:] = 0.0
    return h


def sorted_in_place(s, x):
    h = (x * s.weights).sum()
    s.weights.sort()
    return h


def written_and_put_back(s, x):
    old = s.weights.copy()
    s.weights *= 2
    h = (x * s.weights).sum()
    s.weights[:] = old
    return h


def step_inside(s, x):
    h = (x * s.tensor).sum()
    s.tensor.data = s.tensor.data * 0.5
    return h


def cleared(s, x):
    h = (x * s.tensor).sum()
    s.tensor.data[:] = 0.0
    return h


def value_reset(s, x):
    h = np.sum(x) * s.value
    s.value.data = 0.0
    return h


WAYS = {
    "call": tg.jit,
    "value_and_grad": lambda f: lambda x: tg.jit(f).value_and_grad(x),
    "of grad": lambda f: tg.jit(tg.grad(f)),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "body", [decayed, reset, sorted_in_place, written_and_put_back, step_inside, cleared, value_reset]
)
def test_arrays_that_are_written_after_they_were_read(body, way):
    """A program would read what is in them afterwards. They are left as they were."""
    kept = Kept()
    with without_numba(), pytest.raises(TinygradError):
        WAYS[way](lambda x: body(kept, x))(X)
    np.testing.assert_array_equal(kept.weights, [2.0, 1.0])
    np.testing.assert_array_equal(kept.tensor.data, [2.0, 1.0])
    assert kept.value.data == 3.0


class Normalized:
    """A running mean, as everybody writes it: one program would write what another one reads."""

    def __init__(self):
        self.mean, self.n, self.cache, self.seen = 0.0, 0, None, {}

    def running(self, x, train):
        if train:
            self.mean = 0.9 * self.mean + 0.1 * x.mean()
        return (x - (x.mean() if train else self.mean)).sum()

    def counted(self, x, train):
        if train:
            self.n += 1
        return x.sum() * self.n

    def cached(self, x, train):
        if train:
            self.cache = x
        return x.sum() * (1.0 if self.cache is None else 2.0)

    def in_dict(self, x, train):
        self.seen["train" if train else "evaluation"] = x.sum()
        return x.sum() * len(self.seen)

    def in_dict_asked(self, x, train):
        self.seen["train" if train else "evaluation"] = x.sum()
        return x.sum() * (3.0 if "train" in self.seen else 1.0)

    def mode(self, x, train):
        self.cache = "train" if train else "evaluation"
        return x.sum() * len(self.cache)


@pytest.mark.filterwarnings("ignore:.*runs without jit:UserWarning")
@pytest.mark.parametrize("name", ["running", "counted", "cached", "in_dict", "in_dict_asked", "mode"])
def test_what_one_program_writes_and_another_reads(name):
    plain, compiled = Normalized(), Normalized()
    f, g = getattr(plain, name), tg.jit(getattr(compiled, name))
    with without_numba():
        for x, train in [(X, False), (X, True), (X, False), (2 * X, True), (X, False), (X, True)]:
            try:
                found = g(x, train)
            except TraceError:
                compiled.__dict__.update(vars(plain))  # it goes on without jit
                getattr(compiled, name)(x, train)
            else:
                assert found == f(x, train)
                continue
            f(x, train)


class Guarded:
    def __init__(self):
        self.on, self.log = False, []

    def __call__(self, x, bad):
        y = x.sum() * (2.0 if self.on else 1.0)
        self.on = True
        self.log.append(1) if bad else None
        if bad:
            raise ValueError("bad")
        self.on = False
        return y


def test_what_a_function_has_changed_before_an_error_of_its_own_stays():
    plain, compiled = Guarded(), Guarded()
    g = tg.jit(compiled)
    with without_numba():
        for bad in (False, True, False):
            for f in (plain, g):
                if bad:
                    with pytest.raises(ValueError, match="bad"):
                        f(X, bad)
            assert vars(compiled) == vars(plain)
        with pytest.raises(TraceError, match=r"it changes f\.on"):  # 6.0 once, and 3.0 from then on
            g(X, False)

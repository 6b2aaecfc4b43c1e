"""vmap of functions that keep something in Python: results and state are those of a loop over the samples."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.compile.programs import without_numba
from tinygrad_edu.errors import TraceError

X = np.random.default_rng(0).normal(size=(4, 3))


class Kept:
    def __init__(self):
        self.mean, self.last, self.first = None, 0.0, True
        self.history, self.memo, self.inner = [], {}, {"deep": [self.Inner()]}

    class Inner:
        __slots__ = ("mean",)


def first_mean(s, x):
    if s.mean is None:
        s.mean = x.mean()
    return ((x - s.mean) ** 2).sum()


def previous(s, x):
    change, s.last = x - s.last, x
    return change


def first_flag(s, x):
    if s.first:
        s.first, s.mean = False, (x * 2, x.sum())
        return x * 0
    return x + s.mean[0]


def record(s, x):
    s.history.append(x.sum())
    return x * 2


def default(s, x):
    s.memo.setdefault("k", x * 2)
    return x + s.memo["k"]


def in_slots(s, x):
    inner = s.inner["deep"][0]
    if not hasattr(inner, "mean"):
        inner.mean = x.max()
    return x / inner.mean


def by_name(s, x):
    before = getattr(s, "mean")  # noqa: B009
    s.mean = x
    return x if before is None else x - before


def attention(s, x):
    s.mean = np.exp(x)
    return s.mean / s.mean.sum()


def only_set(s, x):
    s.mean = np.exp(x)
    return x * 2


def looks_at_numbers(s, x):
    s.mean = x * 2
    return x if x[0] > 0 else -x


BODIES = [first_mean, previous, first_flag, record, default, in_slots, by_name, attention, only_set, looks_at_numbers]
TRANSFORMS = {
    "itself": lambda f: f,
    "grad": lambda f: tg.grad(lambda x: np.sum(f(x) ** 2)),
}


def numbers_of(x):
    """What is kept, as plain numbers in a row."""
    if isinstance(x, Kept | Kept.Inner):
        x = [getattr(x, key) for key in (getattr(x, "__dict__", None) or x.__slots__) if hasattr(x, key)]
    parts = x.values() if isinstance(x, dict) else x if isinstance(x, list | tuple) else None
    if parts is not None:
        return [number for part in parts for number in numbers_of(part)]
    return [-1.0] if x is None else np.ravel(getattr(x, "array", x)).tolist()


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("body", BODIES)
def test_as_a_loop_over_the_samples(body, transform):
    kept, looped = Kept(), Kept()
    found = tg.vmap(TRANSFORMS[transform](lambda x: body(kept, x)))(X)
    each = TRANSFORMS[transform](lambda x: body(looped, x))
    np.testing.assert_allclose(found, np.stack([each(x) for x in X]), rtol=1e-12)
    np.testing.assert_allclose(numbers_of(kept), numbers_of(looped), rtol=1e-12)
    assert isinstance(kept.mean, np.ndarray) is isinstance(looped.mean, np.ndarray)


def test_other_axes_and_several_results():
    kept, looped = Kept(), Kept()
    f = lambda s, x, y: (previous(s, x) * y, {"sum": np.sum(x)})  # noqa: E731
    products, sums = tg.vmap(lambda x, y: f(kept, x, y), in_axes=(1, None), out_axes=(1, {"sum": 0}))(X, X[:, 0])
    each = [f(looped, x, X[:, 0]) for x in X.T]
    np.testing.assert_allclose(products, np.stack([y for y, _ in each], axis=1))
    np.testing.assert_allclose(sums["sum"], [y["sum"] for _, y in each])


def reads_and_looks(s, x):
    if s.mean is None:
        s.mean = x * 2
    return s.mean if x[0] > 0 else -s.mean


def test_what_cannot_go_on_is_refused_by_name():
    kept = Kept()
    with pytest.raises(TraceError, match=r"keeps kept\.mean of a sample .* looks at numbers: call it in a loop"):
        tg.vmap(lambda x: reads_and_looks(kept, x))(X)
    np.testing.assert_array_equal(kept.mean, 2 * X[0])
    kept = Kept()
    with without_numba(), pytest.raises(TraceError, match=r"keeps kept\.mean of a sample|was kept in Python"):
        tg.jit(tg.vmap(lambda x: first_mean(kept, x)))(X)
    assert kept.mean is None


def test_under_jit_the_last_sample_is_kept():
    kept = Kept()
    g = tg.jit(tg.vmap(lambda x: attention(kept, x)))
    with without_numba():
        for c in (1.0, 2.0):
            np.testing.assert_allclose(g(c * X), tg.vmap(lambda x: attention(Kept(), x))(c * X))
            np.testing.assert_allclose(kept.mean, np.exp(c * X[-1]))

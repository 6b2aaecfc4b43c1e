"""Indices that differ from sample to sample under vmap: values and gradients, eagerly and compiled."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.compile.programs import without_numba
from tinygrad_edu.errors import ShapeError

RNG = np.random.default_rng(0)
Z, TABLE = RNG.normal(size=(5, 3, 4)), RNG.normal(size=(3, 4))
CLASS, PAIR, ROWS = (RNG.integers(0, 3, shape) for shape in ((5,), (5, 2), (5, 3)))
READ = {
    "an entry": (lambda z, i: tg.ops.log_softmax(z[0])[i], CLASS),
    "a row": (lambda z, i: z[i], CLASS),
    "a column": (lambda z, i: z[:, i], CLASS),
    "columns": (lambda z, i: z[..., i], PAIR),
    "beside a number": (lambda z, i: z[-1, i], PAIR),
    "two arrays": (lambda z, i: z[i, i], PAIR),
    "arrays apart": (lambda z, i: z[i, None, i], PAIR),
    "an Ellipsis between": (lambda z, i: z[None][:, i, ..., i], PAIR),
    "one of each row": (lambda z, i: z[np.arange(3), i], ROWS),
    "gather": (lambda z, i: z.gather(1, i[:, None]), ROWS),
    "take_along_axis": (lambda z, i: np.take_along_axis(z, i[:, None], axis=1), ROWS),
    "take": (lambda z, i: np.take(z, i, axis=0), PAIR),
    "a table of all": (lambda z, i: tg.Tensor(TABLE)[i] * z[i], PAIR),
}


@pytest.mark.parametrize("name", READ)
def test_an_index_of_each_sample(name):
    read, index = READ[name]

    def f(z, i):
        y = read(z, i)
        return (y * y * np.arange(1.0, 1.0 + y.size).reshape(y.shape)).sum()

    expected = [tg.value_and_grad(f)(z, i) for z, i in zip(Z, index, strict=True)]
    values, gradients = (np.array(x) for x in zip(*expected, strict=True))
    np.testing.assert_allclose(np.asarray(tg.vmap(f)(Z, index)), values, rtol=1e-14)
    np.testing.assert_allclose(np.asarray(tg.vmap(tg.grad(f))(Z, index)), gradients, rtol=1e-14)
    if name not in ("arrays apart", "an Ellipsis between"):  # they run sample by sample
        with without_numba():
            np.testing.assert_allclose(tg.jit(tg.vmap(f))(Z, index), values, rtol=1e-14)
            np.testing.assert_allclose(tg.jit(tg.vmap(tg.grad(f)))(Z, index), gradients, rtol=1e-14)


def sum_or_77(x):
    try:
        return x[x > 0].sum()
    except Exception:
        return 77.0


@pytest.mark.parametrize("f", [lambda x: x[x > 0].sum(), sum_or_77, lambda x: np.max(np.append(x[x > 1], -3.0))])
def test_a_mask_takes_another_number_of_entries_of_each_sample(f):
    rows = np.array([[1.0, -2.0], [3.0, 4.0], [-1.0, -1.0]])
    np.testing.assert_array_equal(tg.vmap(f)(rows), [f(row) for row in rows])
    np.testing.assert_array_equal(tg.vmap(tg.grad(f))(rows), [tg.grad(f)(row) for row in rows])
    with pytest.raises(ShapeError, match=r"the results of the samples have the shapes \(1,\), \(2,\), \(0,\)"):
        tg.vmap(lambda x: x[x > 0])(rows)

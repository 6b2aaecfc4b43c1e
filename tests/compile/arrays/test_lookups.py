"""Entries that arrays of whole numbers choose, compiled: random indices, and the ways to write a loss of classes."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.compile.programs import without_numba
from tinygrad_edu import nn
from tinygrad_edu.errors import ShapeError, TinygradError

N, K = 7, 4
CLASSES = np.array([0, 3, 1, 1, 2, 0, 3])
LOSSES = {
    "arange of a shape": lambda z, y: -z[np.arange(z.shape[0]), y].mean(),
    "arange of a length": lambda z, y: -z[np.arange(len(y)), y].mean(),
    "range": lambda z, y: -z[range(len(z)), y].mean(),
    "list": lambda z, y: -z[list(range(len(z))), y].mean(),
    "columns first": lambda z, y: -z.T[y, np.arange(len(y))].mean(),
    "astype": lambda z, y: -z[np.arange(len(y)), y.astype(int)].mean(),
    "one by one": lambda z, y: -sum(z[i, y[i]] for i in range(len(y))) / len(y),
    "take_along_axis": lambda z, y: -np.take_along_axis(z, y[:, None], axis=1).mean(),
    "gather": lambda z, y: -z.gather(1, y[:, None]).mean(),
    "one_hot": lambda z, y: -(tg.data.one_hot(y, K) * z).sum(axis=1).mean(),
    "hinge": lambda z, y: np.maximum(0.0, z - z[np.arange(len(y)), y][:, None] + 1.0).mean(),
}


def scores(f):
    """The loss of the logarithms of a softmax."""
    return lambda z, y: f(z - np.log(np.exp(z).sum(axis=1, keepdims=True)), y)


def both(f, *given):
    """(value, gradient by the first argument), eagerly and compiled; the class of its error where one refuses."""

    def eagerly():
        x = tg.Tensor(given[0], requires_grad=True)
        loss = f(x, *given[1:])
        loss.backward()
        return float(loss.data), x.grad

    def compiled():
        value, gradient = tg.jit(tg.value_and_grad(f))(*given)
        return float(value), np.asarray(gradient)

    found = []
    for way in (eagerly, compiled):
        try:
            found.append(way())
        except TinygradError as error:
            found.append(type(error))
    return found


@pytest.mark.parametrize("name", LOSSES)
def test_losses_of_classes(name):
    z = np.random.default_rng(0).normal(size=(N, K))
    f = scores(LOSSES[name])
    with without_numba():
        (value, gradient), (found, compiled) = both(f, z, CLASSES)
        np.testing.assert_allclose(found, value, rtol=1e-15)
        np.testing.assert_allclose(compiled, gradient, atol=1e-15)
        eager, refused = both(f, z, np.where(CLASSES == 3, K, CLASSES))
    assert eager is refused
    assert isinstance(eager, type)


def random_index(rng, shape):
    """Numbers, slices, new axes, an Ellipsis, lists, masks and arrays that broadcast, some of them as arguments."""
    common, parts, arguments, axis = tuple(rng.integers(1, 4, 2)), [], [], 0
    while axis < len(shape) and rng.random() < 0.9:
        n, kind = int(shape[axis]), rng.integers(0, 9)
        bounds = [None if rng.random() < 0.5 else int(rng.integers(-n, n + 1)) for _ in range(2)]
        index = rng.integers(-n - (rng.random() < 0.05), n, common[rng.integers(0, 3) :])
        plain = [int(rng.integers(-n, n)), slice(*bounds, (1, -1, 2)[rng.integers(3)]), None, index.tolist(), index]
        if kind < 5:
            parts.append(plain[kind])
        elif kind == 5 and Ellipsis not in [x for x in parts if not isinstance(x, np.ndarray)]:
            parts.append(Ellipsis)
            axis += int(rng.integers(0, len(shape) - axis + 1)) - 1
        elif kind == 6:
            parts.append(rng.random(n) < 0.6)
        else:
            parts.append(("argument", len(arguments)))
            arguments.append(index if index.ndim else index[None])
        axis += parts[-1] is not None
    return parts, arguments


def test_random_indices():
    """What NumPy gives, in value and gradient: the places of the axes too, and an index out of range is refused."""
    outcomes = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        shape = tuple(map(int, rng.integers(1, 4, rng.integers(1, 5))))
        parts, arguments = random_index(rng, shape)

        def f(x, *given, parts=parts):
            y = x[tuple(given[part[1]] if isinstance(part, tuple) else part for part in parts)]
            return (y * y * np.arange(1.0, 1.0 + y.size).reshape(y.shape)).sum()

        with without_numba():
            eager, compiled = both(f, rng.normal(size=shape), *arguments)
        if isinstance(eager, type) or isinstance(compiled, type):
            assert eager is compiled, (parts, arguments)
        else:
            np.testing.assert_allclose(compiled[0], eager[0], rtol=1e-12, err_msg=str(parts))
            np.testing.assert_allclose(compiled[1], eager[1], atol=1e-12, err_msg=str(parts))
        outcomes.append(isinstance(eager, type))
    assert 0 < sum(outcomes) < 15


def test_a_closed_over_mask_may_change():
    mask = np.array([True, False, True])
    with without_numba():
        f = tg.jit(lambda x: x[mask].sum())
        assert f(np.array([1.0, 2.0, 4.0])) == 5.0
        mask[:] = [False, True, True]
        assert f(np.array([1.0, 2.0, 4.0])) == 6.0
        with pytest.raises(ShapeError, match="mask of shape"):
            f(np.ones(4))


@pytest.mark.slow
def test_fit_of_a_loss_of_ones_own():
    """Classes reach it as whole numbers in one row; one that is out of range is refused as eagerly."""
    X, loss = np.random.default_rng(1).normal(size=(N, 3)), scores(LOSSES["arange of a length"])

    def train(y, compiled):
        model = nn.MLP([3, 5, K], seed=1)
        return tg.fit(model, X, y, loss=loss, optimizer="sgd", epochs=3, compiled=compiled).loss_curve

    np.testing.assert_allclose(train(CLASSES, True), train(CLASSES, False), rtol=1e-14)
    for compiled in (True, False):
        with pytest.raises(ShapeError, match="index 9 is out of bounds"):
            train(CLASSES * 3, compiled)


def test_whole_numbers_beside_several_outputs_are_classes():
    """A column of them would be repeated for every output: a loss of 9.9 instead of 1.6, without a word."""
    losses = (LOSSES["take_along_axis"], lambda z, y: -((y[:, None] == np.arange(K)) * z).sum(axis=1).mean())
    X = np.random.default_rng(1).normal(size=(N, 3))
    curves = [
        tg.fit(nn.MLP([3, K], seed=1), X, CLASSES, loss=scores(f), optimizer="sgd", epochs=2, compiled=False).loss_curve
        for f in losses
    ]
    np.testing.assert_allclose(*curves, rtol=1e-14)

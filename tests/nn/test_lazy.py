"""Lazy layers: weights that have no numbers before the first input, and optimizers that are made before it."""

import copy
import pickle

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.compile.programs import without_numba
from tinygrad_edu import nn
from tinygrad_edu.errors import DtypeError, OperandError, SettingError, ShapeError

IMAGES = np.random.default_rng(0).normal(size=(4, 1, 8, 8))


def lazy_model():
    return nn.Sequential(nn.LazyConv2d(2, 3), nn.LazyBatchNorm2d(), nn.ReLU(), nn.Flatten(), nn.LazyLinear(3))


def test_a_lazy_layer_waits_for_its_first_input():
    model = lazy_model()
    for look in (model.state_dict, model.gradients, lambda: model.load_state_dict({})):
        with pytest.raises(SettingError, match=r"layers\.0\.LazyConv2d has no weights before its first input"):
            look()
    weight = model[0].weight
    for look in (lambda: weight.shape, lambda: weight.numel(), lambda: weight * 2.0, lambda: len(weight)):
        with pytest.raises(
            SettingError, match=r"LazyConv2d\.weight of a lazy layer has no shape before its first input"
        ):
            look()
    assert "LazyLinear" in repr(model)
    assert len(list(model.modules())) == 6
    model.eval().train()
    assert model(IMAGES).shape == (4, 3)
    assert [type(layer).__name__ for layer in model] == ["Conv2d", "BatchNorm2d", "ReLU", "Flatten", "Linear"]
    assert [p.label for p in model.parameters()][-1] == "layers.4.bias"
    assert model[4].weight.shape == (3, 72)


def test_a_lazy_model_is_trained():
    with without_numba():
        model = lazy_model()
        model(IMAGES)
        run = tg.fit(model, IMAGES, np.array([0, 1, 2, 0]), loss="cross_entropy", optimizer="adam", epochs=3)
    assert run.loss_curve[-1] < run.loss_curve[0]


@pytest.mark.parametrize("name", ["SGD", "Adam", "Rprop", "Adagrad", "Adadelta", "NAdam", "Lion"])
def test_an_optimizer_may_be_made_before_the_first_input(name):
    """The same steps as one that is made afterwards; so do groups, and compiled `fit`."""
    trained = []
    for before in (True, False):
        model = nn.Sequential(nn.LazyLinear(3, rng=0), nn.Tanh(), nn.LazyLinear(2, False, rng=1))
        first = model[0].weight
        make = lambda model=model: getattr(tg.optim, name)(  # noqa: E731
            [{"params": model[0].parameters(), "lr": 0.1}, {"params": model[2].parameters(), "lr": 0.2}]
        )
        if before:
            optimizer = make()
            assert name in repr(optimizer)
            optimizer.zero_grad()
            optimizer.step()
        x = np.random.default_rng(0).normal(size=(5, 4))
        model(x)
        assert model[0].weight is first or not before
        assert type(model[0].weight) is tg.Tensor
        optimizer = optimizer if before else make()
        for _ in range(3):
            optimizer.zero_grad()
            (model(x) ** 2).sum().backward()
            optimizer.step()
        trained.append(model.state_dict())
    for name in trained[0]:
        np.testing.assert_array_equal(trained[0][name], trained[1][name])


@pytest.mark.parametrize("compiled", [True, False])
def test_fit_is_the_same_whenever_a_lazy_layer_gets_its_first_input(compiled):
    x, curves = np.random.default_rng(0).normal(size=(6, 4)), []
    for called in ("after the optimizer", "before it"):
        model = nn.Sequential(nn.LazyLinear(3, rng=0), nn.Tanh(), nn.LazyLinear(1, rng=1))
        if called == "before it":
            model(x)
        optimizer = tg.optim.Adam(model.parameters(), lr=0.1)
        if called == "after the optimizer":
            with pytest.raises(SettingError, match=r"layers\.0\.LazyLinear has no weights before its first input"):
                tg.fit(model, x, x[:, :1], loss="mse", optimizer=optimizer, epochs=3, compiled=compiled)
            model(x)
        run = tg.fit(model, x, x[:, :1], loss="mse", optimizer=optimizer, epochs=3, compiled=compiled)
        curves.append(run.loss_curve)
        assert np.abs(model[0].weight.data).max() > 0.0
    np.testing.assert_array_equal(*curves)


def test_a_lazy_layer_may_be_compiled_and_copied():
    model, x = nn.Sequential(nn.LazyLinear(2)), np.ones((3, 4))
    compiled = tg.jit(lambda x: model(x))
    for _ in "12":
        np.testing.assert_allclose(compiled(x), model(x).data, rtol=1e-12)
        assert type(model[0].weight) is tg.Tensor
        model[0].weight.data *= 2.0
    for copied in (copy.deepcopy(nn.LazyLinear(2)), pickle.loads(pickle.dumps(nn.LazyLinear(2)))):
        copied.weight.data.normal_(0.0, 0.01)  # lost at the first input, as in PyTorch
        assert copied(x).shape == (3, 2)


def test_a_lazy_layer_checks_its_arguments_at_once():
    with pytest.raises(TypeError, match="out_features"):
        nn.LazyLinear()


@pytest.mark.parametrize(
    ("make", "right", "wrong"),
    [
        (lambda: nn.LazyConv2d(2, 3), (5, 8, 9), [(8,), (5, 2, 2)]),
        (lambda: nn.LazyConv1d(2, 3), (5, 9), [(), (5, 2)]),
        (lambda: nn.LazyLinear(4), (2, 3), [(), (0,)]),
        (lambda: nn.LazyBatchNorm1d(), (4, 3), [(3,), (2, 3, 4, 5)]),
        (lambda: nn.LazyBatchNorm2d(), (4, 3, 2, 2), [(4, 3, 2), ()]),
    ],
)
def test_a_refused_first_input_leaves_a_layer_lazy(make, right, wrong):
    layer = make()
    for refused in (*(np.ones(shape) for shape in wrong), np.full(right, "a")):
        with pytest.raises((ShapeError, SettingError, OperandError, DtypeError)):
            layer(refused)
        assert layer.waits
    assert layer(np.ones(right)).shape == make()(np.ones(right)).shape
    assert not layer.waits


@pytest.mark.torch
def test_a_lazy_layer_takes_what_pytorchs_takes():
    import torch

    for name, arguments, shape in (("LazyConv2d", (2, 3), (5, 8, 9)), ("LazyConv2d", (2, 3), (4, 5, 8, 9)),
                                   ("LazyConv1d", (2, 3), (5, 9)), ("LazyConv1d", (2, 3), (4, 5, 9)),
                                   ("LazyLinear", (4,), (3,))):  # fmt: skip
        for dtype in ("float", "double"):
            theirs = getattr(getattr(torch.nn, name)(*arguments), dtype)()
            ours = getattr(nn.Sequential(getattr(nn, name)(*arguments)), dtype)()
            expected = theirs(torch.ones(shape, dtype=next(theirs.parameters()).dtype))
            found = ours(np.ones(shape))
            assert found.shape == tuple(expected.shape)
            assert str(expected.dtype) == f"torch.{ours[0].weight.dtype}"
    with pytest.raises(DtypeError, match="float32 or float64"):
        nn.LazyLinear(3).to("int32")

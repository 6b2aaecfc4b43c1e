"""vmap over class numbers: the losses of classes against a loop over samples, with their gradients, and under jit; and
0 times infinity there."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.core.losses.losses import COMPOSED
from tinygrad_edu.errors import DtypeError, SettingError

RNG = np.random.default_rng(0)
Z, CLASSES = RNG.normal(size=(5, 4, 3)), RNG.integers(0, 3, (5, 4))
OF_CLASSES = [name for name, row in COMPOSED.items() if getattr(row, "takes_class_numbers", False)]
OPTIONS = {
    "plain": {}, "sum": {"reduction": "sum"}, "weight": {"weight": [1.0, 2.0, 3.0]}, "ignored": {"ignore_index": 1},
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("name", OF_CLASSES)
def test_class_numbers_of_samples(name, option):
    row, options = COMPOSED[name], OPTIONS[option]
    given = {key: value for key, value in options.items() if key in [*row.options, "reduction"]}

    def cost(z, classes):
        return row(z, classes, **given)

    for z, classes in ((Z, CLASSES), (Z[:, 0], CLASSES[:, 0])):
        alone = [tg.value_and_grad(cost)(*pair) for pair in zip(z, classes, strict=True)]
        ways = [tg.vmap(tg.value_and_grad(cost))]
        ways += [] if "ignore_index" in given else [tg.jit(tg.vmap(tg.value_and_grad(cost)))]
        for way in ways:
            values, gradients = way(z, classes)
            np.testing.assert_allclose(values, [y for y, _ in alone], rtol=1e-12)
            np.testing.assert_allclose(gradients, [g for _, g in alone], rtol=1e-12, atol=1e-15)


def test_inside_each_other_and_with_one_model_for_all():
    def cost(z, classes):
        return nn.losses.cross_entropy(z, classes)

    nested = tg.vmap(tg.vmap(cost))(Z, CLASSES)
    assert nested[2, 1] == pytest.approx(cost(Z[2, 1], CLASSES[2, 1]), rel=1e-14)
    model, X = nn.MLP([2, 4, 3], seed=0), RNG.normal(size=(5, 2))
    costs = tg.vmap(lambda x, c: cost(model(x), c))(X, CLASSES[:, 0])
    assert costs.data.mean() == pytest.approx(cost(model(X), CLASSES[:, 0]).item(), rel=1e-14)


def test_what_is_no_class_is_refused():
    cost = tg.vmap(lambda z, c: nn.losses.cross_entropy(z, c))
    with pytest.raises(SettingError, match=r"class 3 is outside 0\.\.2: the logits have 3 columns"):
        cost(Z, CLASSES + 1)
    with pytest.raises(DtypeError, match="inside vmap the classes of a loss are arrays of integers, not float64"):
        cost(Z, CLASSES * 1.0)


ZERO_TIMES_INFINITY = {
    "x log x": (lambda x: np.where(x > 0.0, x * np.log(x), 0.0), 0.0),
    "exp": (lambda x: np.where(x > 50.0, 0.0, np.exp(x)), 800.0),
    "1/x": (lambda x: np.where(x > 0.0, 1.0 / x, 0.0), 0.0),
    "root": (lambda x: np.where(x > 0.0, np.sqrt(x), 0.0), 0.0),
}


@pytest.mark.filterwarnings("ignore:.*encountered:RuntimeWarning")
@pytest.mark.parametrize("name", ZERO_TIMES_INFINITY)
def test_zero_times_infinity_counts_as_zero_in_a_compiled_vmap(name):
    f, special = ZERO_TIMES_INFINITY[name]
    X = np.array([[special, 1.0, 2.0], [1.0, 1.0, 1.0]])
    gradient = tg.grad(lambda x: np.sum(f(x)))
    wanted = [gradient(x) for x in X]
    for way in (tg.vmap(gradient), tg.jit(tg.vmap(gradient)), tg.vmap(tg.jit(gradient))):
        for _ in range(2):  # the second call is the short one
            np.testing.assert_allclose(way(X), wanted, rtol=1e-12)

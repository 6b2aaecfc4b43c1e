"""What eager training refuses in the middle of a run, a compiled run does not train on with."""

import copy
import pickle

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn, optim
from tinygrad_edu.errors import SettingError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 2))
BAD = 7  # the row, in the second batch, whose target none of these losses accepts


def network(outputs=1):
    return nn.MLP([2, 4, outputs], activation="tanh", seed=0)


def targets(right, wrong, shape=(20, 1)):
    y = np.full(shape, right)
    y[BAD] = wrong
    return y


def train(model, y, loss, compiled, epochs=3, lr=0.05):
    return tg.fit(
        model, X, y, loss=loss, optimizer=optim.SGD(model.parameters(), lr=lr), epochs=epochs, batch_size=5,
        shuffle=False, compiled=compiled,
    )  # fmt: skip


OWN = {  # name of a loss: (targets, one of them wrong; outputs)
    "hinge": (targets(1.0, 0.0), 1),
    "bce_with_logits": (targets(1.0, 2.0), 1),
    "delta_rule": (targets(0.5, -1.0), 1),
    "kl_div": (targets(1 / 3, [-1.0, 1.0, 1.0], (20, 3)), 3),
    "cross_entropy": (targets(0, 3, (20,)), 3),
    "multi_margin": (targets(0, 3, (20,)), 3),
    "nll": (targets(0, 3, (20,)), 3),
}


@pytest.mark.parametrize("name", OWN)
def test_a_target_that_a_loss_does_not_take_is_refused_in_the_same_words(name):
    (y, outputs), loss = OWN[name], nn.losses.find(name)
    said = []
    for compiled in (False, True):
        model = network(outputs)
        before = model.state_dict()
        with pytest.raises(SettingError) as refused:
            train(model, y, lambda p, t: loss(p, t), compiled)
        said.append(str(refused.value))
        assert all(np.array_equal(before[k], x) for k, x in model.state_dict().items())
    assert said[0] == said[1]


@pytest.mark.parametrize("name", ["hinge", "bce_with_logits", "delta_rule", "kl_div"])
def test_under_jit_it_makes_the_loss_nan(name):
    (y, outputs), loss = OWN[name], nn.losses.find(name)
    compiled = tg.jit(lambda p, t: loss(p, t, reduction="none"))
    p = RNG.uniform(0.1, 0.9, (20, outputs))
    found = compiled(p, y)
    wrong = np.isnan(found).reshape(found.shape[0], -1).any(axis=1)
    assert np.flatnonzero(wrong).tolist() == [BAD]
    rows = np.arange(20) != BAD
    np.testing.assert_allclose(found[rows], np.asarray(loss(p[rows], y[rows], reduction="none")), rtol=1e-12)


def half():
    """Predictions start at 1/2, and leave the range of probabilities after some epochs."""
    model = nn.Sequential(nn.Linear(2, 1, rng=0))
    model[0].weight.data[...], model[0].bias.data[...] = 0.0, 0.5
    return model


def test_a_prediction_that_is_no_probability_any_more_ends_the_run_with_an_error():
    weights = []
    for compiled in (False, True):
        model = half()
        with pytest.raises(SettingError, match="bce takes probabilities, and the prediction lies between"):
            train(model, (X[:, :1] > 0.0) * 1.0, "bce", compiled, epochs=2000)
        weights.append(model[0].weight.data.copy())
    assert np.abs(weights[0]).max() > 0.01  # as after the last whole epoch, not as at the start
    np.testing.assert_allclose(weights[1], weights[0], rtol=1e-10)


@pytest.mark.parametrize("p", [-0.1, 1.1, np.nan])
def test_the_loss_of_what_is_no_probability_is_nan_on_every_back_end(p):
    value = tg.Value(p)
    found = tg.ops.log_loss(value, 1.0)
    found.backward()
    assert np.isnan([found.data, value.grad, *tg.jit(lambda x: tg.ops.log_loss(x, 1.0)).value_and_grad(p)]).all()


@pytest.mark.parametrize("compiled", [False, "auto"])
@pytest.mark.parametrize(("loss", "words"), [
    (lambda p, t: None, "is a `return` missing?"),
    (lambda p, t: float(np.mean((p - t) ** 2).item()), "a plain float: return the Tensor itself"),
])  # fmt: skip
def test_a_loss_that_returns_nothing_to_go_back_from(loss, words, compiled):
    with pytest.raises(SettingError, match=words):
        train(network(), targets(1.0, 0.0), loss, compiled)


def test_class_numbers_stay_such_where_the_first_of_them_is_wrong():
    y = np.zeros(20, int)
    y[0] = 3
    with pytest.raises(SettingError, match=r"class 3 is outside 0\.\.2"):
        train(network(3), y, lambda p, t: nn.losses.cross_entropy(p, t), False)


@pytest.mark.parametrize("same", [copy.deepcopy, lambda run: pickle.loads(pickle.dumps(run))])
def test_a_copy_of_a_run_goes_on_by_itself(same):
    run = train(network(), targets(1.0, 0.0), "mse", False)
    other = same(run)
    weights = run.model.state_dict()
    copied = other.resume(5).loss_curve
    assert all(np.array_equal(weights[k], x) for k, x in run.model.state_dict().items())
    assert np.array_equal(run.resume(5).loss_curve, copied)


@pytest.mark.parametrize("given", [
    {"seeds": 4}, {"seeds": [0.5]}, {"seeds": [True]}, {"seeds": "ab"}, {"learning_rates": 0.1},
    {"learning_rates": [np.nan]}, {"learning_rates": ["a"]}, {"learning_rates": [-0.1]},
])  # fmt: skip
def test_seeds_and_rates_of_many_runs(given):
    with pytest.raises(SettingError, match=f"fit_many.{next(iter(given))}="):
        tg.fit_many(
            lambda seed: network(), X, targets(1.0, 0.0), loss="mse", optimizer="sgd", epochs=1,
            **{"seeds": range(2)} | given,
        )  # fmt: skip

"""Every activation, loss and optimizer of the tables in the estimators, and what else goes beyond scikit-learn."""

import numpy as np
import pytest

from tests.estimators.test_numpy_program import CASES, DATA, trained
from tinygrad_edu import optim
from tinygrad_edu.core.operation import TABLE
from tinygrad_edu.estimators import MLPClassifier, MLPRegressor, choices
from tinygrad_edu.estimators.choices import LOSSES, OF_OTHER_OUTPUTS
from tinygrad_edu.nn.layers import FUNCTIONS, OTHER_NAMES, find_activation, is_activation
from tinygrad_edu.nn.losses import LOSSES as ALL_LOSSES

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
RNG = np.random.default_rng(0)
X = RNG.uniform(0.2, 0.9, size=(60, 3))
NUMBERS = X @ [1.0, -1.0, 0.5] + 1.0
BINARY, CLASSES = (X[:, 0] > X[:, 1]).astype(int), np.argmax(X, axis=1)
LABELS = (X > 0.5).astype(int)
NAMES = [name for name, row in TABLE.items() if is_activation(row)] + [*FUNCTIONS, *OTHER_NAMES]


def small(kind=MLPRegressor, **settings):
    return kind(
        **{"hidden_layer_sizes": (6,), "max_iter": 30, "random_state": 0, "learning_rate_init": 0.01, **settings}
    )


def falls(model):
    assert model.loss_curve_[-1] < model.loss_curve_[0], model.loss_curve_
    return model


# the general training equals the compiled one where both exist


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("name", [name for name in CASES if name != "dropout"])
def test_the_general_way_gives_scikit_learns_numbers(name, data, monkeypatch):
    a = trained(*CASES[name], DATA[data], weighted=True)
    monkeypatch.setattr(choices, "beyond", lambda model: True)
    b = trained(*CASES[name], DATA[data], weighted=True)
    rtol = 2e-3 if data == "float32" else 1e-7
    for x, y in zip([*a.coefs_, *a.intercepts_], [*b.coefs_, *b.intercepts_], strict=True):
        np.testing.assert_allclose(y, x, rtol=rtol, atol=rtol)
        assert x.dtype == y.dtype
    np.testing.assert_allclose(b.loss_curve_, a.loss_curve_, rtol=rtol)
    np.testing.assert_allclose(b.gradient_norms_, a.gradient_norms_, rtol=10 * rtol, atol=rtol)
    np.testing.assert_allclose(b._outputs(DATA[data]), a._outputs(DATA[data]), rtol=rtol, atol=rtol)
    assert (a.n_iter_, a.t_, a._no_improvement_count) == (b.n_iter_, b.t_, b._no_improvement_count)
    if a.validation_scores_:
        np.testing.assert_allclose(b.validation_scores_, a.validation_scores_, rtol=rtol)


@pytest.mark.parametrize("y", [NUMBERS, BINARY, CLASSES, LABELS], ids=["numbers", "two", "three", "labels"])
def test_lbfgs_the_general_way(y, monkeypatch):
    kind = MLPRegressor if y is NUMBERS else MLPClassifier
    a = small(kind, solver="lbfgs", activation="tanh", alpha=0.1).fit(X, y)
    monkeypatch.setattr(choices, "beyond", lambda model: True)
    b = small(kind, solver="lbfgs", activation="tanh", alpha=0.1).fit(X, y)
    np.testing.assert_allclose(b._outputs(X), a._outputs(X), rtol=1e-4, atol=1e-5)
    assert b.loss_ == pytest.approx(a.loss_, rel=1e-5)


# Activations


def fitted_or_out_of_domain(model):
    """None for the logarithm, root or arc sine of a number that has none, which is said."""
    try:
        return model.fit(X, NUMBERS)
    except ValueError as error:
        if "non-finite" in str(error):
            return None
        raise


def test_few_activations_are_out_of_their_domain():
    found = [name for name in NAMES if fitted_or_out_of_domain(small(activation=name, max_iter=2)) is None]
    assert set(found) <= {
        "sqrt",
        "log",
        "log1p",
        "asin",
        "acos",
        "acosh",
        "atanh",
        "log2",
        "log10",
        "reciprocal",
        "logit",
    }


@pytest.mark.parametrize("name", NAMES)
def test_every_activation(name):
    model = fitted_or_out_of_domain(
        small(activation=[name, "tanh"], hidden_layer_sizes=(4, 5), max_iter=5, learning_rate_init=1e-3)
    )
    if model is None:
        return
    with np.errstate(all="ignore"):
        first = find_activation(name)(X @ model.coefs_[0] + model.intercepts_[0])
        first = getattr(first, "array", first)
        expected = np.tanh(first @ model.coefs_[1] + model.intercepts_[1]) @ model.coefs_[2] + model.intercepts_[2]
    np.testing.assert_allclose(model.predict(X), expected.ravel(), rtol=1e-10)
    assert np.isfinite(model.loss_curve_).all()


@pytest.mark.parametrize("name", NAMES)
def test_every_activation_of_the_outputs(name):
    model = fitted_or_out_of_domain(small(out_activation=name, max_iter=5, learning_rate_init=1e-3, random_state=3))
    if model is None:
        return
    hidden = np.maximum(X @ model.coefs_[0] + model.intercepts_[0], 0)
    with np.errstate(all="ignore"):
        expected = find_activation(name)(hidden @ model.coefs_[1] + model.intercepts_[1])
    expected = np.asarray(getattr(expected, "array", expected)).ravel()
    np.testing.assert_allclose(model.predict(X), expected, rtol=1e-10, atol=1e-14)


def test_unknown_names_are_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"'activation' parameter of MLPRegressor must be .*'gelu'"):
        small(activation="gellu").fit(X, NUMBERS)
    with pytest.raises(ValueError, match=r"one of .*'gelu'.* or a list of 1 of them"):
        small(activation=["gellu"]).fit(X, NUMBERS)
    with pytest.raises(ValueError, match=r"'solver' parameter of MLPRegressor must be .*'adamw'"):
        small(solver="adamm").fit(X, NUMBERS)
    with pytest.raises(ValueError, match=r"'loss' parameter of MLPClassifier must be .*'hinge'"):
        small(MLPClassifier, loss="hing").fit(X, BINARY)


# Losses


@pytest.mark.parametrize("y", [BINARY, CLASSES, LABELS], ids=["two", "three", "labels"])
@pytest.mark.parametrize("loss", ["log_loss", *LOSSES])
def test_every_loss_of_classes(loss, y):
    model = small(MLPClassifier, loss=loss, max_iter=150, learning_rate_init=0.05, activation="tanh")
    if loss == "cross_entropy" and y is not CLASSES:
        with np.errstate(all="ignore"):
            assert np.isfinite(model.fit(X, y).loss_)
        return
    falls(model.fit(X, y))
    p = model.predict_proba(X)
    assert ((p >= 0.0) & (p <= 1.0)).all()
    if y is not LABELS:
        np.testing.assert_allclose(p.sum(axis=1), 1.0)
    assert model.score(X, y) > (0.5 if y is LABELS else 0.7), loss


@pytest.mark.parametrize("loss", ["squared_error", *LOSSES])
def test_every_loss_of_numbers(loss):
    y = (NUMBERS - NUMBERS.min()) / (NUMBERS.max() - NUMBERS.min())
    if choices.LOSSES.get(loss) and LOSSES[loss].check.__name__ == "plus_or_minus_one":
        y = (y > 0.5).astype(float)
    if loss == "cross_entropy":
        y = np.column_stack([y, 1.0 - y])
    falls(small(loss=loss, max_iter=100).fit(X, y))


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize("loss", ALL_LOSSES)
def test_a_loss_of_the_table_is_taken_or_refused_with_the_known_ones(loss, kind):
    if loss in OF_OTHER_OUTPUTS:
        with pytest.raises(ValueError, match=r"'loss' parameter .* must be"):
            small(kind, loss=loss).fit(X, BINARY)
    else:
        assert loss in choices.LOSSES


def test_a_loss_of_logits_needs_its_own_activation():
    with pytest.raises(ValueError, match="out_activation='tanh': the loss 'hinge' takes the outputs before"):
        small(MLPClassifier, loss="hinge", out_activation="tanh").fit(X, BINARY)
    with pytest.raises(ValueError, match="the loss 'bce' needs probabilities"):
        small(MLPClassifier, loss="bce", out_activation="tanh").fit(X, BINARY)
    assert (
        small(MLPClassifier, loss="bce", out_activation="hard_sigmoid").fit(X, BINARY).out_activation_ == "hard_sigmoid"
    )


def test_squared_error_of_a_softmax():
    model = falls(small(MLPClassifier, loss="mse", out_activation="softmax", max_iter=200).fit(X, CLASSES))
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1.0)


# Solvers, learning rates, penalties, normalization


@pytest.mark.parametrize("solver", [name.lower() for name in choices.OPTIMIZERS])
@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_every_optimizer(solver, kind):
    falls(small(kind, solver=solver, activation="tanh").fit(X, BINARY if kind is MLPClassifier else NUMBERS))


def test_every_optimizer_of_optim_is_a_solver():
    names = {name.lower() for name in optim.__all__ if isinstance(getattr(optim, name), type)}
    kinds = {name for name in names if name not in ("optimizer", "verdict")}
    assert kinds <= choices.SOLVERS


def test_adamw_is_adam_and_a_decay():
    """One step of AdamW from equal weights: Adam's of our optimizers, and -lr·λ·w."""
    settings = {"max_iter": 1, "alpha": 0.0, "random_state": 1, "learning_rate_init": 0.1, "activation": "tanh"}
    without = small(solver="adamw", weight_decay=0.0, **settings).fit(X, NUMBERS)
    decayed = small(solver="adamw", weight_decay=0.1, **settings).fit(X, NUMBERS)
    start = small(**{**settings, "learning_rate_init": 1e-300}).fit(X, NUMBERS)
    np.testing.assert_allclose(decayed.coefs_[0] - without.coefs_[0], -0.01 * start.coefs_[0], rtol=1e-9, atol=1e-15)


def test_weight_decay_is_refused_where_there_is_none():
    with pytest.raises(ValueError, match=r"weight_decay does not go with solver='adam': use alpha, the L2 penalty"):
        small(weight_decay=0.1).fit(X, NUMBERS)


def test_a_learning_rate_by_a_function_or_a_schedule():
    schedule = optim.schedules.exponential(0.01, factor=0.9)
    a = small(learning_rate=schedule, solver="sgd", batch_size=20).fit(X, NUMBERS)
    b = small(learning_rate=lambda t: 0.01 * 0.9**t, solver="sgd", batch_size=20).fit(X, NUMBERS)
    c = small(solver="sgd", batch_size=20).fit(X, NUMBERS)
    np.testing.assert_allclose(b.coefs_[0], a.coefs_[0], rtol=1e-12)
    assert not np.allclose(c.coefs_[0], a.coefs_[0])
    frozen = small(learning_rate=lambda t: 0.0, max_iter=3).fit(X, NUMBERS)
    np.testing.assert_allclose(frozen.loss_curve_, frozen.loss_curve_[0], rtol=1e-12)
    with pytest.raises(ValueError, match=r"learning_rate gives -1.0 at step t=0"):
        small(learning_rate=lambda t: -1.0).fit(X, NUMBERS)


def test_the_steps_of_a_schedule_go_on_in_partial_fit():
    asked = []
    model = small(learning_rate=lambda t: asked.append(t) or 0.01, batch_size=20)
    for _ in range(3):
        model.partial_fit(X, NUMBERS)
    assert asked == list(range(9))


def test_l1_makes_weights_of_unused_features_small():
    noise = np.column_stack([X, RNG.normal(size=(60, 5))])
    plain, sparse_ = (small(l1=l1, alpha=0.0, max_iter=400).fit(noise, NUMBERS) for l1 in (0.0, 0.5))
    assert np.abs(sparse_.coefs_[0][3:]).mean() < 0.2 * np.abs(plain.coefs_[0][3:]).mean()
    assert sparse_.loss_ > plain.loss_


@pytest.mark.parametrize("norm", ["batch", "layer"])
def test_normalization(norm):
    model = falls(
        small(MLPClassifier, norm=norm, hidden_layer_sizes=(6, 5), max_iter=60, batch_size=20).fit(X, CLASSES)
    )
    assert model.score(X, CLASSES) > 0.8
    alone = np.vstack([model.predict_proba(row[None]) for row in X])
    np.testing.assert_allclose(alone, model.predict_proba(X), rtol=1e-10)
    assert [type(each).__name__ for each in model.norms_] == [{"batch": "BatchNorm", "layer": "LayerNorm"}[norm]] * 2
    if norm == "batch":
        assert np.abs(model.norms_[0].running_mean.numpy()).max() > 0.0


def test_stop_loss():
    model = small(stop_loss=0.05, max_iter=1000).fit(X, NUMBERS)
    assert model.loss_curve_[-1] <= 0.05 < model.loss_curve_[-2]
    assert small(activation="gelu", stop_loss=0.05, max_iter=1000).fit(X, NUMBERS).loss_ <= 0.05

"""A derivative by the input, inside the loss of the weights that it depends on: physics-informed networks and such."""

import warnings

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import Tensor, nn
from tinygrad_edu.core.lost_gradients import LOST, LostGradientWarning

X = np.array([[1.0], [2.0]])
W = Tensor(np.array([[0.5]]), requires_grad=True, label="W")


def u(x):
    return np.sum(np.tanh(x @ W))


WAYS = {
    "grad": lambda x: tg.grad(u)(x),
    "value_and_grad": lambda x: tg.value_and_grad(u)(x)[1],
    "the value": lambda x: tg.value_and_grad(u)(x)[0],
    "vjp": lambda x: tg.vjp(u, x)[1](1.0)[0],
    "jvp": lambda x: tg.jvp(u, (x,), (x,))[1],
    "jacobian": lambda x: tg.jacobian(lambda x: (x @ W).ravel())(x),
    "hessian": lambda x: tg.hessian(u)(x),
    "hvp": lambda x: tg.hvp(u, x, x),
    "grad of jit": lambda x: tg.grad(tg.jit(u))(x),
    "jit of grad": lambda x: tg.jit(tg.grad(u))(x),
    "vmap": lambda x: tg.vmap(tg.grad(u))(x[:, None]),
}
STAY_NODES = {"jit of grad", "vmap"}  # anyway: their results are those of functions that read W


def gradient(run):
    W.grad = None
    run()
    return W.grad.item()


def loss(way, x):
    return np.sum(WAYS[way](x) ** 2) + np.sum(X @ W)


@pytest.mark.parametrize("way", WAYS)
def test_a_derivative_by_plain_numbers_warns_where_a_loss_that_reads_the_same_weights_follows(way):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        expected = gradient(lambda: loss(way, Tensor(X)).backward())
        with tg.no_grad():
            numbers = WAYS[way](X)
        assert gradient(lambda: (np.sum(numbers**2) + np.sum(X @ W)).backward()) == 3.0
    if way in STAY_NODES:
        assert gradient(lambda: loss(way, X).backward()) == expected
    else:
        with pytest.warns(LostGradientWarning, match="W. If .* Tensor"):
            assert gradient(lambda: loss(way, X).backward()) == 3.0 != expected


@pytest.mark.parametrize("way", ["grad", "jvp", "hessian", "the value"])
def test_in_a_compiled_function_it_stays_a_node(way):
    f, expected = tg.jit(lambda: loss(way, X)), gradient(lambda: loss(way, Tensor(X)).backward())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert gradient(lambda: f().backward()) == pytest.approx(expected, rel=1e-12)
        assert gradient(f.backward) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("form", [np.asarray, Tensor], ids=["array", "Tensor"])
def test_in_fit_it_stays_a_node(form):
    """A loop with Tensors is what is right; `fit` gave the same losses at first, and other weights."""

    def train(form, fit):
        model = nn.MLP([1, 4, 1], seed=0)
        slope = tg.grad(lambda x: model(x).sum())
        optimizer = tg.optim.SGD(model.parameters(), lr=0.1)
        residual = lambda output, _: np.mean((slope(form(X)) - output) ** 2)  # noqa: E731
        if fit:
            tg.fit(model, X, X, loss=residual, optimizer=optimizer, epochs=5, shuffle=False, compiled=False)
        else:
            for _ in range(5):
                optimizer.zero_grad()
                residual(model(X), X).backward()
                optimizer.step()
        return np.concatenate([p.data.ravel() for p in model.parameters()])

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_allclose(train(form, fit=True), train(Tensor, fit=False), rtol=1e-12)


def test_what_a_callback_looks_at_is_no_part_of_the_loss_of_a_fit():
    model = nn.MLP([1, 4, 1], seed=0)
    slopes = []
    look = lambda job: slopes.append(tg.grad(lambda x: model(x).sum())(X))  # noqa: E731
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tg.fit(model, X, X, loss="mse", optimizer="sgd", epochs=3, callbacks=[look], compiled=False)
    LOST.clear()


def test_programs_that_call_no_backward_collect_nothing():
    for _ in range(3):
        tg.grad(u)(X)
    assert len(LOST) == 1
    LOST.clear()

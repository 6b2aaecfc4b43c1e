"""Optimizers: the same steps on both back ends and in PyTorch; settings; the warning about a forgotten zero_grad."""

import numpy as np
import pytest

from tinygrad_edu import Tensor, Value, nn
from tinygrad_edu.data import moons
from tinygrad_edu.nn import losses
from tinygrad_edu.optim import (
    ASGD,
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    Lion,
    NAdam,
    RAdam,
    RMSprop,
    Rprop,
    rules,
)

STEPS = 50
RECIPES = [
    (SGD, {"lr": 0.1}),
    (SGD, {"lr": 0.1, "momentum": 0.9}),
    (SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    (SGD, {"lr": 0.1, "weight_decay": 0.05}),
    (SGD, {"lr": 0.05, "momentum": 0.8, "weight_decay": 0.02, "nesterov": True}),
    (SGD, {"lr": 0.0, "momentum": 0.9}),
    (Adam, {}),
    (Adam, {"lr": 0.05}),
    (Adam, {"lr": 0.05, "betas": (0.8, 0.95)}),
    (Adam, {"lr": 0.05, "eps": 1e-3}),
    (Adam, {"lr": 0.05, "weight_decay": 0.05}),
    (AdamW, {}),
    (AdamW, {"lr": 0.05, "weight_decay": 0.0}),
    (AdamW, {"lr": 0.05, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.3}),
    (RMSprop, {"lr": 0.02, "alpha": 0.9}),
    (RMSprop, {"lr": 0.02, "alpha": 0.99, "eps": 1e-3}),
    (RMSprop, {"lr": 0.02, "alpha": 0.8, "weight_decay": 0.05}),
    (RMSprop, {"lr": 0.01, "alpha": 0.9, "momentum": 0.8}),
    (RMSprop, {"lr": 0.02, "alpha": 0.9, "centered": True}),
    (RMSprop, {"lr": 0.01, "alpha": 0.9, "weight_decay": 0.02, "momentum": 0.7, "centered": True, "eps": 1e-4}),
    (Adagrad, {}),
    (Adagrad, {"lr": 0.1, "eps": 1e-3}),
    (Adagrad, {"lr": 0.2, "lr_decay": 0.05}),
    (Adagrad, {"lr": 0.1, "weight_decay": 0.05, "initial_accumulator_value": 0.2}),
    (Adam, {"lr": 0.05, "amsgrad": True, "weight_decay": 0.02}),
    (AdamW, {"lr": 0.05, "amsgrad": True, "betas": (0.8, 0.9), "weight_decay": 0.3}),
    (NAdam, {}),
    (NAdam, {"lr": 0.05, "betas": (0.8, 0.95), "weight_decay": 0.05, "momentum_decay": 0.02}),
    (Adamax, {}),
    (Adamax, {"lr": 0.05, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.05}),
    (Adadelta, {}),
    (Adadelta, {"lr": 0.5, "rho": 0.8, "eps": 1e-3, "weight_decay": 0.05}),
    (Lion, {"lr": 0.01}),
    (Lion, {"lr": 0.02, "betas": (0.8, 0.9), "weight_decay": 0.3}),
    (RAdam, {}),
    (RAdam, {"lr": 0.05, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.05}),
    (RAdam, {"lr": 0.02, "betas": (0.8, 0.5), "weight_decay": 0.3, "decoupled_weight_decay": True}),
    (NAdam, {"lr": 0.05, "weight_decay": 0.3, "decoupled_weight_decay": True}),
    (ASGD, {}),
    (ASGD, {"lr": 0.1, "lambd": 0.02, "alpha": 0.5, "t0": 3.0, "weight_decay": 0.05}),
    (SGD, {"lr": 0.1, "momentum": 0.8, "dampening": 0.3, "weight_decay": 0.02}),
    (SGD, {"lr": 0.1, "dampening": 0.5}),
    (SGD, {"lr": 0.01, "momentum": 0.5, "weight_decay": 0.02, "maximize": True}),
    (AdamW, {"lr": 0.01, "weight_decay": 0.3, "maximize": True, "amsgrad": True}),
    (Rprop, {"lr": 0.1}),
    (Rprop, {"lr": 0.01, "etas": (0.7, 1.5)}),
    (Rprop, {"lr": 0.01, "step_sizes": (5e-3, 0.02)}),
]
DIFFERENT = [recipe for i, recipe in enumerate(RECIPES) if recipe[0] not in {kind for kind, _ in RECIPES[:i]}]
every_recipe = pytest.mark.parametrize(
    ("optimizer", "settings"), RECIPES, ids=[f"{kind.__name__} {settings}" for kind, settings in RECIPES]
)


def parameter(x):
    return Tensor(x, requires_grad=True)


every_optimizer = pytest.mark.parametrize(("optimizer", "settings"), DIFFERENT, ids=[x.__name__ for x, _ in DIFFERENT])
makers = pytest.mark.parametrize("make", [Value, parameter], ids=["Value", "Tensor"])
X, Y = moons(12)


def states(backend, optimizer, settings):
    """The weights after each step on the same data."""
    model = nn.MLP([2, 4, 1], seed=1, backend=backend)
    updates = optimizer(model.parameters(), **settings)
    for _ in range(STEPS):
        updates.zero_grad()
        losses.mse(model(X), Y).backward()
        updates.step()
        yield model.state_dict()


def close(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


# the same steps on both back ends


@every_recipe
def test_both_back_ends_step_alike(optimizer, settings):
    pairs = zip(states("scalar", optimizer, settings), states("tensor", optimizer, settings), strict=True)
    for scalar, tensor in pairs:
        for name in scalar:
            close(scalar[name], tensor[name])


@pytest.fixture
def torch():
    """PyTorch, whose NAdam keeps a product of float64 numbers in the default dtype."""
    module = pytest.importorskip("torch")
    before = module.get_default_dtype()
    module.set_default_dtype(module.float64)
    yield module
    module.set_default_dtype(before)


# PyTorch has no Lion; its rule is compared with the paper's in test_lion_is_the_papers.
of_torch = pytest.mark.parametrize(
    ("optimizer", "settings"),
    [recipe for recipe in RECIPES if recipe[0] is not Lion],
    ids=[f"{kind.__name__} {settings}" for kind, settings in RECIPES if kind is not Lion],
)


def test_lion_is_the_papers():
    """Chen et al. 2023, program 1, written out for one weight."""
    w, m, own = 1.0, 0.0, Value(1.0)
    optimizer = Lion([own], lr=0.05, betas=(0.8, 0.9), weight_decay=0.3)
    for t in range(STEPS):
        g = np.cos(t) + 0.1 * w
        own.grad = g
        optimizer.step()
        update = np.sign(m * 0.8 + g * (1.0 - 0.8))
        m = m * 0.9 + g * (1.0 - 0.9)
        w = w - 0.05 * (update + 0.3 * w)
        assert own.data == pytest.approx(w, rel=1e-13)


@pytest.mark.torch
@of_torch
def test_pytorch_steps_alike(optimizer, settings, torch):
    weights = [torch.tensor(w, requires_grad=True) for w in nn.MLP([2, 4, 1], seed=1).state_dict().values()]
    theirs = getattr(torch.optim, optimizer.__name__)(weights, **settings)
    data, labels = torch.tensor(X), torch.tensor(Y)
    for ours in states("tensor", optimizer, settings):
        theirs.zero_grad()
        W, b, V, c = weights
        output = torch.tanh(data @ W.T + b) @ V.T + c
        torch.nn.functional.mse_loss(output, labels).backward()
        theirs.step()
        for w, own in zip(weights, ours.values(), strict=True):
            close(own, w.detach().numpy())


@pytest.mark.torch
@of_torch
def test_pytorch_agrees_where_a_gradient_is_missing_now_and_then(optimizer, settings, torch):
    """Momentum and Adam's bias correction count the updates of each parameter, not the calls of step()."""
    ours, theirs = Tensor([1.0, -2.0], requires_grad=True), torch.tensor([1.0, -2.0], dtype=float, requires_grad=True)
    own = optimizer([ours], **settings)
    other = getattr(torch.optim, optimizer.__name__)([theirs], **settings)
    for i in range(12):
        own.zero_grad()
        other.zero_grad()
        if i % 3 == 2:
            (ours * ours).sum().backward()
            (theirs * theirs).sum().backward()
        own.step()
        other.step()
        close(ours.data, theirs.detach().numpy())


# What a step does


@makers
def test_a_step_goes_against_the_gradient(make):
    w = make(3.0)
    optimizer = SGD([w], lr=0.25)
    (w * w).backward()
    optimizer.step()
    assert w.item() == 3.0 - 0.25 * 6.0


@pytest.mark.parametrize("g", [1e-6, 1.0, -1e6])
def test_adams_first_step_is_the_learning_rate(g):
    """Without the bias correction it would be η(1-β₁)/√(1-β₂) = 3.2 η."""
    w, *_ = rules.adam(0.0, g, 0.0, 0.0, 1, lr=0.1, beta1=0.9, beta2=0.999, eps=1e-30, weight_decay=0.0)
    assert w == pytest.approx(-0.1 * np.sign(g), rel=1e-12)


@pytest.mark.parametrize("t", [1, 2, 10, 1000])
def test_adam_recovers_a_constant_gradient_at_every_step(t):
    """m̂ = g and v̂ = g² for constant g, so that every step is the learning rate."""
    m, v = 2.0 * (1 - 0.9 ** (t - 1)), 4.0 * (1 - 0.999 ** (t - 1))
    w, *_ = rules.adam(0.0, 2.0, m, v, t, lr=0.1, beta1=0.9, beta2=0.999, eps=1e-30, weight_decay=0.0)
    assert w == pytest.approx(-0.1, rel=1e-10)


def test_momentum_ends_at_a_step_of_g_over_one_minus_mu():
    w, v = 0.0, 0.0
    for t in range(1, 400):
        before = w
        w, v = rules.sgd(w, 1.0, v, t, lr=0.1, momentum=0.9, weight_decay=0.0, nesterov=False)
    assert before - w == pytest.approx(0.1 / (1.0 - 0.9), rel=1e-12)


@pytest.mark.parametrize("optimizer", [SGD, Adam, AdamW, RMSprop, Adagrad])
def test_a_tensor_without_a_gradient_is_left_alone(optimizer):
    used, unused = Tensor([1.0], requires_grad=True), Tensor([5.0], requires_grad=True)
    updates = optimizer([used, unused], lr=0.1, weight_decay=0.1)
    used.sum().backward()
    updates.step()
    assert unused.data[0] == 5.0
    assert used.data[0] < 1.0


def test_a_value_that_the_loss_does_not_use_stays():
    used, unused = Value(1.0), Value(5.0)
    updates = Adam([used, unused], lr=0.1)
    (used * 2.0).backward()
    updates.step()
    assert (used.data < 1.0, unused.data) == (True, 5.0)


@every_optimizer
@pytest.mark.parametrize("shape", [(3,), (), (2, 0)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_and_shape_stay(optimizer, settings, shape, dtype):
    w = Tensor(np.ones(shape, dtype=dtype), requires_grad=True)
    updates = optimizer([w], **settings)
    for _ in range(3):
        updates.zero_grad()
        (w * w).sum().backward()
        updates.step()
        assert all(np.asarray(each).dtype == dtype for each in (w.array, *updates.memory[0]))
        assert (type(w.array), w.shape) == (np.ndarray, shape)


@every_optimizer
def test_each_optimizer_finds_the_bottom_of_a_bowl(optimizer, settings):
    w = Tensor([0.5, -0.3], requires_grad=True)
    updates = optimizer([w], lr=20.0 if optimizer is Adadelta else 0.1)  # Adadelta's first steps are only 1e-3 long
    for _ in range(400):
        updates.zero_grad()
        (w * w).sum().backward()
        updates.step()
        updates.lr = 0.99 * updates.lr
    assert np.abs(w.data).max() < 0.05


@every_optimizer
def test_a_state_is_gone_back_to(optimizer, settings):
    """The state stays as it was while the optimizer goes on."""
    w = Tensor([1.0, -2.0], requires_grad=True)
    updates = optimizer([w], **settings)

    def steps(count):
        for _ in range(count):
            updates.zero_grad()
            (w * w).sum().backward()
            updates.step()
        return w.data.tolist()

    steps(3)
    before = w.data.copy(), updates.state()
    expected = steps(4)
    w.data = before[0]
    updates.load_state(before[1])
    assert steps(4) == expected


def test_adamws_decay_is_apart_from_the_step():
    """Without a gradient the weight falls by ηλ of itself; Adam, which divides by the gradient's size, takes η."""
    decoupled, coupled = Value(2.0), Value(2.0)
    AdamW([decoupled], lr=0.1, weight_decay=0.5).step()
    Adam([coupled], lr=0.1, weight_decay=0.5).step()
    assert decoupled.data == pytest.approx(2.0 * (1.0 - 0.05), rel=1e-15)
    assert coupled.data == pytest.approx(1.9, rel=1e-6)


def test_centred_rmsprop_of_a_constant_gradient_stays_finite():
    """v - m² is then 0 but for rounding, which may fall below 0 and has no root."""
    w, v, m, b = 0.0, 0.0, 0.0, 0.0
    for t in range(1, 500):
        w, v, m, b = rules.rmsprop(
            w, 0.1, v, m, b, t, lr=1e-9, alpha=0.7, eps=1e-8, weight_decay=0.0, momentum=0.0, centered=True
        )
        assert np.isfinite(w)


@makers
def test_memories_begin_at_their_declared_values(make):
    for optimizer, expected in (
        (Adagrad([make(1.0)], initial_accumulator_value=0.5), (0.5,)),
        (Rprop([make(1.0)], lr=0.02), (0.0, 0.02)),
        (RMSprop([make(1.0)]), (0.0, 0.0, 0.0)),
    ):
        assert tuple(map(float, optimizer.memory[0])) == expected == optimizer.start()


@makers
def test_rprops_step_grows_shrinks_and_waits(make):
    """g = 1, 1, -1, -1, -1: Δ = 0.1, 0.12, then halved without a step, then as it is, then grown."""
    w = make(0.0)
    optimizer, path = Rprop([w], lr=0.1), []
    for g in (1.0, 1.0, -1.0, -1.0, -1.0):
        w.grad = g if make is Value else np.array(g)
        optimizer.step()
        path.append(w.item())
    assert path == pytest.approx([-0.1, -0.22, -0.22, -0.16, -0.088], rel=1e-12)


def test_a_learning_rate_given_before_the_first_step_is_rprops_first_step():
    optimizer = Rprop([Value(1.0)], lr=0.1)
    optimizer.lr = 0.02
    assert optimizer.memory == [(0.0, 0.02)]
    optimizer.step()
    optimizer.lr = 0.5
    assert optimizer.memory == [(0.0, 0.02)]


@every_optimizer
@makers
def test_nan_gradients_are_not_hidden(optimizer, settings, make):
    w = make(1.0)
    updates = optimizer([w], **settings)
    w.grad = float("nan") if make is Value else np.array(np.nan)
    updates.step()
    assert np.isnan(w.item())

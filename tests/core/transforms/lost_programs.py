"""Training loops with derivatives at plain numbers, as people write them: RIGHT ones, and WRONG ones that lose one."""

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu import nn, optim

RNG = np.random.default_rng(1)
X = RNG.normal(size=(8, 2))
Y, T = X[:, :1] * X[:, 1:], RNG.uniform(size=(5, 1))
START, J = np.zeros((1, 1)), np.array([[0.0, -1.0], [1.0, 0.0]])
RIGHT, WRONG = {}, {}


def right(program):
    RIGHT[program.__name__] = program


def wrong(program):
    WRONG[program.__name__] = program


class Loop:
    """A small network, its slope by the input, and rounds of training it."""

    def __init__(self, inputs=2, outputs=1, seed=1):
        self.net = nn.MLP([inputs, 4, outputs], seed=seed)
        self.optimizer = optim.SGD(self.net.parameters(), lr=0.01)
        self.slope = tg.grad(lambda x: self.net(x).sum())
        self.slope_of_loss = tg.grad(lambda x: self.mse(x))

    def mse(self, x=X):
        return ((self.net(x) - Y) ** 2).mean()

    def start(self):
        return ((self.net(START) - 1.0) ** 2).sum()

    def train(self, loss, rounds=2):
        for _ in range(rounds):
            self.optimizer.zero_grad()
            loss().backward()
            self.optimizer.step()


def adversarial(move, start=lambda: X):
    """A program that trains on moved inputs; `move(loop, x)`."""

    def program():
        loop = Loop()

        def loss():
            x = start()
            for _ in range(3):
                x = move(loop, x)
            return loop.mse(x)

        loop.train(loss)

    return program


RIGHT |= {
    "fgsm": adversarial(lambda a, x: x + 0.1 * np.sign(a.slope_of_loss(x))),
    "projected": adversarial(lambda a, x: np.clip(x + 0.03 * np.sign(a.slope_of_loss(x)), X - 0.1, X + 0.1)),
    "normalized": adversarial(lambda a, x: x + 0.1 * (g := a.slope_of_loss(x)) / np.linalg.norm(g)),
    "langevin": adversarial(lambda a, x: x - 0.1 * a.slope(x) + 0.01 * RNG.normal(size=x.shape)),
    "in_place": adversarial(lambda a, x: np.subtract(x, 0.1 * a.slope(x), out=x), lambda: X.copy()),
    "newton": adversarial(lambda a, x: x - np.linalg.solve(np.eye(8), a.slope(x))),
    "of_a_sum": adversarial(lambda a, x: x + 0.1 * a.slope_of_loss(x + 0.0)),
    "a_mask": adversarial(lambda a, x: x * (np.abs(a.slope(x)) > 0.1)),
}


@right
def looks_between_steps():
    loop, seen = Loop(), []
    loop.train(lambda: (seen.append(np.abs(loop.slope(X)).mean()), loop.mse())[1])
    loop.train(lambda: (seen.append(tg.jacobian(lambda x: loop.net(x[None])[0])(X[0])), loop.mse())[1])
    loop.train(lambda: (seen.append(tg.hessian(lambda x: loop.net(x[None]).sum())(X[0])), loop.mse())[1])


@right
def momentum_and_hamiltonian_samples():
    loop = Loop()

    def loss():
        q, p = X, RNG.normal(size=X.shape)
        for _ in range(3):
            p = 0.9 * p - 0.1 * loop.slope(q)
            q = q + 0.1 * p
        return loop.net(X).mean() - loop.net(q).mean()

    loop.train(loss)


@right
def a_distance_to_the_moved_input():
    loop = Loop()

    def loss():
        moved = X + 0.1 * loop.slope_of_loss(X)
        return loop.mse() + ((loop.net(X) - loop.net(moved)) ** 2).mean() + 0.1 * ((moved - X) ** 2).mean()

    loop.train(loss)


@right
def one_block_after_the_other():
    """w is an array and steps along its gradient, b is a Tensor of an optimizer; both by one function."""
    b = tg.Tensor(np.zeros(1), requires_grad=True)
    optimizer, w, velocity = optim.Adam([b], lr=0.1), np.ones((2, 1)), 0.0

    def loss(w):
        return ((X @ w + b - Y) ** 2).mean() + 0.01 * (w**2).sum() + 0.01 * (b**2).sum()

    for _ in range(6):
        velocity = 0.9 * velocity - 0.1 * tg.grad(loss)(w)
        w = w + velocity
        optimizer.zero_grad()
        loss(w).backward()
        optimizer.step()


@right
def codes_of_samples():
    loop, codes = Loop(2, 2), np.ones((8, 2))
    for _ in range(2):
        for i in range(2):
            codes[i] -= 0.1 * tg.grad(lambda z, i=i: ((loop.net(z[None]) - X[i]) ** 2).mean())(codes[i])
        loop.train(lambda: ((loop.net(codes) - X) ** 2).mean(), 1)


@right
def what_says_that_it_is_meant():
    loop = Loop()
    weights = lambda: np.linalg.norm(loop.slope(X), axis=1, keepdims=True)  # noqa: E731
    loop.train(lambda: (weights().copy() * (loop.net(X) - Y) ** 2).mean())
    loop.train(lambda: (np.array(weights()) * (loop.net(X) - Y) ** 2).mean())
    loop.train(lambda: loop.mse() + float(weights().mean()))
    each = lambda kind: np.array([[kind(g) for g in loop.slope(x[None])[0]] for x in X])  # noqa: E731
    for kind in (float, lambda g: g.item(), lambda g: g.tolist()):
        loop.train(lambda kind=kind: (each(kind) * loop.net(X)).mean())
    loop.train(lambda: (np.array([loop.slope(x[None])[0].copy() for x in X]) * loop.net(X)).mean())
    with tg.no_grad():
        fixed = weights()
    loop.train(lambda: (fixed * (loop.net(X) - Y) ** 2).mean())


@right
def a_target_of_another_network_or_of_earlier_weights():
    loop, other = Loop(), Loop(seed=2)
    loop.train(lambda: ((loop.net(X) - other.slope(X)[:, :1]) ** 2).mean())
    before = loop.slope(X)[:, :1]
    loop.train(loop.mse, 1)
    loop.train(lambda: ((loop.net(X) - before) ** 2).mean())


@right
def values_with_a_look_and_a_step():
    w, x = tg.Value(0.5), 1.0
    seen = [tg.grad(lambda x: (w * x).tanh())(x) for x in (0.0, 1.0)]
    for _ in range(3):
        x = x - 0.1 * tg.grad(lambda x: (w * x - 1.0) ** 2)(x)
        ((w * x - 1.0) ** 2).backward()
    assert len(seen) == 2


@right
def sums_in_place_that_no_loss_sees():
    """A smoothed map of slopes, a code that steps along its gradient in place, an aside of `has_aux` that is kept."""
    loop, code, kept = Loop(), np.ones((8, 2)), []
    for _ in range(2):
        slopes = np.zeros_like(X)
        for _ in range(3):
            slopes += loop.slope(X + 0.1 * RNG.normal(size=X.shape))
        code -= 0.1 * loop.slope_of_loss(code)
        aside = tg.grad(lambda x: (loop.mse(x), {"out": loop.net(x), "rate": 0.5, "n": 8}), has_aux=True)(X)[1]
        kept.append(np.abs(aside["out"]).mean() + slopes.mean())
        loop.train(lambda aside=aside, code=code: aside["rate"] * loop.mse(code) / aside["n"], 1)


@right
def a_fit_between():
    loop = Loop()
    for _ in range(2):
        tg.fit(loop.net, X + 0.1 * loop.slope(X), Y, loss="mse", optimizer="sgd", epochs=1, compiled=False)


def with_term(term, inputs=1, outputs=1):
    """A program whose loss has a term besides one that is right; `term(loop)`."""

    def program():
        loop = Loop(inputs, outputs)
        loop.train(lambda: (loop.start() if inputs == 1 else (loop.net(X) ** 2).mean()) + term(loop))

    return program


def field(loop, q, p):
    return tg.grad(lambda q, p: loop.net(np.concatenate([q, p], axis=1)).sum(), argnum=(0, 1))(q, p)


def jacobian(loop, x):
    return tg.jacobian(lambda x: loop.net(x[None])[0])(x)


def filled(loop):
    slopes = np.zeros(T.shape)
    for i, t in enumerate(T):
        slopes[i] = loop.slope(t[None])[0]
    return slopes


def summed_in_place(loop, start):
    for x in X[:3]:
        start += np.sum(loop.slope(x[None]) ** 2)
    return 0.1 * np.sum(start)


def aside(loop, part):
    return part(tg.grad(lambda x: (loop.net(x).sum(), (loop.net(x) ** 2).mean(axis=0)), has_aux=True)(X)[1])


def rollout(loop):
    x = X
    for _ in range(3):
        x = x + 0.1 * loop.slope(x) @ J
    return ((x - X[:, ::-1]) ** 2).mean()


WRONG |= {
    "residual": with_term(lambda a: ((a.slope(T) + a.net(T)) ** 2).mean()),
    "number": with_term(lambda a: ((a.slope(T) - np.cos(T)) ** 2).mean()),
    "beside_its_argument": with_term(lambda a: ((T + 0.1 * a.slope(T)) ** 2).mean()),
    "point_by_point": with_term(lambda a: sum(np.sum((a.slope(t[None]) - np.cos(t)) ** 2) for t in T)),
    "of_floats": with_term(lambda a: (tg.grad(lambda t: a.net(np.reshape(t, (1, 1))).sum())(0.3) - 1.0) ** 2),
    "listed": with_term(lambda a: ((np.array([a.slope(t[None])[0] for t in T]) + a.net(T)) ** 2).mean()),
    "filled": with_term(lambda a: ((filled(a) + a.net(T)) ** 2).mean()),
    "unpacked": with_term(lambda a: sum((g - 1.0) ** 2 for (g,) in a.slope(T))),
    "second": with_term(lambda a: (tg.hessian(lambda t: a.net(t[None]).sum())(T[0]) ** 2).sum()),
    "monotone": with_term(lambda a: np.maximum(0.0, -a.slope(T)).mean()),
    "as_tensor": with_term(lambda a: ((tg.Tensor(a.slope(T)) - 1.0) ** 2).mean()),
    "penalty": with_term(lambda a: 10.0 * ((np.linalg.norm(a.slope(X), axis=1) - 1.0) ** 2).mean(), 2),
    "penalty_by_sums": with_term(lambda a: (((a.slope(X) ** 2).sum(axis=1) ** 0.5 - 1.0) ** 2).mean(), 2),
    "largest": with_term(lambda a: np.max(np.linalg.norm(a.slope(X), axis=1)), 2),
    "sobolev": with_term(lambda a: tg.ops.mse(a.slope(X), X[:, ::-1]), 2),
    "stacked": with_term(lambda a: np.mean((np.stack([(g := a.slope(X))[:, 1], -g[:, 0]], 1) - X) ** 2), 2),
    "two_arguments": with_term(lambda a: np.mean((field(a, X[:, :1], X[:, 1:])[1] - Y) ** 2), 2),
    "rollout": with_term(rollout, 2),
    "input_of_another": with_term(lambda a: Loop(3, seed=2).net(np.concatenate([a.slope(X), Y], axis=1)).sum(), 2),
    "contractive": with_term(
        lambda a: sum((tg.jacobian(lambda x: a.net(x[None])[0])(x) ** 2).sum() for x in X[:2]), 2, 2
    ),
    "divergence": with_term(lambda a: np.trace(tg.jacobian(lambda x: a.net(x[None])[0])(X[0])), 2, 2),
    "summed in an array": with_term(lambda a: summed_in_place(a, np.zeros(1)), 2),
    "summed in an array, of the slopes": with_term(lambda a: np.sum(np.add(z := np.zeros_like(X), a.slope(X), z)), 2),
    "an aside": with_term(lambda a: 0.1 * aside(a, np.sum), 2),
    "an aside in an array": with_term(lambda a: np.mean(aside(a, lambda x: x) * a.net(X)), 2),
    "value": with_term(lambda a: tg.value_and_grad(lambda x: a.net(x).sum())(X)[0], 2),
    "vjp": with_term(lambda a: (tg.vjp(lambda x: a.net(x).sum(), X)[1](1.0)[0] ** 2).mean(), 2),
    "jvp": with_term(lambda a: (tg.jvp(a.net, (X,), (X,))[1] ** 2).mean(), 2),
    "compiled": with_term(lambda a: (tg.jit(lambda x: a.net(x).sum()).value_and_grad(X)[1] ** 2).mean(), 2),
}


@wrong
def a_trained_coefficient():
    loop, k = Loop(1), tg.Tensor(1.0, requires_grad=True)
    loop.train(lambda: ((loop.slope(T) + k * loop.net(T)) ** 2).mean())


@wrong
def summed_in_python():
    loop = Loop()

    def loss():
        penalty = 0.0
        for x in X[:3]:
            penalty += np.sum(loop.slope(x[None]) ** 2)
        return loop.mse() + penalty / 3

    loop.train(loss)


@wrong
def values():
    w, b = tg.Value(0.5), tg.Value(0.0)
    u = lambda x: (w * x + b).tanh()  # noqa: E731
    sum((tg.grad(u)(x) - u(x)) ** 2 for x in (0.0, 0.5)).backward()


@wrong
def values_compiled():
    w = tg.Value(0.5)
    slope = tg.jit(lambda x: (w * x).tanh()).value_and_grad(0.3)[1]
    ((slope - 1.0) ** 2 + (w * 0.3 - 1.0) ** 2).backward()


@wrong
def given_to_a_compiled_loss():
    loop = Loop(1)
    loss = tg.jit(lambda t, slope: ((slope + loop.net(t)) ** 2).mean())
    loop.train(lambda: loss(T, loop.slope(T)))

"""Programs after the DeepFD benchmark (Cao et al. 2022, 58 programs), as far as they can be expressed here.

`python -m bench.clinic.questions bench/clinic/deepfd_cases.py`. The benchmark's sheet gives, for each program, the post
in which it was asked, the kinds of its faults and the lines that were changed; the programs themselves are not in it,
but for two. These are our own after those descriptions: layers, activations, loss, optimizer, rate and epochs as the
changed lines have them, the data made up, sizes for a processor. A first cause is right if it is one of the kinds that
the sheet names. Left out, with the reason, are LEFT_OUT.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tinygrad_edu as tg
from bench.clinic.deepfd_data import UNITS, XOR, Data, clouds, digits, iris, table, yes_or_no
from bench.clinic.question_parts import Asked, Case, column, fitted, found, standard
from tinygrad_edu import nn, optim

KINDS = {  # fault in DeepFD's table -> codes of our causes
    "activation": (
        "wrong_output_activation", "targets_out_of_range", "no_activation", "saturated_activations", "dead_relu",
        "vanishing_gradient",
    ),
    "loss": ("wrong_loss",),
    "rate": ("lr_too_high", "lr_too_low"),
    "epochs": ("too_few_epochs",),
    "optimizer": ("lr_too_high", "lr_too_low", "momentum_too_high"),
    "preprocessing": ("inputs_not_scaled", "targets_out_of_range", "constant_or_nonfinite_input"),
    "start": ("init_too_large", "symmetric_init", "vanishing_gradient"),
    "batch": ("batch_too_large_for_epochs",),
    "layers": ("too_small_network", "vanishing_gradient", "no_activation"),
}  # fmt: skip


LEFT_OUT = {
    "convolutions": (2, 21, 27, 33, 34, 49, 51, 53, 54, 55),
    "no fault according to the sheet": (18, 19, 24, 30, 35, 36),
    "the fault is in the texts or labels that are not described": (15, 32, 38, 50),
    "a change in a repository of more than settings": (52, 56, 57, 58),
}


CASES: dict[str, Case] = {}


def program(number: int, kinds: str, refusal: str = "") -> Callable[..., Any]:
    """One program: its number in the sheet, and the kinds of its faults."""

    def add(build: Callable[..., Any]) -> Callable[..., Any]:
        codes = tuple(dict.fromkeys(code for kind in kinds.split() for code in KINDS[kind]))
        name = f"deepfd_{number:02d}_{build.__name__}"
        CASES[name] = Case(name, codes[0], codes[1:], False, refusal, build)
        return build

    return add


def run(
    data: Data, sizes: Any, activation: str, out: str, loss: Any, optimizer: str, lr: float, epochs: int, seed: int,
    batch: int | None = 32, good: float = 0.9, start: float | None = None, **options: Any,
) -> Asked:  # fmt: skip
    """The program trained, judged by R² or by the mean over classes of the share found."""
    X, y = data
    classes = y.dtype.kind == "i"
    model = nn.MLP([X.shape[1], *sizes], activation=activation, out_activation=out, seed=seed)
    rng = np.random.default_rng(seed)
    for layer in model.layers if start is not None else ():
        layer.weight.data = rng.normal(0.0, start, layer.weight.shape)
    given = y if not classes or loss == "cross_entropy" else column(y) if sizes[-1] == 1 else np.eye(sizes[-1])[y]
    made = getattr(optim, optimizer)(model.parameters(), lr=lr, **options)
    trained = tg.fit(model, X, given, loss=loss, optimizer=made, epochs=epochs, batch_size=batch, seed=seed)
    return Asked(trained, X, given, found(y) if classes else fitted(y), good)


@program(1, "activation loss rate")
def linear_digits_by_mse(seed, cured):
    if cured:
        return run(digits(), (30, 10), "sigmoid", "identity", "cross_entropy", "SGD", 1.0, 30, seed, start=0.3)
    return run(digits(), (30, 10), "identity", "identity", "mse", "SGD", 3.0, 30, seed, start=1.0)


@program(3, "loss epochs rate optimizer")
def xor_by_absolute_error(seed, cured):
    loss, lr, epochs = ("mse", 0.9, 10000) if cured else ("mae", 0.05, 1000)
    return run(XOR, (4, 1), "sigmoid", "sigmoid", loss, "SGD", lr, epochs, seed, 4, 0.99, momentum=0.11, nesterov=True)


@program(4, "rate epochs")
def classes_in_five_epochs(seed, cured):
    lr, epochs = (0.01, 40) if cured else (0.001, 5)
    return run(clouds(5), (16, 5), "relu", "identity", "cross_entropy", "Adam", lr, epochs, seed)


@program(5, "activation")
def relu_output_for_a_wave(seed, cured):
    x = np.linspace(-3.0, 3.0, 300)[:, None]
    return run((x, np.sin(x)), (32, 1), "tanh", "tanh" if cured else "relu", "mse", "Adam", 0.01, 150, seed)


@program(6, "activation loss epochs")
def softmax_by_mse(seed, cured):
    loss, out = ("cross_entropy", "identity") if cured else ("mse", "softmax")
    return run(clouds(6, seed=6), (32, 32, 6), "relu", out, loss, "SGD", 0.01, 60 if cured else 15, seed, good=0.85)


@program(7, "activation")
def softmax_on_one_unit_for_numbers(seed, cured):
    X, y = table(7)
    return run((X, y), (13, 1), "relu", "identity" if cured else "softmax", "mse", "Adam", 0.01, 100, seed)


@program(8, "activation optimizer preprocessing")
def digits_of_255(seed, cured):
    X, k = digits()
    if cured:
        return run((X, k), (64, 10), "relu", "identity", "cross_entropy", "Adam", 0.003, 20, seed)
    return run((255.0 * X, k), (64, 10), "relu", "sigmoid", "cross_entropy", "SGD", 0.05, 20, seed)


@program(9, "rate activation start epochs batch")
def xor_by_small_steps(seed, cured):
    made = ("Adam", 0.03, 600) if cured else ("SGD", 0.001, 600)
    more = {} if cured else {"momentum": 0.9, "nesterov": True}
    return run(XOR, (8, 1), "tanh", "sigmoid", "bce", *made, seed, 4, 0.99, start=None if cured else 0.05, **more)


@program(10, "activation epochs")
def softmax_on_one_unit(seed, cured):
    return run(yes_or_no(10), (16, 1), "relu", "sigmoid" if cured else "softmax", "bce", "Adam", 0.01, 40, seed)


@program(11, "activation rate preprocessing", "probabilities")
def logits_as_probabilities(seed, cured):
    X, k = yes_or_no(11, UNITS)
    if cured:
        return run((standard(X), k), (12, 8, 1), "relu", "sigmoid", "bce", "Adam", 0.01, 60, seed)
    return run((X, k), (12, 8, 1), "relu", "relu", "bce", "Adam", 0.001, 60, seed)


@program(12, "activation batch")
def autoencoder_of_sigmoids(seed, cured):
    X = np.random.default_rng(12).normal(0.0, 1.0, (200, 6))
    hidden = "relu" if cured else "sigmoid"
    made = run((X, X), (12, 6), hidden, "identity" if cured else "sigmoid", "mse", "Adam", 0.01, 100, seed)
    return made


@program(13, "rate")
def rate_that_explodes(seed, cured):
    return run(table(13, 2.0, 3.0), (20, 20, 1), "relu", "identity", "mse", "SGD", 0.005 if cured else 0.1, 200, seed)


@program(14, "optimizer rate preprocessing epochs")
def iris_of_few_epochs(seed, cured):
    X, k = iris()
    lr, epochs = (0.01, 60) if cured else (0.001, 10)
    return run((standard(X), k), (8, 3), "relu", "identity", "cross_entropy", "Adam", lr, epochs, seed, good=0.93)


@program(16, "activation optimizer preprocessing")
def iris_of_sigmoids(seed, cured):
    X, k = iris()
    if cured:
        return run((standard(X), k), (4, 3), "tanh", "identity", "cross_entropy", "Adam", 0.02, 150, seed)
    return run((X, k), (4, 3), "relu", "sigmoid", "cross_entropy", "SGD", 0.01, 50, seed, start=0.05)


@program(17, "preprocessing")
def fourth_power(seed, cured):
    X = np.random.default_rng(17).uniform(-100.0, 100.0, (400, 1))
    data = (standard(X), standard(X**4)) if cured else (X, X**4)
    return run(data, (50, 50, 1), "elu", "identity", "mse", "Adam", 0.005 if cured else 0.001, 80, seed)


@program(20, "activation")
def sigmoid_output_for_numbers(seed, cured):
    return run(table(20), (24, 1), "relu", "identity" if cured else "sigmoid", "mse", "Adam", 0.01, 100, seed)


@program(22, "activation")
def softmax_for_ten_numbers(seed, cured):
    X = np.random.default_rng(22).uniform(0.0, 1.0, (400, 10))
    return run((X, 1.0 - X), (32, 10), "relu", "sigmoid" if cured else "softmax", "mse", "Adam", 0.01, 80, seed)


@program(23, "preprocessing")
def columns_in_their_units(seed, cured):
    X, k = yes_or_no(23, UNITS)
    return run((standard(X) if cured else X, k), (20, 1), "relu", "sigmoid", "bce", "Adam", 0.003, 80, seed)


@program(25, "activation epochs")
def relu_before_the_softmax(seed, cured):
    out = "identity" if cured else "relu"
    return run(digits(), (30, 10), "relu", out, "cross_entropy", "Adam", 0.005, 15 if cured else 2, seed, 50)


@program(26, "loss optimizer activation epochs")
def absolute_error_by_rmsprop(seed, cured):
    loss, name, lr, epochs = ("mse", "Adam", 0.01, 150) if cured else ("mae", "RMSprop", 0.001, 10)
    return run(table(26), (20, 1), "relu", "identity", loss, name, lr, epochs, seed)


@program(28, "optimizer activation loss")
def softmax_of_one_by_adam(seed, cured):
    out, loss = ("sigmoid", "bce") if cured else ("softmax", "bce")
    return run(yes_or_no(28), (16, 16, 1), "relu", out, loss, "Adam", 0.005, 60, seed)


def categorical(p, t):
    """Keras' categorical cross-entropy: outputs divided by their sum, which of one unit is the unit itself."""
    share = p / tg.ops.sum(p, axis=1, keepdims=True)
    return -tg.ops.mean(tg.ops.sum(t * tg.ops.log(share), axis=1))


@program(29, "loss")
def categorical_loss_of_one_unit(seed, cured):
    return run(yes_or_no(29), (16, 1), "relu", "sigmoid", "bce" if cured else categorical, "Adam", 0.01, 60, seed)


@program(31, "optimizer rate")
def plain_descent_on_large_inputs(seed, cured):
    made = ("Adam", 0.001) if cured else ("SGD", 0.05)
    X, k = clouds(5, 0.4, 400, 8, 31)
    return run((60.0 * X, k), (64, 64, 5), "relu", "identity", "cross_entropy", *made, 60, seed)


@program(37, "optimizer loss layers")
def numbers_by_cross_entropy(seed, cured):
    X = np.random.default_rng(37).uniform(0.0, 1.0, (300, 3))
    y = column(0.2 + 0.6 * X[:, 0] * X[:, 1])
    loss, name, lr, epochs = ("mse", "Adam", 0.01, 100) if cured else ("bce", "RMSprop", 0.0003, 3)
    return run((X, y), (12, 1), "relu", "sigmoid", loss, name, lr, epochs, seed)


@program(39, "optimizer rate epochs")
def waves_in_ten_epochs(seed, cured):
    x = np.random.default_rng(39).uniform(-6.0, 6.0, (500, 1))
    lr, epochs = (0.01, 150) if cured else (0.001, 10)
    name = "Adam" if cured else "RMSprop"
    return run(
        (x, np.digitize(np.sin(x[:, 0]), [-0.4, 0.4])),
        (40, 40, 3),
        "relu",
        "identity",
        "cross_entropy",
        name,
        lr,
        epochs,
        seed,
    )


@program(40, "activation")
def autoencoder_of_relus(seed, cured):
    X = np.tanh(
        np.random.default_rng(40).normal(0.0, 1.0, (300, 2)) @ np.random.default_rng(1).normal(0.0, 1.0, (2, 6))
    )
    name = "tanh" if cured else "relu"
    return run((X, X), (12, 4, 12, 6), name, name, "mse", "Adam", 0.01, 120, seed)


@program(41, "activation")
def softmax_of_one_in_a_deeper_net(seed, cured):
    out = "sigmoid" if cured else "softmax"
    return run(yes_or_no(41), (32, 16, 1), "relu", out, "bce", "RMSprop", 0.005, 60, seed)


@program(42, "rate epochs")
def numbers_by_plain_descent(seed, cured):
    lr, epochs = (0.03, 300) if cured else (0.001, 20)
    return run(table(42), (24, 1), "relu", "identity", "mse", "SGD", lr, epochs, seed)


@program(43, "optimizer rate loss preprocessing")
def large_numbers_by_descent(seed, cured):
    X, y = table(43, 30.0, 50.0)
    data = (standard(X), standard(y)) if cured else (X, y)
    return run(data, (20, 1), "relu", "identity", "mse", "Adam" if cured else "SGD", 0.01, 150, seed)


@program(44, "activation preprocessing layers")
def sine_by_a_deep_narrow_net(seed, cured):
    x = np.random.default_rng(44).uniform(0.0, 20.0, (500, 1))
    if cured:
        return run((standard(x), np.sin(x)), (64, 64, 1), "tanh", "identity", "mse", "Adam", 0.005, 400, seed)
    return run((x, np.sin(x)), (10, 90, *[10] * 8, 1), "relu", "tanh", "mse", "SGD", 0.01, 60, seed)


@program(45, "rate")
def line_by_small_steps(seed, cured):
    x = np.linspace(-10.0, 10.0, 100)[:, None]
    return run((x, 3.0 * x + 5.0), (1,), "tanh", "identity", "mse", "RMSprop", 0.1 if cured else 0.001, 60, seed)


@program(46, "preprocessing")
def neither_scaled(seed, cured):
    X, y = table(46, UNITS, 400.0)
    data = (standard(X), standard(y)) if cured else (X, y)
    return run(data, (16, 1), "sigmoid", "identity", "mse", "Adam", 0.01, 200, seed)


@program(47, "epochs")
def digits_in_two_epochs(seed, cured):
    return run(digits(), (32, 10), "sigmoid", "identity", "cross_entropy", "RMSprop", 0.005, 25 if cured else 2, seed)


@program(48, "loss epochs rate")
def game_of_life(seed, cured):
    X = np.random.default_rng(48).integers(0, 2, (500, 9)).astype(float)
    around = X.sum(axis=1) - X[:, 4]
    k = ((around == 3) | ((around == 2) & (X[:, 4] == 1))).astype(int)
    lr, epochs = (0.01, 100) if cured else (0.001, 5)
    return run((X, k), (40, 40, 1), "relu", "sigmoid", "bce", "Adam", lr, epochs, seed)

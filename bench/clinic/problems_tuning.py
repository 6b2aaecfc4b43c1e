"""Faulty problems on which the diagnosis may be tuned: each is a healthy training and what was changed in it."""

from __future__ import annotations

from functools import partial

from bench.clinic import problems_data as d
from bench.clinic import problems_kinds as kinds
from bench.clinic.problems_kinds import Fitted, Net, Problem
from tinygrad_edu.nn import init
from tinygrad_edu.optim import schedules

MOONS = Net(d.moons, steps=(d.standard,), hidden=(16,), loss="mse", lr=0.03, epochs=60, batch_size=20)
MOONS_LOGITS = MOONS.but(steps=(d.zero_one, d.standard), loss="bce_with_logits")
SPIRALS = Net(
    d.spirals, steps=(d.standard,), hidden=(24, 24), activation="relu", init="he_normal", loss="cross_entropy",
    lr=0.01, epochs=60, batch_size=25,
)  # fmt: skip
IRIS = Net(
    d.iris, steps=(d.standard,), hidden=(8,), loss="cross_entropy", optimizer="SGD", lr=0.2, epochs=40, batch_size=10
)
SINE = Net(d.sine, steps=(d.standard,), hidden=(16,), lr=0.03, epochs=80, batch_size=20)
CHECKERS = Net(d.checkers, hidden=(12,), loss="hinge", optimizer="SGD", lr=0.2, epochs=60, batch_size=20)
MOONS_FITTED = Fitted(
    d.moons, options={"hidden_layer_sizes": (16,), "learning_rate_init": 0.02, "max_iter": 300}, steps=(d.classes,)
)
SINE_FITTED = Fitted(
    d.sine, library="ours", kind="MLPRegressor",
    options={"hidden_layer_sizes": (24,), "activation": "tanh", "learning_rate_init": 0.02, "max_iter": 400},
)  # fmt: skip
DEEP = Net(
    d.moons, steps=(d.standard,), hidden=(12,) * 5, optimizer="SGD", lr=0.1, options={"momentum": 0.9}, epochs=80,
    batch_size=20,
)  # fmt: skip


fault, spoilt = partial(kinds.fault, "tuning"), partial(kinds.spoilt, "tuning")
PROBLEMS = (
    fault("lr_too_high", "moons-sgd", MOONS.but(optimizer="SGD", lr=0.2, epochs=100), lr=20.0),
    fault("lr_too_high", "spirals-adam", SPIRALS, lr=2.0),
    fault("lr_too_low", "sine-adam", SINE, lr=1e-5),
    fault("lr_too_low", "iris-sgd", IRIS, lr=1e-5),
    fault("lr_too_low", "moons-sklearn", MOONS_FITTED.but(options={"tol": 0.0}), options={"learning_rate_init": 1e-6}),
    fault("inputs_not_scaled", "moons-units", MOONS.but(steps=(d.stretch(1.0, 1000.0), d.standard)),
          steps=(d.stretch(1.0, 1000.0),)),
    fault("inputs_not_scaled", "iris-offset", IRIS.but(steps=(d.shift(300.0), d.standard)), steps=(d.shift(300.0),)),
    fault("inputs_not_scaled", "body-metrics-sklearn", Fitted(
        d.body_metrics,
        options={"hidden_layer_sizes": (3,), "activation": "logistic", "learning_rate_init": 0.05, "max_iter": 400},
    ), scaled=None),
    fault("targets_out_of_range", "sine-sigmoid", SINE, out_activation="sigmoid"),
    fault("targets_out_of_range", "moons-sigmoid", MOONS, out_activation="sigmoid"),
    fault("not_shuffled", "iris-sorted", IRIS.but(steps=(d.standard, d.by_class), batch_size=1, lr=0.1, epochs=3),
          shuffle=False, goal=0.92),
    fault("not_shuffled", "glyphs-folders", Net(
        d.glyphs, given={"characters": "01234567"}, steps=(d.by_class,), hidden=(16,), loss="cross_entropy",
        optimizer="SGD", lr=0.3, epochs=8, batch_size=4,
    ), shuffle=False),
    fault("saturated_activations", "moons-tanh-wide", MOONS.but(hidden=(16, 16)), ("init_too_large",),
          init=init.normal(8.0)),
    fault("saturated_activations", "sine-sigmoid", SINE.but(activation="sigmoid", lr=0.1, epochs=120),
          ("init_too_large",), init=init.normal(60.0)),
    fault("dead_relu", "moons-negative", MOONS.but(activation="relu", steps=(d.min_max,), init="he_normal", epochs=150,
          hidden=(24, 24)),
          init=init.uniform(-0.6, 0.0)),
    fault("dead_relu", "glyphs-negative", Net(
        d.glyphs, hidden=(16, 16), loss="cross_entropy", lr=0.01, epochs=12, batch_size=10, activation="relu",
        init="he_normal"), init=init.uniform(-0.3, -0.01)),
    fault("vanishing_gradient", "moons-sigmoid-deep", DEEP, activation="sigmoid"),
    fault("vanishing_gradient", "sine-small", SINE.but(
        hidden=(16,) * 4, optimizer="SGD", lr=0.1, options={"momentum": 0.9}), init=init.normal(0.02)),
    fault("exploding_gradient", "sine-relu-deep", SINE.but(hidden=(16,) * 6, activation="relu", init="he_normal",
          optimizer="SGD", lr=0.02, epochs=150), ("init_too_large",), init=init.normal(1.0)),
    fault("exploding_gradient", "moons-relu-deep", MOONS.but(hidden=(24,) * 5, activation="relu", init="he_normal",
          optimizer="SGD", lr=0.03, epochs=100), ("init_too_large",), init=init.normal(1.2)),
    fault("symmetric_init", "moons-zeros", MOONS, init="zeros"),
    fault("symmetric_init", "sine-constant", SINE.but(hidden=(16, 16)), init=init.constant(0.2)),
    fault("init_too_large", "sine-tanh", SINE, ("saturated_activations",), init=init.normal(30.0)),
    fault("init_too_large", "line-relu", SINE.but(data=d.line, activation="relu", init="he_normal", lr=0.01),
          init=init.normal(20.0)),
    fault("wrong_loss", "sine-poisson", SINE, loss="poisson"),
    fault("wrong_loss", "moons-logits-of-a-sigmoid", MOONS_LOGITS, out_activation="sigmoid"),
    fault("missing_bias", "circles", MOONS.but(data=d.circles), bias=False),
    fault("missing_bias", "line", SINE.but(data=d.line, given={"shift": 3.0}), bias=False),
    fault("too_small_network", "spirals", SPIRALS.but(hidden=(24,), activation="tanh", init="glorot_uniform", lr=0.03),
          hidden=(1,)),
    fault("too_small_network", "sine-waves", SINE.but(given={"waves": 1.5}, epochs=150), hidden=(1,)),
    fault("too_few_epochs", "checkers-sgd", CHECKERS, epochs=1),
    fault("too_few_epochs", "sine-sklearn", SINE_FITTED.but(
        library="sklearn", options={"learning_rate_init": 0.03, "tol": 0.0}), options={"max_iter": 4}),
    fault("stopped_too_early", "moons-tol", MOONS, tol=0.3),
    fault("stopped_too_early", "moons-sklearn", MOONS_FITTED, options={"tol": 0.1, "n_iter_no_change": 2}),
    Problem(name="unlucky_init/xor", code="unlucky_init", half="tuning", lottery=True,
            recipe=Net(d.xor, hidden=(2,), lr=0.05, epochs=300), twin=Net(d.xor, hidden=(2,), lr=0.05, epochs=300)),
    fault("momentum_too_high", "sine-sgd", SINE.but(optimizer="SGD", lr=0.05, options={"momentum": 0.9}),
          options={"momentum": 0.9995}),
    fault("momentum_too_high", "moons-sgd", MOONS.but(optimizer="SGD", lr=0.05, options={"momentum": 0.9}),
          options={"momentum": 0.999}),
    fault("weight_decay_too_high", "moons-sgd", MOONS.but(optimizer="SGD", lr=0.2, epochs=100),
          options={"weight_decay": 0.5}),
    fault("weight_decay_too_high", "sine-adamw", SINE.but(optimizer="AdamW"), options={"weight_decay": 20.0}),
    spoilt("labels_random", "moons", MOONS.but(steps=(d.standard, d.permuted))),
    spoilt("labels_random", "sine", SINE.but(steps=(d.standard, d.permuted))),
    fault("class_imbalance", "ring", Net(d.ring, steps=(d.standard,), hidden=(8,), loss="bce_with_logits", lr=0.01,
          epochs=8, batch_size=20, weights="balanced"), goal=0.85, weights=None),
    fault("batch_too_large_for_epochs", "iris", IRIS.but(epochs=12), ("too_few_epochs",), batch_size=None),
    fault("batch_too_large_for_epochs", "moons", MOONS.but(epochs=35), ("too_few_epochs",), batch_size=None),
    fault("constant_or_nonfinite_input", "moons-column", MOONS, ("inputs_not_scaled",),
          steps=(d.standard, d.constant_column(500.0))),
    spoilt("constant_or_nonfinite_input", "sine-lost", SINE.but(steps=(d.constant,))),
    fault("schedule_freezes_early", "moons-exponential", MOONS.but(optimizer="SGD", lr=0.2, epochs=100),
          lr=schedules.exponential(0.2, 0.9)),
    fault("schedule_freezes_early", "sine-step", SINE, lr=schedules.step(0.03, every=10, factor=0.1)),
)  # fmt: skip

"""Faulty problems on which the diagnosis is reported, and never tuned: other data, sizes, optimizers and seeds."""

from __future__ import annotations

from functools import partial

from bench.clinic import problems_data as d
from bench.clinic import problems_kinds as kinds
from bench.clinic.problems_kinds import Fitted, Net, Problem
from tinygrad_edu.nn import init
from tinygrad_edu.optim import schedules

CIRCLES = Net(
    d.circles, steps=(d.standard, d.zero_one), hidden=(20,), activation="sigmoid", loss="bce_with_logits",
    optimizer="RMSprop", lr=0.03, epochs=50, batch_size=30,
)  # fmt: skip
BLOBS = Net(
    d.blobs, given={"centers": 4, "features": 8, "samples": 160}, steps=(d.standard,), hidden=(10,), activation="relu",
    init="he_uniform", loss="cross_entropy", optimizer="SGD", lr=0.1, epochs=40, batch_size=16,
)  # fmt: skip
LETTERS = Net(
    d.glyphs, given={"characters": "AKOT", "size": 12, "samples": 160}, hidden=(20,), loss="cross_entropy", lr=0.01,
    epochs=15, batch_size=16,
)  # fmt: skip
CUBIC = Net(
    d.cubic, given={"noise": 0.02}, steps=(d.standard,), hidden=(16, 16), activation="silu", loss="huber", lr=0.02,
    epochs=150, batch_size=25,
)  # fmt: skip
PRODUCT = Net(
    d.product, steps=(d.standard,), hidden=(32,), activation="relu", init="he_normal", optimizer="RMSprop", lr=0.005,
    epochs=100, batch_size=15,
)  # fmt: skip
LINE = Net(
    d.line, steps=(d.standard,), hidden=(6,), optimizer="SGD", lr=0.1, epochs=50, batch_size=16, activation="silu"
)
CHECKERS = Net(
    d.checkers, given={"samples": 160}, hidden=(16,), optimizer="Adagrad", lr=0.2, epochs=40, batch_size=32,
    activation="softplus", loss="hinge",
)  # fmt: skip
CIRCLES_FITTED = Fitted(
    d.circles, library="ours", steps=(d.classes,),
    options={"hidden_layer_sizes": (20,), "activation": "tanh", "learning_rate_init": 0.02, "max_iter": 300},
)  # fmt: skip
CUBIC_FITTED = Fitted(
    d.cubic, given={"noise": 0.02}, kind="MLPRegressor",
    options={"hidden_layer_sizes": (30,), "learning_rate_init": 0.02, "max_iter": 500},
)  # fmt: skip
DEEP = Net(
    d.circles, steps=(d.standard, d.zero_one), hidden=(10,) * 6, activation="elu", loss="bce_with_logits",
    optimizer="SGD", lr=0.05, options={"momentum": 0.9}, epochs=60, batch_size=15,
)  # fmt: skip


fault, spoilt = partial(kinds.fault, "unseen"), partial(kinds.spoilt, "unseen")
XOR = Net(d.xor, hidden=(2,), activation="sigmoid", lr=0.1, epochs=300)
PROBLEMS = (
    fault("lr_too_high", "circles-rmsprop", CIRCLES, lr=10.0),
    fault("lr_too_high", "line-sgd", LINE, lr=5.0),
    fault("lr_too_low", "blobs-sgd", BLOBS, lr=1e-5),
    fault("lr_too_low", "product-rmsprop", PRODUCT, lr=1e-6),
    fault("lr_too_low", "cubic-sklearn", CUBIC_FITTED.but(options={"tol": 0.0}), options={"learning_rate_init": 1e-6}),
    fault("inputs_not_scaled", "circles-offset", CIRCLES.but(steps=(d.zero_one, d.shift(200.0), d.standard)),
          steps=(d.zero_one, d.shift(200.0))),
    fault("inputs_not_scaled", "line-units", LINE.but(steps=(d.stretch(1e3, 1.0, 1e-3), d.standard)),
          steps=(d.stretch(1e3, 1.0, 1e-3),)),
    fault("inputs_not_scaled", "cubic-ours", CUBIC_FITTED.but(library="ours", steps=(d.shift(500.0),),
          options={"hidden_layer_sizes": (30, 30), "tol": 0.0}), scaled=None),
    fault("targets_out_of_range", "cubic-relu", CUBIC, out_activation="relu"),
    fault("targets_out_of_range", "line-tanh", LINE.but(steps=(d.standard, d.targets(1.0, 4.0))),
          out_activation="tanh"),
    fault("not_shuffled", "letters-folders", LETTERS.but(steps=(d.by_class,), optimizer="SGD", lr=0.3, batch_size=2,
          given={"characters": "AEKMORTX"}, epochs=6), shuffle=False),
    fault("not_shuffled", "product-sorted", PRODUCT.but(
        steps=(d.standard, d.by_class), batch_size=2, optimizer="SGD", lr=0.05, epochs=40), shuffle=False, goal=0.9),
    fault("saturated_activations", "circles-tanh", CIRCLES.but(activation="tanh"), ("init_too_large",),
          init=init.uniform(-60.0, 60.0)),
    fault("saturated_activations", "product-hard-tanh", PRODUCT.but(activation="hard_tanh", hidden=(24, 24)),
          ("init_too_large",), init=init.normal(12.0)),
    fault("dead_relu", "blobs-negative", BLOBS.but(steps=(d.min_max,), lr=0.2), init=init.uniform(-0.5, -0.05)),
    fault("dead_relu", "letters-negative", LETTERS.but(activation="relu", init="he_normal"),
          init=init.uniform(-0.2, 0.0)),
    fault("vanishing_gradient", "circles-sigmoid-deep", DEEP, activation="sigmoid"),
    fault("vanishing_gradient", "cubic-small", CUBIC.but(hidden=(12,) * 5, activation="tanh"),
          init=init.uniform(-0.01, 0.01)),
    fault("exploding_gradient", "product-deep", PRODUCT.but(hidden=(20,) * 5, optimizer="SGD", lr=0.02),
          ("init_too_large",), init=init.normal(1.2)),
    fault("exploding_gradient", "circles-elu-deep", DEEP, ("init_too_large",), init=init.normal(1.5)),
    fault("symmetric_init", "circles-constant", CIRCLES, init=init.constant(0.5)),
    fault("symmetric_init", "product-zeros", PRODUCT.but(activation="tanh", init="glorot_uniform"), init="zeros"),
    fault("init_too_large", "cubic-silu", CUBIC, init=init.uniform(-80.0, 80.0)),
    fault("init_too_large", "line-silu", LINE.but(optimizer="Adam", lr=0.02), init=init.normal(30.0)),
    fault("wrong_loss", "circles-logits-of-a-sigmoid", CIRCLES, out_activation="sigmoid"),
    fault("wrong_loss", "letters-mae", LETTERS.but(
        given={"characters": "AEKMORTX"}, steps=(d.one_hot,), out_activation="sigmoid", loss="mse", optimizer="SGD",
        lr=1.0, epochs=40), loss="mae"),
    fault("missing_bias", "circles-rmsprop", PRODUCT.but(data=d.circles, activation="tanh", init="glorot_uniform"),
          bias=False),
    fault("missing_bias", "one-to-nine", Net(
        d.one_to_nine, steps=(d.standard,), hidden=(1,), activation="tanh", optimizer="Rprop", lr=0.01, epochs=300,
    ), bias=False),
    fault("too_small_network", "circles", CIRCLES, hidden=(1,)),
    fault("too_small_network", "product-relu", PRODUCT, hidden=(1,)),
    fault("too_few_epochs", "product-rmsprop", PRODUCT.but(batch_size=5), epochs=2),
    fault("too_few_epochs", "circles-ours", CIRCLES_FITTED, options={"max_iter": 4}),
    fault("stopped_too_early", "cubic-tol", CUBIC, tol=0.3),
    fault("stopped_too_early", "cubic-sklearn", CUBIC_FITTED, options={"tol": 0.05, "n_iter_no_change": 2}),
    Problem(name="unlucky_init/xor-sigmoid", code="unlucky_init", half="unseen", lottery=True, recipe=XOR, twin=XOR),
    fault("momentum_too_high", "line-sgd", LINE.but(lr=0.05, options={"momentum": 0.8}), options={"momentum": 0.9995}),
    fault("momentum_too_high", "cubic-nesterov", CUBIC.but(optimizer="SGD", lr=0.1, loss="mse",
          activation="relu", options={"momentum": 0.9, "nesterov": True}), options={"momentum": 0.9995}),
    fault("weight_decay_too_high", "circles-adamw", CIRCLES.but(optimizer="AdamW", epochs=80),
          options={"weight_decay": 15.0}),
    fault("weight_decay_too_high", "cubic-sklearn", CUBIC_FITTED, options={"alpha": 300.0}),
    spoilt("labels_random", "circles", CIRCLES.but(steps=(d.standard, d.zero_one, d.permuted))),
    spoilt("labels_random", "blobs", BLOBS.but(steps=(d.standard, d.permuted))),
    fault("class_imbalance", "ring-rmsprop", Net(
        d.ring, given={"samples": 300, "share": 0.03}, steps=(d.standard,), hidden=(12,), activation="relu",
        loss="bce_with_logits", optimizer="SGD", lr=0.1, epochs=12, batch_size=30, weights="balanced"),
        goal=0.85, weights=None),
    fault("batch_too_large_for_epochs", "blobs", BLOBS.but(epochs=8, lr=0.03), ("too_few_epochs",), batch_size=None),
    fault("batch_too_large_for_epochs", "product", PRODUCT.but(epochs=70, batch_size=10),
          ("too_few_epochs",), batch_size=None),
    fault("constant_or_nonfinite_input", "circles-column", CIRCLES.but(steps=(d.standard, d.zero_one)),
          ("inputs_not_scaled",), steps=(d.standard, d.zero_one, d.constant_column(2000.0))),
    spoilt("constant_or_nonfinite_input", "letters-lost", LETTERS.but(steps=(d.constant,))),
    fault("schedule_freezes_early", "blobs-exponential", BLOBS, lr=schedules.exponential(0.1, 0.5)),
    fault("schedule_freezes_early", "product-cosine", PRODUCT, lr=schedules.cosine(0.005, steps=40)),
)  # fmt: skip

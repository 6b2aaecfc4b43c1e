"""Healthy trainings of many kinds, on which nothing is to be named: data, noise, sizes, losses, optimizers differ."""

from __future__ import annotations

from typing import Any

from bench.clinic import problems_data as d
from bench.clinic.problems_kinds import Fitted, Net, Problem
from tinygrad_edu.nn import init
from tinygrad_edu.optim import schedules

ALL = (d.standard,)
TUNING = {
    "moons-hinge-sgd": Net(d.moons, steps=ALL, hidden=(16, 16), activation="relu", init="he_normal", loss="hinge",
                           optimizer="SGD", lr=0.1, options={"momentum": 0.9}, epochs=60, batch_size=20),
    "moons-full-batch": Net(d.moons, hidden=(16,), lr=0.03, epochs=200),
    "moons-noisy": Net(d.moons, given={"noise": 0.2, "samples": 200}, steps=(d.zero_one,), hidden=(16,),
                       loss="bce_with_logits", lr=0.03, epochs=60, batch_size=20),
    "moons-adagrad": Net(d.moons, steps=(d.zero_one, d.standard), hidden=(24,), activation="relu", init="he_uniform",
                         loss="bce", out_activation="sigmoid", optimizer="Adagrad", lr=0.1, epochs=60, batch_size=16),
    "moons-rprop": Net(d.moons, steps=ALL, hidden=(12,), optimizer="Rprop", lr=0.01, epochs=150),
    "spirals-adam": Net(d.spirals, steps=ALL, hidden=(32,), activation="tanh", loss="cross_entropy", lr=0.03,
                        epochs=80, batch_size=25),
    "spirals-deep": Net(d.spirals, steps=ALL, hidden=(16, 16, 16), activation="silu", loss="cross_entropy", lr=0.01,
                        epochs=80, batch_size=25),
    "iris-sgd": Net(d.iris, steps=ALL, hidden=(10,), loss="cross_entropy", optimizer="SGD", lr=0.1, epochs=60,
                    batch_size=10),
    "iris-raw": Net(d.iris, hidden=(16,), activation="relu", init="he_normal", loss="cross_entropy", lr=0.01,
                    epochs=80, batch_size=15),
    "iris-linear": Net(d.iris, steps=ALL, hidden=(), loss="cross_entropy", lr=0.05, epochs=60, batch_size=15),
    "iris-one-hot": Net(d.iris, steps=(d.one_hot, d.standard), hidden=(12,), out_activation="sigmoid", lr=0.02,
                        epochs=80, batch_size=15),
    "sine-adam": Net(d.sine, hidden=(24,), lr=0.02, epochs=150, batch_size=20),
    "sine-huber": Net(d.sine, given={"noise": 0.02}, steps=ALL, hidden=(20,), loss="huber", optimizer="RMSprop",
                      lr=0.01, epochs=150, batch_size=25),
    "sine-sigmoid": Net(d.sine, steps=ALL, hidden=(16,), activation="sigmoid", lr=0.1, epochs=150, batch_size=25),
    "sine-momentum": Net(d.sine, steps=ALL, hidden=(16,), optimizer="SGD", lr=0.05, options={"momentum": 0.9},
                         epochs=100, batch_size=20),
    "sine-noisy": Net(d.sine, given={"noise": 0.15, "samples": 200}, steps=ALL, hidden=(16,), lr=0.03, epochs=80,
                      batch_size=20),
    "checkers-adamw": Net(d.checkers, hidden=(8,), optimizer="AdamW", lr=0.03, epochs=80, batch_size=20),
    "checkers-in-order": Net(d.checkers, hidden=(12,), lr=0.03, epochs=60, batch_size=20, shuffle=False),
    "moons-cosine": Net(d.moons, steps=ALL, hidden=(16,), lr=schedules.cosine(0.05, steps=360), epochs=60,
                        batch_size=20),
    "moons-patience": Net(d.moons, steps=ALL, hidden=(16,), lr=0.03, epochs=400, batch_size=20, tol=0.001,
                          patience=20),
    "moons-sklearn": Fitted(d.moons, steps=(d.classes,),
                            options={"hidden_layer_sizes": (24,), "learning_rate_init": 0.03, "max_iter": 500,
                                     "n_iter_no_change": 20}),
    "sine-ours": Fitted(d.sine, library="ours", kind="MLPRegressor",
                        options={"hidden_layer_sizes": (20,), "activation": "tanh", "learning_rate_init": 0.02,
                                 "max_iter": 600, "n_iter_no_change": 40, "tol": 1e-5}),
    "iris-sklearn-lbfgs": Fitted(d.iris, options={"hidden_layer_sizes": (8,), "solver": "lbfgs", "max_iter": 300}),
}  # fmt: skip
UNSEEN = {
    "circles-adam": Net(d.circles, hidden=(20,), lr=0.02, epochs=80, batch_size=30),
    "circles-rmsprop": Net(d.circles, steps=(d.zero_one,), hidden=(16,), activation="elu", loss="bce_with_logits",
                           optimizer="RMSprop", lr=0.01, epochs=80, batch_size=30),
    "circles-noisy": Net(d.circles, given={"noise": 0.12, "samples": 200}, steps=ALL, hidden=(16,), loss="hinge",
                         lr=0.02, epochs=80, batch_size=20),
    "circles-deep": Net(d.circles, steps=ALL, hidden=(12,) * 4, activation="leaky_relu", init="he_normal",
                        optimizer="SGD", lr=0.03, options={"momentum": 0.9, "nesterov": True}, epochs=80,
                        batch_size=15),
    "blobs-sgd": Net(d.blobs, given={"centers": 5, "features": 8}, steps=ALL, hidden=(12,), loss="cross_entropy",
                     optimizer="SGD", lr=0.2, epochs=40, batch_size=15),
    "blobs-adagrad": Net(d.blobs, given={"centers": 3, "features": 10, "spread": 2.0}, steps=ALL, hidden=(10,),
                         activation="relu", init="he_uniform", loss="cross_entropy", optimizer="Adagrad", lr=0.05,
                         epochs=60, batch_size=15),
    "blobs-one-hot": Net(d.blobs, given={"centers": 4}, steps=(d.one_hot, d.standard), hidden=(16,),
                         activation="softplus", optimizer="AdamW", lr=0.02, epochs=80, batch_size=25),
    "digits": Net(d.glyphs, given={"characters": "0123456789", "samples": 240}, hidden=(32,), activation="relu",
                  init="he_normal", loss="cross_entropy", lr=0.01, epochs=25, batch_size=16),
    "letters": Net(d.glyphs, given={"characters": "AEKX", "size": 14, "samples": 160}, hidden=(12,),
                   loss="cross_entropy", optimizer="SGD", lr=0.1, epochs=30, batch_size=16),
    "letters-stratified": Net(d.glyphs, given={"characters": "BDOQ", "samples": 200}, hidden=(24, 12),
                              activation="relu", init="he_normal", loss="cross_entropy", lr=0.005, epochs=30,
                              batch_size=20, shuffle="stratified"),
    "cubic-adam": Net(d.cubic, given={"noise": 0.01}, steps=ALL, hidden=(24,), activation="silu", lr=0.02, epochs=200,
                      batch_size=25),
    "cubic-momentum": Net(d.cubic, given={"noise": 0.02}, steps=ALL, hidden=(24, 24), activation="relu",
                          init="he_normal", optimizer="SGD", lr=0.03, options={"momentum": 0.9}, epochs=200,
                          batch_size=25),
    "product-huber": Net(d.product, given={"noise": 0.03}, hidden=(24, 12), activation="tanh", loss="huber", lr=0.02,
                         epochs=150, batch_size=25),
    "line-sgd": Net(d.line, hidden=(6,), optimizer="SGD", lr=0.05, epochs=60, batch_size=16),
    "line-linear": Net(d.line, given={"features": 5, "samples": 120}, hidden=(), optimizer="SGD", lr=0.05, epochs=40,
                       batch_size=12),
    "line-shifted": Net(d.line, given={"shift": 2.0, "noise": 0.05}, hidden=(12,), activation="elu", lr=0.02,
                        epochs=150, batch_size=16),
    "line-decayed": Net(d.line, given={"features": 4}, hidden=(16,), init=init.orthogonal(), optimizer="AdamW",
                        lr=0.02, options={"weight_decay": 0.02}, epochs=80, batch_size=16),
    "line-clipped": Net(d.line, hidden=(10,), activation="softsign", optimizer="SGD", lr=0.1, clip_norm=5.0,
                        epochs=80, batch_size=16),
    "line-inverse-time": Net(d.line, hidden=(8,), optimizer="SGD", lr=schedules.inverse_time(0.2, 0.01), epochs=60,
                             batch_size=16),
    "lynx-small": Net(d.lynx, hidden=(16, 16), lr=0.01, epochs=400),
    "circles-ours": Fitted(d.circles, library="ours", steps=(d.classes,),
                           options={"hidden_layer_sizes": (24,), "learning_rate_init": 0.01, "max_iter": 400}),
    "cubic-sklearn": Fitted(d.cubic, given={"noise": 0.02}, kind="MLPRegressor",
                            options={"hidden_layer_sizes": (30, 30), "learning_rate_init": 0.01, "max_iter": 500}),
    "digits-sklearn": Fitted(d.glyphs, given={"characters": "0123456", "samples": 210}, scaled=None,
                             options={"hidden_layer_sizes": (24,), "learning_rate_init": 0.01, "max_iter": 200}),
    "blobs-ours-sgd": Fitted(d.blobs, library="ours", given={"centers": 4},
                             options={"hidden_layer_sizes": (12,), "solver": "sgd", "learning_rate_init": 0.05,
                                      "max_iter": 300}),
}  # fmt: skip
# Goals that noise or a very small network leave within reach; all other problems have 0.95.
GOALS = {"moons-noisy": 0.9, "sine-noisy": 0.9, "iris-sgd": 0.92, "iris-raw": 0.92, "iris-linear": 0.92,
         "iris-one-hot": 0.92, "iris-sklearn-lbfgs": 0.92, "circles-noisy": 0.9, "lynx-small": 0.8}  # fmt: skip


def healthy(half: str, table: dict[str, Any]) -> tuple[Problem, ...]:
    return tuple(
        Problem(name=f"healthy/{name}", code="healthy", half=half, recipe=recipe, goal=GOALS.get(name, 0.95))
        for name, recipe in table.items()
    )


PROBLEMS = (*healthy("tuning", TUNING), *healthy("unseen", UNSEEN))

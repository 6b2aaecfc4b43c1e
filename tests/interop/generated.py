"""Recipes drawn at random for the programs that leave: model, data, loss, optimizer, schedule, dtype, batches, rule.

`python -m tests.interop.generated FIRST COUNT` trains each in C, in JavaScript and by `fit`, runs it as ONNX, and
prints the largest differences and every seed that differs.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

import tinygrad_edu as tg
from tests.interop.compilers import Library
from tests.interop.node import literal, numbers, run
from tinygrad_edu import nn, optim
from tinygrad_edu.interop.c99_training import CTrainingFile
from tinygrad_edu.interop.javascript import training_program
from tinygrad_edu.interop.programs import network_program
from tinygrad_edu.optim import schedules

STEPS = {"float64": 1000, "float32": 100}  # in float32, a sign or a kink soon turns a rounding error into a whole step
LIMITS = {"float64": 1e-10, "float32": 1e-4}
ACTIVATIONS = ("Tanh", "ReLU", "Sigmoid", "GELU", "SiLU", "ELU", "LeakyReLU", "Softplus")
CLASS_LOSSES = ("cross_entropy", "bce_with_logits", "hinge")
NUMBER_LOSSES = ("mse", "mae", "huber")


class Recipe:
    """Everything that `fit` is told, by a seed; `model()` makes the network anew."""

    def __init__(self, seed, dtype="float64"):
        self.seed, self.dtype = seed, dtype
        rng = self.rng = np.random.default_rng(seed)
        n, inputs = int(rng.integers(5, 40)), int(rng.integers(1, 5))
        self.loss = str(rng.choice([*CLASS_LOSSES, *NUMBER_LOSSES]))
        outputs = int(rng.integers(2, 5)) if self.loss == "cross_entropy" else int(rng.integers(1, 3))
        self.X = rng.normal(size=(n, inputs))
        self.y = self.targets(n, outputs)
        self.widths = [inputs, *rng.integers(2, 8, size=rng.integers(0, 4)).tolist(), outputs]
        self.kinds = [str(rng.choice(ACTIVATIONS)) for _ in self.widths[2:]]
        self.norms = [str(rng.choice(["", "", "LayerNorm", "BatchNorm"])) for _ in self.kinds]
        self.dropout = [float(rng.choice([0.0, 0.0, 0.25])) for _ in self.kinds]
        self.bias = bool(rng.integers(4))
        self.batch = int(rng.integers(3, n + 1))
        while n % self.batch == 1:
            self.batch += 1  # BatchNorm has no variance for a last batch of one sample
        self.epochs = -(-STEPS[dtype] // -(-n // self.batch))
        self.settings = {"batch_size": self.batch}
        if rng.random() < 0.3:
            self.settings |= {"clip_norm": 1.0} if rng.random() < 0.5 else {"clip_value": 0.1}
        if rng.random() < 0.4:
            self.settings |= {"tol": float(rng.choice([0.0, 1e-3])), "patience": int(rng.integers(3, 30))}
        self.optimizer = self.drawn_optimizer()

    def targets(self, n, outputs):
        if self.loss == "cross_entropy":
            return self.rng.integers(0, outputs, n)
        if self.loss == "bce_with_logits":
            return self.rng.integers(0, 2, (n, outputs)).astype(float)
        if self.loss == "hinge":
            return self.rng.choice([-1.0, 1.0], size=(n, outputs))
        return self.rng.normal(size=(n, outputs))

    def drawn_optimizer(self):
        """SGD in its forms, Adam, AdamW, RMSprop, Adagrad, under a schedule or not."""
        rate = float(10.0 ** self.rng.uniform(-3, -1.3))
        schedule = [
            rate,
            schedules.exponential(rate, factor=0.999),
            schedules.step(rate, every=300, factor=0.5),
            schedules.cosine(rate, steps=1200),
        ][int(self.rng.integers(4))]
        forms = [
            lambda p: optim.SGD(p, schedule),
            lambda p: optim.SGD(p, schedule, momentum=0.9, nesterov=True),
            lambda p: optim.SGD(p, schedule, momentum=0.5, weight_decay=1e-3),
            lambda p: optim.Adam(p, schedule),
            lambda p: optim.AdamW(p, schedule, weight_decay=0.02),
            lambda p: optim.RMSprop(p, schedule),
            lambda p: optim.Adagrad(p, schedule),
        ]
        return forms[int(self.rng.integers(len(forms)))]

    def model(self):
        layers = []
        for place, (a, b) in enumerate(zip(self.widths, self.widths[1:], strict=False)):
            layers.append(nn.Linear(a, b, self.bias, rng=1000 * self.seed + place))
            if place < len(self.kinds):
                layers += [getattr(nn, self.norms[place])(b)] if self.norms[place] else []
                layers.append(getattr(nn, self.kinds[place])())
                share = self.dropout[place]
                layers += [nn.Dropout(share, rng=np.random.default_rng(place))] if share else []
        return nn.Sequential(*layers).astype(self.dtype)

    @property
    def data(self):
        return self.X.astype(self.dtype), self.y.astype(self.dtype) if self.y.dtype.kind == "f" else self.y

    def fit(self, compiled=False):
        """By `fit`, samples in the order that its seed gives."""
        model, (X, y) = self.model(), self.data
        done = tg.fit(
            model, X, y, loss=self.loss, optimizer=self.optimizer, epochs=self.epochs, seed=self.seed,
            compiled=compiled, **self.settings,
        )  # fmt: skip
        return model, done

    def in_c(self, folder, *flags):
        """(losses of the epochs that were done, predictions, the library)."""
        X, y = self.data
        program = network_program(
            self.model(), X, y, loss=self.loss, optimizer=self.optimizer, hidden=False, **self.settings
        )
        net = Library(program, CTrainingFile(program, "net", None).text(), folder)
        shuffled = self.batch < len(X)
        order = net.shuffle(self.seed, len(X), self.epochs) if shuffled else None
        losses, error = net.train(X, y, self.batch, self.epochs, order)
        assert error in (None, "the loss is NaN or infinite"), error
        return losses[np.isfinite(losses)], net.predict(X, (len(X), self.widths[-1])), net

    def in_node(self, folder):
        """(losses, predictions, why it ended)."""
        X, y = self.data
        text = training_program(self.model(), X, y, loss=self.loss, optimizer=self.optimizer, **self.settings)
        order = f"network.Generator.of_seed({self.seed}n).orders({len(X)}, {self.epochs})"
        script = f"""{text} const net = network.create(), X = {literal(X)}, y = {literal(y)};
        found.push(Array.from(net.train(X, y, {self.epochs}, {order if self.batch < len(X) else "null"})));
        found.push(Array.from(net.predict(X)), net.stopped);"""
        losses, outputs, why = run(script, folder)
        losses = numbers(losses)
        return losses[np.isfinite(losses)], numbers(outputs), why

    def __repr__(self):
        form = self.optimizer([tg.Tensor([0.0], requires_grad=True)])
        return (
            f"Recipe({self.seed}, {self.dtype!r}): {self.widths} {self.kinds} {self.norms} {self.dropout} "
            f"bias={self.bias} {self.loss} {form!r} n={len(self.X)} {self.settings} {self.epochs} epochs"
        )


def difference(a, b):
    """The largest, relative to the size of the second where that is above 1; infinite where the lengths differ."""
    if len(a) != len(b):
        return np.inf
    return float(np.max(np.abs(a - b) / np.maximum(1.0, np.abs(b)), initial=0.0))


def shadow(recipe):
    """How far `fit` is from itself, eager and compiled: rounding alone, which a few recipes magnify.

    A sign of the gradient (mae), a kink (ReLU) or an adaptive rate on a gradient that is 0 but for rounding (a bias
    before BatchNorm) turns the last bit into a step.
    """
    with np.errstate(all="ignore"):
        (a, first), (b, second) = recipe.fit(), recipe.fit(compiled=True)
    X = recipe.data[0]
    outputs = difference(a.eval()(X).data.ravel(), b.eval()(X).data.ravel())
    return max(difference(first.loss_curve, second.loss_curve), outputs)


def last_bit(recipe):
    """How far `fit` is from itself if every weight begins one float up or down: a kink may turn on it."""
    (model, first), (X, y), found = recipe.fit(), recipe.data, 0.0
    expected = model.eval()(X).data.ravel()
    for end in (-np.inf, np.inf):
        moved = recipe.model()
        for p in moved.parameters():
            p.data = np.nextafter(p.data, p.data.dtype.type(end))
        second = tg.fit(
            moved, X, y, loss=recipe.loss, optimizer=recipe.optimizer, epochs=recipe.epochs, seed=recipe.seed,
            compiled=False, **recipe.settings,
        )  # fmt: skip
        outputs = difference(moved.eval()(X).data.ravel(), expected)
        found = max(found, difference(second.loss_curve, first.loss_curve), outputs)
    return found


def agrees(recipe, differences):
    """Are they within the limit, or within some thirty times of what rounding does to this recipe in `fit`?

    Or within three times of what the last bit of the weights does: 5e-4 for seed 7100 in float32, a norm of two units.
    """
    found = max(differences)
    return found <= LIMITS[recipe.dtype] or found <= 30.0 * shadow(recipe) or found <= 3.0 * last_bit(recipe)


def compare(seed, dtype="float64"):
    """(recipe, differences of the losses in C and JavaScript, of the outputs) from `fit`."""
    recipe = Recipe(seed, dtype)
    with np.errstate(all="ignore"):
        model, done = recipe.fit()
    expected = model.eval()(recipe.data[0]).data.ravel()
    with tempfile.TemporaryDirectory() as folder:
        c_losses, c_outputs, net = recipe.in_c(Path(folder))
        js_losses, js_outputs, why = recipe.in_node(Path(folder))
    ended = done.stop_reason.startswith(("stopped after", "converged"))
    assert bool(net.lib.net_stopped()) == ended == (why == "rule"), (recipe, done.stop_reason, why)
    curve = done.loss_curve[np.isfinite(done.loss_curve)]
    return (
        recipe,
        difference(c_losses, curve),
        difference(js_losses, curve),
        max(difference(c_outputs.ravel(), expected), difference(js_outputs, expected)),
    )


def main(first, count):
    for dtype, limit in LIMITS.items():
        worst, sensitive = [0.0, 0.0, 0.0], 0
        for seed in range(first, first + count):
            recipe, *found = compare(seed, dtype)
            if not agrees(recipe, found):
                print(f"DIFFERS {found} {recipe}", flush=True)
            elif max(found) > limit:
                sensitive += 1
            else:
                worst = [max(a, b) for a, b in zip(worst, found, strict=True)]
        told = ", ".join(f"{name} {x:.2g}" for name, x in zip(("C", "JavaScript", "outputs"), worst, strict=True))
        print(f"{dtype}: seeds {first} to {first + count - 1}: {told}; {sensitive} magnify rounding in fit itself")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))

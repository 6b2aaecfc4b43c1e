"""Model, optimizer and record as they were at a moment, to go back to."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from tinygrad_edu.errors import SettingError
from tinygrad_edu.nn.kept import kept_in
from tinygrad_edu.nn.module import Module, all_numbers, arrays_to_keep, with_weights
from tinygrad_edu.nn.parameters import copy_numbers_of, fill, parameters_in
from tinygrad_edu.optim import Optimizer
from tinygrad_edu.train.other_parameters import copy_of, put_numbers

Result = TypeVar("Result")
NUMBERS = (bool, int, float, str)


def generators(model: Module) -> list[np.random.Generator]:
    """The random generators of its layers."""
    return generators_in([vars(module) for module in model.modules()])


def generators_in(attributes: list[dict[str, Any]]) -> list[np.random.Generator]:
    """The random generators among the attributes of modules."""
    return [x for kept in attributes for x in kept.values() if isinstance(x, np.random.Generator)]


def for_certain(work: Callable[[], Result]) -> Result:
    """work(), and once more where Ctrl-C comes in between: it has to do the same twice."""
    while True:
        try:
            return work()
        except KeyboardInterrupt:
            continue


class Snapshot:
    """Everything that training changes: weights, statistics, the optimizer's memory, generators, numbers in layers."""

    def __init__(self, model: Module, optimizer: Optimizer) -> None:
        self.model, self.optimizer = model, optimizer
        self.parts = [(own, own.schedule, own.settings, dict(own.settings)) for own in (optimizer, *optimizer.groups)]
        inside, leaves = with_weights(model)  # a fit of a small model takes as long as a few of these walks
        self.weights = {name: copy_numbers_of(array) for name, array in kept_in(inside, leaves).items()}
        self.memory, own = optimizer.state(), {id(p) for _, p in parameters_in(leaves)}
        self.others = [(p, copy_of(p)) for p in optimizer.params if id(p) not in own]
        self.trained = [getattr(p, "requires_grad", True) for p in optimizer.params]
        modules = [vars(module) for _, module in inside]
        self.generators = [(rng, rng.bit_generator.state) for rng in generators_in(modules)]
        self.plain = [(kept, {k: x for k, x in kept.items() if type(x) in NUMBERS}) for kept in modules]

    def restore(self) -> None:
        """Put everything back; to do it twice is the same as once."""
        for name, array in arrays_to_keep(self.model).items():
            before = self.weights.get(name)
            if before is not None and before.shape == array.shape:  # else a result that a forward pass has kept
                fill(array, before)
        for own, schedule, settings, values in self.parts:
            own.schedule, own.settings = schedule, settings
            settings.update(values)
        self.optimizer.load_state(self.memory)
        for p, numbers in self.others:
            put_numbers(p, numbers)
        for p, trained in zip(self.optimizer.params, self.trained, strict=True):
            if getattr(p, "requires_grad", trained) != trained:
                p.requires_grad = trained
        for rng, state in self.generators:
            rng.bit_generator.state = state
        for kept, plain in self.plain:
            for name in [name for name, x in kept.items() if type(x) in NUMBERS and name not in plain]:
                del kept[
                    name
                ]  # a counter that begins in its class, as n = 0, and is the object's from the first n += 1
            kept.update(plain)

    def is_now(self) -> bool:
        """Is everything still so?"""
        now = all_numbers(self.model)
        states = [rng.bit_generator.state for rng, _ in self.generators]
        return (
            now.keys() == self.weights.keys()
            and all(now[name].tobytes() == x.tobytes() for name, x in self.weights.items())
            and repr(states) == repr([state for _, state in self.generators])
            and all(own.schedule is x and own.settings == values for own, x, _, values in self.parts)
            and self.trained == [getattr(p, "requires_grad", True) for p in self.optimizer.params]
            and self.optimizer.t == self.memory[0]
            and all(a is b for a, b in zip(self.optimizer.memory, self.memory[1], strict=True))
            and all(kept.get(name) == x for kept, plain in self.plain for name, x in plain.items())
        )

    def distance(self) -> float:
        """How far the weights have come since then; a weight that stays infinite, such as a mask, has not moved.

        A weight that the model has in two places counts once; what the optimizer holds besides, such as a parameter of
        the loss, counts too. Errors: SettingError for a weight that the model did not have then.
        """
        now, names = all_numbers(self.model), {id(x): name for name, x in self.model.named_arrays()}
        new = sorted(set(names.values()) - self.weights.keys())
        if new:
            raise SettingError(
                f"the model has got {new[0]} while it trained, which the optimizer does not hold, so it never learns: "
                "make this layer in __init__, or call the model once before the optimizer is made"
            )
        pairs = [(now[name], self.weights[name]) for name in names.values()]
        pairs += [(copy_of(p), numbers) for p, numbers in self.others]
        with np.errstate(invalid="ignore"):
            return math.sqrt(sum(float(np.sum(np.where(a == b, 0.0, a - b) ** 2)) for a, b in pairs))


class Point:
    """A whole epoch: the record so far, and the snapshot that belongs to it.

    python: puts back what the user's own code keeps in Python.
    """

    def __init__(self, job: Any, python: Callable[[], None] = lambda: None) -> None:
        self.job, self.snapshot, self.record = job, Snapshot(job.model, job.optimizer), job.progress.mark()
        self.python = python

    def restore(self) -> None:
        self.python()  # first, because it may put back a layer that a callback has replaced
        self.snapshot.restore()
        self.job.progress.back_to(self.record)

    def is_now(self) -> bool:
        return self.snapshot.is_now()

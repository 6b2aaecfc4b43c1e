"""Parameters of a run's optimizer that are not the model's, such as those of a loss: its file holds them, too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.core.value import Value
from tinygrad_edu.errors import SettingError
from tinygrad_edu.nn.module import Module
from tinygrad_edu.nn.parameters import fill, fitting
from tinygrad_edu.optim import Optimizer

Array = np.ndarray[Any, Any]


def others_of(model: Module, optimizer: Optimizer) -> Iterator[tuple[str, Any]]:
    """(name in the file, parameter)."""
    own = {id(p) for p in model.parameters()}
    yield from ((f"other.{i}", p) for i, p in enumerate(optimizer.params) if id(p) not in own)


def names_apart(model: Module, optimizer: Optimizer) -> list[str]:
    """The names of the model's parameters that the optimizer does not hold."""
    held = {id(p) for p in optimizer.params}
    return [name for name, p in model.named_parameters() if id(p) not in held]


def refuse_other_apart(model: Module, optimizer: Optimizer, theirs: Sequence[str]) -> None:
    """Errors: SettingError where the optimizer holds other parameters of the model than when the run was saved."""
    if other := sorted({*theirs} ^ {*names_apart(model, optimizer)}):
        was, now = ("not ", "") if other[0] in theirs else ("", "not ")
        raise SettingError(
            f"the optimizer did {was}hold {other[0]} when the run was saved, and does {now}hold it now: where a "
            "callback puts another layer in place of one, continue in this process with run.resume(epochs)"
        )


def arrays_of_others(model: Module, optimizer: Optimizer) -> dict[str, Array]:
    """Their numbers; those of a Value are one."""
    return {name: copy_of(p) for name, p in others_of(model, optimizer)}


def copy_of(p: Tensor | Value) -> Array:
    """A copy of its numbers."""
    return np.array(p.array if isinstance(p, Tensor) else p.data)


def others_that_fit(model: Module, optimizer: Optimizer, arrays: Mapping[str, Array]) -> list[tuple[Any, Array]]:
    """(parameter, its numbers in the file). Errors: KeyError, ShapeError."""
    return [(p, fitting(name, copy_of(p), arrays[name])) for name, p in others_of(model, optimizer)]


def put_numbers(p: Tensor | Value, numbers: Array) -> None:
    if isinstance(p, Tensor):
        fill(p, numbers)
    else:
        p.data = float(numbers)

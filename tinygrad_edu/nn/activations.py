"""Activations by name, and one layer for each: nn.ReLU, nn.Tanh, ... are made from the rows of THE table."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_edu import ops
from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.core.formulas.limits import lowest_and_highest
from tinygrad_edu.core.one_name import rename
from tinygrad_edu.core.operation import TABLE, Operation
from tinygrad_edu.errors import SettingError, unknown_name
from tinygrad_edu.nn.inputs import as_array
from tinygrad_edu.nn.module import Module

Function = Callable[[Any], Any]


def identity(x: ArrayLike) -> Any:
    """x itself."""
    return x


FUNCTIONS: dict[str, Function] = {"identity": identity, "softmax": ops.softmax}
OTHER_NAMES = {  # names that PyTorch or scikit-learn use
    "logistic": "sigmoid", "swish": "silu", "logsigmoid": "log_sigmoid", "hardtanh": "hard_tanh",
    "hardsigmoid": "hard_sigmoid", "hardswish": "hard_swish",
}  # fmt: skip


def find_activation(name: Any) -> Function:
    """The operation of an activation, found by its name in upper or lower case, or from a layer such as nn.Tanh()."""
    kind = name if isinstance(name, type) else type(name)
    if issubclass(kind, Activation) and getattr(name, "settings", {}) in ({}, dict(kind.options)):
        return name.operation  # type: ignore[no-any-return]
    if name is ops.softmax or (isinstance(name, Operation) and TABLE.get(name.name) is name and is_activation(name)):
        return name
    if isinstance(name, str):
        found = OTHER_NAMES.get(name.lower(), name.lower())
        if found in FUNCTIONS:
            return FUNCTIONS[found]
        if found in TABLE and is_activation(TABLE[found]):
            return TABLE[found]
    known = [*(key for key, operation in TABLE.items() if is_activation(operation)), *FUNCTIONS, *OTHER_NAMES]
    if callable(name):
        raise named_wrongly(name, getattr(name, "__name__", ""), known)
    raise unknown_name("activation", name, known)


def named_wrongly(function: Function, name: str, known: Sequence[str]) -> SettingError:
    """The error for a function in the place of a name, such as np.tanh."""
    if name in known:
        return SettingError(f"activation={function!r:.60}: an activation is given by its name: activation={name!r}")
    return SettingError(
        f"activation={function!r:.60}: an activation is given by its name, such as 'relu'. Call a function of your own "
        "in the forward of a Module of your own"
    )


def range_of(activation: Function) -> tuple[float, float]:
    """The lowest and the highest output of an activation, ±inf if it is unbounded.

    >>> range_of(ops.tanh), range_of(identity), range_of(ops.softmax)
    ((-1.0, 1.0), (-inf, inf), (0.0, 1.0))
    """
    if isinstance(activation, Operation):
        return activation.range
    return lowest_and_highest(lambda x: activation(np.stack([x, -x], axis=1)))


def is_activation(operation: Operation) -> bool:
    """Does the operation take one argument, and defaults for all others?"""
    unary = operation.partials is not None and len(operation.parameters) - len(operation.defaults) == 1
    return operation.activation and unary


ALIASES = {"negative_slope": "slope", "min_val": "low", "max_val": "high", "dim": "axis"}  # PyTorch's name -> ours


class Activation(Module):
    """An activation as a layer: y = operation(x, settings...), element by element.

    >>> from tinygrad_edu import nn
    >>> nn.LeakyReLU(0.1)([-2.0, 3.0]).tolist(), nn.LeakyReLU(0.1)
    ([-0.2, 3.0], LeakyReLU(slope=0.1))
    """

    operation: Any = identity
    options: tuple[tuple[str, Any], ...] = ()  # its settings and their defaults

    def __init__(self, *settings: Any, **named: Any) -> None:
        defaults, name = dict(self.options), type(self).__name__
        named.pop("inplace", None)  # PyTorch's last option; nothing is overwritten here
        if len(settings) == len(defaults) + 1 and isinstance(settings[-1], bool):
            settings = settings[:-1]
        if (row := VARIANTS.get((name, named.get("approximate", "")))) is not None:
            self.operation = TABLE[row]
            del named["approximate"]
        placed = dict(zip(defaults, settings, strict=False))
        given = placed | rename(name, list(placed), named, ALIASES)
        unknown = sorted(given.keys() - defaults.keys())
        if unknown or len(settings) > len(defaults):
            raise SettingError(
                f"{name} takes {', '.join(defaults) or 'no settings'}; given: {settings}, {sorted(named)}"
            )
        self.settings = {**defaults, **given}

    def forward(self, x: ArrayLike) -> Any:
        """x of any shape → the same shape."""
        return self.operation(as_array(x), *self.settings.values())

    def __repr__(self) -> str:
        name, row = type(self).__name__, getattr(self.operation, "name", "")
        kinds = [kind for (owner, kind), other in VARIANTS.items() if (owner, other) == (name, row)]
        settings = self.settings if kinds in ([], ["none"]) else {**self.settings, "approximate": kinds[0]}
        return f"{name}({', '.join(f'{k}={x!r}' for k, x in settings.items())})"


VARIANTS = {("GELU", "none"): "gelu", ("GELU", "tanh"): "gelu_tanh"}  # (class, PyTorch's `approximate`) → the table row
SPELLED = {  # PyTorch's class names that do not follow from the row's name
    "relu": "ReLU", "leaky_relu": "LeakyReLU", "relu6": "ReLU6", "elu": "ELU", "gelu": "GELU", "silu": "SiLU",
    "selu": "SELU", "celu": "CELU", "hard_tanh": "Hardtanh", "hard_sigmoid": "Hardsigmoid", "hard_swish": "Hardswish",
}  # fmt: skip


def class_name(row: str) -> str:
    """The name of a row's layer.

    >>> class_name("log_sigmoid"), class_name("gelu")
    ('LogSigmoid', 'GELU')
    """
    return SPELLED.get(row, "".join(part.capitalize() for part in row.split("_")))


def layer_of(name: str, operation: Any, options: tuple[tuple[str, Any], ...]) -> type[Activation]:
    """The class of one activation."""
    text = f"""{inspect.getdoc(operation)}

    This is the layer of that operation: see Activation.

    >>> from tinygrad_edu import nn
    >>> nn.{name}()(np.full((2, 3), 0.5)).shape
    (2, 3)
    """
    text = inspect.cleandoc(text)
    body = {"operation": staticmethod(operation), "options": options, "__doc__": text, "__module__": __name__}
    return type(name, (Activation,), body)


def layers() -> dict[str, type[Activation]]:
    """name → class, for every activation row, and for softmax, log_softmax and the identity."""
    found = {}
    for row in filter(is_activation, TABLE.values()):
        options = tuple(zip(row.parameters[1:], row.defaults, strict=True))
        found[class_name(row.name)] = layer_of(class_name(row.name), row, options)
    for name, function in (("Softmax", ops.softmax), ("LogSoftmax", ops.log_softmax)):
        found[name] = layer_of(name, function, (("axis", -1),))
    return {**found, "Identity": layer_of("Identity", identity, ())}


LAYERS = layers()
globals().update(LAYERS)  # pickle looks up a class in the module named in the class

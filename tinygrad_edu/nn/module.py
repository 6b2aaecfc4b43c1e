"""A module is its attributes: parameters, other modules, and lists of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tinygrad_edu.core.conversion import float_array
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.core.value import Value
from tinygrad_edu.errors import SettingError, ShapeError

Parameter = Value | Tensor
BACK_ENDS = ("tensor", "scalar")


class Module:
    """The base of layers and models: finds the parameters among its attributes, in the order they were set.

    >>> from tinygrad_edu import nn
    >>> [name for name, _ in nn.Linear(2, 1).named_parameters()]
    ['weight', 'bias']
    """

    def __call__(self, x: Any) -> Any:
        return self.forward(x)

    def forward(self, x: Any) -> Any:
        """The output for an input; each module says how."""
        raise NotImplementedError(f"{type(self).__name__} has no forward(x)")

    def named_arrays(self, prefix: str = "") -> Iterator[tuple[str, Any]]:
        """(name, parameter array): a Tensor, or on the scalar back end a NumPy array of Values."""
        for name, attribute in vars(self).items():
            yield from named_arrays_in(attribute, f"{prefix}{name}")

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """(name, parameter): `layers.0.weight`, and on the scalar back end `layers.0.weight[1,2]`."""
        for name, array in self.named_arrays():
            if isinstance(array, np.ndarray):
                for index in np.ndindex(array.shape):
                    yield index_name(name, index), array.item(index)
            else:
                yield name, array

    def parameters(self) -> list[Parameter]:
        """Every Tensor or Value that training changes, once even where two layers share it."""
        return list(dict.fromkeys(parameter for _, parameter in self.named_parameters()))

    def label_parameters(self) -> None:
        """Name every parameter after its place, for pictures and errors."""
        for name, parameter in self.named_parameters():
            parameter.label = name

    def zero_grad(self) -> None:
        """Forget the gradients, before the next backward pass."""
        for parameter in self.parameters():
            clear(parameter)

    def state_dict(self) -> dict[str, np.ndarray[Any, Any]]:
        """Copies of the numbers by name, equal on both back ends."""
        return {name: numbers(array) for name, array in self.named_arrays()}

    def gradients(self) -> dict[str, np.ndarray[Any, Any]]:
        """Copies of the gradients by name, equal on both back ends; zeros before the first backward pass."""
        return {name: gradient(array) for name, array in self.named_arrays()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take the numbers of `state`; names and shapes must be this module's, or nothing is changed.

        Errors: SettingError for names, ShapeError for shapes, DtypeError for what is not a real number.
        """
        arrays = dict(self.named_arrays())
        if arrays.keys() != state.keys():
            raise SettingError(f"load_state_dict: names differ: {sorted(arrays.keys() ^ state.keys())}")
        new = {name: float_array(state[name], dtype=float) for name in arrays}
        for name, array in arrays.items():
            if new[name].shape != array.shape:
                raise ShapeError(f"load_state_dict: {name} has shape {array.shape}, not {new[name].shape}")
        for name, array in arrays.items():
            fill(array, new[name])

    def __repr__(self) -> str:
        lines = [f"  {name}: {array.shape}" for name, array in self.named_arrays()]
        total = sum(array.size for _, array in self.named_arrays())
        return "\n".join([f"{type(self).__name__}: {total:,} parameters", *lines])


def named_arrays_in(attribute: Any, name: str) -> Iterator[tuple[str, Any]]:
    """The parameter arrays in one attribute."""
    if isinstance(attribute, Module):
        yield from attribute.named_arrays(f"{name}.")
    elif isinstance(attribute, (list, tuple)):
        for i, each in enumerate(attribute):
            yield from named_arrays_in(each, f"{name}.{i}")
    elif is_parameter(attribute):
        yield name, attribute


def is_parameter(attribute: Any) -> bool:
    of_values = isinstance(attribute, np.ndarray) and attribute.dtype.kind == "O"
    return of_values or (isinstance(attribute, Tensor) and attribute.requires_grad)


def parameter(array: np.ndarray[Any, Any], backend: str, label: str) -> Any:
    """Numbers as a parameter of that back end: a Tensor, or a NumPy array of labelled Values."""
    if backend not in BACK_ENDS:
        raise SettingError(f"backend={backend!r}: there are {' and '.join(map(repr, BACK_ENDS))}")
    if backend == "tensor":
        return Tensor(array, requires_grad=True, label=label)
    values = np.empty(array.shape, dtype=object)
    for index in np.ndindex(array.shape):
        values[index] = Value(float(array[index]), label=index_name(label, index))
    return values


def index_name(name: str, index: tuple[int, ...]) -> str:
    return f"{name}[{','.join(map(str, index))}]"


def clear(x: Parameter) -> None:
    """No gradient: 0 for a Value, None for a Tensor."""
    if isinstance(x, Tensor):
        x.grad = None
    else:
        x.grad, x.spent = 0.0, False


def numbers(array: Any) -> np.ndarray[Any, Any]:
    return array.array.copy() if isinstance(array, Tensor) else each(array, "data")


def gradient(array: Any) -> np.ndarray[Any, Any]:
    if not isinstance(array, Tensor):
        return each(array, "grad")
    return np.zeros_like(array.array) if array.grad is None else array.grad.copy()


def each(values: np.ndarray[Any, Any], attribute: str) -> np.ndarray[Any, Any]:
    flat = [getattr(value, attribute) for value in values.flat]
    return np.array(flat, dtype=float).reshape(values.shape)


def fill(array: Any, new: np.ndarray[Any, Any]) -> None:
    if isinstance(array, Tensor):
        array.data = new.astype(array.dtype)
    else:
        for index in np.ndindex(array.shape):
            array[index].data = float(new[index])

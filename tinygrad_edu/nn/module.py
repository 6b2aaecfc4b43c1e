"""A module is its attributes: parameters, other modules, and lists of them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any, Self

import numpy as np

from tinygrad_edu.core.conversion import float_array
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.core.value import Value
from tinygrad_edu.errors import DtypeError, SettingError, ShapeError, TinygradError

Parameter = Value | Tensor
BACK_ENDS = ("tensor", "scalar")
PLAIN = frozenset([bool, int, float, str, type(None)])  # attributes that hold no parameter and no module


class Module:
    """The base of layers and models: finds the parameters among its attributes, in the order they were set.

    `training` says which of two ways a layer such as Dropout goes: `train()` and `eval()` set it, here and in every
    module inside. `buffer_names` names attributes that are kept in a checkpoint but not trained.

    >>> from tinygrad_edu import nn
    >>> [name for name, _ in nn.Linear(2, 1).named_parameters()]
    ['weight', 'bias']
    """

    training = True
    buffer_names: tuple[str, ...] = ()

    def __call__(self, x: Any) -> Any:
        return self.forward(x)

    def forward(self, x: Any) -> Any:
        """The output for an input; each module says how."""
        raise NotImplementedError(f"{type(self).__name__} has no forward(x)")

    def named_arrays(self, prefix: str = "") -> Iterator[tuple[str, Any]]:
        """(name, parameter array): a Tensor, or on the scalar back end a NumPy array of Values."""
        for name, attribute in list(vars(self).items()):  # a list: another thread may set an attribute meanwhile
            if type(attribute) not in PLAIN and name not in self.buffer_names:
                yield from named_arrays_in(attribute, f"{prefix}{name}")

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """(name, module): this one under "", then every module inside it."""
        yield prefix, self
        inside = [(name, attribute) for name, attribute in vars(self).items() if type(attribute) not in PLAIN]
        for name, attribute in inside:
            for place, module in modules_in(attribute, f"{prefix}.{name}" if prefix else name):
                yield from module.named_modules(place)

    def named_buffers(self) -> Iterator[tuple[str, Any]]:
        """(name, array) of what is kept but not trained, such as BatchNorm's running mean."""
        for place, module in self.named_modules():
            for name in module.buffer_names:
                yield f"{place}.{name}" if place else name, getattr(module, name)

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

    def train(self, mode: bool = True) -> Self:
        """This module and all inside it learn from now on (or not): Dropout drops, BatchNorm goes by the batch."""
        for _, module in self.named_modules():
            module.training = bool(mode)
        return self

    def eval(self) -> Self:
        """This module and all inside it are used from now on, not trained: one input has one output."""
        return self.train(False)

    def state_dict(self) -> dict[str, np.ndarray[Any, Any]]:
        """Copies of the numbers of parameters and buffers by name, equal on both back ends."""
        return {name: numbers(array) for name, array in kept(self).items()}

    def gradients(self) -> dict[str, np.ndarray[Any, Any]]:
        """Copies of the gradients by name, equal on both back ends; zeros before the first backward pass."""
        return {name: gradient(array) for name, array in self.named_arrays()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take the numbers of `state`; names and shapes must be this module's, or nothing is changed.

        Errors: SettingError for names, ShapeError for shapes, DtypeError for what is not a real number.
        """
        arrays = kept(self)
        refuse_names(arrays, state)
        new = {name: fitting(name, array, state[name]) for name, array in arrays.items()}
        for name, array in arrays.items():
            fill(array, new[name])

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write parameters and buffers to a safetensors file, which other libraries read too.

        An interrupted save leaves the file that stood there before as it was.
        """
        from tinygrad_edu.nn import storage

        storage.write(path, self.state_dict(), {"module": type(self).__name__})

    def load(self, path: str | os.PathLike[str]) -> None:
        """Take parameters and buffers from a file that `save` has written; if it does not fit, nothing is changed.

        Errors: CheckpointError for a file that is cut off or of another format; SettingError for names, ShapeError
        for shapes and DtypeError for a dtype that are not this module's.
        """
        from tinygrad_edu.nn import storage

        found = storage.read(path)
        try:
            refuse_dtypes(kept(self), found)
            self.load_state_dict(found)
        except (SettingError, ShapeError, DtypeError) as error:
            raise type(error)(f"{path}: {error}") from None

    def __repr__(self) -> str:
        parameters, buffers = dict(self.named_arrays()), dict(self.named_buffers())
        lines = [f"  {name}: {array.shape}" for name, array in parameters.items()]
        lines += [f"  {name}: {array.shape}, not trained" for name, array in buffers.items()]
        more = f" and {count(buffers):,} numbers that are not trained" if buffers else ""
        return "\n".join([f"{type(self).__name__}: {count(parameters):,} parameters{more}", *lines])


def kept(module: Module) -> dict[str, Any]:
    """What a checkpoint holds: parameters and buffers by name."""
    return {**dict(module.named_arrays()), **dict(module.named_buffers())}


def named_arrays_in(attribute: Any, name: str) -> Iterator[tuple[str, Any]]:
    """The parameter arrays in one attribute."""
    if isinstance(attribute, Module):
        yield from attribute.named_arrays(f"{name}.")
    elif isinstance(attribute, (list, tuple)):
        for i, each in enumerate(attribute):
            yield from named_arrays_in(each, f"{name}.{i}")
    elif is_parameter(attribute):
        yield name, attribute


def modules_in(attribute: Any, name: str) -> Iterator[tuple[str, Module]]:
    """The modules in one attribute: itself, or those in a list."""
    if isinstance(attribute, Module):
        yield name, attribute
    elif isinstance(attribute, (list, tuple)):
        for i, each in enumerate(attribute):
            yield from modules_in(each, f"{name}.{i}")


def count(arrays: Mapping[str, Any]) -> int:
    """How many numbers they hold, those of a shared array once."""
    return sum(array.size for array in {id(array): array for array in arrays.values()}.values())


def is_parameter(attribute: Any) -> bool:
    of_values = isinstance(attribute, np.ndarray) and attribute.dtype.kind == "O"
    return of_values or (isinstance(attribute, Tensor) and attribute.requires_grad)


def parameter(array: np.ndarray[Any, Any], backend: str, label: str) -> Any:
    """Numbers as a parameter of that back end: a Tensor, or a NumPy array of labelled Values."""
    return made(array, backend, label, requires_grad=True)


def buffer(array: np.ndarray[Any, Any], backend: str, label: str) -> Any:
    """Numbers that are kept but not trained, for an attribute that `buffer_names` names."""
    return made(array, backend, label, requires_grad=False)


def made(array: np.ndarray[Any, Any], backend: str, label: str, requires_grad: bool) -> Any:
    if backend not in BACK_ENDS:
        raise SettingError(f"backend={backend!r}: there are {' and '.join(map(repr, BACK_ENDS))}")
    if backend == "tensor":
        return Tensor(array, requires_grad=requires_grad, label=label)
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
    """A copy of the plain numbers in a Tensor, an array of Values or a plain array."""
    if isinstance(array, Tensor):
        return array.array.copy()
    return each(array, "data") if array.dtype.kind == "O" else array.copy()


def gradient(array: Any) -> np.ndarray[Any, Any]:
    if not isinstance(array, Tensor):
        return each(array, "grad")
    return np.zeros_like(array.array) if array.grad is None else array.grad.copy()


def refuse_names(arrays: Mapping[str, Any], state: Mapping[str, Any]) -> None:
    """The names of a state must be the module's."""
    missing, unknown = sorted(arrays.keys() - state.keys()), sorted(state.keys() - arrays.keys())
    if missing or unknown:
        parts = [f"{word} {names}" for word, names in (("missing", missing), ("unknown", unknown)) if names]
        raise SettingError(f"load_state_dict: names differ: {', '.join(parts)}")


def fitting(name: str, array: Any, given: Any) -> np.ndarray[Any, Any]:
    """The numbers given for one parameter."""
    try:
        new = float_array(given, dtype=float)
    except TinygradError as error:
        raise type(error)(f"load_state_dict: {name}: {error}") from None
    if new.shape != array.shape:
        raise ShapeError(f"load_state_dict: {name} has shape {array.shape}, not {new.shape}")
    return new


def refuse_dtypes(arrays: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """A file holds what the module does: float32 numbers are not silently taken for float64, nor cut down to them."""
    for name in arrays.keys() & found.keys():
        own, given = numbers(arrays[name]).dtype, found[name].dtype
        if own != given:
            raise DtypeError(f"{name} is {own}, and the file holds {given}: load_state_dict converts on purpose")


def each(values: np.ndarray[Any, Any], attribute: str) -> np.ndarray[Any, Any]:
    flat = [getattr(value, attribute) for value in values.flat]
    return np.array(flat, dtype=float).reshape(values.shape)


def fill(array: Any, new: np.ndarray[Any, Any]) -> None:
    if isinstance(array, Tensor):
        array.data = new.astype(array.dtype)
    else:
        for index in np.ndindex(array.shape):
            array[index].data = float(new[index])

"""Module: it finds the parameters among its attributes, in other modules, and in lists and dicts of both."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Self, TypeVar

import numpy as np

from tinygrad_edu.core.aliases import ArrayLike, Dtype
from tinygrad_edu.core.methods.spellings import SLIPS_OF_MODULE, Missing, tell
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.core.value import Value
from tinygrad_edu.elsewhere import instead_of
from tinygrad_edu.errors import DtypeError, SettingError, ShapeError
from tinygrad_edu.nn.hooks import Handle, Hooks, register_hook
from tinygrad_edu.nn.kept import (
    HOLDERS,
    PLAIN,
    buffers_in,
    inside_first,
    kept_in,
    leaves_of,
    results_with,
    untrained,
    watch_containers,
)
from tinygrad_edu.nn.parameters import (
    Parameters,
    clear,
    convert,
    copy_numbers_of,
    count_numbers,
    fill,
    fit_state,
    gradient,
    is_parameter,
    needs_gradient,
    parameters_in,
    refuse_dtypes,
    refuse_no_array,
    without_results,
)
from tinygrad_edu.nn.torch_names import TorchNames

T = TypeVar("T")
Parameter = Value | Tensor
Named = list[tuple[str, T]]
# Every living module by id: drawings look up here which module owns a parameter.
ALIVE: weakref.WeakValueDictionary[int, Module] = weakref.WeakValueDictionary()


class _Forced(threading.local):
    modes: dict[int, bool] = {}  # noqa: RUF012  # by the id of a module, for this thread alone; see layer_modes.py


FORCED = _Forced()


class Module(TorchNames):
    """The base of layers and models: finds the parameters among its attributes, in the order they were set.

    An attribute is a parameter, a module, or a list, tuple or dict of them, nested as deeply as you like. `training`
    selects what a layer such as Dropout does: `train()` and `eval()` set it, here and in every module inside. Saved in
    a checkpoint but not trained are Tensors that need no gradient, and attributes named in `buffer_names`; not those
    that `forward` alone sets, or appends, as in self.h = h.detach().

    >>> from tinygrad_edu import nn
    >>> [name for name, _ in nn.Linear(2, 1).named_parameters()]
    ['weight', 'bias']
    """

    @property
    def training(self) -> bool:
        """Is it in training mode, and not in evaluation mode?"""
        forced = FORCED.modes.get(id(self)) if FORCED.modes else None
        return bool(self.__dict__.get("training", True)) if forced is None else forced

    @training.setter
    def training(self, mode: bool) -> None:
        if id(self) in FORCED.modes:
            FORCED.modes[id(self)] = mode
        else:
            self.__dict__["training"] = mode

    waits = False  # True for a lazy layer before its first input
    keeps_state = True  # traces treat its attributes as known state: compile/python_state.py
    buffer_names: tuple[str, ...] = ()
    unsaved_names: tuple[str, ...] = ()  # those of them that state_dict leaves out
    kept_results: tuple[str, ...] = ()  # attributes that a forward pass has set: see kept.py
    kept_before: tuple[str, ...] = ()  # lists and dicts that it has added to, and what they held before
    hooks: Hooks | None = None

    def __new__(cls, *_: Any, **__: Any) -> Self:
        made = super().__new__(cls)
        ALIVE[id(made)] = made
        return made

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        watch_containers(cls)

    def __setattr__(self, name: str, value: Any) -> None:
        if type(value) in HOLDERS and name != "kept_results":
            results = results_with(self, name, value)
            object.__setattr__(self, name, value)
            if results != self.kept_results:
                object.__setattr__(self, "kept_results", results)
        else:
            object.__setattr__(self, name, value)

    def __call__(self, *inputs: ArrayLike, **options: Any) -> Any:
        if self.hooks is None:
            return self.forward(*inputs, **options)
        return self.hooks.call(self, inputs, options)

    def forward(self, *inputs: ArrayLike, **options: Any) -> Any:
        """The output for the inputs; every subclass defines it."""
        raise NotImplementedError(f"{type(self).__name__} has no forward(x)")

    def describe(self) -> str:
        """A short name for pictures, such as "Linear 4→16"; "" if the module is not a single layer."""
        return ""

    # What a module contains

    def members(self) -> Iterable[tuple[str, Any]]:
        """(name, attribute) of every attribute that may hold parameters or modules."""
        attributes = list(self.__dict__.items())  # a copy: another thread may set an attribute during the loop
        return [item for item in attributes if type(item[1]) not in PLAIN]

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """(name, module): this one under "", then every module inside it."""
        for name, module in modules_inside(self)[0]:
            yield (f"{prefix}.{name}" if prefix and name else prefix or name), module

    def modules(self) -> Iterator[Module]:
        """This module and every module inside it."""
        yield from (module for _, module in self.named_modules())

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """(name, module) of the modules directly inside this one, including those in lists and dicts."""
        for name, attribute in self.members():
            for place, leaf in leaves_of(attribute, name):
                if isinstance(leaf, Module):
                    yield place, leaf

    def children(self) -> Iterator[Module]:
        """The modules directly inside this one."""
        yield from (module for _, module in self.named_children())

    def named_arrays(self, prefix: str = "") -> Iterator[tuple[str, Any]]:
        """(name, parameter array): a Tensor, or on the scalar back end a NumPy array of Values."""
        for name, leaf in with_weights(self)[1]:
            if is_parameter(leaf):
                yield prefix + name, leaf

    def named_buffers(self) -> Iterator[tuple[str, Any]]:
        """(name, array) of what is kept and never trained, such as BatchNorm's running mean; not frozen weights."""
        yield from buffers_in(*with_weights(self))

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """(name, parameter): `layers.0.weight`, and on the scalar back end `layers.0.weight[1,2]`.

        A parameter that two layers share has its first name only; one of a lazy layer has no numbers yet.
        """
        return iter(parameters_in(modules_inside(self)[1]))

    def parameters(self) -> list[Parameter]:
        """Every Tensor or Value that training changes, and those that are frozen; one that two layers share once."""
        return Parameters(dict.fromkeys([parameter for _, parameter in self.named_parameters()]))

    def register_buffer(self, name: str, array: ArrayLike, persistent: bool = True) -> None:
        """Make an array (None: later) the attribute `name`, which is not trained. Errors: OperandError.

        persistent: with False it is not part of state_dict() and saved models; a run that is resumed has it.
        """
        refuse_no_array(name, array)
        setattr(self, name, array)
        if name not in self.buffer_names:
            self.buffer_names = (*self.buffer_names, name)
        others = tuple(each for each in self.unsaved_names if each != name)
        self.unsaved_names = others if persistent else (*others, name)

    # What is applied to all inside
    def label_parameters(self) -> None:
        """Label every parameter with its name, for pictures and errors."""
        inside = modules_inside(self)
        waiting = [(place, module) for place, module in inside[0] if module.waits]
        for place, module in waiting:
            vars(module)["place"] = f"{place}."
        for name, parameter in () if waiting else parameters_in(inside[1]):
            parameter.label = name

    def apply(self, function: Callable[[Module], Any]) -> Self:
        """Call a function on every module, in PyTorch's order: what is inside one before it, and this one last."""
        for module in list(inside_first(self, ())):
            function(module)
        return self

    def astype(self, dtype: Dtype) -> Self:
        """Convert all parameters and buffers to float32 or float64, in place; gradients are discarded.

        Make the optimizer afterwards. Errors: DtypeError for another dtype, and for Values, which have 64 bits.
        """
        for module in filter(lambda each: each.waits, self.modules()):
            module.wait_for(dtype)
        for array in arrays_to_keep(self, waiting=True).values():
            convert(array, dtype)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Reset the gradients, before the next backward pass; either way a Tensor's gradient is None after it."""
        for parameter in self.parameters():
            clear(parameter)

    def train(self, mode: bool = True) -> Self:
        """Training mode for this module and all inside it (or not): Dropout drops, BatchNorm uses the batch's mean."""
        for module in self.modules():
            module.training = bool(mode)
        return self

    def eval(self) -> Self:
        """Evaluation mode for this module and all inside it: the same input always gives the same output."""
        return self.train(False)

    def register_forward_hook(self, hook: Callable[..., Any]) -> Handle:
        """Call hook(module, inputs, output) after every forward; what it returns, if not None, replaces the output.

        The handle's `remove()` removes it. To see all modules at once, use nn.watch.
        """
        return register_hook(self, "after", hook)

    def register_forward_pre_hook(self, hook: Callable[..., Any]) -> Handle:
        """Call hook(module, inputs) before every forward; what it returns, if not None, replaces the inputs."""
        return register_hook(self, "before", hook)

    # Checkpoints

    def state_dict(self) -> dict[str, np.ndarray[Any, Any]]:
        """Copies of the parameters' and buffers' numbers by name, equal on both back ends."""
        left_out = names_unsaved(self)
        return {name: numbers for name, numbers in all_numbers(self).items() if name not in left_out}

    def gradients(self) -> dict[str, np.ndarray[Any, Any]]:
        """Copies of the gradients of what is trained, by name; zeros before the first backward pass."""
        return {name: gradient(array) for name, array in self.named_arrays() if needs_gradient(array)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load the numbers of `state`; unless its names and shapes are this module's, nothing is changed.

        Errors: SettingError for other names, ShapeError for other shapes, DtypeError for what an array does not hold.
        """
        arrays = arrays_to_keep(self)
        for name, numbers in fit_state(arrays, state, names_unsaved(self)).items():
            fill(arrays[name], numbers)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write parameters and buffers to a safetensors file, which other libraries can read too.

        An interrupted save leaves an existing file as it was.
        """
        from tinygrad_edu.nn import storage

        storage.write_arrays(path, self.state_dict(), {"module": type(self).__name__})

    def load(self, path: str | os.PathLike[str]) -> None:
        """Load parameters and buffers from a file that `save` has written; if it does not fit, nothing is changed.

        Errors: CheckpointError for a file that is cut off or of another format; SettingError, ShapeError and DtypeError
        for names, shapes and a dtype that are not this module's.
        """
        from tinygrad_edu.nn import storage

        found = storage.read_arrays(path)
        try:
            refuse_dtypes(arrays_to_keep(self), found)
            self.load_state_dict(found)
        except (SettingError, ShapeError, DtypeError) as error:
            raise type(error)(f"{path}: {error}") from None

    def __repr__(self) -> str:
        waiting = [f"  {name}: {type(x).__name__}" for name, x in self.named_modules() if x.waits]
        if waiting:
            return "\n".join([f"{type(self).__name__}: no weights before the first input", *waiting])
        parameters, buffers = {k: x for k, x in self.named_arrays() if needs_gradient(x)}, dict(untrained(self))
        lines = [f"  {name}: {array.shape}" for name, array in parameters.items()]
        lines += [f"  {name}: {array.shape}, not trained" for name, array in buffers.items()]
        more = f" and {count_numbers(buffers):,} numbers that are not trained" if buffers else ""
        return "\n".join([f"{type(self).__name__}: {count_numbers(parameters):,} parameters{more}", *lines])


def arrays_to_keep(module: Module, waiting: bool = False) -> dict[str, Any]:
    """The arrays for a checkpoint: parameters and buffers by name; `waiting`: accept lazy layers without weights."""
    return kept_in(*(modules_inside(module) if waiting else with_weights(module)))


def all_numbers(module: Module) -> dict[str, np.ndarray[Any, Any]]:
    """Copies of the numbers of all parameters and buffers by name, also of buffers that are not saved."""
    return {name: copy_numbers_of(array) for name, array in arrays_to_keep(module).items()}


def names_unsaved(module: Module) -> set[str]:
    """The names of the buffers that are not part of `state_dict`."""
    return {f"{place}.{n}" if place else n for place, each in modules_inside(module)[0] for n in each.unsaved_names}


def with_weights(module: Module) -> tuple[Named[Module], Named[Any]]:
    """The modules and leaves inside a module. Errors: SettingError if a layer has no weights yet."""
    modules, leaves = modules_inside(module)
    for name, each in modules:
        if each.waits:
            raise SettingError(
                f"{name}{'.' if name else ''}{type(each).__name__} has no weights before its first input: call the "
                "model once, as in model(X[:1])"
            )
    return modules, leaves


def modules_inside(module: Module) -> tuple[Named[Module], Named[Any]]:
    """All that a module contains, in the order in which the attributes were set: (name, module), itself under "" first;
    and (name, leaf) of everything else but named buffers. As one walk: generators take five times as long.
    """
    modules: Named[Module] = []
    leaves: Named[Any] = []
    collect(module, "", (), modules, leaves)
    return modules, without_results(leaves)


def collect(module: Module, name: str, path: tuple[int, ...], modules: Named[Module], leaves: Named[Any]) -> None:
    """Add a module and all inside it; a reference back to a module that contains it, such as a parent, is left out.

    path: the ids of the modules that contain it.
    """
    modules.append((name, module))
    path, start, buffers = (*path, id(module)), f"{name}." if name else "", module.buffer_names
    for own, attribute in module.members():
        found = leaves if own not in buffers and own not in module.kept_results else []
        for inner, leaf in leaves_of(attribute, start + own, module if own in module.kept_before else None):
            if not isinstance(leaf, Module):
                found.append((inner, leaf))
            elif id(leaf) not in path:
                collect(leaf, inner, path, modules, found)


tell(Module, SLIPS_OF_MODULE | instead_of("nn.Module"), Missing)

"""The random generators and tensors of PyTorch: what they hold, to be put back, without importing torch for that."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from tinygrad_edu.core.aliases import ArrayLike


class AskTorch(type):
    """Whether something is of a class of torch's can be asked before torch is there."""

    called: str  # the class there

    def __subclasscheck__(cls, kind: type) -> bool:
        torch = sys.modules.get("torch")
        known = getattr(torch, cls.called, None)  # None while torch is being imported
        return known is not None and issubclass(kind, known)

    def __instancecheck__(cls, x: object) -> bool:
        return cls.__subclasscheck__(type(x))


class TorchGenerator(metaclass=AskTorch):
    """Stands for torch.Generator in isinstance and issubclass."""

    called = "Generator"


class TorchTensor(metaclass=AskTorch):
    """Stands for torch.Tensor."""

    called = "Tensor"


def buffers_of_torch(module: ArrayLike) -> list[Any]:
    """The buffers of a module of torch; none of anything else."""
    kind = getattr(getattr(sys.modules.get("torch"), "nn", None), "Module", ())
    return [*module.buffers()] if isinstance(module, kind) else []


def numbers_of_torch(tensor: ArrayLike) -> Any:
    """A copy of what a tensor holds."""
    return tensor.detach().clone()


def put_numbers_of_torch(tensor: ArrayLike, numbers: ArrayLike) -> None:
    """Put them back; a tensor that still holds them is not touched, because a graph may use it."""
    if not sys.modules["torch"].equal(tensor, numbers):
        tensor.data.copy_(numbers)


def state_of_torch(generator: Any) -> Any:
    """The state of one generator, 5,056 bytes."""
    return generator.get_state().numpy()


def put_torch_state(generator: Any, state: Any) -> None:
    """Put a generator back into a state that was noted."""
    generator.set_state(sys.modules["torch"].from_numpy(state.copy()))


def fresh_torch_state() -> Any:
    """The state in which a generator is made, which is always the same."""
    return state_of_torch(sys.modules["torch"].Generator())


def global_torch_state() -> Any:
    """The state of the generator of all threads; None where nobody has drawn from it yet, because torch is not there
    for example: a function may be the first to import it.
    """
    torch = sys.modules.get("torch")
    if not hasattr(torch, "default_generator"):
        return None
    state = state_of_torch(torch.default_generator)  # type: ignore[union-attr]
    return None if np.array_equal(state, fresh_torch_state()) else state


def put_global_torch_state(state: Any) -> None:
    """Put the generator of all threads back into a state that was noted."""
    torch: Any = sys.modules["torch"]
    put_torch_state(torch.default_generator, fresh_torch_state() if state is None else state)

"""The modes of a model and of all layers inside, which differ where a layer was frozen by its own eval()."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakValueDictionary

from tinygrad_edu.core.mutex import Mutex
from tinygrad_edu.nn.module import FORCED, Module

LOCKS: WeakValueDictionary[int, Mutex] = WeakValueDictionary()  # id of a model -> its lock, while some thread uses it
NEW = Mutex()  # guards LOCKS


class Modes:
    """Whether each module inside is in training mode, as it was when this was made."""

    def __init__(self, model: Module) -> None:
        self.modes = [(module, module.training) for module in model.modules()]

    def __enter__(self) -> None:
        """Whatever is done to the modes from now on is undone at the end."""

    def __exit__(self, *error: object) -> None:
        self.restore()

    def restore(self) -> None:
        for module, training in self.modes:
            module.training = training


@contextmanager
def modes_kept(model: Module) -> Iterator[None]:
    """What is done to the modes inside is undone at the end; one thread at a time does so with a model.

    model: one of ours, or a module of PyTorch.

    >>> from tinygrad_edu.nn import Dropout, Sequential
    >>> model = Sequential(Dropout(0.5), Dropout(0.5))
    >>> _ = model[1].eval()
    >>> with modes_kept(model):
    ...     _ = model.eval()
    >>> model[0].training, model[1].training
    (True, False)
    """
    with NEW.freed(), NEW.taken:
        lock = LOCKS.setdefault(id(model), Mutex())
    with lock.freed(), lock.taken, Modes(model):
        yield


@contextmanager
def mode_here(model: Module, training: bool) -> Iterator[None]:
    """All layers inside in one mode for this thread alone: the model itself, which others may use, is not changed.

    >>> from tinygrad_edu.nn import Dropout, Sequential
    >>> model = Sequential(Dropout(0.5))
    >>> with mode_here(model, training=False):
    ...     model[0].training
    False
    >>> model[0].training
    True
    """
    before = FORCED.modes
    FORCED.modes = {**before, **{id(module): training for module in model.modules()}}
    try:
        yield
    finally:
        FORCED.modes = before

"""The modes of a model and of all layers inside, which differ where a layer was frozen by its own eval()."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tinygrad_edu.nn.module import Module


class Modes:
    """Whether each module inside is in training mode, as it was when this was made."""

    def __init__(self, model: Module) -> None:
        self.modes = [(module, module.training) for module in model.modules()]

    def restore(self) -> None:
        for module, training in self.modes:
            module.training = training


@contextmanager
def modes_kept(model: Module) -> Iterator[None]:
    """What is done to the modes inside is undone at the end.

    >>> from tinygrad_edu.nn import Dropout, Sequential
    >>> model = Sequential(Dropout(0.5), Dropout(0.5))
    >>> _ = model[1].eval()
    >>> with modes_kept(model):
    ...     _ = model.eval()
    >>> model[0].training, model[1].training
    (True, False)
    """
    modes = Modes(model)
    try:
        yield
    finally:
        modes.restore()

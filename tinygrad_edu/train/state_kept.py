"""A look at what was trained leaves everything as it was, so that training can go on as if nobody had looked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from tinygrad_edu.compile import torch_generators as of_torch
from tinygrad_edu.compile.python_state import PythonState
from tinygrad_edu.core.aliases import Option, Samples
from tinygrad_edu.train.snapshot import for_certain


class WholeState(PythonState):
    """All that can be put back, also beside a thing that cannot, such as an iterator or a file."""

    def is_over(self) -> bool:
        return False

    def inside(self, name: str, x: Samples) -> Iterator[tuple[str, Any]]:
        if isinstance(x, of_torch.TorchTensor):
            self.keep(name, x, partial(of_torch.numbers_of_torch, x), partial(of_torch.put_numbers_of_torch, x))
        return super().inside(name, x)


@contextmanager
def state_kept(**roots: Option) -> Iterator[None]:
    """What is done to these and to what their code can reach is undone at the end; so are draws of random numbers.

    roots: models, losses, callbacks, or anything that leads to them.

    >>> import random
    >>> tried = []
    >>> def forward(x):
    ...     tried.append(x)
    ...     return x + random.random()
    >>> with state_kept(forward=forward):
    ...     first = forward(1.0)
    >>> tried, forward(1.0) == first
    ([], True)
    """
    state = WholeState(**roots)
    try:
        yield
    finally:
        for_certain(state.restore)

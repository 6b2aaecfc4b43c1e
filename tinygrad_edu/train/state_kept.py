"""A look at what was trained leaves everything as it was, so that training can go on as if nobody had looked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial, wraps
from typing import Any, TypeVar, cast

from tinygrad_edu.compile import torch_generators as of_torch
from tinygrad_edu.compile.python_state import PythonState
from tinygrad_edu.core.aliases import Model, Option, Samples
from tinygrad_edu.train.run import Run
from tinygrad_edu.train.snapshot import for_certain

Function = TypeVar("Function", bound=Callable[..., Any])


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
    >>> with state_kept(tried=tried):
    ...     tried.append(1.0)
    ...     first = random.random()
    >>> tried, random.random() == first
    ([], True)
    """
    state = WholeState(**roots)
    try:
        yield
    finally:
        for_certain(state.restore)


def code_of(trained: Model) -> Any:
    """Where code of the user's own may be in it: of a run not its data, because code is given copies of these."""
    job = trained.job if isinstance(trained, Run) else None
    if job is None:
        return trained, of_torch.buffers_of_torch(trained)
    rates = [x.parameters for schedule in job.optimizer.schedules for x in (schedule, *schedule.parts())]
    return {**job.roots, "callbacks": job.settings.callbacks, "rates": rates}


def looks_only(function: Function) -> Function:
    """A function that looks at its first argument, a model, a run or an estimator, and leaves it as it was."""

    @wraps(function)
    def look(trained: Model, *others: Samples, **options: Option) -> Any:
        with state_kept(trained=code_of(trained)):
            return function(trained, *others, **options)

    return cast("Function", look)

"""Hooks: functions that see a module's inputs and outputs; and `watch`, which keeps every output inside a model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tinygrad_edu.errors import OperandError


class Hooks:
    """The hooks of one module, in the order they were registered."""

    keeps_state = True  # attributes count as state, like a module's: compile/python_state.py

    def __init__(self) -> None:
        self.before: list[Callable[..., Any]] = []  # (module, inputs) → None, or other inputs
        self.after: list[Callable[..., Any]] = []  # (module, inputs, output) → None, or another output

    def call(self, module: Any, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """forward(*inputs, **options), with every hook around it."""
        for hook in list(self.before):
            other = hook(module, inputs)
            if other is not None:
                inputs = other if isinstance(other, tuple) else (other,)
        output = module.forward(*inputs, **options)
        for hook in list(self.after):
            other = hook(module, inputs, output)
            output = output if other is None else other
        return output


class Handle:
    """The result of `register_forward_hook`: `remove()` or leaving a `with` block removes the hook."""

    def __init__(self, hooks: list[Callable[..., Any]], hook: Callable[..., Any]) -> None:
        self.hooks, self.hook = hooks, hook

    def remove(self) -> None:
        """Remove the hook; removing it twice does nothing."""
        if any(hook is self.hook for hook in self.hooks):
            self.hooks[:] = [hook for hook in self.hooks if hook is not self.hook]

    def __enter__(self) -> Handle:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()


def register_hook(module: Any, place: str, hook: Callable[..., Any]) -> Handle:
    """Add a hook to a module. Errors: OperandError if it is not callable."""
    if not callable(hook):
        raise OperandError(f"a hook is a function of (module, inputs, output), not {hook!r:.60}")
    if module.hooks is None:
        module.hooks = Hooks()
    hooks = getattr(module.hooks, place)
    own: Callable[..., Any] = lambda *given: hook(*given)  # noqa: E731  (a new object per registration)
    hooks.append(own)
    return Handle(hooks, own)


@contextmanager
def watch(model: Any) -> Iterator[dict[str, Any]]:
    """The output of every module inside a model, by name, from the last call within the `with` block.

    They are nodes of the graph: after backward(), the `.grad` of each is the gradient that reached it. The model's own
    output has the name "".
    model: a Module.

    >>> from tinygrad_edu import nn
    >>> model = nn.Sequential(nn.Linear(2, 3, rng=0), nn.Tanh(), nn.Linear(3, 1, rng=1))
    >>> with nn.watch(model) as seen:
    ...     model([[1.0, 2.0]]).sum().backward()
    >>> {name: y.shape for name, y in seen.items()}
    {'layers.0': (1, 3), 'layers.1': (1, 3), 'layers.2': (1, 1), '': (1, 1)}
    >>> seen["layers.1"].grad.shape
    (1, 3)
    """
    seen: dict[str, Any] = {}

    def keep(name: str) -> Callable[..., None]:
        return lambda _module, _inputs, output: seen.__setitem__(name, output)

    handles = [register_hook(module, "after", keep(name)) for name, module in model.named_modules()]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()

"""The optimizer from what `fit` is given: an optimizer, its name, or a function of the parameters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tinygrad_edu.errors import SettingError, unknown_name
from tinygrad_edu.optim import optimizers as optimizers  # declares optimizers, as the next line does
from tinygrad_edu.optim import variants as variants
from tinygrad_edu.optim.lbfgs import LBFGS
from tinygrad_edu.optim.optimizer import Optimizer


def subclasses(kind: type) -> Iterator[type]:
    """Every subclass at any depth, except those that replace another one while a function is traced."""
    each: type
    for each in kind.__subclasses__():
        if "stands_for" not in vars(each):
            yield each
            yield from subclasses(each)


def optimizer_classes() -> dict[str, Any]:
    """Every optimizer by name: the classes that have a rule or a step of their own, and L-BFGS."""
    kinds: list[Any] = list(subclasses(Optimizer))
    found = [each for each in kinds if hasattr(each, "rule") or each.step is not Optimizer.step]
    found.sort(key=lambda each: each.__module__.startswith("tinygrad_edu."))  # the library's own come first
    return {each.__name__: each for each in (*found, LBFGS)}


def find(name: str) -> Any:
    """The optimizer class of that name, in upper or lower case.

    name: the name of the class, such as "adam".

    >>> find("adam").__name__, find("LBFGS").__name__
    ('Adam', 'LBFGS')
    """
    lower = {each.lower(): kind for each, kind in optimizer_classes().items()}
    if name.lower() not in lower:
        raise unknown_name("optimizer", name, optimizer_classes())
    return lower[name.lower()]


def optimizer_for(given: Any, parameters: Any) -> Any:
    """The given optimizer, or one made for the parameters from a name or a function.

    given: an optimizer, its name, or a function that makes one from the parameters.
    parameters: the Values or Tensors that it changes.

    >>> from tinygrad_edu import Value
    >>> optimizer_for("sgd", [Value(1.0)]), optimizer_for(lambda p: find("adam")(p, lr=0.1), [Value(1.0)])
    (<SGD of 1 numbers, lr=0.001, ...>, <Adam of 1 numbers, lr=0.1, ...>)
    """
    made = find(given)(parameters) if isinstance(given, str) else given
    if callable(given) and not isinstance(given, (Optimizer, LBFGS)):
        made = given(parameters)
    if not isinstance(made, (Optimizer, LBFGS)):
        what = f"{given!r:.80}" if made is given else f"{given!r:.80}, which gives {made!r:.80}"
        raise SettingError(
            f"optimizer={what}: an optimizer of tinygrad_edu.optim is needed, its name, or a function that makes one "
            "of the parameters, such as lambda p: optim.Adam(p, lr=0.01)"
        )
    return made

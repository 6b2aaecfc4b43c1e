"""Slips of the pen: an argument or an attribute that does not exist, and which one was meant."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from tinygrad_edu.spelling import near_names, spelled

Function = TypeVar("Function", bound=Callable[..., Any])
Kind = TypeVar("Kind", bound=type)

# Words for one thing. Of a function or an object that has one of them, another one is answered with it.
ARGUMENTS_ALIKE = (
    ("lr", "learning_rate", "learning_rate_init", "rate", "step_size", "eta", "alpha"),
    ("seed", "rng", "random_state", "random_seed", "key", "generator"),
    ("seeds", "seed", "n_seeds"),
    ("epochs", "n_epochs", "num_epochs", "max_iter", "iterations", "steps"),
    ("activation", "act", "nonlinearity", "nonlin"),
    ("sizes", "layers", "hidden", "hidden_layers", "units", "nin"),
    ("hidden_layer_sizes", "hidden_layers", "layers", "sizes", "hidden"),
    ("label", "name", "_label"),
    ("label", "labels", "title"),
    ("samples", "n_samples", "n", "size"),
    ("path", "file", "filename", "out", "output"),
    ("optimizer", "opt", "optim", "solver"),
    ("loss", "criterion", "loss_fn", "objective"),
    ("validation", "validation_split", "validation_data", "val"),
    ("model", "net", "network"),
    ("slope", "negative_slope", "alpha"),
    ("bias", "use_bias", "fit_intercept"),
    ("weight_decay", "l2", "decay", "lambda_"),
    ("backend", "device", "back_end"),
    ("init", "initializer", "kernel_initializer", "weight_init"),
)
ATTRIBUTES_ALIKE = (
    ("loss_curve", "loss", "losses", "history", "curve", "final_loss"),
    ("n_epochs", "epochs"),
    ("lr", "learning_rate"),
    ("step", "update", "apply"),
    ("save", "write", "savefig", "to_file", "to_html"),
    ("plot", "chart", "show", "draw"),
    ("causes", "cause", "reasons", "findings", "explanations"),
    ("model", "net", "network"),
)
EXAMPLES = {"rng": "rng=np.random.default_rng(0)", "seed": "seed=0"}  # where the value differs, not only the name


def check_arguments(function: Function) -> Function:
    """A function that answers an argument which it does not have with the one that was meant.

    Python gives the nearest name of an argument from 3.13 on, and never one for the same thing.

    >>> @check_arguments
    ... def train(model, lr=0.1):
    ...     return lr
    >>> train(None, learning_rate=0.5)
    Traceback (most recent call last):
        ...
    TypeError: train() got an unexpected keyword argument 'learning_rate'. Did you mean lr?
    """
    known = names_of(function)
    if known is None:
        return function

    @functools.wraps(function)
    def call(*arguments: Any, **options: Any) -> Any:
        if options and not options.keys() <= known.keys():
            raise unknown_argument(function.__qualname__.removesuffix(".__init__"), options, known)
        return function(*arguments, **options)

    return call  # type: ignore[return-value]


def names_of(function: Callable[..., Any]) -> dict[str, None] | None:
    """The names of the arguments that can be given by name, in their order; None where any name is taken."""
    parameters = inspect.signature(function).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return None
    return {p.name: None for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}


def unknown_argument(owner: str, given: Iterable[str], known: Iterable[str]) -> TypeError:
    """The error for the first argument that is not known.

    >>> print(unknown_argument("Linear", ["seed"], ["self", "inputs", "rng"]))
    Linear() got an unexpected keyword argument 'seed'. Write rng=np.random.default_rng(0)
    >>> print(unknown_argument("moons", ["colour"], ["samples", "seed"]))
    moons() got an unexpected keyword argument 'colour'. It takes samples, seed
    """
    names = [name for name in known if name != "self"]
    slip = next(name for name in given if name not in names)
    meant = names_meant(slip, names, ARGUMENTS_ALIKE)
    if meant and meant[0] in EXAMPLES and not near_names(slip, meant):
        fix = f"Write {EXAMPLES[meant[0]]}"
    else:
        fix = f"Did you mean {' or '.join(meant)}?" if meant else f"It takes {', '.join(names) or 'none'}"
    return TypeError(f"{owner}() got an unexpected keyword argument {slip!r}. {fix}")


def names_meant(slip: str, known: Iterable[str], alike: Iterable[tuple[str, ...]]) -> list[str]:
    """The names that somebody may have meant: spelled nearly so, or another word for the same thing; at most two.

    >>> names_meant("acitvation", ["activation", "seed"], ARGUMENTS_ALIKE)
    ['activation']
    >>> names_meant("losses", ["loss_curve", "model"], ATTRIBUTES_ALIKE)
    ['loss_curve']
    """
    plain = {spelled(each): each for each in known}
    words = [word for words in alike if slip in words for word in words if word in plain and word != slip]
    near = [plain[each] for each in near_names(spelled(slip), plain, most=2, cutoff=0.7)]
    return list(dict.fromkeys(words or near))[:2]


class UnknownAttributeError(AttributeError):
    """What was meant is looked up when the error is shown: `hasattr`, which never shows it, stays fast."""

    def __init__(self, owner: object, slip: str) -> None:
        super().__init__(owner, slip, name=None, obj=None)  # else Python would add a suggestion of its own
        self.owner, self.slip = owner, slip

    def __str__(self) -> str:
        kind = type(self.owner)  # on the class `Missing` raises, and a property is not computed
        here = {*getattr(self.owner, "__dict__", {}), *filter(functools.partial(hasattr, kind), dir(kind))}
        known = sorted(name for name in here if not name.startswith("_"))
        meant = names_meant(self.slip, known, ATTRIBUTES_ALIKE)
        fix = f"Did you mean {' or '.join(meant)}?" if meant else f"It has {', '.join(known)}"
        return f"{kind.__name__!r} object has no attribute {self.slip!r}. {fix}"


def check_attributes(kind: Kind) -> Kind:
    """A class whose objects answer an attribute that they do not have with the one that was meant.

    Not for the classes of a graph: with `__getattr__` every attribute that they have costs 25 ns more in Python 3.11.
    A terminal shows Python's own suggestion for a name that is nearly right; a notebook does not.

    >>> @check_attributes
    ... class Record:
    ...     loss_curve = (1.0, 0.5)
    >>> Record().losses
    Traceback (most recent call last):
        ...
    tinygrad_edu.pen.UnknownAttributeError: 'Record' object has no attribute 'losses'. Did you mean loss_curve?
    """

    def find(self: Any, name: str) -> Any:
        try:
            return object.__getattribute__(self, name)  # again, for the error that a property itself may have raised
        except AttributeError as error:
            if name.startswith("_") or error.name != name or error.obj is not self:
                raise
        raise UnknownAttributeError(self, name) from None

    kind.__getattr__ = find  # type: ignore[attr-defined]
    return kind

"""Slips of the pen: an argument or an attribute that does not exist, and which one was meant."""

from __future__ import annotations

import functools
import inspect
import math
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from tinygrad_edu.errors import SettingError
from tinygrad_edu.foreign_arguments import ALIKE, CALLS, FILES, fix_of_argument, is_page_or_picture
from tinygrad_edu.spelling import near_names, spelled

Function = TypeVar("Function", bound=Callable[..., Any])
Kind = TypeVar("Kind", bound=type)

ATTRIBUTES_ALIKE = (
    ("loss_curve", "loss", "losses", "history", "curve", "final_loss"),
    ("n_epochs", "epochs"),
    ("lr", "learning_rate"),
    ("step", "update", "apply"),
    ("plot", "chart", "show", "draw"),
    ("save", "write", "savefig", "to_file", "to_html", "show", "view", "display", "export"),
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
    known, most = names_of(function), most_by_place(function)
    if known is None:
        return function
    owner = function.__qualname__.removesuffix(".__init__")
    takes_file, needed = owner in FILES, needed_names(function) if owner in CALLS else ()

    @functools.wraps(function)
    def call(*arguments: Any, **options: Any) -> Any:
        if options and not options.keys() <= known.keys():
            raise unknown_argument(owner, options, known)
        if takes_file:
            refuse_file_by_place(owner, arguments)
        if needed and not options.keys() >= {*needed[len(arguments) :]}:
            raise missing_arguments(owner, [name for name in needed[len(arguments) :] if name not in options])
        if len(arguments) > most:
            raise too_many_by_place(owner, len(arguments), most, known)
        return function(*arguments, **options)

    return call  # type: ignore[return-value]


def names_of(function: Callable[..., Any]) -> dict[str, None] | None:
    """The names of the arguments that can be given by name, in their order; None where any name is taken."""
    parameters = inspect.signature(function).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return None
    return {p.name: None for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}


def most_by_place(function: Callable[..., Any]) -> float:
    """How many arguments can be given by place; inf where any number is taken."""
    kinds = [p.kind for p in inspect.signature(function).parameters.values()]
    if inspect.Parameter.VAR_POSITIONAL in kinds:
        return math.inf
    return sum(kind in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD) for kind in kinds)


def needed_names(function: Callable[..., Any]) -> tuple[str, ...]:
    """The names of the arguments without a default, those by place first."""
    parameters = inspect.signature(function).parameters.values()
    return tuple(p.name for p in parameters if p.default is p.empty)


def missing_arguments(owner: str, names: Iterable[str]) -> TypeError:
    """The error for arguments that are not given, with a whole call.

    >>> print(missing_arguments("report", ["run"]))
    report() needs run. Write, for example, tg.report(run)
    """
    own = [name for name in names if name != "self"]
    return TypeError(f"{owner}() needs {', '.join(own)}. Write, for example, {CALLS[owner]}")


def refuse_file_by_place(owner: str, arguments: tuple[Any, ...]) -> None:
    """Errors: SettingError for the name of a page or a picture among the arguments, where data belong.

    >>> refuse_file_by_place("report", ("a run", "run.html"))
    Traceback (most recent call last):
        ...
    tinygrad_edu.errors.SettingError: report(..., 'run.html'): give the file by name. Write tg.report(run, \
path='run.html')
    """
    for place, x in enumerate(arguments):
        if is_page_or_picture(x) or (place and isinstance(x, os.PathLike)):
            file = repr(str(x))
            raise SettingError(
                f"{owner}({'..., ' * bool(place)}{file}): give the file by name. Write {FILES[owner].format(file=file)}"
            )


def too_many_by_place(owner: str, given: int, most: float, known: Iterable[str]) -> TypeError:
    """The error for more arguments by place than a function takes.

    >>> print(too_many_by_place("draw", 2, 1, ["target", "inputs", "title"]))
    draw() takes 1 argument by place, target, and 2 were given. Give the others by name: inputs=, title=
    """
    names = [name for name in known if name != "self"]
    own = int("self" in known)
    count, by_place = int(most) - own, names[: int(most) - own]
    others = ", ".join(f"{name}=" for name in names[count:])
    takes = ", ".join([f"{count or 'no'} argument{'s' * (count != 1)} by place", *by_place])
    fix = f"Give the others by name: {others}" if others else "It has no others"
    return TypeError(f"{owner}() takes {takes}, and {given - own} {'was' if given - own == 1 else 'were'} given. {fix}")


def unknown_argument(owner: str, given: Iterable[str], known: Iterable[str]) -> TypeError:
    """The error for the first argument that is not known.

    >>> print(unknown_argument("Linear", ["seed"], ["self", "inputs", "rng"]))
    Linear() got an unexpected keyword argument 'seed'. Write rng=np.random.default_rng(0)
    >>> print(unknown_argument("moons", ["colour"], ["samples", "seed"]))
    moons() got an unexpected keyword argument 'colour'. It takes samples, seed
    """
    names = [name for name in known if name != "self"]
    slip = next(name for name in given if name not in names)
    fix = fix_of_argument(owner, slip, given[slip] if isinstance(given, Mapping) else ...)
    words = words_for_the_same(slip, names, ALIKE)
    meant = words or ([] if fix_of_argument("", slip, ...) else near_in_spelling(slip, names))
    if not fix and meant and meant[0] in EXAMPLES and not near_names(slip, meant):
        fix = f"Write {EXAMPLES[meant[0]]}"
    fix = fix or (f"Did you mean {' or '.join(meant)}?" if meant else fix_of_argument("", slip, ...))
    fix = fix or f"It takes {', '.join(names) or 'none'}"
    return TypeError(f"{owner}() got an unexpected keyword argument {slip!r}. {fix}")


def names_meant(slip: str, known: Iterable[str], alike: Iterable[tuple[str, ...]]) -> list[str]:
    """The names that somebody may have meant: spelled nearly so, or another word for the same thing; at most two.

    >>> names_meant("acitvation", ["activation", "seed"], ALIKE)
    ['activation']
    >>> names_meant("losses", ["loss_curve", "model"], ATTRIBUTES_ALIKE)
    ['loss_curve']
    """
    names = list(known)
    return words_for_the_same(slip, names, alike) or near_in_spelling(slip, names)


def words_for_the_same(slip: str, known: Iterable[str], alike: Iterable[tuple[str, ...]]) -> list[str]:
    """The known names that are other words for the same thing; at most two."""
    names = {*known}
    found = [word for words in alike if slip in words for word in words if word in names and word != slip]
    return list(dict.fromkeys(found))[:2]


def near_in_spelling(slip: str, known: Iterable[str]) -> list[str]:
    """The known names that are spelled nearly so, also with other capitals; at most two."""
    plain = {spelled(each): each for each in known}
    return [plain[each] for each in near_names(spelled(slip), plain, most=2, cutoff=0.7)]


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

"""An option that has several names, such as NumPy's axis and PyTorch's dim, is given once."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from tinygrad_edu.errors import OperandError

Function = TypeVar("Function", bound=Callable[..., Any])

SAME = (
    ("axis", "dim"), ("keepdims", "keepdim"), ("ddof", "correction", "unbiased"), ("rcond", "rtol"), ("a_min", "min"),
    ("a_max", "max"), ("shape", "newshape"), ("mask", "attn_mask"), ("causal", "is_causal"),
    ("argnum", "argnums"), ("grad", "gradient"),
)  # fmt: skip
GROUPS = {name: group for group in SAME for name in group}
# to give an option twice, at least one second name must be used
SECOND = frozenset(name for group in SAME for name in group[1:])


def refuse_second_name(function: str, given: Iterable[str]) -> None:
    """Errors: OperandError if two of the names of arguments given mean one option, or one is given twice.

    >>> refuse_second_name("x.sum", ["axis", "dim"])
    Traceback (most recent call last):
        ...
    tinygrad_edu.errors.OperandError: x.sum: axis and dim are one option under two names: give one of them
    """
    seen: dict[Any, str] = {}
    for name in given:
        group = GROUPS.get(name, name)
        if group in seen:
            first = seen[group]
            twice = f"{first} is given twice" if first == name else f"{first} and {name} are one option under two names"
            raise OperandError(f"{function}: {twice}: give one of them")
        seen[group] = name


def rename(function: str, places: Sequence[str], options: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """The options under our names, `names[theirs]`; `places`: the names of what is given by place.

    Errors: OperandError for one that is given twice.

    >>> rename("LeakyReLU", [], {"negative_slope": 0.1}, {"negative_slope": "slope"})
    {'slope': 0.1}
    """
    found: dict[str, Any] = {}
    spelled = dict(zip(places, places, strict=True))
    for name, x in options.items():
        ours = names.get(name, name)
        if ours in spelled:
            pair = [f"{spelled[ours]} and {name}"] if spelled[ours] != name else [f"{name} twice"]
            raise OperandError(f"{function}: {pair[0]} are one option: give one of them")
        found[ours], spelled[ours] = x, name
    return found


def in_our_words(name: str, options: dict[str, Any], known: Iterable[str]) -> dict[str, Any]:
    """PyTorch's dim and keepdim under NumPy's names, where an operation has these and they mean the same."""
    if "dim" not in options and "keepdim" not in options:  # the usual case: 40 ns, where a dictionary takes 600
        return options
    if name in ("max", "min"):  # of which PyTorch gives the places too
        return options
    found = {ours: options[theirs] for ours, theirs in SAME[:2] if theirs in options and ours in known}
    if not found or not found.keys().isdisjoint(options):
        return options
    return found | {name: x for name, x in options.items() if name not in ("dim", "keepdim")}


def one_name_each(name: str, function: Function) -> Function:
    """The function, which refuses an option given under two of its names; itself if it has no such option."""
    places = places_of(function)
    if SECOND.isdisjoint(places):
        return function

    @functools.wraps(function)
    def call(*arguments: Any, **options: Any) -> Any:
        if options:
            if options.pop("create_graph", False):
                refuse_graph_of_gradients()
            refuse_second_name(name, [*places[: len(arguments)], *options])
        return function(*arguments, **options)

    return call  # type: ignore[return-value]


def refuse_graph_of_gradients() -> None:
    """Errors: OperandError for PyTorch's backward(create_graph=True): `.grad` holds plain numbers here."""
    raise OperandError(
        "backward(create_graph=True): .grad holds plain numbers here, which have no derivative. A gradient that is "
        "differentiated again is tg.grad(f)(x), as in tg.grad(lambda w: np.sum(tg.grad(loss)(w) ** 2))(w)"
    )


def places_of(function: Callable[..., Any]) -> tuple[str, ...]:
    """The names of its arguments, in their order; none where it has no signature."""
    try:
        return tuple(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return ()


def install(kind: type, prefix: str = "x") -> None:
    """Let all methods of a class refuse an option that is given twice."""
    for name, method in list(vars(kind).items()):
        if inspect.isfunction(method) and not name.startswith("__"):
            setattr(kind, name, one_name_each(f"{prefix}.{name}", method))

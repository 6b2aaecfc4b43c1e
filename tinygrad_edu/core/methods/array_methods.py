"""Methods for the operations on whole arrays, x.sum(axis=0), with the names of options of NumPy and PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinygrad_edu.core.aliases import ArrayLike, Option
from tinygrad_edu.core.methods.torch_arguments import refuse_out
from tinygrad_edu.core.numpy_protocol.options import by_options
from tinygrad_edu.core.one_name import places_of, refuse_second_name

SPREADS = ("std", "var")
NUMPYS = frozenset({"axis", "keepdims"})  # options with the same name in NumPy and here


def array_method(operation: Any) -> Callable[..., Any]:
    """A method for an operation on whole arrays, which also takes PyTorch's names of its options."""

    places = tuple(operation.options) if hasattr(operation, "options") else places_of(operation)[1:]

    def bound(self: ArrayLike, *arguments: ArrayLike, **options: Option) -> Any:
        if options and not options.keys() <= NUMPYS:
            refuse_second_name(f"x.{operation.name}", [*places[: len(arguments)], *options])
            options = translate_options(operation.name, options)
            refuse_out(f"x.{operation.name}", options.pop("out", None))
            if not options.keys() <= set(places):
                named = dict(zip(places, arguments, strict=False)) | options
                if made := by_options(operation.name, [self], named):
                    return made[0]
        return operation(self, *arguments, **options)

    bound.__name__, bound.__doc__ = operation.name, operation.__doc__
    return bound


def translate_options(name: str, options: dict[str, Any]) -> dict[str, Any]:
    """dim= and keepdim= as axis= and keepdims=; the deviation by either is PyTorch's, over n - 1."""
    found = {{"dim": "axis", "keepdim": "keepdims"}.get(k, k): x for k, x in options.items()}
    if name in SPREADS:
        torchs = bool(options.keys() & {"dim", "keepdim"}) and "ddof" not in options
        unbiased = found.pop("unbiased", None)
        ddof = found.pop("correction", 1 if unbiased or (torchs and unbiased is None) else None)
        found |= {} if ddof is None and unbiased is None else {"ddof": ddof or 0}
    return found

"""What a file says of a run, checked before anything is made of it: a file may come from anywhere.

Errors: ValueError with what is wrong; `Run.load` puts the file's name before it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.errors import TinygradError
from tinygrad_edu.nn.layers import MLP
from tinygrad_edu.train.recipe import CHECKS

Array = np.ndarray[Any, Any]
DTYPES = ("float32", "float64")
WIDEST = 2**31  # largest width of a layer accepted here; the weights in the file decide whether it is right


def is_index(x: object) -> bool:
    return isinstance(x, int) and not isinstance(x, bool) and 0 <= x < 2**63


def is_real(x: object) -> bool:
    # compares without converting: float(x) of a huge integer would raise
    return isinstance(x, (int, float)) and not isinstance(x, bool) and abs(x) < 1e300


def is_text(x: object) -> bool:
    return isinstance(x, str)


def either(*checks: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda x: any(check(x) for check in checks)


def is_none(x: object) -> bool:
    return x is None


def is_truth(x: object) -> bool:
    return isinstance(x, bool)


def are_settings(x: object) -> bool:
    """Names with plain numbers, texts, truth values, or lists of them."""
    plain = either(is_real, is_text, is_truth, is_none)
    listed = either(plain, lambda each: isinstance(each, list) and all(map(plain, each)))
    return isinstance(x, dict) and all(name.isidentifier() and listed(each) for name, each in x.items())


def mlp_or_text(x: object) -> bool:
    """The arguments of an MLP, or what another model prints."""
    if not isinstance(x, dict):
        return is_text(x)
    sizes = x.get("sizes")
    wide = isinstance(sizes, list) and len(sizes) > 1 and all(is_index(n) and 0 < n < WIDEST for n in sizes)
    return wide and are_settings({name: each for name, each in x.items() if name != "sizes"})


def passes(name: str) -> Callable[[Any], bool]:
    """The check that `fit` itself makes of a setting; of a number in a file, first that it is one of usual size."""

    def check(x: object) -> bool:
        try:
            return (not isinstance(x, int) or is_index(abs(x)) or is_truth(x)) and CHECKS[name](name, x) == x
        except TinygradError:
            return False

    return check


# Settings that `train.config` writes for `fit`. Any other setting may have any value, if it is plain.
KINDS: dict[str, Callable[[Any], bool]] = {
    "model": mlp_or_text,
    "dtype": lambda x: x in DTYPES,
    "loss": is_text,
    "optimizer": is_text,
    "lr": either(is_none, is_real, is_text),
    "optimizer_settings": are_settings,
    "samples": is_index,
    "sample_weight": is_truth,
    "validation": either(is_none, is_real, is_text),
    **{name: passes(name) for name in CHECKS},
    "steps": is_index,
}


def check_curve(name: str, found: Any) -> Array:
    """A curve: one number per epoch; null means that it was not finite."""
    if not isinstance(found, (list, np.ndarray)):
        raise ValueError(f"{name} is not a list of numbers")
    if isinstance(found, list) and not all(x is None or isinstance(x, (int, float)) for x in found):
        raise ValueError(f"{name} holds something other than numbers")
    try:
        made = np.array([np.nan if x is None else x for x in found] if isinstance(found, list) else found, dtype=float)
    except (OverflowError, TypeError, ValueError) as error:
        raise ValueError(f"{name}: {error}") from None
    if made.ndim != 1:
        raise ValueError(f"{name} has the shape {made.shape}: a number for each epoch is needed")
    return made


def check_curves(found: Mapping[str, Any]) -> dict[str, Array]:
    """All curves, as long as the first, or empty where they are not kept."""
    made = {name: check_curve(name, x) for name, x in found.items()}
    epochs = len(next(iter(made.values())))
    for name, curve in made.items():
        if len(curve) not in (0, epochs):
            raise ValueError(f"{name} has {len(curve)} entries for {epochs} epochs")
    return made


def check_facts(found: Mapping[str, Any]) -> dict[str, Any]:
    """Why it ended, how it ran, and the settings."""
    for name in ("stop_reason", "how"):
        if not is_text(found[name]):
            raise ValueError(f"{name} is {type(found[name]).__name__}, not text")
    config = found["config"]
    if not isinstance(config, dict):
        raise ValueError(f"config is {type(config).__name__}, not settings by name")
    if {"model", "optimizer"} <= config.keys():  # a run of `fit` or `fit_online`, not an estimator
        for name in KINDS.keys() & config.keys():
            if not KINDS[name](config[name]):
                raise ValueError(f"config: {name}={brief(config[name])} is not a setting of a run")
    return dict(found)


def brief(x: object) -> str:
    """A short form of what a file holds. The number of a thousand digits has no text."""
    try:
        found = repr(x)
    except (ValueError, RecursionError):
        return f"a {type(x).__name__}"
    return found if len(found) <= 60 else f"{found[:60]}..."


def rebuild_mlp(config: Mapping[str, Any], state: Mapping[str, Array]) -> Any:
    """An MLP of the form and dtype that the settings name, with these weights; None for any other model.

    The widths are compared with the weights first: 5 kB of settings could ask for any memory.
    Errors: ValueError, also where the weights are not its own.
    """
    if not isinstance(config.get("model"), dict):
        return None
    sizes = config["model"]["sizes"]
    for i, (n_in, n_out) in enumerate(pairwise(sizes)):
        found = state.get(f"layers.{i}.weight")
        if found is None or found.shape != (n_out, n_in):
            there = "is missing" if found is None else f"has the shape {found.shape}"
            raise ValueError(f"it names a model of widths {brief(sizes)}, but its layers.{i}.weight {there}")
    try:
        made = MLP(**{**config["model"], "init": "zeros"})
        take_state(made, str(config["dtype"]), state)
    except (TinygradError, TypeError, ValueError, KeyError, AttributeError, OverflowError) as error:
        raise ValueError(f"its model cannot be made: {error}") from None
    return made


def take_state(model: MLP, dtype: str, state: Mapping[str, Array]) -> None:
    """Dtype and numbers."""
    for p in model.parameters():
        if isinstance(p, Tensor):
            p.data = p.data.astype(dtype)
    model.load_state_dict(state)

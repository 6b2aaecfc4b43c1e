"""The settings of a run: all that is needed to repeat it."""

from __future__ import annotations

import re
from types import FunctionType
from typing import Any

import numpy as np

from tinygrad_edu.compile.user_code import is_foreign
from tinygrad_edu.nn.layers import MLP
from tinygrad_edu.nn.module import Module
from tinygrad_edu.optim.schedule import Schedule
from tinygrad_edu.train.samples import dtype_of_parameters

COUNTS = re.compile(r"\w+: [\d,]+ parameters( and [\d,]+ numbers that are not trained)?")  # how a model prints first
GIVEN = ("sizes", "activation", "out_activation", "bias", "init", "seed", "backend", "dropout", "norm")


def config(job: Any) -> dict[str, Any]:
    """The settings of a job.

    `getattr(optim, c["optimizer"])(parameters, lr=c["lr"], **c["optimizer_settings"])` makes the optimizer again (LBFGS
    has no lr), `nn.MLP(**c["model"])` a model that is an MLP; the rest are arguments of `fit` by their names.
    """
    return {
        **describe_model(job.model),
        **job.recipe.record,
        "batch_size": job.batch_size,
        "samples": job.samples,
        "sample_weight": job.settings.sample_weight is not None,
        "validation": validation_share(job),
    }


def describe_model(model: Module) -> dict[str, Any]:
    """The description of the model."""
    return {"model": model_arguments(model), "dtype": str(dtype_of_parameters(model))}


def validation_share(job: Any) -> Any:
    """The share of the samples that was held out, or how many were given."""
    given = job.settings.validation
    return given if given is None or isinstance(given, (int, float)) else f"{len(job.held_out[0])} samples"


def model_arguments(model: Module) -> Any:
    """The arguments that an MLP was made with; any other model as it prints."""
    if type(model) is not MLP:
        return repr(model)
    return {name: getattr(model, name) for name in GIVEN} | {
        "activation": setting_name(model.activation),
        "out_activation": setting_name(model.out_activation),
        "sizes": list(model.sizes),
        "dropout": model.dropout.p if model.dropout else 0.0,
    }


def without_flags(model: object) -> object:
    """The description of a model, whichever parts are frozen: callbacks may freeze some, which is compared by itself.

    >>> frozen = "Net: 1 parameters and 3 numbers that are not trained\\n  bias: (1,)\\n  weight: (1, 3), not trained"
    >>> without_flags(frozen) == without_flags("Net: 4 parameters\\n  weight: (1, 3)\\n  bias: (1,)")
    True
    """
    head, *arrays = str(model).split("\n")
    if not isinstance(model, str) or not COUNTS.fullmatch(head):
        return model
    return [head.partition(":")[0], *sorted([line.removesuffix(", not trained") for line in arrays])]


def setting_name(x: object) -> str:
    """The name of an activation; of a function of the user's with its module, for it may be called as one of ours."""
    if isinstance(x, FunctionType) and is_foreign(x.__module__):
        return f"{x.__module__}.{x.__name__}"
    return str(getattr(x, "name", getattr(x, "__name__", x)))


def as_json(x: object) -> Any:
    """The same in JSON's types: a schedule as its printed text, a function as its name.

    >>> as_json({"lr": 0.1, "loss": len, "betas": (0.9, np.float64(0.99))})
    {'lr': 0.1, 'loss': 'builtins.len', 'betas': [0.9, 0.99]}
    """
    if isinstance(x, dict):
        return {name: as_json(each) for name, each in x.items()}
    if isinstance(x, (list, tuple)):
        return [as_json(each) for each in x]
    if isinstance(x, (np.generic, np.ndarray)):
        return x.tolist()
    if isinstance(x, (str, int, float, type(None))):
        return x
    if isinstance(x, Schedule) or not hasattr(x, "__qualname__"):
        plain = type(x).__repr__ is object.__repr__  # with an address, which is another one in each process
        return f"{type(x).__module__}.{type(x).__qualname__} object" if plain else repr(x)
    return f"{x.__module__}.{x.__qualname__}"


def is_same_setting(a: object, b: object) -> bool:
    """Are they equal, or names of a thing of the user's in one module or another?

    A script's file is __main__, __mp_main__ in processes that it spawns, and by its own name where it is imported.

    >>> is_same_setting("__main__.loss", "script.loss"), is_same_setting("__main__.mse", "numpy.mse")
    (True, False)
    """
    if a == b or not (isinstance(a, str) and isinstance(b, str)):
        return a == b
    parts = [text.split(".") for text in (a, b)]
    common = 0
    while common < min(map(len, parts)) and parts[0][-1 - common] == parts[1][-1 - common]:
        common += 1
    heads = [part[: len(part) - common] for part in parts]
    return common > 0 and all(
        head and all(map(str.isidentifier, head)) and is_foreign(".".join(head)) for head in heads
    )


def epochs_of(count: int) -> str:
    """A number of epochs in words.

    >>> epochs_of(1), epochs_of(3)
    ('1 epoch', '3 epochs')
    """
    return f"{count} epoch{'' if count == 1 else 's'}"

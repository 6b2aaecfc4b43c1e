"""What a network of another library was trained with, in the words of `fit`: loss, optimizer, rate and options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tinygrad_edu.errors import SettingError, unknown_name
from tinygrad_edu.interop import rates
from tinygrad_edu.nn.losses import LOSSES
from tinygrad_edu.optim.schedule import Schedule

TORCH_LOSSES = {  # torch's class or function -> (our loss, whether it broadcasts shapes that do not match)
    "MSELoss": ("mse", True), "mse_loss": ("mse", True), "L1Loss": ("mae", True), "l1_loss": ("mae", True),
    "HuberLoss": ("huber", True), "SmoothL1Loss": ("huber", True), "huber_loss": ("huber", True),
    "smooth_l1_loss": ("huber", True), "BCELoss": ("bce", False), "binary_cross_entropy": ("bce", False),
    "BCEWithLogitsLoss": ("bce_with_logits", False), "binary_cross_entropy_with_logits": ("bce_with_logits", False),
    "CrossEntropyLoss": ("cross_entropy", False), "cross_entropy": ("cross_entropy", False),
    "NLLLoss": ("nll", False), "nll_loss": ("nll", False), "PoissonNLLLoss": ("poisson", True),
}  # fmt: skip
KERAS_LOSSES = {
    "mean_squared_error": "mse", "mse": "mse", "mean_absolute_error": "mae", "mae": "mae", "huber": "huber",
    "huber_loss": "huber", "binary_crossentropy": "bce", "categorical_crossentropy": "categorical",
    "sparse_categorical_crossentropy": "categorical", "poisson": "poisson_of_rates", "hinge": "hinge",
}  # fmt: skip
KINDS = ("SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Rprop")
USUAL_RATE = {"SGD": 0.01, "Adam": 0.001, "AdamW": 0.001, "RMSprop": 0.001, "Adagrad": 0.01, "Rprop": 0.01}
OPTIONS = {  # by optimizer: (name in torch's groups, name here)
    "SGD": (("momentum", "momentum"), ("weight_decay", "weight_decay"), ("nesterov", "nesterov")),
    "Adam": (("betas", "betas"), ("eps", "eps"), ("weight_decay", "weight_decay")),
    "AdamW": (("betas", "betas"), ("eps", "eps"), ("weight_decay", "weight_decay")),
    "RMSprop": (("alpha", "alpha"), ("eps", "eps"), ("weight_decay", "weight_decay"), ("momentum", "momentum")),
    "Adagrad": (("lr_decay", "lr_decay"), ("eps", "eps"), ("weight_decay", "weight_decay")),
    "Rprop": (("etas", "etas"), ("step_sizes", "step_sizes")),
}
# options of any optimizer that are read only if set
RARE = ("amsgrad", "centered", "dampening", "initial_accumulator_value")


@dataclass(frozen=True)
class ForeignRecipe:
    """Loss and optimizer by our names, the learning rate, and the other options."""

    loss: str
    optimizer: str
    lr: float
    options: Mapping[str, Any] = field(default_factory=dict)


def thing_name(thing: Any) -> str:
    return thing if isinstance(thing, str) else str(getattr(thing, "__name__", type(thing).__name__))


def torch_loss(loss: Any) -> str:
    """Our name of a torch loss. Errors: SettingError for one that has none."""
    name = thing_name(loss)
    if name in TORCH_LOSSES:
        if name == "PoissonNLLLoss" and not getattr(loss, "log_input", True):
            raise SettingError("PoissonNLLLoss(log_input=False) has no counterpart: only log_input=True has")
        return TORCH_LOSSES[name][0]
    if name in LOSSES:
        return name
    raise unknown_name("loss of torch", name, [*TORCH_LOSSES, *LOSSES])


def terms_of(loss: Any, batch: int, y: Any) -> int:
    """The number of terms that a torch loss with reduction="sum" adds up; 1 for other losses."""
    if getattr(loss, "reduction", "mean") != "sum":
        return 1
    each = 1 if torch_loss(loss) in ("cross_entropy", "nll") else int(y[0].size)
    return batch * each


def keras_loss(loss: Any) -> tuple[str, bool]:
    """(our name of a Keras loss, or "categorical", does it take logits?). Errors: SettingError for one without."""
    config = loss.get_config() if hasattr(loss, "get_config") else {}
    name = str(config.get("name") or thing_name(loss))
    if name in LOSSES and name not in KERAS_LOSSES:
        return name, LOSSES[name].link != "identity"
    if name not in KERAS_LOSSES:
        raise unknown_name("loss of Keras", name, [*KERAS_LOSSES, *LOSSES])
    return KERAS_LOSSES[name], bool(config.get("from_logits", False))


def optimizer_of(optimizer: Any, lr: float | None = None) -> tuple[str, Any, dict[str, Any]]:
    """(our name, rate or schedule, options) of an optimizer of torch or Keras, or of a name such as "adam"."""
    kind = next((k for k in KINDS if k.lower() == thing_name(optimizer).lower()), None)
    if kind is None:
        raise unknown_name("optimizer", thing_name(optimizer), KINDS)
    if isinstance(optimizer, str):
        return kind, USUAL_RATE[kind] if lr is None else float(lr), {}
    groups = getattr(optimizer, "param_groups", None)
    if groups is None:
        rate, options = of_keras(optimizer, kind)
        own = kind == "Adam" and options.get("weight_decay")  # Keras' decay is decoupled from the gradient
        return "AdamW" if own else kind, rate, options
    group = groups[0]
    if group.get("maximize"):
        raise SettingError(f"{kind}(maximize=True) makes the loss larger: a diagnosis is of training that lowers it")
    options = {ours: group[theirs] for theirs, ours in OPTIONS[kind] if theirs in group}
    options |= {name: group[name] for name in RARE if group.get(name)}
    return kind, float(group.get("initial_lr", group["lr"]) if lr is None else lr), options


def of_keras(optimizer: Any, kind: str) -> tuple[Any, dict[str, Any]]:
    """The rate and the options in the config of a Keras optimizer."""
    config = optimizer.get_config()
    rate = config.get("learning_rate", USUAL_RATE[kind])
    if isinstance(rate, Mapping):  # a schedule in its config
        rate = rates.of_keras(rate)
    elif not isinstance(rate, (int, float)):
        rate = float(getattr(optimizer, "learning_rate", USUAL_RATE[kind]))
    names = {"momentum": "momentum", "nesterov": "nesterov"} if kind == "SGD" else {}
    options = {ours: config[theirs] for theirs, ours in names.items() if config.get(theirs)}
    if kind in ("Adam", "AdamW"):
        options |= {
            "betas": (config.get("beta_1", 0.9), config.get("beta_2", 0.999)),
            "eps": config.get("epsilon", 1e-7),
        }
    if config.get("weight_decay"):
        options["weight_decay"] = float(config["weight_decay"])
    return rate if isinstance(rate, Schedule) else float(rate), options

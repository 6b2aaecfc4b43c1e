"""Optimizers, each one update rule for numbers and arrays alike; learning rate schedules; gradient clipping.

Read rules.py first (the update rules), then optimizer.py, optimizers.py and variants.py (the classes), schedule.py and
schedules.py (learning rates), lr_scheduler.py (PyTorch's classes of them), named.py (what `fit` takes).
"""

from typing import TYPE_CHECKING

from tinygrad_edu.elsewhere import habits
from tinygrad_edu.optim import lr_scheduler, rules, schedules
from tinygrad_edu.optim.clip import clip_by_norm, clip_by_value
from tinygrad_edu.optim.conditions import Verdict, robbins_monro
from tinygrad_edu.optim.named import find, optimizer_classes, optimizer_for
from tinygrad_edu.optim.optimizer import Optimizer

globals().update(optimizer_classes())  # optim.SGD, optim.Adam, ...: each is declared once, and found by its name
if TYPE_CHECKING:  # the same for type checkers
    from tinygrad_edu.optim.lbfgs import *  # noqa: F403
    from tinygrad_edu.optim.optimizers import *  # noqa: F403
    from tinygrad_edu.optim.variants import *  # noqa: F403

__all__ = [
    "Optimizer", "Verdict", "clip_by_norm", "clip_by_value", "find", "lr_scheduler", "optimizer_for",
    "robbins_monro", "rules", "schedules",
]  # fmt: skip
__all__ += list(optimizer_classes())

if not TYPE_CHECKING:
    __getattr__, __dir__ = habits(__name__, __all__)

"""Optimizers: one update rule each, on numbers and arrays alike; schedules of the learning rate; gradient clipping."""

from tinygrad_edu.optim import rules, schedules
from tinygrad_edu.optim.clip import clip_by_norm, clip_by_value
from tinygrad_edu.optim.conditions import Verdict, robbins_monro
from tinygrad_edu.optim.lbfgs import LBFGS
from tinygrad_edu.optim.named import find, optimizer_for
from tinygrad_edu.optim.optimizer import Optimizer
from tinygrad_edu.optim.optimizers import SGD, Adagrad, Adam, AdamW, RMSprop, Rprop

__all__ = [
    "LBFGS", "SGD", "Adagrad", "Adam", "AdamW", "Optimizer", "RMSprop", "Rprop", "Verdict", "clip_by_norm",
    "clip_by_value", "find", "optimizer_for", "robbins_monro", "rules", "schedules",
]  # fmt: skip

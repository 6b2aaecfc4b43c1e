"""Optimizers: one update rule each, on numbers and arrays alike."""

from tinygrad_edu.optim.optimizers import SGD, Adam, Optimizer

__all__ = ["SGD", "Adam", "Optimizer"]

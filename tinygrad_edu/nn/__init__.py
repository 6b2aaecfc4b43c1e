"""Layers, models and losses, on both back ends."""

from tinygrad_edu.nn import init, losses
from tinygrad_edu.nn.layers import MLP, Linear, Sequential
from tinygrad_edu.nn.module import Module

__all__ = ["MLP", "Linear", "Module", "Sequential", "init", "losses"]

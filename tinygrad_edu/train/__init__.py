"""Training: the plain loop."""

from tinygrad_edu.train.loop import accuracy, train

__all__ = ["accuracy", "train"]

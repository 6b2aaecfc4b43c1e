"""Small data sets, the same from the same seed, without a network."""

from tinygrad_edu.data.datasets import moons, or_gate, xor_gate

__all__ = ["moons", "or_gate", "xor_gate"]

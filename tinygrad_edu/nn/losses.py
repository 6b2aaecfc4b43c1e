"""Losses on both back ends: of Tensors, or of arrays and lists of Values."""

from tinygrad_edu.core.losses import bce_with_logits, cross_entropy, mse

LOSSES = {loss.name: loss for loss in (mse, bce_with_logits, cross_entropy)}

__all__ = ["LOSSES", "bce_with_logits", "cross_entropy", "mse"]

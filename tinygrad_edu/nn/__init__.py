"""Layers, models and losses, on both back ends."""

from tinygrad_edu.nn import init, losses
from tinygrad_edu.nn.dropout import Dropout
from tinygrad_edu.nn.embedding import Embedding
from tinygrad_edu.nn.layers import MLP, Linear, Sequential
from tinygrad_edu.nn.module import Module
from tinygrad_edu.nn.normalization import BatchNorm, LayerNorm
from tinygrad_edu.nn.recurrent import GRU, LSTM, RNN, Elman
from tinygrad_edu.nn.sequence import detach, last_output

__all__ = [
    "GRU", "LSTM", "MLP", "RNN", "BatchNorm", "Dropout", "Elman", "Embedding", "LayerNorm", "Linear", "Module",
    "Sequential", "detach", "init", "last_output", "losses",
]  # fmt: skip

"""Layers, models and losses, on both back ends.

Read in this order: `module` (finds the parameters), `layers` (Linear, Sequential, MLP), `activations` (one layer for
each row of the table), `convolution`, `pooling`, `normalization`, `attention`, `sequence`, `recurrent`, `cells`,
`lazy`; then `losses`.
"""

from typing import TYPE_CHECKING, Any

from tinygrad_edu.elsewhere import habits
from tinygrad_edu.nn import init, losses
from tinygrad_edu.nn.activations import LAYERS
from tinygrad_edu.nn.attention import MultiHeadAttention, TransformerEncoderLayer, scaled_dot_product_attention
from tinygrad_edu.nn.cells import GRUCell, LSTMCell, RNNCell
from tinygrad_edu.nn.containers import ModuleDict, ModuleList
from tinygrad_edu.nn.convolution import Conv1d, Conv2d, ConvTranspose1d, ConvTranspose2d
from tinygrad_edu.nn.dropout import Dropout
from tinygrad_edu.nn.embedding import Embedding
from tinygrad_edu.nn.hooks import watch
from tinygrad_edu.nn.layers import MLP, Linear, Sequential
from tinygrad_edu.nn.lazy import LazyBatchNorm1d, LazyBatchNorm2d, LazyConv1d, LazyConv2d, LazyLinear
from tinygrad_edu.nn.module import Module
from tinygrad_edu.nn.normalization import BatchNorm, BatchNorm1d, BatchNorm2d, GroupNorm, LayerNorm, RMSNorm
from tinygrad_edu.nn.parameters import Parameter
from tinygrad_edu.nn.pooling import AdaptiveAvgPool2d, AvgPool1d, AvgPool2d, Flatten, MaxPool1d, MaxPool2d
from tinygrad_edu.nn.recurrent import GRU, LSTM, RNN, Elman
from tinygrad_edu.nn.sequence import detach, last_output

globals().update(LAYERS)  # nn.ReLU, nn.Tanh, ...

__all__ = [
    "GRU", "LSTM", "MLP", "RNN", "AdaptiveAvgPool2d", "AvgPool1d", "AvgPool2d", "BatchNorm", "BatchNorm1d",
    "BatchNorm2d", "Conv1d", "Conv2d", "ConvTranspose1d", "ConvTranspose2d", "Dropout", "Elman", "Embedding", "Flatten",
    "GRUCell", "GroupNorm", "LSTMCell", "LayerNorm", "LazyBatchNorm1d", "LazyBatchNorm2d", "LazyConv1d", "LazyConv2d",
    "LazyLinear", "Linear", "MaxPool1d", "MaxPool2d", "Module", "ModuleDict", "ModuleList", "MultiHeadAttention",
    "Parameter", "RMSNorm", "RNNCell", "Sequential", "TransformerEncoderLayer", "detach", "init", "last_output",
    "losses", "scaled_dot_product_attention", "watch",
]  # fmt: skip
__all__ += list(LAYERS)


if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...  # for type checkers: the layers that are made from the table

else:
    __getattr__, __dir__ = habits(__name__, __all__)

"""Attention: each position takes a weighted mean over other positions; with several heads, and as a whole block."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from tinygrad_edu import checks, ops
from tinygrad_edu.core.aliases import ArrayLike, Dtype
from tinygrad_edu.core.one_name import one_name_each
from tinygrad_edu.errors import SettingError, ShapeError
from tinygrad_edu.names import ActivationName, BackEndName, InitializerName
from tinygrad_edu.nn import init as initializers
from tinygrad_edu.nn.activations import find_activation
from tinygrad_edu.nn.dropout import Dropout
from tinygrad_edu.nn.inputs import as_array, as_input, random_generator, refuse_widths
from tinygrad_edu.nn.layers import Linear
from tinygrad_edu.nn.module import Module
from tinygrad_edu.nn.normalization import LayerNorm
from tinygrad_edu.nn.torch_names import batch_comes_first

Init = InitializerName | initializers.Initializer
SHORTEST = 256  # side of the smallest mask in the cache; smaller ones are cut from it


@functools.partial(one_name_each, "scaled_dot_product_attention")
def scaled_dot_product_attention(
    query: ArrayLike,
    key: ArrayLike,
    value: ArrayLike,
    attn_mask: ArrayLike = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    mask: ArrayLike = None,
    causal: bool = False,
    dropout: Any = None,
) -> Any:
    """softmax(Q Kᵀ/√d + mask) V, of queries (..., T, d), keys (..., S, d) and values (..., S, e) → (..., T, e).

    Names and order of the arguments are PyTorch's. (Vaswani et al. 2017)
    A query that may look at no key gets 0, as in PyTorch.
    query: what asks, (..., T, d).
    key: what the queries are compared with, (..., S, d).
    value: what is averaged, (..., S, e).
    attn_mask: booleans, True if a query may look at a key, or numbers that are added to the scores; (T, S), or with
    axes in front.
    dropout_p: PyTorch's rate, 0 alone: a layer draws, dropout=nn.Dropout(0.1).
    is_causal: whether query t sees only the keys 0..t.
    scale: what the products are multiplied by, 1/√d by default.
    mask: a short name of attn_mask.
    causal: a short name of is_causal.
    dropout: a layer for the weights.
    Errors: SettingError for another dropout_p, or what is not a number or no True or False.

    >>> q = np.array([[1.0, 0.0], [0.0, 1.0]])
    >>> scaled_dot_product_attention(q, q, q, causal=True).round(3).tolist()
    [[1.0, 0.0], [0.33, 0.67]]
    """
    what = "the share of weights that are dropped; is_causal comes after it"
    if checks.number("dropout_p", dropout_p, "[0, 1]", "scaled_dot_product_attention", what):
        raise SettingError(f"dropout_p={dropout_p}: a layer draws the mask here, dropout=nn.Dropout({dropout_p})")
    causal = checks.flag("is_causal", causal or is_causal, "scaled_dot_product_attention")
    query, key, value = (as_array(x) if isinstance(x, (list, tuple)) else x for x in (query, key, value))
    if scale is not None:
        query = query * (checks.number("scale", scale) * math.sqrt(int(np.shape(query)[-1])))
    return attend(query, key, value, attn_mask if mask is None else mask, causal, dropout)[0]


def attend(
    query: ArrayLike, key: ArrayLike, value: ArrayLike, mask: ArrayLike, causal: bool, dropout: Any
) -> tuple[Any, Any]:
    """(the output, the weights (..., T, S))."""
    scores = query @ ops.swapaxes(key, -1, -2) * (1.0 / math.sqrt(int(key.shape[-1])))
    seen = lower(np.shape(scores)[-2], np.shape(scores)[-1]) if causal else None
    if seen is not None:
        scores = ops.where(seen, scores, -math.inf)
    if mask is None:
        weights = ops.softmax(scores, axis=-1)
    else:
        plain = np.asarray(mask) if isinstance(mask, (list, tuple)) else mask
        allowed = getattr(getattr(plain, "dtype", None), "kind", "") == "b"
        scores = ops.where(plain, scores, -math.inf) if allowed else scores + plain
        # a NaN in the mask counts as allowed, so that it reaches the result
        allows = plain if allowed else plain != -math.inf
        weights = softmax_of_some(scores, allows if seen is None else allows & seen)
    weights = weights if dropout is None else dropout(weights)
    return weights @ value, weights


def softmax_of_some(scores: ArrayLike, seen: ArrayLike) -> Any:
    """softmax along the last axis; 0 in the rows of queries that see no key, as in PyTorch, where it would be NaN."""
    some = np.any(seen, axis=-1, keepdims=True)
    if isinstance(some, (np.ndarray, np.bool_)) and np.all(some):
        return ops.softmax(scores, axis=-1)
    return ops.where(some, ops.softmax(ops.where(some, scores, 0.0), axis=-1), 0.0)


def lower(rows: ArrayLike, columns: ArrayLike) -> Any:
    """True on and below the diagonal: a slice of a mask that is made once, so that no length is fixed by a trace."""
    sides: list[Any] = [getattr(n, "length", n) for n in (rows, columns)]
    return triangle(max(SHORTEST, 1 << (max(sides) - 1).bit_length()))[:rows, :columns]


@functools.lru_cache(maxsize=8)
def triangle(n: int) -> Any:
    made = np.tril(np.ones((n, n), dtype=bool))
    made.flags.writeable = False
    return made


@batch_comes_first
class MultiHeadAttention(Module):
    """Attention in `num_heads` subspaces in parallel: y = concat(head₁, ..., headₕ) W_oᵀ + b_o.

    headᵢ = softmax(Qᵢ Kᵢᵀ/√d) Vᵢ, with Q = q W_qᵀ + b_q and so on, d = embed_dim/num_heads. (Vaswani et al. 2017)
    The layers are `query`, `key`, `value` and `out`.
    embed_dim: the width of input and output.
    num_heads: h, which has to divide the width.
    dropout: the share of the attention weights that are set to 0 in training.
    bias: whether to add a learned bias.
    causal: whether each position sees only itself and earlier ones.
    init: how the weights are initialized: a function of nn.init, or its name.
    rng: a random generator, or a seed.
    backend: "tensor", or "scalar" for Values.
    dtype: "float64" or "float32".
    Errors: SettingError for bad settings, ShapeError for an input of another width.

    >>> layer = MultiHeadAttention(8, 2, causal=True, rng=0)
    >>> y, weights = layer(np.ones((3, 5, 8)), need_weights=True)
    >>> y.shape, weights.shape, weights.data[0, 0, 1].round(3).tolist()
    ((3, 5, 8), (3, 2, 5, 5), [0.5, 0.5, 0.0, 0.0, 0.0])
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        *,
        causal: bool = False,
        init: Init = "glorot_uniform",
        rng: np.random.Generator | int | None = None,
        backend: BackEndName = "tensor",
        dtype: Dtype = None,
    ) -> None:
        refuse_widths("MultiHeadAttention", embed_dim=embed_dim, num_heads=num_heads)
        checks.number("dropout", dropout, "[0, 1)", "MultiHeadAttention")
        if embed_dim % num_heads:
            raise SettingError(
                f"MultiHeadAttention(embed_dim={embed_dim}, num_heads={num_heads}): the width has to be a multiple of "
                "the number of heads"
            )
        rng = random_generator("MultiHeadAttention", rng)
        self.embed_dim, self.num_heads, self.causal, self.backend = embed_dim, num_heads, causal, backend
        self.query, self.key, self.value, self.out = (
            Linear(embed_dim, embed_dim, bias, init=init, rng=rng, backend=backend, dtype=dtype) for _ in range(4)
        )
        self.dropout = Dropout(dropout, rng=rng) if dropout else None
        self.label_parameters()

    def describe(self) -> str:
        causal = ", causal" if self.causal else ""
        return f"MultiHeadAttention {self.embed_dim}, {self.num_heads} head{'s' * (self.num_heads != 1)}{causal}"

    def forward(
        self,
        query: ArrayLike,
        key: ArrayLike = None,
        value: ArrayLike = None,
        mask: ArrayLike = None,
        *,
        need_weights: bool = False,
    ) -> Any:
        """query (..., T, width) → (..., T, width); with need_weights also the weights (..., heads, T, S).

        `key` (..., S, width) is the query by default, `value` the key. `mask`: see scaled_dot_product_attention.
        """
        key = query if key is None else key
        value = key if value is None else value
        if np.ndim(query) < 2:
            raise ShapeError(f"MultiHeadAttention needs (..., time, {self.embed_dim}), not shape {np.shape(query)}")
        q, k, v = self.in_heads(self.query(query)), self.in_heads(self.key(key)), self.in_heads(self.value(value))
        y, weights = attend(q, k, v, mask, self.causal, self.dropout)
        joined = ops.swapaxes(y, -2, -3)
        y = self.out(ops.reshape(joined, (*np.shape(joined)[:-2], self.embed_dim)))
        return (y, weights) if need_weights else y

    def in_heads(self, x: ArrayLike) -> Any:
        """(..., T, width) → (..., heads, T, width/heads)."""
        split = ops.reshape(x, (*np.shape(x)[:-1], self.num_heads, self.embed_dim // self.num_heads))
        return ops.swapaxes(split, -2, -3)


@batch_comes_first
class TransformerEncoderLayer(Module):
    """A transformer block: attention, then a two-layer network at each position, each with a residual connection.

    x ← x + attention(norm(x)), x ← x + W₂ f(W₁ norm(x) + b₁) + b₂ with `norm_first`; without it, as in the paper and in
    PyTorch, x ← norm(x + attention(x)) and so on. (Vaswani et al. 2017; Xiong et al. 2020)
    d_model: the width of input and output.
    nhead: the number of heads.
    dim_feedforward: the width between the two layers of the network.
    dropout: the share of numbers set to 0 in training: after attention, and within and after the network.
    activation: f, by name.
    layer_norm_eps: ε of the norms.
    norm_first: whether the norms come before attention and network, or after them.
    bias: whether to add a learned bias.
    causal: whether each position sees only itself and earlier ones.
    init: how the weights are initialized: a function of nn.init, or its name.
    rng: a random generator, or a seed.
    backend: "tensor", or "scalar" for Values.
    dtype: "float64" or "float32".

    >>> TransformerEncoderLayer(8, 2, 16, causal=True, norm_first=True, rng=0).eval()(np.ones((3, 5, 8))).shape
    (3, 5, 8)
    """

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: ActivationName = "relu",
        layer_norm_eps: float = 1e-5,
        norm_first: bool = False,
        bias: bool = True,
        *,
        causal: bool = False,
        init: Init = "glorot_uniform",
        rng: np.random.Generator | int | None = None,
        backend: BackEndName = "tensor",
        dtype: Dtype = None,
    ) -> None:
        rng = random_generator("TransformerEncoderLayer", rng)
        own: dict[str, Any] = {"init": init, "rng": rng, "backend": backend, "dtype": dtype}
        self.norm_first, self.activation = norm_first, find_activation(activation)
        self.attention = MultiHeadAttention(d_model, nhead, dropout, bias, causal=causal, **own)
        self.linear1 = Linear(d_model, dim_feedforward, bias, **own)
        self.linear2 = Linear(dim_feedforward, d_model, bias, **own)
        self.norm1, self.norm2 = (
            LayerNorm(d_model, layer_norm_eps, bias=bias, backend=backend, dtype=dtype) for _ in range(2)
        )
        self.dropout = Dropout(dropout, rng=rng) if dropout else None
        self.label_parameters()

    def forward(self, x: ArrayLike, mask: ArrayLike = None) -> Any:
        """x (..., T, d_model) → the same shape."""
        x = as_input(x, self.linear1)
        if self.norm_first:
            x = x + self.drop(self.attention(self.norm1(x), mask=mask))
            return x + self.network(self.norm2(x))
        x = self.norm1(x + self.drop(self.attention(x, mask=mask)))
        return self.norm2(x + self.network(x))

    def network(self, x: ArrayLike) -> Any:
        """The two-layer network that is applied to each position."""
        return self.drop(self.linear2(self.drop(self.activation(self.linear1(x)))))

    def drop(self, x: ArrayLike) -> Any:
        return x if self.dropout is None else self.dropout(x)

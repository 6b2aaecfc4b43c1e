"""From PyTorch: a torch.nn.Module as an nn.Module of this library; one of any forward is run on some inputs.

What each layer is given is compared with what the one before it gave. A row of layers that gives the module's own
outputs is that module.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from itertools import pairwise
from typing import Any

import numpy as np

from tinygrad_edu.core.modes import no_grad
from tinygrad_edu.errors import OperandError
from tinygrad_edu.interop import recurrent
from tinygrad_edu.interop.chain import SAMPLES, Chain, Step
from tinygrad_edu.interop.torch_modules import ACTIVATIONS, LAYERS, chain_of, is_torch, step_of
from tinygrad_edu.nn.layer_modes import modes_kept
from tinygrad_edu.nn.module import Module
from tinygrad_edu.pen import check_arguments

Array = np.ndarray[Any, Any]
RECURRENT = recurrent.GATES["torch"]
KNOWN = {*LAYERS, *ACTIVATIONS, *RECURRENT}
ROWS = 6  # samples that are run; with fewer, two interpretations might agree by chance
CLOSE = 1e-4  # relative, for float32 through a few layers
FUNCTIONS = (  # (function that a forward may call, our name of the activation)
    ("relu", "relu"), ("tanh", "tanh"), ("sigmoid", "sigmoid"), ("nn.functional.leaky_relu", "leaky_relu"),
    ("nn.functional.elu", "elu"), ("nn.functional.gelu", "gelu"), ("nn.functional.silu", "silu"),
    ("nn.functional.softplus", "softplus"), ("sin", "sin"), ("softmax", "softmax"), ("log_softmax", "log_softmax"),
)  # fmt: skip
Shaped = Callable[[Array], Array]  # what a forward does to the shape of X before its first layer


@check_arguments
def from_torch(module: Any, X: Any = None) -> Module:
    """Turn a torch.nn.Module into a Module of this library with the same weights and, in eval mode, the same outputs.

    module: a torch.nn.Sequential, or a module whose forward calls one layer after the other (found by torch.fx), of
    Linear, activations, Dropout, LayerNorm, BatchNorm1d, Embedding and Flatten. A model that nn.MLP can express becomes
    one; one that begins with Flatten is an nn.Sequential, which takes images too.
    X: some inputs. With them RNN, GRU and LSTM are taken too, and forwards that torch.fx cannot follow: the module is
    run on X, and what goes from layer to layer is compared.
    Errors: OperandError for what is not a torch module or no such row of layers, SettingError for a layer that has no
    counterpart; both name it.

    >>> from_torch("a name")
    Traceback (most recent call last):
        ...
    tinygrad_edu.errors.OperandError: from_torch takes a torch.nn.Module, not 'a name'
    """
    chain = chain_of(module) if X is None else chain_from_input(*chain_of_run(module, X))
    return chain.whole()


def chain_from_input(chain: Chain, shaped: Shaped) -> Chain:
    """With a step for what the forward does to the shape of X, if it makes a row of each sample."""
    rows = isinstance(shaped, functools.partial) and len(shaped.keywords["shape"]) == 1
    return Chain((Step("flatten", options=SAMPLES), *chain.steps)) if rows else chain


def chain_of_run(module: Any, X: Any) -> tuple[Chain, Shaped]:
    """(its layers, what is done to the shape of X before them). Errors: OperandError where it is no such row."""
    if not is_torch(module):
        raise OperandError(f"from_torch takes a torch.nn.Module, not {module!r:.60}")
    run = FollowedRun(import_module("torch"), module, X)
    run.refuse_repetition()
    steps, shaped = run.entry()
    steps += steps_of(run.calls[0].layer)
    for before, call in pairwise(run.calls):
        steps += [*run.between(before, call.given, call.layer), *steps_of(call.layer)]
    chain = Chain((*steps, *run.between(run.calls[-1], run.output, None)))
    run.refuse_other_outputs(chain, shaped)
    return chain, shaped


@dataclass(frozen=True)
class LayerCall:
    """A layer, what it was given, and what it gave."""

    layer: Any
    given: Any
    result: Any

    @property
    def times_first(self) -> bool:
        """Does it take and give (times, samples, features)?"""
        return type(self.layer).__name__ in RECURRENT and not self.layer.batch_first


class FollowedRun:
    """One pass of a few samples in eval mode, which leaves no trace."""

    def __init__(self, torch: Any, module: Any, X: Any) -> None:
        self.torch, self.module, self.kind, self.calls = torch, module, type(module).__name__, list[LayerCall]()
        plain = np.asarray(X.detach().cpu() if hasattr(X, "detach") else X)
        # must differ from the length of every other axis, or axes could be confused
        rows = ROWS - 1 if ROWS in plain.shape[1:] else ROWS
        given, first = torch.as_tensor(plain[:rows]), next(module.parameters(), torch.zeros(1))
        indices = any(type(m).__name__ == "Embedding" for m in module.modules())
        self.X = given.long() if indices else given.to(first.dtype)
        layers = [m for m in module.modules() if type(m).__name__ in KNOWN]
        hooks = [layer.register_forward_hook(self.note) for layer in layers]
        try:
            with modes_kept(module), torch.no_grad():
                self.output = module.eval()(self.X)
        except Exception as problem:  # the user's forward may raise anything
            raise OperandError(f"{self.kind}: its forward ends in {type(problem).__name__}: {problem}") from None
        finally:
            for hook in hooks:
                hook.remove()
        if not self.calls or not hasattr(self.output, "shape"):
            raise OperandError(f"{self.kind}: it calls no known layer, or returns several results")

    def note(self, layer: Any, given: tuple[Any, ...], result: Any) -> None:
        self.calls.append(LayerCall(layer, given[0], result))

    def refuse_repetition(self) -> None:
        """Layers that are called twice, and dropout that is not a layer, which a row of steps would lose."""
        trained = [call.layer for call in self.calls if list(call.layer.parameters())]
        if len({id(layer) for layer in trained}) < len(trained):
            raise OperandError(f"{self.kind}: it calls a layer more than once: the model is not a chain of layers")
        if not any(type(m).__name__ == "Dropout" or getattr(m, "dropout", 0.0) for m in self.module.modules()):
            self.refuse_hidden_dropout()

    def refuse_hidden_dropout(self) -> None:
        try:
            twin = copy.deepcopy(self.module).train()
            with self.torch.no_grad():
                one, other = twin(self.X), twin(self.X)
        except Exception:  # it cannot be copied, so nothing is known
            return
        if not self.same(one, other):
            raise OperandError(
                f"{self.kind}: two passes of it differ: it uses dropout as a function, or a random state"
            )

    def entry(self) -> tuple[list[Step], Shaped]:
        """The operations applied to X before the first layer."""
        first = self.calls[0]
        given = first.given.transpose(0, 1) if first.times_first else first.given
        if first.times_first and self.same(first.given, self.X) and self.X.shape[0] != self.X.shape[1]:
            raise OperandError(
                f"{self.kind}: {type(first.layer).__name__} is not batch_first, and is given (samples, times, "
                f"features), {tuple(self.X.shape)}: it would take samples for times"
            )
        if self.same(given, self.X):
            return [], plain_shape
        if len(given) == len(self.X) and self.same(given.reshape(len(given), -1), self.X.reshape(len(given), -1)):
            return [], functools.partial(reshape, shape=tuple(given.shape[1:]))
        if self.X.ndim == 3 and self.same(given, self.X.transpose(1, 2)):
            return [], swap_axes
        raise OperandError(f"{self.kind}: what it does to X before {type(first.layer).__name__} is not a reshape")

    def between(self, before: LayerCall, given: Any, layer: Any) -> list[Step]:
        """The steps from the result of one layer to what the next one was given."""
        times_first = layer is not None and LayerCall(layer, None, None).times_first
        given = given.transpose(0, 1) if times_first and given.ndim == 3 else given
        for steps, value in handoffs(before):
            for name, result in [("", value), *((name, f(value)) for name, f in self.functions(value))]:
                more = [Step("activation", name)] if name else []
                if self.same(result, given):
                    return [*steps, *more]
                if self.same(result.reshape(-1), given.reshape(-1)) and len(result) in given.shape[:2]:
                    flat = result.ndim > 2 and given.ndim == 2 and given.shape[1] > result.shape[-1]
                    return [*steps, *more, *[Step("flatten")] * flat]
        to = "its result" if layer is None else type(layer).__name__
        raise OperandError(f"{self.kind}: what it does between {type(before.layer).__name__} and {to} is not a layer")

    def functions(self, value: Any) -> Iterator[tuple[str, Callable[[Any], Any]]]:
        for path, name in FUNCTIONS:
            function = functools.reduce(getattr, path.split("."), self.torch)
            yield name, functools.partial(function, dim=-1) if "softmax" in name else function

    def same(self, a: Any, b: Any) -> bool:
        return tuple(a.shape) == tuple(b.shape) and bool(self.torch.allclose(a.double(), b.double(), CLOSE, 1e-6))

    def refuse_other_outputs(self, chain: Chain, shaped: Shaped) -> None:
        """The proof: the row gives what the module gives."""
        with no_grad():
            found = chain.whole().eval()(shaped(self.X.numpy().astype(float)))
            ours = found if isinstance(found, np.ndarray) else found.numpy()  # a Flatten alone gives plain arrays
        theirs = self.output.numpy()
        if ours.size != theirs.size or not np.allclose(ours.reshape(theirs.shape), theirs, 10 * CLOSE, 10 * CLOSE):
            raise OperandError(f"{self.kind}: its layers, applied one after the other, do not give its result")


def handoffs(call: LayerCall) -> Iterator[tuple[list[Step], Any]]:
    """The parts of a layer's result that a forward may use."""
    if not isinstance(call.result, tuple):
        yield [], call.result
        return
    outputs = call.result[0].transpose(0, 1) if call.times_first else call.result[0]
    yield [Step("outputs", "last")], outputs[:, -1]
    yield [Step("outputs", "all")], outputs
    if call.layer.bidirectional:  # the last states of both directions, concatenated
        half, concatenate = outputs.shape[-1] // 2, import_module("torch").cat
        yield [Step("outputs", "ends concat")], concatenate([outputs[:, -1, :half], outputs[:, 0, half:]], -1)


def steps_of(layer: Any) -> list[Step]:
    """A layer as steps."""
    return [recurrent.of_torch(layer)] if type(layer).__name__ in RECURRENT else step_of(layer)


def plain_shape(X: Array) -> Array:
    return X


def reshape(X: Array, shape: tuple[int, ...]) -> Array:
    return X.reshape(len(X), *shape)


def swap_axes(X: Array) -> Array:
    return np.ascontiguousarray(np.swapaxes(X, 1, 2))

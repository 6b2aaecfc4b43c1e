"""A torch.nn.Module of any form: what one forward and one backward pass show for certain."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, ClassVar

import numpy as np

from tinygrad_edu.clinic.diagnosis.one_pass import Pass, cut, look_through, names_in_short
from tinygrad_edu.clinic.diagnosis.result import Diagnosis, FoundCause
from tinygrad_edu.clinic.diagnosis.symptoms.symptom import Symptom
from tinygrad_edu.core.aliases import Model, Samples
from tinygrad_edu.errors import TinygradError
from tinygrad_edu.interop import training
from tinygrad_edu.nn.layer_modes import modes_kept

Array = np.ndarray[Any, Any]
KINDS = {  # our loss -> (kind, whether it takes logits)
    "nll": ("nll", False), "bce": ("bce", False), "bce_with_logits": ("bce", True),
    "cross_entropy": ("cross_entropy", True),
}  # fmt: skip
ENDS = {"SigmoidBackward": "sigmoid", "TanhBackward": "tanh", "ReluBackward": "relu", "SoftmaxBackward": "softmax"}
SAME_NUMBERS = ("SqueezeBackward", "UnsqueezeBackward", "ViewBackward", "ReshapeAliasBackward", "UnsafeViewBackward")


def looked_through(module: Model, X: Samples, y: Samples, loss: Any, optimizer: Any, why_not: str) -> Diagnosis:
    """The certain causes, and what was noticed. why_not: why it was not trained again."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns about shapes that broadcast, which is checked here anyway
        return look_through(lambda: TorchPass(module, X, y, loss, optimizer), why_not)


class TorchPass(Pass):
    """One forward and one backward pass, which leave no trace in the module."""

    words: ClassVar[Mapping[str, str]] = {
        "mixed_samples": "In PyTorch: nn.LSTM(..., batch_first=True) for inputs (samples, times, features), and "
        "softmax(dim=1), which dim=0 would take over the samples.",
        "broadcast_in_loss": "In PyTorch: loss(model(X), y.reshape(-1, 1)).",
        "softmax_of_one": "In PyTorch: no nn.Softmax() at the end, and nn.BCEWithLogitsLoss().",
        "two_softmaxes": "In PyTorch: no nn.Softmax() before nn.CrossEntropyLoss().",
        "two_sigmoids": "In PyTorch: no nn.Sigmoid() before nn.BCEWithLogitsLoss().",
        "log_probabilities": "In PyTorch: nn.CrossEntropyLoss(), or nn.LogSoftmax(dim=1) before nn.NLLLoss().",
        "batch_norm_statistics": "In PyTorch: nn.BatchNorm1d(..., momentum=0.1), which is 1 - Keras' momentum.",
        "targets_out_of_range": "In PyTorch: no activation after the last nn.Linear.",
        "unknown": "In PyTorch: nn.ModuleList([...]) instead of a list, nn.Parameter(...) instead of a tensor.",
        "cut off": "In PyTorch: call the layer in forward, without .detach(), .data, .item(), .numpy() or no_grad() "
        "behind it.",
        "outside": "In PyTorch: torch.optim.SGD(model.parameters(), lr=...), made after the model has all its layers.",
    }

    def __init__(self, module: Model, X: Samples, y: Samples, loss: Any, optimizer: Any) -> None:
        self.torch, self.module, self.loss, self.optimizer = import_module("torch"), module, loss, optimizer
        self.parameters = dict(module.named_parameters())
        self.kind = next((p.dtype for p in self.parameters.values()), self.torch.float32)
        self.X, targets = cut(X), self.tensor(cut(y))
        self.y = targets.numpy()
        self.loss_kind, self.takes_logits = loss_kind(loss)
        before = {name: p.grad for name, p in self.parameters.items()}
        try:
            with modes_kept(module):
                output = module.eval()(self.tensor(self.X))
            value = loss(output, targets)
            module.zero_grad(set_to_none=True)
            self.leaves = list(leaves_of(value.grad_fn))
            value.backward()
            self.gradients = {
                name: None if p.grad is None else float(p.grad.norm()) for name, p in self.parameters.items()
            }
        finally:
            for name, p in self.parameters.items():
                p.grad = before[name]
        self.output, self.value, self.ends_in = output.detach().numpy(), float(value.detach()), last_of(output)

    def tensor(self, data: Any) -> Any:
        found = self.torch.as_tensor(data)
        return found.to(self.kind) if found.is_floating_point() else found

    def forward(self, X: Any) -> Array:
        with self.torch.no_grad(), modes_kept(self.module):
            return np.asarray(self.module.eval()(self.tensor(np.ascontiguousarray(X))).numpy())

    def loss_of(self, output: Array, y: Array) -> float:
        return float(self.loss(self.torch.as_tensor(output), self.torch.as_tensor(y)))

    def causes(self) -> Iterator[FoundCause]:
        yield from super().causes()
        yield from self.no_log_probabilities()

    def not_trained(self) -> Iterator[FoundCause]:
        """Parameters that get no gradient, or that no optimizer holds."""
        held = None
        if hasattr(self.optimizer, "param_groups"):
            held = {id(p) for group in self.optimizer.param_groups for p in group["params"]}
        learning = {name: p for name, p in self.parameters.items() if p.requires_grad}
        outside = [name for name, p in learning.items() if held is not None and id(p) not in held]
        idle = [name for name in learning if self.gradients[name] is None]
        known = {id(p) for p in self.parameters.values()}
        strange = [leaf for leaf in self.leaves if id(leaf) not in known]
        if strange:
            shapes = ", ".join(str(tuple(leaf.shape)) for leaf in strange[:4])
            yield self.named(
                "unregistered_parameters", f"{len(strange)} tensors of shape {shapes} are not in model.parameters().",
                "the loss of one pass depends on them, they require a gradient, but the module does not know them.",
                "unknown",
            )  # fmt: skip
        elif outside:
            yield self.named(
                "unregistered_parameters", f"The optimizer does not hold {names_in_short(outside)}.",
                "it only changes what is in its groups.", "outside",
            )  # fmt: skip
        elif idle and len(idle) < len(self.gradients):
            yield self.named(
                "unregistered_parameters", f"No gradient reaches {names_in_short(idle)}.",
                "the loss of one pass does not depend on them: their layers are not called, or their results are cut "
                "off (detach, .item(), no_grad).", "cut off",
            )  # fmt: skip

    def fixed(self) -> list[str]:
        return [name for name, p in self.parameters.items() if not p.requires_grad]

    def no_log_probabilities(self) -> Iterator[FoundCause]:
        """Raw outputs where the loss takes logarithms of probabilities: it has no smallest value."""
        if self.loss_kind != "nll" or self.output.ndim != 2:
            return
        total = np.exp(self.output).sum(1)
        if bool((np.abs(total - 1.0) > 1e-2).any()):
            yield self.named(
                "wrong_loss",
                f"NLLLoss takes log-probabilities; exponentials of the outputs sum to {float(total[0]):.3g}, not 1.",
                "the loss of a sample is minus its output for the right class: it falls without end as outputs grow, "
                "whatever the other outputs are.", "log_probabilities",
            )  # fmt: skip

    def by_own_statistics(self) -> Array | None:
        if not any("BatchNorm" in type(module).__name__ for module in self.module.modules()):
            return None
        try:
            twin = copy.deepcopy(self.module).train()
            for module in twin.modules():
                if "Dropout" in type(module).__name__:
                    module.eval()
            with self.torch.no_grad():
                return np.asarray(twin(self.tensor(self.X)).numpy())
        except Exception:  # it cannot be copied, or not be run this way
            return None

    def symptoms(self) -> Iterator[Symptom]:
        yield from super().symptoms()
        zero = [name for name, size in self.gradients.items() if size == 0.0]
        if zero:
            yield Symptom(
                "dead_end", 1.0, 1.0, f"The gradient of {names_in_short(zero)} is exactly 0 on {len(self.y)} samples."
            )


def loss_kind(loss: Any) -> tuple[str, bool]:
    """(the loss by our name, does it take logits?); ("", False) for one that has none here."""
    try:
        name = training.torch_loss(loss)
    except TinygradError:
        return "", False
    return KINDS.get(name, (name, False))


def last_of(output: Any) -> str:
    """Our name of the operation that made an output, shapes aside; "" for any other."""
    node = output.grad_fn
    while node is not None and type(node).__name__.rstrip("0123456789") in SAME_NUMBERS:
        node = node.next_functions[0][0]
    return ENDS.get(type(node).__name__.rstrip("0123456789"), "")


def leaves_of(node: Any) -> Iterator[Any]:
    """The tensors that want a gradient, at the ends of the graph of a loss."""
    seen, waiting = set[Any](), [node]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            yield node.variable
        waiting += [parent for parent, _ in node.next_functions]

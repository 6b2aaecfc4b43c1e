"""A torch.nn.Module of any form: what one forward and one backward pass show for certain, without training it again."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from tinygrad_edu.clinic.diagnosis.causes.table import BY_CODE, PROVED_OTHERWISE
from tinygrad_edu.clinic.diagnosis.result import Diagnosis, FoundCause
from tinygrad_edu.clinic.diagnosis.symptoms.symptom import Symptom
from tinygrad_edu.core.aliases import ArrayLike, Model, Samples
from tinygrad_edu.nn.layer_modes import modes_kept

ROWS = 256
CLOSE = 1e-5  # relative: float32 rounds at 6e-8
AT_CHANCE = 0.02
OFF, LEAST = 3.0, 0.02  # times the loss by a batch's own statistics, at least so much, that running ones may give


def looked_through(module: Model, X: Samples, y: Samples, loss: Any, optimizer: Any, why_not: str) -> Diagnosis:
    """The certain causes, and what was noticed. why_not: why it was not trained again."""
    torch = import_module("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of shapes that broadcast, which is what is looked for
        try:
            seen = Pass(torch, module, X, y, loss, optimizer)
            causes, symptoms = list(seen.causes()), list(seen.symptoms())
        except Exception as problem:  # whatever somebody's own forward raises
            text = f"One pass ends in {type(problem).__name__}: {problem}"
            return Diagnosis(False, [], summary=text, not_checked=[why_not])
    summary = "One pass shows nothing that is certainly wrong."
    summary = f"The module cannot learn as it is: {causes[0].code}." if causes else summary
    healthy = False if causes else None
    return Diagnosis(healthy, causes, summary=summary, symptoms=symptoms, not_checked=[why_not])


class Pass:
    """One forward and one backward pass, which leave no trace in the module."""

    def __init__(self, torch: Any, module: Model, X: Samples, y: Samples, loss: Any, optimizer: Any) -> None:
        self.torch, self.module, self.loss, self.optimizer = torch, module, loss, optimizer
        self.named = dict(module.named_parameters())
        kind = next((p.dtype for p in self.named.values()), torch.float32)
        self.X, self.y = self.tensor(X, kind), self.tensor(y, kind)
        before = {name: p.grad for name, p in self.named.items()}
        try:
            with modes_kept(module):
                self.output = module.eval()(self.X)
            self.value = loss(self.output, self.y)
            module.zero_grad(set_to_none=True)
            self.leaves = list(leaves_of(self.value.grad_fn))
            self.value.backward()
            self.gradients = {name: None if p.grad is None else float(p.grad.norm()) for name, p in self.named.items()}
        finally:
            for name, p in self.named.items():
                p.grad = before[name]

    def tensor(self, data: Samples, kind: Any) -> Any:
        found = self.torch.as_tensor(data)[:ROWS]
        return found.to(kind) if found.is_floating_point() else found

    def causes(self) -> Iterator[FoundCause]:
        yield from self.mixed_samples()
        yield from self.broadcast()
        yield from self.not_trained()
        yield from self.softmax_of_one()
        yield from self.two_softmaxes()
        yield from self.no_log_probabilities()
        yield from self.batch_statistics()

    def mixed_samples(self) -> Iterator[FoundCause]:
        """Outputs that are others when the same samples come in another order."""
        try:
            with self.torch.no_grad():
                ways = [self.eval_of(self.X), self.eval_of(self.X), self.eval_of(self.X.flip(0)).flip(0)]
        except Exception:  # a forward that takes one size of batch
            return
        if any(way.shape[:1] != self.X.shape[:1] for way in ways) or not self.close(ways[0], ways[1]):
            return
        if not self.close(ways[0], ways[2]):
            away = float((ways[0] - ways[2]).abs().max())
            yield otherwise(
                "mixed_samples", f"X has shape {tuple(self.X.shape)}; in reverse order samples get different outputs.",
                f"the largest difference is {away:.3g}, of outputs of at most {float(ways[0].abs().max()):.3g}. In "
                "PyTorch: nn.LSTM(..., batch_first=True) for inputs (samples, times, features).",
            )  # fmt: skip

    def eval_of(self, X: Samples) -> Any:
        with modes_kept(self.module):
            return self.module.eval()(X)

    def close(self, a: ArrayLike, b: ArrayLike) -> bool:
        return a.shape == b.shape and bool(self.torch.allclose(a, b, 1e-3, 1e-4 * float(a.abs().max())))

    def broadcast(self) -> Iterator[FoundCause]:
        """The loss of permuted targets is the same."""
        if tuple(self.output.shape) == tuple(self.y.shape) or len(self.y) < 3:
            return
        order = self.torch.randperm(len(self.y), generator=self.torch.Generator().manual_seed(0))
        noise = self.torch.rand(self.output.shape, generator=self.torch.Generator().manual_seed(1)).to(
            self.output.dtype
        )
        try:
            paired, permuted = float(self.loss(noise, self.y)), float(self.loss(noise, self.y[order]))
        except Exception:  # a loss that needs the outputs of its own network
            return
        different = bool((self.y != self.y[order]).any())
        if different and abs(paired - permuted) <= CLOSE * max(abs(paired), 1e-12):
            yield otherwise(
                "broadcast_in_loss", f"Outputs have shape {tuple(self.output.shape)}, targets {tuple(self.y.shape)}.",
                f"the loss of {len(self.y)} random outputs is {paired:.6g} with the targets as they are, and "
                f"{permuted:.6g} with the targets permuted. In PyTorch: loss(model(X), y.reshape(-1, 1)).",
            )  # fmt: skip

    def not_trained(self) -> Iterator[FoundCause]:
        """Parameters that get no gradient, or that no optimizer holds."""
        held = None
        if hasattr(self.optimizer, "param_groups"):
            held = {id(p) for group in self.optimizer.param_groups for p in group["params"]}
        outside = [name for name, p in self.named.items() if held is not None and id(p) not in held]
        idle = [name for name, size in self.gradients.items() if size is None and self.named[name].requires_grad]
        known = {id(p) for p in self.named.values()}
        strange = [leaf for leaf in self.leaves if id(leaf) not in known]
        if strange:
            shapes = ", ".join(str(tuple(leaf.shape)) for leaf in strange[:4])
            yield otherwise(
                "unregistered_parameters", f"{len(strange)} tensors of shape {shapes} are not in model.parameters().",
                "the loss of one pass depends on them, they require a gradient, but the module does not know them. In "
                "PyTorch: nn.ModuleList([...]) instead of a list, nn.Parameter(...) instead of a tensor.",
            )  # fmt: skip
        elif outside:
            yield otherwise(
                "unregistered_parameters", f"The optimizer does not hold {named(outside)}.",
                "it only changes what is in its groups. In PyTorch: torch.optim.SGD(model.parameters(), lr=...), "
                "made after the model has all its layers.",
            )  # fmt: skip
        elif idle and len(idle) < len(self.gradients):
            yield otherwise(
                "unregistered_parameters", f"No gradient reaches {named(idle)}.",
                "the loss of one pass does not depend on them: their layers are not called, or their results are cut "
                "off (detach, .item(), no_grad).",
            )  # fmt: skip

    def softmax_of_one(self) -> Iterator[FoundCause]:
        """One output that is 1 for every sample."""
        shape = tuple(self.output.shape)
        if len(shape) == 2 and shape[1] == 1 and bool((self.output == 1.0).all()):
            cause = BY_CODE["wrong_output_activation"]
            yield FoundCause(
                cause.code, cause.sentence, "The one output is 1 for every sample.",
                "a softmax over one output is 1 whatever the weights are, and its gradient is 0.",
                f"{cause.remedy} In PyTorch: no nn.Softmax() at the end, and nn.BCEWithLogitsLoss().",
            )  # fmt: skip

    def two_softmaxes(self) -> Iterator[FoundCause]:
        """Probabilities where the loss takes logits and makes probabilities of them itself."""
        if type(self.loss).__name__ != "CrossEntropyLoss" or self.output.ndim != 2 or self.output.shape[1] < 2:
            return
        rows = self.output.detach()
        if bool((rows >= 0.0).all()) and bool(((rows.sum(1) - 1.0).abs() < 1e-4).all()):
            cause = BY_CODE["wrong_loss"]
            best = -math.log(math.e / (math.e + rows.shape[1] - 1.0))
            yield FoundCause(
                cause.code, cause.sentence, "The outputs of each sample are between 0 and 1 and add up to 1.",
                "CrossEntropyLoss takes logits and has its own softmax: for probabilities its smallest value is "
                f"{best:.3g}, and its gradient is small.",
                f"{cause.remedy} In PyTorch: no nn.Softmax() before nn.CrossEntropyLoss().",
            )  # fmt: skip

    def no_log_probabilities(self) -> Iterator[FoundCause]:
        """Raw outputs where the loss takes logarithms of probabilities: it has no smallest value."""
        if type(self.loss).__name__ != "NLLLoss" or self.output.ndim != 2:
            return
        total = self.output.detach().exp().sum(1)
        if bool(((total - 1.0).abs() > 1e-2).any()):
            cause = BY_CODE["wrong_loss"]
            yield FoundCause(
                cause.code, cause.sentence,
                f"NLLLoss takes log-probabilities; exponentials of the outputs sum to {float(total[0]):.3g}, not 1.",
                "the loss of a sample is minus its output for the right class: it falls without end as outputs grow, "
                "whatever the other outputs are.",
                f"{cause.remedy} In PyTorch: nn.CrossEntropyLoss(), or nn.LogSoftmax(dim=1) before nn.NLLLoss().",
            )  # fmt: skip

    def batch_statistics(self) -> Iterator[FoundCause]:
        """BatchNorm that, after training, gives other numbers by its running statistics than by those of the data."""
        if not any("BatchNorm" in type(module).__name__ for module in self.module.modules()):
            return
        try:
            twin = copy.deepcopy(self.module).train()
            for module in twin.modules():
                if "Dropout" in type(module).__name__:
                    module.eval()
            with self.torch.no_grad():
                own = float(self.loss(twin(self.X), self.y))
        except Exception:  # it cannot be copied, or not be run so
            return
        running = float(self.value.detach())
        if running > OFF * max(own, LEAST):
            cause = BY_CODE["batch_norm_statistics"]
            yield FoundCause(
                cause.code, cause.sentence, "The model has BatchNorm.",
                f"with the statistics of these {len(self.X)} samples the loss is {own:.4g}, with the running ones, "
                f"which model.eval() uses, {running:.4g}.",
                f"{cause.remedy} In PyTorch: nn.BatchNorm1d(..., momentum=0.1), which is 1 - Keras' momentum.",
            )  # fmt: skip

    def symptoms(self) -> Iterator[Symptom]:
        """Numbers that are worth a look."""
        value = float(self.value.detach())
        classes = round(math.exp(min(value, 7.0))) if value > 0.5 else 0
        if classes >= 2 and abs(value - math.log(classes)) < AT_CHANCE * value:
            yield Symptom(
                "at_chance", 1.0, 1.0, f"The loss is {value:.4g}, about log({classes}), the loss of guessing."
            )
        zero = [name for name, size in self.gradients.items() if size == 0.0]
        if zero:
            yield Symptom("dead_end", 1.0, 1.0, f"The gradient of {named(zero)} is exactly 0 on {len(self.X)} samples.")
        if not math.isfinite(value):
            yield Symptom("divergence", math.inf, 1.0, f"The loss is {value}.")


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


def named(names: list[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def otherwise(code: str, seen: str, proof: str) -> FoundCause:
    sentence, remedy = PROVED_OTHERWISE[code]
    return FoundCause(code, sentence, seen, proof, remedy)

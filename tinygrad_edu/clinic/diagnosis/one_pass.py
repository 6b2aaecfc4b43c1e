"""What one pass through a network of another library shows for certain, without training it again."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from tinygrad_edu.clinic.diagnosis.causes.table import texts_of
from tinygrad_edu.clinic.diagnosis.result import Diagnosis, FoundCause
from tinygrad_edu.clinic.diagnosis.symptoms.symptom import Symptom
from tinygrad_edu.core.aliases import Samples
from tinygrad_edu.nn.layers import find_activation, range_of

Array = np.ndarray[Any, Any]
ROWS = 256
CLOSE = 1e-5  # relative; float32 rounds at 6e-8
AT_CHANCE = 0.02
# the loss with running statistics may be 3 times that with the batch's own (taken as at least 0.02)
OFF, LEAST = 3.0, 0.02
REACHED = 0.9  # share of the targets' variance; a network that explains this much has no fault that matters
SUMS = 1e-4  # tolerance for the sum of float32 probabilities
MOST_CLASSES = 20  # distinct target values up to which a custom loss may be one for classes
FOR_NUMBERS = ("mse", "mae", "huber")


def look_through(make: Callable[[], Pass], why_not: str) -> Diagnosis:
    """The certain causes, and what was noticed. why_not: why the network was not trained again."""
    try:
        seen = make()
        causes, symptoms = list(seen.causes()), list(seen.symptoms())
        explained = seen.explained(seen.output)
    except Exception as problem:  # the user's forward may raise anything
        text = f"One pass ends in {type(problem).__name__}: {problem}"
        return Diagnosis(None, [], summary=text, not_checked=[why_not])
    mixed = any(cause.code == "mixed_samples" for cause in causes)  # good results of whole batches do not count then
    if causes and explained >= REACHED and not mixed:
        noticed = [Symptom(cause.code, 1.0, 1.0, cause.evidence) for cause in causes]
        text = f"As it is, the network explains {explained:.1%} of the targets of {len(seen.y)} samples."
        return Diagnosis(None, [], summary=text, symptoms=[*noticed, *symptoms], not_checked=[why_not])
    summary = "One pass shows nothing that is certainly wrong."
    summary = f"The module cannot learn as it is: {causes[0].code}." if causes else summary
    return Diagnosis(False if causes else None, causes, summary=summary, symptoms=symptoms, not_checked=[why_not])


def rows_of(X: Any, rows: slice) -> Any:
    """Some samples of an array, or of each of several inputs."""
    if isinstance(X, Mapping):
        return {name: x[rows] for name, x in X.items()}
    return [x[rows] for x in X] if isinstance(X, (list, tuple)) else X[rows]


class Pass:
    """One pass of the first samples: `output` and the loss `value`; each library says how to get them.

    words: by the code of a cause, what to do in that library; loss_kind: the loss by our name, "" where it has none;
    ends_in: our name of the last activation, "" where it is not known.
    """

    words: ClassVar[Mapping[str, str]] = {}
    X: Any
    y: Array
    output: Array
    value: float
    loss_kind: str = ""
    takes_logits: bool = False
    ends_in: str = ""

    def forward(self, X: Any) -> Array:
        """The network's outputs in evaluation mode."""
        raise NotImplementedError

    def loss_of(self, output: Array, y: Array) -> float:
        """The loss of any outputs."""
        raise NotImplementedError

    def causes(self) -> Iterator[FoundCause]:
        for check in (
            self.mixed_samples, self.broadcast, self.not_trained, self.softmax_of_one, self.two_softmaxes,
            self.no_probabilities, self.two_sigmoids, self.out_of_reach, self.batch_statistics,
        ):  # fmt: skip
            yield from check()

    def named(self, code: str, seen: str, proof: str, words: str = "") -> FoundCause:
        """A cause, with what to do in the words of the library."""
        sentence, remedy = texts_of(code)
        how = self.words.get(words or code, "")
        return FoundCause(code, sentence, seen, proof, f"{remedy} {how}".strip())

    def mixed_samples(self) -> Iterator[FoundCause]:
        """The cause, if outputs change when the same samples come in another order, or without half of the others."""
        back, half = slice(None, None, -1), slice(len(self.y) // 2)
        try:
            once, again = self.forward(self.X), self.forward(self.X)
            turned, fewer = self.forward(rows_of(self.X, back))[back], self.forward(rows_of(self.X, half))
        except Exception:  # the forward may accept only one batch size
            return
        if any(way.shape[:1] != self.y.shape[:1] for way in (once, again, turned)) or not close(once, again):
            return
        for how, ours, theirs in (("in reverse order", once, turned), ("in half a batch", once[half], fewer)):
            if not close(ours, theirs):
                away = float(np.abs(ours - theirs).max()) if ours.shape == theirs.shape else math.inf
                yield self.named(
                    "mixed_samples", f"X has shape {shape_of(self.X)}; {how} samples get different outputs.",
                    f"the largest difference is {away:.3g}, of outputs of at most {np.abs(once).max():.3g}.",
                )  # fmt: skip
                return

    def broadcast(self) -> Iterator[FoundCause]:
        """The cause, if the loss of permuted targets is the same: it compares every output with every target."""
        if self.output.shape == self.y.shape or len(self.y) < 3:
            return
        order = np.random.default_rng(0).permutation(len(self.y))
        noise = np.asarray(np.random.default_rng(1).random(self.output.shape), self.output.dtype)
        try:
            paired, permuted = self.loss_of(noise, self.y), self.loss_of(noise, self.y[order])
        except Exception:  # the loss may need outputs of its own network
            return
        different = bool((self.y != self.y[order]).any())
        if different and abs(paired - permuted) <= CLOSE * max(abs(paired), 1e-12):
            yield self.named(
                "broadcast_in_loss", f"Outputs have shape {self.output.shape}, targets {self.y.shape}.",
                f"the loss of {len(self.y)} random outputs is {paired:.6g} with the targets as they are, and "
                f"{permuted:.6g} with the targets permuted.",
            )  # fmt: skip

    def not_trained(self) -> Iterator[FoundCause]:
        """The cause, if parameters do not change."""
        yield from ()

    def softmax_of_one(self) -> Iterator[FoundCause]:
        """The cause, if a single output is 1 for every sample."""
        shape = self.output.shape
        if len(shape) == 2 and shape[1] == 1 and bool((self.output == 1.0).all()) and self.ends_in in ("softmax", ""):
            yield self.named(
                "wrong_output_activation", "The one output is 1 for every sample.",
                "a softmax over one output is 1 whatever the weights are, and its gradient is 0.", "softmax_of_one",
            )  # fmt: skip

    @property
    def sums_to_one(self) -> bool:
        """Are the outputs of each sample probabilities of several classes?"""
        rows = self.output
        several = rows.ndim == 2 and rows.shape[1] > 1
        return several and bool((rows >= 0.0).all() and (np.abs(rows.sum(1) - 1.0) < SUMS).all())

    def two_softmaxes(self) -> Iterator[FoundCause]:
        """The cause, if the outputs are probabilities and the loss makes probabilities of them once more."""
        if self.loss_kind != "cross_entropy" or not self.takes_logits or not self.sums_to_one:
            return
        best = -math.log(math.e / (math.e + self.output.shape[1] - 1.0))
        yield self.named(
            "wrong_loss", "The outputs of each sample are between 0 and 1 and add up to 1.",
            "the loss takes logits and has its own softmax: for probabilities its smallest value is "
            f"{best:.3g}, and its gradient is small.", "two_softmaxes",
        )  # fmt: skip

    def no_probabilities(self) -> Iterator[FoundCause]:
        """The cause, if the loss takes logarithms of outputs that are not probabilities."""
        if self.takes_logits or self.loss_kind not in ("bce", "cross_entropy"):
            return
        low, high = float(self.output.min()), float(self.output.max())
        if low < 0.0 or (self.loss_kind == "bce" and high > 1.0):
            outside = float(np.mean((self.output < 0.0) | (self.output > 1.0)))
            yield self.named(
                "wrong_output_activation",
                f"The loss takes probabilities; the outputs go from {low:.3g} to {high:.3g}.",
                f"log(p) exists for p above 0 only; {outside:.0%} of the outputs are not between 0 and 1, and pass no "
                "gradient where the loss cuts them off.", "no_probabilities",
            )  # fmt: skip

    def two_sigmoids(self) -> Iterator[FoundCause]:
        """The cause, if the outputs are probabilities of two classes and the loss takes logits."""
        if self.loss_kind == "bce" and self.takes_logits and self.ends_in == "sigmoid":
            yield self.named(
                "wrong_loss", "The network ends in a sigmoid, and the loss has its own.",
                "of a logit between 0 and 1 the sigmoid is between 0.5 and 0.731: no sample can be given less than "
                "half, whatever the weights are.", "two_sigmoids",
            )  # fmt: skip

    def out_of_reach(self) -> Iterator[FoundCause]:
        """The cause, if the last activation cannot give the targets, but only the nearest numbers in its range."""
        several = len(np.unique(self.y)) > MOST_CLASSES
        numbers = self.loss_kind in FOR_NUMBERS or (not self.loss_kind and several)
        if not numbers or not self.ends_in or self.y.size != self.output.size:
            return
        low, high = range_of(find_activation(self.ends_in))
        t = self.y.astype(float)
        share = r_squared(np.clip(t, low, high), t)
        if share < REACHED:
            yield self.named(
                "targets_out_of_range",
                f"The targets go from {t.min():.3g} to {t.max():.3g}; a {self.ends_in} gives {low:g} to {high:g}.",
                "a network that gives for each target the nearest number that it can has an R² of "
                f"{share:.3g}, and no network that ends so can do better.",
            )  # fmt: skip

    def batch_statistics(self) -> Iterator[FoundCause]:
        """The cause, if BatchNorm does well with the statistics of the data, and badly with its running ones."""
        output = self.by_own_statistics()
        if output is None:
            return
        own, explained = self.loss_of(output, self.y), self.explained(output)
        if self.value > OFF * max(own, LEAST) and (explained >= REACHED or explained == -math.inf):
            yield self.named(
                "batch_norm_statistics", "The model has BatchNorm.",
                f"with the statistics of these {len(self.y)} samples the loss is {own:.4g}, with the running ones, "
                f"which are used after training, {self.value:.4g}.",
            )  # fmt: skip

    def by_own_statistics(self) -> Array | None:
        """The output when BatchNorm uses those of these samples; None where there is no BatchNorm."""
        return None

    def fixed(self) -> list[str]:
        """Name frozen weights or layers. They may be intended: they may have been trained before."""
        return []

    def symptoms(self) -> Iterator[Symptom]:
        """Sentences on numbers that are worth a look, though they prove nothing."""
        value = self.value
        if fixed := self.fixed():
            yield Symptom("fixed_weights", 1.0, 1.0, f"Told not to learn: {names_in_short(fixed)}.")
        classes = {"bce": 2, "cross_entropy": self.output.shape[-1], "nll": self.output.shape[-1]}.get(
            self.loss_kind, 0
        )
        if classes >= 2 and abs(value - math.log(classes)) < AT_CHANCE * value:
            yield Symptom(
                "at_chance", 1.0, 1.0, f"The loss is {value:.4g}, about log({classes}), the loss of guessing."
            )
        if len(self.y) > 1 and np.ptp(self.output, axis=0).max(initial=0.0) <= CLOSE * np.abs(self.output).max():
            yield Symptom("dead_end", 1.0, 1.0, f"The output is the same for each of {len(self.y)} samples.")
        if not math.isfinite(value):
            yield Symptom("divergence", math.inf, 1.0, f"The loss is {value}.")

    def explained(self, output: Array) -> float:
        """How well the outputs explain the targets: R², or the share above guessing; -inf where that is unclear."""
        if self.loss_kind in FOR_NUMBERS and self.y.size == output.size:
            return r_squared(output.reshape(self.y.shape), self.y.astype(float))
        if self.loss_kind in ("cross_entropy", "nll") and output.ndim == 2:
            labels = self.y if self.y.ndim == 1 or self.y.shape[1] == 1 else self.y.argmax(1)
            return above_chance(output.argmax(1), labels.reshape(-1))
        if self.loss_kind == "bce" and self.y.size == output.size:
            half = 0.0 if self.takes_logits else 0.5
            return above_chance(output.reshape(-1) > half, self.y.reshape(-1) > 0.5)
        return -math.inf


def shape_of(X: Any) -> str:
    """The shape of the inputs, or of each of several inputs."""
    several = X.values() if isinstance(X, Mapping) else X if isinstance(X, (list, tuple)) else [X]
    return ", ".join(str(tuple(np.shape(x))) for x in several)


def close(a: Array, b: Array) -> bool:
    return a.shape == b.shape and bool(np.allclose(a, b, 1e-3, 1e-4 * float(np.abs(a).max(initial=0.0))))


def r_squared(estimate: Array, t: Array) -> float:
    """R²; -inf if the numbers are all the same or the estimate is not finite."""
    spread = float(((t - t.mean(0)) ** 2).sum())
    share = 1.0 - float(((estimate - t) ** 2).sum()) / spread if spread > 0.0 else -math.inf
    return share if math.isfinite(share) else -math.inf


def above_chance(said: Array, labels: Array) -> float:
    """(accuracy - share of the commonest class) / (1 - that share)."""
    usual = max(np.unique(labels, return_counts=True)[1]) / len(labels)
    return float((np.mean(said == labels) - usual) / (1.0 - usual)) if usual < 1.0 else -math.inf


def names_in_short(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def cut(X: Samples) -> Any:
    """The first samples; those of a pandas table as numbers."""
    return rows_of(X.to_numpy() if hasattr(X, "to_numpy") else X, slice(ROWS))

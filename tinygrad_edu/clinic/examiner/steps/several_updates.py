"""A step that makes several updates, each on a part of the data: an online epoch, a pass over minibatches.

No single gradient explains such a step. It is followed update by update, the loss is taken apart into the losses of its
samples, and each update is held against the gradient, at its own point, of the samples that it was made on. Which
samples those are is read off the change itself, so that the order may be a random one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.check import difference
from tinygrad_edu.clinic.examiner.forward.book import Batch, total, truth_of
from tinygrad_edu.clinic.examiner.forward.forward_network import network_of
from tinygrad_edu.clinic.examiner.forward.loss_parts import parts_by_sample, some_parts
from tinygrad_edu.clinic.examiner.forward.network import Network
from tinygrad_edu.clinic.examiner.learner.inputs import LearnerForward
from tinygrad_edu.clinic.examiner.lines.recording import Recording
from tinygrad_edu.clinic.examiner.steps.batches import Chosen, batches_in, is_each_once
from tinygrad_edu.clinic.examiner.steps.made_gradients import gradients_are_made
from tinygrad_edu.clinic.examiner.steps.step_walk import Walk
from tinygrad_edu.clinic.examiner.steps.update_rules import RULES
from tinygrad_edu.clinic.examiner.steps.update_step import FoundRule, proportion, right_rule
from tinygrad_edu.clinic.examiner.steps.watch import Updates

Array = np.ndarray[Any, Any]
MOST_PARTS = 64  # samples whose gradients are all computed; with more, only blocks in the order of the data are tried
LOOKED_AT = 4  # updates of a run whose gradients are searched for
SHOWN = 6  # samples that are listed
UNEVEN = 1e-6  # relative difference allowed between the shares of samples in one minibatch


@dataclass(eq=False)
class Samples:
    """The loss by samples, and gradients of some of them at any point."""

    learner: LearnerForward
    count: int
    axis: int
    batches: list[Chosen] = field(default_factory=list)  # as seen in the run, in its order
    networks: dict[Any, Network] = field(default_factory=dict)

    @property
    def may_be_drawn(self) -> bool:
        """Are there samples, none of them seen in the run, and few enough to ask for each whether it was the one?"""
        return not self.batches and 1 < self.count <= MOST_PARTS

    def of(self, chosen: Chosen) -> LearnerForward:
        """The forward whose loss is that of these samples alone."""
        whole = is_each_once(chosen, self.count)
        return self.learner if whole else replace(self.learner, part=some_parts(chosen, self.axis))

    def gradient(self, params: Mapping[str, Array], chosen: Chosen) -> dict[str, Array]:
        key = (hash(b"".join(x.tobytes() for x in params.values())), chosen)
        if key not in self.networks:
            learner = self.of(chosen)
            loss = float("nan") if learner.part else learner.loss(params)
            self.networks[key], _, _ = network_of(learner, params, loss)
        net = self.networks[key]
        return {n: np.asarray(total(net, n)) + np.zeros(x.shape) for n, x in params.items()}


def count_parts(learner: LearnerForward, params: Mapping[str, Array], axis: int) -> int:
    """How many parts the traced loss has; 1 where it cannot be taken apart."""
    found: list[int] = []

    def look(loss: Any) -> Any:
        found.append(len(parts_by_sample(loss, axis)[0]))
        return loss

    network_of(replace(learner, part=look), params, float("nan"))
    return found[-1] if found else 1


@dataclass(frozen=True)
class Fitted:
    """An update as c times the gradient of some samples."""

    chosen: Chosen
    factor: float


@dataclass(eq=False)
class SeveralUpdates:
    """The updates of one step, and what they were made on."""

    samples: Samples
    updates: Updates
    lr: float | None
    walk: Callable[
        [list[dict[str, Array]], list[dict[str, Array]]], Walk
    ]  # (points, gradients) → the Walk to which rules are fitted

    @property
    def points(self) -> list[dict[str, Array]]:
        return self.updates.points

    def changes(self, k: int) -> dict[str, Array]:
        return {n: x - self.points[k + 1][n] for n, x in self.points[k].items()}

    def gradient(self, k: int, chosen: Chosen) -> dict[str, Array]:
        return self.samples.gradient(self.points[k], chosen)

    # right

    def rule(self) -> FoundRule | None:
        """The rule of all updates, if they are right steps."""
        if len(self.updates) == 1:  # made on a part of the data, and on the part that was seen
            one = self.multiple(0, self.changes(0), self.samples.batches[0]) if self.samples.batches else self.fit(0)
            if one is None or not self.allowed(one) or is_each_once(one.chosen, self.samples.count):
                return None
            return FoundRule(RULES["gradient_descent"], self.lr or one.factor, {}, self.on(one))
        fitted = [self.fit(k) for k in range(len(self.updates))]
        if all(f is not None and self.allowed(f) for f in fitted):
            first = fitted[0]
            assert first is not None
            n = len(self.updates)
            many = f" in {'at least ' if not self.updates.complete else ''}{n} updates, each{self.on(first)[1:]}"
            return FoundRule(RULES["gradient_descent"], self.lr or first.factor, {}, many)
        for choice in self.orders():
            # the loss as a mean over all samples, or over the minibatch
            for scale in self.scales(choice[0]) if self.lr else (1.0,):
                slopes = [{n: scale * g for n, g in self.gradient(k, c).items()} for k, c in enumerate(choice)]
                found = right_rule(self.walk(self.points, slopes))
                if found is not None:
                    return replace(found, extra=f"{found.extra} in several updates")
        return None

    def are_made(self, recording: Recording) -> bool:
        """Does the run make the right gradient of each update, and go downhill with it, by a rule of its own?"""

        def is_made(k: int, chosen: Chosen) -> bool:
            g, d = self.gradient(k, chosen), self.changes(k)
            downhill = sum(float(np.vdot(g[n], d[n])) for n in g) >= 0.0 and all(g[n].shape == d[n].shape for n in g)
            return downhill and gradients_are_made(recording, g, [1.0], self.lr)

        return any(all(is_made(k, c) for k, c in enumerate(choice[:LOOKED_AT])) for choice in self.orders())

    def on(self, found: Fitted) -> str:
        batch = len(found.chosen)
        few = "one sample" if batch == 1 else f"{batch} samples"
        return f", on {'all samples' if is_each_once(found.chosen, self.samples.count) else few}"

    def is_likely(self, whole: Mapping[str, Array]) -> bool:
        """Is a single update rather one on the samples that were seen than one on all of the data?"""
        batch = self.samples.batches[0] if self.samples.batches else self.nearest(0)
        of_batch, of_all = likeness(self.changes(0), self.gradient(0, batch)), likeness(self.changes(0), whole)
        return of_batch > of_all if self.samples.batches else of_batch[0] > of_all[0]

    def seen(self, k: int) -> list[Chosen]:
        """The samples whose data the program took for update k, if they were seen."""
        return self.samples.batches[k : k + 1]

    def orders(self) -> Iterator[list[Chosen]]:
        """Ways in which a program goes through its data: as seen, one by one, in blocks, all of it each time."""
        n, count = self.samples.count, len(self.updates)
        if len(self.samples.batches) >= count:
            yield self.samples.batches[:count]
        if n >= count:
            yield [(k,) for k in range(count)]
        for size in self.blocks():
            if size * count <= n:
                yield [tuple(range(k * size, (k + 1) * size)) for k in range(count)]
        yield [tuple(range(n))] * count
        if n <= MOST_PARTS:  # minibatches in random order
            yield [self.nearest(k) for k in range(count)]

    def blocks(self) -> list[int]:
        """Sizes of minibatches: as many as the step has updates, or such as divide the data."""
        n, total = self.samples.count, self.updates.total
        if n > MOST_PARTS:
            return [-(-n // total)] if total > 1 else [32, 64, 100, 128]
        return [size for size in range(2, n) if n % size == 0 or size in (2, 4, 8, 10, 16, 20, 32, 50, 64, 100, 128)]

    def allowed(self, found: Fitted) -> bool:
        """Is the factor lr, or what it becomes where the loss is a mean over all and the update over a few?"""
        if self.lr is None:
            return found.factor > 0.0
        return any(abs(found.factor / (self.lr * c) - 1.0) < 1e-5 for c in self.scales(found.chosen))

    def scales(self, chosen: Chosen) -> list[float]:
        n, size = float(self.samples.count), float(len(chosen))
        return [*dict.fromkeys((1.0, n, n / size, 1.0 / size))]

    def fit(self, k: int) -> Fitted | None:
        """The samples of update k, if it is a multiple of their gradient."""
        n, d = self.samples.count, self.changes(k)
        singles = [(k % n,)] + [(j,) for j in range(n) if j != k % n] if n <= MOST_PARTS else [(k % n,)]
        for chosen in (*self.seen(k), *singles[:1], tuple(range(n)), *singles[1:]):
            found = self.multiple(k, d, chosen)
            if found is not None:
                return found
        if n <= MOST_PARTS:
            return self.mixture(k, d)
        sized = [tuple(range(k * size, min((k + 1) * size, n))) for size in self.blocks()]
        return next((f for c in sized if c for f in [self.multiple(k, d, c)] if f is not None), None)

    def multiple(self, k: int, d: Mapping[str, Array], chosen: Chosen) -> Fitted | None:
        walk = self.walk([self.points[k], self.points[k + 1]], [self.gradient(k, chosen)])
        c = proportion(walk, walk.flat(d), walk.slopes[0])
        return Fitted(chosen, c) if c is not None and c > 0.0 else None

    def mixture(self, k: int, d: Mapping[str, Array]) -> Fitted | None:
        """A minibatch of any samples: the change as a sum of their gradients, each counted alike."""
        chosen = self.mixed(k, d, [*d])
        return self.multiple(k, d, chosen) if chosen else None

    def mixtures(self, k: int, d: Mapping[str, Array]) -> list[Chosen]:
        """The minibatches that single parameters, whose gradient may be right, are made on."""
        found = [self.mixed(k, d, [n]) for n in d if d[n].size >= self.samples.count]
        return [*dict.fromkeys(chosen for chosen in found if chosen)]

    def mixed(self, k: int, d: Mapping[str, Array], names: Sequence[str]) -> Chosen:
        """The samples of which the change of these parameters is the sum; none if it is no such sum."""
        each = [self.gradient(k, (j,)) for j in range(self.samples.count)]
        table = np.stack([np.concatenate([np.ravel(g[n]) for n in names]) for g in each], axis=1)
        change = np.concatenate([np.ravel(d[n]) for n in names])
        shares, *_ = np.linalg.lstsq(table, change, rcond=None)
        largest = float(np.abs(shares).max())
        if not largest or np.linalg.norm(table @ shares - change) > UNEVEN * np.linalg.norm(change):
            return ()
        chosen = tuple(int(j) for j in np.flatnonzero(np.abs(shares) > 1e-6 * largest))
        return chosen if np.ptp(shares[list(chosen)]) <= UNEVEN * largest else ()

    # wrong

    def batch(self, chosen: Chosen, scale: float) -> Batch:
        """The samples of an update, for what its lines make of them."""
        return Batch(chosen, self.samples.count, scale)

    def scale_in_run(self, net: Network, recording: Recording, k: int, chosen: Chosen, default: float) -> float:
        """By what the derivatives of the run are multiples of those of the loss: its mean may be over fewer samples."""
        scales = self.scales(chosen)
        truth, votes = truth_of(net, self.points[k], batch=self.batch(chosen, 1.0)), dict.fromkeys(scales, 0)
        for made in recording.made.values():
            found = truth.derivatives.find(made.value) if made.line and made.value.size > 2 else None
            for c in scales if found else ():
                votes[c] += abs(found[1] / c - 1.0) < 1e-6  # type: ignore[index]
        return max(scales, key=lambda c: votes[c]) if any(votes.values()) else default

    def clearness(self) -> tuple[float, int, float]:
        """The share of right updates, and how clearly the first wrong one belongs to certain samples."""
        k, right = self.wrong()[0], 1.0 - len(self.wrong()) / len(self.updates)
        return right, *likeness(self.changes(k), self.gradient(k, self.nearest(k)))

    def wrong(self) -> list[int]:
        """The updates that are not right steps."""
        return [k for k in range(len(self.updates)) if not self.is_right(k)] or [0]

    def is_right(self, k: int) -> bool:
        found = self.fit(k)
        return found is not None and self.allowed(found)

    def nearest(self, k: int) -> Chosen:
        """The samples on which a wrong update was made: most of its gradients are theirs, or point their way."""
        d, n = self.changes(k), self.samples.count
        tried: list[Chosen] = [*self.seen(k), *((j,) for j in range(n if n <= MOST_PARTS else 1))]
        tried += [tuple(range(k * size, (k + 1) * size)) for size in self.blocks() if (k + 1) * size <= n]
        tried.append(tuple(range(n)))
        tried += self.mixtures(k, d) if n <= MOST_PARTS else []
        scores = [likeness(d, self.gradient(k, chosen)) for chosen in tried]
        best = max(scores)
        if self.seen(k) and scores[0][0] == best[0]:
            return tried[0]
        alike = [c for c, s in zip(tried, scores, strict=True) if s[0] == best[0] and s[1] > best[1] - 1e-9]
        return (k % n,) if (k % n,) in alike else alike[0]

    def which(self, k: int, chosen: Chosen) -> str:
        """The update in words."""
        count = f"{'at least ' if not self.updates.complete else ''}{len(self.updates)}"
        first = ", ".join(str(j + 1) for j in chosen[:SHOWN])
        if len(self.updates) == 1:
            return f"The step is one update, on sample{'s' if len(chosen) > 1 else ''} {first}."
        which = f"sample{'s' if len(chosen) > 1 else ''} {first}{', ...' if len(chosen) > SHOWN else ''}"
        data = "all of the data" if is_each_once(chosen, self.samples.count) else which
        return f"The step makes {count} updates; this is update {k + 1}, on {data}."

    def implied(self, k: int, chosen: Chosen) -> Iterator[tuple[float, dict[str, Array]]]:
        """(rate, the gradients that an update implies by it), for each scale that the loss may have beside it."""
        d, right = self.changes(k), self.gradient(k, chosen)
        ratios = [ratio(d[n], right[n]) for n in d]
        exact = [c for c in ratios if c is not None]
        known = [
            c for c in self.scales(chosen) if self.lr and any(abs(abs(x) / (self.lr * c) - 1.0) < 1e-5 for x in exact)
        ]
        lr = self.lr or (abs(float(np.median(exact))) if exact else 1.0)
        for scale in known[:1] or self.scales(chosen):
            yield lr * scale, {n: x / (lr * scale) for n, x in d.items()}


def ratio(d: Array, g: Array) -> float | None:
    """c with d = c·g."""
    square = float(np.vdot(g, g))
    c = float(np.vdot(g, d)) / square if square else 0.0
    return c if c and np.linalg.norm(d - c * g) <= 1e-6 * np.linalg.norm(d) else None


def is_one_gradient(before: Mapping[str, Array], after: Mapping[str, Array], right: Mapping[str, Array]) -> bool:
    """Is the change of some parameter a multiple of its whole gradient?"""
    # the bias of two classes has one direction, whatever it is made of
    telling = [n for n, x in before.items() if x.size > 2] or [n for n, x in before.items() if x.size > 1]
    steps = [(difference(before[n], after[n]), right[n]) for n in telling]
    return any(ratio(d, g) is not None for d, g in steps if d.shape == g.shape)


def likeness(d: Mapping[str, Array], right: Mapping[str, Array]) -> tuple[int, float]:
    """(parameters whose change is a multiple of the gradient, the cosine of all)."""
    exact = sum(ratio(d[n], right[n]) is not None for n in d if d[n].size > 1)
    a, b = (np.concatenate([np.ravel(x[n]) for n in d]) for x in (d, right))
    length = float(np.linalg.norm(a) * np.linalg.norm(b))
    return exact, abs(float(np.vdot(a, b))) / length if length else 0.0


def samples_of(learner: LearnerForward, params: Mapping[str, Array], net: Network, recording: Recording) -> Samples:
    """The loss by samples: by rows of a batch, or by columns where the samples are those."""
    across = next((net.batch_axis(layer) for layer in net.outputs), None)
    axis = 1 if across == -1 else 0
    count = count_parts(learner, params, axis)
    return Samples(learner, count, axis, batches_in(recording, net, count, axis))

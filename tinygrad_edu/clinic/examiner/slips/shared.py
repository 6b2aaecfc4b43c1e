"""Weights that are used in several places: an autoencoder's, a tied embedding's, those of the branches of a network."""

from __future__ import annotations

from collections.abc import Iterator

from tinygrad_edu.clinic.examiner.catalogue import Learner, Variant, slip
from tinygrad_edu.clinic.examiner.forward.layers import Layer, Use
from tinygrad_edu.clinic.examiner.forward.network import Network
from tinygrad_edu.clinic.examiner.slips.sums import Variants, copies, silent

TWINS = 3  # branches that share weights
LOOKUPS = ("getitem", "sum")  # operations that read rows of an embedding; a sum over several of them is fused


@slip(
    "shared_weight_counted_once",
    sentence="{W} is used in more than one place, and not every use is in its gradient.",
    fix="Add what every use of {W} gives: of a weight that encodes and, transposed, decodes, both.",
    right="∂L/∂{W} = Σ over all uses of {W}",
    example="dW = x.T @ d_hidden                 # the decoder uses W.T: + d_out.T @ hidden",
    before="loss_derivative_missing",  # a softmax makes ones 0 too
)
def shared_weight_counted_once(net: Network, _: Learner) -> Variants:
    for group in copies(net, ("use",)):
        shared = [use for x in group for use in x.uses if sum(use.parameter in y.names for y in group) > 1]
        for k, use in enumerate(shared):
            yield Variant(group[0], f"use {k + 1} of {{W}} left out", (silent(use),), use.parameter, repeats=False)
    for layer, use, k in uses_of_embeddings(net):
        yield Variant(layer, f"use {k + 1} of {{W}} left out", (silent(use),), use.parameter, repeats=False)
    yield from branches_left_out(net)


def uses_of_embeddings(net: Network) -> Iterator[tuple[Layer, Use, int]]:
    """Each use of a weight whose rows are looked up, and which multiplies too (an embedding tied to the output)."""
    for layer in net.layers:
        for name in {use.parameter for use in layer.uses}:
            uses = [use for use in net.uses[name] if use not in net.penalties]
            operations = [net.steps[use.step].operation for use in uses]
            if len(uses) == 2 and "matmul" in operations and not {*operations}.isdisjoint(LOOKUPS):
                yield from ((layer, use, k) for k, use in enumerate(uses))


def branches_left_out(net: Network) -> Variants:
    """Leave out one of the branches that share weights (a siamese network).

    A penalty uses the weights too, all of them once, and is not a branch: regularisation_missing names it.
    """
    by_name = ([u for u in uses if u not in net.penalties] for uses in net.uses.values())
    shared = [sorted(uses, key=lambda u: u.step) for uses in by_name if len(uses) > 1]
    count = len(shared[0]) if shared else 0
    if not (len(shared) > 1 and count <= TWINS and all(len(uses) == count for uses in shared) and net.outputs):
        return
    for branch in range(count):
        left_out = tuple(silent(uses[branch]) for uses in shared)
        line = f"use {branch + 1} of all shared weights left out"
        yield Variant(net.outputs[-1], line, left_out, repeats=False, everywhere=True)

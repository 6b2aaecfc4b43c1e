"""Slips in what one time step hands back to the one before it: the hidden state's gradient, and the cell state's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.catalogue import MANY, Learner, Variant, final, slip
from tinygrad_edu.clinic.examiner.forward.layers import Layer, Use
from tinygrad_edu.clinic.examiner.forward.network import Network
from tinygrad_edu.clinic.examiner.forward.program import Change, Step, above
from tinygrad_edu.clinic.examiner.slips.nodes import nearest
from tinygrad_edu.clinic.examiner.slips.sums import copies, nothing

Array = np.ndarray[Any, Any]
Variants = Iterator[Variant]
DEEPEST = 4  # truncations after up to this many steps are looked for
# operations between a state and the product that uses it
THROUGH = ("reshape", "transpose", "getitem", "pos", "concatenate")


@slip(
    "hidden_gradient_not_handed_back",
    sentence="The gradient of the hidden state is not passed back in time: each step only knows its own output.",
    fix="dh of step t is the share of its output plus what step t + 1 passes back: dh = Wyᵀ dy + dh_next, "
    "and dh_next = Whᵀ dz at the end of every step.",
    right="∂L/∂h_t = share of the output at t + share of step t + 1",
    example="dh_prev = Wh.T @ dz                 # and never used; should be dh_next = Wh.T @ dz",
    before="delta_not_propagated",
)
def hidden_gradient_not_handed_back(net: Network, _: Learner) -> Variants:
    found = [*edges_in_time(net)]
    for text, kept in {"none of the steps": found, "only the last step": found[:-1]}.items():
        changes = tuple(Change("edge", step, nothing, slot) for _, group in kept for step, slot in group)
        if changes:
            line = f"∂L/∂h_t = share of the output alone; {text} hands dh back"
            yield Variant(found[0][0], line, changes, repeats=False, everywhere=True)


@slip(
    "backpropagation_truncated",
    sentence="The gradient of each output is passed back through only a few time steps, not to the first one.",
    fix="Nothing is wrong if you truncate on purpose (it saves time on long sequences); the whole gradient goes back "
    "from every step to the first.",
    right="∂L/∂h_s = Σ over all later steps t of what the output at t hands back",
    example="for s in range(t, max(t - 2, 0), -1): dWh += ...   # should go down to s = 0",
)
def backpropagation_truncated(net: Network, _: Learner) -> Variants:
    for group, outputs in unroll(net):
        names = list(dict.fromkeys(n for x in group for n in x.names))
        for depth in range(1, min(len(group) - 1, DEEPEST + 1)):
            lost = lost_beyond(net, group, outputs, depth)
            changes = tuple(
                final(net, net.uses[n][0], lambda g, d=lost[n]: g - d)  # type: ignore[misc]
                for n in names
                if np.any(lost[n])
            )
            line = f"∂L/∂h of each step handed back through {depth} step{'s' * (depth > 1)}"
            if changes:
                yield Variant(group[0], line, changes, repeats=False, everywhere=True)


def unroll(net: Network) -> Iterator[tuple[list[Layer], list[Layer]]]:
    """(the copies of a recurrent layer, the output layer of each of these steps)."""
    ends = sorted(net.outputs, key=lambda x: x.time)
    for group in copies(net):
        feeds = {x.z for x in group}
        if any(x.after & feeds for x in group) and len(group) == len(ends) <= MANY and not group[0].is_output:
            yield group, ends


def lost_beyond(net: Network, group: list[Layer], outputs: list[Layer], depth: int) -> dict[str, Any]:
    """The part of the gradients that comes from outputs more than `depth` steps later."""
    names = list(dict.fromkeys(n for x in group for n in x.names))
    lost: dict[str, Any] = dict.fromkeys(names, 0.0)
    for t in range(depth + 1, len(group)):
        alone = [x.z for k, x in enumerate(outputs) if k != t]
        whole, near = (gradients_without(net, cut, names) for cut in (alone, [*alone, group[t - depth - 1].z]))
        lost = {n: lost[n] + whole[n] - near[n] for n in names}
    return lost


def gradients_without(net: Network, silenced: Sequence[int], names: Sequence[str]) -> dict[str, Any]:
    """The gradients where nothing goes back through these steps."""
    program = net.program
    done, _ = program.run([Change("into", step, np.zeros_like) for step in silenced])
    return {
        n: sum(
            program.move_back(net.steps[u.step].parents[u.slot], (done.get(u.step) or program.handed[u.step])[u.slot])
            for u in net.uses[n]
        )
        for n in names
    }


def edges_in_time(net: Network) -> Iterator[tuple[Layer, list[tuple[int, int]]]]:
    """Per time step, the edges by which products pass a gradient to the state of the step before."""
    by_state: dict[int, tuple[Layer, list[tuple[int, int]]]] = {}
    for layer in net.layers:
        for use in layer.weights:
            end = edge_to_state(net, layer, use)
            if end is not None:
                state, edge = end
                edges = by_state.setdefault(state, (layer, []))[1]
                edges += [edge] if edge not in edges else []
    yield from (by_state[state] for state in sorted(by_state))


def edge_to_state(net: Network, layer: Layer, use: Use) -> tuple[int, tuple[int, int]] | None:
    """(the state, the edge to it) where the layer's input is a state that an earlier step of the same layer fed."""
    if layer.time < 0 or layer.unit != "time step":
        return None
    earlier = {x.z for x in net.layers if x.number == layer.number and x.time < layer.time}
    edge, index = (use.step, use.data), net.steps[use.step].parents[use.data]
    if not reaches(net, index, earlier):
        return None
    while net.steps[index].operation in THROUGH and not net.steps[index].activation:
        inner = net.steps[index]
        slots = [k for k in inner.live if reaches(net, above(inner)[k], earlier)]
        read_again = inner.operation in ("getitem", "reshape") and len(net.program.children.get(index, ())) > 1
        if len(slots) != 1 or read_again:  # all states are rows of one array: cut the edge at the product itself
            return index, (use.step, use.data)
        edge, index = (index, slots[0]), above(inner)[slots[0]]
    return index, edge


def reaches(net: Network, index: int, ends: set[int]) -> bool:
    """Do any of these steps lead to `index`?"""
    waiting, seen = [index], set()
    while waiting:
        k = waiting.pop()
        if k in ends:
            return True
        if k >= 0 and k not in seen:
            seen.add(k)
            waiting += [p for p in above(net.steps[k]) if p >= min(ends, default=0)]
    return False


@slip(
    "cell_gradient_not_handed_back",
    sentence="The gradient of the state that is carried along (the cell of an LSTM, the old state of a GRU) is not "
    "passed back to the step before.",
    fix="dc of step t is the share of h_t plus what step t + 1 passes back: dc = dh·o·(1 - tanh²c) + dc_next, and "
    "dc_next = f·dc at the end of every step.",
    right="∂L/∂c_t = share through h_t + f_(t+1) ∘ ∂L/∂c_(t+1)",
    example="dc = dh * o * (1 - tanh(c)**2)      # should be ... + dc_next, with dc_next = dc * f",
)
def cell_gradient_not_handed_back(net: Network, _: Learner) -> Variants:
    carries = [*carry_of(net)]
    if len(carries) > 1:
        cuts = {"none of the steps": carries, "only the last step": carries[:-1]}
        for text, kept in cuts.items():
            changes = tuple(Change("edge", step.index, nothing, slot) for step, slot in kept)
            where = nearest(net, kept[0][0])
            yield Variant(where, f"{text} hands dc back", changes, repeats=False, everywhere=True)
        whole = tuple(Change("edge", s.index, lambda g: g, slot) for s, slot in carries)
        where = nearest(net, carries[0][0])
        yield Variant(where, "dc_next = dc, without the gate f", whole, repeats=False, everywhere=True)
        for step, slot in carries:
            cut = Change("edge", step.index, nothing, slot)
            yield Variant(nearest(net, step), "this step does not hand dc back", (cut,), repeats=False)


def carry_of(net: Network) -> Iterator[tuple[Step, int]]:
    """gate · old state, where that is itself such a sum: c_t = f c_(t-1) + i g, h_t = (1 - z) h_(t-1) + z n."""
    sums = {s.index for s in net.steps if is_gated_sum(net, s)}
    states = [net.steps[k].y.ravel() for k in sums]
    for step in net.steps:
        onward = onwards(net, step.index)
        if step.operation == "mul" and len(step.live) == 2 and sums.intersection(onward):
            # also if it was read out of a larger array
            slots = [k for k in step.live if is_one_of(step.operand(k), states)]
            if len(slots) == 1:
                yield step, slots[0]


def onwards(net: Network, index: int) -> list[int]:
    """The steps that read it, past those that only move it about."""
    children = [child for child, _ in net.program.children.get(index, ())]
    moved = [c for c in children if net.steps[c].operation in THROUGH]
    return children + [further for c in moved for further in onwards(net, c)]


def is_one_of(x: Array, states: Sequence[Array]) -> bool:
    return any(x.size == s.size and np.array_equal(x.ravel(), s) for s in states)


def is_gated_sum(net: Network, step: Step) -> bool:
    """Is it a + b with elementwise products of computed values in it?"""
    if step.operation not in ("add", "sub") or step.activation:
        return False
    parts = [net.steps[p] for p in step.parents if p >= 0]
    gated = [s for s in parts if s.operation == "mul" and not s.activation and not holds_parameter(net, s)]
    return bool(gated) and len(gated) == len([p for p in parts if not p.parameter])


def holds_parameter(net: Network, step: Step) -> bool:
    return any(p >= 0 and bool(net.steps[p].parameter) for p in step.parents)

"""Random programs that write into arrays and take views of them: NumPy's numbers and their derivatives, or an error."""

import random

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.errors import GraphError, SavedArrayChangedError

W = np.random.default_rng(0).normal(size=(3, 4))
COUNT = 150


def views(name, shape):
    """(text, shape) of what looks at an array of that shape."""
    if len(shape) == 2:
        n, m = shape
        rows = [(f"{name}[1:]", (n - 1, m))] if n > 1 else []
        return [(f"{name}.T", (m, n)), (f"{name}[0]", (m,)), (f"{name}[:, 1:]", (n, m - 1)), *rows]
    return [(f"{name}[::2]", ((shape[0] + 1) // 2,)), (f"{name}.reshape({shape[0]}, 1)", (shape[0], 1))]


def places(shape):
    """(index, shape of what stands there)."""
    if len(shape) == 2:
        return [("0", shape[1:]), ("-1, 0", ()), (":, 0", shape[:1]), ("...", shape), ("[0]", (1, shape[1]))]
    return [("0", ()), (":", shape), ("[0]", (1,))]


def lines_of(seed):
    """A program on w, (3, 4), whose last line is the loss; the names it gives."""
    draw = random.Random(seed)
    lines, shapes = ["v0 = w * 1.5", "v1 = zeros((3, 4))"], {"v0": (3, 4), "v1": (3, 4)}
    graph = {"v0"}  # depends on w; here a view of a constant keeps its numbers, unlike in NumPy
    for _ in range(draw.randint(2, 9)):
        name = draw.choice(list(shapes))
        shape, new, kind = shapes[name], f"v{len(shapes)}", draw.random()
        equal = [other for other in shapes if shapes[other] == shape]
        if kind < 0.25:
            form, other = draw.choice(["{0} * {1}", "{0} + {1}", "np.tanh({0})", "{0} * 2.0"]), draw.choice(equal)
            lines.append(f"{new} = {form.format(name, other)}")
            shapes[new] = shape
            if name in graph or ("{1}" in form and other in graph):
                graph.add(new)
        elif kind < 0.45 and 0 not in shape and shape[-1] > 1 and name in graph:
            text, shapes[new] = draw.choice(views(name, shape))
            lines.append(f"{new} = {text}")
            graph.add(new)
        else:
            index, there = draw.choice(places(shape))
            values = ["0.5", "w.sum()", f"{name}[{index}] * 1.5"]
            values += [f"{other} * 2.0" for other in shapes if shapes[other] == there]
            values += [other for other in shapes if shapes[other] == there]
            value = draw.choice(values)
            lines.append(f"{name}[{index}] {draw.choice(['=', '=', '+=', '*='])} {value}")
            if value == "w.sum()" or value.partition(" ")[0] in graph:
                graph.add(name)
    used = draw.sample(list(shapes), min(len(shapes), 2))
    return [*lines, "loss = " + " + ".join(f"({name} * {name}).sum()" for name in used)], list(shapes)


def run(lines, w, zeros):
    names = {"np": np, "w": w, "zeros": zeros}
    exec("\n".join(lines), names)
    return names


def tensors(shape):
    return tg.Tensor(np.zeros(shape))


def differences(lines, step=1e-6):
    """The derivative by each entry of w, of NumPy's program."""
    found = np.empty_like(W)
    for at in np.ndindex(W.shape):
        change = np.zeros_like(W)
        change[at] = step
        up, down = (run(lines, W + sign * change, np.zeros)["loss"] for sign in (1.0, -1.0))
        found[at] = (up - down) / (2.0 * step)
    return found


@pytest.mark.parametrize("first", range(0, COUNT, COUNT // 3))
def test_a_program_gives_numpys_numbers_and_their_derivatives_or_says_why_not(first):
    done = refused = 0
    for seed in range(first, first + COUNT // 3):
        lines, names = lines_of(seed)
        w, text = tg.Tensor(W, requires_grad=True), "\n".join(lines)
        try:
            ours = run(lines, w, tensors)
        except GraphError:
            refused += 1
            continue
        theirs = run(lines, W, np.zeros)
        for name in names:
            if np.ndim(theirs[name]):  # for a 1-d array, x[0] is a copy in NumPy
                np.testing.assert_allclose(ours[name].data, theirs[name], rtol=1e-12, atol=1e-12, err_msg=text)
        try:
            if ours["loss"].requires_grad:
                ours["loss"].backward()
        except SavedArrayChangedError:
            refused += 1
            continue
        grad = np.zeros_like(W) if w.grad is None else w.grad
        np.testing.assert_allclose(grad, differences(lines), rtol=1e-5, atol=1e-5, err_msg=text)
        done += 1
    assert done > refused / 3

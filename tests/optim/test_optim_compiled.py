"""Update rules lifted by the compiler: one loop over all weights, and the same numbers as step by step."""

import numpy as np
import pytest

from tests.compile.programs import numba_hidden
from tests.optim.test_optim import DIFFERENT, every_recipe
from tinygrad_edu import Tensor, nn, optim
from tinygrad_edu.compile.codegen.templates import HEADER
from tinygrad_edu.compile.passes.fuse import Loop
from tinygrad_edu.data import moons
from tinygrad_edu.train import fit
from tinygrad_edu.train.compiled.task import CompiledTask
from tinygrad_edu.train.compiled.update_rule import update_body

STEPS = 20


def body_of(optimizer, dtype="float64"):
    return update_body(
        CompiledTask(None, optimizer.params, optimizer.rule, optimizer.settings, optimizer.memories, dtype, True)
    )


def function_of(body):
    """The update as plain Python: where Numba is not installed, njit changes nothing."""
    lines = [f"def update({', '.join(body.trace.inputs)}, weights):", *(f"    {line}" for line in body.lines)]
    space = {}
    with numba_hidden():
        exec(HEADER + body.functions + "\n" + "\n".join(lines), space)
    return space["update"]


@every_recipe
def test_a_rule_is_one_loop_over_the_weights(optimizer, settings):
    body, floats = body_of(optimizer([Tensor([1.0, 2.0], requires_grad=True)], **settings))
    assert [bool(step.sizes) for step in body.steps if isinstance(step, Loop)].count(True) == 1
    assert not body.buffers
    assert set(floats) <= set(body.trace.inputs)


@every_recipe
def test_a_lifted_rule_steps_as_the_eager_one(optimizer, settings):
    """Gradients of either sign, some of them 0, turning now and then; memories as the optimizer made them."""
    w = Tensor(np.linspace(-2.0, 2.0, 7), requires_grad=True)
    updates = optimizer([w], **settings)
    body, floats = body_of(updates)
    update, rng = function_of(body), np.random.default_rng(0)
    vectors = [w.data.copy(), *(np.array(memory) for memory in updates.memory[0])]
    for t in range(1, STEPS + 1):
        g = np.round(rng.normal(size=7), 1) * (rng.random(7) > 0.2)
        w.grad = g
        rates, lr = [updates.settings[name] for name in floats], updates.lr
        updates.step()
        update(vectors[0], g, *vectors[1:], float(t), lr, *rates, 7)
        for own, eager in zip(vectors, (w.data, *updates.memory[0]), strict=True):
            np.testing.assert_allclose(own, eager, rtol=1e-13, atol=1e-15)


BEGIN = [recipe for recipe in DIFFERENT if recipe[0].__name__ in ("Rprop", "Adagrad", "NAdam", "ASGD")]


@pytest.mark.slow
@pytest.mark.parametrize(("optimizer", "settings"), BEGIN, ids=[kind.__name__ for kind, _ in BEGIN])
def test_compiled_training_begins_with_the_declared_memory(optimizer, settings):
    """Those whose memory does not begin at 0."""

    def trained(compiled):
        model = nn.MLP([2, 4, 1], seed=2)
        updates = optimizer(model.parameters(), **settings)
        run = fit(
            model, *moons(20), loss="mse", optimizer=updates, epochs=12, shuffle=False, compiled=compiled, accurate=True
        )
        return run.loss_curve, np.concatenate([p.data.ravel() for p in model.parameters()]), updates

    compiled, eager = trained(True), trained(False)
    np.testing.assert_allclose(compiled[0], eager[0], rtol=1e-10)
    np.testing.assert_allclose(compiled[1], eager[1], rtol=1e-10)
    for mine, other in zip(compiled[2].memory, eager[2].memory, strict=True):
        for a, b in zip(mine, other, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-13)


def test_an_optimizer_that_was_compiled_goes_on_eagerly():
    """write_back counts the steps, so that schedules and Adam's bias correction go on from there."""
    model = nn.MLP([2, 1], seed=0)
    updates = optim.Adagrad(model.parameters(), lr=optim.schedules.constant(0.1))
    fit(model, *moons(20), loss="mse", optimizer=updates, epochs=3, batch_size=5, compiled=True)
    assert (updates.steps, updates.t) == (12, [12, 12])


@pytest.mark.slow
def test_a_program_goes_up_where_the_optimizer_does():
    """The program of an equal optimizer that goes down was taken, and the other way round."""
    X, y = np.random.default_rng(0).normal(size=(6, 2)), np.ones((6, 1))
    for upwards in (False, True, False):
        curves = []
        for compiled in (False, True):
            model = nn.MLP([2, 3, 1], seed=0)
            optimizer = optim.SGD(model.parameters(), lr=0.01, maximize=upwards)
            run = fit(model, X, y, loss="mse", optimizer=optimizer, epochs=3, compiled=compiled)
            curves.append(run.loss_curve)
        np.testing.assert_allclose(*curves, rtol=1e-10)
        assert (curves[0][-1] > curves[0][0]) == upwards

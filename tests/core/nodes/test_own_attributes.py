"""Attributes of a program's own on Tensors: `w.velocity = ...` as in PyTorch, and slips of the pen are refused."""

import copy
import pickle
import threading

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.core.methods.spellings import SET, slips_of

OWN = ["g", "grad_avg", "sqr_avg", "velocity", "m", "v", "state", "name", "id", "grad_mean", "rad", "dat", "old_data",
       "labels", "grads"]  # fmt: skip
SLIPS = {
    "requires_gard": "requires_grad", "require_grad": "requires_grad", "requires_grads": "requires_grad",
    "requiresgrad": "requires_grad", "requires_gradient": "requires_grad", "lable": "label",
    "gard": "grad", "dtaa": "data", "ddata": "data",
}  # fmt: skip


def leaf():
    return tg.Tensor([1.0, 2.0], requires_grad=True)


@pytest.mark.parametrize("name", OWN)
def test_a_tensor_takes_attributes_of_a_programs_own(name):
    for x in (leaf(), leaf() * 2.0):
        assert not hasattr(x, name)
        setattr(x, name, 3.0)
        assert getattr(x, name) == 3.0
        delattr(x, name)
        assert not hasattr(x, name)


def test_no_attribute_of_a_program_changes_a_gradient():
    """These were names of the engine's own slots: raw errors in backward, or another gradient without a word."""
    for name in ("kept", "guard", "made", "spent"):
        x = leaf()
        y = tg.ops.gelu(x)
        for node in (x, y):
            setattr(node, name, [9.0, 9.0])
        (y * y).sum().backward()
        assert x.kept == [9.0, 9.0] if name == "kept" else hasattr(y, name)
        np.testing.assert_allclose(x.grad, tg.grad(lambda x: np.sum(tg.ops.gelu(x) ** 2))(np.array([1.0, 2.0])))


@pytest.mark.parametrize("name", ["op", "parents", "options", "place"])
def test_what_the_engine_says_of_a_tensor_is_only_read(name):
    for x in (leaf(), leaf() * 2.0):
        with pytest.raises(AttributeError, match=rf"x\.{name} says how x was computed, and cannot be set"):
            setattr(x, name, True)
        (x * x).sum().backward()


@pytest.mark.parametrize(("slip", "meant"), SLIPS.items())
def test_slips_of_the_pen_are_refused(slip, meant):
    x = leaf()
    with pytest.raises(AttributeError, match=f"no attribute '{slip}': did you mean x.{meant}"):
        setattr(x, slip, True)
    with pytest.raises(AttributeError, match=f"no attribute '{slip}'. Write x.{meant}"):
        getattr(x, slip)


def test_a_shape_that_is_set_as_numpys():
    x = leaf()
    with pytest.raises(AttributeError, match=r"cannot be set: write x = x\.reshape\(\(2, 1\)\)"):
        x.shape = (2, 1)
    assert x.shape == (2,)


def test_no_slip_is_a_name_of_a_tensor():
    for name in SET:
        taken = [slip for slip in slips_of(name) if hasattr(leaf(), slip)]
        assert not taken
    assert not {"requires_gard", "cat", "cuda"} & set(dir(leaf()))
    assert {"requires_grad", "tolist", "label"} <= set(dir(leaf()))


def test_copies_and_pickles_keep_them():
    x = leaf()
    x.velocity, x.seen = np.ones(2), [1]
    for made in (copy.copy(x), copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        assert made.velocity.tolist() == [1.0, 1.0]
        assert made.seen == [1]
    assert copy.deepcopy(x).seen is not x.seen
    assert not hasattr(x.detach(), "velocity")


def test_a_write_into_a_node_leaves_them_where_they_are():
    x = leaf() * 1.0
    x.name = "first"
    x[0] = leaf()[1]
    assert x.name == "first"
    assert not hasattr(x.parents[0], "name")


def test_a_compiled_function_sees_them_change():
    w = leaf()
    w.scale = 2.0
    f = tg.jit(lambda x: x * w.scale + (1.0 if hasattr(w, "shift") else 0.0))
    assert f(np.ones(2)).tolist() == [2.0, 2.0]
    w.scale = 3.0
    assert f(np.ones(2)).tolist() == [3.0, 3.0]
    w.shift = True
    assert f(np.ones(2)).tolist() == [4.0, 4.0]


class Counting(tg.nn.Module):
    """Its step counts itself, on a parameter."""

    def __init__(self, place):
        self.w, self.place = tg.Tensor([[1.0]], requires_grad=True), place

    def forward(self, x):
        if self.place == "attribute":
            self.w.steps = getattr(self.w, "steps", 0) + 1
        else:
            self.w.seen[0] += 1
        steps = self.w.steps if self.place == "attribute" else self.w.seen[0]
        return x @ self.w * (1.0 / steps)


@pytest.mark.parametrize("place", ["attribute", "list"])
def test_fit_notices_that_a_step_changes_them(place):
    curves = []
    for compiled in ("auto", False):
        model = Counting(place)
        model.w.seen = [0]
        run = tg.fit(model, np.ones((4, 1)), np.zeros((4, 1)), loss="mse", optimizer="sgd", epochs=3, compiled=compiled)
        curves.append(run.loss_curve)
    assert curves[0].tolist() == curves[1].tolist()


def scaled(x):
    return np.sum(x * getattr(x, "scale", 1.0))


def test_transforms_hand_them_on_and_a_compiled_function_refuses_to_read_them():
    x = tg.Tensor([0.0, 1.0, 2.0])
    compiled = tg.jit(scaled)
    assert compiled(x) == 3.0
    x.scale = 3.0
    assert scaled(x).item() == 9.0
    np.testing.assert_array_equal(tg.grad(scaled)(x).data, [3.0, 3.0, 3.0])
    np.testing.assert_array_equal(tg.vmap(scaled)(x).data, [0.0, 3.0, 6.0])
    for call in (compiled, compiled.value_and_grad, tg.jit(tg.grad(scaled))):
        with pytest.raises(tg.errors.TraceError, match=r"'scale' was set on an argument .* argument of its own"):
            call(x)
    assert tg.jit(lambda x: np.sum(x * 2.0))(x) == 6.0, "it is not read"
    del x.scale
    assert compiled(x) == 3.0


def test_a_copy_shares_what_cannot_be_copied():
    x = leaf()
    x.itself, x.lock = x, threading.Lock()
    made = copy.copy(x)
    assert made.itself is x
    assert made.lock is x.lock
    assert made.data is not x.data


def test_a_subclass_is_refused_since_it_would_get_no_gradient():
    with pytest.raises(tg.errors.GraphError, match=r"class Weight: a Tensor cannot be subclassed"):

        class Weight(tg.Tensor):
            pass

"""Gradient clipping, by value and by the length of all gradients, on both back ends and against PyTorch's."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinygrad_edu import Tensor, Value, nn
from tinygrad_edu.data import moons
from tinygrad_edu.errors import OperandError, SettingError
from tinygrad_edu.optim import clip_by_norm, clip_by_value

numbers = st.floats(-1e6, 1e6) | st.sampled_from([0.0, 1e150, -1e150, 1e-150])


def tensors(*gradients):
    """Tensors with these gradients; None for none."""
    made = [Tensor(np.zeros(np.shape(g) if g is not None else 2), requires_grad=True) for g in gradients]
    for w, g in zip(made, gradients, strict=True):
        w.grad = None if g is None else np.array(g)
    return made


def values(*gradients):
    made = [Value(0.0) for _ in gradients]
    for w, g in zip(made, gradients, strict=True):
        w.grad = g
    return made


def test_each_number_is_cut_for_itself():
    weights = tensors([[3.0, -0.5], [-7.0, 1.0]], 2.0, None)
    clip_by_value(weights, 1.0)
    assert weights[0].grad.tolist() == [[1.0, -0.5], [-1.0, 1.0]]
    assert (weights[1].grad.shape, float(weights[1].grad), weights[2].grad) == ((), 1.0, None)


def test_the_length_is_that_of_all_gradients_together():
    weights = tensors([3.0, 0.0], None, [[4.0]])
    assert clip_by_norm(weights, 1.0) == 5.0
    factor = 1.0 / (5.0 + 1e-6)
    np.testing.assert_allclose(weights[0].grad, [3.0 * factor, 0.0], rtol=1e-15)
    assert weights[1].grad is None
    np.testing.assert_allclose(weights[2].grad, [[4.0 * factor]], rtol=1e-15)


def test_a_short_gradient_stays_as_it_is():
    weights = tensors([0.3, 0.4])
    before = weights[0].grad
    assert clip_by_norm(weights, 1.0) == pytest.approx(0.5, rel=1e-15)
    assert weights[0].grad is before


def test_without_any_gradient_the_length_is_0():
    assert clip_by_norm(tensors(None, [0.0, 0.0]), 1.0) == 0.0


@pytest.mark.parametrize("limit", [0.01, 1.0, 100.0])
@pytest.mark.parametrize("clip", [clip_by_value, clip_by_norm])
def test_both_back_ends_clip_alike(clip, limit):
    found = []
    for backend in ("scalar", "tensor"):
        model = nn.MLP([2, 4, 1], seed=1, backend=backend)
        X, y = moons(12)
        nn.losses.mse(model(X), 10.0 * y).backward()
        norm = clip(model.parameters(), limit)
        found.append((norm, model.gradients()))
    (norm, scalar), (other, tensor) = found
    assert norm == other or norm == pytest.approx(other, rel=1e-12)
    for name in scalar:
        np.testing.assert_allclose(scalar[name], tensor[name], rtol=1e-12, atol=1e-15)


@pytest.mark.torch
@given(
    gradients=st.lists(st.lists(numbers, min_size=1, max_size=4), min_size=1, max_size=4), limit=st.floats(0.01, 1e3)
)
@settings(max_examples=100, deadline=None, derandomize=True)
def test_pytorch_clips_alike(gradients, limit):
    torch = pytest.importorskip("torch")
    for own, theirs in (
        (clip_by_value, torch.nn.utils.clip_grad_value_),
        (clip_by_norm, torch.nn.utils.clip_grad_norm_),
    ):
        weights = tensors(*gradients)
        others = [torch.zeros(len(g), dtype=torch.float64, requires_grad=True) for g in gradients]
        for w, g in zip(others, gradients, strict=True):
            w.grad = torch.tensor(g, dtype=torch.float64)
        norm, other = own(weights, limit), theirs(others, limit)
        if norm is not None:
            assert norm == pytest.approx(float(other), rel=1e-12)
        for w, o in zip(weights, others, strict=True):
            np.testing.assert_allclose(w.grad, o.grad.numpy(), rtol=1e-12, atol=1e-300)


def test_squares_do_not_overflow():
    assert clip_by_norm(values(3e200, 4e200), 1.0) == pytest.approx(5e200, rel=1e-15)
    assert clip_by_norm(values(3e-200, 4e-200), 1.0) == pytest.approx(5e-200, rel=1e-15)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_bad_gradient_can_still_be_found(bad):
    weights = values(1.0, bad)
    assert not math.isfinite(clip_by_norm(weights, 0.1))
    assert weights[0].grad == 1.0
    clip_by_value(weights, 0.1)
    assert weights[0].grad == 0.1
    assert weights[1].grad == 0.1 if bad == math.inf else math.isnan(weights[1].grad)


def test_float32_stays_float32():
    w = Tensor(np.ones(2, dtype=np.float32), requires_grad=True)
    (w * 10.0).sum().backward()
    clip_by_norm([w], 1.0)
    assert w.grad.dtype == np.float32
    clip_by_value([w], 0.1)
    assert w.grad.dtype == np.float32


def test_an_array_that_somebody_holds_is_not_written_to():
    weights = tensors([3.0, 4.0])
    held = weights[0].grad
    clip_by_norm(weights, 1.0)
    clip_by_value(weights, 0.1)
    assert held.tolist() == [3.0, 4.0]


@pytest.mark.parametrize("clip", [clip_by_value, clip_by_norm])
@pytest.mark.parametrize("limit", [0.0, -1.0, math.nan, "1", None])
def test_limits_that_are_none_are_refused(clip, limit):
    with pytest.raises(SettingError, match=r"lies outside \(0, inf\]|is text: a number is needed"):
        clip(values(1.0), limit)


@pytest.mark.parametrize("clip", [clip_by_value, clip_by_norm])
def test_what_are_no_parameters_is_refused(clip):
    for params in (Value(1.0), [], [np.ones(2)]):
        with pytest.raises(OperandError):
            clip(params, 1.0)

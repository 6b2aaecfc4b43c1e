"""The gradient of a parameter without axes is a number with PyTorch's names, after one backward pass and after two."""

import copy
import json
import pickle

import numpy as np
import pytest

from tinygrad_edu import Tensor
from tinygrad_edu.core.methods.plain_arrays import UPDATES

ARGUMENTS = {
    "fill_": (4.0,), "copy_": (4.0,), "add_": (1.0,), "sub_": (1.0,), "mul_": (0.5,), "div_": (2.0,), "pow_": (2,),
    "clamp_": (-1.0, 1.0), "clip_": (-1.0, 1.0), "clamp_min_": (7.0,), "clamp_max_": (1.0,),
    "addcmul_": (2.0, 3.0), "addcdiv_": (2.0, 4.0), "lerp_": (0.0, 0.5), "masked_fill_": (True, 1.0),
}  # fmt: skip


@pytest.fixture(params=[(np.float64, 1), (np.float64, 2), (np.float32, 1), (np.float32, 2)], ids=str)
def w(request):
    dtype, passes = request.param
    found = Tensor(np.array(3.0, dtype), requires_grad=True)
    for _ in range(passes):
        (found * found).backward()
    return found


@pytest.mark.parametrize("name", UPDATES)
def test_updates(w, name):
    expected = np.array([w.grad], w.dtype)
    np.random.seed(0)
    row = Tensor(expected, requires_grad=True)
    row.grad = expected
    getattr(row.grad, name)(*ARGUMENTS.get(name, ()))
    np.random.seed(0)
    given_back = getattr(w.grad, name)(*ARGUMENTS.get(name, ()))
    assert float(w.grad) == float(given_back) == row.grad[0]
    assert np.asarray(w.grad).dtype == w.dtype


def test_it_stays_a_number(w):
    g, number = w.grad, float(w.grad)
    assert (round(g, 4), f"{g:.3f}", "%.3f" % g, g * 2, -g, g.item()) == (  # noqa: UP031
        number, f"{number:.3f}", f"{number:.3f}", 2 * number, -number, number,
    )  # fmt: skip
    assert (g.norm(), g.clamp(-1, 1), g.detach(), g.clone(), g.data, g.numpy()) == (number, 1.0, *[number] * 4)
    assert copy.deepcopy(g) == pickle.loads(pickle.dumps(g)) == number
    if isinstance(g, float):
        assert json.loads(json.dumps({"grad": g})) == {"grad": number}


def test_a_number_read_before_another_pass_changes_the_gradient_of_now(w):
    g, before = w.grad, float(w.grad)
    (w * w).backward()
    g.data.zero_() if isinstance(g, np.floating) else w.grad.zero_()
    assert (w.grad, before > 0.0) == (0.0, True)
    (w * w).backward()
    assert w.grad == 6.0

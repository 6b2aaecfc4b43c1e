"""What `x.data` and `x.grad` give: NumPy arrays that know PyTorch's names, of the same memory."""

import pickle

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.core.methods.plain_arrays import UPDATES, PlainArray
from tinygrad_edu.errors import ForgottenZeroGradWarning, GraphError, ShapeError

START = np.array([[0.5, -2.0, 3.0], [1.5, 0.25, -1.0]])
OTHER = np.array([[2.0, 1.0, -0.5], [4.0, 2.0, 1.0]])
ARGUMENTS = {  # one call per row; all rows of the update table are tested below
    "zero_": ((), {}), "fill_": ((2.5,), {}), "copy_": ((OTHER,), {}), "add_": ((OTHER,), {"alpha": 0.5}),
    "sub_": ((OTHER,), {"alpha": 0.5}), "mul_": ((OTHER,), {}), "div_": ((OTHER,), {}), "pow_": ((2,), {}),
    "neg_": ((), {}), "abs_": ((), {}), "exp_": ((), {}), "sqrt_": ((), {}), "clamp_": ((-1.0, 1.0), {}),
    "clip_": ((), {"max": 1.0}), "clamp_min_": ((0.0,), {}), "clamp_max_": ((0.0,), {}),
    "addcmul_": ((OTHER, START), {"value": 0.5}), "addcdiv_": ((START, OTHER), {"value": 0.5}),
    "lerp_": ((OTHER, 0.25), {}), "masked_fill_": ((OTHER > 1.5, 7.0), {}),
}  # fmt: skip
RANDOM = {"normal_", "uniform_"}


def leaf():
    return tg.Tensor(START, requires_grad=True, label="w")


def with_gradient():
    w = leaf()
    (w * w).sum().backward()
    return w


def test_every_update_has_a_call_here():
    assert ARGUMENTS.keys() | RANDOM == UPDATES.keys()


@pytest.mark.torch
@pytest.mark.parametrize("name", ARGUMENTS)
def test_updates_write_what_pytorch_writes(name):
    torch = pytest.importorskip("torch")

    arguments, options = ARGUMENTS[name]
    expected = torch.from_numpy(START.copy())
    getattr(expected, name)(*[torch.from_numpy(x) if isinstance(x, np.ndarray) else x for x in arguments], **options)
    w, v = with_gradient(), leaf()
    data, gradient = w.data, w.grad
    gradient.copy_(START)
    with tg.no_grad(), np.errstate(invalid="ignore"):
        written = [getattr(x, name)(*arguments, **options) for x in (gradient, data, v)]
    assert written[0] is gradient
    assert written[1] is data
    assert written[2] is v
    for found in (w.grad, w.array, v.array):
        np.testing.assert_allclose(found, expected.numpy(), rtol=1e-15)


@pytest.mark.parametrize("name", sorted(RANDOM))
def test_random_updates_follow_numpys_seed(name):
    w = leaf()
    np.random.seed(3)
    first = getattr(w.data, name)().copy()
    np.random.seed(3)
    assert (getattr(w.data, name)() == first).all()
    assert (w.array == first).all()


LOOPS = {
    "w.data -= rate * w.grad": lambda w, rate: w.data.__isub__(rate * w.grad),
    "w.data.sub_(rate * w.grad)": lambda w, rate: w.data.sub_(rate * w.grad),
    "w.data.add_(w.grad, alpha=-rate)": lambda w, rate: w.data.add_(w.grad, alpha=-rate),
    "w.data.add_(-rate, w.grad.data)": lambda w, rate: w.data.add_(-rate, w.grad.data),
    "w.sub_(rate * w.grad)": lambda w, rate: tg.no_grad(lambda: w.sub_(rate * w.grad))(),
    "w.copy_(w - rate * w.grad)": lambda w, rate: tg.no_grad(lambda: w.copy_(w - rate * w.grad))(),
}


@pytest.mark.parametrize("text", LOOPS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_loop_of_a_tutorial_trains(text, dtype):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20, 3)).astype(dtype), rng.normal(size=20).astype(dtype)
    w, by_hand = tg.Tensor(np.zeros(3, dtype), requires_grad=True), np.zeros(3, dtype)
    for _ in range(5):
        ((X @ w - y) ** 2).mean().backward()
        LOOPS[text](w, 0.1)
        w.grad.zero_()
        by_hand -= 0.1 * X.T @ (X @ by_hand - y) * 2 / len(y)
    np.testing.assert_allclose(w.data, by_hand, rtol=1e-5 if dtype == "float32" else 1e-12)
    assert w.dtype == w.data.dtype == w.grad.dtype == dtype


def test_names_of_a_gradient():
    w = with_gradient()
    g = w.grad
    assert g is w.grad is g.data is g.detach() is g.cpu()
    assert isinstance(g, np.ndarray)
    assert type(g.numpy()) is type(2 * g) is type(g @ g.T) is np.ndarray
    assert type(g.sum()) is type(g[0, 0]) is np.float64
    assert repr(g) == repr(2 * START)
    assert g.norm() == pytest.approx(np.sqrt((4 * START**2).sum()))
    np.testing.assert_allclose(g.norm(dim=1, keepdim=True), np.linalg.norm(g, axis=1, keepdims=True))
    assert g.clone() is not g
    assert g.view(-1).shape == (6,)
    assert g.view(3, 2).shape == g.view((3, 2)).shape == (3, 2)
    assert g.view(np.uint8).shape == (2, 24)
    assert g.numel() == 6
    assert (g.abs().clamp(0, 2).unsqueeze(0) == np.clip(np.abs(g), 0, 2)[None]).all()
    assert g[:1, :1].item() == 1.0
    assert g.type("float32").dtype == g.to("float32").dtype == np.float32
    assert g.to("cpu") is g
    assert int(g.argmax(dim=0)[:1]) == int(g[:1, :1]) == float(g[:1, :1]) == 1
    for number in (int, float):
        with pytest.raises(TypeError):
            number(g)
    assert (g > 0).type("int64").tolist() == (g > 0).to("int64").tolist() == (g > 0).astype(int).tolist()
    assert tg.Tensor([1.0]).type("float32").dtype == np.float32
    assert type(pickle.loads(pickle.dumps(g))) is np.ndarray


@pytest.mark.parametrize("name", sorted({*tg.Tensor.__slots__[1:], "requires_grad_", "backward", "cuda", "nothing"}))
def test_a_plain_array_is_not_taken_for_a_node(name):
    with pytest.raises(AttributeError, match=f"has no (attribute )?'{name}'"):
        getattr(leaf().data, name)


def test_a_gradient_that_a_step_has_used_is_noticed_after_a_look_at_it():
    w = leaf()
    optimizer = tg.optim.SGD([w], lr=0.1)
    (w * w).sum().backward()
    optimizer.step()
    assert w.grad.norm() > 0
    with pytest.warns(ForgottenZeroGradWarning):
        (w * w).sum().backward()
    optimizer.step()
    w.grad.zero_()
    (w * w).sum().backward()  # no warning, because the gradient was set to 0
    np.testing.assert_allclose(w.grad, 2 * w.data)


def test_what_would_lose_a_gradient_is_refused():
    w = leaf()
    with pytest.raises(GraphError, match=r"w\.add_\(\.\.\.\).*with tg\.no_grad\(\):"):
        w.add_(1.0)
    with pytest.raises(GraphError, match=r"x = x \+ y"):
        (w * 2.0).zero_()
    with pytest.raises(ShapeError, match=r"add_ writes into an array of shape \(2, 3\)"):
        w.data.add_(np.ones(4))
    with pytest.raises(GraphError, match="a view"):
        w.T.data.zero_()
    y = (w * w).sum()
    w.data.zero_()
    with pytest.raises(tg.errors.SavedArrayChangedError):
        y.backward()


def test_no_grad_is_a_decorator_with_and_without_parentheses():
    w = leaf()
    assert [f(w).parents for f in (tg.no_grad(lambda x: x * 2.0), tg.no_grad()(lambda x: x * 2.0))] == [(), ()]
    assert (w * 2.0).parents


def test_a_write_in_place_leaves_the_array_where_it_is():
    w = with_gradient()
    array, gradient = w.array, w.grad
    w.data -= 1.0
    w.data[0] *= 2.0
    w.grad *= 0.5
    np.clip(w.grad, -1, 1, out=w.grad)
    assert w.array is array
    assert w.grad is gradient
    np.testing.assert_allclose(gradient, np.clip(START, -1, 1))
    assert type(w.grad) is type(w.data) is PlainArray


CLASSES = np.array([2, 1])
COUNTS = {  # how PyTorch programs count right answers: (the call, the same with NumPy)
    "a share": (lambda x: (x > 0.4).float().mean(), np.mean(START > 0.4)),
    "how many": (lambda x: (x > 0.4).sum().item(), np.sum(START > 0.4)),
    "classes": (lambda x: (x.argmax(1) == CLASSES).float().mean().item(), 0.5),
    "classes the other way round": (lambda x: np.equal(CLASSES, x.argmax(dim=1)).float().mean(), 0.5),
    "both": (lambda x: ((x > 0.0) & (x < 2.0)).int().tolist(), ((START > 0.0) & (START < 2.0)).astype(int).tolist()),
    "not": (lambda x: (~(x.detach() > 0.0)).sum().item(), np.sum(START <= 0.0)),
    "of data": (lambda x: (x.data.argmax(1) == CLASSES).float().mean(), 0.5),
    "a mask": (lambda x: x[x.argmax(1) == CLASSES].tolist(), START[:1].tolist()),
}


@pytest.mark.parametrize("name", COUNTS)
def test_what_is_right_is_counted_as_in_pytorch(name):
    call, expected = COUNTS[name]
    np.testing.assert_allclose(call(leaf()), expected)


def test_a_mask_that_changes_later_changes_no_gradient():
    x = leaf()
    mask = x > 0.0
    y = np.where(mask, 2.0 * x, 5.0 * x).sum()
    mask[...] = ~mask
    y.backward()
    np.testing.assert_array_equal(x.grad, np.where(START > 0.0, 2.0, 5.0))

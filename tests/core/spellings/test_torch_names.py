"""Each of the further names of PyTorch gives what PyTorch gives; each that is missing says what to write."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.core.methods.torch_names import INSTEAD, METHODS

X = np.array([[0.5, -2.0, 3.25], [1.5, 0.25, -1.0]])
SQUARE = np.array([[2.0, 0.5], [-0.3, 1.5]])
CALLS = {
    "narrow": [(X, 1, 1, 2), (X, -1, 0, 1)],
    "select": [(X, 1, 2), (X, 0, 0)], "movedim": [(X, 0, 1)], "mv": [(X, X[0])], "addmm": [(X, SQUARE, X)],
    "inverse": [(SQUARE,)],
    "repeat_interleave": [(X, 2, 1), (X, 3)],
    "rsqrt": [(X**2,)], "lerp": [(X, 2 * X, 0.3)], "frac": [(X,)], "remainder": [(X, 2.0)],
    "lgamma": [(X**2,)], "amax": [(X, 1), (X, 0, True)], "amin": [(X, 1)], "nelement": [(X,)], "long": [(X,)],
    "int": [(X,)], "bool": [(X,)], "isnan": [(X,)], "isinf": [(X,)], "isfinite": [(X,)], "logical_not": [(X,)],
    "count_nonzero": [(X,), (X, 1)], "unique": [(X,)],
    "histc": [(X,), (X, 5, -1.0, 1.0), (X[:1, :1], 4), (X, 4, 0.5, 0.5)],
    "isclose": [(X, X + 1e-9)], "allclose": [(X, X + 1e-9)],
    "new_zeros": [(X, 2, 3), (X, (2, 3))], "new_ones": [(X, 2)],
    "clamp": [(X, -0.5, 1.0), (X, 0.5)], "swapdims": [(X[None], 0, 2)],
    "pinverse": [(SQUARE,)], "is_contiguous": [(X,), (X[:, ::2].copy(),)],
    "new_empty": [(X, 0)], "new_tensor": [(X, 0.5), (X, [1.0, 2.0])],
    "new_full": [(X, (2, 2), 7.0)], "type": [(X, "torch.DoubleTensor"), (X.astype("float32"), "torch.FloatTensor")],
}  # fmt: skip
BOUNDS = {"clamp_min", "clamp_max"}  # torch takes numbers there


def test_every_name_has_a_call():
    assert CALLS.keys() | BOUNDS == METHODS.keys()


@pytest.mark.torch
@pytest.mark.parametrize("name", sorted(METHODS))
def test_what_pytorch_gives(name):
    import torch

    for x, *rest in CALLS.get(name, [(X, 0.3)]):
        theirs = torch.from_numpy(x.copy()).requires_grad_()
        expected = getattr(theirs, name)(*[torch.from_numpy(r) if isinstance(r, np.ndarray) else r for r in rest])
        ours = tg.Tensor(x, requires_grad=True)
        found = getattr(ours, name)(*rest)
        if not isinstance(expected, torch.Tensor):
            assert found == expected
            continue
        np.testing.assert_allclose(np.asarray(getattr(found, "data", found)), expected.detach().numpy(), rtol=1e-12)
        if hasattr(found, "parents") and found.parents:
            expected.sum().backward()
            found.sum().backward()
            np.testing.assert_allclose(ours.grad, theirs.grad.numpy(), rtol=1e-10, atol=1e-14)


@pytest.mark.torch
@pytest.mark.parametrize("name", ["std", "var"])
def test_a_spread_in_pytorchs_words_is_pytorchs(name):
    import torch

    for options in ({"keepdim": True}, {"dim": 0}, {"dim": 0, "keepdim": True}):
        arguments = () if "dim" in options else (0,)
        expected = getattr(torch.from_numpy(X), name)(*arguments, **options)
        np.testing.assert_allclose(getattr(tg.Tensor(X), name)(*arguments, **options).data, expected.numpy())


@pytest.mark.parametrize("name", INSTEAD)
def test_a_missing_name_says_what_to_write(name):
    with pytest.raises(AttributeError, match="Write "):
        getattr(tg.Tensor(X), name)

"""An option with two names, NumPy's and PyTorch's, is given by one of them: walked over everything that has two."""

import itertools

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.core.methods.plain_arrays import PlainArray
from tinygrad_edu.core.one_name import GROUPS, SAME
from tinygrad_edu.core.transforms import scalar_transforms
from tinygrad_edu.errors import TinygradError

X = np.array([[1.0, 2.0, 3.0], [3.0, 1.0, 2.5], [0.3, 0.2, 0.1]])
ONE, TWO = ({"axis": 0, "dim": 0, "keepdims": True, "keepdim": True, "ddof": 0, "correction": 0, "unbiased": False,
             "rcond": 0.1, "rtol": 0.1, "a_min": 0.0, "min": 0.0, "a_max": 1.0, "max": 1.0, "shape": (9,),
             "newshape": (9,)},
            {"axis": 1, "dim": 1, "keepdims": False, "keepdim": False, "ddof": 1, "correction": 1, "unbiased": True,
             "rcond": 0.2, "rtol": 0.2, "a_min": 0.5, "min": 0.5, "a_max": 0.7, "max": 0.7, "shape": (9, 1),
             "newshape": (9, 1)})  # fmt: skip
WALKED = [group for group in SAME if group[0] in ONE]


def callables():
    tensor = tg.Tensor(X, requires_grad=True)
    for x in (tensor, tensor.data):
        for name in dir(type(x)):
            if not name.startswith("__") and callable(method := getattr(x, name, None)):
                yield f"{type(x).__name__}.{name}", method, [()]
    for space in (np, np.linalg, tg.ops):
        for name in dir(space):
            function = getattr(space, name)
            if callable(function) and not isinstance(function, type) and name not in ("errstate", "printoptions"):
                yield f"{space.__name__}.{name}", function, [(tensor,), (tensor, 0.0, 1.0)]


def works(function, arguments, options):
    try:
        function(*arguments, **options)
    except Exception:
        return False
    return True


def refuses(function, arguments, options):
    """By an error that says it: a TypeError of Python's own for one argument given twice will do as well."""
    with np.errstate(all="ignore"), pytest.raises((TinygradError, TypeError)):
        function(*arguments, **options)


def pairs():
    for label, function, starts in callables():
        for start, group, extra in itertools.product(starts, WALKED, ({}, {"axis": 0}, {"dim": 0})):
            if not (extra and group[0] == "axis"):
                known = [name for name in group if works(function, start, {name: ONE[name], **extra})]
                for one, two in itertools.permutations(known, 2):
                    yield label, function, start, {one: ONE[one], two: TWO[two], **extra}


def test_no_option_is_taken_twice():
    with np.errstate(all="ignore"):
        found = list(pairs())
    for _, function, start, options in found:
        refuses(function, start, options)
    assert len({label for label, *_ in found}) >= 20


PLACED = [
    ("sum", (0,), {"dim": 1}), ("sum", (0, True), {"keepdim": False}), ("mean", (0,), {"dim": 1}),
    ("argmax", (0,), {"dim": 1}), ("argmin", (0, True), {"keepdim": False}), ("max", (0,), {"dim": 1}),
    ("min", (0,), {"axis": 1}), ("all", (0,), {"dim": 1}), ("median", (0,), {"dim": 1}), ("norm", (2, 0), {"dim": 1}),
    ("norm", (), {"dim": 0, "axis": 1}), ("split", (1, 0), {"axis": 1}), ("cumsum", (0,), {"dim": 1}),
    ("argsort", (0,), {"dim": 1}), ("std", (), {"ddof": 0, "unbiased": True}),
    ("std", (), {"ddof": 0, "correction": 1}),
    ("var", (0,), {"dim": 1}), ("sum", (0,), {"keepdims": True, "keepdim": False}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "places", "options"), PLACED)
@pytest.mark.parametrize("plain", [False, True])
def test_by_its_place_and_by_its_name(name, places, options, plain):
    x = tg.Tensor(X).data if plain else tg.Tensor(X)
    assert isinstance(x, PlainArray if plain else tg.Tensor)
    refuses(getattr(x, name), places, options)


def test_numpys_own_names():
    x = tg.Tensor(X, requires_grad=True)
    for function, arguments, options in [
        (np.clip, (x, 0.0, 1.0), {"min": 0.5}), (np.clip, (x,), {"a_max": 1.0, "max": 0.5}),
        (np.linalg.pinv, (x,), {"rcond": 0.1, "rtol": 0.2}), (np.linalg.pinv, (x, 0.1), {"rtol": 0.2}),
        (tg.ops.pinv, (x, 0.1), {"rtol": 0.2}), (np.std, (x,), {"ddof": 0, "correction": 1}),
    ]:  # fmt: skip
        refuses(function, arguments, options)


LAYERS_TWICE = [
    (nn.LeakyReLU, (0.1,), {"negative_slope": 0.2}), (nn.LeakyReLU, (), {"slope": 0.1, "negative_slope": 0.2}),
    (nn.BatchNorm, (3,), {"num_features": 4}), (nn.BatchNorm, (), {"features": 3, "num_features": 4}),
    (nn.LayerNorm, (3,), {"normalized_shape": 4}), (nn.Embedding, (3, 2), {"num_embeddings": 4}),
    (nn.GRU, (3, 2), {"input_size": 4}), (nn.LSTM, (3,), {"hidden_size": 4, "hidden_features": 4}),
    (nn.scaled_dot_product_attention, (X, X, X, X > 1), {"attn_mask": X > 0}),
    (nn.scaled_dot_product_attention, (X, X, X), {"causal": False, "is_causal": True}),
]  # fmt: skip


@pytest.mark.parametrize(("layer", "places", "options"), LAYERS_TWICE)
def test_layers(layer, places, options):
    refuses(layer, places, options)


TRANSFORMS = [
    tg.grad,
    tg.value_and_grad,
    tg.jacobian,
    tg.hessian,
    scalar_transforms.grad,
    scalar_transforms.value_and_grad,
]


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_transforms(transform):
    def f(x, y):
        return x * y

    assert transform(f, argnums=1)(2.0, 3.0) == transform(f, 1)(2.0, 3.0) == transform(f, argnum=1)(2.0, 3.0)
    for places, options in [((0,), {"argnums": 1}), ((), {"argnum": 0, "argnums": 1}), ((1,), {"argnum": 0})]:
        refuses(transform, (f, *places), options)


def test_backward():
    one, two = np.ones(3), np.full(3, 2.0)
    for places, options in [((one,), {"gradient": two}), ((), {"grad": one, "gradient": two})]:
        refuses((tg.Tensor(one, requires_grad=True) * 2.0).backward, places, options)


def test_options_that_nothing_reads_are_refused():
    x = tg.Tensor(X)
    for method in (x.to, lambda **o: x.new_zeros(3, **o), lambda **o: x.new_full((3,), 1.0, **o)):
        refuses(method, (), {"anything": 1})
    assert x.new_zeros(3, requires_grad=True).requires_grad
    assert x.to(copy=True) is not x


def test_the_groups_are_apart():
    assert len(GROUPS) == sum(map(len, SAME))

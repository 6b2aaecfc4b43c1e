"""What transforms, backward, step and fit cannot work with is refused in one sentence, not by Python from inside."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.compile.programs import without_numba
from tinygrad_edu.errors import OperandError, SettingError, TinygradError

W = tg.Tensor([1.0, 2.0], requires_grad=True)
X = np.ones((4, 1))


def same(x):
    return x


def nested(depth=5000):
    found = 1.0
    for _ in range(depth):
        found = [found]
    return found


def fit_with_weights(loss, **settings):
    return tg.fit(tg.nn.Linear(1, 1), X, X, loss=loss, optimizer="sgd", epochs=1, sample_weight=np.ones(4), **settings)


DEEP = {
    "grad": lambda x: tg.grad(same)(x),
    "value_and_grad": lambda x: tg.value_and_grad(same)(x),
    "vjp": lambda x: tg.vjp(same, x),
    "jvp": lambda x: tg.jvp(same, (x,), (x,)),
    "the tangents of jvp": lambda x: tg.jvp(same, (1.0,), (x,)),
    "jacobian": lambda x: tg.jacobian(same)(x),
    "hessian": lambda x: tg.hessian(same)(x),
    "hvp": lambda x: tg.hvp(same, x, x),
    "gradcheck": lambda x: tg.gradcheck(same, x),
    "vmap": lambda x: tg.vmap(same)(x),
    "jit": lambda x: tg.jit(same)(x),
    "the state of scan": lambda x: tg.scan(lambda s, r: (s, r), x, np.ones(3)),
    "the rows of scan": lambda x: tg.scan(lambda s, r: (s, r), 1.0, x),
}


def deep_result(x):
    return nested()


DEEP_ELSEWHERE = {
    "a result of vjp": lambda: tg.vjp(deep_result, X),
    "a result of grad": lambda: tg.grad(deep_result)(X),
    "a result of jacobian": lambda: tg.jacobian(deep_result)(X),
    "a result of vmap": lambda: tg.vmap(deep_result)(X),
    "a result of jit": lambda: tg.jit(deep_result)(X),
    "beside the number": lambda: tg.grad(lambda x: (x.sum(), nested()), has_aux=True)(X),
    "a seed": lambda: tg.vjp(lambda x: x * 2, X)[1](nested()),
    "argnum": lambda: tg.grad(same, argnum=nested())(X),
    "out_axes": lambda: tg.vmap(same, out_axes=nested())(X),
    "a Tensor": lambda: tg.Tensor(nested()),
    "an operand": lambda: W + nested(),
}

WRONG = {
    "backward(create_graph=True)": (lambda: (W * W).sum().backward(create_graph=True), r"tg.grad\(f\)\(x\)"),
    "Value.backward(create_graph=True)": (lambda: tg.Value(2.0).backward(create_graph=True), r"tg.grad\(f\)\(x\)"),
    "step(3)": (lambda: tg.optim.SGD([W], lr=0.1).step(3), "one call is one step"),
    "step('a')": (lambda: tg.optim.SGD([W], lr=0.1).step("a"), "one call is one step"),
    "weights beside a loss of one's own": (lambda: fit_with_weights(lambda p, y: np.mean((p - y) ** 2)), "no such arg"),
    "vmap(3)": (lambda: tg.vmap(3), "a function is needed"),
    "scan(3)": (lambda: tg.scan(3, 1.0, X), "a function is needed"),
    "jvp at a number": (lambda: tg.jvp(same, 1.0, 1.0), "one entry for each argument"),
}


@pytest.mark.parametrize("name", DEEP)
def test_deep_nesting_is_refused_by_name(name):
    with pytest.raises(OperandError, match="nested"):
        DEEP[name](nested())


@pytest.mark.parametrize("name", DEEP_ELSEWHERE)
def test_deep_results_seeds_and_options_are_too(name):
    with without_numba(), pytest.raises(TinygradError, match=r"nested|in many others"):
        DEEP_ELSEWHERE[name]()


@pytest.mark.parametrize("name", WRONG)
def test_wrong_arguments(name):
    call, words = WRONG[name]
    with pytest.raises((OperandError, SettingError), match=words):
        call()


def test_what_is_right_goes_on_working():
    (W * W).sum().backward(create_graph=False)
    tg.Value(2.0).backward(create_graph=False)
    tg.optim.SGD([W], lr=0.1).step(lambda: 1.0)
    fit_with_weights(lambda p, y, sample_weight: np.mean(sample_weight[:, None] * (p - y) ** 2))
    fit_with_weights(lambda p, y, **given: np.mean(given["sample_weight"][:, None] * (p - y) ** 2))
    fit_with_weights(lambda p, y: np.mean((p - y) ** 2), shuffle="weighted")
    fit_with_weights("mse")
    assert tg.jvp(same, [3.0], [1.0]) == (3.0, 1.0)

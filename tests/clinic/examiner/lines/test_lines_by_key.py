"""Lines that write to a dict by a key that is put together, or through the transposed array, are followed as others."""

import linecache
import sys
import types

import numpy as np
import pytest

from tinygrad_edu.clinic import check_backprop, check_program

PROGRAM = """
import numpy as np
rng = np.random.default_rng(0)
X, Y = rng.normal(size=(6, 3)), rng.normal(size=(6, 2))
p = {"W1": rng.normal(size=(3, 4)), "W2": rng.normal(size=(4, 2))}
def loss():
    return 0.5 * np.sum((np.tanh(X @ p["W1"]) @ p["W2"] - Y) ** 2)
def backward():
    grads, cache = {}, {"A0": X, "A1": np.tanh(X @ p["W1"])}
    d = cache["A1"] @ p["W2"] - Y
    for l in (2, 1):
        grads[GRAD] = cache[INPUT].T @ d
        d = d @ p[WEIGHT].T * (1 - cache[INPUT])
    return grads
def step():
    grads = backward()
    for l in (1, 2):
        p[WEIGHT] -= 0.1 * grads[GRAD]
"""
KEYS = {
    "str": ('"dW" + str(l)', '"W" + str(l)', '"A" + str(l - 1)'),
    "f-string": ("f'dW{l}'", "f'W{l}'", "f'A{l - 1}'"),
    "format": ('"dW{}".format(l)', '"W{0}".format(l)', '"A{}".format(l - 1)'),
    "percent": ('"dW%d" % l', '"W%s" % l', '"A%i" % (l - 1)'),
}


@pytest.mark.parametrize("keys", KEYS.values(), ids=KEYS)
def test_the_line_is_found_behind_every_kind_of_key(keys, request):
    text = PROGRAM
    for word, key in zip(("GRAD", "WEIGHT", "INPUT"), keys, strict=True):
        text = text.replace(word, key)
    name = f"keys_{request.node.name}"
    module = types.ModuleType(name)
    module.__file__ = f"/nowhere/{name}.py"
    linecache.cache[module.__file__] = (len(text), None, text.splitlines(keepends=True), module.__file__)
    sys.modules[name] = module
    try:
        exec(compile(text, module.__file__, "exec"), vars(module))
        report = check_program(module.p, step=module.step, loss=module.loss, lr=0.1)
    finally:
        del sys.modules[name]
    assert [*report.wrong] == ["W1"]
    assert report.slips[0].code == "wrong_activation_derivative"
    assert report.places[0].source.startswith("d = d @ p[")


@pytest.mark.parametrize("add_at", [False, True])
def test_a_table_that_is_read_and_written_transposed(add_at):
    rng = np.random.default_rng(0)
    ids, params = np.array([1, 4, 2, 1]), {"E": rng.normal(size=(3, 6)), "V": rng.normal(size=(3, 2))}

    def forward(p):
        return np.sum((np.tanh(p["E"].T[ids]) @ p["V"]) ** 2)

    def backward(p):
        a = np.tanh(p["E"].T[ids])
        d = 2.0 * a @ p["V"]
        d_a, d_e = d @ p["V"].T * (1.0 - a**2), np.zeros_like(p["E"])
        if add_at:
            np.add.at(d_e.T, ids, d_a)
        else:
            d_e.T[ids] += d_a
        return {"E": d_e, "V": a.T @ d}

    report = check_backprop(forward, params, backward)
    assert report.ok == add_at
    if not add_at:
        assert report.slips[0].code == "repeated_index_counted_once"
        assert report.places[0].source == "d_e.T[ids] += d_a"

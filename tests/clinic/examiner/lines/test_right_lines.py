"""The lines of a report are the wrong ones alone: what carries a factor on is right, and so is a right entry's line.

Each program is put together of right lines, of which one is replaced by a wrong one.
"""

import types

import numpy as np
import pytest

import tinygrad_edu as tg

SAMPLES = 5
LAYERS = {
    "slope": "(1 - h**2)",
    "delta": "d2 = 2 * (o - t) / t.size",
    "below": "d1 = d2 @ p['W2'].T * SLOPE",
    "dW2": "dW2 = h.T @ d2",
    "db2": "db2 = d2.sum(axis=0)",
    "dW1": "dW1 = X.T @ d1",
    "db1": "db1 = d1.sum(axis=0)",
}
FACTORS = {  # name of the case → (line that is replaced, wrong line)
    "the 2 of the square": ("delta", "d2 = (o - t) / t.size"),
    "the n of the mean": ("delta", "d2 = 2 * (o - t)"),
    "the sign": ("delta", "d2 = 2 * (t - o) / t.size"),
    "the sign below": ("below", "d1 = -d2 @ p['W2'].T * SLOPE"),
    "twice below": ("below", "d1 = 2 * d2 @ p['W2'].T * SLOPE"),
    "n twice in a weight": ("dW1", "dW1 = X.T @ d1 / len(X)"),
    "the sign of a bias": ("db2", "db2 = -d2.sum(axis=0)"),
}
ENTRIES = {"first": "g[0] += d * x[0]", "second": "g[1] += d * x[1]", "bias": "g[2] += d"}
WRONG_ENTRIES = {
    "another input": ("second", "g[1] += d * x[0]"),
    "twice": ("second", "g[1] += 2 * d * x[1]"),
    "the last sample alone": ("first", "g[0] = d * x[0]"),
    "an input for the bias": ("bias", "g[2] += d * x[1]"),
}


def program_of(text, folder, **names):
    path = folder / "written.py"
    path.write_text(text, encoding="utf-8")
    made = types.ModuleType("written")
    vars(made).update(np=np, **names)
    exec(compile(text, str(path), "exec"), vars(made))
    return made


def accused(report):
    return [place.source for place in report.places]


def two_layers(lines, error_apart=False):
    """The backward pass of two layers; error_apart: o - t has a line of its own."""
    lines = {k: x.replace("SLOPE", LAYERS["slope"]) for k, x in lines.items()}
    if error_apart:
        turned = "t - o" in lines["delta"]
        lines["delta"] = lines["delta"].replace("t - o", "e").replace("o - t", "e")
        lines = {"error": "e = t - o" if turned else "e = o - t", **lines}
    order = [k for k in ("error", "delta", "dW2", "db2", "below", "dW1", "db1") if k in lines]
    body = ["h = np.tanh(X @ p['W1'] + p['b1'])", "o = h @ p['W2'] + p['b2']", *(lines[k] for k in order)]
    return "def backward(p):\n    " + "\n    ".join([*body, "return dict(W1=dW1, b1=db1, W2=dW2, b2=db2)"])


def check_layers(text, folder, outputs):
    r = np.random.default_rng(outputs)
    X, t = r.normal(size=(SAMPLES, 3)), r.normal(size=(SAMPLES, outputs))
    shapes = {"W1": (3, 4), "b1": 4, "W2": (4, outputs), "b2": outputs}
    params = {name: r.normal(size=shape) for name, shape in shapes.items()}
    made = program_of(text, folder, X=X, t=t)
    return tg.clinic.check_backprop(
        lambda p: np.mean((np.tanh(X @ p["W1"] + p["b1"]) @ p["W2"] + p["b2"] - t) ** 2), params, made.backward
    )


@pytest.mark.parametrize("case", FACTORS)
def test_lines_that_carry_a_factor_on_are_right(tmp_path, case):
    place, wrong = FACTORS[case]
    outputs = 1 + [*FACTORS].index(case) % 2
    report = check_layers(two_layers({**LAYERS, place: wrong}), tmp_path, outputs)
    assert accused(report) == [wrong.replace("SLOPE", LAYERS["slope"])]


@pytest.mark.parametrize(("case", "blamed"), [("the 2 of the square", "d2 = (e) / t.size"), ("the sign", "e = t - o")])
def test_an_error_with_a_line_of_its_own_is_half_a_derivative(tmp_path, case, blamed):
    place, wrong = FACTORS[case]
    report = check_layers(two_layers({**LAYERS, place: wrong}, error_apart=True), tmp_path, 2)
    assert accused(report) == [blamed]


@pytest.mark.parametrize("case", WRONG_ENTRIES)
def test_a_right_entry_speaks_for_its_line(tmp_path, case):
    place, wrong = WRONG_ENTRIES[case]
    holder = ["[0.0, 0.0, 0.0]", "np.zeros(3)"][[*WRONG_ENTRIES].index(case) % 2]
    lines = "\n        ".join({**ENTRIES, place: wrong}.values())
    text = f"""
def output(w, x):
    return w[0] * x[0] + w[1] * x[1] + w[2]

def backward(w):
    g = {holder}
    for x, y in zip(X, t):
        o = output(w, x)
        d = 2 * (o - y)
        {lines}
    return g
"""
    made = program_of(text, tmp_path, X=[[0.3, 1.0], [1.0, 2.0]], t=[1.0, 0.0])
    w = [0.1, 0.2, 0.3] if "[" in holder else np.array([0.1, 0.2, 0.3])
    forward = lambda w: sum((made.output(w, x) - y) ** 2 for x, y in zip(made.X, made.t, strict=True))  # noqa: E731
    assert accused(tg.clinic.check_backprop(forward, w, made.backward)) == [wrong]


MISSING = {  # what is left out → the line without it, and what is written after it
    "the slope": ("d1 = d2 @ p['W2'].T", ""),
    "all that a mask lets through": ("d1 = d2 @ p['W2'].T", "d1[h < -1.0] = 0.0"),
}


@pytest.mark.parametrize("case", MISSING)
def test_what_reads_a_delta_without_its_slope_is_right(tmp_path, case):
    wrong, after = MISSING[case]
    report = check_layers(two_layers({**LAYERS, "below": "\n    ".join(filter(None, (wrong, after)))}), tmp_path, 2)
    assert accused(report) == [after or wrong]


def residual(p, x):
    h = x @ p["W"]
    return h, np.tanh(h), (h + np.tanh(h)) @ p["V"]


def test_the_reader_of_a_share_is_right(tmp_path):
    r = np.random.default_rng(1)
    x, t = r.normal(size=(SAMPLES, 2)), r.normal(size=(SAMPLES, 1))
    params = {"W": r.normal(size=(2, 2)), "V": r.normal(size=(2, 1))}
    text = """
def backward(p):
    h, a, o = residual(p, x)
    d = 2 * (o - t)
    dr = d @ p["V"].T
    dh = dr * (1 - a**2)
    return {"W": x.T @ dh, "V": (h + a).T @ d}
"""
    made = program_of(text, tmp_path, x=x, t=t, residual=residual)
    report = tg.clinic.check_backprop(lambda p: np.sum((residual(p, x)[2] - t) ** 2), params, made.backward)
    assert accused(report) == ["dh = dr * (1 - a**2)"]
    assert "only a part of" in report.places[0].sentence


@pytest.mark.slow
def test_a_line_that_reads_a_wrong_delta_number_by_number_is_not_accused(tmp_path):
    r = np.random.default_rng(2)
    image, t = r.normal(size=(3, 3)), r.normal(size=(2, 2))
    text = """
def windows(kernel):
    return np.array([[np.sum(image[i : i + 2, j : j + 2] * kernel) for j in range(2)] for i in range(2)])

def backward(p):
    z = windows(p["K"])
    d = 2 * (np.where(z > 0, z, 0.1 * z) - t)
    dz = d * np.where(z > 0, 1.0, 0.01)
    dK = np.zeros((2, 2))
    for i in range(2):
        for j in range(2):
            dK += dz[i, j] * image[i : i + 2, j : j + 2]
    return {"K": dK}
"""
    made = program_of(text, tmp_path, image=image, t=t)

    def forward(p):
        z = np.zeros((2, 2))
        for i in range(2):
            for j in range(2):
                z[i, j] = np.sum(image[i : i + 2, j : j + 2] * p["K"])
        return np.sum((np.where(z > 0, z, 0.1 * z) - t) ** 2)

    report = tg.clinic.check_backprop(forward, {"K": r.normal(size=(2, 2))}, made.backward)
    assert accused(report) == ["dz = d * np.where(z > 0, 1.0, 0.01)"]

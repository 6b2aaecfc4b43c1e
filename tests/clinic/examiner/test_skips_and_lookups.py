"""Skip connections, maxima over relu, looked-up rows, gradients of one number, and wrong addends of a right sum."""

import numpy as np
import pytest

from tinygrad_edu.clinic import check_backprop
from tinygrad_edu.clinic.examiner import search

RNG = np.random.default_rng(3)
X, T, IDS, LABELS = (
    RNG.normal(size=(6, 4)),
    RNG.normal(size=(6, 2)),
    np.array([0, 2, 1, 2, 4]),
    np.array([3, 1, 0, 2, 1]),
)
NOISE = RNG.normal(size=(6, 2))


def weights(**shapes):
    return {name: RNG.normal(size=shape) for name, shape in shapes.items()}


def softmax(z):
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def examine(make, params, mistake):
    """The report on a program that gives (loss, gradients) at once, with one of its mistakes."""
    return check_backprop(lambda p: make(p, "")[0], params, lambda p: make(p, mistake)[1])


def residual(p, mistake):
    """tanh, then two blocks with a connection past each."""
    h = np.tanh(X @ p["A"])
    u = np.tanh(h @ p["B"])
    g = h + u
    r = np.maximum(g @ p["D"], 0.0)
    s = g + r
    o = s @ p["C"]
    d = 2.0 * (o - T) / T.size
    ds = d @ p["C"].T
    dr = ds * (r > 0)
    dg = dr @ p["D"].T
    if mistake not in ("second", "both"):
        dg = dg + ds
    du = dg * (1.0 - u * u)
    dh = du @ p["B"].T
    if mistake not in ("first", "both"):
        dh = dh + dg
    grads = {"A": X.T @ (dh * (1.0 - h * h)), "B": h.T @ du, "D": g.T @ dr, "C": s.T @ d}
    return ((o - T) ** 2).mean(), grads


def dense(p, mistake):
    """A block beside what goes into it, concatenated."""
    h = np.tanh(X @ p["A"])
    u = np.tanh(h @ p["B"])
    g = np.concatenate([h, u], axis=1)
    d = 2.0 * (g @ p["C"] - T) / T.size
    dg = d @ p["C"].T
    du = dg[:, 5:] * (1.0 - u * u)
    dh = du @ p["B"].T
    if mistake != "first":
        dh = dh + dg[:, :5]
    return ((g @ p["C"] - T) ** 2).mean(), {"A": X.T @ (dh * (1.0 - h * h)), "B": h.T @ du, "C": g.T @ d}


@pytest.mark.parametrize(
    ("make", "mistake"),
    [*((residual, x) for x in ("", "first", "second", "both")), (dense, ""), (dense, "first")],
)
def test_a_skip_connection_that_is_forgotten_is_named(make, mistake):
    shapes = {"A": (4, 5), "B": (5, 5), "D": (5, 5), "C": (5 if make is residual else 10, 2)}
    params = weights(**{n: s for n, s in shapes.items() if make is residual or n != "D"})
    report = examine(make, params, mistake)
    assert report.ok == (not mistake)
    assert [s.code for s in report.slips[:1]] == ["skip_connection_forgotten"] * bool(mistake)
    assert mistake != "both" or "every" in report.slips[0].line


def pooled(p, mistake, windows):
    """A maximum over pairs of relus; windows: the entries of a that each of them gives to."""
    a = np.maximum(X @ p["A"] + p["b"], 0.0)
    pairs = a.reshape(6, 3, 2)
    m = pairs.max(2)
    d = 2.0 * (m @ p["C"] - T) / T.size
    da = (windows(pairs, m) * (d @ p["C"].T)[:, :, None]).reshape(6, 6)
    dz = da if mistake else da * (a > 0)
    return ((m @ p["C"] - T) ** 2).mean(), {"A": X.T @ dz, "b": dz.sum(0), "C": m.T @ d}


def first_maximum(pairs, m):
    mask = np.zeros_like(pairs)
    np.put_along_axis(mask, pairs.argmax(2)[..., None], 1.0, 2)
    return mask


@pytest.mark.parametrize("mistake", ["", "relu"])
@pytest.mark.parametrize(
    "windows", [first_maximum, lambda pairs, m: 1.0 * (pairs == m[..., None])], ids=["first", "all"]
)
def test_a_relu_below_a_maximum_whose_slope_is_forgotten_is_named(windows, mistake):
    params = {"A": RNG.normal(size=(4, 6)), "b": RNG.normal(size=6) - 1.0, "C": RNG.normal(size=(3, 2))}
    report = examine(lambda p, m: pooled(p, m, windows), params, mistake)
    assert report.ok == (not mistake)
    assert [s.code for s in report.slips[:1]] == ["slope_below_a_maximum_missing"] * bool(mistake)


def looked_up(p, mistake):
    """One word per sample: E[ids] @ W + b, or tied, E[ids] @ E.T."""
    W = p.get("W", p["E"].T)
    e = p["E"][IDS]
    q = softmax(e @ W)
    d = (q - np.eye(5)[LABELS]) / 5.0
    d = {"sign": -d, "n": 5.0 * d}.get(mistake, d)
    de, dE = d @ W.T, np.zeros_like(p["E"])
    if mistake == "index":
        dE[IDS] += de
    elif mistake != "lookup":
        np.add.at(dE, IDS, de)
    dW = e.T @ d if mistake != "output" else np.zeros_like(W)
    loss = -np.log(q[np.arange(5), LABELS]).mean()
    return loss, {"E": dE, "W": dW} if "W" in p else {"E": dE + dW.T}


NAMED = {
    "": None,
    "sign": "sign_flipped",
    "n": "constant_factor",
    "index": "repeated_index_counted_once",
    "lookup": "shared_weight_counted_once",
    "output": "shared_weight_counted_once",
}


@pytest.mark.parametrize(
    ("shapes", "mistake"),
    [
        *(({"E": (5, 3), "W": (3, 5)}, x) for x in ("", "sign", "n", "index")),
        *(({"E": (5, 3)}, x) for x in NAMED),
    ],
)
def test_one_word_per_sample_is_a_layer_like_any_other(shapes, mistake):
    report = examine(looked_up, weights(**shapes), mistake)
    assert [s.code for s in report.slips[:1]] == [NAMED[mistake]] * bool(mistake)
    assert report.ok == (not mistake)


def two_layers(p, mistake):
    h = np.tanh(X[:, :3] @ p["W"])
    d = 2.0 * (h @ p["V"] - T[:, :1]) / 6.0
    dh = (d @ p["V"].T) * (1.0 - h * h)
    found = {"W": X[:, :3].T @ dh, "V": h.T @ d}
    if mistake in ("V", "W"):
        found[mistake] = np.sum(found[mistake], keepdims=True)
    if mistake == "mean":
        found["W"] = np.mean(found["W"])
    if mistake == "output":
        found["V"] = (h @ p["V"]).T @ d
    return ((h @ p["V"] - T[:, :1]) ** 2).mean(), found


@pytest.mark.parametrize("mistake", ["", "V", "W", "mean", "output"])
def test_a_gradient_of_one_number_that_broadcasts_is_named_with_its_line(mistake):
    report = examine(two_layers, weights(W=(3, 4), V=(4, 1)), mistake)
    assert report.ok == (not mistake)
    if mistake:
        code = "wrong_layer_input" if mistake == "output" else "gradient_of_one_number"
        assert report.slips[0].code == code
        assert "found[" in report.places[0].source


@pytest.fixture
def lines_alone(monkeypatch):
    """No search of the catalogue, which takes most of the time: the lines are what is asked."""
    for name in ("BUDGET", "ALONE", "PATIENCE", "AGAIN", "AT_LEAST"):
        monkeypatch.setattr(search, name, 1e-4)


def variational(p, mistake):
    """The gradient of the mean and of the log variance are sums of what the decoder gives and of the KL's part."""
    mu, ls = X @ p["M"], X @ p["S"]
    sd = np.exp(0.5 * ls)
    z = mu + sd * NOISE
    dr = z @ p["D"] - X
    dz = dr @ p["D"].T
    kl_mu = mu * {"kl_mu": 2.0, "sign": -1.0}.get(mistake, 1.0)
    kl_ls = 0.5 * (sd**2 - 1.0) * {"kl_ls": 2.0}.get(mistake, 1.0)
    rec = dz * NOISE * sd * {"rec": 1.0}.get(mistake, 0.5)
    if mistake == "other":
        kl_ls = 0.5 * (sd - 1.0)
    dmu = dz + kl_mu
    dls = rec + kl_ls
    loss = 0.5 * (dr**2).sum() - 0.5 * (1.0 + ls - mu**2 - np.exp(ls)).sum()
    grads = {"M": X.T @ dmu, "S": X.T @ dls, "D": z.T @ dr}
    return loss, grads


@pytest.mark.parametrize(
    ("mistake", "line"),
    [("", ""), ("kl_mu", "kl_mu ="), ("sign", "kl_mu ="), ("kl_ls", "kl_ls ="), ("rec", "rec ="), ("other", "kl_ls =")],
)
@pytest.mark.usefixtures("lines_alone")
def test_of_a_sum_the_addend_that_is_wrong_is_blamed(mistake, line):
    report = examine(variational, weights(M=(4, 2), S=(4, 2), D=(2, 4)), mistake)
    assert report.ok == (not mistake)
    assert [p.source for p in report.places[:1] if not p.source.startswith(line)] == []


@pytest.mark.usefixtures("lines_alone")
@pytest.mark.parametrize("mistake", ["", "variance", "mean"])
def test_of_a_norm_the_share_that_is_wrong_is_blamed(mistake):
    def norm(p, mistake):
        h = X @ p["A"]
        c = h - h.mean(1, keepdims=True)
        s = np.sqrt((c * c).mean(1, keepdims=True) + 1e-5)
        d = 2.0 * ((c / s) @ p["C"] - T)
        dn = d @ p["C"].T
        dvar = (dn * c).sum(1, keepdims=True) * -0.5 / s**3 * (2.0 if mistake == "variance" else 1.0)
        dc = dn / s + dvar * 2.0 * c / 5.0
        dmean = -dc.sum(1, keepdims=True) * (-1.0 if mistake == "mean" else 1.0)
        dh = dc + dmean / 5.0
        grads = {"A": X.T @ dh, "C": (c / s).T @ d}
        return (((c / s) @ p["C"] - T) ** 2).sum(), grads

    report = examine(norm, weights(A=(4, 5), C=(5, 2)), mistake)
    assert report.ok == (not mistake)
    start = {"": "", "variance": "dvar =", "mean": "dmean ="}[mistake]
    assert [p.source for p in report.places[:1] if not p.source.startswith(start)] == []

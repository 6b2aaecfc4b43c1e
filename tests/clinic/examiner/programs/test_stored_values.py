"""forward stores its activations and backward reads them: both are run at the same parameters, one after the other."""

from types import SimpleNamespace

import numpy as np
import pytest

from tinygrad_edu.clinic import check_backprop
from tinygrad_edu.errors import ExaminerError

RNG = np.random.default_rng(3)
X, T = RNG.normal(size=(12, 4)), RNG.normal(size=(12, 2))
W = {"A": 0.5 * RNG.normal(size=(4, 5)), "C": RNG.normal(size=(5, 2))}
STORED = SimpleNamespace()


def gradients(A, C, h, mask, o, slope):
    d = 2.0 * (o - T) / T.size
    return {"A": X.T @ ((d @ C.T) * mask * slope(h)), "C": (h * mask).T @ d}


def values(A, C, mask=1.0):
    h = np.tanh(X @ A)
    return h, mask, (h * mask) @ C


def loss_of(o):
    return ((o - T) ** 2).mean()


def in_a_dict(slope):
    cache = {}

    def forward(p):
        cache["h"], cache["mask"], cache["o"] = values(**p)
        return loss_of(cache["o"])

    return forward, W, lambda p: gradients(**p, **cache, slope=slope)


def in_the_object_with_the_weights(slope):
    class Net:
        def __init__(self):
            self.A, self.C = W["A"], W["C"]

        def forward(self):
            self.h, self.mask, self.o = values(self.A, self.C)
            return loss_of(self.o)

        def backward(self):
            return gradients(self.A, self.C, self.h, self.mask, self.o, slope)

    return Net.forward, Net(), Net.backward


def in_a_class(slope):
    class Net:
        def forward(self, p):
            self.h, self.mask, self.o = values(**p)
            return loss_of(self.o)

        def backward(self, p):
            return gradients(**p, **vars(self), slope=slope)

    net = Net()
    return net.forward, W, net.backward


def in_a_random_mask(slope):
    rng = np.random.default_rng(7)
    stored = {"mask": None}

    def forward(p):
        stored["mask"] = (rng.random((12, 5)) < 0.7) / 0.7
        return loss_of(values(**p, mask=stored["mask"])[2])

    def backward(p):
        h, mask, o = values(**p, mask=1.0 * stored["mask"])
        return gradients(**p, h=h, mask=mask, o=o, slope=slope)

    return forward, W, backward


def in_a_global(slope):
    def forward(p):
        STORED.h, STORED.mask, STORED.o = values(**p)
        return loss_of(STORED.o)

    return forward, W, lambda p: gradients(**p, **vars(STORED), slope=slope)


def in_a_list_that_grows(slope):
    """backward calls forward itself, and reads all of the list: two calls of forward are one too many."""
    stored = []

    def forward(p):
        stored.append(values(**p))
        return loss_of(stored[-1][2])

    def backward(p):
        forward(p)
        ((h, mask, o),) = stored
        return gradients(**p, h=h, mask=mask, o=o, slope=slope)

    return forward, W, backward


STYLES = [in_a_dict, in_the_object_with_the_weights, in_a_class, in_a_random_mask, in_a_global, in_a_list_that_grows]


@pytest.mark.parametrize("run_before", [None, 1.0, 1.5], ids=["fresh", "forward was run", "run at other weights"])
@pytest.mark.parametrize("style", STYLES, ids=lambda f: f.__name__)
def test_a_right_backward_is_right_whatever_was_run_before(style, run_before):
    forward, params, backward = style(lambda h: 1.0 - h**2)
    if run_before is not None and style is not in_a_list_that_grows:
        handed = params
        if isinstance(params, dict):
            handed = {n: run_before * x for n, x in params.items()}
        forward(handed)
    report = check_backprop(forward, params, backward)
    assert report.ok, str(report)
    assert set(report.right) == {"A", "C"}


@pytest.mark.parametrize("style", STYLES[:-1], ids=lambda f: f.__name__)
def test_a_mistake_beside_stored_values_is_named(style):
    report = check_backprop(*style(lambda h: 1.0 - h))
    assert [*report.wrong] == ["A"]
    assert report.slips[0].code == "wrong_activation_derivative"
    assert report.places


@pytest.mark.parametrize(
    "read",
    [lambda: {}["h"], lambda: SimpleNamespace().h, lambda: 2.0 * None, lambda: [][-1]],
    ids=["item", "attribute", "mask", "list"],
)
def test_what_nobody_has_stored_is_said_in_words(read):
    with pytest.raises(ExaminerError, match=r"your backward raised .*test_stored_values\.py, line .*give the function"):
        check_backprop(lambda p: (p["w"] ** 2).sum(), {"w": np.ones(2)}, lambda p: {"w": 2.0 * p["w"] * read()})

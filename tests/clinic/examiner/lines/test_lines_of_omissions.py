"""The line where something is left out: one sample for all, a number for an array, a mask for a delta, too late."""

import numpy as np
import pytest

from tinygrad_edu.clinic import check_program


class Net:
    """Layers with ReLU, trained on minibatches in another order than that of the data."""

    def __init__(self, mistake="", batch=3):
        r = np.random.default_rng(5)
        self.X, self.T = r.normal(size=(6, 3)), r.normal(size=(6, 2))
        self.W1, self.b1 = r.normal(size=(3, 5)), r.normal(size=5)
        self.W2, self.b2 = r.normal(size=(5, 2)), r.normal(size=2)
        self.mistake, self.batch = mistake, batch

    def loss(self):
        return 0.5 * np.mean(np.sum((np.maximum(self.X @ self.W1 + self.b1, 0) @ self.W2 + self.b2 - self.T) ** 2, 1))

    def mask_back(self, d, mask):
        if self.mistake == "mask alone":
            return mask.astype(float)  # mask alone
        return d * mask

    def gradients(self, x, t):
        z = x @ self.W1 + self.b1
        a = np.maximum(z, 0)
        d2 = (a @ self.W2 + self.b2 - t) / len(x)
        d1 = self.mask_back(d2 @ self.W2.T, z > 0)
        dW1, db1 = x.T @ d1, d1.sum(0)
        if self.mistake == "number":
            db1 = np.sum(d1)  # number
        return dW1, db1, a.T @ d2, d2.sum(0)

    def step(self):
        order = np.array([4, 0, 2, 5, 1, 3])
        for k in range(0, 6, self.batch):
            some = order[k : k + self.batch]
            if self.mistake == "one sample":
                dW1, db1, dW2, db2 = (0.0,) * 4
                for x, t in zip(self.X[some], self.T[some], strict=True):
                    g = self.gradients(x[None], t[None])
                    dW1 = g[0] / len(some)  # one sample
                    db1, dW2, db2 = db1 + g[1] / len(some), dW2 + g[2] / len(some), db2 + g[3] / len(some)
            else:
                dW1, db1, dW2, db2 = self.gradients(self.X[some], self.T[some])
            self.W1, self.b1 = self.W1 - 0.1 * dW1, self.b1 - 0.1 * db1
            self.W2, self.b2 = self.W2 - 0.1 * dW2, self.b2 - 0.1 * db2


@pytest.mark.slow
@pytest.mark.parametrize("batch", [3, 6])
@pytest.mark.parametrize("mistake", ["", "mask alone", "number", "one sample"])
def test_the_line_of_what_is_left_out_comes_first(mistake, batch):
    net = Net(mistake, batch)
    report = check_program(net, step=net.step, loss=net.loss, lr=0.1)
    if not mistake:
        assert report.ok
    elif not (mistake == "one sample" and batch == 3):
        assert f"# {mistake}" in report.places[0].source, report


def test_a_division_after_the_update_comes_too_late():
    r = np.random.default_rng(6)
    X, t, net = r.normal(size=(6, 3)), r.normal(size=(6, 2)), {"W": r.normal(size=(3, 2)), "b": r.normal(size=2)}

    def step():
        d = X @ net["W"] + net["b"] - t
        dW, db = X.T @ d / 6, d.sum(0)
        net["W"] = net["W"] - 0.1 * dW
        net["b"] = net["b"] - 0.1 * db
        db = db / 6  # too late

    def loss():
        return 0.5 * np.sum((X @ net["W"] + net["b"] - t) ** 2) / 6

    report = check_program(net, step=step, loss=loss, lr=0.1)
    assert list(report.wrong) == ["b"]
    assert "# too late" in report.places[0].source, report


def test_rows_that_are_written_one_by_one_are_one_update():
    r = np.random.default_rng(2)
    net = {"table": r.normal(size=(6, 3)), "out": r.normal(size=(6, 3))}
    pairs = [(0, 3), (1, 4), (2, 5), (0, 5)]

    def score():
        return [net["table"][i] @ net["out"][j] for i, j in pairs]

    def step(factor=2.0):
        d = factor * (1 / (1 + np.exp(-np.array(score()))) - 1)  # twice
        g, h = [net["out"][j] * s for (_, j), s in zip(pairs, d, strict=True)], []
        h = [net["table"][i] * s for (i, _), s in zip(pairs, d, strict=True)]
        for (i, _), row in zip(pairs, g, strict=True):
            net["table"][i] -= 0.1 * row
        for (_, j), row in zip(pairs, h, strict=True):
            net["out"][j] -= 0.1 * row

    def loss():
        return sum(np.log1p(np.exp(-s)) for s in score())

    assert check_program(net, step=lambda: step(1.0), loss=loss, lr=0.1).ok
    report = check_program(net, step=step, loss=loss, lr=0.1)
    assert [slip.code for slip in report.explanations[0]] == ["constant_factor"]

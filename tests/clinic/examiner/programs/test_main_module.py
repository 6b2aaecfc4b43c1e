"""Classes that were typed at a prompt or stand in a doctest belong to __main__, whatever file that is."""

import sys

import numpy as np

import tinygrad_edu as tg

PROGRAM = """
class Net:
    def __init__(self):
        self.w = np.array([0.5, -0.25])
    def train(self):
        self.w -= 0.1 * (X.T @ (X @ self.w - t))
net = Net()
loss = lambda: 0.5 * np.sum((X @ net.w - t) ** 2)
"""


def test_a_class_of_main_is_the_learners_where_main_is_an_installed_file(monkeypatch):
    monkeypatch.setattr(sys.modules["__main__"], "__file__", np.__file__, raising=False)
    world = {"np": np, "X": np.array([[1.0, 2.0], [3.0, 1.0]]), "t": np.array([1.0, -1.0]), "__name__": "__main__"}
    exec(PROGRAM, world)
    report = tg.clinic.check_program(world["net"], step=world["net"].train, loss=world["loss"], lr=0.1)
    assert report.ok

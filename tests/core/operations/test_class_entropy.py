"""Cross-entropy of class numbers as one node, and the sums of rows that a table's gradient is: as the general forms."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.core.fast.class_entropy import class_entropy
from tinygrad_edu.core.formulas import row_sums
from tinygrad_edu.core.formulas.row_sums import sum_rows
from tinygrad_edu.core.losses.class_losses import cross_entropy

LOGITS = np.random.default_rng(0).normal(size=(6, 4)) * 3.0
CLASSES = np.array([3, 0, 1, 1, 2, 0])
RULED_OUT = np.where(np.arange(4) == 2, -np.inf, LOGITS)  # the class 2
HIGHEST = np.isin(LOGITS, LOGITS.max())
CASES = {
    "rows": (LOGITS, CLASSES),
    "columns end to end": (np.asfortranarray(LOGITS), CLASSES),
    "every other row": (np.repeat(LOGITS, 2, 0)[::2], np.repeat(CLASSES, 2)[::2]),
    "three axes": (LOGITS.reshape(2, 3, 4), CLASSES.reshape(2, 3)),
    "one row": (LOGITS[:1], CLASSES[:1]),
    "one class": (LOGITS[:, :1], CLASSES * 0),
    "int8": (LOGITS, CLASSES.astype("int8")),
    "unsigned": (LOGITS, CLASSES.astype("uint64")),
    "large logits": (LOGITS * 1e200, CLASSES),
    "a class ruled out": (RULED_OUT, CLASSES % 2),
    "the class itself ruled out": (RULED_OUT, CLASSES),
    "a row without a finite largest": (np.where(CLASSES[:, None] == 2, -np.inf, LOGITS), CLASSES),
    "infinite": (np.where(HIGHEST, np.inf, LOGITS), CLASSES),
    "not a number": (np.where(HIGHEST, np.nan, LOGITS), CLASSES),
}
OF_ONE_NODE = set(CASES) - {"a row without a finite largest", "infinite", "not a number", "large logits"}


def loss_and_gradient(z, classes, **options):
    z = tg.Tensor(z, requires_grad=True)
    loss = cross_entropy(z, classes, **options)
    loss.backward()
    return loss, z.grad


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("reduction", ["mean", "sum", "batchmean"])
def test_one_node_gives_what_six_do(monkeypatch, name, dtype, reduction):
    z, classes = CASES[name][0].astype(dtype), CASES[name][1]
    one, gradient = loss_and_gradient(z, classes, reduction=reduction)
    assert (one.op is class_entropy) == (name in OF_ONE_NODE and reduction != "batchmean")
    monkeypatch.setattr(cross_entropy, "quick", {})
    six, expected = loss_and_gradient(z, classes, reduction=reduction)
    assert one.dtype == six.dtype
    assert gradient.dtype == expected.dtype
    assert np.array_equal(one.data, six.data, equal_nan=True)
    np.testing.assert_allclose(gradient, expected, rtol=0, atol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("classes", [CLASSES + 1, CLASSES - 1, CLASSES[:5], CLASSES * 1.0, np.full(6, 2**63, "uint64")])
def test_bad_classes_get_the_errors_of_the_general_form(monkeypatch, classes):
    messages = []
    for _ in "12":
        with pytest.raises(tg.errors.TinygradError) as error:
            cross_entropy(tg.Tensor(LOGITS), classes)
        messages.append(str(error.value))
        monkeypatch.setattr(cross_entropy, "quick", {})
    assert messages[0] == messages[1]


def test_classes_may_be_written_to_before_backward():
    z, classes = tg.Tensor(LOGITS, requires_grad=True), CLASSES.copy()
    loss = cross_entropy(z, classes)
    classes[:] = 0
    loss.backward()
    assert np.array_equal(z.grad, loss_and_gradient(LOGITS, CLASSES)[1])


def test_logits_may_not():
    z = tg.Tensor(LOGITS, requires_grad=True)
    loss = cross_entropy(z, CLASSES)
    z.data[0] = 0.0
    with pytest.raises(tg.errors.SavedArrayChangedError):
        loss.backward()


def test_second_derivatives_are_those_of_the_six_nodes(monkeypatch):
    f = lambda z: cross_entropy(z, CLASSES)  # noqa: E731
    one = tg.hessian(f)(LOGITS)
    monkeypatch.setattr(cross_entropy, "quick", {})
    np.testing.assert_allclose(one, tg.hessian(f)(LOGITS), rtol=0, atol=1e-15)


SHAPES = [(27, 32, 27), (1, 5, 3), (4, 1, 6), (9, 40, 1), (5, 700, 8), (3000, 50, 30)]


@pytest.mark.parametrize(("count", "rows", "width"), SHAPES)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("scipys", [True, False])
def test_sums_of_rows_are_added_in_order(monkeypatch, count, rows, width, dtype, scipys):
    rng = np.random.default_rng(0)
    index, x = rng.integers(-count, count, rows), rng.normal(size=(rows, width)).astype(dtype)
    expected = np.zeros((count, width), dtype)
    np.add.at(expected, index, x)
    if not scipys:
        monkeypatch.setattr(row_sums, "scipys_loop", lambda: None)
    for given in (x, np.asfortranarray(x)):
        found = sum_rows(index, given, count, width)
        assert found.dtype == expected.dtype
        assert np.array_equal(found, expected)


def test_scipys_loop_is_found():
    assert row_sums.scipys_loop() is not None

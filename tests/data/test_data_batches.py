"""Orders and batches: each sample once where that is promised, classes at their share, weights in their frequencies."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_edu import data
from tinygrad_edu.data import batches, orders
from tinygrad_edu.errors import NameNotFoundError, SettingError, ShapeError

PERMUTATIONS = ["shuffled", "given", "sorted", "stratified"]
ORDERS = [*PERMUTATIONS, "weighted"]
LABELS = np.array([2, 0, 1, 1, 2, 2, 0, 2, 2])
each_order = pytest.mark.parametrize("order", ORDERS)


def weights_for(order, samples):
    return np.arange(1.0, samples + 1.0) if order == "weighted" else None


@pytest.mark.parametrize("order", PERMUTATIONS)
def test_every_epoch_sees_every_sample_once(order):
    found = orders(LABELS, 20, order, seed=3)
    assert found.shape == (20, 9)
    assert found.dtype.kind == "i"
    np.testing.assert_array_equal(np.sort(found, axis=1), np.tile(np.arange(9), (20, 1)))


@each_order
def test_epochs_drawn_a_few_at_a_time_are_those_drawn_at_once(order):
    w = weights_for(order, 9)
    rng = np.random.default_rng(5)
    pieces = [orders(LABELS, epochs, order, rng, w) for epochs in (1, 4, 2)]
    np.testing.assert_array_equal(np.concatenate(pieces), orders(LABELS, 7, order, 5, w))


@pytest.mark.parametrize("order", ["shuffled", "stratified", "weighted"])
def test_random_orders_follow_the_seed_and_change_between_epochs(order):
    w = weights_for(order, 9)
    first, again, other = (orders(LABELS, 6, order, seed, w) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert len(np.unique(first, axis=0)) == 6


def test_shuffled_orders_are_those_that_fit_draws():
    rows = np.tile(np.arange(9), (50, 1))
    np.testing.assert_array_equal(orders(LABELS, 50, seed=7), np.random.default_rng(7).permuted(rows, axis=1))


ENCODINGS = {
    "numbers": LABELS,
    "column": LABELS[:, None],
    "one-hot": data.one_hot(LABELS),
    "text": np.array(["a", "b", "c"])[LABELS],
    "floats": LABELS - 1.0,
    "one-hot, a class without samples": np.insert(data.one_hot(LABELS), 1, 0.0, axis=1),
}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_sorted_and_stratified_read_classes_in_every_form(encoding):
    y = ENCODINGS[encoding]
    np.testing.assert_array_equal(orders(y, 1, "sorted")[0], np.argsort(LABELS, kind="stable"))
    np.testing.assert_array_equal(orders(y, 3, "stratified"), orders(LABELS, 3, "stratified"))


# Stratified


@given(counts=st.lists(st.integers(1, 6), min_size=1, max_size=5), times=st.integers(1, 6), seed=st.integers(0, 99))
def test_stratified_batches_are_exact_where_shares_are_whole_numbers(counts, times, seed):
    labels = np.repeat(np.arange(len(counts)), np.array(counts) * times)
    y = np.random.default_rng(seed).permutation(labels)
    for _, batch in batches(np.zeros(len(y)), y, sum(counts), order="stratified", seed=seed):
        assert np.bincount(batch, minlength=len(counts)).tolist() == counts


def test_stratified_batches_are_near_the_shares_where_they_are_not():
    rng = np.random.default_rng(0)
    misses, shuffled = [], []
    for seed in range(300):
        counts = rng.integers(1, 60, size=rng.integers(2, 8))
        y, size = np.repeat(np.arange(len(counts)), counts), int(rng.integers(2, 40))
        for order, found in (("stratified", misses), ("shuffled", shuffled)):
            for _, batch in batches(y, y, size, order=order, seed=seed):
                share = len(batch) * counts / len(y)
                found.append(np.abs(np.bincount(batch, minlength=len(counts)) - share).max())
    assert np.mean(misses) < 0.8
    assert max(misses) < 3.0
    assert np.mean(shuffled) > 2.0 * np.mean(misses)


def test_stratified_is_random_within_its_classes():
    y = np.repeat([0, 1], 4)
    first = orders(y, 4000, "stratified", seed=1)[:, 0]
    counts = np.bincount(first, minlength=8)  # each sample first in 500 epochs; 5 standard deviations are 105
    assert np.abs(counts - 500).max() < 105


# Weighted


def test_weighted_draws_have_the_frequencies_of_their_weights():
    w = np.array([0.0, 1.0, 2.0, 3.0, 10.0])
    counts = np.bincount(orders(np.zeros(5), 8000, "weighted", seed=2, weights=w).ravel(), minlength=5)
    assert counts[0] == 0
    expected = 40_000 * w[1:] / w.sum()
    assert np.sum((counts[1:] - expected) ** 2 / expected) < 16.3  # χ² with 3 degrees of freedom, p = 0.001


def test_weights_count_by_their_shares():
    w = np.array([1.0, 2.0, 3.0])
    once, scaled = (orders(np.zeros(3), 10, "weighted", 0, scale * w) for scale in (1.0, 8.0))
    np.testing.assert_array_equal(once, scaled)


# Batches


@each_order
def test_batches_are_the_rows_of_orders_cut_into_pieces(order):
    w = weights_for(order, 9)
    X = np.arange(18.0).reshape(9, 2)
    loader = batches(X, LABELS, 4, order=order, seed=6, weights=w)
    assert len(loader) == 3
    for row in orders(LABELS, 3, order, 6, w):
        epoch = list(loader)
        assert [len(labels) for _, labels in epoch] == [4, 4, 1]
        np.testing.assert_array_equal(np.concatenate([inputs for inputs, _ in epoch]), X[row])
        np.testing.assert_array_equal(np.concatenate([labels for _, labels in epoch]), LABELS[row])


def test_a_loop_left_early_is_an_epoch():
    loader = batches(LABELS, LABELS, 2, seed=1)
    next(iter(loader))
    second = np.concatenate([rows for rows, _ in loader])
    np.testing.assert_array_equal(second, LABELS[orders(LABELS, 2, seed=1)[1]])


def test_a_batch_can_be_larger_than_the_data_and_images_keep_their_shape():
    (batch,) = batches(np.zeros((9, 3, 4)), LABELS, 100)
    assert (batch[0].shape, batch[1].shape) == ((9, 3, 4), (9,))


@pytest.mark.parametrize("size", [0, -1, 2.5, "all"])
def test_a_bad_batch_size_is_named(size):
    with pytest.raises(SettingError, match=f"batch_size={size!r}: a whole number of at least 1"):
        batches(LABELS, LABELS, size)


NAN = float("nan")
BAD = [
    ({"y": LABELS[:4]}, ShapeError, "X has 9 rows and y has 4"),
    ({"X": [], "y": []}, ShapeError, "at least one sample"),
    ({"y": 3.0}, ShapeError, r"y has shape \(\)"),
    ({"order": "shufled"}, NameNotFoundError, "'shufled'. Did you mean 'shuffled'"),
    ({"order": None}, NameNotFoundError, "unknown order None"),
    ({"order": "weighted"}, SettingError, 'weights=None: weights are needed for order="weighted"'),
    ({"weights": np.ones(9)}, SettingError, "order='shuffled', weights="),
    ({"order": "weighted", "weights": np.ones(4)}, ShapeError, r"weights has shape \(4,\), but there are 9 samples"),
    ({"order": "weighted", "weights": [1.0] * 8 + [NAN]}, SettingError, r"weights .*NaN.*index \(8,\)"),
    ({"order": "weighted", "weights": [1.0] * 8 + [-1.0]}, SettingError, "run from -1 to 1"),
    ({"order": "weighted", "weights": np.zeros(9)}, SettingError, "run from 0 to 0"),
    (
        {"order": "stratified", "y": np.zeros((9, 2))},
        SettingError,
        r"row 0 of y is \[0.0, 0.0\]: y has to hold classes",
    ),
    ({"order": "sorted", "y": np.array([0.0] * 8 + [NAN])}, SettingError, r"y .*NaN.*index \(8,\)"),
    ({"order": "sorted", "y": np.zeros((9, 2, 2))}, ShapeError, r"y has shape \(9, 2, 2\)"),
]


@pytest.mark.parametrize(("changes", "error", "message"), BAD)
def test_bad_input_is_named_before_the_first_batch(changes, error, message):
    settings = {"X": LABELS, "y": LABELS, "batch_size": 2} | changes
    with pytest.raises(error, match=message):
        batches(**settings)


@pytest.mark.parametrize("epochs", [0, -1, 1.5])
def test_bad_epochs_are_named(epochs):
    with pytest.raises(SettingError, match=f"epochs={epochs!r}"):
        orders(LABELS, epochs)

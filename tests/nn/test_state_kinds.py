"""What a state_dict holds comes back as it was, or is refused: counts, masks, other orders of bytes, tied weights."""

import numpy as np
import pytest

from tinygrad_edu import Tensor, nn
from tinygrad_edu.errors import DtypeError, OperandError, SettingError

KINDS = [
    np.array([2**60 + 1, -3]),
    np.array([2**63 + 5], np.uint64),
    np.array([True, False]),
    np.array([1.5, np.nan], ">f8"),
    np.array([1, 2], ">i4"),
    np.array([0.5, 2.0], np.float16),
    np.arange(6.0).reshape(2, 3).T,
    np.array(5),
    np.empty(0),
]


class Counting(nn.Module):
    def __init__(self, buffer):
        self.linear = nn.Linear(2, 1, rng=0)
        self.register_buffer("kept", buffer)


@pytest.mark.parametrize("buffer", KINDS, ids=lambda x: f"{x.dtype.str}{x.shape}")
def test_a_buffer_of_any_numbers_comes_back_exactly(buffer, tmp_path):
    saved, loaded = Counting(buffer), Counting(np.zeros_like(buffer))
    saved.save(tmp_path / "w.safetensors")
    loaded.load(tmp_path / "w.safetensors")
    np.testing.assert_array_equal(loaded.kept, buffer)
    assert loaded.kept.dtype == buffer.dtype


@pytest.mark.parametrize(
    ("buffer", "given"),
    [
        (np.array([1, 2]), [1.7, 2.0]),
        (np.array([1, 2]), [np.nan, 2.0]),
        (np.array([1, 2], np.uint8), [-1, 300]),
        (np.array([True, False]), [0.5, 1.0]),
        (np.array([1, 2]), ["1", "2"]),
        (np.array([1, 2]), [1j, 2]),
    ],
    ids=str,
)
def test_numbers_that_a_buffer_does_not_hold_are_not_rounded(buffer, given):
    model = Counting(buffer.copy())
    with pytest.raises(DtypeError, match=r"kept: its dtype is .*, which does not hold"):
        model.load_state_dict({**model.state_dict(), "kept": np.array(given)})
    np.testing.assert_array_equal(model.kept, buffer)


@pytest.mark.parametrize(
    "buffer", [np.array([1j]), np.array(["a"]), np.array([1.0], np.longdouble)], ids=lambda x: x.dtype
)
def test_a_file_says_what_it_cannot_hold(buffer, tmp_path):
    with pytest.raises(DtypeError, match="kept holds"):
        Counting(buffer).save(tmp_path / "w.safetensors")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("buffer", [3.0, [1.0], np.float64(2.0), "a"], ids=str)
def test_what_is_no_array_is_no_buffer(buffer):
    with pytest.raises(OperandError, match="a buffer is a NumPy array or a Tensor"):
        Counting(buffer)
    assert list(Counting(None).state_dict()) == ["linear.weight", "linear.bias"]


def test_a_tied_weight_takes_one_set_of_numbers():
    model = nn.Sequential(nn.Linear(2, 2, rng=0), nn.Linear(2, 2, rng=1))
    model[1].weight = model[0].weight
    state = model.state_dict()
    model.load_state_dict({name: x + 1.0 for name, x in state.items()})
    with pytest.raises(SettingError, match=r"layers\.0\.weight and layers\.1\.weight are one array here"):
        model.load_state_dict({**state, "layers.1.weight": state["layers.1.weight"] + 1.0})
    np.testing.assert_array_equal(model[0].weight.data, state["layers.0.weight"] + 1.0)


def test_a_tensor_that_is_kept_takes_its_dtype():
    model = Counting(Tensor([1.0, 2.0], dtype="float32"))
    model.load_state_dict({**model.state_dict(), "kept": np.array([0.1, 3.0])})
    assert model.kept.dtype == np.float32

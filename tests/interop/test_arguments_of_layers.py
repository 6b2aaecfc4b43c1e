"""Arguments of other libraries' layers are taken over or refused: none is dropped without a word."""

import json

import numpy as np
import pytest

from tinygrad_edu.errors import OperandError, SettingError
from tinygrad_edu.interop import from_keras, from_torch

torch = pytest.importorskip("torch", reason="needs torch: the extra test")
ROWS = torch.tensor([[0, 1, 2], [3, 0, 0]])


def keras(kind, **config):
    dense = {"class_name": "Dense", "config": {"units": 2, "batch_input_shape": [None, 3]}}
    return {"class_name": "Sequential", "config": {"layers": [dense, {"class_name": kind, "config": config}]}}


REFUSED = [
    ("ReLU", {"max_value": 6.0}), ("ReLU", {"negative_slope": 0.1}), ("ReLU", {"threshold": 0.5}),
    ("Softmax", {"axis": 0}), ("ELU", {"alpha": 0.5}), ("Dropout", {"rate": 0.1, "noise_shape": [1, 2]}),
    ("Rescaling", {"scale": 1 / 255}), ("Rescaling", {"offset": -1.0}),
    ("BatchNormalization", {"axis": 0}), ("BatchNormalization", {"scale": False}),
    ("LayerNormalization", {"axis": [0, 1]}), ("LayerNormalization", {"rms_scaling": True}),
    ("Embedding", {"input_dim": 4, "output_dim": 2, "mask_zero": True}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "config"), REFUSED, ids=lambda x: json.dumps(x))
def test_arguments_of_keras_without_a_counterpart_are_refused(kind, config):
    with pytest.raises(SettingError, match=list(config)[-1]):
        from_keras(keras(kind, **config))


TAKEN = [
    ("ReLU", {"max_value": None, "negative_slope": None, "threshold": 0}, 0), ("Softmax", {"axis": -1}, 0),
    ("BatchNormalization", {"axis": [1]}, 2), ("BatchNormalization", {"scale": False, "center": False}, 0),
    ("LayerNormalization", {"axis": 1, "center": False}, 1),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "config", "parameters"), TAKEN, ids=lambda x: json.dumps(x))
def test_other_arguments_of_keras_are_taken(kind, config, parameters):
    assert len(from_keras(keras(kind, **config)).parameters()) == 2 + parameters


def looking_up(**options):
    return torch.nn.Sequential(torch.nn.Embedding(5, 4, **options), torch.nn.Flatten(), torch.nn.Linear(12, 2))


@pytest.mark.parametrize("options", [{"max_norm": 0.5}, {"scale_grad_by_freq": True}], ids=str)
def test_arguments_of_an_embedding_without_a_counterpart_are_refused(options):
    with pytest.raises(SettingError, match=next(iter(options))):
        from_torch(looking_up(**options))


def test_the_padding_row_is_not_trained_here_either():
    module = looking_up(padding_idx=0)
    model = from_torch(module)
    module(ROWS).sum().backward()
    model(ROWS.numpy()).sum().backward()
    np.testing.assert_allclose(model.layers[0].weight.grad, module[0].weight.grad.numpy(), rtol=1e-5)


def test_what_follows_an_embedding_is_compared_too():
    with pytest.raises(OperandError, match="do not give its result"):
        from_torch(torch.nn.Sequential(*looking_up(), torch.nn.Softmax(dim=0)))


@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_frozen_recurrent_weights_stay_frozen(kind):
    class Last(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.head = getattr(torch.nn, kind)(2, 3, batch_first=True), torch.nn.Linear(3, 1)

        def forward(self, x):
            return self.head(self.rnn(x)[0][:, -1])

    module = Last()
    module.rnn.requires_grad_(False)
    made = from_torch(module, np.zeros((4, 5, 2)))
    assert [p.shape for p in made.parameters() if p.requires_grad] == [(1, 3), (1,)]


def test_bfloat16_is_read_or_refused_by_name(tmp_path):
    from safetensors.torch import save_file

    from tinygrad_edu import nn
    from tinygrad_edu.errors import CheckpointError
    from tinygrad_edu.interop import load_torch_state_dict

    module, model = torch.nn.Sequential(torch.nn.Linear(2, 3)).bfloat16(), nn.MLP([2, 3])
    load_torch_state_dict(model, module.state_dict())
    np.testing.assert_array_equal(model.layers[0].weight.data, module[0].weight.detach().float().numpy())
    save_file(module.state_dict(), tmp_path / "net.safetensors")
    with pytest.raises(CheckpointError, match="type 'BF16'"):
        load_torch_state_dict(model, tmp_path / "net.safetensors")

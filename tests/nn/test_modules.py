"""What a module holds and does: dicts and lists, several inputs, hooks, buffers, children, dtype."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn, optim
from tinygrad_edu.errors import DtypeError, OperandError, SettingError


class Nested(nn.Module):
    """Parameters and modules in every kind of attribute."""

    def __init__(self):
        self.heads = {
            "mean": nn.Linear(2, 1, rng=0),
            "rest": [nn.Linear(2, 2, rng=1), {"deep": nn.Linear(2, 1, rng=2)}],
        }
        self.scales = {"a": tg.Tensor([1.0], requires_grad=True)}
        self.pair = (nn.Parameter([2.0]), nn.Tanh())
        self.table = nn.ModuleDict({"one": nn.Linear(1, 1, rng=3)})
        self.blocks = nn.ModuleList([nn.Linear(1, 1, rng=4) for _ in range(2)])
        self.names, self.sizes = {"x": 1}, [1, 2, 3]

    def forward(self, x, scale=1.0, *, shift=0.0):
        y = self.heads["mean"](x) + self.heads["rest"][1]["deep"](self.heads["rest"][0](x))
        y = self.pair[1](y * self.scales["a"] * self.pair[0])
        for block in self.blocks:
            y = block(y)
        return self.table["one"](y) * scale + shift


NAMES = [
    "heads.mean.weight", "heads.mean.bias", "heads.rest.0.weight", "heads.rest.0.bias", "heads.rest.1.deep.weight",
    "heads.rest.1.deep.bias", "scales.a", "pair.0", "table.one.weight", "table.one.bias", "blocks.0.weight",
    "blocks.0.bias", "blocks.1.weight", "blocks.1.bias",
]  # fmt: skip
X = np.random.default_rng(0).normal(size=(6, 2))


def test_all_that_is_nested_is_registered():
    model = Nested()
    assert [name for name, _ in model.named_parameters()] == NAMES
    assert list(model.state_dict()) == NAMES
    assert [name for name, _ in model.named_children()] == [
        "heads.mean", "heads.rest.0", "heads.rest.1.deep", "pair.1", "table", "blocks",
    ]  # fmt: skip
    assert len(list(model.modules())) == 1 + 6 + 1 + 2


def test_all_that_is_nested_is_trained_either_way():
    y = np.tanh(X[:, :1])
    for compiled in (False, True):
        model = Nested()
        before = model.state_dict()
        sgd = optim.SGD(model.parameters(), lr=0.1)
        tg.fit(model, X, y, loss="mse", optimizer=sgd, epochs=3, batch_size=6, compiled=compiled)
        assert [name for name, w in model.state_dict().items() if np.array_equal(w, before[name])] == []


def test_several_inputs():
    model = Nested()
    np.testing.assert_allclose(model(X, 2.0, shift=1.0).data, 2.0 * model(X).data + 1.0, rtol=1e-14)


def test_a_module_that_knows_its_parent():
    child, parent = nn.Linear(2, 2), nn.Module()
    parent.child, child.parent = child, parent
    assert [name for name, _ in parent.named_parameters()] == ["child.weight", "child.bias"]
    assert [name for name, _ in parent.named_modules()] == ["", "child"]


def test_lists_and_dicts_of_modules():
    blocks = nn.ModuleList([nn.Linear(2, 2)])
    blocks.append(nn.Linear(2, 3))
    blocks.insert(0, nn.Linear(2, 4))
    assert [b.out_features for b in blocks] == [4, 2, 3]
    assert isinstance(blocks[1:], nn.ModuleList)
    del blocks[0]
    assert len(blocks) == 2
    heads = nn.ModuleDict()
    heads["a"] = blocks[0]
    assert list(heads) == ["a"]
    assert heads.train(False).training is False
    assert blocks[0].training is False
    with pytest.raises(OperandError, match="modules and parameters"):
        blocks.append(3.0)
    with pytest.raises(OperandError, match=r"Sequential\(\*layers\)"):
        nn.Sequential([nn.Linear(2, 2)])
    assert len(nn.Sequential({"first": nn.Linear(2, 2), "last": nn.Tanh()})) == 2


def test_forward_hooks():
    model, seen = nn.Sequential(nn.Linear(2, 3, rng=0), nn.Tanh()), []
    with model[0].register_forward_hook(lambda module, inputs, y: seen.append((module, inputs[0].shape, y.shape))):
        model(X)
    model(X)
    assert seen == [(model[0], (6, 2), (6, 3))]
    handle = model[1].register_forward_hook(lambda module, inputs, y: y * 0.0)
    before = model.register_forward_pre_hook(lambda module, inputs: (inputs[0] * 2.0,))
    assert not model(X).data.any()
    handle.remove()
    handle.remove()
    np.testing.assert_array_equal(model(X).data, np.tanh(model[0](2.0 * X).data))
    before.remove()
    with pytest.raises(OperandError, match="a hook is a function"):
        model.register_forward_hook(3)


def test_inner_activations_and_their_gradients():
    model = nn.Sequential(nn.Linear(2, 3, rng=0), nn.Tanh(), nn.Linear(3, 1, rng=1))
    with nn.watch(model) as seen:
        np.sum(model(X)).backward()
    np.testing.assert_array_equal(seen["layers.1"].data, np.tanh(seen["layers.0"].data))
    np.testing.assert_allclose(seen["layers.1"].grad, np.repeat(model[2].weight.data, 6, axis=0))
    model(X[:2])
    assert seen[""].shape == (6, 1)


def test_buffers():
    model = nn.Module()
    model.register_buffer("steps", np.zeros(2))
    model.mask = tg.Tensor([1.0, 0.0])
    assert [name for name, _ in model.named_buffers()] == ["steps", "mask"]
    model.load_state_dict({"steps": [3.0, 4.0], "mask": [5.0, 6.0]})
    assert model.steps.tolist() == [3.0, 4.0]
    assert model.mask.data.tolist() == [5.0, 6.0]


def test_what_is_frozen_is_kept_and_not_trained():
    model = nn.MLP([2, 3, 1], seed=0)
    names = list(model.state_dict())
    model.layers[0].weight.requires_grad = False
    assert sorted(model.state_dict()) == sorted(names)
    assert [name for name, p in model.named_parameters() if p.requires_grad] == names[1:]
    assert "  layers.0.weight: (3, 2), not trained" in repr(model)
    assert list(model.gradients()) == names[1:]


def test_apply_goes_to_every_module_and_this_one_last():
    seen = []
    model = nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.Tanh()))
    assert model.apply(seen.append) is model
    assert seen[-1] is model
    assert len(seen) == 4


def test_dtypes_of_models():
    model = nn.MLP([2, 4, 1], dtype="float32", norm="batch")
    assert model(X).dtype == np.float32
    run = tg.fit(model, X, X[:, :1], loss="mse", optimizer=optim.Adam(model.parameters()), epochs=3)
    assert run.model.parameters()[0].dtype == np.float32
    assert model.astype("float64")(X).dtype == np.float64
    with pytest.raises(DtypeError, match="float32 or float64"):
        model.astype(int)
    with pytest.raises(DtypeError, match="64 bits"):
        nn.MLP([2, 1], backend="scalar").astype("float32")
    with pytest.raises(DtypeError):
        nn.MLP([2, 1], dtype="int8")


def test_the_widths_in_two_lists_as_in_micrograd():
    with pytest.raises(SettingError, match=r"MLP\(3, \[4, 4, 1\]\): write all widths in one list, MLP\(\[3, 4, 4, 1\]"):
        nn.MLP(3, [4, 4, 1])
    with pytest.raises(SettingError, match=r"write all widths in one list, as in MLP\(\[2, 8, 1\]"):
        nn.MLP(2, 8, 1)

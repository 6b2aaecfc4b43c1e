"""What a Keras model says of its training: kept or refused, from JSON; named in a warning, of a model with weights."""

import json
import warnings

import numpy as np
import pytest

from tests.interop.keras_forms import functional, keras_json, layer
from tinygrad_edu import nn
from tinygrad_edu.errors import OperandError, SettingError
from tinygrad_edu.interop import from_keras

L2 = {"class_name": "L2", "config": {"l2": 0.01}}
NO_L2 = {"class_name": "L1L2", "config": {"l1": 0.0, "l2": 0.0}}
ZEROS = {"class_name": "Zeros", "config": {}}
LOST = {
    **{f"{name} of Dense": layer("Dense", units=2, **{name: L2}) for name in (
        "kernel_regularizer", "bias_regularizer", "activity_regularizer", "kernel_constraint", "bias_constraint"
    )},
    "a name": layer("Dense", units=2, kernel_regularizer="l2"),
    "gamma": layer("BatchNormalization", gamma_regularizer=L2),
    "gamma's start": layer("BatchNormalization", gamma_initializer=ZEROS),
    "statistics": layer("BatchNormalization", trainable=False),
    "recurrent": layer("LSTM", activation="tanh", units=2, recurrent_regularizer=L2),
    "recurrent start": layer("GRU", activation="tanh", units=2, recurrent_initializer="glorot_uniform"),
    "inside": layer("TimeDistributed", layer=layer("Dense", units=2, kernel_constraint="non_neg")),
    "both ways": layer("Bidirectional", layer=layer("GRU", activation="tanh", units=2, kernel_regularizer=L2)),
    "noise": layer("GaussianNoise", stddev=0.1),
    "activity": layer("ActivityRegularization", l2=0.1),
    "a start of its own": layer("Dense", units=2, kernel_initializer={"class_name": "Identity", "config": {}}),
}  # fmt: skip


@pytest.mark.parametrize("name", LOST)
def test_what_the_training_would_lose_is_refused(name):
    with pytest.raises(SettingError, match="no counterpart, and without it the training"):
        from_keras(keras_json(LOST[name], layer("Dense", units=1), shape=(5, 3)))


@pytest.mark.parametrize(
    "taken",
    [
        layer("Dense", units=2, kernel_regularizer=NO_L2), layer("Dense", units=2, kernel_regularizer=None),
        layer("GaussianNoise", stddev=0.0), layer("ActivityRegularization", l1=0.0, l2=0.0),
        layer("Dense", units=2, kernel_initializer="glorot_uniform", bias_initializer=ZEROS),
    ],
)  # fmt: skip
def test_what_does_nothing_is_taken(taken):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        from_keras(keras_json(taken, layer("Dense", units=1)))


STARTS = {  # a Keras initializer: the mean and the deviation that 300 weights into each of 200 units have
    "HeNormal": ({}, 0.0, (2 / 300) ** 0.5), "he_uniform": ({}, 0.0, (2 / 300) ** 0.5),
    "LecunNormal": ({}, 0.0, (1 / 300) ** 0.5), "GlorotNormal": ({}, 0.0, (2 / 500) ** 0.5),
    "RandomNormal": ({"mean": 0.0, "stddev": 0.3}, 0.0, 0.3), "random_normal": ({}, 0.0, 0.05),
    "RandomUniform": ({"minval": 0.0, "maxval": 1.2}, 0.6, 1.2 / 12**0.5), "Zeros": ({}, 0.0, 0.0),
    "Ones": ({}, 1.0, 0.0), "Constant": ({"value": 0.4}, 0.4, 0.0), "Orthogonal": ({"gain": 2.0}, 0.0, 2 / 300**0.5),
}  # fmt: skip


@pytest.mark.parametrize("name", STARTS)
def test_new_weights_are_drawn_with_the_initializers_of_the_json(name):
    config, mean, deviation = STARTS[name]
    given = name if name.islower() else {"class_name": name, "config": config}
    model = from_keras(keras_json(layer("Dense", units=200, kernel_initializer=given), shape=(300,)))
    weight = model.layers[0].weight.numpy()
    assert weight.mean() == pytest.approx(mean, abs=0.01)
    assert weight.std() == pytest.approx(deviation, rel=0.03, abs=1e-12)
    assert not model.layers[0].bias.numpy().any()


def test_biases_are_drawn_too():
    ones = {"class_name": "Ones", "config": {}}
    assert from_keras(keras_json(layer("Dense", units=4, bias_initializer=ones))).layers[0].bias.numpy().all()


FROZEN = {
    "Dense": layer("Dense", units=3, trainable=False),
    "LayerNormalization": layer("LayerNormalization", trainable=False),
    "LSTM": layer("LSTM", activation="tanh", units=3, return_sequences=True, trainable=False),
    "inside": layer("TimeDistributed", trainable=False, layer=layer("Dense", units=3)),
}  # fmt: skip


@pytest.mark.parametrize("name", FROZEN)
def test_a_layer_that_is_not_trainable_is_frozen(name):
    model = from_keras(keras_json(FROZEN[name], layer("Dense", units=2), shape=(5, 3)))
    assert sum(p.requires_grad for p in model.parameters()) == 2


def test_flatten_takes_samples_of_several_axes():
    model = from_keras(keras_json(layer("Flatten"), layer("Dense", units=2), shape=(4, 3)))
    assert model(np.ones((5, 4, 3))).shape == (5, 2)
    assert isinstance(from_keras(keras_json(layer("Flatten"), layer("Dense", units=2))), nn.MLP)


UNLIKE = {
    "turned": keras_json(layer("Flatten", data_format="channels_first"), layer("Dense", units=2), shape=(4, 3)),
    "flat in each": keras_json(layer("TimeDistributed", layer=layer("Flatten")), shape=(4, 3, 2)),
    "two outputs": functional("input dense:input out:dense", outputs=("dense", "out")),
    "an early output": functional("input dense:input out:dense", outputs=("dense",)),
    "branches": functional("input dense:input out:input", outputs=("out",)),
    "branches of Keras 2": functional("input dense:input out:input", outputs=("out",), keras=2),
    "low rank": keras_json(layer("Dense", units=2, lora_rank=2)),
    "old hard_sigmoid": json.dumps(
        json.loads(keras_json(layer("Dense", units=2, activation="hard_sigmoid"))) | {"keras_version": "2.15.0"}
    ),
}


@pytest.mark.parametrize("name", UNLIKE)
def test_json_of_another_function_is_refused(name):
    with pytest.raises((OperandError, SettingError), match=r"chain of layers|counterpart|0\.2x"):
        from_keras(UNLIKE[name])


@pytest.mark.parametrize("keras", [2, 3])
def test_a_functional_chain_is_taken(keras):
    assert from_keras(functional("input dense:input out:dense", outputs=("out",), keras=keras)).sizes == (3, 2, 2)


class Model:
    """As a Keras model shows itself; a layer's weights are (in, out)."""

    input_shape = (None, 3)

    def __init__(self, *configs):
        self.layers = [Layer(config) for config in configs]

    def get_config(self):
        return {"layers": []}

    def get_weights(self):
        return []

    def __call__(self, X, training):
        for each in self.layers:
            X = X @ each.weights[0] + each.weights[1]
        return X


class Layer:
    def __init__(self, config):
        self.config, self.name = config, config["name"]
        self.weights = [np.ones((3, 3)), np.zeros(3)]

    def get_config(self):
        return self.config

    def get_weights(self):
        return self.weights


Layer.__name__ = "Dense"


def test_a_model_with_weights_is_taken_with_a_warning():
    config = layer("Dense", units=3, name="first", kernel_regularizer=L2, kernel_initializer="he_normal")["config"]
    with pytest.warns(UserWarning, match=r"only training uses: kernel_regularizer=L2\(l2=0.01\) of first$"):
        model = from_keras(Model(config, {**config, "name": "second", "kernel_regularizer": None, "trainable": False}))
    assert (model.sizes, [p.requires_grad for p in model.parameters()]) == ((3, 3, 3), [True, True, False, False])

"""A change of settings in the words of the tool that the user trains with: lines to paste."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from tinygrad_edu.clinic.diagnosis.facts.setup import Change, Setup, equal, setting_text
from tinygrad_edu.optim.schedule import Schedule, as_schedule

Words = Callable[[Setup, Setup], str]  # called with the setup before and after the change
TITLES = {
    "sklearn": "In scikit-learn",
    "ours": "In the estimator",
    "torch": "In PyTorch",
    "keras": "In Keras",
    "fit": "In NumPy",
}

COUNTS = "np.rint(X / step)"


def change_lines(setup: Setup, change: Change) -> str:
    """The change as its user would write it; "" where the tool has no words of its own.

    >>> change_lines(Setup(sizes=(2, 4, 1), dialect="torch"), {"lr": 0.1})
    'In PyTorch: torch.optim.SGD(model.parameters(), lr=0.1).'
    """
    table = DIALECTS.get(setup.dialect)
    if table is None or not change:
        return ""
    if BROADCAST in setup.loss_name and "loss" in change:
        return f"{TITLES[setup.dialect]}: loss(model(X), y.reshape(-1, 1))."
    if set(change) == {"seed"} and setup.dialect == "fit":
        return f"Here: seed={change['seed']}."
    if set(change) == {"seed"}:
        words = [SEEDS[setup.dialect].format(change["seed"])]
    else:
        new = setup.but(change)
        words = list(dict.fromkeys(each for each in write_settings(setup, new, change, table) if each))
    return f"{TITLES[setup.dialect]}: {'; '.join(words)}." if words else ""


def write_settings(setup: Setup, new: Setup, change: Change, table: Mapping[str, Words]) -> Iterator[str]:
    for name in setup.told(change):
        if name in table and (not equal(getattr(setup, name), getattr(new, name)) or name in ("tol", "patience")):
            yield table[name](setup, new)


def rate(setup: Setup) -> str:
    return f"{as_schedule(setup.lr)(0) / setup.terms:.4g}"


def hidden_layers_text(setup: Setup) -> str:
    return str(tuple(setup.sizes[1:-1]))


def options(names: Mapping[str, str]) -> Words:
    """Options of the optimizer that differ, by their names in the tool."""

    def found(old: Setup, new: Setup) -> str:
        different = {key: value for key, value in new.options.items() if old.options.get(key) != value and key in names}
        return ", ".join(f"{names[key]}={setting_text(value)}" for key, value in different.items())

    return found


# scikit-learn, and our own estimators, which have the same parameters


def scikit_rate(old: Setup, new: Setup) -> str:
    fixed = isinstance(old.lr, Schedule) and not isinstance(new.lr, Schedule)
    return f"{'learning_rate=' + repr('constant') + ', ' if fixed else ''}learning_rate_init={rate(new)}"


def scikit_alpha(old: Setup, new: Setup) -> str:
    batch = old.estimator.batch if old.estimator and old.optimizer != "lbfgs" else 1
    different = {key: value for key, value in new.options.items() if old.options.get(key) != value}
    found = [f"alpha={float(different['weight_decay']) * batch:.4g}"] if "weight_decay" in different else []
    found += [f"momentum={different['momentum']:g}"] if "momentum" in different else []
    found += [f"beta_1={different['betas'][0]:g}"] if "betas" in different else []
    found += [f"epsilon={different['eps']:g}"] if "eps" in different else []
    return ", ".join(found)


def scikit_stopping(old: Setup, new: Setup) -> str:
    early = old.estimator is not None and old.estimator.kept.get("early_stopping")
    return "early_stopping=False, " * bool(early) + f"n_iter_no_change={new.epochs}, tol=0.0"


def scikit_inputs(old: Setup, new: Setup) -> str:
    before = {
        "standardized": "StandardScaler()",
        "logarithms": "FunctionTransformer(lambda X: np.sign(X) * np.log1p(np.abs(X))), StandardScaler()",
        "without extremes": "RobustScaler(), FunctionTransformer(lambda X: X.clip(-5, 5))",
        "bits": f"FunctionTransformer(lambda X: ({COUNTS}.astype(int) >> np.arange(16)) & 1)",
    }.get(str(new.inputs), str(new.inputs))
    return f"make_pipeline({before}, model)"


SCIKIT: dict[str, Words] = {
    "epochs": lambda old, new: f"max_iter={new.epochs}",
    "lr": scikit_rate,
    "optimizer": lambda old, new: f"solver={new.optimizer.lower()!r}",
    "options": scikit_alpha,
    "batch_size": lambda old, new: f"batch_size={new.batch_size}",
    "tol": scikit_stopping,
    "patience": scikit_stopping,
    "inputs": scikit_inputs,
    "targets": lambda old, new: "TransformedTargetRegressor(model, transformer=StandardScaler())",
    "sizes": lambda old, new: (
        f"hidden_layer_sizes={hidden_layers_text(new)}" if hidden_layers_text(old) != hidden_layers_text(new) else ""
    ),
    "activation": lambda old, new: f"activation={ {'sigmoid': 'logistic'}.get(new.activation, new.activation)!r}",
    "shuffle": lambda old, new: f"shuffle={new.shuffle}",
    "init": lambda old, new: "the initial weights cannot be chosen; try other random_state=",
    "weights": lambda old, new: "fit(X, y, sample_weight=compute_sample_weight('balanced', y))",
    "rows": lambda old, new: (
        "fit(X[~outliers], y[~outliers]), or TransformedTargetRegressor(model, transformer=QuantileTransformer())"
    ),
    "columns": lambda old, new: "VarianceThreshold() before the model",
}


# PyTorch


def torch_optimizer(old: Setup, new: Setup) -> str:
    usual = {key: value for key, value in new.options.items() if old.options.get(key) != value}
    more = "".join(
        f", {key}={setting_text(value)}"
        for key, value in usual.items()
        if key in ("momentum", "dampening", "weight_decay", "betas", "eps")
    )
    return f"torch.optim.{new.optimizer}(model.parameters(), lr={rate(new)}{more})"


TORCH_LOSSES = {
    "mse": "MSELoss", "mae": "L1Loss", "huber": "HuberLoss", "bce": "BCELoss", "bce_with_logits": "BCEWithLogitsLoss",
    "cross_entropy": "CrossEntropyLoss", "poisson": "PoissonNLLLoss",
}  # fmt: skip
TORCH_LAYERS = {
    "relu": "ReLU", "tanh": "Tanh", "sigmoid": "Sigmoid", "leaky_relu": "LeakyReLU", "gelu": "GELU", "elu": "ELU",
    "silu": "SiLU", "softplus": "Softplus", "softmax": "Softmax", "selu": "SELU",
}  # fmt: skip
SCALED = {
    "standardized": "X = (X - X.mean(0)) / X.std(0)",
    "logarithms": "X = X.sign() * X.abs().log1p()",
    "without extremes": "X = X.clamp(low, high), by quantiles of each feature",
    "bits": "X = ((X / step).round().int() >> torch.arange(16)) & 1, step the smallest difference of two values",
    "padding first": "padding in front of each sequence, or pack_padded_sequence(x, lengths)",
}


def torch_layers(old: Setup, new: Setup) -> str:
    pairs = zip(new.sizes, new.sizes[1:], strict=False)
    return ", ".join(f"nn.Linear({a}, {b})" for a, b in pairs)


def torch_output(old: Setup, new: Setup) -> str:
    if new.out_activation == "identity":
        return f"no nn.{TORCH_LAYERS.get(old.out_activation, old.out_activation)}() at the end"
    return f"nn.{TORCH_LAYERS.get(new.out_activation, new.out_activation)}() at the end"


TORCH: dict[str, Words] = {
    "epochs": lambda old, new: f"for epoch in range({new.epochs})",
    "lr": torch_optimizer,
    "optimizer": torch_optimizer,
    "options": torch_optimizer,
    "batch_size": lambda old, new: f"DataLoader(data, batch_size={new.batch_size}, shuffle=True)",
    "shuffle": lambda old, new: f"DataLoader(data, batch_size={new.batch_size}, shuffle={bool(new.shuffle)})",
    "inputs": lambda old, new: SCALED.get(str(new.inputs), ""),
    "targets": lambda old, new: "y = (y - y.mean(0)) / y.std(0)",
    "sizes": torch_layers,
    "activation": lambda old, new: (
        f"nn.{TORCH_LAYERS.get(new.activation, new.activation)}() after each hidden nn.Linear"
    ),
    "out_activation": torch_output,
    "loss": lambda old, new: f"nn.{TORCH_LOSSES.get(new.loss_name, new.loss_name)}()",
    "bias": lambda old, new: f"nn.Linear(..., bias={new.bias})",
    "dropout": lambda old, new: f"nn.Dropout({new.silenced:g})",
    "norm": lambda old, new: "nn.LayerNorm(features)" if new.norm == "layer" else "no nn.BatchNorm1d",
    "init": lambda old, new: "nn.init.kaiming_uniform_" if "he" in str(new.init) else "nn.init.xavier_uniform_",
    "clip_norm": lambda old, new: (
        f"torch.nn.utils.clip_grad_norm_(model.parameters(), {new.clip_norm})"
        if new.clip_norm
        else "no clip_grad_norm_"
    ),
    "rows": lambda old, new: "X, y = X[~outliers], y[~outliers]",
    "weights": lambda old, new: "nn.CrossEntropyLoss(weight=1 / counts)",
    "columns": lambda old, new: "X = X[:, X.std(0) > 0]",
}


# Keras


def keras_options(old: Setup, new: Setup) -> str:
    """A decay that is a part of the gradient comes from the layers' regularizers; that of AdamW is its own."""
    before, after = (setup.options.get("weight_decay", 0.0) for setup in (old, new))
    if before == after or old.optimizer == "AdamW":
        return keras_optimizer(old, new)
    rest = new.but({"options": {"weight_decay": before}})
    penalty = f"keras.regularizers.L2({after / 2.0:.4g})" if after else "None"
    return "; ".join(
        [
            f"Dense(..., kernel_regularizer={penalty})",
            *([keras_optimizer(old, rest)] if rest.options != old.options else []),
        ]
    )


def keras_optimizer(old: Setup, new: Setup) -> str:
    usual = {key: value for key, value in new.options.items() if old.options.get(key) != value}
    names = {"momentum": "momentum", "weight_decay": "weight_decay", "eps": "epsilon"}
    more = "".join(f", {names[key]}={setting_text(value)}" for key, value in usual.items() if key in names)
    return f"keras.optimizers.{new.optimizer}(learning_rate={rate(new)}{more})"


KERAS_LOSSES = {
    "mse": "mean_squared_error", "mae": "mean_absolute_error", "huber": "huber", "bce": "binary_crossentropy",
    "poisson": "poisson",
}  # fmt: skip


def keras_loss(old: Setup, new: Setup) -> str:
    """The `loss=` argument; for losses of logits Keras needs a loss object."""
    if new.loss_name == "bce_with_logits":
        return "loss=keras.losses.BinaryCrossentropy(from_logits=True)"
    if new.loss_name == "cross_entropy":
        return "loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True)"
    return f"loss={KERAS_LOSSES.get(new.loss_name, new.loss_name)!r}"


def quote(activation: str) -> str:
    return "None" if activation == "identity" else repr({"identity": "linear"}.get(activation, activation))


KERAS: dict[str, Words] = {
    "epochs": lambda old, new: f"model.fit(..., epochs={new.epochs})",
    "lr": keras_optimizer,
    "optimizer": keras_optimizer,
    "options": keras_options,
    "batch_size": lambda old, new: f"model.fit(..., batch_size={new.batch_size})",
    "shuffle": lambda old, new: f"model.fit(..., shuffle={bool(new.shuffle)})",
    "inputs": lambda old, new: {
        "standardized": "keras.layers.Normalization() first, after .adapt(X)",
        "padding first": "pad_sequences(..., padding='pre') or Masking()",
        "logarithms": "X = np.sign(X) * np.log1p(np.abs(X))",
        "without extremes": "X = np.clip(X, low, high), by quantiles of each feature",
        "bits": f"X = ({COUNTS}.astype(int) >> np.arange(16)) & 1, its digits, step the smallest difference",
    }.get(str(new.inputs), str(new.inputs)),
    "targets": lambda old, new: "y = (y - y.mean()) / y.std()",
    "sizes": lambda old, new: ", ".join(f"Dense({width})" for width in new.sizes[1:] if new.sizes[1:] != old.sizes[1:]),
    "activation": lambda old, new: f"Dense(..., activation={quote(new.activation)}) in the hidden layers",
    "out_activation": lambda old, new: f"Dense({new.sizes[-1]}, activation={quote(new.out_activation)})",
    "loss": keras_loss,
    "bias": lambda old, new: f"Dense(..., use_bias={new.bias})",
    "dropout": lambda old, new: f"Dropout({new.silenced:g})",
    "norm": lambda old, new: "LayerNormalization()" if new.norm == "layer" else "no BatchNormalization()",
    "init": lambda old, new: f"kernel_initializer={str(new.init)!r}",
    "clip_norm": lambda old, new: f"clipnorm={new.clip_norm}",
    "tol": lambda old, new: "no EarlyStopping",
    "patience": lambda old, new: "no EarlyStopping",
    "rows": lambda old, new: "X, y = X[~outliers], y[~outliers]",
    "weights": lambda old, new: "model.fit(..., class_weight=...)",
    "columns": lambda old, new: "X = X[:, X.std(0) > 0]",
}
FIT: dict[str, Words] = {
    "inputs": lambda old, new: {
        "logarithms": "X = np.sign(X) * np.log1p(np.abs(X) / s), s small against the usual deviation, and scaled",
        "without extremes": "X = np.clip(X, low, high) by quantiles; look for what stands for a missing number",
        "bits": f"X = ({COUNTS}.astype(int) >> np.arange(16)) & 1, its digits, step the smallest difference",
        "padding first": "the zeros in front of each sequence, as in X[i, -length:] = sequence",
    }.get(str(new.inputs), ""),
    "targets": lambda old, new: (
        "m, s = y.mean(axis=0), y.std(axis=0); y = (y - m) / s; predictions are s * output + m"
        if new.targets == "standardized"
        else ""
    ),
    "rows": lambda old, new: "X[~outliers], y[~outliers]",
}
DIALECTS: dict[str, Mapping[str, Words]] = {
    "fit": FIT,
    "sklearn": SCIKIT,
    "ours": SCIKIT,
    "torch": TORCH,
    "keras": KERAS,
}
BROADCAST = "of_shapes_that_broadcast"  # part of the name of a loss that broadcasts
SEEDS = {
    "sklearn": "random_state={}", "ours": "random_state={}", "torch": "torch.manual_seed({})",
    "keras": "keras.utils.set_random_seed({})",
}  # fmt: skip

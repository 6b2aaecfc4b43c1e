"""What was trained and how, read off a Run, an estimator of ours or scikit-learn's, or a Pipeline ending in one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from tinygrad_edu.clinic.diagnosis.facts import lbfgs
from tinygrad_edu.clinic.diagnosis.facts.initial_weights import LayerStart, Start, of_layers, of_module
from tinygrad_edu.clinic.diagnosis.facts.look import look_at
from tinygrad_edu.clinic.diagnosis.facts.other_data import refuse_other_data, refuse_other_names
from tinygrad_edu.clinic.diagnosis.facts.setup import AS_IT_IS, Change, EstimatorRule, Setup, layers_of
from tinygrad_edu.clinic.diagnosis.facts.task import Task, task_of
from tinygrad_edu.clinic.diagnosis.facts.twin import of_tensors
from tinygrad_edu.core.aliases import ArrayLike, Model, Samples
from tinygrad_edu.errors import OperandError, SettingError, ShapeError
from tinygrad_edu.nn import losses
from tinygrad_edu.nn.layers import FUNCTIONS, MLP
from tinygrad_edu.nn.losses import Loss
from tinygrad_edu.nn.module import Module
from tinygrad_edu.nn.parameters import trained
from tinygrad_edu.optim import schedules
from tinygrad_edu.train.own_code import for_own_code
from tinygrad_edu.train.recipe import Recipe
from tinygrad_edu.train.run import Run

Array = np.ndarray[Any, Any]
NOT_HELD = "the optimizer did not hold {}, which were not trained; in the repetitions all are"
NAMES = 4  # parameters that are named


@dataclass(frozen=True)
class Subject:
    """What is under diagnosis.

    setup, how it was trained; task, on what; model, as it is now; start, the parameters before (empty if not known);
    losses, of each epoch; reason, why it ended; norms, of the gradient in each epoch; validation, the loss of what was
    held out after each epoch (or, of an estimator, its score); moved, how far the weights came in each; restored, are
    the weights those of the best epoch by validation?
    """

    setup: Setup
    task: Task
    model: Module
    start: Mapping[str, Array]
    losses: Array
    norms: Array
    reason: str
    validation: Array = field(default_factory=lambda: np.empty(0))
    moved: Array = field(default_factory=lambda: np.empty(0))
    restored: bool = False
    notes: tuple[str, ...] = ()  # parts of its training that cannot be repeated
    plain: Change = field(default_factory=dict)  # turns unlike dense layers into an nn.MLP of the same widths
    hidden: tuple[str, ...] = ()  # the activations of its hidden layers
    fixed: tuple[str, ...] = ()  # frozen weights of another library's network; those that the optimizer does not hold
    own_loop: bool = False  # was it trained by a loop of the user's own, of which only what diagnose was told is known?

    @property
    def ended_early(self) -> bool:
        """Did it end before its last epoch, and not by NaN?"""
        return 0 < len(self.losses) < self.setup.epochs and not self.diverged

    @property
    def diverged(self) -> bool:
        """Did it end by NaN or infinity?"""
        return "NaN" in self.reason or not np.isfinite(self.losses).all()


def subject_of(trained: Any, X: Samples, y: Samples) -> Subject:
    """Errors: OperandError for what is neither a Run nor an MLP estimator, SettingError without its data."""
    if isinstance(trained, Run):
        return of_run(trained, X, y)
    # a search, an estimator with scaled targets, a wrapper
    for attribute in ("best_estimator_", "regressor_", "estimator_"):
        if hasattr(trained, attribute):
            scaled = getattr(trained, "transformer_", None)
            y = y if scaled is None else scaled.transform(np.asarray(require(y, "y"), dtype=float).reshape(len(y), -1))
            return subject_of(getattr(trained, attribute), X, y)
    if hasattr(trained, "steps") and hasattr(trained, "named_steps"):
        X, steps = require(X, "X"), [s for _, s in trained.steps[:-1] if s not in (None, "passthrough")]
        for step in steps:
            X = step.transform(X)
        return behind(tuple(steps), subject_of(trained.steps[-1][1], X, y))
    return of_estimator(trained, X, y)


def behind(steps: tuple[Any, ...], subject: Subject) -> Subject:
    """The subject of a diagnosis for an estimator that comes after other steps of a Pipeline."""
    rule = subject.setup.estimator
    assert rule is not None
    rule = replace(rule, before=(*steps, *rule.before))
    return replace(subject, setup=replace(subject.setup, estimator=rule))


def require(data: Samples, name: str) -> Any:
    if data is None:
        raise SettingError(f"diagnose(..., {name}=None): the data that it was trained on is needed to train it again")
    return data


def of_run(run: Run, X: Samples, y: Samples) -> Subject:
    """The subject for a Run of `fit`."""
    job = run.job
    if job is None:
        raise OperandError(
            "this Run was not made by fit: diagnose_curve(run.loss_curve) says what its curve alone can tell"
        )
    X, y = for_own_code(run.model, job.loss, job.data[0] if X is None else X, job.data[1] if y is None else y)
    model = of_tensors(run.model)
    setup = Setup(**structure(model, job.start), **training(job))
    task = replace(look_at(task_of(X, y, setup)), held_out=job.held_out)
    left = names_missing(job)
    return Subject(
        setup, task, model, dict(job.start), run.loss_curve, run.grad_norms, run.stop_reason,
        np.asarray(run.validation_curve, dtype=float), run.update_norms, job.progress.last is not None,
        (NOT_HELD.format(names_in_short(left)),) if left else (), fixed=left,
    )  # fmt: skip


def names_missing(job: Any) -> tuple[str, ...]:
    """The names of the parameters that are not frozen, and that the optimizer does not hold."""
    held = {id(p) for p in job.optimizer.params}
    return tuple(name for name, p in job.model.named_parameters() if trained([p]) and id(p) not in held)


def names_in_short(names: tuple[str, ...]) -> str:
    """The first of these names, and that there are more."""
    return f"{', '.join(names[:NAMES])}{' and more' if len(names) > NAMES else ''}"


def training(job: Any) -> dict[str, Any]:
    """The fields of a Setup that say how `fit` trained; validated: held-out samples decide the end or the rate."""
    recipe: Recipe = job.recipe
    watched = job.held_out is not None and (job.progress.has_rule or job.optimizer.schedule.follows_loss)
    return {field.name: getattr(recipe, field.name) for field in fields(Recipe)} | {
        "members": members(job),
        "lr": 1.0 if recipe.lr is None else recipe.lr,
        "weights": job.settings.sample_weight,
        "validated": watched,
    }


def members(job: Any) -> tuple[tuple[int, ...], ...]:
    """For each of the optimizer's groups, the indices of its parameters in the network; () without groups."""
    places = {id(p): i for i, p in enumerate(trained(job.model.parameters()))}
    groups = [[places.get(id(p)) for p in group.params] for group in job.optimizer.groups]
    if getattr(job.model, "backend", "tensor") == "scalar" or any(None in group for group in groups):
        return ()  # one parameter per number, which the retrained network does not have
    return tuple(tuple(i for i in group if i is not None) for group in groups)


def structure(model: Module, start: Mapping[str, Array]) -> dict[str, Any]:
    """The fields of a Setup that describe the network."""
    layers = layers_of(model)
    if layers is None or not isinstance(model, MLP):
        return other_structure(model, start)
    norm = {"LayerNorm": "layer", "BatchNorm": "batch"}.get(type(model.norms[0]).__name__) if model.norms else None
    return {
        "sizes": tuple(model.sizes),
        "activation": activation_name(model.activation),
        "out_activation": activation_name(model.out_activation),
        "bias": layers[0].bias is not None,
        "norm": norm,
        "dropout": float(getattr(model.dropout, "p", 0.0)) if model.dropout is not None else 0.0,
        "init": of_layers(start, len(layers)) if start else "glorot_uniform",
    }


def other_structure(model: Module, start: Mapping[str, Array]) -> dict[str, Any]:
    """Another Module is taken as it is: a copy drawn anew."""
    drawn: dict[str, Start] = of_module(start or model.state_dict())
    return {"sizes": (0, 0), "init": drawn, "pattern": model, "dropout": AS_IT_IS}


def activation_name(activation: Any) -> str:
    known = next((name for name, f in FUNCTIONS.items() if f is activation), None)
    return known or str(getattr(activation, "name", getattr(activation, "__name__", activation)))


# estimators


def half_squared_error(prediction: ArrayLike, target: ArrayLike) -> Any:
    """½(p - t)², which scikit-learn's MLPRegressor minimises."""
    return 0.5 * losses.mse.function(prediction, target)


HALF = Loss(half_squared_error, losses.mse.check)


def of_estimator(model: Model, X: Samples, y: Samples) -> Subject:
    """The subject for a fitted MLPClassifier or MLPRegressor, of this library or of scikit-learn."""
    if not hasattr(model, "coefs_") or not hasattr(model, "get_params"):
        given = " ".join(repr(model).split())
        raise OperandError(
            f"diagnose takes a Run of fit, a fitted MLPClassifier or MLPRegressor (also inside a Pipeline or a search "
            f"such as GridSearchCV), a torch.nn.Module or a Keras model, not {given:.60}. For anything else, "
            "diagnose_curve(losses) says what the loss curve alone can tell"
        )
    refuse_other_names(model, X)
    X = np.asarray(require(X, "X").toarray() if hasattr(X, "toarray") else require(X, "X"), dtype=float)
    refuse_other_data(model, X, require(y, "y"))
    y = targets_of(model, y)
    setup = estimator_setup(model, len(X))
    curve = np.array(getattr(model, "loss_curve_", [getattr(model, "loss_", np.nan)]), dtype=float)
    held, task = getattr(model, "validation_losses_", None), look_at(task_of(X, y, setup))
    return Subject(
        setup, task, lbfgs.network_of_estimator(model, setup), {}, curve, np.full(len(curve), np.nan),
        f"{model.n_iter_} of {model.max_iter} epochs done",
        np.empty(0) if held is None else np.asarray(held, dtype=float), restored=bool(model.early_stopping),
    )  # fmt: skip


def with_weights(subject: Subject, weight: Any) -> Subject:
    """An estimator whose fit was given sample_weight. Errors: ShapeError."""
    if weight is None:
        return subject
    weight = np.asarray(weight, dtype=float).reshape(-1)
    if len(weight) != subject.task.samples:
        raise ShapeError(f"sample_weight has {len(weight)} entries, X {subject.task.samples} samples: one for each")
    return replace(subject, setup=replace(subject.setup, weights=weight))


def targets_of(model: Model, y: Samples) -> Array:
    """y as `fit` takes it: class numbers, 0 and 1 in a column for two classes, or numbers."""
    y = np.asarray(y)
    if not hasattr(model, "classes_"):
        return np.asarray(y.reshape(len(y), -1), dtype=float)
    if y.ndim == 2 and y.shape[1] > 1:
        return np.asarray(y, dtype=float)
    numbers: Array = np.searchsorted(model.classes_, y.reshape(-1))
    return numbers if len(model.classes_) > 2 else numbers[:, None].astype(float)


def estimator_setup(model: Model, samples: int) -> Setup:
    """The parameters of an estimator in the words of `fit`. Errors: SettingError for what has no counterpart."""
    if not isinstance(model.activation, str):
        raise SettingError(f"activation={model.activation}: one for all hidden layers is needed for a diagnosis")
    refuse_beyond(model)
    batch = min(200, samples) if model.batch_size == "auto" else min(model.batch_size, samples)
    loss = estimator_loss(model)
    return Setup(
        sizes=(model.coefs_[0].shape[0], *(len(b) for b in model.intercepts_)),
        activation={"logistic": "sigmoid"}.get(model.activation, model.activation),
        init=getattr(model, "init", None) or scikit_start(model),
        loss=loss, epochs=model.max_iter, batch_size=batch, shuffle=bool(model.shuffle),
        dropout=float(getattr(model, "dropout", 0.0)), clip_norm=getattr(model, "clip_norm", None),
        weights="balanced" if getattr(model, "class_weight", None) == "balanced" else None,
        estimator=estimator_rule(model, batch, loss), dialect=whose(model),
        **stepper_of(model, batch, samples), **rule_of(model),
    )  # fmt: skip


def whose(model: Model) -> str:
    """The library that an estimator comes from: "sklearn" or "ours"."""
    return "sklearn" if type(model).__module__.startswith("sklearn") else "ours"


def classes_of_estimator(model: Model) -> tuple[Any, ...]:
    """The classes of a classifier that has one label for each sample."""
    classes = getattr(model, "classes_", ())
    return tuple(np.asarray(classes).tolist()) if not isinstance(classes, list) else ()


def estimator_loss(model: Model) -> Any:
    """The loss of an estimator, of outputs without their last activation."""
    if hasattr(model, "classes_"):
        return "cross_entropy" if model.out_activation_ == "softmax" else "bce_with_logits"
    return "poisson" if model.loss == "poisson" else HALF


def estimator_rule(model: Model, batch: int, loss: Any) -> EstimatorRule:
    """The facts about an estimator that a Setup does not hold."""
    known = model.get_params()
    kept = {name: known[name] for name in lbfgs.KEPT if name in known}
    state = model.random_state
    return EstimatorRule(
        "MLPClassifier" if hasattr(model, "classes_") else "MLPRegressor", batch, kept, bool(rule_of(model)),
        str(getattr(model, "loss", "squared_error")),
        int(state) if isinstance(state, (int, np.integer)) else None, loss, classes_of_estimator(model),
    )  # fmt: skip


def refuse_beyond(model: Model) -> None:
    """Settings that would be lost when the estimator is trained again. Errors: SettingError that names them."""
    usual = {"log_loss", "squared_error", "poisson"}
    given = {
        "solver": model.solver not in ("sgd", "adam", lbfgs.NAME),
        "loss": getattr(model, "loss", "log_loss") not in usual,
        "norm": getattr(model, "norm", None) is not None, "l1": getattr(model, "l1", 0.0) > 0.0,
        "out_activation": getattr(model, "out_activation", None) is not None,
        "learning_rate": callable(getattr(model, "learning_rate", "")),
    }  # fmt: skip
    names = [f"{name}={getattr(model, name)!r:.40}" for name, is_given in given.items() if is_given]
    if names:
        raise SettingError(
            f"{', '.join(names)}: a diagnosis trains an estimator again by scikit-learn, which does not have this: "
            "train the model with tg.fit, and diagnose that run"
        )


def scikit_start(model: Model) -> tuple[LayerStart, ...]:
    """Uniform within √(6/(in + out)), of logistic units √(2/(in + out)); biases too."""
    gain = 3.0**-0.5 if model.activation == "logistic" else 1.0
    return tuple(
        LayerStart(Start("uniform", 0.0, gain), Start("uniform", 0.0, gain * (2.0 * w.shape[1] / sum(w.shape)) ** 0.5))
        for w in model.coefs_
    )


def stepper_of(model: Model, batch: int, samples: int) -> dict[str, Any]:
    """Optimizer, rate and options; the penalty alpha/2·‖w‖² is divided by the samples of a batch there."""
    decay = float(model.alpha) / batch
    if model.solver == lbfgs.NAME:
        return {"optimizer": lbfgs.NAME, "lr": 1.0, "options": {"weight_decay": float(model.alpha)}}
    if model.solver == "adam":
        options: dict[str, Any] = {"betas": (model.beta_1, model.beta_2), "eps": model.epsilon, "weight_decay": decay}
        return {"optimizer": "Adam", "lr": float(model.learning_rate_init), "options": options}
    nesterov = bool(model.nesterovs_momentum and model.momentum > 0.0)
    rate: Any = float(model.learning_rate_init)
    if model.learning_rate == "invscaling":
        rate = schedules.invscaling(rate, model.power_t, samples, batch)
    elif model.learning_rate == "adaptive":
        rate = schedules.adaptive(rate, model.tol)
    options = {"momentum": float(model.momentum), "nesterov": nesterov, "weight_decay": decay}
    return {"optimizer": "SGD", "lr": rate, "options": options}


def rule_of(model: Model) -> dict[str, Any]:
    """Its stopping rule: n_iter_no_change epochs with an improvement below tol (here relative to the loss)."""
    waits = model.n_iter_no_change
    if model.solver == lbfgs.NAME:
        return {"tol": float(model.tol)}
    if not np.isfinite(waits) or waits >= model.max_iter or getattr(model, "learning_rate", "") == "adaptive":
        return {}
    scale = max(abs(float(getattr(model, "best_loss_", None) or 1.0)), 1e-12)
    return {"tol": float(model.tol) / scale, "patience": int(waits) + 1}

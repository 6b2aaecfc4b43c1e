"""`export`: a network, or a whole training run, as a file of another language."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_edu import checks
from tinygrad_edu.compile.onnx_graph.model import OnnxModel
from tinygrad_edu.errors import SettingError, TraceError
from tinygrad_edu.interop import c99, javascript
from tinygrad_edu.interop.c99_training import CTrainingFile
from tinygrad_edu.interop.prediction import PredictionProgram, sample_for
from tinygrad_edu.interop.programs import NetworkProgram, network_program
from tinygrad_edu.interop.torch_weights import save_torch_state_dict
from tinygrad_edu.nn.layer_modes import mode_here
from tinygrad_edu.pen import check_arguments
from tinygrad_edu.train.changed import changed_by_callbacks
from tinygrad_edu.train.compiled.programs import refuse_optimizer
from tinygrad_edu.train.run import Run
from tinygrad_edu.train.samples import inputs_for
from tinygrad_edu.train.state_kept import looks_only
from tinygrad_edu.whole_files import replace

NAMES = {".c": "net", ".js": "network", ".mjs": "network"}  # default name in the program, by file ending
FROM_JOB = ("batch_size", "clip_norm", "clip_value", "tol", "patience", "accurate")


@check_arguments
@looks_only
def export(
    model: Any, path: str | os.PathLike[str], X: Any = None, y: Any = None, *, loss: Any = None, optimizer: Any = None,
    train: bool | None = None, batch_size: int | None = None, clip_norm: float | None = None,
    clip_value: float | None = None, tol: float | None = None, patience: int | None = None, accurate: bool = False,
    name: str | None = None, main: bool = False, samples: int | None = None, dtype: Any = None,
) -> Path:  # fmt: skip
    """Write a network as a program of another language, or its weights for PyTorch, and return the path.

    model: a Module, or the Run that `fit` returned, which brings data, loss, optimizer and settings with it.
    path: the file. Its ending decides: .c for C99 that predicts and trains, without allocation or dependency; .js, .mjs
        for the same as a script or a module; .onnx for the forward pass; .safetensors for weights by PyTorch's names.
    X, y, loss, optimizer, batch_size, clip_norm, clip_value, tol, patience, accurate: as for `fit`; only for a Module.
    Without loss and optimizer, or with train=False, the file only predicts, and X is one sample or more. The optimizer
    begins anew, without callbacks: a run whose callbacks changed something is refused. The stopping rule looks at the
    training loss, so the rule of a run that held samples out is not exported.
    train: whether the file can train; by default if it has a loss and an optimizer.
    name: the first part of the names of the functions (C), or the constant (JavaScript); "net" and "network".
    main: C only: whether to write a complete program, which reads CSV.
    samples: C only, the number of samples that this program has room for.
    dtype: ONNX only, "float32" (the default, which every runtime computes) or "float64".
    Errors: SettingError for a path or settings that do not go together; TraceError for what cannot be written.

    >>> import tempfile; from tinygrad_edu import nn
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     text = export(nn.MLP([2, 4, 1]), folder + "/net.c").read_text()
    >>> "net_predict(" in text, "malloc" in text
    (True, False)
    """
    path = path_beside(model, path)
    refuse_export(model, path, main, samples)
    if path.suffix == ".onnx":
        return write_onnx(path, model, X, numbers_of(dtype))
    if dtype is not None:
        raise SettingError(
            "dtype= is for ONNX only: other files are written in the model's own dtype (model.astype(dtype) changes it)"
        )
    if path.suffix == ".safetensors":
        return write_weights(path, model)
    settings = dict(zip(FROM_JOB, (batch_size, clip_norm, clip_value, tol, patience, accurate), strict=True))
    program = program_of(model, X, y, loss, optimizer, train, settings, hidden=path.suffix != ".c")
    return write_program(path, program, NAMES[path.suffix] if name is None else name, main, samples)


def write_program(path: Path, program: PredictionProgram, name: str, main: bool, samples: int | None) -> Path:
    """The program in the language of the file."""
    text = c_text(program, name, main, samples) if path.suffix == ".c" else js_text(program, name, path.suffix)
    replace(path.resolve(), text.encode())
    return path


def path_beside(model: Any, path: object) -> Path:
    """The path of the file. Errors: SettingError for a path before the model, or data where the path belongs."""
    if isinstance(model, (str, os.PathLike)):
        raise SettingError(f"export({str(model)!r}, ...): the model comes first. Write export(model, {str(model)!r})")
    if hasattr(path, "shape"):
        raise SettingError(
            f"export(path=an array {path.shape}): the path comes second, then X. Write export(model, 'net.onnx', X)"
        )
    return checks.path("path", path, "export")


def refuse_export(model: Any, path: Path, main: bool, samples: int | None) -> None:
    """Refuse what cannot be written, whatever else is given. Errors: SettingError, TraceError."""
    refuse_ending(path, main, samples)
    refuse_others(model)
    refuse_scalar(model, path)


def refuse_others(model: Any) -> None:
    """Errors: SettingError for anything but a network, such as a Pipeline; NotFittedError by an estimator itself."""
    if hasattr(model, "to_onnx") and not hasattr(model, "out_activation_"):
        from sklearn.utils.validation import check_is_fitted

        check_is_fitted(model)
    if not (isinstance(model, Run) or hasattr(model, "out_activation_") or hasattr(model, "named_parameters")):
        raise SettingError(
            f"export takes a Module, a Run, or a fitted MLPClassifier or MLPRegressor, not {type(model).__name__}: of "
            "a Pipeline give the last step (pipe[-1], whose inputs are scaled already), for a search give "
            "best_estimator_"
        )


def refuse_ending(path: Path, main: bool, samples: int | None) -> None:
    """Errors: SettingError for an ending that is not known, or settings that belong to another one."""
    if path.suffix not in (*NAMES, *FORWARD):
        known = ", ".join([*NAMES, *FORWARD])
        raise SettingError(f"{path.name!r}: the ending says what to write: {known}")
    if path.suffix != ".c" and (main or samples is not None):
        raise SettingError("main= and samples= are for C only: write to a path that ends in .c")


def refuse_scalar(model: Any, path: Path) -> None:
    """Errors: TraceError for a model of Values, of which the weights alone can be written."""
    network = getattr(model, "model", model)  # of a run
    if getattr(network, "backend", "") == "scalar" and path.suffix != ".safetensors":
        raise TraceError("programs are written for models of Tensors: make it with backend='tensor'")


def program_of(
    model: Any, X: Any, y: Any, loss: Any, optimizer: Any, train: bool | None, settings: dict[str, Any], hidden: bool
) -> PredictionProgram:
    """The programs that are written: training and prediction, or prediction alone."""
    X = np.zeros((1, model.n_features_in_)) if X is None and hasattr(model, "out_activation_") else X
    model = of_estimator(model)
    if isinstance(model, Run):
        model, X, y, loss, optimizer, settings = of_run(model, (X, y, loss, optimizer), settings, train)
    given = (y is not None) + (loss is not None) + (optimizer is not None)
    if (train is None and 0 < given < 3) or (train and given < 3):
        raise SettingError(
            "a file that trains needs X, y, loss and optimizer; for one that only predicts, pass train=False"
        )
    if train is False or not given:
        return PredictionProgram(model, X, accurate=settings["accurate"], hidden=hidden)
    return network_program(model, X, y, loss=loss, optimizer=optimizer, hidden=hidden, **settings)


def of_estimator(model: Any) -> Any:
    """The network of a fitted estimator, with the activation of its outputs; a model as it is."""
    if not hasattr(model, "out_activation_"):
        return model
    from tinygrad_edu.estimators.exchange import network_with_output  # here, because it needs scikit-learn

    return network_with_output(model)


def of_run(run: Run, given: tuple[Any, ...], settings: dict[str, Any], train: bool | None) -> tuple[Any, ...]:
    """The model, loss, data and optimizer of a run, the optimizer as it was at the start."""
    if run.job is None:
        raise SettingError(
            "this run does not hold its data, as a run of fit_online or one loaded from a file never does: export "
            "run.model with X, y, loss and optimizer, or run.model only"
        )
    if any(x is not None for x in given) or any(settings.values()):
        raise SettingError(
            "a run brings data, loss, optimizer and settings with it: leave them out, or export run.model"
        )
    job, own = run.job, run.job.optimizer
    if train is not False:
        refuse_run(job)
    own = job.minimizer or own

    def fresh(_: Any) -> Any:
        return type(own)(own.params, own.schedule, **own.options) if job.minimizer is None else own

    found = {name: getattr(job.settings, name) for name in FROM_JOB}
    if job.held_out:
        found |= {"tol": None, "patience": None}
    return run.model, *job.data[:2], job.loss, fresh, found


def refuse_run(job: Any) -> None:
    """Errors: TraceError for what trained the network in this run, and no program of it would do."""
    if len(job.data) > 2 or job.chances is not None:
        raise TraceError("weights of samples cannot be exported: this run has them (sample_weight)")
    if changed := changed_by_callbacks(job):
        raise TraceError(
            f"callbacks of this run changed {changed}, which the program would train without: export run.model with X, "
            "y, loss and optimizer, perhaps with a schedule instead of the callback"
        )
    if job.minimizer is None:  # a new optimizer has neither groups nor a step that was set on the old one
        refuse_optimizer(job)


def numbers_of(dtype: Any) -> str:
    """The type of the numbers of an ONNX file. Errors: SettingError."""
    names = {np.dtype(name): name for name in ("float32", "float64")}
    try:
        return "float32" if dtype is None else names[np.dtype(dtype)]
    except (KeyError, TypeError):
        raise SettingError(f"dtype={dtype!r}: an ONNX file is written in float32 or float64") from None


def write_onnx(path: Path, model: Any, X: Any, dtype: str) -> Path:
    """The forward of a network as ONNX."""
    if isinstance(model, Run):
        model, X = model.model, model.job.data[0] if X is None and model.job else X
    if hasattr(model, "to_onnx"):
        if dtype != "float32":
            raise SettingError("an estimator is written in float32, as scikit-learn's converters do")
        return Path(model.to_onnx(path))
    sample = inputs_for(model, sample_for(model) if X is None else X)
    names = {id(p): name for name, p in [*model.named_parameters(), *model.named_buffers()]}
    with mode_here(model, training=False):
        made = OnnxModel(model, sample, ["output"], names, dtype).model()
    replace(path.resolve(), made.SerializeToString())
    return path


def write_weights(path: Path, model: Any) -> Path:
    """The weights by torch's names."""
    model = of_estimator(model)
    save_torch_state_dict(model.model if isinstance(model, Run) else model, path)
    return path


FORWARD = (".onnx", ".safetensors")  # files that hold only a network


def c_text(program: PredictionProgram, name: str, main: bool, samples: int | None) -> str:
    """The file in C."""
    if isinstance(program, NetworkProgram):
        return CTrainingFile(program, name, samples).text(main)
    return c99.CFile(program, name).text(main)


def js_text(program: PredictionProgram, name: str, suffix: str) -> str:
    """The script, or the ES module."""
    return javascript.write(program, name, module=suffix == ".mjs")

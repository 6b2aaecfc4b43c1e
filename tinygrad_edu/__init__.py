"""tinygrad_edu: learn backprop in plain Python, and find out why a network does not converge.

To learn backprop      Value, Tensor; draw(y) shows every gradient; grad(f)
To train               nn.MLP([2, 8, 1]), optim, fit(model, X, y, ...), fit_many; data has small data sets
To find a mistake      clinic.check_backprop (a backward pass), clinic.diagnose (a run that does not converge)
To look                report(run), animate(run), compare(runs), playground()
To go on elsewhere     export (C, JavaScript, ONNX), from_torch, from_keras, estimators (for scikit-learn)
To compile             jit(f)

`help(tg.fit)` explains one of them; `tinygrad-edu` on the command line has a demo, a course and examples.

Names are loaded when they are first used, so that `from tinygrad_edu import Value` loads the scalar engine alone,
without NumPy.

>>> from tinygrad_edu import Value
>>> x = Value(3.0)
>>> (x * x).backward()
>>> x.grad
6.0
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

from tinygrad_edu import packages

__version__ = "0.1.0"

HOMES = {
    "core.value": ("Value",),
    "core.tensor": ("Tensor",),
    "core.modes": ("no_grad", "detect_anomaly"),
    "core.transforms.derivatives": ("grad", "value_and_grad", "vjp", "jvp"),
    "core.transforms.jacobians": ("jacobian", "hessian", "hvp"),
    "core.places": ("record_lines",),
    "core.transforms.check": ("gradcheck", "taylor_slope"),
    "core.own_operations": ("operation",),
    "core.transforms.scan": ("scan",),
    "core.transforms.vmap": ("vmap",),
    "compile.jit": ("jit",),
    "draw": ("draw", "Drawing"),
    "interop": ("export", "from_keras", "from_torch"),
    "reporting": ("report",),
    "reporting.animate": ("animate",),
    "reporting.compare": ("compare",),
    "reporting.playground.page": ("playground",),
    "train.fit": ("fit",),
    "train.range_test": ("lr_range_test",),
    "train.sweep.many": ("fit_many",),
}
MODULES = (
    "cases",
    "clinic",
    "compare",
    "course",
    "errors",
    "estimators",
    "nn",
    "ops",
    "optim",
    "data",
    "stats",
    "train",
)
WHERE = {name: module for module, names in HOMES.items() for name in names}

if TYPE_CHECKING:
    from tinygrad_edu import cases, clinic, course, data, errors, estimators, nn, ops, optim, stats, train
    from tinygrad_edu.compile.jit import jit
    from tinygrad_edu.core.modes import detect_anomaly, no_grad
    from tinygrad_edu.core.own_operations import operation
    from tinygrad_edu.core.places import record_lines
    from tinygrad_edu.core.tensor import Tensor
    from tinygrad_edu.core.transforms.check import gradcheck, taylor_slope
    from tinygrad_edu.core.transforms.derivatives import grad, jvp, value_and_grad, vjp
    from tinygrad_edu.core.transforms.jacobians import hessian, hvp, jacobian
    from tinygrad_edu.core.transforms.scan import scan
    from tinygrad_edu.core.transforms.vmap import vmap
    from tinygrad_edu.core.value import Value
    from tinygrad_edu.draw import Drawing, draw
    from tinygrad_edu.interop import export, from_keras, from_torch
    from tinygrad_edu.reporting import report
    from tinygrad_edu.reporting.animate import animate
    from tinygrad_edu.reporting.compare import compare
    from tinygrad_edu.reporting.playground.page import playground
    from tinygrad_edu.train.fit import fit
    from tinygrad_edu.train.range_test import lr_range_test
    from tinygrad_edu.train.sweep.many import fit_many

__all__ = [
    "Drawing", "Tensor", "Value", "animate", "cases", "clinic", "compare", "course", "data", "detect_anomaly", "draw",
    "errors", "estimators", "export", "fit", "fit_many", "from_keras", "from_torch", "grad", "gradcheck", "hessian",
    "hvp", "jacobian", "jit", "jvp", "lr_range_test", "nn", "no_grad", "operation", "ops", "optim", "playground",
    "record_lines", "report", "scan", "stats", "taylor_slope", "train", "value_and_grad", "vjp", "vmap",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in WHERE and name not in MODULES:
        if (path := f"{__name__}.{name}") in sys.modules:  # as in elsewhere.habits
            return sys.modules[path]
        elsewhere = importlib.import_module(f"{__name__}.elsewhere")  # imported only when a name is missing
        raise elsewhere.unknown_error(elsewhere.advice("", name, __all__))
    try:
        found = importlib.import_module(f"{__name__}.{WHERE.get(name, name)}")
    except ModuleNotFoundError as error:
        if error.name != "numpy":
            raise
        return without_numpy(name)
    if name == "clinic":  # `clinic.grade` needs the course, which registers its grader
        importlib.import_module(f"{__name__}.course")
    globals()[name] = getattr(found, name) if name in WHERE else found
    return globals()[name]


def without_numpy(name: str) -> Any:
    """The version of a name for a machine without NumPy: derivatives of functions of numbers."""
    found = importlib.import_module(f"{__name__}.core.transforms.scalar_transforms")
    if name not in found.__all__:
        raise packages.missing("numpy", f"tg.{name}") from None
    return getattr(found, name)


class ForeignImports:
    """Python asks it last for a module: `import tinygrad_edu.nn.functional` is answered with what to write here."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> None:
        if name.startswith(f"{__name__}."):
            importlib.import_module(f"{__name__}.elsewhere").refuse_import(name)


sys.meta_path.append(ForeignImports)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]

"""Every error of the package, in one tree; each message says what, where, the numbers and the likely fix.

TinygradError
├── ShapeError            (ValueError)          shapes that do not match
├── DtypeError            (TypeError)           an array that is not float32 or float64
├── OperandError          (TypeError)           something that is not a number, or two back ends mixed
├── NameNotFoundError     (ValueError)          an unknown activation, operation, optimizer, ...
├── SettingError          (ValueError)          a setting outside its range
├── GraphError            (RuntimeError)        the graph cannot be walked as asked
│   ├── BackwardTwiceError                      the same graph walked backward twice
│   ├── NonScalarBackwardError                  backward from many numbers without a seed
│   ├── SavedArrayChangedError                  an array that backward needs was written to
│   └── DetachedError                           a step that would silently leave the graph
├── TraceError            (RuntimeError)        a function that cannot be compiled from one trace
│   └── CompileError                            a program that the compiler cannot make or go on with
├── UnsupportedNumpyError (TypeError)           a NumPy function without a derivative here
├── AnomalyError          (FloatingPointError)  NaN or infinity, met under detect_anomaly
├── GradcheckError        (AssertionError)      analytic and numerical gradient differ
├── CheckpointError       (ValueError)          a file of weights that cannot be read
├── DrawError             (ValueError)          a picture that cannot be made
├── ExaminerError         (ValueError)          hand-written backprop that cannot be judged
├── ImageError            (ValueError)          an image, or a folder of images, that cannot be read
├── InputFileError        (ValueError)          a file given to `tinygrad-edu diagnose` that cannot be used
├── ExpressionError       (ValueError)          text that is not an arithmetic expression
└── MissingPackageError   (ImportError)         a package that this part needs is not installed
"""

from __future__ import annotations

import threading
from collections.abc import Iterable

from tinygrad_edu.foreign_names import names_for
from tinygrad_edu.spelling import near_names, spelled

LISTED = 60  # known names that are shown after a suggestion too; there are hundreds of operations


class _Raised(threading.local):
    in_trace: list[Exception] | None = None  # by the trace that is running in this thread


RAISED = _Raised()


class TinygradError(Exception):
    """The root of the tree: `except TinygradError` catches whatever this package raises on purpose.

    >>> from tinygrad_edu import nn
    >>> try:
    ...     nn.MLP([2, 3, 1], activation="tanhh")
    ... except TinygradError as error:
    ...     print(type(error).__name__, error)
    NameNotFoundError unknown activation 'tanhh'. Did you mean 'tanh'? Known: ...
    """

    def __init__(self, *words: object, **named: object) -> None:
        super().__init__(*words, **named)  # an ImportError takes the name of its module
        if RAISED.in_trace is not None:
            RAISED.in_trace.append(self)


class ShapeError(TinygradError, ValueError):
    """Shapes that do not match.

    >>> from tinygrad_edu import Tensor
    >>> Tensor([[1.0, 2.0]], label="x") @ Tensor([[1.0, 2.0]], label="W")
    Traceback (most recent call last):
        ...
    tinygrad_edu.errors.ShapeError: x @ W: shapes (1, 2) and (1, 2) do not match: 2 != 1. Did you mean W.T, ...
    """


class DtypeError(TinygradError, TypeError):
    """An array that is neither float32 nor float64.

    >>> from tinygrad_edu import Tensor
    >>> Tensor([1, 2])
    Traceback (most recent call last):
        ...
    tinygrad_edu.errors.DtypeError: ...
    """


class OperandError(TinygradError, TypeError):
    """An operand that is not a number or array, or two back ends in one operation.

    >>> from tinygrad_edu import Value
    >>> Value("3")
    Traceback (most recent call last):
        ...
    tinygrad_edu.errors.OperandError: a Value holds one real number, not str '3'. For arrays use tg.Tensor; ...
    """


class NameNotFoundError(TinygradError, ValueError):
    """A name that no table holds.

    >>> from tinygrad_edu import nn
    >>> nn.losses.find("msee")
    Traceback (most recent call last):
        ...
    tinygrad_edu.errors.NameNotFoundError: unknown loss 'msee'. Did you mean 'mse'? Known: ...
    """


class SettingError(TinygradError, ValueError):
    """A setting outside its range.

    >>> from tinygrad_edu import Value, optim
    >>> optim.SGD([Value(1.0)], lr=-0.1)
    Traceback (most recent call last):
        ...
    tinygrad_edu.errors.SettingError: lr=-0.1 lies outside [0, inf)
    """


class GraphError(TinygradError, RuntimeError):
    """A graph that cannot be walked as asked.

    >>> issubclass(BackwardTwiceError, GraphError), issubclass(GraphError, RuntimeError)
    (True, True)
    """


class BackwardTwiceError(GraphError):
    """backward() a second time from the same node.

    >>> from tinygrad_edu import Value
    >>> y = Value(2.0) * 3.0
    >>> y.backward(); y.backward()
    Traceback (most recent call last):
        ...
    tinygrad_edu.errors.BackwardTwiceError: backward() has already run from Value(...): its gradients would ...
    """


class NonScalarBackwardError(GraphError):
    """backward() from more than one number without a seed.

    >>> from tinygrad_edu import Tensor
    >>> (2.0 * Tensor([1.0, 2.0], requires_grad=True)).backward()
    Traceback (most recent call last):
        ...
    tinygrad_edu.errors.NonScalarBackwardError: ...
    """


class SavedArrayChangedError(GraphError):
    """An array that the derivative needs was written to after it was used.

    >>> from tinygrad_edu import Tensor
    >>> x = Tensor([1.0, 2.0], requires_grad=True)
    >>> y = (x * x).sum()
    >>> x.data[0] = 5.0
    >>> y.backward()
    Traceback (most recent call last):
        ...
    tinygrad_edu.errors.SavedArrayChangedError: ...
    """


class DetachedError(GraphError):
    """A step that would leave the graph without saying so.

    >>> import math
    >>> from tinygrad_edu import Value
    >>> math.tanh(Value(0.5))
    Traceback (most recent call last):
        ...
    tinygrad_edu.errors.DetachedError: float(Value(...)) would lose its gradient, ...
    """


class TraceError(TinygradError, RuntimeError):
    """A function that cannot be compiled from one trace.

    >>> from tinygrad_edu import jit
    >>> jit(lambda x: x if x > 0.0 else -x)(2.0)
    Traceback (most recent call last):
        ...
    tinygrad_edu.errors.TraceError: a compiled function cannot branch on the value of ...
    """


class CompileError(TraceError):
    """A program that the compiler cannot make, or that a change in Python has made a wrong one.

    >>> issubclass(CompileError, TraceError)
    True
    """


class UnsupportedNumpyError(TinygradError, TypeError):
    """A NumPy function that has no derivative here.

    >>> import numpy
    >>> from tinygrad_edu import Tensor
    >>> numpy.fft.fft(Tensor([1.0, 2.0], requires_grad=True))
    Traceback (most recent call last):
        ...
    tinygrad_edu.errors.UnsupportedNumpyError: ...
    """


class AnomalyError(TinygradError, FloatingPointError):
    """NaN or infinity, met under `detect_anomaly`.

    >>> from tinygrad_edu import Value, detect_anomaly
    >>> with detect_anomaly():
    ...     1.0 / Value(0.0, label="x")
    Traceback (most recent call last):
        ...
    tinygrad_edu.errors.AnomalyError: div(1, x) gave inf. Its inputs: x = 0.0
    """


class GradcheckError(TinygradError, AssertionError):
    """An analytic gradient that differs from the numerical one.

    >>> from tinygrad_edu import gradcheck
    >>> gradcheck(lambda x: x * x.detach(), 3.0)
    Traceback (most recent call last):
        ...
    tinygrad_edu.errors.GradcheckError: argument 0, index (): the gradient is 3, central differences give 6 ...
    """


class CheckpointError(TinygradError, ValueError):
    """A file of weights that cannot be read.

    >>> import pathlib, tempfile
    >>> from tinygrad_edu import nn
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "model.safetensors")
    ...     _ = path.write_bytes(b"cut off")
    ...     nn.Linear(2, 1).load(path)
    Traceback (most recent call last):
        ...
    tinygrad_edu.errors.CheckpointError: ...
    """


class DrawError(TinygradError, ValueError):
    """A picture that cannot be made.

    >>> from tinygrad_edu.draw import draw
    >>> draw("tanh(x)")
    Traceback (most recent call last):
        ...
    tinygrad_edu.errors.DrawError: cannot draw str 'tanh(x)': draw takes a Value, a Tensor, a list of them, or a model
    """


class ExaminerError(TinygradError, ValueError):
    """Hand-written backprop that cannot be judged: no gradients, NaN, a forward that is not a function.

    >>> from tinygrad_edu.clinic import check_backprop
    >>> check_backprop(lambda p: p["w"] ** 2, {"w": 3.0})
    Traceback (most recent call last):
        ...
    tinygrad_edu.errors.ExaminerError: give either grads= (what your backward computed) or updated= ...
    """


class ImageError(TinygradError, ValueError):
    """An image, or a folder of images, that cannot be read.

    >>> import tempfile
    >>> from tinygrad_edu.data import read_image_folders
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     read_image_folders(folder)
    Traceback (most recent call last):
        ...
    tinygrad_edu.errors.ImageError: ...
    """


class InputFileError(TinygradError, ValueError):
    """A file of losses, of data or of an estimator that is not there, or not what it should be.

    >>> import pathlib
    >>> from tinygrad_edu.clinic.diagnosis.files import read_curve
    >>> read_curve(pathlib.Path("nowhere.json"))
    Traceback (most recent call last):
        ...
    tinygrad_edu.errors.InputFileError: ...nowhere.json...
    """


class ExpressionError(TinygradError, ValueError):
    """Text that is not an arithmetic expression.

    >>> from tinygrad_edu.expression import evaluate
    >>> evaluate("a *", {"a": 1.0})
    Traceback (most recent call last):
        ...
    tinygrad_edu.errors.ExpressionError: ...
    """


class MissingPackageError(TinygradError, ImportError):
    """A package that only a part of the library needs is not installed.

    >>> from tinygrad_edu import packages
    >>> packages.find("no_such_package", "a picture")
    Traceback (most recent call last):
        ...
    tinygrad_edu.errors.MissingPackageError: a picture needs no_such_package: `pip install no_such_package` brings it
    """


class ForgottenZeroGradWarning(UserWarning):
    """A gradient that an optimizer has used already is being added to.

    >>> import warnings
    >>> from tinygrad_edu import Value, optim
    >>> w = Value(1.0, label="w")
    >>> (w * w).backward(); optim.SGD([w], lr=0.1).step()
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     (w * w).backward()
    >>> print(caught[0].message)
    Value 'w': an optimizer has used this gradient already, and a second one is now being added to it. ...
    """


def first_line(error: BaseException) -> str:
    """An error on one line; one that is not ours with the name of its kind.

    >>> first_line(KeyError("a")), first_line(TraceError("it cannot"))
    ("KeyError: 'a'", 'it cannot')
    """
    text = " ".join(str(error).split())
    text = text if len(text) <= 300 else f"{text[:300]}..."
    return text if isinstance(error, TinygradError) and text else f"{type(error).__name__}: {text}"


def unknown_name(kind: str, name: object, known: Iterable[str]) -> NameNotFoundError:
    """The error for a name that is not in a table, with the nearest known one.

    >>> print(unknown_name("activation", "tanhh", ["relu", "tanh"]))
    unknown activation 'tanhh'. Did you mean 'tanh'? Known: relu, tanh
    """
    names, theirs = sorted(known), spelled(str(name))
    plain = {spelled(each): each for each in names}
    meant = [x for x in names_for(kind, theirs) if x in names] or [plain[x] for x in near_names(theirs, plain)]
    hint = f" Did you mean {' or '.join(map(repr, meant))}?" if meant else ""
    hint += f" Known: {', '.join(names)}" if not hint or len(names) <= LISTED else ""
    return NameNotFoundError(f"unknown {kind} {name!r}.{hint}")

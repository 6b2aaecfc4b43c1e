"""Every error of the package, in one tree; each message says what, where, the numbers and the likely fix.

TinygradError
├── ShapeError            (ValueError)          shapes that do not meet
├── DtypeError            (TypeError)           an array that is not float32 or float64
├── OperandError          (TypeError)           something that is not a number, or two back ends mixed
├── NameNotFoundError     (ValueError)          an unknown activation, operation, optimizer, ...
├── SettingError          (ValueError)          a setting outside its range
├── GraphError            (RuntimeError)        the graph cannot be walked as asked
│   ├── BackwardTwiceError                      the same graph walked backward twice
│   ├── NonScalarBackwardError                  backward from many numbers without a seed
│   ├── SavedArrayChangedError                  an array that backward needs was written to
│   └── DetachedError                           a step that would silently leave the graph
├── UnsupportedNumpyError (TypeError)        a NumPy function without a derivative here
├── AnomalyError          (FloatingPointError)  NaN or infinity, met under detect_anomaly
├── GradcheckError        (AssertionError)      analytic and numerical gradient differ
├── CheckpointError       (ValueError)          a file of weights that cannot be read
├── DrawError             (ValueError)          a picture that cannot be made
├── ExaminerError         (ValueError)          hand-written backprop that cannot be judged
├── ImageError            (ValueError)          an image, or a folder of images, that cannot be read
└── ExpressionError       (ValueError)          text that is not an arithmetic expression
"""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Iterable, Sequence


class TinygradError(Exception):
    """The root of the tree: `except TinygradError` catches whatever this package raises on purpose."""


class ShapeError(TinygradError, ValueError):
    """Shapes that do not meet."""


class DtypeError(TinygradError, TypeError):
    """An array that is neither float32 nor float64."""


class OperandError(TinygradError, TypeError):
    """An operand that is not a number or array, or two back ends in one operation."""


class NameNotFoundError(TinygradError, ValueError):
    """A name that no table holds."""


class SettingError(TinygradError, ValueError):
    """A setting outside its range."""


class GraphError(TinygradError, RuntimeError):
    """A graph that cannot be walked as asked."""


class BackwardTwiceError(GraphError):
    """backward() a second time from the same node."""


class NonScalarBackwardError(GraphError):
    """backward() from more than one number without a seed."""


class SavedArrayChangedError(GraphError):
    """An array that the derivative needs was written to after it was used."""


class DetachedError(GraphError):
    """A step that would leave the graph without saying so."""


class TraceError(TinygradError, RuntimeError):
    """A function that cannot be compiled from one trace."""


class UnsupportedNumpyError(TinygradError, TypeError):
    """A NumPy function that has no derivative here."""


class AnomalyError(TinygradError, FloatingPointError):
    """NaN or infinity, met under `detect_anomaly`."""


class GradcheckError(TinygradError, AssertionError):
    """An analytic gradient that differs from the numerical one."""


class CheckpointError(TinygradError, ValueError):
    """A file of weights that cannot be read."""


class DrawError(TinygradError, ValueError):
    """A picture that cannot be made."""


class ExaminerError(TinygradError, ValueError):
    """Hand-written backprop that cannot be judged: no gradients, NaN, a forward that is not a function."""


class ImageError(TinygradError, ValueError):
    """An image, or a folder of images, that cannot be read."""


class ExpressionError(TinygradError, ValueError):
    """Text that is not an arithmetic expression."""


class ForgottenZeroGradWarning(UserWarning):
    """A gradient that an optimizer has used already is being added to."""


def warn_forgotten(leaves: Sequence[object], stacklevel: int) -> None:
    """Warn that a gradient which an optimizer has used is being added to."""
    others = f" (and {len(leaves) - 1} more)" if len(leaves) > 1 else ""
    warnings.warn(
        f"{leaves[0]!r}{others}: an optimizer has used this gradient already, and a second one is now being added to "
        "it. Call zero_grad() before the next backward()",
        ForgottenZeroGradWarning,
        stacklevel=stacklevel,
    )


def unknown_name(kind: str, name: object, known: Iterable[str]) -> NameNotFoundError:
    """The error for a name that is not in a table, with the nearest known one.

    >>> print(unknown_name("activation", "tanhh", ["relu", "tanh"]))
    unknown activation 'tanhh'. Did you mean 'tanh'? Known: relu, tanh
    """
    names = sorted(known)
    nearest = difflib.get_close_matches(str(name), names, n=1)
    hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
    return NameNotFoundError(f"unknown {kind} {name!r}.{hint} Known: {', '.join(names)}")

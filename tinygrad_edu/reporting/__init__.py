"""The report of a run: one HTML file with everything in it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinygrad_edu.core.aliases import Samples

if TYPE_CHECKING:
    from tinygrad_edu.train import Histograms, Run

__all__ = ["report"]


def report(
    run: Run | str | os.PathLike[str],
    X: Samples = None,
    y: Samples = None,
    *,
    path: str | os.PathLike[str] = "out/report.html",
    diagnosis: Any = None,
    histograms: Histograms | None = None,
    title: str = "",
) -> Path:
    """Write the report of a run: one HTML file that opens without a network; returns its path.

    It shows the curves, what the network has learned (of one or two inputs), its graph in the colours of its health,
    how activations, gradients and weights of each layer were spread over time, and the settings to do it again.

    run: of `fit`, or a file that `Run.save` has written. X, y: the data to measure on, those of the training by
    default. diagnosis: of `tg.clinic.diagnose`. histograms: a `train.Histograms`; one that `fit` was given as a
    callback is found. title: the heading.
    Errors: CheckpointError for a file of another form; ShapeError, DtypeError, SettingError for X and y.

    >>> import tempfile
    >>> from tinygrad_edu import fit, nn, optim
    >>> from tinygrad_edu.data import xor_gate
    >>> model = nn.MLP([2, 3, 1])
    >>> run = fit(model, *xor_gate(), loss="mse", optimizer=optim.Adam(model.parameters()), epochs=3)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     report(run, path=folder + "/xor.html").read_text(encoding="utf-8")[:15]
    '<!DOCTYPE html>'
    """
    from tinygrad_edu.nn.storage import replace
    from tinygrad_edu.reporting.page import page
    from tinygrad_edu.reporting.record import record_of
    from tinygrad_edu.train import Run

    known = Run.load(run) if isinstance(run, (str, os.PathLike)) else run
    record = record_of(known, X, y, histograms)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    replace(path, page(record, diagnosis, title).encode())
    return path

"""The report of a run: one HTML file with everything in it.

Read record.py first (what a report is made from), then page.py (its parts in order), curves.py, layers.py, network.py
and boundary.py (the parts). compare.py, animate.py and playground/ make pages of other kinds.
"""

from __future__ import annotations

import os
from dataclasses import replace as replace_fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinygrad_edu import checks
from tinygrad_edu.core.aliases import Samples
from tinygrad_edu.pen import check_arguments

if TYPE_CHECKING:
    from tinygrad_edu.reporting.record import ReportedRun
    from tinygrad_edu.train import Histograms, Run

__all__ = ["report"]


@check_arguments
def report(
    run: Run | str | os.PathLike[str] | Any,
    X: Samples = None,
    y: Samples = None,
    *,
    path: str | os.PathLike[str] = "out/report.html",
    diagnosis: Any = "auto",
    histograms: Histograms | None = None,
    title: str = "",
) -> Path:
    """Write the report of a run, one HTML file that can be read offline, and return its path.

    It shows the curves, what the network has learned (boundary, confusion matrix, projection of many inputs), its
    diagnosis, its graph in the colours of its health, how activations, gradients and weights of each layer were spread
    over time, and the settings to do it again.
    run: a Run of `fit`, the file that `Run.save` has written, or a fitted estimator of this library or of scikit-learn,
    also inside a Pipeline or a search. For an estimator that is not an MLP, the page shows its predictions only.
    X: the inputs to measure on, a row for each sample; by default those of the training. An estimator needs them.
    y: their targets, a row for each sample; given together with X.
    path: the HTML file to write; missing folders are made.
    diagnosis: what `tg.clinic.diagnose` has returned; "auto" makes one, which takes seconds; None leaves it out.
    histograms: a `train.Histograms`; by default that of `fit`'s callbacks, else of the run, if short, trained again.
    title: the heading of the page; "" for "Training report".
    Errors: CheckpointError for a file of another form; ShapeError, DtypeError, SettingError for X and y; OperandError
    for what is neither a run nor an estimator.

    >>> import tempfile
    >>> from tinygrad_edu import fit, nn, optim
    >>> from tinygrad_edu.data import xor_gate
    >>> model = nn.MLP([2, 3, 1])
    >>> run = fit(model, *xor_gate(), loss="mse", optimizer=optim.Adam(model.parameters()), epochs=3)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     report(run, path=folder + "/xor.html", diagnosis=None).read_text(encoding="utf-8")[:15]
    '<!DOCTYPE html>'
    """
    from tinygrad_edu.train.state_kept import code_of, state_kept

    with state_kept(trained=code_of(run)):
        return write_report(run, X, y, path, diagnosis, histograms, title)


def write_report(
    run: Run | Any, X: Samples, y: Samples, path: Samples, diagnosis: Any, histograms: Histograms | None, title: str
) -> Path:
    """The file of `report`, with the same arguments."""
    from tinygrad_edu.reporting.live_page import write_file
    from tinygrad_edu.reporting.page import page

    known, record = run_and_record(run, X, y, histograms)
    if isinstance(diagnosis, str) and diagnosis == "auto":
        diagnosis = diagnosis_of(known, X, y) if record.outputs is None else None
    return write_file(checks.path("path", path, "report"), page(record, diagnosis, title))


def run_and_record(run: Any, X: Samples, y: Samples, histograms: Histograms | None) -> tuple[Any, ReportedRun]:
    """(the Run or the estimator, what a page is made from)."""
    from tinygrad_edu.reporting.estimators import record_of_estimator
    from tinygrad_edu.reporting.record import record_of, refuse_model
    from tinygrad_edu.reporting.retrained import with_histograms
    from tinygrad_edu.train import Run

    refuse_model("report", run)
    known = Run.load(run) if isinstance(run, (str, os.PathLike)) else run
    of_fit = isinstance(known, Run)
    record = record_of(known, X, y, histograms) if of_fit else record_of_estimator(known, X, y)
    return known, with_histograms(replace_fields(record, histograms=histograms or record.histograms))


def diagnosis_of(known: Any, X: Samples, y: Samples) -> Any:
    """The diagnosis of a run or an estimator; where there can be none, the reason."""
    from tinygrad_edu.clinic import diagnose
    from tinygrad_edu.errors import TinygradError

    try:
        return diagnose(known, X, y)
    except TinygradError as reason:
        return str(reason)

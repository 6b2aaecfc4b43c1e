"""`tg.animate`: a run as a page with a slider over its epochs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from tinygrad_edu.charts.axes import thin_points
from tinygrad_edu.checks import whole
from tinygrad_edu.core.aliases import Samples
from tinygrad_edu.draw.text import count
from tinygrad_edu.errors import OperandError, SettingError
from tinygrad_edu.pen import check_arguments
from tinygrad_edu.reporting.frames import Camera, levels_of, points_of, rounded
from tinygrad_edu.reporting.live_page import Page, asset, write_page
from tinygrad_edu.reporting.page import sentence
from tinygrad_edu.reporting.record import ReportedRun, record_of, refuse_model
from tinygrad_edu.reporting.tables import figure
from tinygrad_edu.train import Run
from tinygrad_edu.train.snapshots import State, snapshots_of
from tinygrad_edu.train.state_kept import looks_only

Array = np.ndarray[Any, Any]


@check_arguments
@looks_only
def animate(
    run: Run,
    X: Samples = None,
    y: Samples = None,
    *,
    path: str | os.PathLike[str] | None = None,
    frames: int = 60,
    title: str = "",
) -> Page:
    """Make one HTML page of a run, with a slider over its epochs: play, pause, step by the arrow keys.

    It shows the outputs of the network over its one or two inputs, its weights, the loss, and the norm of the gradient
    in each layer. The weights of each epoch come from a `train.Snapshots` callback of the run; without one the
    run is trained again from its start, which has to give the same losses.

    run: a Run of `fit`, made in this process.
    X: the inputs to show, a row for each sample; by default those of the training.
    y: their targets; given together with X.
    path: where to write the page now; `.save(path)` of the result writes it later.
    frames: the largest number of epochs to show, the first and the last among them; at least 2.
    title: the heading of the page.
    Errors: SettingError for a run whose weights on the way cannot be found, OperandError for what is not a run.

    >>> from tinygrad_edu import fit, nn, optim
    >>> from tinygrad_edu.data import xor_gate
    >>> model = nn.MLP([2, 3, 1])
    >>> run = fit(model, *xor_gate(), loss="mse", optimizer=optim.Adam(model.parameters()), epochs=30)
    >>> animate(run, frames=10)
    <Animation of 30 epochs in 9 frames: .save("page.html") writes it>
    """
    refuse_model("animate", run)
    if not isinstance(run, Run):
        raise OperandError(f"animate takes a run, which tg.fit returns, not {type(run).__name__}")
    if (X is None) != (y is None):
        raise SettingError(f"animate(run, {'X' if y is None else 'y'}) only: give both X and y, or neither")
    page = film(record_of(run, X, y), snapshots_of(run, whole("frames", frames, 2)), title)
    if path is not None:
        page.save(path)
    return page


def film(record: ReportedRun, states: Mapping[int, State], title: str) -> Page:
    """The page of a run whose weights at some epochs are known."""
    run, camera = record.run, Camera(record)
    frames = [camera.frame(epoch, state) for epoch, state in sorted(states.items())]
    first, last = figure(run.loss_curve[0]), figure(run.loss_curve[-1])
    text = write_page(
        title or "Training, epoch by epoch",
        f"{count(run.n_epochs, 'epoch')}, {record.loss_name} {first} → {last}. {sentence(record)}",
        asset("animation.html"),
        ["plots.js", "animation.js"],
        contents(record, camera) | {"frames": frames},
    )
    return Page(text, f"Animation of {count(run.n_epochs, 'epoch')} in {count(len(states), 'frame')}")


def contents(record: ReportedRun, camera: Camera) -> dict[str, Any]:
    """The parts that are the same in all frames."""
    ground, found = camera.ground, camera.ground.found
    return {
        "loss": record.loss_name,
        "curves": {"training": curve(record.run.loss_curve), "validation": curve(record.run.validation_curve)},
        "ground": {
            "kind": ground.kind, "why": ground.why, "limits": ground.limits, "side": ground.side,
            "classes": list(found.classes) if found else [],
            "levels": levels_of(len(found.classes) or 1) if found else 1,
            "points": points_of(ground),
            "inputs": rounded(ground.inputs[:, 0].astype(float)) if ground.kind == "line" else [],
        },
        "network": camera.chain,
    }  # fmt: skip


def curve(losses: Array) -> dict[str, list[Any]]:
    """The points of a curve that are drawn, x from 1 on; None for what is not finite."""
    places = thin_points(losses) if len(losses) else np.empty(0, dtype=int)
    return {"x": (places + 1).tolist(), "y": rounded(losses[places])}

"""Training: `fit`, `fit_many`, `fit_online` for series in time, and the plain loop.

Read recipe.py first (how a run is trained), then job.py (one call of `fit`), fit.py (the loop over epochs), choose.py
(which way of training, and why), stepper.py with eager.py and compiled/ (the ways), last_whole.py (where an interrupt
leads back to), progress.py and run.py (what is recorded). checkpoint.py and resume.py go on with a run; sweep/ trains
many, mpi/ on several machines.
"""

from typing import TYPE_CHECKING

from tinygrad_edu.elsewhere import habits
from tinygrad_edu.train.checkpoint import Checkpoint
from tinygrad_edu.train.fit import fit
from tinygrad_edu.train.histograms import Histograms
from tinygrad_edu.train.loop import accuracy, one_minus_mae, train
from tinygrad_edu.train.online import fit_online
from tinygrad_edu.train.range_test import RangeTest, lr_range_test
from tinygrad_edu.train.run import Run
from tinygrad_edu.train.snapshots import Snapshots
from tinygrad_edu.train.sweep.many import fit_many
from tinygrad_edu.train.sweep.outcomes import ManyRuns

__all__ = [
    "Checkpoint",
    "Histograms",
    "ManyRuns",
    "RangeTest",
    "Run",
    "Snapshots",
    "accuracy",
    "fit",
    "fit_many",
    "fit_online",
    "lr_range_test",
    "one_minus_mae",
    "train",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = habits(__name__, __all__)

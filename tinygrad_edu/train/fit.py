"""`fit`: train a model on arrays, as compiled code if that pays, else operation by operation."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any

import numpy as np

from tinygrad_edu import interrupts
from tinygrad_edu.core.aliases import Samples
from tinygrad_edu.core.user_line import each_once
from tinygrad_edu.errors import CompileError, SettingError
from tinygrad_edu.names import LossName, OptimizerName, OrderName
from tinygrad_edu.nn.layer_modes import Modes
from tinygrad_edu.nn.module import Module
from tinygrad_edu.optim import LBFGS, Optimizer, optimizer_for
from tinygrad_edu.pen import check_arguments
from tinygrad_edu.train import progress_bar
from tinygrad_edu.train.best_weights import restore_best
from tinygrad_edu.train.choose import Way, choose, way_of
from tinygrad_edu.train.config import config
from tinygrad_edu.train.copied import refuse_model_of_another
from tinygrad_edu.train.ending import reason
from tinygrad_edu.train.job import Job, job_of, note_of_parts
from tinygrad_edu.train.last_whole import LastWhole
from tinygrad_edu.train.modes_of_runs import begin_modes, names_evaluated, note_of_evaluated
from tinygrad_edu.train.mpi import data_parallel
from tinygrad_edu.train.mpi.ranks import Ranks
from tinygrad_edu.train.one_thread import claim, release
from tinygrad_edu.train.other_code import note_of_anew
from tinygrad_edu.train.own_code import are_own
from tinygrad_edu.train.progress_bar import Bar
from tinygrad_edu.train.recipe import Loss, Settings
from tinygrad_edu.train.resume import resume
from tinygrad_edu.train.run import Run
from tinygrad_edu.train.samples import parameters_of
from tinygrad_edu.train.seeds import GlobalDraws
from tinygrad_edu.train.snapshot import for_certain
from tinygrad_edu.train.state_outside import refuse_stale
from tinygrad_edu.train.stepper import Epochs, Stepper, TakenBackError
from tinygrad_edu.train.taken_back import Beginning

SETTINGS = [field.name for field in fields(Settings)]


@check_arguments
def fit(
    model: Module, X: Samples, y: Samples, *, loss: LossName | Loss,
    optimizer: OptimizerName | Optimizer | LBFGS | Callable[[Any], Any], epochs: int, batch_size: int | None = None,
    shuffle: bool | OrderName = True, seed: int = 0, compiled: bool | str = "auto", tol: float | None = None,
    patience: int | None = None, validation: Samples = None, sample_weight: Samples = None,
    clip_norm: float | None = None, clip_value: float | None = None, callbacks: Sequence[Callable[[Any], Any]] = (),
    progress: bool | None = None, accurate: bool = False, resume_from: str | os.PathLike[str] | None = None,
    comm: Any = None, comm_timeout_s: float = 300.0,
) -> Run:  # fmt: skip
    """Train `model` in place on X and y, and record the run; NaN, Ctrl-C and errors leave it at the last whole epoch.

    Code of your own is traced a few times, and its compiled step compared with the eager one before the first epoch,
    after 1, 2, 4, 8 ... epochs and at the end; if they differ the run starts again eagerly (run.how says why), or with
    compiled=True raises TraceError. What time, files or other programs change in between goes unnoticed.
    model: a Module, whose parameters are Values or Tensors.
    X: the inputs, a row for each sample; integers if the model uses them as indices.
    y: the targets, a row for each sample; class numbers (samples,) for cross_entropy.
    loss: the name of a loss in nn.losses, or a function of output and target.
    optimizer: one for this model's parameters, its name, or a function of them; an epoch of L-BFGS is one iteration.
    epochs: the number of passes over all samples; with resume_from, the total.
    batch_size: the samples of one update; all of them by default.
    shuffle: a new order in each epoch (True), none (False), or the name of an order of data.batches.
    seed: the seed of the orders, of the held-out share, and of layers such as Dropout(0.1) that were given none.
    compiled: True, False, or "auto", which compiles if that is estimated to pay.
    tol: stop when an epoch changes the loss by no more than this fraction.
    patience: stop after so many epochs in a row that do not lower the best loss by more than the fraction tol.
    validation: (X, y), or a share of the samples to hold out; tol and patience then use its loss.
    sample_weight: one for each sample, (samples,).
    clip_norm: scale the gradient down to this norm where it is longer, after clip_value.
    clip_value: clip each entry of the gradient to ±clip_value.
    callbacks: functions of the Job, called after each epoch; one that returns True ends the run.
    progress: whether to show a progress bar; by default in a terminal.
    accurate: use the C library's exp, tanh and log in compiled code: right to the last digit, and slower.
    resume_from: the file of an earlier run (Run.save) to continue; give everything else again, as in a new program.
    comm: mpi4py's MPI.COMM_WORLD, which splits each batch over the ranks of `mpiexec` (see train.mpi).
    comm_timeout_s: how many seconds a rank waits for the others before it ends them all.
    Errors: SettingError, ShapeError, DtypeError, CheckpointError, TraceError (compiled=True).

    >>> from tinygrad_edu import data, nn
    >>> fit(nn.MLP([2, 8, 1], seed=1), *data.xor_gate(), loss="mse", optimizer="adam", epochs=100).n_epochs
    100
    """
    make = partial(begin_job, model, X, y, optimizer, {k: x for k, x in locals().items() if k in SETTINGS}, resume_from)
    return train_job(make() if comm is None else data_parallel.prepare(Ranks(comm, comm_timeout_s), make), compiled)


def begin_job(
    model: Module, X: Samples, y: Samples, optimizer: Any, given: Mapping[str, Any], resume_from: Any = None
) -> Job:
    """The job, at its start or as the file of an earlier run left it."""
    job = job_of(model, X, y, optimizer_for(optimizer, parameters_of(model)), Settings(**given), seeded=True)
    refuse_stale(job)
    if resume_from is not None:
        resume(job, resume_from)
    return job


def train_job(job: Job, compiled: bool | str) -> Run:
    """Train the remaining epochs of the job; returns its record."""
    return Training(job, compiled).run()


class Training:
    """One call of `fit`: a stepper gives whole epochs, which are recorded and checked for the end here."""

    def __init__(self, job: Job, compiled: bool | str) -> None:
        self.job, self.compiled, self.modes = job, compiled, Modes(job.model)
        self.whole, self.stepper = LastWhole(job), Stepper(job, progress_bar.NoBar())
        self.interrupts = interrupts.Passed()
        self.claimed: list[int] = []  # parameters that no other thread may train during this run
        self.beginning: Beginning | None = None  # for a run whose compiled epochs may have to be undone
        self.draws: GlobalDraws | None = None  # where functions of the user's own may draw

    def run(self) -> Run:
        """Run it; returns the record, also after Ctrl-C. Errors: GraphError if another thread trains this model."""
        try:
            claim(self.job.model.parameters(), self.claimed)
        except BaseException:
            for_certain(lambda: release(self.claimed))
            raise
        try:
            self.interrupts.__enter__()
            begin_modes(self.job.model, self.job.evaluated)
            with (
                bar(self.job) as shown,
                each_once(),
                np.errstate(all="ignore"),
            ):  # overflow ends the run with a message of its own
                ending = self.all_epochs(shown)
            return self.finish(ending)
        except KeyboardInterrupt:
            for_certain(self.end_whole)
            return for_certain(lambda: self.finish(reason(self.job, interrupted=True)))
        except BaseException:
            for_certain(self.back_to_whole)
            for_certain(self.modes.restore)
            for_certain(self.let_go)
            raise

    def all_epochs(self, shown: Bar) -> str:
        """Train all remaining epochs, compiled or not; returns why they ended."""
        job = self.job
        self.whole.is_now()
        moved, called = job.go_on(), job.progress.pending
        if called:
            self.whole.note()
        over = called and job.call_back()
        if moved or called:
            self.whole.is_now()
        way = way_of(job, self.compiled)
        self.beginning = Beginning(job) if way.foreign else None
        own = way.foreign or are_own(job.settings.callbacks) or (way.session is None and job.own_code)
        if own:
            self.draws = GlobalDraws()
            self.whole.hold_python()
        job.how, job.ending = way.how + note_of_parts(job), ""
        if over or job.progress.stopped:  # the stopping rule had ended the run already
            job.how += (
                "" if called else "; its rule had ended it, so no epoch was added: fit trains on from these weights"
            )
            return reason(job, stopped=True)
        while True:
            self.stepper = way.stepper(job, shown)
            try:
                return self.epochs_of(self.stepper)
            except CompileError as error:
                for_certain(self.stepper.close)
                way = self.another_way(error)

    def another_way(self, error: CompileError) -> Way:
        """Make a new program if compiling was asked for and epochs were done since the last; else go on eagerly."""
        back = isinstance(error, TakenBackError)
        if back and self.beginning is not None:
            for_certain(self.beginning.restore)
            self.whole.is_now()
        self.whole.restore()
        done = len(self.job.losses)
        if self.compiled is True:
            if back:
                raise TakenBackError(
                    f'{error}. With compiled="auto", the default, such a model trains eagerly'
                ) from error
            if self.stepper.start == done:
                raise error
            return choose(self.job, True)
        after = f" after {done} epoch{'s' * (done != 1)}" if done else ""
        way = Way(f"eager{after}: {error}")
        self.job.how = way.how + note_of_parts(self.job)
        return way

    def epochs_of(self, stepper: Stepper) -> str:
        """Record the epochs that a stepper gives; returns why they ended."""
        with closing(stepper.epochs()) as epochs:
            for done in epochs:
                over = self.keep(done, stepper)
                if done.bad is not None:
                    self.whole.restore()
                    stepper.confirm()
                    return stepper.bad_ending(done.bad)
                if over:
                    stepper.confirm()
                    for_certain(stepper.close)
                    return reason(self.job, stopped=True)
                stepper.read_again()
        stepper.confirm()
        for_certain(stepper.close)  # `finish` undoes an epoch that was only begun
        return reason(self.job, interrupted=True) if stepper.interrupted else stepper.ending()

    def keep(self, done: Epochs, stepper: Stepper) -> bool:
        """Record epochs and apply the rules; True if the run is over."""
        progress, over = self.job.progress, False
        progress.record(done.losses, done.grad_norms, done.update_norms)
        if done.looked:
            over = progress.follow_program(len(done.losses))
        elif len(done.losses):
            over = stepper.look(self.whole.note)
        if len(done.losses):
            self.whole.follow_callbacks(for_good=stepper.writes_whole and not self.job.left)
        return over

    def back_to_whole(self) -> None:
        """Go back to the last whole epoch; doing it twice is the same as once."""
        self.whole.count_interrupted()
        self.stepper.close()
        self.whole.restore()

    def end_whole(self) -> None:
        """Go back to the last whole epoch after Ctrl-C, and add those that a compiled block has done meanwhile."""
        self.back_to_whole()
        self.whole.measured, left = None, self.stepper.settle()
        if left is not None and len(left.losses):
            progress = self.job.progress
            progress.record(left.losses, left.grad_norms, left.update_norms)
            progress.seen = progress.epochs if left.looked else progress.seen
            self.job.measure()
            self.whole.is_now()

    def finish(self, ending: str) -> Run:
        """Restore the best weights, if asked for, and make the record; doing it twice is the same as once."""
        self.whole.restore()
        if self.draws is not None:  # code of the user's own takes part
            self.job.evaluated = names_evaluated(self.job.model)
            for told in (self.draws.note(), note_of_evaluated(self.job.evaluated)):
                self.job.how += "" if told in self.job.how else told
        run = record(self.job, ending + restore_best(self.job), self.compiled)
        self.modes.restore()
        self.let_go()
        return run

    def let_go(self) -> None:
        """Other threads may train the model, and interrupts are Python's again; doing it twice is the same as once."""
        release(self.claimed)
        self.interrupts.end()


def record(job: Job, ending: str, compiled: bool | str) -> Run:
    """The record of the run so far."""
    progress = job.progress
    job.ending, job.steps_made = ending, list(job.optimizer.t)
    losses, grad_norms, update_norms, validation = map(np.array, progress.curves)
    return Run(
        losses, grad_norms, ending, job.how, job.model, config(job), update_norms, validation, Again(job, compiled), job
    )


@dataclass(frozen=True)
class Again:
    """How `Run.resume` goes on; a copy of a run goes on with its own copy of the job."""

    job: Job
    compiled: bool | str

    def __call__(self, epochs: int) -> Run:
        """Train until `epochs` epochs are done in all."""
        job = self.job
        if job.minimizer:
            raise SettingError(
                "L-BFGS cannot be resumed: SciPy keeps its memory. Call fit, which starts afresh from these weights"
            )
        job.settings, job.progress.callback_reason = replace(job.settings, epochs=epochs), ""
        refuse_model_of_another(job)
        anew = note_of_anew(job)
        job.note += "" if anew in job.note else anew
        return train_job(job, self.compiled)


def bar(job: Job) -> Any:
    settings = job.settings
    return progress_bar.bar(
        settings.epochs,
        "epoch",
        progress_bar.is_wanted(settings.progress),
        len(job.losses),
        asked=bool(settings.progress),
    )

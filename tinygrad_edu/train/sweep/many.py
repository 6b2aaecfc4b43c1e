"""`fit_many`: the same training from many seeds and with several learning rates, here or on a cluster."""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from tinygrad_edu import checks, interrupts
from tinygrad_edu.compile.backend import compiler
from tinygrad_edu.compile.backend.blas_threads import ONE_THREAD
from tinygrad_edu.core.aliases import ArrayLike, Samples
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.errors import CompileError, SettingError, TraceError
from tinygrad_edu.names import LossName, OptimizerName
from tinygrad_edu.nn.layers import MLP
from tinygrad_edu.nn.module import Module
from tinygrad_edu.optim import Optimizer, optimizer_for
from tinygrad_edu.pen import check_arguments
from tinygrad_edu.train import progress_bar, samples
from tinygrad_edu.train.choose import program_or_error, training_program
from tinygrad_edu.train.ending import refuse_own_nan
from tinygrad_edu.train.fit import train_job as train_on
from tinygrad_edu.train.job import Job, job_like, job_of
from tinygrad_edu.train.own_code import for_own_code
from tinygrad_edu.train.progress_bar import Bar
from tinygrad_edu.train.recipe import Loss, Settings
from tinygrad_edu.train.seeds import seed_layers
from tinygrad_edu.train.state_kept import state_kept
from tinygrad_edu.train.stepper import TakenBackError
from tinygrad_edu.train.sweep import workers
from tinygrad_edu.train.sweep.outcomes import ManyRuns, now
from tinygrad_edu.train.sweep.redrawn import Redrawn, as_function, several

Array = np.ndarray[Any, Any]
Outcome = tuple[Array, Any]  # (losses, the model's outputs on X or a function that computes them)
TOGETHER = 32  # runs whose buffers are in memory at once
ABREAST = 128  # the same for runs side by side; the next ones are prepared meanwhile


@check_arguments
def fit_many(
    make_model: Callable[[int], Module] | MLP, X: Samples, y: Samples, *, loss: LossName | Loss,
    optimizer: OptimizerName | Callable[[Any], Optimizer], epochs: int, seeds: Iterable[int] = range(100),
    learning_rates: Sequence[float] | None = None, batch_size: int | None = None, shuffle: bool = True,
    tol: float | None = None, threads: int | None = None, parallel: str | None = None, progress: bool | None = None,
) -> ManyRuns:  # fmt: skip
    """Train make_model(seed) for every seed and every learning rate, each run as `fit` would, and collect the outcomes.

    make_model: a function seed → model (a lambda may also be sent to other processes); or an nn.MLP, which stands for
        `lambda seed: nn.MLP(<its settings>, seed=seed)`: small networks then take half the time.
    X, y: the inputs and the targets, a row for each sample.
    loss: the name of a loss in nn.losses, or a function of output and target.
    optimizer: a function parameters → optimizer, such as `lambda p: optim.SGD(p, lr=0.5)`, or the name of one.
    epochs: how often all samples are gone through.
    seeds: a seed for each run; it draws the model and the order of the samples.
    learning_rates: learning rates in place of the optimizer's own; every seed is trained with each of them.
    batch_size: the samples of one update; all of them by default.
    shuffle, tol: as in fit.
    threads: the number of threads; by default one for each processor, and 1 in each process elsewhere.
    parallel: "loky" for processes of this machine, "dask" for the cluster of the `distributed.Client` in force, another
        backend of joblib, or that of a `joblib.parallel_config` around the call; the numbers are the same, bit for bit.
    progress: whether to show a progress bar; by default if the runs take longer than half a second.
    Errors: as `fit`; TraceError where the training cannot be compiled; SettingError for a backend that is not there.

    >>> from tinygrad_edu import data, nn
    >>> fit_many(nn.MLP([2, 3, 1]), *data.or_gate(), loss="mse", optimizer="adam", epochs=600, seeds=range(4),
    ...     learning_rates=[0.1]).success_rate(0.05)
    array([1.])
    """
    chosen = [checks.seed("seeds", seed, "fit_many") for seed in several("seeds", seeds, "range(5)")]
    rates = [math.nan]  # NaN stands for the optimizer's own rate
    if learning_rates is not None:
        given = several("learning_rates", learning_rates, "(0.01, 0.1)")
        rates = [checks.number("learning_rates", rate, "[0, inf)", "fit_many") for rate in given]
    settings = {"loss": loss, "epochs": epochs, "batch_size": batch_size, "shuffle": shuffle, "tol": tol}
    recipe = ManyJobs(as_function(make_model), optimizer, X, y, settings)
    first = recipe.first(rates, chosen)
    places = [(rate, seed) for rate in rates for seed in chosen]
    shown_bar = progress_bar.bar(len(places), "run", progress_bar.is_wanted(progress), asked=bool(progress))
    with interrupts.Passed(), shown_bar as shown, workers.backend(parallel) as count:
        outcomes = recipe.spread(places, count, threads, shown)
    return collect(outcomes, chosen, first.optimizer.lr if learning_rates is None else rates, epochs)


def refuse_own_arrays(job: Job, program: Any) -> None:
    """Every model has parameters and buffers of its own; of other arrays the program knows the first model's alone."""
    attributes = [x for _, module in job.model.named_modules() for x in vars(module).values()]
    own = {id(x) for x in attributes if isinstance(x, (Tensor, np.ndarray))}
    for name in set(program.given) - set(program.followed):
        if id(program.step.trace.captured[name]) in own:
            raise TraceError(f"{name} is not trained and may differ between models: train them one by one with fit")


@dataclass(frozen=True)
class ManyJobs:
    """How each of the runs is made."""

    make_model: Callable[[int], Module]
    optimizer: OptimizerName | Callable[[Any], Optimizer]
    X: Any
    y: Any
    settings: dict[str, Any]

    def first(self, rates: Sequence[float], seeds: Sequence[int]) -> Job:
        """The first run, which none of the others may differ from in kind. Errors: those of `fit_many`."""
        if not seeds or not rates:
            raise SettingError(
                f"fit_many needs at least one seed and one learning rate, not {len(seeds)} and {len(rates)}"
            )
        first = self.model_run((rates[0], seeds[0]))
        made = first.minimizer or first.optimizer
        if not isinstance(made, Optimizer):
            raise SettingError(f"fit_many trains with steps of an optimizer, not with {type(made).__name__}: use fit")
        if not compiler.missing():
            program = program_or_error(training_program, first, "fit_many", "Train such models one by one with fit")
            refuse_own_arrays(first, program.program)
        return first

    def model_run(self, place: tuple[float, int]) -> Job:
        """One more than the runs: the program is made from it. What make_model draws or counts for it is put back."""
        with state_kept(make_model=self.make_model, optimizer=self.optimizer):
            return self.job(place)

    def job(self, place: tuple[float, int], like: Job | None = None) -> Job:
        """The run of one learning rate (NaN for the optimizer's own) and seed.

        `like`: another of these runs, whose data have been checked; that takes as long as 1,000 epochs on XOR.
        """
        model, made, seed, *_ = self.start(place)
        settings = Settings(seed=seed, **self.settings)
        seed_layers(model.modules(), seed)
        if like is None or not isinstance(made, Optimizer) or samples.dtype_of_parameters(model) != like.data[0].dtype:
            return job_of(model, self.X, self.y, made, settings)
        return job_like(like, model, made, settings)

    def start(self, place: tuple[float, int], shared: bool = False) -> tuple[Module, Any, int, list[Any], Any]:
        """A run's model, optimizer, seed, parameters; its first weights if the model is `shared` with other runs."""
        (rate, seed), make = place, self.make_model
        template = make if shared and isinstance(make, Redrawn) and make.is_plain else None
        model = template.model if template else make(seed)
        parameters = template.parameters if template else samples.parameters_of(model)
        weights = template.weights(seed) if template else None
        made = optimizer_for(self.optimizer, list(parameters))
        if isinstance(made, Optimizer):
            if not math.isnan(rate):
                made.lr = rate
            elif made.schedule.follows_loss:  # such a schedule remembers losses, so each run needs its own
                made.lr = copy.deepcopy(made.schedule)
        return model, made, seed, parameters, weights

    def outcomes(
        self,
        places: Sequence[tuple[float, int]],
        program: Any,
        threads: int,
        shown: Bar | None,
        like: Job | None = None,
    ) -> list[Job]:
        """All runs, some at a time: what Python does for them stands between what the threads do.

        Threads that came back to Python at different times would wait for one another: two were as slow as one.
        """
        jobs: list[Job] = []
        with ThreadPoolExecutor(threads) as pool:
            while len(jobs) < len(places):
                some = [self.job(place, like) for place in places[len(jobs) : len(jobs) + TOGETHER]]
                active = [program.session(job) for job in some]
                # only the first run: all others have the same trace
                first = None if jobs else program.comparison(active[0])
                if first is not None:
                    compare_ways(first.look)
                while active:
                    blocks = [session.block() for session in active]
                    list(pool.map(run_all, [blocks[i::threads] for i in range(threads)]))
                    active = [c for c, block in zip(active, blocks, strict=True) if goes_on(c, block)]
                if first is not None:
                    compare_ways(first.confirm)
                jobs += some
                if shown is not None:
                    shown.update(len(some))
        return jobs

    def spread(self, places: Sequence[tuple[float, int]], count: int, threads: int | None, shown: Bar) -> list[Outcome]:
        """All runs, by `count` workers elsewhere, or in threads of this process."""
        if count:
            return workers.spread_tasks(partial(self.train_places, threads=threads or 1), places, count, shown)
        return self.train_here(places, threads or os.cpu_count() or 1, shown)

    def train_here(self, places: Sequence[tuple[float, int]], threads: int, shown: Bar | None = None) -> list[Outcome]:
        """The outcomes of these runs. Without a compiler, run after run."""
        if compiler.missing():
            return [self.eager(place, shown) for place in places]
        with ONE_THREAD:  # BLAS on one thread: the runs share the processors, and round the same on any number of them
            first = self.model_run(places[0])
            program = training_program(first)
            abreast = self.abreast(places, first, program, threads, shown)
            rest = [place for place, found in zip(places, abreast, strict=True) if found is None]
            one_by_one = iter(self.outcomes(rest, program, threads, shown, first))
            return [found or outcome(next(one_by_one)) for found in abreast]

    def train_places(self, places: Sequence[tuple[float, int]], threads: int) -> list[Outcome]:
        """`train_here` with plain arrays, which can be sent between processes; a worker makes the program itself."""
        return [(losses, now(answers)) for losses, answers in self.train_here(places, threads)]

    def abreast(
        self, places: Sequence[tuple[float, int]], first: Job, program: Any, threads: int, shown: Bar | None
    ) -> list[Outcome | None]:
        """The outcomes of the runs that can be trained side by side in vectors; None for the others."""
        from tinygrad_edu.train.compiled.side_by_side import Ahead, Answers, PendingRun, put_state, side_by_side

        way = side_by_side(first, program)
        found: list[Outcome | None] = [None] * len(places)
        if way is None:
            return found
        answers, together = Answers(first.model, first.data[0]), min(ABREAST, way.at_a_time(threads))
        # runs that the compiler refuses here are trained one by one
        with Ahead(way, threads) as ahead, suppress(CompileError):
            for at in range(0, len(places) + together, together):  # one more turn for the runs that are still training
                some = enumerate(places[at : at + together])
                starts = {at + i: PendingRun(*self.start(place, shared=True)) for i, place in some}
                trained = ahead.train({i: start for i, start in starts.items() if way.takes(start)})
                for i, start, losses, state, bad in trained:
                    if not bad:
                        put_state(start, state.copy(), way.steps)
                        found[i] = losses, partial(answers, state[0].copy())
                if shown is not None:
                    shown.update(sum(found[i] is not None for i, *_ in trained))
        return found

    def eager(self, place: tuple[float, int], shown: Bar | None) -> Outcome:
        """One run, operation by operation."""
        job = self.job(place)
        job.settings = replace(job.settings, progress=False)
        train_on(job, compiled=False)
        if shown is not None:
            shown.update()
        return outcome(job)


def compare_ways(both_ways: Callable[[], None]) -> None:
    """The compiled numbers with the eager ones. Errors: TakenBackError, which says how such models can be trained."""
    try:
        both_ways()
    except CompileError as error:
        raise TakenBackError(
            f"{error}. `fit` trains such models eagerly, one by one; fit_many only compiles"
        ) from error


def goes_on(session: Any, block: Any) -> bool:
    """Take a block back; True if there is more to do. Errors: TakenBackError."""
    session.record(block)
    if block.bad:
        why = session.program.why_nan
        compare_ways(partial(refuse_own_nan, session.job, block.orders[block.done], why))
    return not (block.bad or session.is_over(block)) and session.job.left > 0


def run_all(blocks: Sequence[Any]) -> None:
    for block in blocks:
        block.run()


def outcome(job: Job) -> Outcome:
    return np.array(job.losses), job.model.eval()(*for_own_code(job.model, None, job.data[0])).array


def collect(outcomes: Sequence[Outcome], seeds: Sequence[int], rates: ArrayLike, epochs: int) -> ManyRuns:
    """The outcomes of all runs as arrays."""
    shape = (len(outcomes) // len(seeds), len(seeds))
    curves = np.full((len(outcomes), epochs), np.nan)
    for curve, (losses, _) in zip(curves, outcomes, strict=True):
        curve[: len(losses)] = losses
    lengths = np.array([len(losses) for losses, _ in outcomes])
    last = np.array([losses[-1] if len(losses) else np.nan for losses, _ in outcomes])

    def predictions() -> Array:
        found = np.array([now(given) for _, given in outcomes])
        return found.reshape(*shape, *found.shape[1:])

    return ManyRuns(
        np.array(seeds),
        np.atleast_1d(np.array(rates, dtype=float)),
        last.reshape(shape),
        curves.reshape(*shape, epochs),
        lengths.reshape(shape),
        predictions,  # type: ignore[arg-type]
    )

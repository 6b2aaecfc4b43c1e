"""Learned by heart: a network that reaches the goal on permuted targets too does not show that inputs tell anything."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tinygrad_edu.clinic.diagnosis.proof.baseline import task_of_rows
from tinygrad_edu.clinic.diagnosis.proof.budget import NoTimeError
from tinygrad_edu.clinic.diagnosis.proof.retrain import train_seeds
from tinygrad_edu.clinic.diagnosis.proof.trial import Trial, judge_runs
from tinygrad_edu.clinic.diagnosis.proof.trials import FEWEST, Trials

MOSTLY = 0.5  # share of the seeds


def learns_permuted(trials: Trials, trial: Trial) -> bool:
    """Do most seeds of this trial reach the goal where each sample has the target of another? Also if time is short."""
    bench = trials.bench
    order = np.random.default_rng(1).permutation(bench.task.samples)
    permuted = replace(bench, task=task_of_rows(bench.task, np.arange(bench.task.samples), order))
    try:
        runs = train_seeds(trial.setup, permuted.task, bench.seeds[:FEWEST], 1, bench.budget)
    except NoTimeError:
        bench.budget.cut.append(f"{trial.code} with permuted targets")
        return True
    return judge_runs(trial.change, trial.setup, trial.words, runs, permuted, trial.code).share > MOSTLY

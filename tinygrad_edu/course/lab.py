"""The convergence lab: six networks that do not learn, trained as they are or with one change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tinygrad_edu import data
from tinygrad_edu.clinic.examiner.grade import Grade
from tinygrad_edu.course import sandbox
from tinygrad_edu.course.exercise import Exercise
from tinygrad_edu.course.submission import Submission
from tinygrad_edu.errors import SettingError, TinygradError, unknown_name
from tinygrad_edu.nn.layers import MLP
from tinygrad_edu.optim import SGD
from tinygrad_edu.train.fit import fit
from tinygrad_edu.train.run import Run

GOAL = 0.95  # required accuracy
SEEDS = (11, 12, 13)
USUAL: Mapping[str, Any] = {
    "lr": 0.3, "init": "glorot_uniform", "activation": "tanh", "hidden": 12, "epochs": 600, "scale_inputs": True,
    "momentum": 0.9,
}  # fmt: skip
SICK: Mapping[str, Mapping[str, Any]] = {  # differences from USUAL; "unscaled": features of very different sizes
    "net_1": {"lr": 80.0},
    "net_2": {"init": "zeros"},
    "net_3": {"lr": 1e-5},
    "net_4": {"activation": "identity"},
    "net_5": {"scale_inputs": False},
    "net_6": {"epochs": 4},
}
CAUSES = {
    "net_1": "lr_too_high", "net_2": "symmetric_init", "net_3": "lr_too_low", "net_4": "no_activation",
    "net_5": "inputs_not_scaled", "net_6": "too_few_epochs",
}  # fmt: skip
MOST_EPOCHS = 5000


def lab_samples(scaled: bool) -> tuple[Any, Any]:
    """Two moons; without scaling in metres and millimetres: one column is a thousand times the other, far from 0."""
    X, y = data.moons(80, seed=0)
    y = (y + 1.0) / 2.0
    return (X, y) if scaled else (X * [1000.0, 1.0] + [5000.0, 0.0], y)


def train(name: str, seed: int = 0, **change: Any) -> Run:
    """One of the six networks, as it is or with settings changed; the Run of `fit`.

    Errors: NameNotFoundError for another name or setting; those of fit.

    >>> accuracy(train("net_6", seed=11)) < GOAL < accuracy(train("net_6", seed=11, epochs=600))
    True
    """
    if name not in SICK:
        raise unknown_name("network", name, SICK)
    for key in change:
        if key not in USUAL:
            raise unknown_name("setting", key, USUAL)
    s = {**USUAL, **SICK[name], **change}
    if not (isinstance(s["epochs"], int) and 0 < s["epochs"] <= MOST_EPOCHS):
        raise SettingError(f"epochs={s['epochs']!r}: a whole number from 1 to {MOST_EPOCHS} is needed")
    X, y = lab_samples(bool(s["scale_inputs"]))
    model = MLP([2, s["hidden"], 1], activation=s["activation"], init=s["init"], seed=seed)
    optimizer = SGD(model.parameters(), lr=s["lr"], momentum=s["momentum"])
    return fit(
        model, X, y, loss="bce_with_logits", optimizer=optimizer, epochs=s["epochs"], batch_size=20, seed=seed,
        progress=False,
    )  # fmt: skip


def accuracy(run: Run) -> float:
    """The share of samples on the right side."""
    X, y = run.job.data[:2]
    with np.errstate(all="ignore"):
        return float(np.mean((np.asarray(run.model.eval()(X).numpy()) > 0.0) == (y > 0.5)))


def recovers(name: str, change: Mapping[str, Any]) -> tuple[int, str]:
    """(from how many of SEEDS the network reaches the goal with this change, what is wrong with the change)."""
    if not isinstance(change, Mapping) or len(change) != 1:
        return 0, f"change exactly one setting, not {change!r:.60}"
    try:
        return sum(accuracy(train(name, seed, **change)) >= GOAL for seed in SEEDS), ""
    except (TinygradError, TypeError, ValueError, ArithmeticError) as error:
        return 0, str(error)[:200]


def grade_answers(exercise: Exercise, given: Submission, hint: int, seconds: float) -> Grade:
    """Half of each network's share for its cause, half for a change that cures it from every seed."""
    if not given.filled("answers"):
        return Grade(0.0, f"{exercise.title}: nothing is written yet.", dict.fromkeys(SICK, (0.0, "empty")), "empty")
    result = sandbox.run(given.source, [sandbox.LearnerCall("answers", {})], seconds)[0]
    if result.error or not isinstance(result.value, dict):
        said = result.error or f"answers() returns {result.value!r:.60}, but a dict is needed"
        return Grade(0.0, f"{exercise.title}: {said}", dict.fromkeys(SICK, (0.0, said)), "crashed", (), exercise.name)
    parts = {name: judge(name, result.value.get(name), hint) for name in SICK}
    score = sum(share for share, _ in parts.values()) / len(parts)
    lines = [f"{exercise.title}: {score:.0%}", "", *(f"  {name}  {said}" for name, (_, said) in parts.items())]
    status = "right" if score == 1.0 else "partly" if score else "wrong"
    return Grade(score, "\n".join(lines), parts, status, (), exercise.name, given.name)


def judge(name: str, answer: Any, hint: int) -> tuple[float, str]:
    """(share, what is said) of one network."""
    if answer is None:
        return 0.0, "no answer"
    if not isinstance(answer, dict):
        return 0.0, f'{answer!r:.60} is not of the form {{"cause": "lr_too_low", "change": {{"lr": 0.1}}}}'
    right = answer.get("cause") == CAUSES[name]
    count, problem = recovers(name, answer.get("change", {}))
    cure = problem or f"with {answer.get('change')} {count} of {len(SEEDS)} seeds reach {GOAL:.0%}"
    cause = f"cause {answer.get('cause')}: {'right' if right else 'not this one'}"
    more = f" (hint: look at {HINTS[name]})" if hint > 1 and not right else ""
    return 0.5 * right + 0.5 * (count == len(SEEDS)), f"{cause}{more}; {cure}"


HINTS = {
    "net_1": "how the loss jumps from epoch to epoch", "net_2": "how the hidden units differ from one another",
    "net_3": "how little the weights move in all epochs", "net_4": "the boundary that it draws",
    "net_5": "the columns of X", "net_6": "whether the loss is still falling at the end",
}  # fmt: skip

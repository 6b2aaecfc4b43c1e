"""The walk from the reference: a network that learns the task is changed back to the run, one group of settings at a
time. What can be undone is undone; what cannot is the smallest set of changes that repairs the run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tinygrad_edu.clinic.diagnosis.causes.changes import scale_rate
from tinygrad_edu.clinic.diagnosis.causes.table import BY_CODE
from tinygrad_edu.clinic.diagnosis.companions import SUSPECTED
from tinygrad_edu.clinic.diagnosis.facts.initial_weights import LayerStart
from tinygrad_edu.clinic.diagnosis.facts.setup import Setup
from tinygrad_edu.clinic.diagnosis.facts.task import Task
from tinygrad_edu.clinic.diagnosis.proof.baseline import STEPS, reference_of
from tinygrad_edu.clinic.diagnosis.proof.trial import Trial
from tinygrad_edu.clinic.diagnosis.proof.trials import Trials
from tinygrad_edu.clinic.diagnosis.result import FoundCause
from tinygrad_edu.clinic.diagnosis.together import changes_together, halves, prove_together, tell_without_symptom
from tinygrad_edu.core.operation import Operation
from tinygrad_edu.nn.layers import find_activation
from tinygrad_edu.optim.schedule import Schedule

DEFAULTS = {"betas": (0.9, 0.999), "eps": 1e-8}  # Adam's, for training the reference
RATES = (10.0, 100.0, 0.1)  # factors on the run's own rate
ENOUGH = 0.8  # share of the seeds that must reach the goal
LITTLE = 0.1  # share of the budget left that more seeds may take where too few cannot tell two trials apart
SPARED = 0.3  # a group comes last if without it this much more of the seeds succeed than without another group


@dataclass(frozen=True)
class SettingGroup:
    """Settings that are changed together; `codes`: causes they may stand for, of which the most suspected is named."""

    fields: tuple[str, ...]
    codes: tuple[str, ...]


GROUPS = {  # the least suspected first, because they are undone first
    "normalization": SettingGroup(("norm",), ("vanishing_gradient", "batch_norm_statistics")),
    "dropout": SettingGroup(("dropout",), ("dropout_too_high",)),
    "stopping": SettingGroup(("tol", "patience"), ("stopped_too_early",)),
    "clipping": SettingGroup(("clip_norm", "clip_value"), ("clip_too_tight",)),
    "order": SettingGroup(("shuffle",), ("not_shuffled",)),
    "bias": SettingGroup(("bias",), ("missing_bias",)),
    "weights": SettingGroup(("weights",), ("class_imbalance",)),
    "start": SettingGroup(("init",), ("init_too_large", "symmetric_init", "saturated_activations", "dead_relu")),
    "batches": SettingGroup(("batch_size",), ("batch_too_large_for_epochs",)),
    "targets": SettingGroup(("targets",), ("targets_out_of_range",)),
    "inputs": SettingGroup(("inputs",), ("inputs_not_scaled",)),
    "layers": SettingGroup(("sizes",), ("too_small_network",)),
    "activation": SettingGroup(
        ("activation",), ("no_activation", "dead_relu", "saturated_activations", "vanishing_gradient")
    ),
    "steps": SettingGroup(
        ("optimizer", "lr", "options"),
        ("lr_too_low", "lr_too_high", "momentum_too_high", "weight_decay_too_high", "schedule_freezes_early"),
    ),
    "epochs": SettingGroup(("epochs",), ("too_few_epochs",)),
    "output": SettingGroup(("loss", "coding", "out_activation"), ("wrong_loss", "wrong_output_activation")),
}


def walk_back(t: Trials) -> list[FoundCause]:
    """The changes that cannot be undone, each with its proof; none where the reference fails, or there is no time."""
    plain, task = t.record.subject.plain, t.record.task
    setup = t.record.setup.but(plain)
    if setup.optimizer in ("LBFGS", "lbfgs") and setup.estimator is None:
        return []
    goal = reference_of(task) if setup.pattern is None else well_trained(setup, task)
    kept = [name for name, group in GROUPS.items() if differs(setup, goal, group)]
    kept.sort(key=lambda name: max(level(t, name), SUSPECTED))  # what is most suspected is undone last
    build: Callable[[list[str]], dict[str, Any]] = lambda names: {**plain, **change(setup, goal, names)}  # noqa: E731
    whole = t.trial(build(kept), "reference")
    if whole is None or whole.share < ENOUGH or not t.beats(whole):
        return []
    needed: dict[str, Trial] = {}
    for name in list(kept):
        rest = [other for other in kept if other != name]
        trial = t.trial(build(rest), "reference") if rest or plain else t.as_is
        if trial is None:  # no time left: it is unknown whether the others are needed
            break
        trial = t.confirm(trial) if trial.share >= ENOUGH else trial
        if trial.share < ENOUGH and not whole.beats(trial):
            whole, trial = t.extend(whole, part=LITTLE), t.extend(trial, part=LITTLE)
        if trial.share >= ENOUGH:
            kept, whole = rest, trial
        else:
            needed[name] = trial
    whole = own_optimizer(t, whole, kept)
    order = [name for name in suspects_first(t, kept, needed, whole) if name in needed]
    spares = [needed[name] for name in order if not whole.beats(needed[name])]
    return [cause_of_group(t, name, needed[name], whole, order, spares) for name in order]


def well_trained(setup: Setup, task: Task) -> Setup:
    """A network of another form, trained as the reference is; only what its loss allows is done to the data."""
    plain = task.X.dtype.kind == "f" and task.X.ndim in (2, 3) and not (task.X % 1.0 == 0.0).all()
    scaled = not task.classes and not setup.own_loss and setup.link == "identity"
    batch = min(task.samples, max(8, min(64, task.samples // 8)))
    return setup.but({
        "inputs": "standardized" if plain else setup.inputs, "targets": "standardized" if scaled else setup.targets,
        "optimizer": "Adam", "lr": 0.01, "options": dict(DEFAULTS), "batch_size": batch, "shuffle": True,
        "epochs": max(setup.epochs, STEPS * batch // task.samples), "tol": None, "patience": None,
        "clip_norm": None, "clip_value": None, "dropout": 0.0 if setup.silenced > 0.0 else setup.dropout,
    })  # fmt: skip


def own_optimizer(t: Trials, whole: Trial, kept: list[str]) -> Trial:
    """The trial with the run's own optimizer and options at another rate, if that reaches the goal too."""
    setup = t.record.setup
    own = whole.setup.optimizer == setup.optimizer
    if "steps" not in kept or (own and whole.setup.options == setup.options):
        return whole
    rest = {key: value for key, value in whole.change.items() if key not in GROUPS["steps"].fields}
    for rate in [whole.setup.lr] if own else [scale_rate(setup.lr, factor) for factor in RATES]:
        trial = t.trial({**rest, "lr": rate}, "reference")
        if trial is not None and trial.share >= ENOUGH:
            return trial
    return whole


def differs(setup: Setup, goal: Setup, group: SettingGroup) -> bool:
    return any(name in setup.changes_to(goal) for name in group.fields)


def change(setup: Setup, goal: Setup, names: list[str]) -> dict[str, Any]:
    """The fields of these groups, taken from the reference; the output's width goes with the loss."""
    found = {name: getattr(goal, name) for group in names for name in GROUPS[group].fields}
    hidden, outputs = setup.sizes[1:-1], setup.sizes[-1]
    if "layers" in names:
        hidden = goal.sizes[1:-1]
    if "output" in names:
        outputs = goal.sizes[-1]
    sizes = (setup.sizes[0], *hidden, outputs) if setup.pattern is None else setup.sizes
    found.pop("sizes", None)
    found |= {"sizes": sizes} if sizes != setup.sizes else {}
    started = isinstance(setup.init, tuple) and all(isinstance(x, LayerStart) for x in setup.init)
    if "layers" in names and "start" not in names and started:
        found["init"] = "glorot_uniform"  # initial weights cannot be kept for other layers
    if "optimizer" in found and goal.optimizer == setup.optimizer:
        found["options"] = {**dict.fromkeys(setup.options, 0.0), **DEFAULTS, **goal.options}
    return found


def suspects_first(t: Trials, names: list[str], needed: Mapping[str, Trial], whole: Trial) -> list[str]:
    """The groups in order: those that can least be spared first, and among them the most suspected."""
    least = min((trial.share for trial in needed.values()), default=0.0)

    def place(name: str) -> tuple[bool, bool, int, float]:
        if name not in needed:
            return False, False, 0, -level(t, name)
        spared = needed[name].share > least + SPARED
        return goes_with_scales(name, names), spared, halves(t, needed[name], whole), -level(t, name)

    return sorted(names, key=place)


def level(t: Trials, name: str) -> float:
    """How much the causes that a group may stand for are suspected."""
    return max(t.suspicion(code) for code in GROUPS[name].codes)


def goes_with_scales(name: str, names: Sequence[str]) -> bool:
    """Is it a rate, or a number of epochs, that changes because the scale of the data does?"""
    return name in ("steps", "epochs") and not {"inputs", "targets"}.isdisjoint(names)


def code_of(t: Trials, name: str, whole: Trial) -> str:
    """The most suspected of the causes that a group of settings may stand for."""
    codes = GROUPS[name].codes
    if name == "output" and "loss" not in t.record.setup.changes_to(whole.setup):
        codes = ("wrong_output_activation", "targets_out_of_range")
    if name in ("activation", "steps"):
        codes = of_activation(t.record.setup) if name == "activation" else of_steps(t, whole.setup)
    return max(codes, key=lambda code: (t.suspicion(code), -codes.index(code)))


def of_steps(t: Trials, new: Setup) -> tuple[str, ...]:
    """The causes that may lie in an optimizer and its rate, from how the repaired setup differs."""
    setup = t.record.setup
    low = new.rate > setup.rate if new.optimizer == setup.optimizer else not t.record.reach > 1.0
    found = ["lr_too_low" if low else "lr_too_high"]
    lowered = [name for name in ("momentum", "weight_decay") if option(setup, name) > option(new, name)]
    found += ["momentum_too_high"] * ("momentum" in lowered and option(setup, "momentum") > 0.9)
    found += ["weight_decay_too_high"] * ("weight_decay" in lowered)
    found += ["schedule_freezes_early"] * (isinstance(setup.lr, Schedule) and setup.lr.kind != "constant")
    return tuple(found)


def option(setup: Setup, name: str) -> float:
    return float(setup.options.get(name, 0.0))


def of_activation(setup: Setup) -> tuple[str, ...]:
    """The causes that may lie in an activation of this kind."""
    row = find_activation(setup.activation)
    if not isinstance(row, Operation):
        return ("no_activation",)
    return ("dead_relu",) if row.rectifies else ("saturated_activations", "vanishing_gradient")


def cause_of_group(
    t: Trials, name: str, without: Trial, whole: Trial, order: Sequence[str], spares: Sequence[Trial]
) -> FoundCause:
    """The cause of a group that cannot be undone; its proof lists the others too."""
    cause = BY_CODE[code_of(t, name, whole)]
    fields = {key: value for key, value in whole.change.items() if key in GROUPS[name].fields}
    what = t.record.setup.difference(fields)
    evidence = cause.evidence(t.symptoms)
    sentence = cause.sentence if evidence else tell_without_symptom(what)
    if name == "steps" and goes_with_scales(name, order):  # what was seen is of the data as it was
        sentence, evidence = f"Data on another scale takes another rate: {what}.", ""
    remedy = f"{cause.remedy if evidence else ''} {changes_together(t, whole, name == order[0], spares)}".strip()
    proof = prove_together(t, fields, without, whole, spares=spares)
    return FoundCause(cause.code, sentence, evidence, proof, remedy, dict(whole.change), whole)

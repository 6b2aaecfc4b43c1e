"""The kernels of the playground: every activation, loss, optimizer, schedule and initializer trains as `fit` does."""

import json
import math

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.interop import node
from tinygrad_edu.interop import javascript
from tinygrad_edu.nn.init import INITIALIZERS
from tinygrad_edu.nn.losses import LOSSES
from tinygrad_edu.optim import schedules
from tinygrad_edu.reporting.live_page import asset
from tinygrad_edu.reporting.playground.kernels import NOT_HERE, activations, all_kernels, optimizers

EPOCHS = 12
X, Y = tg.data.spirals(30, arms=3, seed=1)
PLAN = {
    "features": 2, "layers": [{"units": 4, "activation": "tanh"}, {"units": 3, "activation": "identity"}],
    "loss": "mse", "optimizer": "SGD", "lr": 0.05, "settings": {}, "schedule": {"name": "constant", "parameters": {}},
    "init": "glorot_uniform", "seed": 7, "batch": 8,
}  # fmt: skip


WIDTHS = ([1], [1, 1, 1], [5, 4, 3, 2])
NAMES = [  # names of plans that are made only when one is wanted: the kernels take a second
    *(f"{place} {name}" for name in activations() for place in ("activation", "output")),
    *(f"loss {name}" for name in LOSSES),
    *(f"optimizer {name}" for name in optimizers() if name not in NOT_HERE),
    *(f"schedule {name}" for name in schedules.__all__ if name[0].islower() and name not in NOT_HERE),
    *(f"init {name}" for name in INITIALIZERS if "normal" not in name and name not in ("orthogonal", "scikit_learn")),
    *(f"hidden {widths}" for widths in WIDTHS),
]


def plans():
    """(name, plan) of a run for each row of each table."""
    _, known = all_kernels()
    hidden, last = PLAN["layers"]
    for name in known["activations"]:
        yield f"activation {name}", PLAN | {"layers": [hidden | {"activation": name}, last]}
        yield f"output {name}", PLAN | {"layers": [hidden, last | {"activation": name}], "lr": 0.01}
    for name in known["losses"]:
        links = {"probabilities": "sigmoid"}
        end = "log_sigmoid" if name == "nll" else links.get(known["losses"][name]["targets"], "identity")
        yield f"loss {name}", PLAN | {"layers": [hidden, last | {"activation": end}], "loss": name}
    for name, facts in known["optimizers"].items():
        more = {"weight_decay": 0.01} if "weight_decay" in facts["floats"] else {}
        more |= {"momentum": 0.5} if "momentum" in facts["floats"] else {}
        yield f"optimizer {name}", PLAN | {"optimizer": name, "settings": more, "lr": facts["lr"]}
    for name, facts in known["schedules"].items():
        small = {"steps": 20.0, "every": 5.0, "factor": 0.9}
        parameters = {key: small.get(key, x) for key, x in facts["parameters"].items()}
        yield f"schedule {name}", PLAN | {"schedule": {"name": name, "parameters": parameters}}
    for name in known["init"]:
        yield f"init {name}", PLAN | {"init": name}
    for widths in WIDTHS:
        layers = [{"units": n, "activation": "tanh"} for n in widths]
        yield f"hidden {widths}", PLAN | {"layers": [*layers, last], "optimizer": "Adam", "batch": 30}


def targets(loss, units):
    """Those of the samples in the form that the loss takes, for Python and for the page."""
    rows = np.eye(3)[Y]
    form = LOSSES[loss].check.__name__
    if LOSSES[loss].takes_class_numbers:
        return Y, rows
    rows = 2.0 * rows - 1.0 if form == "plus_or_minus_one" else rows
    return rows, rows


def in_python(plan):
    rng = np.random.default_rng(plan["seed"])
    parts, width = [], plan["features"]
    for layer in plan["layers"]:
        parts += [tg.nn.Linear(width, layer["units"], rng=rng, init=plan["init"]), activations()[layer["activation"]]]
        width = layer["units"]
    model = tg.nn.Sequential(*parts)
    whole = {"steps", "every", "samples", "batch_size", "mult"}
    given = {k: int(x) if k in whole else x for k, x in plan["schedule"]["parameters"].items()}
    rate = getattr(schedules, plan["schedule"]["name"])(plan["lr"], **given)
    optimizer = optimizers()[plan["optimizer"]](model.parameters(), lr=rate, **plan["settings"])
    settings = {"batch_size": plan["batch"], "seed": plan["seed"], "compiled": False}
    y, _ = targets(plan["loss"], width)
    return tg.fit(model, X, y, loss=plan["loss"], optimizer=optimizer, epochs=EPOCHS, **settings)


PROGRAM = """
for (const [plan, targets] of cases) {
  const array = rows => ({ data: Float64Array.from(rows.flat()), shape: [rows.length, rows[0].length] });
  const net = trainer.create(plan, known), X = array(samples), T = array(targets), n = X.shape[0];
  const orders = Generator.of_seed(plan.seed), losses = [];
  const batch = Math.min(plan.batch, n);
  for (let k = 0; k < epochs; k++) losses.push(net.epoch(X, T, batch, batch < n ? orders.orders(n) : null));
  found.push(losses);
}
"""


@pytest.fixture(scope="module")
def in_the_page(tmp_path_factory):
    """The losses of all plans, by name: one start of Node for all of them."""
    text, known = all_kernels()
    chosen = dict(plans())
    cases = [[plan, targets(plan["loss"], 3)[1].tolist()] for plan in chosen.values()]
    data = {"known": known, "cases": cases, "samples": X.tolist(), "epochs": EPOCHS}
    constants = "".join(f"const {name} = {json.dumps(value)};\n" for name, value in data.items())
    script = "\n".join([text, javascript.asset("random.js"), asset("trainer.js"), constants, PROGRAM])
    found = node.run(script, tmp_path_factory.mktemp("node"))
    return dict(zip(chosen, found, strict=True))


def test_every_plan_is_named():
    assert set(dict(plans())) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_page_trains_as_fit_does(name, in_the_page):
    run, losses = in_python(dict(plans())[name]), in_the_page[name]
    whole = len(run.loss_curve)
    assert whole == EPOCHS or "NaN" in run.stop_reason
    np.testing.assert_allclose(node.numbers(losses)[:whole], run.loss_curve, rtol=1e-10)
    if whole < EPOCHS:
        assert not np.isfinite(node.numbers(losses)[whole]), "it ends where fit ends"


def test_what_is_left_out_is_named():
    _, known = all_kernels()
    assert set(optimizers()) - set(known["optimizers"]) <= set(NOT_HERE)
    makers = {name for name in schedules.__all__ if name[0].islower()}
    assert makers - set(known["schedules"]) <= set(NOT_HERE)
    assert set(known["losses"]) == set(LOSSES)
    normal = {name for name in INITIALIZERS if "normal" in name} | {"orthogonal", "scikit_learn"}
    assert set(INITIALIZERS) - set(known["init"]) == normal, "these draw from a normal distribution, or biases too"


def test_a_bound_is_what_the_initializer_draws_from():
    _, known = all_kernels()
    assert known["init"]["glorot_uniform"][2][4] == math.sqrt(6.0 / (3 + 5))


def test_the_kernels_hold_no_end_of_a_script():
    text, _ = all_kernels()
    assert "</" not in text
    assert "<!--" not in text

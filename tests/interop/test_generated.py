"""Programs that leave against `fit`, over recipes drawn at random, 1,000 steps each; and their stopping rules."""

import subprocess

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.interop.compilers import Library, compile_c
from tests.interop.generated import Recipe, agrees, compare
from tests.interop.networks import X, Y, mlp
from tests.interop.node import literal, numbers, run
from tinygrad_edu import optim
from tinygrad_edu.errors import SettingError
from tinygrad_edu.interop.c99_training import CTrainingFile
from tinygrad_edu.interop.javascript import training_program
from tinygrad_edu.interop.programs import network_program


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("seed", range(100, 103))
def test_a_recipe_gives_the_numbers_of_fit_in_c_and_javascript(seed, dtype):
    recipe, *differences = compare(seed, dtype)
    assert agrees(recipe, differences), (recipe, differences)


def adam(parameters):
    return optim.Adam(parameters, lr=0.05)


RULES = {
    "change": {"tol": 0.02},
    "patience": {"tol": 0.05, "patience": 4},
    "patience of a rate too high": {"patience": 3},
    "never": {"tol": 0.0},
}


def stopped_by_fit(rule, epochs=60):
    return tg.fit(mlp()(), X, Y, loss="mse", optimizer=adam, epochs=epochs, shuffle=False, batch_size=4, **rule)


@pytest.mark.slow
@pytest.mark.parametrize("name", RULES)
def test_c_stops_where_fit_stops(name, tmp_path):
    rule = RULES[name]
    done = stopped_by_fit(rule)
    stops = done.n_epochs < 60
    assert stops or name not in ("change", "patience")
    program = network_program(mlp()(), X, Y, loss="mse", optimizer=adam, batch_size=4, hidden=False, **rule)
    net = Library(program, CTrainingFile(program, "net", None).text(), tmp_path)
    whole, _ = net.train(X, Y, 4, 60)
    net.lib.net_reset()
    pieces = [net.train(X, Y, 4, 1)[0][0] for _ in range(done.n_epochs)]  # the rule continues from call to call
    for losses in (whole[np.isfinite(whole)], np.array(pieces)):
        np.testing.assert_allclose(losses, done.loss_curve, rtol=1e-12)
    assert net.lib.net_epochs() == done.n_epochs
    assert bool(net.lib.net_stopped()) == stops
    net.train(X, Y, 4, 2)
    assert net.lib.net_epochs() > done.n_epochs, "the next call begins the rule anew"


@pytest.mark.parametrize("name", RULES)
def test_javascript_stops_where_fit_stops(name, tmp_path):
    rule = RULES[name]
    done = stopped_by_fit(rule)
    text = training_program(mlp()(), X, Y, loss="mse", optimizer=adam, batch_size=4, **rule)
    script = f"""{text} const net = network.create(), X = {literal(X)}, y = {literal(Y)};
    found.push(Array.from(net.train(X, y, 60)), net.stopped, net.norms.length);
    net.reset();
    const pieces = [];
    while (pieces.length < 60 && !net.stopped) pieces.push(...net.train(X, y, 1));
    found.push(pieces, Array.from(net.train(X, y, 2)).length);"""
    losses, why, norms, pieces, further = run(script, tmp_path)
    np.testing.assert_allclose(numbers(losses), done.loss_curve, rtol=1e-12)
    assert losses == pieces
    assert (why, int(norms)) == ("rule" if done.n_epochs < 60 else "", done.n_epochs)
    assert int(further) >= 1


def test_a_run_takes_its_rule_along_unless_it_watched_held_out_samples(tmp_path):
    done = stopped_by_fit(RULES["patience"])
    assert "static double rule[5]" in tg.export(done, tmp_path / "net.c").read_text()
    watched = stopped_by_fit({"validation": 0.3, "patience": 4})
    assert "static double rule[5]" not in tg.export(watched, tmp_path / "net.c").read_text()
    with pytest.raises(SettingError, match="tol"):
        tg.export(mlp()(), tmp_path / "net.c", X, Y, loss="mse", optimizer=adam, tol=-1.0)


def test_the_program_of_its_own_stops(tmp_path):
    done = stopped_by_fit(RULES["change"])
    path = tg.export(
        mlp()(), tmp_path / "net.c", X, Y, loss="mse", optimizer=adam, batch_size=4, main=True, **RULES["change"]
    )
    program = compile_c(path.read_text(encoding="utf-8"), tmp_path, "-O1", name="own")
    rows = "".join(",".join(map(repr, [*x, *y])) + "\n" for x, y in zip(X.tolist(), Y.tolist(), strict=True))
    told = subprocess.run([program, "train", "60"], input=rows, capture_output=True, text=True, check=True).stdout
    np.testing.assert_allclose([float(line) for line in told.split()], done.loss_curve, rtol=1e-12)


def test_the_recipes_are_of_many_kinds():
    found = [Recipe(seed) for seed in range(200)]
    assert len({recipe.loss for recipe in found}) == 6
    assert len({type(r.optimizer([tg.Tensor([0.0], requires_grad=True)])) for r in found}) == 5
    assert {len(recipe.widths) for recipe in found} == {2, 3, 4, 5}

"""Names of other libraries: what is advised exists, and whoever writes the name that they know is told."""

import ast
from typing import get_args

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import names
from tinygrad_edu.elsewhere import SOUGHT, SPELLINGS
from tinygrad_edu.spelling import near_names

RUN = tg.fit(tg.nn.MLP([2, 2, 1]), *tg.data.xor_gate(), loss="mse", optimizer="sgd", epochs=1)
PLACES = {
    "": tg, "nn": tg.nn, "nn.losses": tg.nn.losses, "optim": tg.optim, "clinic": tg.clinic, "data": tg.data,
    "train": tg.train, "estimators": tg.estimators,
}  # fmt: skip
MEANT = {"tg": tg, "np": np, "y": tg.Value(2.0) * 3.0, "model": tg.nn.MLP([2, 1]), "run": RUN, "print": print}


def longest_names(text):
    """The dotted names in an expression, such as tg.nn.losses.mse, without those inside them."""
    nodes = [node for node in ast.walk(ast.parse(text, mode="eval")) if isinstance(node, ast.Attribute)]
    inner = {id(node.value) for node in nodes}
    return [node for node in nodes if id(node) not in inner]


@pytest.mark.parametrize("spelling", SPELLINGS, ids=lambda x: x.theirs)
def test_what_is_advised_exists(spelling):
    for part in spelling.ours.split(" and "):
        for name in longest_names(part):
            places = ast.unparse(name).split(".")
            if places[0] in MEANT and "(" not in ast.unparse(name):
                thing = MEANT[places[0]]
                for place in places[1:]:
                    thing = getattr(thing, place)


@pytest.mark.parametrize("name", SOUGHT)
def test_a_name_of_another_library_is_answered(name):
    *places, last = name.split(".")
    thing = tg
    for place in places:
        thing = getattr(thing, place)
    thing = {tg.nn.Module: tg.nn.MLP([2, 1]), tg.train.Run: RUN}.get(thing, thing)
    with pytest.raises(AttributeError) as told:
        getattr(thing, last)
    assert SOUGHT[name].ours in str(told.value)
    assert not hasattr(thing, last)


@pytest.mark.parametrize("module", ["", "nn", "nn.losses", "optim", "data", "train", "clinic"])
def test_completion_shows_the_public_names_alone(module):
    room = PLACES[module]
    assert set(dir(room)) - {"__version__"} == set(room.__all__)
    assert all(hasattr(room, name) for name in dir(room))


def test_an_attribute_that_a_program_sets_wins():
    class Own(tg.nn.Module):
        def __init__(self):
            self.compile = 3.0

        def fit(self):
            return self.compile

    assert Own().fit() == 3.0


def test_a_misspelled_name_is_corrected():
    with pytest.raises(AttributeError, match=r"no attribute 'Adm'. Did you mean Adam"):
        tg.optim.Adm  # noqa: B018


@pytest.mark.parametrize("shelf", PLACES)
def test_a_name_that_is_looked_for_in_the_wrong_module_is_told_where_it_is(shelf):
    for name in PLACES[shelf].__all__:
        for wrong, module in PLACES.items():
            key = ".".join(filter(None, [wrong, name]))
            if hasattr(module, name) or key in SOUGHT:
                continue
            with pytest.raises(AttributeError) as told:
                getattr(module, name)
            place = str(told.value).rpartition("It is ")[2]
            thing = tg
            for part in place.split(".")[1:]:
                thing = getattr(thing, part)
            assert place.endswith(f".{name}"), told.value


def test_help_names_the_ways_in():
    for name in ("Value", "draw", "fit", "optim", "clinic", "report", "export", "jit", "estimators"):
        assert name in tg.__doc__


def test_loading_a_module_of_ours_looks_for_no_advice(monkeypatch):
    """`from tinygrad_edu import checks` asks for the attribute first: advice then loaded modules half."""
    import tinygrad_edu.elsewhere as elsewhere

    monkeypatch.setattr(elsewhere, "on_a_shelf", lambda name: pytest.fail(f"{name} was looked for"))
    for package, name in (("", "checks"), ("nn", "inputs"), ("clinic", "diagnosis"), ("", "__wrapped__")):
        assert elsewhere.advice(package, name, ["MLP"]).endswith(f"has no attribute {name!r}")


OF_MODULES = [x for x in SOUGHT if x.rpartition(".")[0] in ("", "nn", "optim", "data")]


@pytest.mark.parametrize("name", OF_MODULES)
def test_an_import_of_such_a_name_shows_the_advice_too(name):
    *places, last = name.split(".")
    with pytest.raises(ImportError) as told:
        exec(f"from {'.'.join(['tinygrad_edu', *places])} import {last}")
    assert SOUGHT[name].ours in str(told.value)


@pytest.mark.parametrize("table", ["ActivationName", "InitializerName", "LossName", "OptimizerName"])
def test_a_name_with_two_letters_exchanged_is_found(table):
    """ "tahn" is tanh, not tan: every neighbouring pair of letters of every name."""
    known = get_args(get_args(getattr(names, table))[0])
    assert len(known) > 5
    for name in known:
        swaps = {name[:i] + name[i + 1] + name[i] + name[i + 2 :] for i in range(len(name) - 1)} - set(known)
        assert [each for each in swaps if near_names(each, known) != [name]] == []

"""Names of other libraries: what is advised exists, and whoever writes the name that they know is told."""

import ast
import importlib
import inspect
import re
from typing import get_args

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import names
from tinygrad_edu.core.methods.spellings import Missing
from tinygrad_edu.elsewhere import SOUGHT, SPELLINGS
from tinygrad_edu.errors import unknown_name
from tinygrad_edu.expression import FUNCTIONS
from tinygrad_edu.foreign_arguments import CALLS, FILES, INSTEAD, OF_NUMBERS
from tinygrad_edu.foreign_names import FOREIGN, TEXTS
from tinygrad_edu.spelling import near_names

RUN = tg.fit(tg.nn.MLP([2, 2, 1]), *tg.data.xor_gate(), loss="mse", optimizer="sgd", epochs=1)
PLACES = {
    "": tg, "nn": tg.nn, "nn.losses": tg.nn.losses, "optim": tg.optim, "clinic": tg.clinic, "data": tg.data,
    "train": tg.train, "estimators": tg.estimators,
}  # fmt: skip
TEST = tg.train.RangeTest(np.ones(2), np.ones(2), np.ones(2))
INSTANCES = {  # a class whose objects are asked -> one of them
    tg.nn.Module: tg.nn.MLP([2, 1]), tg.train.Run: RUN, tg.train.RangeTest: TEST,
    tg.clinic.Diagnosis: tg.clinic.Diagnosis.__new__(tg.clinic.Diagnosis),
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


@pytest.mark.parametrize("room", sorted({name.rpartition(".")[0] for name in SOUGHT}))
def test_a_name_of_another_library_is_answered(room):
    thing = tg
    for place in filter(None, room.split(".")):
        thing = getattr(thing, place)
    thing = INSTANCES.get(thing, thing)
    names = [name for name in SOUGHT if name.rpartition(".")[0] == room]
    assert names
    for name in names:
        with pytest.raises(AttributeError) as told:
            getattr(thing, name.rpartition(".")[2])
        assert SOUGHT[name].ours in str(told.value)
        assert not hasattr(thing, name.rpartition(".")[2])


def test_what_is_advised_for_habits_exists():
    tables = (
        [names for names, _ in FOREIGN],
        [*INSTEAD.values()],
        [*FILES.values(), *CALLS.values()],
        [*OF_NUMBERS.values()],
    )
    texts = [text for table in tables for text in table]
    for name in {each for text in texts for each in re.findall(r"\btg((?:\.[A-Za-z_]\w*)+)", text)}:
        thing = tg
        for place in name[1:].split("."):
            thing = getattr(thing, place)


KNOWN = {"loss": names.LossName, "activation": names.ActivationName, "init": names.InitializerName,
         "norm": names.NormName, "order": names.OrderName}  # fmt: skip


@pytest.mark.parametrize(("kind", "ours", "theirs"), TEXTS)
def test_the_text_of_another_library_in_a_setting_is_answered_with_ours(kind, ours, theirs):
    """`loss="binary_crossentropy"` was answered with cross_entropy, `init="kaiming_normal"` with lecun_normal."""
    tables = {"optimizer": tg.optim.optimizer_classes, "operation": lambda: FUNCTIONS}
    known = list(tables[kind]()) if kind in tables else get_args(get_args(KNOWN[kind])[0])
    for name in theirs.split():
        assert name not in known
        said = str(unknown_name(kind, name, known))
        assert f"Did you mean {' or '.join(map(repr, ours.split()))}?" in said


def test_no_habit_is_told_twice():
    names = [name for _, names in FOREIGN for name in names.split()]
    assert len(names) == len(set(names))
    assert set(names).isdisjoint(name for x in SPELLINGS for name in x.sought)


def test_the_import_of_a_module_of_another_library_is_answered():
    """`import tinygrad_edu.nn.functional as F`, `from tinygrad_edu.layers import Dense`: the first line of programs."""
    for name in [x for x in SOUGHT if x.rpartition(".")[0] in ("", "nn", "data", "train", "optim")]:
        with pytest.raises(ModuleNotFoundError) as told:
            importlib.import_module(f"tinygrad_edu.{name}")
        assert SOUGHT[name].ours in str(told.value)
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'tinygrad_edu.no_such_module'$"):
        importlib.import_module("tinygrad_edu.no_such_module")


def test_a_function_of_numpy_is_named():
    with pytest.raises(AttributeError, match=r"Write np.argmin: NumPy takes Tensors$"):
        tg.argmin  # noqa: B018


def test_a_name_that_people_look_for_in_another_module_is_answered_too():
    with pytest.raises(AttributeError, match="drawn digits"):
        tg.load_digits  # noqa: B018


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


def test_micrograds_loop_is_led_to_the_value_in_the_array():
    """`sum((n(x) - y) ** 2 ...).backward()` ended in NumPy's "'numpy.ndarray' object has no attribute 'backward'"."""
    n = tg.nn.MLP([2, 3, 1], backend="scalar")
    loss = sum((n(x) - y) ** 2 for x, y in zip([[1.0, 2.0], [0.0, 1.0]], [1.0, -1.0], strict=True))
    with pytest.raises(AttributeError, match=r"shape \(1,\), has no 'backward': its Value has. Take that.*loss\[0\]"):
        loss.backward()
    loss[0].backward()
    assert n.parameters()[0].grad != 0.0
    with pytest.raises(AttributeError, match=r"shape \(2, 1\), has no 'grad': each of its Values has"):
        n(np.ones((2, 2))).grad  # noqa: B018
    with pytest.raises(AttributeError, match=r"'numpy.ndarray' object has no attribute 'colour'"):
        loss.colour  # noqa: B018


def test_help_names_the_ways_in():
    for name in ("Value", "draw", "fit", "optim", "clinic", "report", "export", "jit", "estimators"):
        assert name in tg.__doc__


def test_loading_a_module_of_ours_looks_for_no_advice(monkeypatch):
    """`from tinygrad_edu import checks` asks for the attribute first: advice then loaded modules half."""
    import tinygrad_edu.elsewhere as elsewhere

    monkeypatch.setattr(elsewhere, "on_a_shelf", lambda name: pytest.fail(f"{name} was looked for"))
    for package, name in (("", "checks"), ("nn", "inputs"), ("clinic", "diagnosis"), ("", "__wrapped__")):
        assert elsewhere.advice(package, name, ["MLP"]).endswith(f"has no attribute {name!r}")


@pytest.mark.parametrize("room", ["", "nn", "optim", "data"])
def test_an_import_of_such_a_name_shows_the_advice_too(room):
    for name in [x for x in SOUGHT if x.rpartition(".")[0] == room]:
        with pytest.raises(ImportError) as told:
            exec(f"from {'.'.join(filter(None, ['tinygrad_edu', room]))} import {name.rpartition('.')[2]}")
        assert SOUGHT[name].ours in str(told.value)


@pytest.mark.parametrize("table", ["ActivationName", "InitializerName", "LossName", "OptimizerName"])
def test_a_name_with_two_letters_exchanged_is_found(table):
    """ "tahn" is tanh, not tan: every neighbouring pair of letters of every name."""
    known = get_args(get_args(getattr(names, table))[0])
    assert len(known) > 5
    for name in known:
        swaps = {name[:i] + name[i + 1] + name[i] + name[i + 2 :] for i in range(len(name) - 1)} - set(known)
        assert [each for each in swaps if near_names(each, known) != [name]] == []


@pytest.mark.parametrize("x", [RUN, RUN.model, tg.Tensor([1.0]), tg.Value(1.0)])
def test_what_only_says_what_to_write_instead_is_not_offered(x):
    """Completion in notebooks and editors goes by dir()."""
    assert len(dir(x)) > 30
    assert not [name for name in dir(x) if isinstance(inspect.getattr_static(x, name, None), Missing)]

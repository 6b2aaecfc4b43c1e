"""tinygrad_edu/names.py holds what the tables hold, and arguments that take a name of a table say so."""

import inspect
import subprocess
import sys
from typing import get_args

import pytest

import tinygrad_edu as tg
from tests.literal_names import FILE, module, tables
from tinygrad_edu import estimators, names


def listed(kind):
    """The names in Literal[...] | str."""
    literal, other = get_args(getattr(names, kind))
    assert other is str
    return list(get_args(literal))


def test_the_file_is_what_the_tables_say():
    """In a Python of its own: tests declare rows, and classes of optimizers, too."""
    program = "from tests.literal_names import module; import sys; sys.stdout.buffer.write(module().encode())"
    found = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True).stdout.decode()
    assert found == FILE.read_text(encoding="utf-8"), (
        "tinygrad_edu/names.py is not what the tables say: run `make format`, or `python -m tests.literal_names`"
    )


def test_every_name_is_accepted():
    model = tg.nn.MLP([2, 3, 1])
    for name in listed("ActivationName"):
        tg.nn.MLP([2, 3, 1], activation=name, out_activation=name)
    for name in listed("InitializerName"):
        tg.nn.MLP([2, 3, 1], init=name)
    for name in listed("NormName"):
        tg.nn.MLP([2, 3, 1], norm=name)
    for name in listed("BackEndName"):
        tg.nn.MLP([2, 3, 1], backend=name)
    for name in listed("LossName"):
        assert tg.nn.losses.find(name).name == name
    for name in listed("OptimizerName"):
        assert tg.optim.optimizer_for(name, model.parameters())


TAKES = {
    "activation": "ActivationName",
    "out_activation": "ActivationName",
    "backend": "BackEndName",
    "loss": "LossName",
    "optimizer": "OptimizerName",
    "norm": "NormName",
    "shuffle": "OrderName",
    "order": "OrderName",
}
OTHERWISE = {
    (tg.train.lr_range_test, "optimizer"), (tg.fit_many, "shuffle"),
    (estimators.MLPClassifier, "activation"), (estimators.MLPRegressor, "activation"),
    (estimators.MLPClassifier, "loss"), (estimators.MLPRegressor, "loss"),
    (estimators.MLPClassifier, "shuffle"), (estimators.MLPRegressor, "shuffle"),
}  # fmt: skip
LAYERS = [each for name in tg.nn.__all__ if isinstance(each := getattr(tg.nn, name), type)]
PUBLIC = [*LAYERS, tg.fit, tg.fit_many, tg.train.lr_range_test, estimators.MLPClassifier, estimators.MLPRegressor]


@pytest.mark.parametrize("function", PUBLIC, ids=lambda f: f.__name__)
def test_arguments_say_what_names_they_take(function):
    for name, parameter in inspect.signature(function).parameters.items():
        if name in TAKES and (function, name) not in OTHERWISE:
            assert TAKES[name] in str(parameter.annotation), f"{function.__name__}({name}: {parameter.annotation})"


def test_the_types_are_named_in_order():
    assert list(tables()) == sorted(tables())
    assert module().isascii()

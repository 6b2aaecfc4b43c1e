"""A slip of the pen in the name of an argument or an attribute: the error says which name was meant."""

import inspect
import re

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.core.methods.spellings import SLIPS_OF_MODULE, SLIPS_OF_TENSOR, SLIPS_OF_VALUE
from tinygrad_edu.nn.module import Module
from tinygrad_edu.optim import Optimizer
from tinygrad_edu.pen import UnknownAttributeError, names_of
from tinygrad_edu.train.run import Run

LAYERS = [getattr(tg.nn, name) for name in tg.nn.__all__ if inspect.isclass(getattr(tg.nn, name))]
OPTIMIZERS = [getattr(tg.optim, name) for name in tg.optim.__all__ if inspect.isclass(getattr(tg.optim, name))]
KINDS = [kind for kind in LAYERS if issubclass(kind, Module) and "__init__" in vars(kind)]
KINDS += [kind for kind in OPTIMIZERS if issubclass(kind, Optimizer) and kind is not Optimizer]
FUNCTIONS = [tg.fit, tg.fit_many, tg.report, tg.compare, tg.animate, tg.draw, tg.playground, tg.export,
             tg.gradcheck, tg.lr_range_test, tg.clinic.diagnose, tg.clinic.check_backprop, tg.data.moons,
             tg.data.batches]  # fmt: skip
CALLED = [*KINDS, *FUNCTIONS, tg.estimators.MLPClassifier, tg.estimators.MLPRegressor]


@pytest.mark.parametrize("called", CALLED, ids=lambda each: each.__name__)
def test_every_argument_with_a_letter_doubled_or_two_exchanged_is_known_again(called):
    known = names_of(called)
    for name in [name for name in known or () if len(name) > 3]:
        for slip in {name[:2] + name[1:], name[:1] + name[2] + name[1] + name[3:]} - {*known}:
            with pytest.raises(TypeError, match=rf"unexpected keyword argument '{slip}'. .*\b{name}\b"):
                called(**{slip: None})


VALUE, TENSOR = tg.Value(2.0, label="v"), tg.Tensor([1.0, 2.0, 3.0], requires_grad=True)
LAYER, RUN = tg.nn.Linear(2, 1), Run(np.ones(2), np.ones(2), "both epochs done", "eager: asked for", model=None)
CLASSES, LOGITS = np.array([0, 1, 2, 1]), np.zeros((4, 3))
SLIPS = (  # (what is done, the error, what it says)
    (lambda: tg.nn.Linear(2, 8, seed=0), TypeError, r"Write rng=np.random.default_rng\(0\)"),
    (lambda: tg.nn.MLP([2, 1], rng=0), TypeError, "Write seed=0"),
    (lambda: tg.nn.MLP([2, 1], act="tanh"), TypeError, "Did you mean activation"),
    (lambda: tg.optim.Adam([VALUE], learning_rate=0.1), TypeError, "Did you mean lr"),
    (lambda: tg.data.moons(n_samples=3), TypeError, "Did you mean samples"),
    (lambda: tg.data.moons(colour=3), TypeError, "It takes samples, noise, seed"),
    (lambda: tg.optim.SGD([VALUE], lr=0.1).update(), AttributeError, "Did you mean step"),
    (lambda: tg.compare(RUN).savve, AttributeError, "Did you mean save"),
    (lambda: RUN.colour, AttributeError, "It has again, .*loss_curve"),
    (lambda: tg.Value(VALUE), tg.errors.OperandError, r"label='v'\), which is a Value already: .*x.detach\(\)"),
    (lambda: VALUE @ VALUE, tg.errors.OperandError, r"write x \* y"),
    (lambda: VALUE @ 2.0, tg.errors.OperandError, r"write x \* y"),
    (lambda: int(VALUE), tg.errors.DetachedError, r"int\(x.data\)"),
    (lambda: TENSOR.item(), tg.errors.ShapeError, r"shape \(3,\) holds 3: take one"),
    (lambda: tg.Tensor(CLASSES), tg.errors.DtypeError, "give the loss the plain list or array of integers"),
    (lambda: tg.ops.cross_entropy(LOGITS, tg.Tensor(CLASSES * 1.0)), tg.errors.ShapeError, "plain integers"),
    (lambda: tg.ops.cross_entropy(CLASSES, LOGITS), tg.errors.ShapeError, r"swapped\? Write cross_entropy\(logits"),
    (lambda: tg.ops.cross_entropy(CLASSES[0], LOGITS[0]), tg.errors.ShapeError, "swapped"),
    (lambda: LAYER([VALUE, VALUE]), tg.errors.OperandError, 'backend="scalar"'),
    (lambda: tg.draw(RUN), tg.errors.DrawError, r"run.plot\(\) shows the curves"),
)


@pytest.mark.parametrize(("do", "error", "says"), SLIPS, ids=[says for _, _, says in SLIPS])
def test_a_likely_slip_is_told_what_to_write(do, error, says):
    with pytest.raises(error, match=says):
        do()


@pytest.mark.parametrize(
    ("x", "slips"), [(VALUE, SLIPS_OF_VALUE), (TENSOR, SLIPS_OF_TENSOR), (LAYER, SLIPS_OF_MODULE)],
    ids=["Value", "Tensor", "Module"],
)  # fmt: skip
def test_the_names_of_the_tables_are_no_attributes_and_what_they_tell_to_write_exists(x, slips):
    for slip, instead in slips.items():
        assert not hasattr(x, slip)
        with pytest.raises(AttributeError, match=re.escape(instead)):
            getattr(x, slip)
        for owner, name in re.findall(r"\b(x|layer|model)\.(\w+)", instead):
            assert hasattr(x, name), (owner, name)


def test_attributes_that_a_program_sets_win():
    layer = tg.nn.Linear(2, 1)
    layer.weights = 3
    assert layer.weights == 3


def test_an_attribute_error_inside_a_property_is_shown_as_it_is():
    class Own(tg.optim.SGD):
        @property
        def broken(self):
            return [].shape

    with pytest.raises(AttributeError, match="'list' object has no attribute 'shape'"):
        Own([tg.Value(1.0)], lr=0.1).broken  # noqa: B018
    assert not hasattr(RUN, "losss")
    with pytest.raises(UnknownAttributeError):
        RUN.losss  # noqa: B018

"""A slip of the pen in the name of an argument or an attribute: the error says which name was meant."""

import inspect
import re
from pathlib import Path

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.core.methods.spellings import SLIPS_OF_MODULE, SLIPS_OF_TENSOR, SLIPS_OF_VALUE
from tinygrad_edu.errors import SettingError
from tinygrad_edu.foreign_arguments import ALIKE, CALLS, FILE_WORDS, FILES, INSTEAD
from tinygrad_edu.nn.module import Module
from tinygrad_edu.optim import Optimizer
from tinygrad_edu.pen import UnknownAttributeError, names_of, unknown_argument
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
DATA = tg.data.xor_gate()
CLASSES, LOGITS = np.array([0, 1, 2, 1]), np.zeros((4, 3))
SLIPS = (  # (what is done, the error, what it says)
    (lambda: tg.nn.Linear(2, 8, seed=0), TypeError, r"Write rng=np.random.default_rng\(0\)"),
    (lambda: tg.nn.MLP([2, 1], rng=0), TypeError, "Write seed=0"),
    (lambda: tg.nn.MLP([2, 1], act="tanh"), TypeError, "Did you mean activation"),
    (lambda: tg.optim.Adam([VALUE], learning_rate=0.1), TypeError, "Did you mean lr"),
    (lambda: tg.fit(LAYER, *DATA, lr=0.1), TypeError, r"Write optimizer=tg.optim.Adam\(model.parameters\(\), lr=0.1\)"),
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
    (lambda: float(TENSOR), tg.errors.DetachedError, r"x\[i\].item\(\) gives one number, x.data all"),
    (lambda: tg.Tensor(CLASSES), tg.errors.DtypeError, "give the loss the plain list or array of integers"),
    (lambda: tg.ops.cross_entropy(LOGITS, tg.Tensor(CLASSES * 1.0)), tg.errors.ShapeError, "plain integers"),
    (lambda: tg.ops.cross_entropy(CLASSES, LOGITS), tg.errors.ShapeError, r"swapped\? Write cross_entropy\(logits"),
    (lambda: tg.ops.cross_entropy(CLASSES[0], LOGITS[0]), tg.errors.ShapeError, "swapped"),
    (lambda: LAYER([VALUE, VALUE]), tg.errors.OperandError, 'backend="scalar"'),
    (lambda: tg.operation(derivative=np.cos)(np.sin), TypeError, "Did you mean partials"),
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


ROOMS = (tg, tg.nn, tg.optim, tg.optim.schedules, tg.data, tg.train, tg.clinic)


def test_an_argument_that_is_written_in_another_way_is_answered():
    """`fit(..., verbose=1)`, `Linear(2, 8, activation="relu")`: every row of the table, on the function itself."""
    for (owner, name), fix in INSTEAD.items():
        called = next((getattr(room, owner) for room in ROOMS if hasattr(room, owner)), tg.data.batches)
        with pytest.raises(TypeError) as told:
            called(**{name: 1})
        assert fix.partition("{setting}")[0] in str(told.value)


@pytest.mark.parametrize("name", CALLS)
def test_a_call_without_what_it_needs_is_answered_with_a_whole_one(name):
    called = next(getattr(room, name) for room in ROOMS if hasattr(room, name))
    with pytest.raises(TypeError, match=re.escape(f"Write, for example, {CALLS[name]}")):
        called()


def test_another_word_for_an_argument_is_answered_with_ours():
    for ours, *others in ALIKE:
        for word in others:
            assert f"Did you mean {ours}" in str(unknown_argument("f", [word], [ours])) or ours in ("seed", "rng")


WRITERS = {
    "report": tg.report, "animate": tg.animate, "compare": tg.compare, "draw": tg.draw, "diagnose": tg.clinic.diagnose,
    "lr_range_test": tg.lr_range_test,
}  # fmt: skip


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("file", ["run.html", "run.svg", Path("run.html")])
def test_the_name_of_a_file_in_the_place_of_data_says_how_it_is_written(name, file):
    said = re.escape(f"Write {FILES[name].format(file=repr(str(file)))}")
    for arguments in ((RUN, file), (file, RUN), (RUN, *DATA, file)):
        with pytest.raises(SettingError, match=said):
            WRITERS[name](*arguments)
    for word in FILE_WORDS:
        if word not in names_of(WRITERS[name]):
            with pytest.raises(TypeError, match=said):
                WRITERS[name](RUN, **{word: file})


FILE_SLIPS = (  # (what is done, what it says)
    (lambda: tg.playground("p.html"), r"Write tg.playground\(path='p.html'\)"),
    (lambda: RUN.plot("x.svg"), r"Write run.plot\(\).save\('x.svg'\)"),
    (lambda: RUN.save("x.html"), r"tg.report\(run, path='x.html'\) writes a page"),
    (lambda: LAYER.save("x.svg"), r"tg.draw\(model\(X\)\).save\('x.svg'\)"),
    (lambda: tg.train.Histograms().save("x.svg"), "histograms=histograms"),
    (lambda: tg.train.Checkpoint("x.html"), r"tg.report\(run, path='x.html'\)"),
    (lambda: tg.export("net.c", LAYER), r"the model comes first. Write export\(model, 'net.c'\)"),
    (lambda: tg.export(LAYER, DATA[0], "net.onnx"), "the path comes second"),
    (lambda: tg.compare([RUN], "ab"), "a list with a name for each run"),
    (lambda: tg.report(LAYER), "takes the run, not the model alone"),
    (lambda: tg.animate(LAYER), "takes the run, not the model alone"),
    (lambda: tg.compare(LAYER), "takes the run, not the model alone"),
)


@pytest.mark.parametrize(("do", "says"), FILE_SLIPS, ids=[says for _, says in FILE_SLIPS])
def test_a_file_that_another_call_writes(do, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((SettingError, tg.errors.OperandError), match=says):
        do()
    assert not list(tmp_path.iterdir())


def test_too_many_arguments_by_place_are_counted_and_the_others_named():
    with pytest.raises(TypeError, match=r"draw\(\) takes 1 argument by place, target, and 3 were given. .* inputs="):
        tg.draw(VALUE, "LR", 3)
    with pytest.raises(TypeError, match=r"xor_gate\(\) takes no arguments by place, and 1 was given"):
        tg.data.xor_gate(200)


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

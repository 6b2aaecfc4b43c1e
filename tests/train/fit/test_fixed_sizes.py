"""A small network that is trained long has a program for its sizes alone: the same numbers, and nobody else's."""

from types import SimpleNamespace

import numpy as np
import pytest
from llvmlite import ir

from tests.compile.programs import training_without_numba
from tinygrad_edu import fit, nn, optim
from tinygrad_edu.compile.backend import cache
from tinygrad_edu.compile.backend.llvm_values import INT, Array
from tinygrad_edu.compile.backend.own_memory import read_flag
from tinygrad_edu.train.choose import OF_SIZES
from tinygrad_edu.train.compiled import programs, sizes_of_job

pytestmark = pytest.mark.optimized  # with machine code optimized as for users

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(12, 3)), RNG.normal(size=(12, 2))
OPTIMIZERS = {
    "sgd": lambda p: optim.SGD(p, lr=0.1),
    "momentum": lambda p: optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True, weight_decay=1e-3),
    "adam": lambda p: optim.Adam(p, lr=0.01),
    "rprop": lambda p: optim.Rprop(p, lr=0.01),
    "cosine": lambda p: optim.SGD(p, lr=optim.schedules.cosine(0.1, steps=40)),
}
SETTINGS = {
    "online": {"batch_size": 1, "shuffle": False},
    "shuffled": {"batch_size": 3},
    "whole": {"batch_size": None},
    "rule": {"batch_size": 4, "tol": 1e-3, "patience": 2, "epochs": 60},
    "clipped": {"batch_size": 4, "clip_norm": 0.5, "clip_value": 0.1},
    "weighted": {"batch_size": 4, "sample_weight": RNG.uniform(size=12)},
    "diverging": {"batch_size": 4, "optimizer": lambda p: optim.SGD(p, lr=1e200)},
}


@pytest.fixture(autouse=True)
def long_enough(monkeypatch):
    """Every run counts as long; no test finds the programs of another."""
    monkeypatch.setattr(sizes_of_job, "SAMPLES", 1)
    monkeypatch.setattr(programs, "PROGRAMS", {})


def trained(sizes=(3, 4, 2), optimizer=OPTIMIZERS["adam"], data=(X, Y), **settings):
    dtype, given = settings.pop("dtype", "float64"), {"epochs": 8, "loss": "mse", "compiled": True, **settings}
    model = nn.MLP(sizes, activation=given.pop("activation", "tanh"), seed=0, dtype=dtype)
    data = [a.astype(dtype) for a in data]
    return fit(model, *data, optimizer=optimizer(model.parameters()), **given)


def both_ways(monkeypatch, rtol=1e-12, **settings):
    """The run, once by a program for its sizes and once by that for any sizes."""
    own = trained(**settings)
    assert own.how == "compiled: asked for" + OF_SIZES
    monkeypatch.setattr(sizes_of_job, "LARGEST", 0)
    any_sizes = trained(**settings)
    assert any_sizes.how == "compiled: asked for"
    for name in ("loss_curve", "grad_norms", "update_norms"):
        np.testing.assert_allclose(getattr(own, name), getattr(any_sizes, name), rtol=rtol)
    for a, b in zip(own.model.parameters(), any_sizes.model.parameters(), strict=True):
        np.testing.assert_allclose(a.data, b.data, rtol=rtol, atol=rtol)
    for a, b in zip(own.job.optimizer.memory, any_sizes.job.optimizer.memory, strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol * 10, atol=rtol)
    assert (own.n_epochs, own.stop_reason) == (any_sizes.n_epochs, any_sizes.stop_reason)


@pytest.mark.parametrize("name", SETTINGS)
def test_settings(name, monkeypatch):
    with training_without_numba():
        both_ways(monkeypatch, **SETTINGS[name])


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers(name, monkeypatch):
    with training_without_numba():
        both_ways(monkeypatch, optimizer=OPTIMIZERS[name], batch_size=3)


@pytest.mark.parametrize("sizes", [(1, 1), (1, 1, 1), (1, 3, 1)])
def test_regression_of_one_number(sizes, monkeypatch):
    """A size of 1 stands in the text of either program, so that there may be none to put there."""
    with training_without_numba():
        both_ways(monkeypatch, sizes=sizes, data=(X[:, :1], Y[:, :1]), batch_size=1, activation="tanh")


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_machine_code(dtype, monkeypatch):
    both_ways(monkeypatch, 1e-12 if dtype == "float64" else 1e-4, batch_size=4, clip_norm=0.5, dtype=dtype, epochs=200)


def test_sizes_are_in_the_text_and_so_in_the_name():
    with training_without_numba():
        for change in ({}, {"sizes": (3, 5, 2)}, {"batch_size": 4}, {"batch_size": 6}, {"data": (X[:, :2], Y)}):
            settings = {"batch_size": 3, "sizes": (change.get("data", (X, Y))[0].shape[1], 4, 2), **change}
            programs.PROGRAMS.clear()  # a process keeps one program per kind of model
            assert OF_SIZES in trained(**settings).how
            (program,) = programs.PROGRAMS.values()
            (form,) = program.of_sizes.values()
            assert form.text not in SEEN
            SEEN.add(form.text)
    assert len({cache.name_of_module(text, "training") for text in SEEN}) == 5


SEEN: set[str] = set()


def test_a_sweep_over_widths_compiles_two_programs():
    with training_without_numba():
        hows = [OF_SIZES in trained((3, width, 2), batch_size=3).how for width in (2, 3, 4, 2, 3)]
    assert hows == [True, False, False, True, False]


def test_a_program_on_the_disk_is_taken_whatever_was_made_before(monkeypatch):
    with training_without_numba():
        trained((3, 2, 2), batch_size=3)
        monkeypatch.setattr(cache, "holds", lambda text, name: "layers_0_bias_0 = 3\n" in text)
        assert [OF_SIZES in trained((3, width, 2), batch_size=3).how for width in (3, 4)] == [True, False]


@pytest.mark.parametrize("settings", [
    {"batch_size": 5}, {"sizes": (3, 40, 2)}, {"validation": 0.25, "batch_size": 3}, {"callbacks": [lambda job: None]},
    {"activation": "relu", "data": (X[:, :1], Y), "sizes": (1, 60, 2)},
], ids=["uneven", "large", "validation", "callback", "large batch"])  # fmt: skip
def test_other_runs_are_trained_by_the_program_for_any_sizes(settings):
    with training_without_numba():
        assert trained(**{"batch_size": None if "sizes" in settings else 3, **settings}).how == "compiled: asked for"


def test_short_runs_too(monkeypatch):
    monkeypatch.setattr(sizes_of_job, "SAMPLES", 12 * 8 + 1)
    with training_without_numba():
        assert trained(batch_size=3).how == "compiled: asked for"
        assert OF_SIZES in trained(batch_size=3, epochs=9).how


def test_a_run_goes_on_with_the_program_it_began_with(tmp_path, monkeypatch):
    """Its numbers are those of a run without a pause, to the last bit, and it knows after a pause as well."""
    with training_without_numba():
        whole, begun = trained(batch_size=3), trained(batch_size=3, epochs=5)
        begun.save(tmp_path / "run")
        monkeypatch.setattr(sizes_of_job, "SAMPLES", 10**9)
        programs.PROGRAMS.clear()
        for resumed in (begun.resume(8), trained(batch_size=3, resume_from=tmp_path / "run")):
            assert OF_SIZES in resumed.how
            np.testing.assert_array_equal(resumed.loss_curve, whole.loss_curve)


def test_whether_to_stop_is_read_at_every_step():
    """LLVM may read a plain number once, before a loop that writes nothing to memory."""
    with training_without_numba():
        trained(batch_size=3)
    ((form,),) = [program.of_sizes.values() for program in programs.PROGRAMS.values()]
    assert "if stopped(control):" in form.text
    function = ir.Function(ir.Module(), ir.FunctionType(ir.IntType(1), [INT.as_pointer()]), "f")
    builder = ir.IRBuilder(function.append_basic_block())
    builder.ret(read_flag(SimpleNamespace(builder=builder), Array(function.args[0], (INT(3),))))
    assert "load atomic i64" in str(function)


def texts(**settings):
    """The text of each program for one set of sizes that a run makes."""
    trained(dtype="float32", batch_size=1, epochs=1, **settings)
    return [form.text for program in programs.PROGRAMS.values() for form in program.of_sizes.values() if form]


def test_few_tanh_of_float32_are_looked_up(monkeypatch):
    """A table is quicker than a vector of them only where there are few; accurate=True asks for the C library's."""
    with training_without_numba():
        (text,) = texts(sizes=(3, 8, 2))
    assert "return tanh_by_table(x)" in text
    programs.PROGRAMS.clear()  # a process keeps one program per kind of model
    with training_without_numba():
        both_ways(monkeypatch, rtol=1e-4, dtype="float32", batch_size=1)


@pytest.mark.parametrize("settings", [{"sizes": (3, 9, 2)}, {"accurate": True}, {"activation": "relu"}])
def test_other_programs_have_no_table(settings):
    with training_without_numba():
        (text,) = texts(**settings)
    assert "return tanh_by_table(" not in text

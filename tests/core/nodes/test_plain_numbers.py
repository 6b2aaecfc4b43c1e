"""Where a node is only read: printing, rounding, and NumPy's functions where no gradient is asked for."""

import logging
import math

import numpy as np
import pytest
import scipy.special

import tinygrad_edu as tg
from tinygrad_edu.core.methods.spellings import OF_TENSOR, OF_VALUE
from tinygrad_edu.errors import DetachedError, UnsupportedNumpyError

NUMBER = 2.123456
ONE = {
    "Value": lambda: tg.Value(NUMBER),
    "inner Value": lambda: tg.Value(NUMBER) + 0.0,
    "Tensor": lambda: tg.Tensor(NUMBER, requires_grad=True),
    "inner Tensor": lambda: tg.Tensor(NUMBER, requires_grad=True) + 0.0,
    "Tensor without gradient": lambda: tg.Tensor(NUMBER),
    "Tensor of one axis": lambda: tg.Tensor([NUMBER], requires_grad=True),
}
each_one = pytest.mark.parametrize("make", ONE.values(), ids=ONE)


@each_one
def test_every_way_to_print_a_number(make):
    x = make()
    assert f"{x:.4f}" == format(x, ".4f") == f"{x:.4f}" == "%.4f" % x == "2.1235"  # noqa: UP031
    assert "%6.2f|%e|%g|%s" % (x, x, x, 3) == "%6.2f|%e|%g|%s" % (NUMBER, NUMBER, NUMBER, 3)  # noqa: UP031
    assert f"{x:>10.3f}" == "     2.123"
    assert f"{x}" == str(x) == repr(x)
    text = "loss %.3f"
    text %= x
    assert text == "loss 2.123"
    assert round(x, 2) == 2.12
    assert round(x) == 2
    assert type(round(x, 2)) is float


@each_one
def test_logging_formats_too(make, caplog):
    with caplog.at_level(logging.INFO):
        logging.getLogger("of this test").info("loss %.4f", make())
    assert caplog.messages == ["loss 2.1235"]


@each_one
@pytest.mark.parametrize("leave", [float, math.tanh, math.sqrt], ids=lambda f: f.__name__)
def test_what_would_lose_a_gradient_is_still_refused(make, leave):
    x = make()
    if getattr(x, "requires_grad", True):
        with pytest.raises(DetachedError, match="gradient"):
            leave(x)
    else:
        assert leave(x) == leave(NUMBER)
    with tg.no_grad():
        assert leave(x) == leave(NUMBER)


ROW = tg.Tensor([1.5, -2.5], requires_grad=True) * 1.0
NODES = {"Tensor": ROW, "Tensors": list(ROW), "Values": [tg.Value(1.5) * 1.0, tg.Value(-2.5) * 1.0]}
READ = {  # what a library that draws or counts is given
    "plot": ("matplotlib", lambda axes, x: axes.plot(x)),
    "scatter in colours": ("matplotlib", lambda axes, x: axes.scatter([1, 2], [3, 4], c=x)),
    "bar": ("matplotlib", lambda axes, x: axes.bar([1, 2], x)),
    "axhline": ("matplotlib", lambda axes, x: axes.axhline(x[0])),
    "r2_score": ("sklearn", lambda _, x: pytest.importorskip("sklearn.metrics").r2_score([1.0, 2.0], x)),
}


@pytest.mark.parametrize("nodes", NODES)
@pytest.mark.parametrize("name", READ)
def test_a_plot_or_a_score_is_told_to_take_the_data(name, nodes):
    library, read = READ[name]
    axes, x = pytest.importorskip("matplotlib.figure").Figure().subplots(), NODES[nodes]
    with pytest.raises(DetachedError, match=rf"{library} needs plain numbers.*x\.data in place of x.*loss\.item\(\)"):
        read(axes, x)
    read(axes, x.data if nodes == "Tensor" else [each.data for each in x])


def test_a_table_is_told_so_too():
    with pytest.raises(DetachedError, match=r"pandas needs plain numbers, and Tensor.*x\.data in place of x"):
        pytest.importorskip("pandas").DataFrame({"x": ROW})


@pytest.mark.parametrize("call", [lambda x: f"{x:.2f}", round, float, lambda x: "%f" % x])  # noqa: UP031
def test_many_numbers_are_not_one(call):
    with pytest.raises(TypeError, match="holds 3"):
        call(tg.Tensor(np.ones(3)))


DATA = np.array([[1.5, -2.5, 0.25], [3.0, 0.0, -1.0]])
UNKNOWN = {  # functions and options without a derivative here
    "histogram": lambda x: np.histogram(x, 2)[0],
    "unique": np.unique,
    "array2string": np.array2string,
    "bincount": lambda x: np.bincount(np.array([0, 1, 1]), weights=x[0]),
    "nan_to_num of a list": lambda x: np.nanmedian([x, x]),
    "polyfit": lambda x: np.polyfit(np.arange(3.0), x[0], 1),
    "unwrap": np.unwrap,
    "add out": lambda x: np.add(x, 1.0, out=np.zeros((2, 3))),
    "hypot reduce": lambda x: np.hypot.reduce(x, axis=1),
    "spacing": np.spacing,
    "frexp": lambda x: np.frexp(x)[1],
    "scipy zetac": scipy.special.zetac,
    "asarray": np.asarray,
}
each_unknown = pytest.mark.parametrize("f", UNKNOWN.values(), ids=UNKNOWN)


@each_unknown
def test_any_function_of_numpy_where_no_gradient_is_asked_for(f):
    x, expected = tg.Tensor(DATA, requires_grad=True), f(DATA)
    detached = f(x.detach())
    with tg.no_grad():
        under_no_grad = f(x)
    for found in (detached, under_no_grad, f(tg.Tensor(DATA))):
        assert type(found) is type(expected)
        np.testing.assert_array_equal(found, expected)


@each_unknown
def test_the_same_are_refused_where_a_gradient_would_be_lost(f):
    with pytest.raises((UnsupportedNumpyError, DetachedError)):
        f(tg.Tensor(DATA, requires_grad=True))


@pytest.mark.filterwarnings("ignore:.*fix.*:DeprecationWarning")  # since NumPy 2.5
@pytest.mark.parametrize("f", [np.round, np.around, np.rint, np.floor, np.ceil, np.trunc, np.fix])
def test_steps_of_detached_numbers_are_plain_arrays(f):
    x = tg.Tensor(DATA, requires_grad=True)
    assert type(f(x)) is tg.Tensor
    with tg.no_grad():
        found = f(x)
    for y in (found, f(x.detach())):
        assert type(y) is np.ndarray
        np.testing.assert_array_equal(y, f(DATA))
    assert type(np.round(x.detach(), 2)) is np.ndarray


def test_an_array_takes_up_detached_numbers_in_place():
    total = np.zeros((2, 3))
    total += tg.Tensor(DATA)
    np.testing.assert_array_equal(total, DATA)
    with pytest.raises(DetachedError):
        total += tg.Tensor(DATA, requires_grad=True)


def test_looking_at_numbers_does_not_expose_the_array():
    x = tg.Tensor(DATA, requires_grad=True)
    np.argmax(x), np.isnan(x), np.allclose(x, x)
    assert x._guard is None


@pytest.mark.parametrize("name", ["expit", "erf", "expm1", "log1p", "log_expit"])
def test_ufuncs_of_scipy_find_their_operation(name):
    f = getattr(scipy.special, name)
    assert tg.gradcheck(lambda x: np.sum(f(x)), np.array([0.5, 1.5]))
    np.testing.assert_allclose(f(tg.Value(0.5)).data, f(0.5), rtol=1e-14)


def test_amax_and_amin_are_max_and_min():
    x = tg.Tensor(DATA, requires_grad=True)
    np.testing.assert_array_equal(np.amax(x, axis=1).data, DATA.max(1))
    np.testing.assert_array_equal(np.amin(x).data, DATA.min())


@pytest.mark.parametrize(
    ("names", "x"), [(OF_TENSOR, tg.Tensor([1.0])), (OF_VALUE, tg.Value(1.0))], ids=["Tensor", "Value"]
)
def test_a_name_of_another_library_is_answered_with_ours(names, x):
    for name, written in names.items():
        if not hasattr(type(x), name):
            with pytest.raises(AttributeError, match="no attribute") as error:
                getattr(x, name)
            assert written in str(error.value)
    with pytest.raises(AttributeError, match=r"has no attribute 'nonsense'$"):
        _ = x.nonsense


def test_a_plain_array_of_nodes_names_the_way_to_join_them():
    a, b = tg.Tensor(1.0, requires_grad=True), tg.Tensor(2.0, requires_grad=True)
    for join in (lambda: np.array([a, b]), lambda: np.asarray(a), lambda: scipy.special.logsumexp(a)):
        with pytest.raises(DetachedError, match=r"np\.stack.*logsumexp"):
            join()

"""What user's code asks of an array, it is told of a node: in `jit`, `vmap` and `fit`, around and inside `grad`."""

import collections.abc
import functools
import numbers
import operator

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.compile.programs import recorder, training_without_numba, without_numba
from tinygrad_edu import Tensor, nn, optim
from tinygrad_edu.errors import TinygradError, TraceError

V = np.array([0.5, -1.0, 2.0])


@functools.singledispatch
def dispatched(x):
    return "anything"


for kind in (np.ndarray, np.floating, float, Tensor):
    dispatched.register(kind, lambda x, name=kind.__name__: name)


def matched(x):
    match x:
        case Tensor():
            return "Tensor"
        case np.ndarray():
            return "ndarray"
        case float():
            return "float"
        case _:
            return "other"


CLASSES = {
    kind.__name__: kind
    for kind in (np.ndarray, Tensor, float, int, np.float64, np.floating, np.generic, np.bool_, np.integer,
                 numbers.Number, numbers.Real, collections.abc.Sequence, np.ma.MaskedArray)
}  # fmt: skip
QUESTIONS = {
    **{f"isinstance {name}": lambda x, kind=kind: isinstance(x, kind) for name, kind in CLASSES.items()},
    "a list": lambda x: isinstance(x, (list, tuple)),
    "class": lambda x: x.__class__ in (np.ndarray, Tensor, np.float64, np.bool_),
    "class name": lambda x: x.__class__.__name__,
    "singledispatch": dispatched,
    "match": matched,
    "isscalar": np.isscalar,
}
ATTRIBUTES = ("name", "kind", "sizes", "label", "op", "parents", "grad", "detach", "clone", "stands", "shape", "T",
              "tolist", "backward", "inner", "__dict__", "__len__")  # fmt: skip


def caught(x):
    try:
        return x.name
    except AttributeError:
        return "none"


TYPES = {
    "type is": lambda x: type(x) is np.ndarray,
    "type in": lambda x: type(x) in (np.ndarray, Tensor, np.float64),
    "type name": lambda x: type(x).__name__,
    "issubclass": lambda x: issubclass(type(x), np.ndarray),
    "table": lambda x: {np.ndarray: 1, Tensor: 2, np.float64: 3}.get(type(x)),
    "other types": lambda x: (int, type("C", (), {}).__name__, isinstance(int, type), type(int) is type, type([])),
    "caught": caught,
    **{f"has {name}": lambda x, name=name: hasattr(x, name) for name in ATTRIBUTES},
    **{f"get {name}": lambda x, name=name: getattr(x, name, None) is None for name in ("detach", "sizes", "dtype")},
}
OPERANDS = {
    "v": lambda v: v,
    "sum": np.sum,
    "entry": lambda v: v[0],
    "comparison": lambda v: v > 0.0,
    "of one number": lambda v: v[0] > 0.0,
    "stacked": lambda v: np.stack([v, v]).mean(0),
    "twice": lambda v: 2.0 * v,
    "product": lambda v: v @ v,
    "contraction": lambda v: np.einsum("i,i->", v, v),
    "where": lambda v: np.where(v[0] > 0.0, v[1], v[2]),
    "squeezed": lambda v: np.squeeze(v[:1]),
    "flat": lambda v: v[:1].reshape(()),
    "part": lambda v: v[1:],
    "ellipsis": lambda v: v[..., 0],
}


def answers(ask, x):
    found = {}
    for name, question in ask.items():
        try:
            found[name] = question(x)
        except TinygradError:
            raise
        except Exception as error:
            found[name] = type(error).__name__
    return found


def heard(way, operands, ask=QUESTIONS):
    """The answers in each run of a function of v in this way, by (operand, question)."""
    note, log = recorder()

    def f(v):
        note({(name, *pair): None for name in operands for pair in answers(ask, OPERANDS[name](v)).items()})
        return np.sum(v)

    with without_numba():
        way(f)
    return log


WAYS = {  # (how the function is run, how it is run without a trace)
    "jit": (lambda f: tg.jit(f)(V), lambda f: f(V)),
    "jit of a Tensor": (lambda f: tg.jit(f)(Tensor(V)), lambda f: f(Tensor(V))),
    "jit of grad": (lambda f: tg.jit(tg.grad(f))(V), lambda f: tg.grad(f)(V)),
    "grad of jit": (lambda f: tg.grad(tg.jit(f))(V), lambda f: tg.grad(f)(V)),
    "vmap": (lambda f: tg.vmap(f)(V[None]), lambda f: f(V)),
}


@pytest.mark.parametrize("way", ["jit", "jit of a Tensor", "jit of grad", "grad of jit"])
def test_questions_about_the_class(way):
    run, plain = WAYS[way]
    (expected,) = heard(plain, OPERANDS)
    for found in heard(run, OPERANDS):
        assert found == expected


@pytest.mark.parametrize("way", ["jit", "jit of a Tensor", "jit of grad"])
def test_types_and_attributes(way):
    run, plain = WAYS[way]
    names = ["v", "twice", "part"] if way == "jit of grad" else ["v", "sum", "entry", "twice", "part"]
    (expected,) = heard(plain, names, TYPES)
    for found in heard(run, names, TYPES):
        assert found == expected
    assert "type" not in globals()


def test_types_and_attributes_of_a_sample():
    run, plain = WAYS["vmap"]
    for name in ("v", "twice", "part"):
        assert heard(run, [name], TYPES)[-1] == heard(plain, [name], TYPES)[0]
    assert "type" not in globals()


@pytest.mark.parametrize("name", OPERANDS)
def test_questions_about_the_class_of_a_sample(name):
    """Where the function has to run for each sample, it gets a subclass of np.ndarray that has PyTorch's names too."""
    ask = {key: question for key, question in QUESTIONS.items() if not key.startswith("class")}
    run, plain = WAYS["vmap"]
    assert heard(run, [name], ask)[-1] == heard(plain, [name], ask)[0]


def test_jit_of_vmap_answers_for_arrays():
    names = ("v", "comparison", "stacked", "part")
    for found in heard(lambda f: tg.jit(lambda x: tg.vmap(f)(x))(V[None]), names):
        assert found == heard(WAYS["jit"][1], names)[0]


def hashed(x):
    return len({x, x})


HASHES = {
    "hash": lambda x: hash(x) is None,
    "set": hashed,
    "key": lambda x: {x: 1.0}[x],
    "get": lambda x: {0.5: 1.0}.get(x, 2.0),
    "in": lambda x: x in {0.5},
    "lru_cache": lambda x: functools.lru_cache(hashed)(x),
    "fromkeys": lambda x: len(dict.fromkeys([x, x + 0.0])),
}


def test_arrays_are_no_keys():
    """They raise TypeError, which the function may catch; a Tensor is a key, as in state[p]."""
    for way in ("jit", "jit of a Tensor", "jit of grad", "vmap"):
        run, plain = WAYS[way]
        (expected,) = heard(plain, ["v", "part"], HASHES)
        for found in heard(run, ["v", "part"], HASHES):
            assert found == expected


@pytest.mark.parametrize("name", HASHES)
def test_unknown_numbers_are_no_keys(name):
    def f(v):
        return np.sum(v) * HASHES[name](np.sum(v))

    with without_numba(), pytest.raises(TraceError, match="as the key of a dict"):
        tg.jit(f)(V)
    if name != "key":
        np.testing.assert_array_equal(tg.vmap(f)(np.stack([V, 2.0 * V])), [f(V), f(2.0 * V)])


def test_a_result_of_a_transform_is_plain_where_its_argument_is():
    def gradient_and_value(x):
        value, gradient = tg.value_and_grad(lambda v: np.sum(v * v))(x)
        return [gradient, value, 2.0 * gradient]

    for given in (V, Tensor(V)):
        expected = [isinstance(x, Tensor) for x in gradient_and_value(given)]
        note, log = recorder()

        def f(v, note=note):
            note([isinstance(x, Tensor) for x in gradient_and_value(v)])
            return np.sum(v)

        with without_numba():
            tg.jit(f)(given)
        assert all(found == expected for found in log)


def test_one_compiled_function_for_arrays_and_tensors():
    f = tg.jit(lambda x: np.sum(x) * (1.0 if isinstance(x, Tensor) else 2.0))
    with without_numba():
        assert [f(V), f(Tensor(V)), f(V), f(Tensor(V))] == [3.0, 1.5, 3.0, 1.5]
    g = tg.jit(
        lambda x, v: np.sum(v) * (1.0 if isinstance(x, np.ndarray) else 2.0 if isinstance(x, np.generic) else 3.0)
    )
    with without_numba():
        for x in (np.array(2.0), np.float64(2.0), 2.0, np.array(2.0)):
            assert g(x, V) == g.__wrapped__(x, V)


def add_in_place(z):
    w = z
    w += 1.0
    return np.sum(z)


def fill(z):
    z[...] = 2.0
    return z * 1.0


@pytest.mark.parametrize("f", [add_in_place, fill, lambda z: operator.iadd(z, 1.0) * z])
def test_writes_into_an_array_without_axes(f):
    """It is a number in a program, so they are refused; NumPy's numbers are never written to."""
    for given in ((np.array(0.5),), (np.array(0.5), V)):
        with without_numba(), pytest.raises(TraceError):
            tg.jit(lambda z, *others: f(z))(*given)
    for number in (0.5, np.float64(0.5)):
        if f is not fill:
            with without_numba():
                assert tg.jit(lambda z, v: f(z) * np.sum(v))(number, V) == f(number) * 1.5


class Asks(nn.Module):
    """Scales its output by what it is told of its input and of its hidden layer."""

    def __init__(self):
        self.layer = nn.Linear(2, 1, rng=np.random.default_rng(0))

    def forward(self, x):
        h = self.layer(x)
        scale = 1.0 if isinstance(x, np.ndarray) and not isinstance(x, Tensor) else 3.0
        return h * scale * (1.0 if isinstance(h, Tensor) and not isinstance(h, np.ndarray) else 5.0)


class Remembers(Asks):
    """Looks into a dict by one of its numbers."""

    def forward(self, x):
        return super().forward(x) * {0.5: 1.0}.get(x[0, 0], 2.0)


def fitted(kind, compiled):
    model = kind()
    x = np.array([[0.5, 1.0], [1.0, -1.0], [2.0, 0.0], [-1.0, 1.0]])
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    run = tg.fit(
        model, x, x[:, :1], loss="mse", optimizer=optimizer, epochs=2, batch_size=2, shuffle=False, compiled=compiled
    )
    return model.layer.weight.data.tolist(), run


def test_forward_under_fit():
    with training_without_numba():
        expected, _ = fitted(Asks, False)
        for compiled in ("auto", True):
            np.testing.assert_allclose(fitted(Asks, compiled)[0], expected)
        expected, _ = fitted(Remembers, False)
        found, _ = fitted(Remembers, "auto")
        np.testing.assert_allclose(found, expected)
        with pytest.raises(TraceError, match="as the key of a dict"):
            fitted(Remembers, True)

"""The fast exp, log, tanh and erf of compiled programs: error bounds, limits, symmetry, and float32 throughout."""

import ast
import functools
import math
from typing import Any

import numpy as np
import pytest
from numba import njit, types
from numba.core.compiler import run_frontend
from numba.core.registry import cpu_target
from numba.core.typed_passes import type_inference_stage

from tinygrad_edu.compile.codegen.formulas import definitions, in_float32
from tinygrad_edu.compile.codegen.math_approximations import FUNCTIONS, kernels
from tinygrad_edu.compile.jit import jit
from tinygrad_edu.core import ops
from tinygrad_edu.core.operation import TABLE
from tinygrad_edu.core.tensor import Tensor

pytestmark = pytest.mark.slow

INF, NAN = math.inf, math.nan
DTYPES = ["float64", "float32"]
BOUND = 3.0  # ulp; measured: 1.0 for exp, 2.0 expm1, 0.8 log, 1.4 log1p, 2.5 tanh, 2.4 erf
REFERENCES: dict[str, Any] = {
    "exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "tanh": np.tanh,
    "erf": np.vectorize(math.erf, otypes=[np.longdouble]),  # within 1 ulp of float64 itself
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "softplus": lambda x: np.log1p(np.exp(x)),
    "log_sigmoid": lambda x: -np.log1p(np.exp(-x)),
}
LIMITS = {
    "exp": [(0.0, 1.0), (-INF, 0.0), (INF, INF), (1e4, INF), (-1e4, 0.0), (NAN, NAN)],
    "expm1": [(0.0, 0.0), (-INF, -1.0), (INF, INF), (1e4, INF), (-1e4, -1.0), (NAN, NAN)],
    "log": [(0.0, -INF), (-0.0, -INF), (1.0, 0.0), (INF, INF), (-1.0, NAN), (-INF, NAN), (NAN, NAN)],
    "log1p": [(-1.0, -INF), (0.0, 0.0), (INF, INF), (-2.0, NAN), (-INF, NAN), (NAN, NAN)],
    "tanh": [(0.0, 0.0), (40.0, 1.0), (-40.0, -1.0), (INF, 1.0), (-INF, -1.0), (NAN, NAN)],
    "erf": [(0.0, 0.0), (7.0, 1.0), (-7.0, -1.0), (INF, 1.0), (-INF, -1.0), (NAN, NAN)],
    "sigmoid": [(0.0, 0.5), (1e4, 1.0), (-1e4, 0.0), (INF, 1.0), (-INF, 0.0), (NAN, NAN)],
}


def samples(name: str, dtype: str) -> np.ndarray:
    """Numbers over the whole range in which the result is finite, most of them where it bends."""
    rng, n, info = np.random.default_rng(0), 20_000, np.finfo(dtype)
    largest, smallest = float(np.log(info.max)), float(np.log(info.smallest_subnormal))
    signed = rng.normal(size=n) * 2.0 ** rng.uniform(-70, 1, n)
    parts = {
        "exp": [rng.uniform(smallest, largest, n), signed],
        "expm1": [rng.uniform(-50, largest, n), signed],
        "log": [np.exp(rng.uniform(smallest, largest, n)), rng.uniform(0.5, 2, n), 1 + 0.01 * signed],
        "log1p": [np.exp(rng.uniform(-80, largest, n)), rng.uniform(-1, 1, n), np.maximum(signed, -0.9)],
    }
    x = np.concatenate(parts.get(name, [rng.uniform(-10, 10, n), rng.uniform(-80, 80, n), signed])).astype(dtype)
    return x[(x > -1) & (x != 0)] if name == "log1p" else x


def compiled(name: str, x: np.ndarray, accurate: bool = False) -> np.ndarray:
    with np.errstate(all="ignore"):
        return np.asarray(jit(lambda x: getattr(ops, name)(x), accurate=accurate)(x))


def ulps(y: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """Errors in units of the result's last digit."""
    with np.errstate(under="ignore"):
        unit = np.spacing(np.abs(exact).astype(y.dtype))
    return np.abs(y - exact) / unit


def module(names: list[str], dtype: str, decorate: Any = lambda f: f) -> dict[str, Any]:
    """The text that programs get, executed with or without Numba."""
    namespace: dict[str, Any] = {"math": math, "np": np}
    for name, text in definitions([TABLE[n] for n in names], kernels(dtype)).items():
        exec(in_float32(text) if dtype == "float32" else text, namespace)
        if text.startswith("def "):
            namespace[name] = decorate(namespace[name])
    return namespace


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", REFERENCES)
def test_error_bound(name: str, dtype: str) -> None:
    x = samples(name, dtype)
    with np.errstate(all="ignore"):
        exact = REFERENCES[name](x.astype(np.longdouble))
    errors = ulps(compiled(name, x), exact)
    worst = int(np.argmax(errors))
    # if long double is no longer than float64, the reference itself has errors
    slack = 0.0 if np.finfo(np.longdouble).eps < 1e-18 and name != "erf" else 1.0
    assert errors[worst] <= BOUND + slack, f"{name}({x[worst]!r}) is {errors[worst]:.2f} ulp off"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", LIMITS)
def test_limits_are_exact(name: str, dtype: str) -> None:
    given, expected = np.array(LIMITS[name], dtype=dtype).T
    np.testing.assert_array_equal(compiled(name, given.copy()), expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["tanh", "erf"])
def test_odd_symmetry_and_the_sign_of_zero(name: str, dtype: str) -> None:
    x = np.concatenate([[0.0], np.abs(samples(name, dtype))]).astype(dtype)
    y, mirrored = compiled(name, x), compiled(name, -x)
    np.testing.assert_array_equal(y, -mirrored)
    assert np.signbit(mirrored).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_denormal_numbers(dtype: str) -> None:
    info = np.finfo(dtype)
    x = np.array([info.smallest_subnormal, 5 * info.smallest_subnormal, info.tiny / 3], dtype=dtype)
    assert ulps(compiled("log", x), np.log(x.astype(np.longdouble))).max() <= 1.0
    assert ulps(compiled("exp", np.log(x)), np.exp(np.log(x).astype(np.longdouble))).max() <= 1.0
    np.testing.assert_array_equal(compiled("tanh", x), x)
    np.testing.assert_array_equal(compiled("log1p", x), x)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_accurate_is_the_c_library(name: str) -> None:
    x = samples(name, "float64")[::50]
    expected = [getattr(math, name)(v) for v in x.tolist()]
    np.testing.assert_array_equal(compiled(name, x, accurate=True), expected)


@pytest.mark.parametrize("name", REFERENCES)
def test_plain_python_gives_the_same_numbers(name: str) -> None:
    """Up to an ulp or two: compiled, a product and a sum may be one instruction with one rounding."""
    x = samples(name, "float64")[::50]
    plain = module([name], "float64")[name]
    with np.errstate(all="ignore"):
        y = np.array([plain(v) for v in x])
    assert ulps(y, compiled(name, x)).max() <= BOUND


@functools.cache
def float32_functions() -> dict[str, Any]:
    """All rows beside each other, so that what many of them call is compiled once.

    One is called here: where types are inferred before anything was compiled, Numba raises an error of its own.
    """
    functions = module(sorted(TABLE), "float32", njit(error_model="numpy"))
    functions["tanh"](np.float32(0.5))
    return functions


@pytest.mark.parametrize("name", sorted(TABLE))
def test_float32_stays_float32(name: str) -> None:
    """A float64 anywhere in the computation would come out as a float64 result, for which Numba's types are enough."""
    function = float32_functions()[name]
    found = type_inference_stage(
        cpu_target.typing_context,
        cpu_target.target_context,
        run_frontend(function.py_func),
        (types.float32,) * len(TABLE[name].parameters),
        None,
    )
    assert found.return_type in (types.float32, types.boolean)


def test_the_types_of_float32_are_those_of_what_is_compiled() -> None:
    for name in ("tanh", "gelu", "pow"):
        function = float32_functions()[name]
        function(*[np.float32(0.5)] * len(TABLE[name].parameters))
        assert function.nopython_signatures[0].return_type == types.float32


def test_a_float64_is_seen() -> None:
    function = njit(lambda x: x * np.float64(2.0))
    found = type_inference_stage(
        cpu_target.typing_context, cpu_target.target_context, run_frontend(function.py_func), (types.float32,), None
    )
    assert found.return_type == types.float64


def test_float32_text_has_no_float64_constant() -> None:
    for text in definitions(TABLE.values(), kernels("float32")).values():
        tree = ast.parse(in_float32(text))
        wrapped = {
            part
            for call in ast.walk(tree)
            if isinstance(call, ast.Call) and ast.unparse(call.func) == "np.float32"
            for part in ast.walk(call)
        }
        floats = [n for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, float)]
        assert all(n in wrapped for n in floats), text


def test_float32_sizes_do_not_widen_the_loop() -> None:
    f = jit(lambda x: (x * x).sum() / x.shape[0])
    f.value_and_grad(np.ones(8, dtype=np.float32))
    loops = [line for line in f.source.splitlines() if "[i0]" in line]
    assert loops
    assert not any("float(" in line or "x_0" in line for line in loops)


def test_in_float32() -> None:
    assert in_float32("y = 1.5 if x < math.inf else float(n + 1)") == (
        "y = np.float32(1.5) if x < np.float32(math.inf) else np.float32(n + 1)"
    )


def test_sums_are_at_least_as_good_as_naive_ones() -> None:
    x = np.random.default_rng(0).random(1_000_003).astype(np.float32)
    exact = math.fsum(x.tolist())
    naive = float(np.cumsum(x)[-1])
    assert abs(jit(lambda x: x.sum())(x) - exact) <= abs(naive - exact)


def test_accurate_sums_run_in_order() -> None:
    x = np.random.default_rng(0).random(10_001)
    f = jit(lambda x: x.sum(), accurate=True)
    assert f(x) == np.cumsum(x)[-1]
    assert "plus" not in f.source


def test_jit_takes_accurate_as_a_decorator() -> None:
    @jit(accurate=True)
    def f(x: Any) -> Any:
        return x.exp().sum()

    @jit
    def g(x: Any) -> Any:
        return x.exp().sum()

    x = np.linspace(-1.0, 1.0, 7)
    assert f(x) == pytest.approx(g(x), rel=1e-14)
    assert "math.exp" in f.source
    assert "math.exp" not in g.source


@pytest.mark.parametrize(("exponent", "name"), [(2, "square"), (0.5, "sqrt"), (-1, "reciprocal")])
def test_constant_powers_are_not_computed_as_powers(exponent: float, name: str) -> None:
    f = jit(lambda x: (x**exponent).sum())
    x = Tensor(np.array([0.5, 1.0, 3.0]), requires_grad=True)
    y = (x**exponent).sum()
    y.backward()
    value, gradient = f.value_and_grad(x)
    assert value == pytest.approx(float(y.array), rel=1e-15)
    np.testing.assert_allclose(gradient, x.grad, rtol=1e-15)
    assert f"{name}(x" in f.source
    assert "pow(" not in f.source

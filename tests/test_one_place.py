"""CONTRIBUTING's table: one new row, in one file of a copy of the package, and every part of the package knows it.

The rows are text, each added to the end of one file; the programs that use them run on that copy, in a process of their
own, and know the row by its name alone.
"""

import json
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # starts Python and compiles
ROOT = Path(__file__).parents[1]

# kind: (the one file, what is added to it, a program that passes the row through everything that reads the table)
PLACES = {
    "elementwise": (
        "core/ops.py",
        '''
        @op(partials=lambda _, x: (0.5 * x / sqrt(x * x + 1.0) + 1.0,))
        def bent_identity(x: float) -> float:
            """(√(x² + 1) - 1)/2 + x.  dy/dx = x/(2√(x² + 1)) + 1."""
            return 0.5 * (sqrt(x * x + 1.0) - 1.0) + x
        ''',
        """
        f, X = tg.ops.bent_identity, np.array([0.0, 2.0])
        assert f(0.0) == 0.0 and np.allclose(f(X), [0.0, 2.618034]) and f.partials(f(0.75), 0.75) == (1.3,)
        x = tg.Value(0.75); y = x.bent_identity(); y.backward(); assert math.isclose(x.grad, 1.3)
        t = tg.Tensor([0.0, 0.75], requires_grad=True)
        t.bent_identity().sum().backward()
        assert np.allclose(t.grad, [1, 1.3])
        assert tg.gradcheck(f, X) and 1.8 < tg.taylor_slope(f, 0.7) and math.isclose(tg.grad(tg.grad(f))(0.0), 0.5)
        assert np.allclose(tg.jit(lambda x: np.sum(f(x))).value_and_grad(np.array([0.0, 0.75]))[1], [1.0, 1.3])
        assert math.isclose(tg.jit(lambda x: f(x) * 2.0).value_and_grad(tg.Value(0.75))[1], 2.6)
        assert np.allclose(tg.vmap(f)(X), f(X))
        assert "bent_identity" in tg.draw(y).dot
        model = tg.nn.MLP([2, 4, 1], activation="bent_identity", seed=0)
        start = model.state_dict()
        runs = []
        for compiled in (False, True):
            model.load_state_dict(start)
            runs.append(tg.fit(model, *tg.data.xor_gate(), loss="mse", optimizer="sgd", epochs=9, compiled=compiled))
        assert np.allclose(runs[0].loss_curve, runs[1].loss_curve, rtol=1e-10)
        assert tg.clinic.diagnose(runs[0], budget_s=1.0, seeds=3).summary
        X, T, W = np.ones((3, 2)), np.zeros((3, 1)), np.array([[0.3], [0.4]])
        forward = lambda p: np.mean((f(X @ p["W"]) - T) ** 2)
        z = X @ W; d = 2.0 * (f(z) - T) / 3.0
        report = tg.clinic.check_backprop(forward, {"W": W}, {"W": X.T @ d})  # without the slope of the new activation
        assert report.slips[0].code == "missing_activation_derivative", report
        """,
    ),
    "array operation": (
        "core/reductions.py",
        '''
        @array_op(
            vjp=lambda g, y, x, axis, keepdims: (
                pull_to_extremes(g, max(x, axis, keepdims), x, axis)
                - pull_to_extremes(g, min(x, axis, keepdims), x, axis),
            ),
            shape=shape_of_extreme,
            made_of=lambda x, axis, keepdims: max(x, axis, keepdims) - min(x, axis, keepdims),
        )
        def peak_to_peak(x: ArrayLike, /, axis: Axes = None, keepdims: bool = False) -> Any:
            """max - min over the axes.  x̄ = ȳ at the largest, -ȳ at the smallest."""
            return reduce_axes("max", x, axis, keepdims) - reduce_axes("min", x, axis, keepdims)
        ''',
        """
        f, X = tg.ops.peak_to_peak, np.array([[1.0, 4.0, 2.5], [0.0, -1.0, 3.0]])
        assert f(X) == 5.0 and f(X, axis=1).tolist() == [3.0, 4.0]
        t = tg.Tensor(X, requires_grad=True); y = f(t, axis=1).sum(); y.backward()
        assert t.grad.tolist() == [[-1, 1, 0], [0, -1, 1]]
        assert tg.gradcheck(lambda x: f(x, axis=0), X) and tg.gradcheck(tg.grad(lambda x: np.sum(f(x, axis=1) ** 2)), X)
        value, gradient = tg.jit(lambda x: np.sum(f(x, axis=1) ** 2)).value_and_grad(X)
        assert value == 25.0 and gradient.tolist() == [[-6, 6, 0], [0, -8, 8]]
        assert tg.vmap(f)(X).tolist() == [3.0, 4.0]
        assert "peak_to_peak" in tg.draw(y).dot
        loss = lambda output, target: np.mean(f(output - target, axis=0) ** 2)
        curves = []
        for compiled in (False, True):
            model = tg.nn.MLP([2, 4, 1], seed=0)
            run = tg.fit(model, *tg.data.xor_gate(), loss=loss, optimizer="adam", epochs=9, compiled=compiled)
            curves.append(run.loss_curve)
        assert np.allclose(*curves, rtol=1e-10)
        """,
    ),
    "loss": (
        "core/losses/losses.py",
        '''
        @loss()
        def fourth_power(prediction: ArrayLike, target: ArrayLike) -> Any:
            """(p - t)⁴, in the mean.  p̄ = 4(p - t)³/n."""
            return (prediction - target) ** 4
        ''',
        """
        f = tg.nn.losses.fourth_power
        assert tg.nn.losses.find("fourth_power") is f and float(f([1.0, 3.0], [1.0, 1.0])) == 8.0
        assert tg.gradcheck(f, np.array([1.0, 3.0]), np.array([0.5, 1.0]))
        curves = []
        for backend, compiled in (("scalar", False), ("tensor", False), ("tensor", True)):
            model = tg.nn.MLP([2, 4, 1], seed=0, backend=backend)
            told = {"loss": "fourth_power", "optimizer": "adam", "epochs": 30, "compiled": compiled}
            run = tg.fit(model, *tg.data.xor_gate(), **told)
            curves.append(run.loss_curve)
        assert np.allclose(curves[0], curves[1], rtol=1e-12) and np.allclose(curves[1], curves[2], rtol=1e-10)
        assert run.config["loss"] == "fourth_power"
        tg.report(run, path=sys.argv[1] + "/r.html")
        assert "fourth_power" in open(sys.argv[1] + "/r.html").read()
        assert tg.clinic.diagnose(run, budget_s=1.0, seeds=3).summary
        assert "pow" in tg.draw(f(model(np.ones((2, 2))), np.ones((2, 1)))).dot
        """,
    ),
    "optimizer": (
        "optim/optimizers.py",
        '''
        def signed_average(w: Any, g: Any, m: Any, t: Any, lr: Any, beta: Any) -> Any:
            """m ← βm + (1-β)g,  w ← w - η·sign m. (Bernstein et al. 2018)"""
            from tinygrad_edu.core import ops

            m = beta * m + (1.0 - beta) * g
            return w - lr * ops.sign(m), m


        class Signum(Optimizer):
            """Moves by the sign of a running mean of gradients."""

            rule = staticmethod(signed_average)
            memories = 1

            def __init__(self, params: Parameters, lr: LearningRate = 1e-2, beta: float = 0.9) -> None:
                super().__init__(params, lr, beta=number("beta", beta, "[0, 1)"))
        ''',
        """
        assert tg.optim.Signum and "Signum" in tg.optim.__all__
        told = {"loss": "mse", "optimizer": "signum", "accurate": True}
        curves = []
        for backend, compiled in (("scalar", False), ("tensor", False), ("tensor", True)):
            model = tg.nn.MLP([2, 4, 1], seed=0, backend=backend)
            run = tg.fit(model, *tg.data.xor_gate(), **told, epochs=40, compiled=compiled)
            curves.append(run.loss_curve)
        assert np.allclose(curves[0], curves[1], rtol=1e-12) and np.allclose(curves[1], curves[2], rtol=1e-10)
        assert curves[0][-1] < 0.5 * curves[0][0]
        path = run.save(sys.argv[1] + "/run.safetensors")
        again = tg.nn.MLP([2, 4, 1], seed=0)
        longer = tg.fit(again, *tg.data.xor_gate(), **told, epochs=50, resume_from=path)
        assert longer.n_epochs == 50 and longer.loss_curve[:40].tolist() == run.loss_curve.tolist()
        assert tg.clinic.diagnose(run, budget_s=1.0, seeds=3).summary
        assert tg.clinic.diagnose(type(run).load(path), *tg.data.xor_gate(), budget_s=1.0, seeds=3).summary
        tg.report(run, path=sys.argv[1] + "/r.html")
        assert "tg.optim.Signum" in open(sys.argv[1] + "/r.html").read()
        """,
    ),
    "slip": (
        "clinic/examiner/slips/layer.py",
        """
        @slip(
            "absolute_gradient",
            sentence="The gradient of {W} has lost its sign: every entry is an absolute value.",
            fix="Take the absolute value for printing alone; the update needs the sign.",
            right="∂L/∂{W} = {x}ᵀ {d}",
            example="dW1 = np.abs(X.T @ d1)              # should be X.T @ d1",
        )
        def absolute_gradient(net: Any, learner: Any) -> Any:
            for layer, use in parameters(net):
                yield Variant(layer, "∂L/∂{W} = |{x}ᵀ {d}|", (final(net, use, np.abs),), use.parameter)
        """,
        """
        rng = np.random.default_rng(0)
        X, t, params = rng.normal(size=(5, 3)), rng.normal(size=(5, 1)), {"W": rng.normal(size=(3, 1))}
        forward = lambda p: np.mean((X @ p["W"] - t) ** 2)
        right = 2 * X.T @ (X @ params["W"] - t) / len(t)
        report = tg.clinic.check_backprop(forward, params, {"W": np.abs(right)})
        assert report.slips[0].code == "absolute_gradient" and "absolute value" in str(report), report
        assert not tg.clinic.check_backprop(forward, params, {"W": right}).wrong
        assert "absolute" in tg.clinic.grade(forward, params, {"W": np.abs(right)}).text
        """,
    ),
    "cause": (
        "clinic/diagnosis/causes/table.py",
        """
        from tinygrad_edu.clinic.diagnosis.symptoms.limits import LIMITS
        from tinygrad_edu.clinic.diagnosis.symptoms.symptom import symptom

        LIMITS["layers"] = 5.0


        @symptom("layers", kind="data")
        def many_layers(record: Any) -> Any:
            count = len(record.setup.sizes) - 2
            return count, f"The network has {count} hidden layers."


        declare(
            Cause(
                "too_many_layers",
                {"many_layers": 9.0},
                lambda r: changes.one(len(r.setup.sizes) > 3, sizes=(*r.setup.sizes[:2], r.setup.sizes[-1])),
                "The network has more layers than its gradient can pass.",
                "Take fewer hidden layers.",
            )
        )
        """,
        """
        model = tg.nn.MLP([2, *[8] * 8, 1], activation="sigmoid", seed=0)
        optimizer = tg.optim.Adam(model.parameters(), lr=0.03)
        run = tg.fit(model, *tg.data.moons(80, seed=1), loss="mse", optimizer=optimizer, epochs=300, batch_size=20)
        found = tg.clinic.diagnose(run, budget_s=60.0)
        assert found.causes[0].code == "too_many_layers" and found.causes[0].change["sizes"] == (2, 8, 1), found
        """,
    ),
}

WALK = """
import json, math, sys, traceback
import numpy as np
import tinygrad_edu as tg
from numba.core import config
from numba.core.registry import cpu_target
cpu_target.target_context.codegen()
config.OPT = type(config.OPT)(0)  # as in tests/compiler_of_tests.py: what is asked here is no matter of LLVM's passes
assert tg.__file__.startswith(sys.argv[1])

def said(path):
    try:
        with open(path, encoding="utf-8") as file:
            program = compile(file.read(), path, "exec")
        exec(program, {"__name__": "__main__", "math": math, "sys": sys, "np": np, "tg": tg})
    except BaseException:
        return traceback.format_exc()
    return ""

print(json.dumps([said(path) for path in sys.argv[2:]]))
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """What each program says, on one copy of the package with the rows of all: Python starts once, not six times."""
    folder = tmp_path_factory.mktemp("copy")
    # with its bytecode, which takes a second to make, but for what other workers are just writing
    shutil.copytree(ROOT / "tinygrad_edu", folder / "tinygrad_edu", ignore=shutil.ignore_patterns("*.pyc.*"))
    for file, row, _ in PLACES.values():
        with (folder / "tinygrad_edu" / file).open("a", encoding="utf-8") as target:
            target.write("\n\n" + textwrap.dedent(row))
    scripts = [folder / f"{kind}.py".replace(" ", "_") for kind in ("walk", *PLACES)]
    for script, text in zip(scripts, (WALK, *(program for _, _, program in PLACES.values())), strict=True):
        script.write_text(textwrap.dedent(text), encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    command = [sys.executable, str(scripts[0]), str(folder), *map(str, scripts[1:])]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder, timeout=300)
    assert done.returncode == 0, done.stderr
    return dict(zip(PLACES, json.loads(done.stdout.splitlines()[-1]), strict=True))


@pytest.mark.parametrize("kind", PLACES)
def test_one_place_is_enough(kind, results):
    assert results[kind] == ""


def test_contributing_says_so():
    """The first kinds of the table and their counts."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").replace("**", "")
    words = {"slip": "a mistake of the examiner", "cause": "a cause of the diagnosis"}
    for kind in PLACES:
        article = "an" if kind[0] in "aeo" else "a"
        name = words.get(kind, f"{article} {kind}" + " operation" * (kind == "elementwise"))
        row = next(line for line in text.splitlines() if line.startswith(f"| {name} |"))
        assert row.split("|")[2].strip().startswith("1"), row

"""The library on machines that lack a package: what NumPy can do is done, the rest says what to install."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# packages → the uses that need them. No use needs two packages of one row, so a row finds what each package alone would
# find: a process with 24 uses for each of 11 packages took a minute.
NEEDED_BY = {
    "numba,llvmlite,graphviz,platformdirs,pygraphviz": {"fit, compiled", "a picture's source"},
    "scipy": {"fit, compiled", "fit by L-BFGS", "classifier", "regressor by lbfgs"},
    # threadpoolctl is alone below: scikit-learn imports it, and programs ask it for BLAS's threads
    "sklearn,threadpoolctl,safetensors,tqdm,matplotlib": {
        "classifier", "regressor by lbfgs", "weights", "a run with weights",
    },
    "numba,llvmlite,scipy,sklearn,threadpoolctl,safetensors,graphviz,tqdm,platformdirs,matplotlib,pygraphviz,joblib": {
        "fit, compiled", "fit by L-BFGS", "classifier", "regressor by lbfgs", "weights", "a run with weights",
        "a picture's source",
    },
}  # fmt: skip
OFF = {"NUMBA_DISABLE_JIT": "1"}
PLAIN = {"NUMBA_OPT": "0"}  # what is asked here is no matter of LLVM's passes


def used(blocked, *names, **more):
    """What each use gave, or each of these."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.without", blocked, *names],
        cwd=ROOT, env={**os.environ, **PLAIN, **more}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


def refused(found):
    return {name: said for name, said in found.items() if said != "ok"}


@pytest.mark.slow
@pytest.mark.parametrize("blocked", NEEDED_BY, ids=lambda names: names[:30])
def test_what_can_run_runs_and_the_rest_names_the_package(blocked):
    found, _ = used(blocked)
    assert set(refused(found)) == NEEDED_BY[blocked], refused(found)
    each_names_the_package(found)


ESTIMATORS = ("classifier", "regressor by lbfgs")


@pytest.mark.slow
def test_what_scikit_learn_needs_is_named_too():
    """What needs scikit-learn needs threadpoolctl: of that row only these uses cannot tell which of the two it was."""
    found, _ = used("threadpoolctl", "fit", *ESTIMATORS)
    assert set(found) == {"fit", *ESTIMATORS}
    assert set(refused(found)) == set(ESTIMATORS), refused(found)
    assert all("which needs threadpoolctl" in found[name] for name in ESTIMATORS), found
    each_names_the_package(found)


def each_names_the_package(found):
    for name, said in refused(found).items():
        kind, _, words = said.partition(": ")
        assert kind in ("MissingPackageError", "TraceError"), (name, said)
        assert "pip install" in words, (name, said)
        assert "\n" not in words


@pytest.mark.slow
def test_numba_switched_off():
    found, _ = used("nothing", **OFF)
    assert refused(found) == {
        "fit, compiled": "TraceError: Numba is switched off (NUMBA_DISABLE_JIT is set): nothing can be compiled"
    }


WITHOUT_NUMPY = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("numpy", "scipy", "numba"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Block())
import tinygrad_edu as tg
"""
SCALAR = {
    "a graph": "x = tg.Value(2.0); y = (x * 3.0 + tg.ops.gelu(x)).tanh() / x; y.backward(); assert x.grad != 0.0",
    "a picture": "assert 'digraph' in str(tg.draw(tg.Value(1.0).tanh()).source())",
    "derivatives": "assert tg.grad(tg.grad(lambda x: x**3))(2.0) == 12.0",
    "several": "assert tg.value_and_grad(lambda a, b: a * b, (0, 1))(2.0, 5.0) == (10.0, (5.0, 2.0))",
    "a check": "assert tg.gradcheck(lambda x: tg.ops.sigmoid(x) * x, 0.5)",
    "modes": "with tg.no_grad(), tg.detect_anomaly(): tg.Value(1.0).exp()",
    "infinity": "x = tg.Value(0.0); y = 1.0 / x; y.backward(); assert y.data == -x.grad == float('inf')",
    "logarithms": "x = tg.Value(0.0); assert x.log().data == -float('inf') and tg.Value(-1.0).log().data != 0.0",
    "overflow": "assert tg.Value(1000.0).exp().data == float('inf') == (tg.Value(1e200) ** 2).data",
    "all names": "dir(tg); tg.errors.TinygradError; tg.ops.tanh",
}


def test_the_scalar_engine_needs_nothing_but_python():
    """All in one process, each with names of its own; the first that fails is named."""
    code = "\n".join(f"print({name!r})\ndef use():\n    {text}\nuse()" for name, text in SCALAR.items())
    command = [sys.executable, "-W", "error", "-c", WITHOUT_NUMPY + code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, [*done.stdout.splitlines()[-1:], done.stderr]
    assert done.stdout.splitlines() == list(SCALAR)


def test_without_numpy_every_other_name_says_what_to_install():
    code = (
        WITHOUT_NUMPY
        + """
for name in tg.__all__:
    try:
        getattr(tg, name)
    except tg.errors.MissingPackageError as error:
        assert str(error) == f"tg.{name} needs numpy: `pip install numpy` brings it", error
        assert isinstance(error, ImportError)
"""
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=ROOT, check=True)

"""PyTorch's own list of operations and samples (OpInfo), for each that NumPy or SciPy has under some name.

The reference of a value is NumPy on the same arrays; that of a gradient is PyTorch.
"""

import numpy as np
import pytest
import scipy.special

from tests.parity.torch_names import NUMPYS_NAMES, OPTIONS, SCIPYS_NAMES
from tinygrad_edu import Tensor
from tinygrad_edu.errors import TinygradError

pytestmark = [
    pytest.mark.torch,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # NumPy's warnings at log(0), and PyTorch's about its own list
]
SAMPLES = 40  # at most this many per operation
# Their results are random, plain Python numbers, or of a dtype without gradients.
NO_OPERATIONS = {"empty_like", "bool", "byte", "char", "double", "float", "half", "int", "long", "short"}
# No derivative here; each raises an error that says so.
REFUSED = {
    "cov", "frexp", "i0", "igamma", "igammac", "imag", "linalg.eig", "linalg.eigvals", "linalg.pinv", "linalg.qr",
    "linalg.svd", "log_softmax", "logsumexp", "nanquantile", "nextafter", "quantile", "softmax", "special.erfcx",
    "special.i0e", "special.i1", "special.i1e", "special.zeta", "unique",
}  # fmt: skip
# PyTorch splits the gradient between both halves; here only one half is read
SYMMETRIC = {"linalg.cholesky", "linalg.eigvalsh"}


def is_refused(name):
    return name in REFUSED or name.startswith("fft.")


def numpys(name):
    """NumPy's or SciPy's function for one of PyTorch's, or None."""
    if name in SCIPYS_NAMES or name.startswith("special."):
        return getattr(scipy.special, SCIPYS_NAMES.get(name, name.removeprefix("special.")), None)
    found = np
    for part in NUMPYS_NAMES.get(name, name).split("."):
        found = getattr(found, part, None)
    return found if callable(found) else None


def replaced(x, make):
    """The arguments of a sample with its tensors made into something else."""
    import torch

    if isinstance(x, torch.Tensor):
        return make(x)
    if isinstance(x, (list, tuple)):
        parts = [replaced(each, make) for each in x]
        return tuple(parts) if isinstance(x, tuple) else parts
    return x


def flat(results):
    return [y for each in results for y in flat(each)] if isinstance(results, (list, tuple)) else [results]


class Call:
    """One sample: called by NumPy, here and by PyTorch."""

    def __init__(self, operation, sample):
        self.operation, self.function = operation, numpys(operation.name)
        self.arguments = (sample.input, *sample.args)
        if operation.name == "permute" and len(self.arguments) > 2:
            self.arguments = (sample.input, sample.args)
        self.torchs = sample.kwargs
        self.options = {OPTIONS.get(k, k): x for k, x in sample.kwargs.items() if OPTIONS.get(k, k)}

    def by(self, make, function=None):
        options = self.options if function is None else self.torchs
        named = {k: replaced(x, make) for k, x in options.items()}
        return flat((function or self.function)(*replaced(self.arguments, make), **named))

    def by_numpy(self):
        """NumPy's results as arrays of real numbers; None where it says no, or means something else."""
        try:
            found = list(map(np.asarray, self.by(lambda x: x.detach().numpy())))
        except Exception:
            return None
        return found if all(y.dtype.kind in "biuf" for y in found) else None

    def here(self):
        """(results, leaves)"""
        leaves = []

        def make(x):
            array = x.detach().numpy()
            if array.dtype != np.float64:
                return array
            leaves.append(Tensor(array.copy(), requires_grad=True))
            return leaves[-1]

        return self.by(make), leaves

    def by_pytorch(self, results):
        """The gradients of the weighted sum of its results, where they are equal to ours; else None."""
        import torch

        leaves = []

        def make(x):
            if x.dtype != torch.float64:
                return x
            leaves.append(x.detach().clone().requires_grad_(True))
            return leaves[-1]

        try:
            found = [y for y in self.by(make, self.operation.op) if isinstance(y, torch.Tensor) and y.requires_grad]
            same = [tuple(y.shape) for y in found] == [y.shape for y in results]
            if not found or not same or not all(map(equal, [y.detach().numpy() for y in found], results)):
                return None
            sum((y * torch.tensor(weights(y.shape))).sum() for y in found).backward()
        except Exception:
            return None
        return [np.zeros(x.shape) if x.grad is None else x.grad.numpy() for x in leaves]


def weights(shape):
    return np.random.default_rng(0).normal(size=tuple(shape))


def equal(a, b, rtol=1e-8):
    a, b = (np.asarray(x.data if isinstance(x, Tensor) else x) for x in (a, b))
    return a.shape == b.shape and np.allclose(a, b, rtol=rtol, atol=1e-10, equal_nan=True)


def fault_of(call):
    """(what is wrong with one sample, or ""; was its gradient compared?)"""
    expected = call.by_numpy()
    if expected is None:
        return "", False
    try:
        results, leaves = call.here()
    except TinygradError as error:
        return "" if is_refused(call.operation.name) else f"refused: {error}", False
    if len(results) != len(expected) or not all(map(equal, results, expected)):
        return f"{results} instead of {expected}", False
    differentiable = [y for y in results if isinstance(y, Tensor) and y.requires_grad]
    gradients = call.by_pytorch(differentiable) if differentiable else None
    if gradients is None:
        return "", False
    total = sum(((y * weights(y.shape)).sum() for y in differentiable), start=0.0)
    total.backward()
    for leaf, expected_gradient in zip(leaves, gradients, strict=True):
        found = np.zeros(leaf.shape) if leaf.grad is None else np.asarray(leaf.grad)
        if call.operation.name in SYMMETRIC:
            found = 0.5 * (found + np.swapaxes(found, -1, -2))
        if not equal(found, expected_gradient):
            return f"gradient {found} instead of {expected_gradient}", True
    return "", True


def test_every_sample_of_pytorchs_list():
    """1,122 gradients of 214 names when this was written."""
    pytest.importorskip("expecttest", reason="PyTorch's list needs it: python -m pip install expecttest")
    import torch
    from torch.testing._internal.common_methods_invocations import op_db

    faults, names, compared = {}, set(), 0
    for operation in op_db:
        if operation.variant_test_name or operation.name in NO_OPERATIONS or numpys(operation.name) is None:
            continue
        try:
            samples = list(operation.sample_inputs("cpu", torch.float64, requires_grad=True))[:SAMPLES]
        except (RuntimeError, ValueError):  # an operation on other dtypes
            continue
        names.add(operation.name)
        for sample in samples:
            call = Call(operation, sample)
            fault, with_gradient = fault_of(call)
            compared += with_gradient
            if fault:
                faults.setdefault(operation.name, f"{fault:.300}, for {call.arguments} {call.options}"[:600])
    assert not faults, "\n".join(f"{name}: {fault}" for name, fault in faults.items())
    assert len(names) > 190
    assert compared > 1000

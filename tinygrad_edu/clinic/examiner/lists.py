"""Hand-written backprop in pure Python, on nested lists and `math`: run on Values, then written over as arrays.

The learner's forward is called as it is, except that `math.exp` and its like are exchanged for the operations of the
same name while it runs. That gives exact gradients. Where the graph of single numbers turns out to be layers
(`vectors.py`), the same search as for NumPy code follows; else only slips that show in finished gradients are named.

>>> import math
>>> def forward(p):
...     z = sum(w * x for w, x in zip(p["w"], [0.5, -1.0, 2.0]))
...     return 0.5 * (1 / (1 + math.exp(-z)) - 1.0) ** 2
>>> report = check_lists(forward, {"w": [0.1, 0.2, 0.3]}, {"w": [-0.0357, 0.0714, -0.1429]})
>>> report.ok, list(report.wrong)
(False, ['w'])
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.catalogue import Learner
from tinygrad_edu.clinic.examiner.check import examine, learner_gradients, stand_in
from tinygrad_edu.clinic.examiner.inputs import Forward, arrays, check_rate, plain_loss
from tinygrad_edu.clinic.examiner.network import Network
from tinygrad_edu.clinic.examiner.patch_math import operations_for_math
from tinygrad_edu.clinic.examiner.report import BackpropReport
from tinygrad_edu.clinic.examiner.tracing import listed
from tinygrad_edu.clinic.examiner.vectorize import NoLayersError, rebuilt
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.core.value import Value
from tinygrad_edu.errors import ExaminerError

Array = np.ndarray[Any, Any]
NOT_LAYERS = (
    "The numbers could not be put together to layers ({}), so only slips that show in finished gradients can be named."
)


def check_lists(
    forward: Forward,
    params: Mapping[str, Any],
    grads: Mapping[str, Any] | None = None,
    *,
    lr: float | None = None,
    updated: Mapping[str, Any] | None = None,
) -> BackpropReport:
    """`check_backprop` for pure Python: forward(params) → loss, with params a dict of name → number or nested lists.

    grads, lr, updated: as of `check_backprop`, as nested lists of the same form.
    Errors: as `check_backprop`.

    >>> def forward(p):
    ...     return (p["w"][0] * 2.0 + p["w"][1] * 3.0 - 1.0) ** 2
    >>> check_lists(forward, {"w": [1.0, 1.0]}, {"w": [16.0, 24.0]}).ok
    True
    >>> check_lists(forward, {"w": [1.0, 1.0]}, {"w": [-16.0, -24.0]}).slips[0].code
    'sign_flipped'
    """
    weights, rate = arrays("params", params), check_rate(lr)
    given, tolerances = learner_gradients(weights, grads, updated, rate)
    plain_loss(forward, weights, lambda numbers: nested(params, numbers, float))
    net, note = traced(forward, params, weights)
    report = examine(
        net, Learner(weights, given, rate), tolerances, lambda p: traced(forward, params, p)[0], "traced", note
    )
    if report.probe is not None:
        report.probe = replace(report.probe, params=nested(params, report.probe.params, float))
    return report


def traced(forward: Forward, like: Mapping[str, Any], params: Mapping[str, Array]) -> tuple[Network, str]:
    """The network that the forward computes at these parameters, handed to it in the form of `like`; and a note."""
    leaves = {name: np.array([Value(w, label=name) for w in x.flat], dtype=object) for name, x in params.items()}
    with operations_for_math(forward):
        loss = forward(nested(like, {n: v.reshape(params[n].shape) for n, v in leaves.items()}, None))
    if not isinstance(loss, Value):
        raise ExaminerError(
            f"forward on Values returned {loss!r:.60}: use + - * / ** and the functions of `math` on the numbers"
        )
    return network_of_values(loss, leaves, params)


def nested(like: Mapping[str, Any], numbers: Mapping[str, Any], kind: Callable[[Any], Any] | None) -> dict[str, Any]:
    """The numbers in the form in which the learner keeps them: fresh lists, which may be written to."""
    made = {}
    for name, given in like.items():
        array = numbers[name]
        convert = array.astype(float).tolist() if kind else array.tolist()
        made[str(name)] = convert if np.ndim(given) or not isinstance(convert, list) else convert[0]
    return made


def network_of_values(loss: Value, leaves: Mapping[str, Array], params: Mapping[str, Array]) -> tuple[Network, str]:
    """The layers that the single numbers make, if they do; their gradients must be those of the numbers."""
    loss.backward()
    exact = {n: np.array([w.grad for w in v]).reshape(params[n].shape) for n, v in leaves.items()}
    try:
        tensors = {n: Tensor(x, requires_grad=True, dtype=float, label=n) for n, x in params.items()}
        net = Network(listed(rebuilt(loss, leaves, tensors), tensors))
        same = all(np.allclose(total(net, n), g, rtol=1e-9, atol=1e-14) for n, g in exact.items())
        if same and net.layers:
            return net, ""
        reason = "written as arrays they give other gradients"
    except NoLayersError as error:
        reason = str(error)
    return stand_in(params, exact), NOT_LAYERS.format(reason)


def total(net: Network, name: str) -> Any:
    program = net.program
    parts = [
        program.moved_back(program.steps[u.step].parents[u.slot], program.handed[u.step][u.slot])
        for u in net.uses[name]
    ]
    return sum(parts[1:], parts[0]) if parts else 0.0

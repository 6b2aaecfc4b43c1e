"""Every operation by name, on numbers, arrays, Values and Tensors: `tg.ops.tanh(x)`, `tg.ops.matmul(a, b)`.

The elementwise ones need the standard library only; the ones on whole arrays load NumPy when first asked for.

>>> from tinygrad_edu import ops
>>> ops.relu(-2.0), ops.sum([1.0, 2.0])
(0.0, np.float64(3.0))
"""

from __future__ import annotations

import importlib
from typing import Any

from tinygrad_edu.core import ops as elementwise
from tinygrad_edu.core.operation import ARRAY_TABLE, COMPOSED, TABLE
from tinygrad_edu.core.own_operations import OWN
from tinygrad_edu.errors import unknown_name


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    for table in (TABLE, OWN, ARRAY_TABLE, COMPOSED):  # the last two are filled when `array_operations` is imported
        if name in table:
            return table[name]
    operation = array_operations().get(name)
    if operation is None:
        raise AttributeError(str(unknown_name("operation", name, __dir__())))
    return operation


def __dir__() -> list[str]:
    return sorted({**TABLE, **OWN, **array_operations()})


def array_operations() -> dict[str, Any]:
    """The operations on whole arrays, by name."""
    importlib.import_module(f"{elementwise.__package__}.array_operations")
    return {**ARRAY_TABLE, **COMPOSED}

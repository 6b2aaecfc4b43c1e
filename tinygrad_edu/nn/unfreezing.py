"""A loop over `parameters()` that sets requires_grad, of a module some of whose parameters are frozen.

PyTorch's parameters() has the frozen ones too, so `for p in model.parameters(): p.requires_grad = True` unfreezes them.
Here they are left out, and the loop would do nothing without a word.
"""

from __future__ import annotations

import re
import sys
import warnings
from dis import get_instructions
from pathlib import Path
from types import CodeType
from typing import Any

from tinygrad_edu.nn.parameters import is_kept, parameters_in

HERE = str(Path(__file__).parent)
SHOWN = 3  # names in the warning


def parameters_asked_for(modules: list[tuple[str, Any]], leaves: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """(name, parameter), with a warning if the caller loops over them to set requires_grad, and frozen ones are left
    out."""
    kept = [(name, leaf) for name, leaf in leaves if is_kept(leaf)]
    buffers = [getattr(module, name) for _, module in modules for name in module.buffer_names] if kept else []
    frozen = [name for name, leaf in kept if not any(leaf is each for each in buffers)]
    if frozen:
        warn_of_frozen(frozen)
    return parameters_in(leaves)


def warn_of_frozen(frozen: list[str]) -> None:
    """Warn in the program's line, if it is such a loop."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_code.co_filename.startswith(HERE):
        frame, level = frame.f_back, level + 1
    if unfreezes(frame.f_code, frame.f_lasti):
        more = f" and {len(frozen) - SHOWN} more" if len(frozen) > SHOWN else ""
        first = re.sub(r"\.(\d+)", r"[\1]", f"model.{frozen[0]}")
        warnings.warn(
            f"this loop does not reach {', '.join(frozen[:SHOWN])}{more}: parameters() leaves out what requires no "
            "gradient, also parameters that are frozen. Keep the list that it gave before they were frozen, or set "
            f"requires_grad of each by its name, as in {first}.requires_grad = True",
            stacklevel=level,
        )


def unfreezes(code: CodeType, at: int) -> bool:
    """Is the call at this place of the code what a loop goes over, which sets requires_grad to anything but False?"""
    if "requires_grad" not in code.co_names and "requires_grad_" not in code.co_names:
        return False
    after = [step for step in get_instructions(code) if step.offset > at and step.opname != "EXTENDED_ARG"][:40]
    loop = next((i for i, step in enumerate(after[:3]) if step.opname == "FOR_ITER"), None)
    if loop is None or after[0].opname != "GET_ITER":
        return False
    body = [step for step in after[loop:] if step.offset < after[loop].argval]
    for i, step in enumerate(body):
        if step.argval == "requires_grad_":
            return not any(each.argval is False for each in body[i + 1 : i + 4])
        if step.opname == "STORE_ATTR" and step.argval == "requires_grad":
            return not any(each.argval is False for each in body[max(i - 2, 0) : i])
    return False

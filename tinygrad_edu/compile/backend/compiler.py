"""Is there a compiler? Without one, the same programs run as Python, or operation by operation."""

from __future__ import annotations

import functools

from tinygrad_edu import packages


@functools.cache
def missing() -> str:
    """Why nothing can be compiled here, in a sentence that says what to do; "" if it can."""
    try:
        with packages.forgetting_halves():
            import llvmlite  # noqa: F401
            from numba import config
    except ImportError:
        return "Numba is not installed (`pip install numba` brings the compiler)"
    if not packages.available("scipy"):
        return "SciPy is not installed (`pip install scipy` brings the matrix product of compiled programs)"
    off = getattr(config, "DISABLE_JIT", False)
    return "Numba is switched off (NUMBA_DISABLE_JIT is set)" if off else ""

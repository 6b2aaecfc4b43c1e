"""How many threads each library works with: what sets it, and what the libraries say themselves."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

from bench.speed.workload import is_installed

# OpenMP (torch), the usual BLAS builds of NumPy and SciPy, and Numba; XLA (JAX) sizes its pool by NPROC.
VARIABLES = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
    "NUMBA_NUM_THREADS", "NPROC",
)  # fmt: skip

# Set on some machines for other builds of OpenBLAS: it halves the speed of products where a newer kernel would run.
SLOWING = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")


def limits(threads: int) -> dict[str, str]:
    """The environment in which every library takes that many."""
    return dict.fromkeys(VARIABLES, str(threads))


def threads_in_force() -> dict[str, int]:
    """How many threads each library that is loaded would use, asked of the library itself; a BLAS with its kernel."""
    found: Counter[str] = Counter()
    if is_installed("threadpoolctl"):
        import threadpoolctl

        for pool in threadpoolctl.threadpool_info():
            library = " ".join([pool["internal_api"], *([pool["architecture"]] if pool.get("architecture") else [])])
            found[library] = max(found[library], pool["num_threads"])
    if "torch" in sys.modules:
        found["torch"] = sys.modules["torch"].get_num_threads()
    if "numba" in sys.modules:
        found["numba"] = sys.modules["numba"].get_num_threads()
    if "jax" in sys.modules:
        found["xla"] = sum(name.startswith("tf_XLAEigen") for name in own_threads())
    return {library: number for library, number in found.items() if number}


def own_threads() -> list[str]:
    """The names of this process's threads, where the system lists them (Linux)."""
    return [path.read_text(encoding="utf-8").strip() for path in Path("/proc/self/task").glob("*/comm")]

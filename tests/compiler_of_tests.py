"""How much LLVM optimizes the programs of a test.

Half of the time of compiling a program is that of LLVM's passes. `make test` and `make test-fast` set
TINYGRAD_EDU_TEST_PLAIN=1: where a test asks what the library does with a program, and not how quick the machine code is
or in which order it adds, they are left out; the library's own text and its translation are the same. Whether optimized
programs give the same numbers is asked by the folders that are not in PLAIN, and by tests marked `optimized`. Without
the variable everything is compiled as for users.
"""

import importlib.util
import os
import sys

ROOMS = ("clinic", "course", "draw", "interop", "nn", "optim", "report", "train")
FILES = (
    "tests/test_bench", "tests/compile/calls/test_arguments", "tests/compile/calls/test_quick_calls",
    "tests/compile/arrays/test_repeats",
    "tests/core/transforms/test_float32_in_transforms", "tests/core/transforms/test_vmap_of_losses",
)  # fmt: skip
PLAIN = (*(f"tests/{name}/" for name in ROOMS), *(f"{name}.py" for name in FILES))
VARIABLE = "TINYGRAD_EDU_CACHE"
STATE = {"optimized": True, "folder": None, "patch": None}


def begin(folder, patch):
    """From now on programs go to this folder; each way of compiling has a part of its own."""
    STATE.update(folder=folder, patch=patch)
    set_folder()


def end():
    set_passes(True)
    STATE.update(folder=None, patch=None, optimized=True)


def choose(item):
    """Before a test and its fixtures."""
    plain = item.nodeid.startswith(PLAIN) and item.get_closest_marker("optimized") is None
    optimized = not plain or not os.environ.get("TINYGRAD_EDU_TEST_PLAIN")
    if optimized is not STATE["optimized"]:
        set_passes(optimized)
        STATE["optimized"] = optimized
        set_folder()
        forget_programs()


def set_folder():
    if STATE["folder"] is not None:
        own = STATE["folder"] / ("optimized" if STATE["optimized"] else "plain")
        own.mkdir(mode=0o700, parents=True, exist_ok=True)
        STATE["patch"].setenv(VARIABLE, str(own))


# What keeps loaded programs for the whole process: (module, its dict or its function with a cache)
KEPT = (
    ("tinygrad_edu.train.compiled.programs", "PROGRAMS"),
    ("tinygrad_edu.estimators.network", "program"),
    ("tinygrad_edu.compile.scalar.tape_loops", "loops"),
)


def forget_programs():
    """A program that was compiled in the other way rounds in another way: the next test that needs it makes it anew."""
    for module, name in KEPT:
        kept = getattr(sys.modules.get(module), name, None)
        if kept is not None:
            getattr(kept, "cache_clear", getattr(kept, "clear", None))()


def set_passes(optimized):
    """Numba reads this number for each program. Its code generator is made before, for optimized programs."""
    if importlib.util.find_spec("numba") is None:
        return
    from numba.core import config
    from numba.core.registry import cpu_target

    cpu_target.target_context.codegen()
    config.OPT = type(config.OPT)(3 if optimized else 0)

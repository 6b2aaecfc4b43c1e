"""The helpers of the team (team.py): threads that are there while a training runs whose steps are worth sharing."""

from __future__ import annotations

import ctypes
import functools
import os
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

from tinygrad_edu.compile.backend.blas_threads import ONE_THREAD, controller, for_product
from tinygrad_edu.compile.backend.compiler import missing

SHARED = 2**22  # multiplications in the largest product; from here on helpers pay off on every machine
MOST_THREADS = 4  # with more threads, large products are left to BLAS: nothing was measured there


class Helpers:
    """Helpers, and BLAS in one thread, while anyone is inside; the last to leave sends them away."""

    def __init__(self) -> None:
        self.count, self.lock, self.inside = 0, threading.Lock(), 0
        self.threads: list[threading.Thread] = []

    def __enter__(self) -> None:
        with self.lock:
            if self.inside == 0:
                self.start()
            self.inside += 1

    def __exit__(self, *error: Any) -> None:
        with self.lock:
            self.inside -= 1
            if self.inside == 0:
                self.stop()

    def start(self) -> None:
        from tinygrad_edu.compile.backend import team

        run = machine_code()
        team.MEMORY[team.STOP], team.MEMORY[team.HELPERS] = 0, self.count
        self.threads = [threading.Thread(target=run, daemon=True, name=f"helper {i}") for i in range(self.count)]
        for thread in self.threads:
            thread.start()

    def stop(self) -> None:
        from tinygrad_edu.compile.backend import team

        team.MEMORY[team.STOP] = 1
        for thread in self.threads:
            thread.join()
        team.MEMORY[team.HELPERS] = 0
        self.threads = []


HELPERS = Helpers()


@contextmanager
def for_training(work: int) -> Generator[None, None, None]:
    """Threads for a training whose largest product has so many multiplications: helpers, or BLAS's own."""
    count = helpers_for(work)
    if not count:
        with for_product(work):
            yield
        return
    HELPERS.count = count
    with HELPERS, ONE_THREAD:
        yield


def helpers_for(work: int) -> int:
    """How many: none where products are BLAS's (matmul.py), or where it has one thread, or more than were measured."""
    if work < SHARED or not can_share():
        return 0
    threads = min(threads_of_blas(), processors())
    return threads - 1 if 1 < threads <= MOST_THREADS else 0


def threads_of_blas() -> int:
    """How many threads a product may use now, by the environment or by threadpoolctl; 1 where nobody can say."""
    found = [x.num_threads for x in getattr(controller(), "lib_controllers", []) if x.user_api == "blas"]
    return min(found, default=1)


def processors() -> int:
    """Those that this process may use."""
    ask = getattr(os, "sched_getaffinity", None)
    return len(ask(0)) if ask else os.cpu_count() or 1


@functools.cache
def can_share() -> bool:
    """Is there a compiler, and does it write products that can be shared?"""
    if missing():
        return False
    from tinygrad_edu.compile.backend.matmul import in_parts_here

    return in_parts_here()


@functools.cache
def machine_code() -> Callable[[], None]:
    """The work of a helper, which does not hold Python's lock."""
    from llvmlite import binding, ir

    from tinygrad_edu.compile.backend import team

    module = ir.Module("helper")
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), []), "tinygrad_edu_helper")
    builder = ir.IRBuilder(function.append_basic_block())
    team.write_helper(builder, team.team_of(builder))
    builder.ret_void()
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    target = binding.Target.from_default_triple().create_target_machine(opt=2)
    engine = binding.create_mcjit_compiler(binding.parse_assembly(str(module)), target)
    engine.finalize_object()
    ENGINES.append(engine)  # kept, because its machine code is freed with it
    return ctypes.CFUNCTYPE(None)(engine.get_function_address(function.name))


ENGINES: list[Any] = []

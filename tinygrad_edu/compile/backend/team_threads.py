"""The helpers of the team (team.py): threads that are there while a training runs whose steps are worth sharing."""

from __future__ import annotations

import ctypes
import functools
import os
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from tinygrad_edu.compile.backend.blas_threads import ONE_THREAD, controller, for_product
from tinygrad_edu.compile.backend.compiler import missing
from tinygrad_edu.core.mutex import Mutex

# Multiplications of the largest product: from SHARED on, helpers are worth it where they answer quickly, from LARGE on
# everywhere; of all such products of a training, from TOTAL on: the threads take 0.2 ms to begin and to end.
SHARED, LARGE, TOTAL = 2**20, 2**22, 2**28
# Seconds that a helper may take to answer: 0.16 µs where both cores have a cache in common, 0.6 µs and more where a
# hypervisor has put them far apart, or where other work keeps the helper waiting. An epoch of 900-64-10, batch 32,
# float64 took 43 ms without helpers, 33 with one that was near, 57 with one that was not.
NEAR = 4e-7
TRIES, ROUNDS = 4, 10  # of measuring that
MOST_THREADS = 4  # with more threads, large products are left to BLAS: nothing was measured there


class Helpers:
    """Helpers while anyone is inside; the last to leave sends them away.

    count: how many; near: only such as answer quickly?
    """

    def __init__(self) -> None:
        self.count, self.near, self.lock, self.inside = 0, False, Mutex(), 0
        self.threads: list[threading.Thread] = []

    def __enter__(self) -> None:
        with self.lock.freed(), self.lock.taken:
            if self.inside == 0:
                self.start()
            self.inside += 1

    def __exit__(self, *error: Any) -> None:
        with self.lock.freed(), self.lock.taken:
            self.inside -= 1
            if self.inside == 0:
                self.stop()

    def start(self) -> None:
        from tinygrad_edu.compile.backend import team

        run = machine_code().help
        team.MEMORY[team.STOP], team.MEMORY[team.HELPERS] = 0, self.count
        self.threads = [threading.Thread(target=run, daemon=True, name=f"helper {i}") for i in range(self.count)]
        for thread in self.threads:
            thread.start()
        if self.near and reply_seconds() > NEAR:
            self.stop()

    def stop(self) -> None:
        from tinygrad_edu.compile.backend import team

        team.MEMORY[team.STOP] = 1
        for thread in self.threads:
            thread.join()
        team.MEMORY[team.HELPERS] = 0
        self.threads = []


HELPERS = Helpers()


@contextmanager
def for_training(work: int, steps: int) -> Generator[None, None, None]:
    """Threads for a training: helpers, or BLAS's own.

    work: multiplications of the largest product; steps: how often it is computed.
    """
    count = helpers_for(work, steps)
    if not count:
        with for_product(work):
            yield
        return
    HELPERS.count, HELPERS.near = count, work < LARGE
    with HELPERS, ONE_THREAD:
        yield


def helpers_for(work: int, steps: int) -> int:
    """How many: none where products are BLAS's (matmul.py), or where it has one thread, or more than were measured."""
    if work < SHARED or work * steps < TOTAL or not can_share():
        return 0
    threads = min(threads_of_blas(), processors())
    return threads - 1 if 1 < threads <= MOST_THREADS else 0


def threads_of_blas() -> int:
    """How many threads a product may use now, by the environment or by threadpoolctl; 1 where nobody can say."""
    found = [x.num_threads for x in getattr(controller(), "lib_controllers", []) if x.user_api == "blas"]
    return min(found, default=1)


def processors() -> int:
    """How many processors this process may use."""
    ask = getattr(os, "sched_getaffinity", None)
    return len(ask(0)) if ask else os.cpu_count() or 1


@functools.cache
def can_share() -> bool:
    """Is there a compiler, and does it write products that can be shared?"""
    if missing():
        return False
    from tinygrad_edu.compile.backend.matmul import in_parts_here

    return in_parts_here()


class MachineCode:
    """The work of a helper, and meetings with one (team.py), which do not hold Python's lock."""

    def __init__(self) -> None:
        from llvmlite import binding, ir

        from tinygrad_edu.compile.backend import team

        module, number = ir.Module("helper"), ir.IntType(64)
        for name, kinds in (("help", []), ("meet", [number])):
            function = ir.Function(module, ir.FunctionType(ir.VoidType(), kinds), f"tinygrad_edu_{name}")
            builder = ir.IRBuilder(function.append_basic_block())
            write = team.write_meetings if kinds else team.write_helper
            write(builder, team.team_of(builder), *function.args)
            builder.ret_void()
        binding.initialize_native_target()
        binding.initialize_native_asmprinter()
        target = binding.Target.from_default_triple().create_target_machine(opt=2)
        # kept, because its machine code is freed with it
        self.engine = binding.create_mcjit_compiler(binding.parse_assembly(str(module)), target)
        self.engine.finalize_object()
        self.help = ctypes.CFUNCTYPE(None)(self.engine.get_function_address("tinygrad_edu_help"))
        self.meet = ctypes.CFUNCTYPE(None, ctypes.c_int64)(self.engine.get_function_address("tinygrad_edu_meet"))


@functools.cache
def machine_code() -> MachineCode:
    return MachineCode()


def reply_seconds() -> float:
    """How long a meeting with a helper takes, the best of a few tries."""
    meet, found = machine_code().meet, []
    for _ in range(TRIES):
        start = time.perf_counter()
        meet(ROUNDS)
        found.append((time.perf_counter() - start) / ROUNDS)
    return min(found)

"""Threads that share the parts of one large step, such as the columns of a product or the weights of an update.

BLAS wakes its threads for each product, its caller waits for all of them, and what is between the products is done by
one. Here helpers look for work as long as a training runs (team_threads.py), and whoever is free takes the next part: a
helper that the operating system has put aside holds up at most the part that it was at. The numbers do not depend on
who computes them. GFLOP/s in float32 on two threads of an AMD Zen 5, OpenBLAS and this:
    aᵀ·b of 512 x 128 x 784   320, 480
    a·b of 128 x 512 x 512    300, 510
    a·bᵀ of 128 x 900 x 64    270, 385

A process has one team. A task is published as one word, (number of the task, end and start of the parts that are not
taken): the caller takes parts from the start, helpers from the end, each by one atomic exchange.
"""

from __future__ import annotations

import os
import platform
from typing import Any

import numpy as np
from llvmlite import binding, ir
from numba.core import cgutils

from tinygrad_edu.compile.backend.aliases import Builder, IRValue

SIZE = ir.IntType(64)
POINTER = ir.IntType(8).as_pointer()
PART = ir.FunctionType(ir.VoidType(), [POINTER, SIZE])  # computes one part; the first argument points to its operands
NAME = "tinygrad_edu_team"
# Offsets in the team's memory; numbers that several threads write have cache lines of their own.
IN_USE, HELPERS, STOP, FUNCTION, OPERANDS, TAKEN, DONE, LENGTH = 0, 16, 17, 32, 33, 48, 64, 80
MOST = 2**15  # largest number of parts of a task
SPINS = 5_000  # polls (0.1 ms) after which a thread yields before each poll
NAPS = 7_000  # polls after which a helper sleeps before each poll
NAP = 50  # microseconds
LATE = 300  # looks, 5 µs, after which nobody is waited for in a meeting
PAUSE = "llvm.x86.sse2.pause" if platform.machine() in ("x86_64", "AMD64") else ""
POSSIBLE = os.name == "posix"  # the system has functions by which a thread yields


def aligned(numbers: int) -> np.ndarray[Any, Any]:
    """Zeros that begin with a line of the cache."""
    room = np.zeros(numbers + 16, dtype=np.int64)
    return room[-(room.ctypes.data // 8) % 16 :][:numbers]


# At import, because programs from the disk cannot be loaded before the name is known.
MEMORY = aligned(LENGTH)
binding.add_symbol(NAME, MEMORY.ctypes.data)


class Team:
    """The team's memory in machine code."""

    def __init__(self, builder: Builder, data: IRValue) -> None:
        self.builder, self.data = builder, data

    def at(self, place: int) -> Any:
        return self.builder.gep(self.data, [SIZE(place)])

    def load(self, place: int) -> Any:
        return self.builder.load_atomic(self.at(place), "acquire", 8)

    def store(self, place: int, x: IRValue) -> None:
        self.builder.store_atomic(x, self.at(place), "release", 8)

    def add(self, place: int, x: int) -> None:
        self.builder.atomic_rmw("add", self.at(place), SIZE(x), "acq_rel")

    def exchange(self, place: int, old: IRValue, new: IRValue) -> Any:
        """Put `new` in the place of `old`, in one step; true if `old` was there."""
        return self.builder.extract_value(self.builder.cmpxchg(self.at(place), old, new, "acq_rel", "acquire"), 1)

    def open_parts(self, word: IRValue) -> tuple[Any, Any]:
        """Start and end of the parts that nobody has taken."""
        mask = SIZE(2**16 - 1)
        return self.builder.and_(word, mask), self.builder.and_(self.builder.lshr(word, SIZE(16)), mask)

    def let_others_run(self, looks: IRValue) -> None:
        """A look in vain: another thread of the same core runs meanwhile, and after many others on this one."""
        pause(self.builder)
        function = system_function(self.builder, "sched_yield", [])
        with self.builder.if_then(self.builder.icmp_unsigned(">", looks, SIZE(SPINS))):
            self.builder.call(function, [])

    def sleep(self, looks: IRValue) -> None:
        number = ir.IntType(32)
        function = system_function(self.builder, "usleep", [number])
        with self.builder.if_then(self.builder.icmp_unsigned(">", looks, SIZE(NAPS))):
            self.builder.call(function, [number(NAP)])


def pause(builder: Builder) -> None:
    """Some cycles without work."""
    if PAUSE:
        kind = ir.FunctionType(ir.VoidType(), [])
        builder.call(cgutils.get_or_insert_function(builder.module, kind, PAUSE), [])


def system_function(builder: Builder, name: str, kinds: list[Any]) -> Any:
    return cgutils.get_or_insert_function(builder.module, ir.FunctionType(ir.IntType(32), kinds), name)


def team_of(builder: Builder) -> Team:
    """The team of the process. Its address is in a variable that a linker could replace: so LLVM reads it, instead of
    counting on memory within 2 GB of the code."""
    module, kind = builder.module, SIZE.as_pointer()
    if NAME not in module.globals:
        there = ir.GlobalVariable(module, SIZE, NAME)
        address = ir.GlobalVariable(module, kind, f"{NAME}_address")
        address.linkage, address.initializer = "weak", there
    return Team(builder, builder.load(module.globals[f"{NAME}_address"]))


def are_helpers_there(builder: Builder) -> Any:
    """Said by whoever starts them (team_threads.py), so that it does not depend on when their threads begin to run."""
    return builder.icmp_signed(">", team_of(builder).load(HELPERS), SIZE(0))


def share(builder: Builder, function: Any, operands: IRValue, parts: IRValue) -> None:
    """All parts of a task: by the team if it has helpers and is free, else one after the other here."""
    module, name = builder.module, "share"
    if name not in module.globals:
        kind = ir.FunctionType(ir.VoidType(), [PART.as_pointer(), POINTER, SIZE])
        made = ir.Function(module, kind, name)
        made.linkage = "internal"
        made.attributes.add("noinline")
        write_share(ir.IRBuilder(made.append_basic_block()), *made.args)
    builder.call(module.globals[name], [function, operands, parts])


def write_share(builder: Builder, function: IRValue, operands: IRValue, parts: IRValue) -> None:
    ask, together, alone = (builder.append_basic_block(name) for name in ("ask", "together", "alone"))
    several = builder.and_(builder.icmp_signed(">", parts, SIZE(1)), builder.icmp_signed("<", parts, SIZE(MOST)))
    builder.cbranch(builder.and_(several, are_helpers_there(builder)), ask, alone)
    builder.position_at_end(ask)
    team = team_of(builder)
    builder.cbranch(team.exchange(IN_USE, SIZE(0), SIZE(1)), together, alone)
    builder.position_at_end(alone)
    with cgutils.for_range(builder, parts) as loop:
        builder.call(function, [operands, loop.index])
    builder.ret_void()
    builder.position_at_end(together)
    publish(builder, team, function, operands, parts)
    wait_for(builder, team, own_parts(builder, team, function, operands, parts))
    team.store(IN_USE, SIZE(0))
    builder.ret_void()


def publish(builder: Builder, team: Team, function: IRValue, operands: IRValue, parts: IRValue) -> None:
    team.store(FUNCTION, builder.ptrtoint(function, SIZE))
    team.store(OPERANDS, builder.ptrtoint(operands, SIZE))
    team.store(DONE, SIZE(0))
    number = builder.add(builder.lshr(team.load(TAKEN), SIZE(32)), SIZE(1))
    team.store(TAKEN, builder.or_(builder.shl(number, SIZE(32)), builder.shl(parts, SIZE(16))))


def own_parts(builder: Builder, team: Team, function: IRValue, operands: IRValue, parts: IRValue) -> Any:
    """The caller's own parts; returns how many the helpers have taken."""
    take, end_of_all = builder.append_basic_block("take"), builder.append_basic_block("taken")
    builder.branch(take)
    builder.position_at_end(take)
    word = team.load(TAKEN)
    start, end = team.open_parts(word)
    with builder.if_then(builder.icmp_unsigned("<", start, end)):
        with builder.if_then(team.exchange(TAKEN, word, builder.add(word, SIZE(1)))):
            builder.call(function, [operands, start])
        builder.branch(take)
    others = builder.sub(parts, end)
    builder.branch(end_of_all)
    builder.position_at_end(end_of_all)
    return others


def wait_for(builder: Builder, team: Team, others: IRValue) -> None:
    """Until the helpers have computed what they have taken."""
    looks = cgutils.alloca_once_value(builder, SIZE(0))
    wait, end = builder.append_basic_block("wait"), builder.append_basic_block("end")
    builder.branch(wait)
    builder.position_at_end(wait)
    team.let_others_run(count(builder, looks))
    builder.cbranch(builder.icmp_signed("==", team.load(DONE), others), end, wait)
    builder.position_at_end(end)


def count(builder: Builder, place: IRValue) -> Any:
    """One more than before."""
    more = builder.add(builder.load(place), SIZE(1))
    builder.store(more, place)
    return more


def write_helper(builder: Builder, team: Team) -> None:
    """What a helper does until the team is told to stop."""
    look, end = builder.append_basic_block("look"), builder.append_basic_block("end")
    looks = cgutils.alloca_once_value(builder, SIZE(0))
    builder.branch(look)
    builder.position_at_end(look)
    word = team.load(TAKEN)
    start, stop = team.open_parts(word)
    with builder.if_else(builder.icmp_unsigned("<", start, stop)) as (some, none):
        with some:
            help_once(builder, team, word, stop)
            builder.store(SIZE(0), looks)
        with none:
            in_vain = count(builder, looks)
            team.let_others_run(in_vain)
            team.sleep(in_vain)
    builder.cbranch(builder.icmp_signed("!=", team.load(STOP), SIZE(0)), end, look)
    builder.position_at_end(end)


def help_once(builder: Builder, team: Team, word: IRValue, stop: IRValue) -> None:
    """The last part that is not taken. What was read belongs to its task if the word is still the same."""
    function = builder.inttoptr(team.load(FUNCTION), PART.as_pointer())
    operands = builder.inttoptr(team.load(OPERANDS), POINTER)
    with builder.if_then(team.exchange(TAKEN, word, builder.sub(word, SIZE(2**16)))):
        builder.call(function, [operands, builder.sub(stop, SIZE(1))])
        team.add(DONE, 1)


def write_meetings(builder: Builder, team: Team, rounds: IRValue) -> None:
    """Write a measurement: tasks of two parts, each waiting for the other, show how long a helper takes to answer."""
    met = cgutils.alloca_once(builder, SIZE)
    with cgutils.for_range(builder, rounds):
        builder.store(SIZE(0), met)
        share(builder, meeting(builder.module), builder.bitcast(met, POINTER), SIZE(2))


def meeting(module: Any) -> Any:
    """A part that ends when both have begun, or when one of them has looked in vain for long."""
    function = ir.Function(module, PART, "meeting")
    function.linkage = "internal"
    builder = ir.IRBuilder(function.append_basic_block())
    met = builder.bitcast(function.args[0], SIZE.as_pointer())
    builder.atomic_rmw("add", met, SIZE(1), "acq_rel")
    looks = cgutils.alloca_once_value(builder, SIZE(0))
    wait, end = builder.append_basic_block("wait"), builder.append_basic_block("end")
    builder.branch(wait)
    builder.position_at_end(wait)
    pause(builder)
    late = builder.icmp_signed(">", count(builder, looks), SIZE(LATE))
    both = builder.icmp_signed(">", builder.load_atomic(met, "acquire", 8), SIZE(1))
    builder.cbranch(builder.or_(late, both), end, wait)
    builder.position_at_end(end)
    builder.ret_void()
    return function

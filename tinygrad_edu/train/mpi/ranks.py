"""Messages between the ranks of an MPI job while they train: sums and texts, each with a time limit."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_edu.checks import number
from tinygrad_edu.errors import SettingError

Array = np.ndarray[Any, Any]
NEEDED = ("Get_rank", "Get_size", "Iallreduce", "Iallgather", "Abort")
# MPICH's mpiexec loses output that is not forwarded yet when a rank aborts: 13 of 160 runs without a pause, 0 of 160
# with 1 s.
FORWARDED_S = 1.0
PATIENT = 2000  # polls of a request (0.2 µs each) before the processor is yielded between polls


@dataclass(frozen=True)
class Ranks:
    """A communicator of mpi4py, and how long a rank waits for the others before it ends the whole job."""

    comm: Any
    timeout_s: float = 300.0
    received: dict[Any, Array] = field(default_factory=dict, repr=False)  # buffers by size and dtype

    def __post_init__(self) -> None:
        missing = [name for name in NEEDED if not hasattr(self.comm, name)]
        if missing:
            raise SettingError(
                f"comm={self.comm!r:.60} has no {missing[0]}: give a communicator of mpi4py, such as "
                'MPI.COMM_WORLD (`pip install "tinygrad_edu[mpi]"` brings mpi4py and an MPI)'
            )
        number("comm_timeout_s", self.timeout_s, "(0, inf)")

    @property
    def rank(self) -> int:
        return int(self.comm.Get_rank())

    @property
    def size(self) -> int:
        return int(self.comm.Get_size())

    def part(self, rows: Array) -> Array:
        """This rank's rows of a batch: as many as the others have, or one more; possibly none."""
        found: Array = np.array_split(rows, self.size)[self.rank]
        return found

    def sum(self, buffer: Array) -> None:
        """buffer ← Σ over the ranks, in place: one all-reduce, the same bits on every rank."""
        key = (buffer.size, buffer.dtype)
        if key not in self.received:
            self.received[key] = np.empty_like(buffer)  # kept: allocating it for each sum would take as long as the sum
        received = self.received[key]
        self.wait(self.comm.Iallreduce(buffer, received), "the sum of the gradients")
        buffer[...] = received

    def texts(self, own: str, what: str) -> list[str]:
        """The text of each rank, in rank order."""
        data = np.frombuffer(own.encode(), dtype=np.uint8)
        lengths = np.zeros(self.size, dtype=np.int64)
        self.wait(self.comm.Iallgather(np.array([data.size], dtype=np.int64), lengths), what)
        sent, received = np.zeros(lengths.max(), np.uint8), np.zeros((self.size, lengths.max()), np.uint8)
        sent[: data.size] = data
        self.wait(self.comm.Iallgather(sent, received), what)
        return [row[:n].tobytes().decode() for row, n in zip(received, lengths, strict=True)]

    def wait(self, request: Any, what: str) -> None:
        """Until all ranks have taken part; past the time limit the whole job ends, since MPI cannot go on."""
        deadline, looks = time.monotonic() + self.timeout_s, 0
        while not request.Test():
            looks += 1
            if looks > PATIENT:
                time.sleep(0)  # yield: two ranks may share a core
            if looks % PATIENT == 0 and time.monotonic() > deadline:
                self.abort(what)

    def abort(self, what: str) -> None:
        print(
            f"tinygrad_edu: rank {self.rank} of {self.size} has waited {self.timeout_s:g} s for {what}: another rank "
            "has died, hangs, or needs longer than comm_timeout_s. All ranks end; the last checkpoint is complete",
            file=sys.stderr,
            flush=True,
        )
        time.sleep(FORWARDED_S)
        self.comm.Abort(1)

    def fail_together(self, error: BaseException | None, what: str) -> None:
        """If any rank has failed, raise an error on every rank: its own, or one that names the rank."""
        found = self.texts("" if error is None else f"{type(error).__name__}: {error}", what)
        if error is not None:
            raise error
        for rank, text in enumerate(found):
            if text:
                raise SettingError(f"comm: rank {rank} of {self.size} could not {what}, so all stop. Its error: {text}")

    def agree(self, facts: Mapping[str, Any], what: str) -> None:
        """Errors: SettingError, the same on every rank, that says which rank differs in what."""
        found = [json.loads(text) for text in self.texts(json.dumps(facts), what)]
        differences = differing(found)
        if differences:
            raise SettingError(f"comm: the ranks disagree, {what}: {'; '.join(differences)}. Give every rank the same")


def differing(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """In words, what each rank has that rank 0 has not.

    >>> differing([{"seed": 0, "epochs": 5}, {"seed": 1, "epochs": 5}])
    ['rank 1 has seed=1, rank 0 has seed=0']
    """
    first = found[0]
    names = list(dict.fromkeys(name for facts in found for name in facts))
    return [
        f"rank {rank} has {name}={facts.get(name)!r:.80}, rank 0 has {name}={first.get(name)!r:.80}"
        for rank, facts in enumerate(found)
        for name in names
        if json.dumps(facts.get(name)) != json.dumps(first.get(name))  # compared as text, because NaN != NaN
    ]

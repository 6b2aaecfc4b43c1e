"""`fit` as compiled code: blocks of epochs, each one call."""

from __future__ import annotations

from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

from tinygrad_edu.compile.backend.team_threads import for_training
from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.errors import CompileError
from tinygrad_edu.train.compiled.comparison import Comparison
from tinygrad_edu.train.compiled.session import Block, CompiledSession
from tinygrad_edu.train.compiled.watch import watch_for
from tinygrad_edu.train.ending import refuse_own_nan
from tinygrad_edu.train.job import Job
from tinygrad_edu.train.progress_bar import Bar
from tinygrad_edu.train.stepper import Epochs, Stepper

LOOK = 0.05  # seconds between two checks for Ctrl-C and updates of the progress bar
HERE = 0.1  # seconds; a shorter block runs in this thread, because starting and joining another one takes 1 to 3 ms


class CompiledStepper(Stepper):
    """Short blocks of epochs run here, long ones in a thread that this one watches, for Ctrl-C and progress."""

    def __init__(self, job: Job, shown: Bar, session: CompiledSession) -> None:
        super().__init__(job, shown)
        self.session, self.pool, self.block = session, None, None
        self.watch, self.comparison = watch_for(session), Comparison(session)
        self.writes_whole = not self.comparison.wanted  # a comparison takes eager steps

    block: Block | None
    pool: ThreadPoolExecutor | None

    def epochs(self) -> Generator[Epochs, None, None]:
        """One where Python looks after each of them, as many as are left where it does not."""
        with for_training(self.session.product, self.job.left * self.job.batches):
            while self.job.left:
                self.comparison.look(self.apart)
                few, ahead = int(HERE / self.session.pace), self.comparison.ahead()
                self.block = block = self.session.block(min(few or ahead or 0, ahead or few))
                if few:
                    block.run()
                else:
                    self.wait_for(self.in_thread(block.run))
                self.shown.update(block.news())
                yield self.session.take(block)

    def in_thread(self, work: Callable[[], Any]) -> Future[Any]:
        """Begin work in the other thread, which is there from its first use on."""
        self.pool = self.pool or ThreadPoolExecutor(1)
        return self.pool.submit(work)

    def wait_for(self, future: Future[Any]) -> Any:
        """The result of work in another thread."""
        while not future.done():
            wait([future], timeout=LOOK)
            if self.block is not None:
                self.shown.update(self.block.news())
        return future.result()

    def confirm(self) -> None:
        """Compare once more, at the end. Errors: TakenBackError.

        Callbacks of the last epoch may have written weights, or have put other data in place of what was trained on.
        """
        if self.watch is not None:
            if self.watch.difference():
                return
            self.session.read()
        self.comparison.confirm()

    def bad_ending(self, order: ArrayLike) -> str:
        """As in `Stepper`. Errors: CompileError if only the program arrives at NaN."""
        refuse_own_nan(self.job, order, self.session.program.why_nan)
        return super().bad_ending(order)

    def apart(self, work: Callable[[], Any]) -> Any:
        """Do work that may take long in the thread: a program is compiled at its first call."""
        return self.wait_for(self.in_thread(work)) if self.block is None else work()

    def read_again(self) -> None:
        """Numbers that callbacks or validation have written.

        Errors: CompileError where they changed what the program is made of.
        """
        if self.watch is not None:
            changed = self.watch.difference()
            if changed:
                raise CompileError(f"{self.watch.by} has changed {changed}")
            self.session.read()

    def settle(self) -> Epochs | None:
        """The epochs that the block had done when Ctrl-C came, unless callbacks still have to see them."""
        self.close()
        block = self.block
        if block is None or block.start != len(self.job.losses) or self.job.settings.callbacks or not block.done:
            return None
        # interrupted, the loop put the generators back to where the block began
        self.session.rewind(block.drawn, block.done)
        return self.session.take(block)

    def close(self) -> None:
        """End the block that runs, at its next step."""
        if self.block is not None:
            self.block.stop()
        if self.pool is not None:
            self.pool.shutdown()

"""`fit` as compiled code: blocks of epochs, each one call."""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

import numpy as np

from tinygrad_edu.compile.backend.blas_threads import for_product
from tinygrad_edu.errors import CompileError
from tinygrad_edu.optim import clip_by_norm, clip_by_value, flat
from tinygrad_edu.train.compiled.session import Block, Course
from tinygrad_edu.train.compiled.watch import watch_for
from tinygrad_edu.train.job import Job
from tinygrad_edu.train.progress_bar import Bar
from tinygrad_edu.train.stepper import Epochs, Stepper

LOOK = 0.05  # seconds between looks at a compiled run: Ctrl-C, progress
HERE = 0.1  # seconds of a block that is not worth a thread, which takes 1 to 3 ms to begin and to come back from


class CompiledStepper(Stepper):
    """Short blocks of epochs run here, long ones in a thread that this one watches, for Ctrl-C and progress."""

    def __init__(self, job: Job, shown: Bar, course: Course) -> None:
        super().__init__(job, shown)
        self.course, self.pool, self.block = course, ThreadPoolExecutor(1), None  # its thread begins with the first use
        self.watch = watch_for(course)

    block: Block | None

    def epochs(self) -> Generator[Epochs, None, None]:
        """One where Python looks after each of them, as many as are left where it does not."""
        with for_product(self.course.product):
            if self.course.program.foreign and not self.course.program.masks:
                self.compare_with_eager()
            while self.job.left:
                few = int(HERE / self.course.pace)
                self.block = block = self.course.block(few)
                if few:
                    block.run()
                else:
                    self.wait_for(self.pool.submit(block.run))
                self.shown.update(block.news())
                yield self.course.take(block)

    def wait_for(self, future: Future[Any]) -> Any:
        """What is done in a thread of its own."""
        while not future.done():
            wait([future], timeout=LOOK)
            if self.block is not None:
                self.shown.update(self.block.news())
        return future.result()

    def compare_with_eager(self) -> None:
        """The loss and the gradient of the first batch, both ways: code may ask what kind of thing it is given.

        Errors: CompileError where they are not the same. Numbers that are NaN or infinite say nothing.
        """
        job, params = self.job, self.course.parameters
        before = job.model.state_dict()
        job.optimizer.zero_grad()
        loss = job.batch_loss(*[array[: job.batch_size] for array in job.data])
        loss.backward()
        if job.settings.clip_value is not None:
            clip_by_value(params, job.settings.clip_value)
        if job.settings.clip_norm is not None:
            clip_by_norm(params, job.settings.clip_norm)
        eager = np.append(flat.gradients(params), float(loss.item()))
        job.optimizer.zero_grad()
        job.model.load_state_dict(before)  # the running statistics of BatchNorm have moved, and this was no step
        found = self.wait_for(self.pool.submit(self.course.first_batch))
        off, size = np.abs(found - eager).max(), 1.0 + np.abs(eager).max()
        if np.isfinite(off) and off > size * (1e-7 if self.course.program.dtype == "float64" else 1e-3):
            raise CompileError(
                "forward or the loss does something else when it is traced: of the first batch the compiled loss is "
                f"{found[-1]:.6g}, the eager one {eager[-1]:.6g}"
            )

    def read_again(self) -> None:
        """Numbers that a callback has written. Errors: CompileError where it changed what the program is made of."""
        if self.watch is not None:
            changed = self.watch.difference()
            if changed:
                raise CompileError(f"a callback has changed {changed}")
            self.course.read()

    def settle(self) -> Epochs | None:
        """What the block had done when Ctrl-C came, unless callbacks are still to look at it."""
        self.close()
        block = self.block
        if block is None or block.start != len(self.job.losses) or self.job.settings.callbacks or not block.done:
            return None
        self.course.rewind(block.drawn, block.done)  # the loop has put the generators back to before the block
        return self.course.take(block)

    def close(self) -> None:
        """End the block that runs, at its next step."""
        if self.block is not None:
            self.block.stop()
        self.pool.shutdown()

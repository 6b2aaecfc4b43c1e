"""Is a job trained by a program for its sizes alone (fixed_sizes.py)?"""

from __future__ import annotations

from tinygrad_edu.compile.backend import cache
from tinygrad_edu.errors import TraceError
from tinygrad_edu.train.compiled.fixed_sizes import FixedSizes, OfSizes
from tinygrad_edu.train.compiled.program import TrainingProgram
from tinygrad_edu.train.job import Job

SAMPLES = 100_000  # samples in all epochs together; from here on such a program saves 2 ms, and more with each epoch
# Limit for weights × samples of a batch, for intermediate results, and for columns. Written-out code of this size takes
# 0.3 to 0.5 s to compile, as long as loops do.
LARGEST = 512


def sizes_of(program: TrainingProgram, job: Job) -> FixedSizes | None:
    """The sizes of a job, if it is one that a program of its own makes quicker."""
    parameters, total = job.optimizer.params, sum(p.size for p in job.optimizer.params)
    own_arrays = program.given or program.step.trace.fixed  # the program belongs to one model and is not cached
    plain = not (program.foreign or program.masks or program.followed or own_arrays or job.watched)
    small = total * max(1, job.batch_size) <= LARGEST and not job.samples % job.batch_size
    if not (plain and small):
        return None
    # indices may be out of range, an error in the middle of a step
    if any(x.integer for x in program.step.trace.inputs.values()):
        return None
    try:
        layout = program.layout(parameters, job.data, job.batch_size)
    except TraceError:  # the session raises it again with an explanation
        return None
    columns = tuple(int(a.size // len(a)) for a in job.data)
    if layout.work > LARGEST or sum(columns) > LARGEST:  # LLVM would unroll all of them: 15 s for 784 columns
        return None
    sizes = tuple(map(int, layout.sizes))
    return FixedSizes(sizes, job.batch_size, columns, 1 + program.memories, total, max(1, layout.work))


def choose_sizes(program: TrainingProgram, job: Job, as_before: bool) -> FixedSizes | None:
    """The sizes of the program that trains this job; None for the one of any sizes. The same at each call.

    as_before: the job has begun with such a program, and goes on with it, however many samples are left.
    """
    sizes = sizes_of(program, job)
    if sizes is None or not (as_before or job.settings.epochs * job.samples >= SAMPLES):
        return None
    made = program.of_sizes
    if sizes not in made or (as_before and made[sizes] is None):
        form = own_form(program, sizes)
        used = as_before or not any(made.values()) or (form is not None and cache.holds(form.text, "training"))
        made[sizes] = form if used else None
    return sizes if made[sizes] else None


def own_form(program: TrainingProgram, sizes: FixedSizes) -> OfSizes | None:
    """The program for these sizes; None where only Numba understands it."""
    try:
        return OfSizes(program.module_text(program.recipe, sizes=sizes, packed=True), program.kinds())
    except NotImplementedError:
        return None

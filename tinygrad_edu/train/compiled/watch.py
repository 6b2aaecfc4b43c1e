"""Has a callback or validation, Python code between two epochs, changed what a compiled session depends on?"""

from __future__ import annotations

from typing import Any

from tinygrad_edu.compile.closure_guard import Guard
from tinygrad_edu.compile.python_state import PythonState
from tinygrad_edu.errors import first_line
from tinygrad_edu.train.compiled.programs import own_updates, program_key, rule_of, trace_watched
from tinygrad_edu.train.compiled.session import CompiledSession
from tinygrad_edu.train.own_code import are_own, runs_own_code
from tinygrad_edu.train.snapshot import generators


class Watch:
    """Watches what a compiled session depends on in Python, to see whether code between epochs has changed it.

    by: what runs there, in words.
    """

    def __init__(self, session: CompiledSession, by: str) -> None:
        self.session, self.job, self.by = session, session.job, by
        self.signature = self.trace_signature()
        self.look()

    def look(self) -> None:
        """Note what there is now."""
        self.state = PythonState(**self.job.roots)
        # covers more places than PythonState, but cannot restore them
        self.guard = Guard(list(self.job.roots.values()))
        self.outer = self.of_job()

    def trace_signature(self) -> Any:
        """A trace's signature, or a key from which it follows."""
        state = PythonState(**self.job.roots)
        try:
            return program_key(self.job) or trace_watched(self.job)
        finally:
            state.restore()

    def of_job(self) -> Any:
        """The parts of the job, and the optimizer's settings that the program's text depends on."""
        job, o = self.job, self.job.optimizer
        params = [(id(p), p.shape, str(p.dtype), p.requires_grad) for p in self.session.parameters]
        structure = [(name, x if type(x) is not float or x == 0.0 else "given") for name, x in o.settings.items()]
        limits = job.settings.clip_norm is None, job.settings.clip_value is None
        return (
            [id(x) for x in (job.model, *job.data)],
            id(job.loss),
            id(o),  # a callback may make a new one, to begin with an empty memory
            job.batch_size,
            params,
            structure,
            limits,
            rule_of(o),
            own_updates(o),
            list(map(id, o.params)),
        )

    def in_words(self, change: str) -> str:
        """A change that the guard has found, which counts the roots, by the name of its root: [0].weight."""
        for i, name in enumerate(self.job.roots):
            if change.startswith(f"[{i}]"):
                return name + change.removeprefix(f"[{i}]")
        return change

    def difference(self) -> str:
        """The change that makes another program necessary; "" if a trace finds the same as before."""
        c = self.session
        moving = {id(x) for x in (*c.parameters, *c.kept, *generators(self.job.model))}  # training itself changes these
        what = self.state.first_change(but=moving) or self.in_words(self.guard.first_change())
        if self.outer != self.of_job():
            return what or "what the job or its optimizer consists of"
        if what:
            try:
                if self.trace_signature() != self.signature:
                    return what
            except Exception as error:
                return f"{what} ({first_line(error)})"
            self.look()
        return ""


def watch_for(session: CompiledSession) -> Watch | None:
    """A look at what Python changes between epochs, where code of the user's own runs there."""
    job = session.job
    if are_own(job.settings.callbacks):
        return Watch(session, "a callback")
    if job.held_out is not None and runs_own_code(job.model, job.loss):
        return Watch(session, "validation, or a callback" if job.settings.callbacks else "validation")
    return None

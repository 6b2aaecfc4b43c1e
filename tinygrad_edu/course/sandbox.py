"""A child process for a learner's functions: a time limit, an empty environment, and numbers back."""

from __future__ import annotations

import base64
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
CHILD = Path(__file__).with_name("child.py")
PASSED_ON = ("PATH", "SYSTEMROOT", "LD_LIBRARY_PATH", "PYTHONHOME", "VIRTUAL_ENV", "LANG")
START = 20.0  # seconds allowed for Python and NumPy to start on a busy machine


@dataclass(frozen=True)
class CallResult:
    """The result of a call: `outputs`, or an `error` in words, with its `line` in the learner's file.

    before: of a call that failed, the results that had been computed by then.
    """

    outputs: Sequence[Any] = ()
    named: Mapping[str, Any] | None = None
    value: Any = None
    error: str = ""
    line: int = 0
    before: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class LearnerCall:
    """A call of a learner's function: `count` arrays are returned, or 0 for anything else.

    names: result → the variable that the function returns for it.
    """

    function: str
    arguments: Mapping[str, Any]
    count: int = 0
    names: Mapping[str, str] = field(default_factory=dict)


def run(source: str, calls: Sequence[LearnerCall], seconds: float) -> list[CallResult]:
    """The results of each call of functions of a learner's text.

    All of them run in one process, which is not this one. Where it does not answer in time, or ends without an answer,
    every call has that as its error. In a browser there are no processes: the page itself is what shuts them in.
    """
    task = {
        "source": source, "seconds": int(seconds) + 1,
        "calls": [
            vars(call) | {"arguments": {n: encode(x) for n, x in call.arguments.items()}}
            for call in calls
        ],
    }  # fmt: skip
    if sys.platform == "emscripten":
        from tinygrad_edu.course import child

        return [result_of(each) for each in child.results(task)]
    with tempfile.TemporaryDirectory(prefix="tinygrad_edu-check-") as folder:
        answer = Path(folder, "result.json")
        problem = run_child(answer, json.dumps(task).encode(), folder, seconds)
        if problem:
            return [CallResult(error=problem)] * len(calls)
        return [result_of(each) for each in json.loads(answer.read_bytes())]


def run_child(answer: Path, task: bytes, folder: str, seconds: float) -> str:
    """Run the child; what went wrong with the process itself, "" where it has answered."""
    environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    environment |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "HOME": folder, "TMPDIR": folder}
    process = subprocess.Popen(
        [sys.executable, "-E", "-s", "-B", str(CHILD), str(answer)], cwd=folder, env=environment,
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        process.communicate(task, timeout=seconds + START)
    except subprocess.TimeoutExpired:
        return f"it was not done after {seconds:g} s: does a loop never end?"
    finally:
        end(process)
    try:
        json.loads(answer.read_bytes())
    except (OSError, ValueError):
        if process.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
            return f"it was not done after {seconds:g} s: does a loop never end?"
        return f"its process ended without an answer (exit code {process.returncode})"
    return ""


def end(process: subprocess.Popen[bytes]) -> None:
    """The process, and all that it has started."""
    with suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL) if hasattr(os, "killpg") else process.kill()
    process.wait()


def encode(x: Any) -> Any:
    if not isinstance(x, np.ndarray):
        return x
    buffer = io.BytesIO()
    np.save(buffer, x, allow_pickle=False)
    return {"array": base64.b64encode(buffer.getvalue()).decode()}


def decode(x: Any) -> Any:
    """An array, None for nothing, or a text that says what else it is."""
    if isinstance(x, dict) and "array" in x:
        return np.load(io.BytesIO(base64.b64decode(x["array"])), allow_pickle=False)
    return x["strange"] if isinstance(x, dict) and "strange" in x else None


def result_of(answer: Any) -> CallResult:
    """One answer of the child. A learner's text may have written it: whatever is not as it should be is an error."""
    try:
        if "error" in answer:
            before = {str(name): decode(x) for name, x in answer.get("before", {}).items()}
            return CallResult(error=str(answer["error"]), line=int(answer["line"]), before=before)
        if "value" in answer:
            return CallResult(value=answer["value"])
        if "named" in answer:
            return CallResult(named={str(name): decode(x) for name, x in answer["named"].items()})
        return CallResult(outputs=[decode(x) for x in answer["outputs"]])
    except (KeyError, TypeError, ValueError, AttributeError):
        return CallResult(error="its process ended without an answer that can be read")

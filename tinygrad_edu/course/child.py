"""Runs a learner's functions in a process of its own: `python child.py RESULT`, the task as JSON on standard input.

It stands alone (Python and NumPy), because it must not share anything with the process that grades: that one knows the
right numbers. Results go to the file RESULT.
"""

from __future__ import annotations

import base64
import inspect
import io
import json
import math
import sys
import traceback
from typing import Any

import numpy as np

MEMORY, FILE = 4 * 2**30, 2**26  # bytes
ALLOWED = ("numpy", "math")


class OnlyNumPy:
    """A finder that lets nothing be imported that was not there before."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name.partition(".")[0] not in ALLOWED:
            raise ImportError(f"{name} cannot be imported here: only NumPy and math")


def limit(seconds: int) -> None:
    """Bounds of this process, where the system has them."""
    try:
        import resource
    except ImportError:
        return
    for what, most in ((resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_FSIZE, FILE), (resource.RLIMIT_CPU, seconds + 1)):
        hard = resource.getrlimit(what)[1]
        resource.setrlimit(what, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def encode(x: Any) -> Any:
    """A result for JSON: {"array": ...}, None, or {"strange": what it is}."""
    if x is None or x is Ellipsis:
        return None
    try:
        array = np.asarray(x)
    except Exception:
        return {"strange": type(x).__name__}
    if array.dtype.kind not in "fiub":
        return {"strange": f"{type(x).__name__} of {array.dtype}"}
    buffer = io.BytesIO()
    np.save(buffer, array.astype(float), allow_pickle=False)
    return {"array": base64.b64encode(buffer.getvalue()).decode()}


def decode(x: Any) -> Any:
    if isinstance(x, dict) and "array" in x:
        return np.load(io.BytesIO(base64.b64decode(x["array"])), allow_pickle=False)
    return x


def as_json(x: Any) -> Any:
    """A result that is no arrays, as JSON's own kinds."""
    if isinstance(x, dict):
        return {str(name): as_json(each) for name, each in x.items()}
    if isinstance(x, (list, tuple)):
        return [as_json(each) for each in x]
    return x if isinstance(x, (str, int, float, bool, type(None))) else repr(x)[:80]


def takes_names(function: Any, arguments: dict[str, Any]) -> bool:
    """Are these the names of its parameters? A learner who chose others has kept the order."""
    try:
        inspect.signature(function).bind(**arguments)
    except TypeError:
        return False
    return True


def called(function: Any, arguments: dict[str, Any], count: int, names: dict[str, str]) -> dict[str, Any]:
    """The results of a call (`count` arrays; 0: anything else), or its error with the line in the learner's file.

    names: result → the variable that is returned for it, of which an error tells what had been computed by then.
    """
    try:
        with np.errstate(all="ignore"):
            copies = {name: np.array(x) if isinstance(x, np.ndarray) else x for name, x in arguments.items()}
            found = function(**copies) if takes_names(function, copies) else function(*copies.values())
    except BaseException as error:
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == "submission"]
        before = {name: encode(x) for name, x in variables_at_end(error.__traceback__, names).items()}
        line = frames[-1].lineno if frames else 0
        return {"error": f"{type(error).__name__}: {error}"[:500], "line": line, "before": before}
    if not count:
        return {"value": as_json(found)}
    if isinstance(found, dict):
        return {"named": {str(name): encode(x) for name, x in found.items()}}
    # with one result, a list may be the result itself
    several = isinstance(found, tuple) or (isinstance(found, list) and count > 1)
    return {"outputs": [encode(x) for x in (found if several else (found,))]}


def variables_at_end(trace: Any, names: dict[str, str]) -> dict[str, Any]:
    """The variables of these results in the learner's function, as they were when it failed."""
    while trace is not None and trace.tb_frame.f_code.co_filename != "submission":
        trace = trace.tb_next
    known = dict(trace.tb_frame.f_locals) if trace is not None else {}
    return {name: known[variable] for name, variable in names.items() if variable in known}


def main() -> None:
    """Read the task, run it, write the results."""
    task = json.loads(sys.stdin.buffer.read())
    limit(task["seconds"])
    sys.meta_path.insert(0, OnlyNumPy())
    found = results(task)
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        json.dump(found, file)


def results(task: dict[str, Any]) -> list[dict[str, Any]]:
    """The results of each call of a task."""
    world: dict[str, Any] = {"np": np, "numpy": np, "math": math, "__name__": "submission"}
    try:
        exec(compile(task["source"], "submission", "exec"), world)
        return [
            called(world[x["function"]], {n: decode(a) for n, a in x["arguments"].items()}, x["count"], x["names"])
            for x in task["calls"]
        ]
    except BaseException as error:
        return [{"error": f"{type(error).__name__}: {error}"[:500], "line": 0}] * len(task["calls"])


if __name__ == "__main__":
    main()

"""From DOT text to picture: the Graphviz program where there is one, else Graphviz inside pygraphviz."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator

from tinygrad_edu import packages
from tinygrad_edu.errors import DrawError

ADVICE = (
    'No picture without Graphviz: `pip install "tinygrad_edu[viz]"` brings it, or install the Graphviz program (dot).'
)
PIXELS_PER_INCH = 144  # twice the size on paper: sharp on dense screens, 12-point text is 24 pixels high

# pygraphviz runs the layout in this process and cannot be interrupted, so it gets a process of its own.
IN_PYGRAPHVIZ = """
import sys, pygraphviz
graph = pygraphviz.AGraph(string=sys.stdin.buffer.read().decode())
if sys.argv[2:]: graph.graph_attr["dpi"] = sys.argv[2]
prog = dict(graph.graph_attr).get("layout", "dot")  # the program dot looks there by itself
sys.stdout.buffer.write(graph.draw(format=sys.argv[1], prog=prog))
"""


def commands(form: str) -> Iterator[list[str]]:
    """The commands that can turn DOT on stdin into a picture on stdout, best first."""
    resolution = [str(PIXELS_PER_INCH)] if form == "png" else []
    program = shutil.which("dot")
    if program:
        yield [program, f"-T{form}", *(f"-Gdpi={dots}" for dots in resolution)]
    if sys.executable and packages.available("pygraphviz"):
        yield [sys.executable, "-c", IN_PYGRAPHVIZ, form, *resolution]


def available() -> bool:
    """Is there anything to draw with?"""
    return next(commands("svg"), None) is not None


def render(dot: str, form: str, time_limit: float) -> bytes | None:
    """The picture as svg, png or pdf; None when there is nothing to draw with.

    Runs `dot` itself, not graphviz.Source.pipe: that waits without a limit (graphviz 0.21), and a tangled
    graph of 300 nodes was measured to take 57 s.

    Errors: subprocess.TimeoutExpired after `time_limit` seconds (the process is ended); DrawError with
    Graphviz's own words when it cannot draw.
    """
    complaints = []
    for command in commands(form):
        picture, complaint = run_layout(command, dot.encode(), time_limit)
        if picture:
            return picture
        complaints.append(complaint)
    if complaints:
        raise DrawError(f"Graphviz could not make the {form} picture: {complaints[0]}")
    return None


def run_layout(command: list[str], text: bytes, time_limit: float) -> tuple[bytes, str]:
    """(picture, "") or (nothing, what went wrong)."""
    try:
        done = subprocess.run(command, input=text, capture_output=True, timeout=time_limit, check=False)
    except OSError as problem:
        return b"", str(problem)
    if done.returncode == 0 and done.stdout:
        return done.stdout, ""
    return b"", complaint_in(done.stderr.decode(errors="replace")) or f"exit code {done.returncode}"


def complaint_in(said: str) -> str:
    """The end of what a program said; of Python's tracebacks the last line, as in OSError: ... No space left."""
    said = said.strip()
    return said.splitlines()[-1] if "Traceback (most recent call last)" in said else said[-500:]

"""The command line: tinygrad-edu demo | draw | case | diagnose | report | play | course | examples | check | cache."""

from __future__ import annotations

import io
import os
import sys
import warnings
from collections.abc import Sequence

from tinygrad_edu.cli.options import parser, readable
from tinygrad_edu.errors import InputFileError, TinygradError

LONGEST = 1000  # characters of a message


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 if it went well, 1 with one sentence on standard error if not, 2 for a file to be read.

    `check` gives 1 for an exercise that is not right, too.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # for terminals and files that cannot encode σ
    try:
        return run(readable(sys.argv[1:] if arguments is None else arguments))
    except BrokenPipeError:  # `tinygrad-edu case | head -1` closes the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def run(arguments: Sequence[str]) -> int:
    """Parse and run; the exit code."""
    try:
        chosen = parser().parse_args(arguments)
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *_: print(f"tinygrad-edu: {one_line(str(message))}", file=sys.stderr)
            code = chosen.run(chosen)
    except BrokenPipeError:
        raise
    except (TinygradError, OSError, ImportError) as error:  # ImportError: a package is not installed
        print(f"tinygrad-edu: {one_line(reason(error))}", file=sys.stderr)
        return 2 if isinstance(error, (InputFileError, FileNotFoundError)) else 1
    except (MemoryError, RecursionError) as error:
        print(f"tinygrad-edu: too large or nested too deep for this machine ({type(error).__name__})", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ntinygrad-edu: interrupted", file=sys.stderr)
        return 130
    return code or 0


def reason(error: Exception) -> str:
    """The text of an error; system errors without their number."""
    if isinstance(error, OSError) and not isinstance(error, TinygradError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename is not None else error.strerror
    return str(error)


def one_line(text: str) -> str:
    """One line of what can be printed: a message may quote a file, and a terminal obeys control characters.

    >>> one_line("no number:\\n\\x1b[2J")
    'no number: \\\\x1b[2J'
    """
    plain = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in " ".join(text.split()))
    return plain if len(plain) <= LONGEST else f"{plain[:LONGEST]}..."


if __name__ == "__main__":
    sys.exit(main())

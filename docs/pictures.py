"""The pictures of README.md: `python docs/pictures.py` draws them anew, from the programs that README shows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SESSION = re.compile(r"^(?:>>>|\.\.\.) ?(.*)$", re.M)


def program(word: str) -> str:
    """The first program of README that contains a word, without prompts and output."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.S)
    return "\n".join(SESSION.findall(next(block for block in blocks if word in block)))


def names(word: str) -> dict[str, Any]:
    """What that program leaves behind; this file is the project's own, and so is README."""
    import tinygrad_edu as tg

    found: dict[str, Any] = {"tg": tg}  # which README's first program imports
    exec(program(word), found)
    return found


def drawings() -> dict[str, Any]:
    """Each picture by its file."""
    import tinygrad_edu as tg

    neuron, learner = names("a * b + c"), names("check_backprop")
    forward, p, X, h, d1, d2 = (learner[name] for name in ("forward", "p", "X", "h", "d1", "d2"))
    report = tg.clinic.check_backprop(forward, p, {"W1": X.T @ d1, "W2": h.T @ d2})
    return {
        "docs/tanh.svg": tg.draw(neuron["y"], title="tanh(a*b + c)"),
        "docs/mistake.svg": report.draw(),
    }


if __name__ == "__main__":
    for file, drawing in drawings().items():
        print(f"wrote {drawing.save(ROOT / file)}")

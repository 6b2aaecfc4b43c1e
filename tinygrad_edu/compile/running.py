"""Which compiled functions are being run, other than by the short path of a call that has been made before."""

from __future__ import annotations

import threading
from typing import Any


class _Running(threading.local):
    def __init__(self) -> None:
        self.functions: list[Any] = []


RUNNING = _Running()  # in this thread

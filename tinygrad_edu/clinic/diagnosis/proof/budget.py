"""What a diagnosis may spend: work, priced before it is done and the same on any machine, and the clock as a last stop.

What is tried hangs on prices alone, so that a busy machine gives the card of a quiet one, until its clock really ends.
"""

from __future__ import annotations

import math
import time
from typing import Any

from tinygrad_edu.errors import TinygradError

OVERHEAD = 0.05  # seconds per training besides its steps: building models and optimizers, tracing
PACES = 5  # latest trainings from which the machine's pace is taken
SHOWS = 0.02  # seconds of work; shorter trainings do not show a pace
SPARE = 0.2  # seconds reserved for the card itself


class NoTimeError(TinygradError):
    """There is less left than the training takes."""


class Budget:
    """`budget_s`, twice: as work, in seconds of a nominal machine, and by the clock."""

    def __init__(self, seconds: float = math.inf) -> None:
        self.began = time.perf_counter()
        self.seconds, self.spent = seconds, 0.0
        self.ends = self.began + seconds - min(SPARE, 0.1 * seconds)
        self.paces: list[float] = []
        self.forms: set[Any] = set()  # forms of programs that an estimator has compiled already
        self.cut: list[str] = []  # what was cut off by the clock although work was left

    @property
    def left(self) -> float:
        """The work that is left."""
        return self.seconds - self.spent

    @property
    def clock_left(self) -> float:
        """Seconds until it is all over."""
        return self.ends - time.perf_counter()

    @property
    def pace(self) -> float:
        """Seconds by the clock for one of work, of late; the least, as some of them were held up by other work."""
        return min(self.paces[-PACES:], default=1.0)

    def allows(self, price: float, what: str = "") -> bool:
        """Is there so much work left, and time for it?"""
        if price >= self.left:
            return False
        if price * self.pace < self.clock_left:
            return True
        self.cut += [what] if what else []
        return False

    def charge(self, price: float) -> None:
        """Work that was done."""
        self.spent += price + OVERHEAD

    def time_training(self, price: float, seconds: float) -> None:
        """How long a training took, without what a compiler took before it: it shows how fast the machine is now."""
        if price > SHOWS:
            self.paces.append(seconds / price)

    def is_known(self, form: Any) -> bool:
        """Has an estimator trained this form before? The first time includes compilation, which hides the pace."""
        known = form in self.forms
        self.forms.add(form)
        return known

    def notes(self) -> list[str]:
        """For the card: what was left out because time was up."""
        if not self.cut:
            return []
        what = ", ".join(dict.fromkeys(self.cut))
        return [
            f"the clock ended this diagnosis ({what}) after {self.spent:.1f} of {self.seconds:g} s of work. On a "
            "machine that is less busy, or with a larger budget_s, the same call may find more"
        ]

    def refuse_if_over(self, what: str = "") -> None:
        """Errors: NoTimeError where the clock has run out."""
        if self.clock_left <= 0.0:
            self.cut += [what] if what else []
            raise NoTimeError("no time left")

    def floor(self, seconds: float) -> Budget:
        """The same budget with at least this many seconds left on the clock."""
        made = Budget(self.seconds)
        made.paces, made.forms, made.cut = self.paces, self.forms, self.cut
        made.ends = max(self.ends, time.perf_counter() + seconds)
        return made

"""How much an examination has done, counted and not timed: a slow machine is to find what a fast one finds.

The unit is what took a second of CPU time on one core of a server of 2023. The prices were fitted to 90 searches, of
networks with 3 to 50,000 parameters; they give 0.5 to 1.5 times the seconds that a search took there.
"""

from __future__ import annotations

from tinygrad_edu.clinic.examiner.forward.program import Step
from tinygrad_edu.core.operation import Operation

# about seconds, independent of size: to make a mutant, a gradient, a use, a residual
MUTANT, GRADIENT, USE, RESIDUAL = 15e-6, 8e-6, 6e-6, 12e-6
# per backward pass, per step in it, and per step that is neither elementwise nor a product
RUN, STEP, OTHER = 36e-6, 15e-6, 32e-6
NUMBER, PRODUCT = 4e-9, 5e-11  # per number read or written, and per multiplication in a matrix product
PLAIN = ("matmul", "reshape")


class Work:
    """The work of a search so far.

    >>> work = Work()
    >>> work.charge(RESIDUAL, numbers=1_000_000)
    >>> round(work.done, 4)
    0.004
    """

    def __init__(self) -> None:
        self.done = 0.0
        self.prices: dict[int, float] = {}

    def charge(self, price: float, numbers: int = 0) -> None:
        self.done += price + NUMBER * numbers

    def charge_steps(self, steps: list[Step], taken: list[int]) -> None:
        """A backward pass through these steps."""
        self.done += RUN + sum(self.price_of(steps[k]) for k in taken)

    def price_of(self, step: Step) -> float:
        """The price of one step of a backward pass."""
        if step.index not in self.prices:
            numbers = step.y.size + sum(step.operand(k).size for k in step.live if k < len(step.node.parents))
            inner = step.operand(0).shape[-1] if step.operation == "matmul" and step.operand(0).ndim else 0
            products = 2 * len(step.live) * step.y.size * inner
            plain = step.activation or step.operation in PLAIN or isinstance(step.node.op, Operation)
            self.prices[step.index] = (STEP if plain else OTHER) + NUMBER * numbers + PRODUCT * products
        return self.prices[step.index]

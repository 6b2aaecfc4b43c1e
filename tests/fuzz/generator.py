"""Random steps on random arrays: operation × shapes × dtype × numbers, each step a function of arrays or Tensors.

Shapes have 0 to 5 axes of length 0, 1 and n; a step may read what was broadcast, transposed, sliced or gathered before.
The numbers are usual ones, or hold zeros, ties, infinities, NaN, and what overflows.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from tests.core.operations.test_table import ROWS
from tinygrad_edu import ops

MOST_AXES = 5
LENGTHS = [0, 1, 1, 2, 2, 3, 3, 4]
SPECIAL = [0.0, 1.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 1e9, -1e9, 90.0, 0.5]
POLES = (
    "gammaln",
    "betaln",
    "digamma",
    "polygamma",
)  # near the poles SciPy has values of its own: usual numbers only
ELEMENTWISE = sorted(name for name, row in ROWS.items() if row.partials and not hasattr(row, "fixed"))


@dataclass
class Step:
    """One operation: its name, the numbers of the values that it reads, and what else it is given."""

    name: str
    reads: tuple[int, ...]
    given: dict = field(default_factory=dict)

    def __repr__(self):
        return f"{self.name}{self.reads}{self.given or ''}"


@dataclass
class Case:
    """Inputs, whole numbers for indices, and steps; the last value is the result."""

    arrays: list
    indices: list
    steps: list

    def __repr__(self):
        shapes = ", ".join(f"{a.shape} {a.dtype}" for a in self.arrays)
        return f"[{shapes}] indices {[i.tolist() for i in self.indices]} steps {self.steps}"

    def function(self):
        """Of all arrays and then all indices."""

        def f(*given):
            values, whole = list(given[: len(self.arrays)]), given[len(self.arrays) :]
            for step in self.steps:
                values.append(run(step, [values[i] for i in step.reads], whole))
            return values[-1]

        return f


def run(step, x, whole):
    """A step on arrays or Tensors."""
    name, given = step.name, step.given
    if name in ROWS:
        return getattr(ops, name)(*x)
    if name == "gather":
        index = whole[given["index"]]
        return x[0][(*(slice(None),) * given["axis"], index)]
    if name == "getitem":
        return x[0][given["index"]]
    if name == "concatenate":
        return np.concatenate([x[0], x[1]], axis=given["axis"])
    if name == "stack":
        return np.stack([x[0], x[0] * 2.0], axis=given["axis"])
    if name == "matmul":
        return x[0] @ x[1]
    if name == "add_condition":
        return x[0] + (x[0] > 0.25)
    if name == "sum_condition":
        return np.sum(np.where(x[0] > 0.25, 1.0, 0.0) * x[0], axis=given["axis"])
    return getattr(ops, name)(*x, **given)


class Drawn:
    """One case, step by step; shapes are those of NumPy's own results."""

    def __init__(self, rng, dtype, special):
        self.rng, self.dtype, self.special = rng, dtype, special
        self.arrays, self.indices, self.steps = [], [], []
        self.shapes = []

    def pick(self, things):
        return things[int(self.rng.integers(len(things)))]

    def shape(self, most=MOST_AXES):
        return tuple(self.pick(LENGTHS) for _ in range(int(self.rng.integers(most + 1))))

    def numbers(self, shape):
        x = self.rng.normal(size=shape).astype(self.dtype)
        if self.special and x.size:
            where = self.rng.random(shape) < 0.4
            x = np.where(where, self.rng.choice(SPECIAL, size=shape), x).astype(self.dtype)
        return np.asarray(x, dtype=self.dtype)

    def array(self, shape):
        """The number of a new input."""
        assert not self.steps
        self.arrays.append(self.numbers(shape))
        self.shapes.append(tuple(shape))
        return len(self.shapes) - 1

    def step(self, name, *reads, **given):
        """Add a step, if NumPy can do it."""
        self.steps.append(Step(name, reads, given))
        case = Case(self.arrays, self.indices, self.steps)
        values = [np.zeros(a.shape) for a in self.arrays]
        try:
            with np.errstate(all="ignore"):
                y = case.function()(*values, *self.indices)
        except Exception:
            self.steps.pop()
            return None
        self.shapes.append(np.shape(y))
        return len(self.shapes) - 1


def partner(drawn, shape):
    """A shape that broadcasts with this one: some axes 1 long, some left out in front, or one more."""
    rng = drawn.rng
    found = tuple(1 if rng.random() < 0.4 else n for n in shape)
    found = found[int(rng.integers(len(found) + 1)) :] if rng.random() < 0.3 else found
    return (drawn.pick(LENGTHS), *found) if len(found) < MOST_AXES and rng.random() < 0.15 else found


def axes_of(drawn, shape):
    """None, one axis, or several."""
    n, rng = len(shape), drawn.rng
    if not n or rng.random() < 0.25:
        return None
    if rng.random() < 0.5:
        return int(rng.integers(-n, n))
    return tuple(int(i) for i in rng.choice(n, size=int(rng.integers(1, n + 1)), replace=False))


def elementwise(drawn, i, name=None):
    name = name or drawn.pick([x for x in ELEMENTWISE if x not in POLES or not drawn.special])
    more = [drawn.pick(drawn.same(i)) for _ in ROWS[name].parameters[1:]]
    return drawn.step(name, i, *more)


def reduction(drawn, i, name=None):
    name = name or drawn.pick(["sum", "max", "min", "prod", "mean", "var", "std", "logsumexp"])
    axis = axes_of(drawn, drawn.shapes[i])
    more = {"ddof": 1} if name in ("var", "std") and drawn.rng.random() < 0.5 else {}
    return drawn.step(name, i, axis=axis, keepdims=bool(drawn.rng.integers(2)), **more)


def along(drawn, i, name=None):
    n = len(drawn.shapes[i])
    name = name or drawn.pick(["softmax", "log_softmax", "cumsum", "flip"])
    if not n:
        return None
    return drawn.step(name, i, axis=int(drawn.rng.integers(-n, n)))


def move(drawn, i, name=None):
    shape, rng = drawn.shapes[i], drawn.rng
    n = len(shape)
    name = name or drawn.pick(
        ["transpose", "reshape", "broadcast_to", "expand_dims", "squeeze", "ravel", "pad", "stack"]
    )
    given = {}
    if name == "transpose":
        given = {"axes": None if rng.random() < 0.4 else tuple(int(a) for a in rng.permutation(n))}
    elif name == "reshape":
        joined = (shape[0] * shape[1], *shape[2:]) if n > 1 else (*shape, 1)
        given = {"shape": drawn.pick([(-1,) if 0 not in shape else joined, shape[::-1], joined, (1, *shape)])}
    elif name == "broadcast_to":
        wide = tuple(drawn.pick(LENGTHS) if m == 1 else m for m in shape)
        given = {"shape": (drawn.pick(LENGTHS), *wide) if n < MOST_AXES and rng.random() < 0.5 else wide}
    elif name in ("expand_dims", "stack"):
        if n >= MOST_AXES:
            return None
        given = {"axis": int(rng.integers(0, n + 1))}
    elif name == "pad":
        if not n:
            return None
        given = {"pad_width": [(int(rng.integers(3)), int(rng.integers(3))) for _ in shape]}
        given["constant_values"] = drawn.pick([0.0, 1.5])
    return drawn.step(name, i, **given)


def part(drawn, i, name=None):
    """Slices, whole numbers, new axes."""
    shape, rng = drawn.shapes[i], drawn.rng
    index = []
    for n in shape:
        kind = rng.random()
        if kind < 0.2 and n:
            index.append(int(rng.integers(-n, n)))
        elif kind < 0.7:
            start, stop = (None if rng.random() < 0.4 else int(rng.integers(-n - 1, n + 2)) for _ in range(2))
            index.append(slice(start, stop, drawn.pick([None, None, 1, 2, -1, -2])))
        else:
            index.append(slice(None))
    if len(shape) < MOST_AXES and rng.random() < 0.2:
        index.insert(int(rng.integers(len(index) + 1)), None)
    return drawn.step("getitem", i, index=tuple(index))


def gather(drawn, i, name=None):
    """Whole numbers along an axis, also of what was broadcast along it; sometimes one that is out of range."""
    shape, rng = drawn.shapes[i], drawn.rng
    if not shape:
        return None
    axis = int(rng.integers(len(shape)))
    n = shape[axis]
    size = drawn.pick([(3,), (1,), (2, 2), (0,), (4,)]) if len(shape) < MOST_AXES else (3,)
    if not n and 0 not in size:
        return None
    drawn.indices.append(rng.integers(-n, n, size=size) if n else np.zeros(size, dtype=np.int64))
    made = drawn.step("gather", i, axis=axis, index=len(drawn.indices) - 1)
    if made is None:
        drawn.indices.pop()
    return made


def product(drawn, i, name=None):
    others = list(range(len(drawn.shapes)))
    drawn.rng.shuffle(others)
    for j in others:
        made = drawn.step("matmul", i, int(j))
        if made is not None:
            return made
    return None


def join(drawn, i, name=None):
    n = len(drawn.shapes[i])
    if not n:
        return None
    axis = int(drawn.rng.integers(n))
    same = [j for j, s in enumerate(drawn.shapes) if len(s) == n and s[:axis] == drawn.shapes[i][:axis]]
    return drawn.step("concatenate", i, drawn.pick(same), axis=axis)


def condition(drawn, i, name=None):
    if drawn.rng.random() < 0.5:
        return drawn.step("add_condition", i)
    return drawn.step("sum_condition", i, axis=axes_of(drawn, drawn.shapes[i]))


KINDS = [
    elementwise,
    elementwise,
    elementwise,
    reduction,
    reduction,
    along,
    move,
    move,
    part,
    gather,
    product,
    join,
    condition,
]


def same_shape(drawn, i):
    """Values that broadcast with value i."""
    found = []
    for j, shape in enumerate(drawn.shapes):
        try:
            np.broadcast_shapes(shape, drawn.shapes[i])
            found.append(j)
        except ValueError:
            pass
    return found


Drawn.same = same_shape


def case(seed, dtype=np.float64, special=False, length=4):
    """The case of that seed."""
    drawn = Drawn(np.random.default_rng(seed), dtype, special)
    shape = drawn.shape()
    first = drawn.array(shape)
    drawn.array(partner(drawn, shape))
    if len(shape) > 1:  # for products
        drawn.array((*partner(drawn, shape[:-2])[-3:], shape[-1], drawn.pick(LENGTHS)))
    at, tries = first, 0
    while len(drawn.steps) < length and tries < 40:
        tries += 1
        kind = drawn.pick(KINDS)
        made = kind(drawn, at)
        if made is not None and len(drawn.shapes[made]) > MOST_AXES:
            drawn.steps.pop(), drawn.shapes.pop()
        elif made is not None:
            at = made
    return Case(drawn.arrays, drawn.indices, drawn.steps)

"""What a learner hands in, checked before anything is judged: names, shapes, numbers, a forward to be trusted."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_edu.checks import number, optional
from tinygrad_edu.clinic.examiner.learner.own_errors import tell_errors
from tinygrad_edu.clinic.examiner.learner.reachable import MutableState
from tinygrad_edu.clinic.examiner.learner.structure import Structure, without_graph
from tinygrad_edu.errors import ExaminerError, NameNotFoundError, ShapeError, unknown_name

Array = np.ndarray[Any, Any]
Forward = Callable[[Any], Any]
SMALL, MORE = 2000, 4  # parameters; up to so many, forward is called so often again at the same ones


def parameters(given: Any) -> tuple[Structure, dict[str, Array]]:
    """The form of the parameters, and their numbers by name, all finite."""
    form = Structure.of(given)
    if not form.leaves:
        raise ExaminerError(
            "params must hold arrays or numbers: a dict of name → array, such as {'W1': W1, 'b1': b1}, a list, or an "
            f"object with them; this is {given!r:.60}"
        )
    return form, {leaf.name: finite_array(f"params[{leaf.name!r}]", leaf.given) for leaf in form.leaves}


def finite_array(what: str, given: Any) -> Array:
    try:
        array = np.array(without_graph(given), dtype=float)
    except (TypeError, ValueError):
        raise ExaminerError(f"{what} is not an array of numbers: {given!r:.60}") from None
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        place = "" if not array.ndim else f" (first at {tuple(map(int, bad[0]))})"
        raise ExaminerError(
            f"{what} has {len(bad)} of {array.size} numbers that are NaN or infinite{place}. "
            "Look for an overflow in exp, a log of 0 or a division by 0 before you look for a mistake"
        )
    return array


def check_names(params: Iterable[str], grads: Iterable[str], kind: str = "grads") -> None:
    """One array for each parameter, in `grads` or in `updated`."""
    known, given = list(params), list(grads)
    missing, extra = [n for n in known if n not in given], [n for n in given if n not in known]
    if missing:
        advice = {
            "grads": f"A gradient that you do not compute is 0: pass np.zeros_like(params[{missing[0]!r}])",
            "updated": f"Pass a parameter that the step does not change as it is: params[{missing[0]!r}]",
        }
        raise NameNotFoundError(f"{kind} has nothing for {', '.join(map(repr, missing))}. {advice[kind]}")
    if extra:
        raise unknown_name({"grads": "gradient", "updated": "updated parameter"}[kind], extra[0], known)


def check_shapes(
    params: Mapping[str, Array], grads: Mapping[str, Array], rows: Mapping[str, tuple[int, ...]]
) -> set[str]:
    """Each gradient has its parameter's shape; the names whose gradient has a row for each sample (`rows`) instead."""
    unsummed = set()
    for name, x in params.items():
        shape = grads[name].shape
        if shape == x.shape:
            continue
        if shape != rows.get(name):
            turned = " It is transposed." if shape == x.shape[::-1] else ""
            raise ShapeError(f"grads[{name!r}] has shape {shape}, but params[{name!r}] has {x.shape}.{turned}")
        unsummed.add(name)
    return unsummed


def check_rate(lr: Any) -> float | None:
    found: float | None = optional(
        number, "lr", lr, "(0, inf)", "", "the learning rate that the update multiplies the gradient by"
    )
    return found


@dataclass(eq=False)
class LearnerForward:
    """The learner's forward, called on numbers in the form in which the learner keeps parameters.

    `state`: what it can reach, whose random generators are set back before each call where the learner's backward is
    run by us too, so that both draw the same dropout masks.
    """

    function: Forward
    form: Structure
    state: MutableState | None = None
    held_by: tuple[Any, ...] = ()  # objects reached by the learner's function, if `function` is a wrapper of ours
    whole: bool = False  # restore all state before a call, not only random generators
    part: Callable[[Any], Any] | None = None  # selects the part of the traced loss that is examined
    plain_logs: bool | None = None  # take the derivative of log(x + ε) as 1/x; None: as the learner may have done

    @property
    def roots(self) -> tuple[Any, ...]:
        return self.held_by or (self.function,)

    @property
    def single(self) -> bool:
        """Are there parameters in single precision?"""
        return any(getattr(leaf.given, "dtype", None) == np.float32 for leaf in self.form.leaves)

    def rewind(self) -> None:
        if self.state is not None:
            (self.state.restore if self.whole else self.state.rewind)()

    def loss(self, params: Mapping[str, Array]) -> float:
        """The loss on plain numbers, one call."""
        self.rewind()
        handed = self.form.fill(params)
        with tell_errors("your forward"):
            loss = self.function(handed)
        for name in changed_names(handed, params)[:1]:
            raise ExaminerError(
                f"forward writes into params[{name!r}]: what it computes then depends on how often it is called. "
                f"Work on a copy: {name} = copy.deepcopy(params[{name!r}])"
            )
        return loss_number(loss)

    def checked_loss(self, params: Mapping[str, Array]) -> float:
        """The loss, computed twice, and again of a small network; refuses what cannot be judged."""
        first = self.loss(params)
        for _ in range(MORE if sum(x.size for x in params.values()) <= SMALL else 1):
            second = self.loss(params)  # of few units, the same few may be dropped twice by chance
            if first != second:
                raise ExaminerError(words_of_chance(first, second, put_back=self.state is not None))
        return first

    def slopes(self, params: Mapping[str, Array]) -> dict[str, Array]:
        """The gradient by central differences: (L(w + h) - L(w - h))/2h, h = ε^⅓ max(1, |w|)."""
        found, begin = {}, time.perf_counter()
        self.loss(params)
        each = 2.0 * (time.perf_counter() - begin)
        with progress(sum(x.size for x in params.values()), each) as advance:
            for name, x in params.items():
                gradient = np.zeros(x.size)
                for i, w in enumerate(x.reshape(-1)):
                    h = 6e-6 * max(1.0, abs(float(w)))
                    up, down = (self.loss({**params, name: nudge(x, i, step)}) for step in (h, -h))
                    gradient[i] = (up - down) / (2.0 * h)
                    advance()
                found[name] = gradient.reshape(x.shape)
        return found

    def slope_along(self, params: Mapping[str, Array], direction: Mapping[str, Array], h: float = 1e-6) -> float:
        """How fast the loss changes in one direction."""
        up, down = (self.loss({n: x + s * direction[n] for n, x in params.items()}) for s in (h, -h))
        return (up - down) / (2.0 * h)


@contextmanager
def progress(count: int, each: float) -> Iterator[Callable[[], Any]]:
    """A bar with a word on how long it takes, where that is more than two seconds."""
    if count * each < 2.0:
        yield lambda: None
        return
    from tqdm import tqdm

    took = f"about {count * each:.0f} s" if count * each < 100.0 else f"about {count * each / 60.0:.0f} min"
    with tqdm(total=count, desc=f"finite differences, {count:,} parameters, {took}", leave=False) as bar:
        yield bar.update


def holds(given: Any, numbers: Array) -> bool:
    """Are these still the same numbers? Lists may have grown, and no longer make an array."""
    try:
        return np.array_equal(np.asarray(without_graph(given), dtype=float).reshape(-1), numbers.reshape(-1))
    except (TypeError, ValueError):
        return False


def loss_number(loss: Any) -> float:
    if loss is None:
        raise ExaminerError("forward returned None: is a `return loss` missing?")
    if isinstance(loss, tuple) and len(loss) > 1:
        raise ExaminerError(
            f"forward must return the loss, one number; it returned {len(loss)} values. If the first of them is the "
            "loss, return it alone: forward=lambda p: your_forward(p)[0]"
        )
    try:
        array = np.asarray(without_graph(loss), dtype=float)
    except (TypeError, ValueError):
        raise ExaminerError(f"forward must return the loss, one number; it returned {loss!r:.60}") from None
    if array.size != 1:
        raise ShapeError(
            f"forward must return the loss, one number; it returned shape {array.shape}. Take the mean or the sum"
        )
    if not np.isfinite(array).all():
        raise ExaminerError(f"the loss is {float(array.reshape(-1)[0])}: there is no gradient to compare with")
    return float(array.reshape(-1)[0])


def changed_names(handed: Any, numbers: Mapping[str, Array]) -> list[str]:
    """The parameters that no longer hold the numbers with which they were handed over."""
    now = {leaf.name: leaf.given for leaf in Structure.of(handed).leaves}
    return [name for name, x in numbers.items() if not holds(now.get(name), x)]


def words_of_chance(first: float, second: float, *, put_back: bool) -> str:
    """What is said of a forward that draws random numbers; put_back: were NumPy's and Python's generators rewound?"""
    text = (
        f"forward gives another loss each time, {first!r} and then {second!r} for the same params: it is not "
        "deterministic. Draw noise, dropout masks and batches outside of it, or fix the seed inside"
    )
    if put_back:
        return text
    return (
        f"{text}. Or hand over the backward itself: check_backprop(forward, params, backward) lets np.random, random "
        "and a generator of yours draw the same numbers in both"
    )


def nudge(x: Array, i: int, step: float) -> Array:
    copy = x.copy()
    copy.reshape(-1)[i] += step
    return copy

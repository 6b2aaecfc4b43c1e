"""What a compiled function has read in Python besides its arguments, and whether it is still the same.

A trace keeps what it saw: `scale` of a closure, `model.training`, the layers in a list, an activation. So everything
that the function can read is noted and checked before every call; if any of it has changed, the function is traced
again.

What it can read is found without running it: the globals, closures and defaults of its code, and from there only the
attributes and methods that are named in code it can reach, or by a text in it, repeated until no new name turns up. So
a class that also keeps an optimizer and a list of losses is not searched if the function names neither. Where code
computes a name (getattr(self, f"layer{i}"), vars(self), eval), all attributes of the objects that it reaches count as
named. Of files that it opens, size and time are compared (files_read.py). What else it asks the system for (the time,
what a folder holds, a data base, settings of another library) is not, nor functions of other libraries that are
replaced. reachable.py looks; this module compares.

Of Values, Tensors and arrays only the numbers that Python has read in the trace are compared (see unread.py), by
checksum: the program reads all others again at each call.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence
from itertools import chain
from operator import is_
from typing import Any

from tinygrad_edu.compile.entries import Check, Content, Entries
from tinygrad_edu.compile.outside import may_ask
from tinygrad_edu.compile.reachable import OF_MODULES, StateWalk
from tinygrad_edu.compile.settings_read import settings_read
from tinygrad_edu.compile.unread import NUMBERS, Readings
from tinygrad_edu.compile.user_code import ABSENT


class Guard:
    """All that a function can read, as it is now: the entries, and the numbers of arrays, Tensors and Values.

    `f` may also be a list of functions and other things.
    """

    def __init__(self, f: Callable[..., Any] | list[Any]) -> None:
        names: set[str] = set(OF_MODULES)
        while True:
            walk = StateWalk(f, names)
            if walk.names == names:
                break
            names = walk.names
        self.entries, self.things, self.names = [*walk.checks, *settings_read(names)], walk.things, names
        self.places = walk.places()
        self.may_ask_outside = may_ask(names, walk.seen.values())
        self.hidden = walk.hidden()
        self.contents: dict[Any, Content] = {}  # id of a thing -> which of its contents is compared
        self.sort_checks(self.entries)

    def sort_checks(self, checks: Sequence[Check]) -> None:
        """All of them; and for `holds` the single names, (get, name, what it gave), and the others."""
        self.checks = checks
        lookups = [(check, check.lookups if isinstance(check, Entries) else []) for check in checks]
        self.names_alone = [each for _, found in lookups for each in found]
        self.lists = Lists(filter(is_of_list, checks))
        self.others = [check for check, found in lookups if not found and not is_of_list(check)]

    def first_change(self) -> str:
        """The name of the first thing that has changed; "" if nothing has."""
        for check in self.checks:
            if not check.holds():
                return check.what()
        return ""

    def holds(self) -> bool:
        """Is everything the same?"""
        for get, name, was in self.names_alone:
            if get(name, ABSENT) is not was:  # 0.06 µs; `Entries.holds` takes 0.25
                return not self.first_change()
        if self.lists.live and not self.lists.hold():  # 0.3 µs even for an empty list
            changed = self.first_change()
            self.sort_checks(self.checks)  # objects may have been replaced by others with equal numbers
            return not changed
        for check in self.others:  # noqa: SIM110 (a generator takes twice as long)
            if not check.holds():
                return False
        return True

    def settle(self, earlier: Guard | None = None) -> None:
        """Stop comparing what the trace itself has changed; go on comparing the rest.

        `earlier`: the guard before a trace. Of a list that each trace adds to, what was there before is compared.
        """
        checks = [check for check in (earlier or self).entries if isinstance(check, Entries)]
        counts = dict(found for check in checks if (found := check.items()) is not None)
        first = {id(check): counts.get(id(check.sized), 0) for check in self.entries if isinstance(check, Entries)}
        self.entries = [settled for check in self.entries for settled in check.settle(first.get(id(check)))]

    def compare(self, read: Readings, unread: Container[int]) -> None:
        """From now on compare what a trace has read, and all numbers of what is not known to be unread.

        Of what the trace itself has changed the rest is compared.
        """
        self.settle()
        for name, thing in self.things:
            known = read.get(id(thing), set())
            for aspect in known if id(thing) in unread else known | {NUMBERS}:
                if (id(thing), aspect) not in self.contents:
                    self.contents[id(thing), aspect] = Content(name, thing, aspect)
        self.sort_checks([*self.entries, *(content for content in self.contents.values() if content.holds())])


class Lists:
    """Many lists, such as the rows of samples, compared at once: 0.08 µs each where `Entries.holds` takes 0.25."""

    def __init__(self, checks: Iterable[Any]) -> None:
        pairs = [(check.sized, check.was) for check in checks]
        self.live, self.lengths = [live for live, _ in pairs], [len(was) for _, was in pairs]
        self.items = [x for _, was in pairs for x in was]

    def hold(self) -> bool:
        """Do they still have the same lengths, and hold the same objects?"""
        same_lengths = list(map(len, self.live)) == self.lengths
        return same_lengths and all(map(is_, chain.from_iterable(self.live), self.items))


def is_of_list(check: Check) -> bool:
    return isinstance(check, Entries) and type(check.sized) is list

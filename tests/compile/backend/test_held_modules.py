"""Stand-ins for modules of programs: they go with the module, and no Python runs while it is freed."""

import sys
import weakref
from types import BuiltinMethodType, ModuleType

from tinygrad_edu.compile.backend.held_modules import Held, in_use

NAME = "module_of_a_program"


def hold():
    module = ModuleType(NAME)
    sys.modules[NAME] = Held(module)
    return module


def test_a_stand_in_goes_with_its_module():
    module = hold()
    assert in_use(NAME) is module
    vars(module).clear()  # it referred to itself, like a module whose functions keep it alive
    del module
    assert in_use(NAME) is None
    assert NAME not in sys.modules


def test_an_older_reference_leaves_a_newer_stand_in_alone():
    first = hold()
    second = hold()
    vars(first).clear()
    del first
    assert in_use(NAME) is second
    vars(second).clear()
    del second
    assert in_use(NAME) is None


def test_no_python_runs_while_a_module_is_freed():
    """Python prints what is raised in a callback of a weak reference, a Ctrl-C too, and goes on."""
    module = hold()
    (reference,) = [each for each in weakref.getweakrefs(module) if each.__callback__ is not None]
    assert isinstance(reference.__callback__, BuiltinMethodType)
    vars(module).clear()
    del module, reference
    assert in_use(NAME) is None

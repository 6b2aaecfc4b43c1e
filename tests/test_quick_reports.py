"""Of each test the controller is told its outcome, and all that is not a quick success."""

from types import SimpleNamespace

from tests.quick_reports import says_something


def test_only_quick_successes_of_set_up_and_tear_down_are_left_out():
    cases = {  # (of which part, did it succeed, seconds): is it told?
        ("call", True, 0.0): True, ("call", False, 0.0): True,
        ("setup", True, 0.001): False, ("setup", True, 0.2): True, ("setup", False, 0.001): True,
        ("teardown", True, 0.001): False, ("teardown", True, 0.2): True, ("teardown", False, 0.001): True,
    }  # fmt: skip
    for (when, passed, duration), told in cases.items():
        report = SimpleNamespace(when=when, passed=passed, duration=duration)
        assert says_something(report) == told, report

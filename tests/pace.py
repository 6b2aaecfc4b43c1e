"""How slow the machine is just now, so that a test of seconds asks the same of every machine."""

import os
import time

QUIET = 0.0066  # seconds of `work` on the idle machine on which the limits were set


def work():
    total, kept = 0.0, {}
    for i in range(100_000):
        kept[i % 97] = total
        total += 0.5 * i
    return total


def slowness(clock=time.thread_time):
    """1 on a machine as fast as that one or faster; 3 on one that takes three times as long, or is as busy."""
    return max(1.0, sorted(seconds(work, clock) for _ in range(5))[2] / QUIET)


def crowding():
    """1.5 while others run: two threads of one core share its units, which machine code fills and `work` does not."""
    return 1.5 if os.getloadavg()[0] > 1.5 else 1.0


def seconds(run, clock=time.thread_time):
    """How long it takes, by a clock that counts this thread alone."""
    start = clock()
    run()
    return clock() - start

"""Work in several threads that take turns often, so that a race that there is shows."""

import contextlib
import sys
import threading


@contextlib.contextmanager
def often_switched():
    """Threads take turns every 10 µs in place of every 5 ms."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def at_once(*works):
    """Run each in a thread of its own; returns the errors that ended them."""
    errors = []

    def run(work):
        try:
            work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    with often_switched():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return errors

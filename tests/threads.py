"""Work in several threads that take turns often, so that a race that there is shows."""

import contextlib
import os
import signal
import sys
import threading
import time


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


@contextlib.contextmanager
def interrupted_after(seconds):
    """Ctrl-C after so many seconds, and again every second until the work inside is done.

    Gives the processor's time that this process had used up at each of them: what it does from then on is counted
    without the turns that it loses to others.

    Python forgets what a callback of its garbage collector raises, and Hypothesis has one: a Ctrl-C that comes just
    then is lost. And a shell lets what it starts in the background ignore Ctrl-C.
    """
    done, sent = threading.Event(), []
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def ring():
        wait = seconds
        while not done.wait(wait):
            sent.append(time.process_time())
            os.kill(os.getpid(), signal.SIGINT)
            wait = 1.0

    thread = threading.Thread(target=ring)
    thread.start()
    try:
        yield sent
    finally:
        done.set()
        thread.join()
        signal.signal(signal.SIGINT, before)

"""Training programs: forward, backward and update of whole epochs in one compiled function.

Read program.py first (whole epochs in one function), then forward.py (the trace of a loss), blocks.py (equal blocks of
a network), programs.py (which program trains a job), session.py and stepper.py (a run of it), watch.py (what a callback
has changed).
"""

"""The line at which a backward pass goes wrong, found by following the learner's own run.

Read recorder.py first (a run, followed line by line) with recording.py and statements.py, then trail.py (which of the
values are right), lines.py (the first line that is wrong) and what it asks: misplaced.py, undone_lines.py and
factor_lines.py. untouched.py and forgotten_lines.py look for what no line does.
"""

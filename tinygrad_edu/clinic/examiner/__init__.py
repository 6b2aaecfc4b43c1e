"""The examiner of hand-written backprop: which gradient is wrong, and which mistake makes it so.

Read check.py first (the door), then tracing.py and program.py (the forward pass as a list of steps), network.py
(its layers), catalogue.py with slips/ (one declaration a mistake), search.py (which mistake gives the learner's
numbers) and report.py.
"""

"""The examiner of hand-written backprop: which gradient is wrong, and which mistake makes it so.

Read check.py first (the door), then in the order of an examination: learner/ (what is handed in, checked), forward/
(the forward pass as a list of steps, its layers, and what is right), judge.py (which gradients are right),
catalogue.py with slips/ (one declaration a mistake), search.py (which mistake gives the learner's numbers), lines/ (the
line at which the backward pass goes wrong) and report.py. steps/ does the same for a whole program that updates its own
parameters.
"""

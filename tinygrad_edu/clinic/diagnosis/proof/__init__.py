"""Training again with one change: trials, the goal that tells success, and the baseline that sets it.

Read goal.py first (when a run counts as having learned), then baseline.py (what can be asked of it), trial.py (one
change, several seeds) and trials.py (all of a diagnosis, and the time left).
"""

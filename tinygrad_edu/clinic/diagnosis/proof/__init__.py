"""Training again with one change: trials, the goal that tells success, and the baseline that sets it."""

"""The examiner of hand-written backprop: from a learner's program to the wrong line and the name of the mistake."""

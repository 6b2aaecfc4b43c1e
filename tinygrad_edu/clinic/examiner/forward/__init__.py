"""The learner's forward pass as a list of steps, the layers in it, and every right derivative.

Read tracing.py first (the door), then program.py (a list of steps, and its backward pass), network.py with layers.py
(where parameters enter) and book.py (what is right, to be found by its numbers). traced_array.py, traced_functions.py
and traced_numpy.py let NumPy code run on arrays that remember; lists.py and vectorize.py are for plain Python.
"""

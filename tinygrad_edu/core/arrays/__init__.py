"""More operations on whole arrays, beyond shapes.py, broadcasting.py, reductions.py and linalg.py of the folder above.

Read rearrange.py first: its operations are made of others and need no derivative. statistics.py, missing.py and
sorting.py reduce or order numbers; contractions.py (einsum), diagonals.py, linear_systems.py, factors.py and
polynomials.py are linear algebra; special_arrays.py holds functions that SciPy computes. For images: windows.py
(sizes), unfold.py, conv.py, convolutions.py and pooling.py. positions.py makes numbers from positions.
"""

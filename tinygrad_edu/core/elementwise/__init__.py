"""More elementwise rows of THE table, beyond those of elementary.py and ops.py of the folder above.

transcendental.py (logarithms, inverse hyperbolics, angles), rounding.py (rounding, remainders, signs) and special.py
(functions of scipy.special). fixed_arguments.py refuses gradients of arguments that have no derivative.
"""

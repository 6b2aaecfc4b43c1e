"""From what was recorded to what is printed: lower.py to primitives, then fuse.py into loops.

Three look for what NumPy has beside floats of one dtype: whole_numbers.py, exact_range.py, float_dtypes.py.
"""

"""Plain NumPy code on Values and Tensors: NumPy hands the call over, and the operation is found by NumPy's name.

Read dispatch.py first. names.py says which function is which operation where the names differ, and what to use instead
of a function without one. options.py makes options that operations lack (`where=`, `initial=`, `dtype=`) out of
operations; without_numbers.py answers for nodes that have no numbers yet.
"""

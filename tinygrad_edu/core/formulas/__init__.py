"""What a formula of the table means on floats and on arrays.

Read readings.py first: one body, bound to Python's arithmetic or to NumPy's; array_readings.py binds it for plain
arrays alone. ieee_floats.py gives inf and nan where Python's floats raise. powers.py, row_sums.py and whole_numbers.py
are the arithmetic that needs care; limits.py says how a function behaves far from 0.
"""

"""The mistakes that the examiner knows, one declaration each: at activations, at layers, in sums over samples.

Read layer.py and activation.py first, then sums.py; nodes.py, windows.py, recurrent.py and finished.py hold the rest.
How one is declared is said by catalogue.py of the folder above.
"""

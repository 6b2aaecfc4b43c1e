"""What may become a node, and what a node may become.

conversion.py takes numbers, lists and arrays, and refuses the rest with a reason. plain_numbers.py is float(x) and
int(x); printing.py is text, as in f"{loss:.4f}"; copies.py is copy.deepcopy and pickle.
"""

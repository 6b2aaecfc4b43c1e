"""PyTorch's and NumPy's names for what a Tensor can do anyway.

Read tensor_methods.py first (x.view(2, 3), x.sum(dim=1)), then torch_names.py (more of them) and pairs.py (results in
two parts, such as x.max(dim=1)). plain_arrays.py gives the arrays of `x.data` and `x.grad` such methods, too;
spellings.py says what to write for a name that is not there.
"""

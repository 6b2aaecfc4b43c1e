"""Names for what an argument may be, where Python has no type for it: the same code runs on all of these.

Each is Any to a type checker. Checks at run time say what does not fit (`conversion.py`, `operation.plain_array`).
"""

from __future__ import annotations

from typing import Any

# a number, an array, nested lists, a Value, a Tensor or a node of a trace: anything an operation accepts
ArrayLike = Any
Node = Any  # a Value or a Tensor, for modules below both in the import order
Axis = Any  # one axis, several axes, or None for all; for some functions also an index or a shape
Option = Any  # one option of an operation, as NumPy's functions take them
Samples = Any  # one row per sample: an array, nested lists or a data frame; also one weight per sample
State = Any  # the state of a recurrent layer: an array, or a tuple of several
Dtype = Any  # a dtype as NumPy takes it: "float32", np.float32, None
Thing = Any  # what a function of the user keeps in Python, of any class
Model = Any  # one of our Modules, a network of PyTorch or Keras, or an estimator

"""Names for what an argument may be, where Python has no type for it: the same code runs on all of these.

Each is Any to a type checker. Checks at run time say what does not fit (`conversion.py`, `operation.plain_array`).
"""

from __future__ import annotations

from typing import Any

ArrayLike = Any  # a number, an array, nested lists, a Value, a Tensor, what a trace records: an operand
Node = Any  # a Value or a Tensor, in modules that stand below both
Axis = Any  # an axis, several, or None for all; in some functions also an index or a shape
Option = Any  # one option of an operation, as NumPy's functions take them
Samples = Any  # one row for each sample: an array, nested lists, a data frame; also weights of samples
State = Any  # the state of a recurrent layer: an array, or a tuple of several
Dtype = Any  # a dtype as NumPy takes it: "float32", np.float32, None
Model = Any  # a Module of ours, a network of PyTorch or Keras, or an estimator

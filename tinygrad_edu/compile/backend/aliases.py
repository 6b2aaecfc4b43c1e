"""Names for objects of llvmlite and Numba, which ship no types: each is Any to a type checker."""

from typing import Any

IRValue = Any  # a value of llvmlite's IR, or several that the generator keeps together
Builder = Any  # llvmlite's IRBuilder, which inserts the next instruction
Context = Any  # Numba's target context: the layout of types
Signature = Any  # Numba's signature of an intrinsic

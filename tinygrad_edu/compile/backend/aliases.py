"""Names for objects of llvmlite and Numba, which ship no types: each is Any to a type checker."""

from typing import Any

IRValue = Any  # a value of llvmlite's IR, or of a few that the generator keeps together
Builder = Any  # llvmlite's IRBuilder: where the next instruction goes
Context = Any  # Numba's target context: how types are laid out
Signature = Any  # Numba's signature of an intrinsic: its types

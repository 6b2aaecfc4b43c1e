"""Machine code: Numba functions, our own LLVM code generator for generated text, matrix products, the cache on disk."""

"""Machine code: Numba functions, our own LLVM code generator for generated text, matrix products, the cache on disk.

Read cache.py first (a generated module on disk, loaded once), then intrinsics.py (what generated text calls),
llvm_statements.py, llvm_expressions.py and llvm_values.py (our own compiler for plain loops), matmul.py. compiler.py
says whether anything can be compiled here; private_folders.py and held_modules.py keep the cache safe and small.
"""

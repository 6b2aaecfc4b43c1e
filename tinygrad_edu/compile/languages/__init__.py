"""A generated program in another language: the small Python that codegen/ prints, written as C99 or JavaScript.

It reads the same text that backend/llvm_statements.py turns into machine code; neither of them knows operations.
values.py (numbers and arrays as text), program_text.py (the functions and constants of a program), expressions.py and
functions.py (what each piece of it becomes), then a language: c99.py, javascript.py.
"""

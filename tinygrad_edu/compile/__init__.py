"""A function becomes a program: traced, rewritten, printed as Python text, compiled, kept on disk.

jit.py is the front door. In the order in which a function passes through: ir/ (what tracing records, with symbolic
sizes), passes/ (what is lowered and fused), codegen/ (text of loops), backend/ (machine code, and the cache on disk);
scalar/ holds the tape of single numbers.
"""

"""A function becomes a program: traced, rewritten, printed as Python text, compiled, kept on disk.

jit.py is the front door. In the order in which a function passes through: ir/ (what tracing records, with symbolic
sizes), rounds/ (loops over time, and repetitions that become loops), passes/ (what is lowered and fused), codegen/
(text of loops), backend/ (machine code, and the cache on disk); scalar/ holds the tape of single numbers. languages/
writes that text as C or JavaScript, onnx_graph/ a trace as ONNX. What a function reads in Python besides its arguments
is looked at by closure_guard.py before each call; quick_call.py is the short way of a call that has been made before.
"""

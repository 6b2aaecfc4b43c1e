"""Arrays that are written to while a graph still needs them.

write_guard.py notices it (by the number that checksum.py computes) before a wrong gradient comes of it. overwrite.py
makes x[i] = value part of the graph; augmented.py does `w -= rate * w.grad` under `no_grad`.
"""

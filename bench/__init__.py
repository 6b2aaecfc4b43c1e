"""Measurements against other libraries: `python -m bench`.

One table of workloads and peers (workloads.py) drives both a test that all give the same answer (tests/test_bench.py)
and the timing. Every number is a ratio to a peer that did the same work in the same run.
"""

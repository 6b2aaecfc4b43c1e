"""Loops over time stay loops: one round is traced once and runs once for each entry.

Read trace.py first (`scan` in a trace), then body.py (one round), reverse.py (its derivative) and repeats.py
(repetitions of Python that become such loops).
"""

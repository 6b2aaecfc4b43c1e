"""The tape: a graph of single numbers as flat arrays, replayed forward and backward.

Begin with `function`, which traces and runs; it puts the graph on a `tape`, whose loops are in `tape_loops`.
"""

"""What tracing records: nodes, symbolic sizes with guards, shape rules, and indexing in terms of slices.

Read node.py first (a node, and the derivative of a trace), then dims.py (symbolic lengths), slices.py and indexing.py,
then shape_rules.py and rules.py (what the primitive operations are), convolution.py.
"""

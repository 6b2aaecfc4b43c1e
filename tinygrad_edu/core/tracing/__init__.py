"""The user's own functions while they run on nodes, in a trace or under a transform.

Read stands_for.py first: what a node says to code that asks what it is (node_class.py answers `isinstance`).
askers.py and identity.py find questions that no node sees (`type(x)`, `x is y`) in the text of the functions.
whose_code.py and user_errors.py tell the user's code and errors from those of libraries.
"""

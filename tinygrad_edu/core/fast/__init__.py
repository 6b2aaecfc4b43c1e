"""The same meaning as the files of the folder above, written out for speed. Skip this folder to understand the engine.

values.py and values_backward.py (Value), tensors.py and whole_tensors.py (Tensor), pulls.py (the backward pass over
arrays), class_entropy.py (the loss of a classifier as one node). flat_node.py keeps the parents of a Value without
tuples; collector.py and freed_memory.py keep Python's garbage collector and the C library out of the way.
"""

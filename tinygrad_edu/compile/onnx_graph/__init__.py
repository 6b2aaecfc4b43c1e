"""A traced function as an ONNX graph: one more interpreter of the table of operations.

nodes.py (the graph under construction), formulas.py (elementwise rows, from their own text), arrays.py (views, sums,
products, loops), model.py (the whole model, checked).
"""

"""Python text from a schedule: loops, index expressions, formulas from THE table, and the module around them.

Read loops.py first (the text of a program), then index_maps.py (where a view finds its numbers), formulas.py (a row as
text), rounds.py (loops over time), outline.py (long programs in parts), templates.py and module_writer.py (the module
around it). math_approximations.py holds exp, log and tanh as plain arithmetic.
"""

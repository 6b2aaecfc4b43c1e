"""The engine: one table of operations, and the back ends that interpret it.

Where to begin. One number at a time, twenty-five minutes:

1. `elementary`     the first sixty lines: rows of the table. A function of floats and its derivative, nothing else
2. `graph`          a topological order, and the chain rule along it: two loops that serve every back end
3. `value`          `Value`: what an operation means on one number (`__apply__`), and `backward`
4. `operators`      how `a * b` and `x.tanh()` get to the table

Whole arrays, half an hour more:

5. `operation`      what a row is, and the one place where a call is handed to a back end
6. `tensor`         `Tensor`: the same operations over NumPy arrays, `record` keeps the graph
7. `backward`       the pull-back at one node, and broadcasting undone
8. `shapes`, `broadcasting`, `reductions`, `linalg`   array operations, each with its pull-back
9. `numpy_protocol/` how `np.tanh(x)` finds the operation
10. `transforms/`   functions of functions: grad, vjp and jvp in derivatives.py, jacobian and hessian in jacobians.py

What you can leave for later has a folder of its own:

`formulas/`                 what a formula of the table means on floats and on arrays
`elementwise/`, `arrays/`   more rows of the table; `ops` and `array_operations` collect all rows
`losses/`                   losses, composed of rows, and the checks of their targets
`fast/`                     the usual cases of the above, written out for speed: the same bits
`writes/`                   arrays that are written to between forward and backward
`conversions/`              what may become a node, and what a node may become
`methods/`                  PyTorch's and NumPy's names for what a Tensor can do anyway
`tracing/`                  the user's own functions while they run on nodes

The files that are left here: lost_gradients.py, added_numbers.py, stretched_values.py and stretched_targets.py warn of
programs that run and do something else, at the line that user_line.py finds; own_operations.py and own_functions.py
take operations of the user's; pytree.py, one_name.py, column_names.py and shape_errors.py are about arguments;
modes.py, anomaly.py and places.py hold what a thread can switch on, mutex.py what threads share.
"""

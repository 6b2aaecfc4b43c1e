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
9. `numpy_protocol` how `np.tanh(x)` finds the operation
10. `transforms`    grad, vjp, jvp: functions of functions; `jacobians` makes matrices of them

Skip these at first: `fast_paths`, `fast_backward`, `fast_tensors`, `fast_arrays`, `array_pulls`, `class_entropy`,
`row_sums`, `flat_node` and `collector` do the same as the above, for speed; `write_guard` and `checksum` notice arrays
that were written to;
`readings` and `array_readings` bind one formula to floats or to arrays; `conversion`, `printing`, `spellings`,
`shape_errors` hold checks and sentences; the rest is rows.
"""

"""Functions of functions: derivatives, Jacobians, and `vmap`, which runs a function of one sample on a batch.

Read derivatives.py first (grad, vjp, jvp), then jacobians.py (jacobian, hessian, hvp). argnums.py, seeds.py and
variables.py are their parts; scalar_transforms.py is the same for a machine without NumPy. vmap.py calls a function
with batched.py's Tensors; batch_rules.py and batched_index.py say what each operation does to a batch. scan.py is a
loop over time; check.py compares gradients with differences; derivative_numbers.py are plain numbers that remember the
derivative they come from.
"""

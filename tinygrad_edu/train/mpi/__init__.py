"""Training on several processes that add up their gradients (extra `mpi`)."""

"""The engine: one table of operations, and the back ends that interpret it."""

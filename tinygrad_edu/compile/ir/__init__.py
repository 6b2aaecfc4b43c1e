"""What tracing records: nodes, symbolic sizes with guards, rules of shape, and indexing in terms of slices."""

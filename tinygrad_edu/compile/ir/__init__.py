"""What tracing records: nodes, symbolic sizes with guards, shape rules, and indexing in terms of slices."""

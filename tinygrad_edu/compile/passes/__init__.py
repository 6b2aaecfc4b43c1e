"""From what was recorded to what is printed: lower.py to primitives, then fuse.py into loops."""

"""Loops over time as loops: one round is traced once, and runs as often as there are entries."""

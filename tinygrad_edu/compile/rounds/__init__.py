"""Loops over time stay loops: one round is traced once and runs once for each entry."""

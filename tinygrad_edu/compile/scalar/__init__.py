"""The tape: a graph of single numbers as flat arrays, replayed forward and backward."""

"""Programs made from the table of operations: generated as Python text, compiled by Numba, kept on disk."""

"""Generated programs of array operations, run by every back end: `python -m tests.fuzz SECONDS [SEED]`."""

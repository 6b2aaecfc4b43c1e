"""The table of causes, and the changes of a setup that would cure them."""

"""How fast: the rows of README's table, each beside its peers in processes of their own."""

"""How often right: problems for the diagnosis, backward passes with known mistakes for the examiner."""

"""Python text from a schedule: loops, index expressions, formulas from THE table, and the module around them."""

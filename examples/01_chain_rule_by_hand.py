"""01. The chain rule by hand: how far does the result move when an input moves?

You will learn what a gradient is, how it is handed back from the result to the inputs one step at a time, and how to
check it without any theory. Plain Python, no library: the next example does the same with `Value`.

    python examples/01_chain_rule_by_hand.py
"""

import math


def forward(a, b, c):
    """y = tanh(a·b + c), one step a line; every intermediate result is kept, since the way back needs it."""
    product = a * b
    total = product + c
    y = math.tanh(total)
    return product, total, y


def backward(a, b, c):
    """∂y/∂a, ∂y/∂b, ∂y/∂c. Read it beside `forward`, from its last line to its first."""
    _, _, y = forward(a, b, c)
    d_y = 1.0  # the result moves as far as itself
    d_total = d_y * (1.0 - y * y)  # y = tanh(total): tanh' = 1 - tanh²
    d_product = d_total * 1.0  # total = product + c: a sum hands its gradient to both
    d_c = d_total * 1.0
    d_a = d_product * b  # product = a·b: each factor gets the gradient times the other factor
    d_b = d_product * a
    return d_a, d_b, d_c


def by_differences(a, b, c, h=1e-6):
    """The same three numbers without the chain rule: move one input a little and look at the result."""
    found = []
    for da, db, dc in [(h, 0.0, 0.0), (0.0, h, 0.0), (0.0, 0.0, h)]:
        up, down = forward(a + da, b + db, c + dc)[-1], forward(a - da, b - db, c - dc)[-1]
        found.append((up - down) / (2.0 * h))
    return tuple(found)


point = {"a": 0.5, "b": -1.0, "c": 0.8}
product, total, y = forward(**point)
print(f"forward:  product = {product:+.4f}   total = {total:+.4f}   y = tanh(total) = {y:+.4f}\n")

by_hand, measured = backward(**point), by_differences(**point)
print("input   chain rule    by differences   they differ by")
for name, exact, seen in zip(point, by_hand, measured, strict=True):
    print(f"  {name}   {exact:+.8f}     {seen:+.8f}     {abs(exact - seen):.0e}")

# The gradient predicts what small moves do. A step against it (the minus sign) lowers y, by about as much as predicted:
step = 0.01
moved = [x - step * d for x, d in zip(point.values(), by_hand, strict=True)]
predicted = -step * sum(d * d for d in by_hand)
change = forward(*moved)[-1] - y
print(f"\none step of {step} against the gradient: y moves by {change:+.6f}, predicted {predicted:+.6f}")

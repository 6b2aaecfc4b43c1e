"""02. The same with Value: the computer records the steps and runs them backwards.

You will learn what a node keeps (its number, the operation, its parents, the local derivatives), that `backward()` is
a loop over nodes, and why a number that is used twice gets the sum of two gradients.

    python examples/02_with_value.py
"""

from tinygrad_edu import Value
from tinygrad_edu.core.graph import topological

a, b, c = Value(0.5, label="a"), Value(-1.0, label="b"), Value(0.8, label="c")
y = (a * b + c).tanh()
y.backward()

print("node      data      grad   made by   local derivatives")
for node in topological(y):  # every node after its parents: the order of the forward pass
    made = node.op.name if node.op else "input"
    local = ", ".join(f"{d:+.4f}" for d in node.partials)
    print(f"  {node.label or '.':4} {node.data:+8.4f}  {node.grad:+8.4f}   {made:7}   {local}")

# The same as backward(), by hand: each node hands its gradient times the local derivative to its parents.
gradients = dict.fromkeys(topological(y), 0.0)
gradients[y] = 1.0
for node in reversed(topological(y)):
    for parent, local in zip(node.parents, node.partials, strict=True):
        gradients[parent] += gradients[node] * local
print("\nbackward() by hand, against backward(): ", end="")
print("the same" if all(gradients[x] == x.grad for x in (a, b, c)) else "they differ")

# x is used three times: both factors of x·x contribute x each, the sum contributes 1.
x = Value(3.0, label="x")
(x * x + x).backward()
print(f"x·x + x at x = 3: the gradient is {x.grad:g} = 3 + 3 + 1")

# Gradients are added up on purpose; clear the old one first to start afresh.
(x * x).backward()
print(f"backward() of x·x without clearing: {x.grad:g} = 7 + 6")
x.grad = 0.0
(x * x).backward()
print(f"after x.grad = 0: {x.grad:g}")

"""Case 6: the delta rule learns AND better without the factor σ'(z) than with it. Why?

    python examples/case_6_delta_rule.py [--quick]

The two rules are the gradients of two losses. Here is what each tells a unit whose target is 1, by its logit z.
"""

import sys

import tinygrad_edu as tg

print("      z      p    ∂/∂z cross-entropy   p - t    ∂/∂z squared error   (p - t)·σ'")
for number in (-8.0, -4.0, 0.0, 4.0):
    entropy, squared = tg.Value(number), tg.Value(number)
    tg.nn.losses.bce_with_logits([entropy], [1.0]).backward()
    (0.5 * (squared.sigmoid() - 1.0) ** 2).backward()
    p = tg.ops.sigmoid(number)
    by_formula = p - 1.0, (p - 1.0) * p * (1.0 - p)
    print(
        f"{number:7.1f} {p:6.4f} {entropy.grad:21.6f} {by_formula[0]:7.4f} {squared.grad:21.6f} {by_formula[1]:12.6f}"
    )
print()

# AND, 10,000 and 35,000 epochs, on both back ends: all published outputs to 1e-11.
report = tg.cases.run("delta_rule", quick="--quick" in sys.argv)
print(report)

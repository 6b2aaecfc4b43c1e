"""08. Compiled: read the program that the compiler writes from your function.

You will learn what `tg.jit` does: it runs the function once on symbols, writes forward and backward as a Python program
that you could have written yourself, and has it compiled. The program is kept as text: `.source`.

    python examples/08_compiled.py
"""

import time

import numpy as np

import tinygrad_edu as tg


# Elementwise steps are fused into one loop, products are BLAS, nothing is allocated between them.
def loss(W1, W2, x, y):
    return np.mean((np.tanh(x @ W1) @ W2 - y) ** 2)


rng = np.random.default_rng(0)
W1, W2 = rng.normal(size=(4, 8)), rng.normal(size=(8, 1))
x, y = rng.normal(size=(32, 4)), rng.normal(size=(32, 1))
start = time.perf_counter()
compiled = tg.jit(loss)
value, gradient = compiled.value_and_grad(W1, W2, x, y)
first = time.perf_counter() - start

program = compiled.source  # forward and backward, then the operations they call
print(program)

eager = tg.value_and_grad(loss)(W1, W2, x, y)
apart = abs(value - eager[0]), np.abs(gradient - eager[1]).max()
print(f"against the eager back end: loss {apart[0]:.0e}, gradient {apart[1]:.0e} apart")

seconds = {}
for name, f in {"eager": tg.value_and_grad(loss), "compiled": compiled.value_and_grad}.items():
    start = time.perf_counter()
    for _ in range(200):
        f(W1, W2, x, y)
    seconds[name] = (time.perf_counter() - start) / 200
print(f"one call: eager {1e6 * seconds['eager']:.0f} µs, compiled {1e6 * seconds['compiled']:.0f} µs")
print(f"the first call took {first:.1f} s; the program is on the disk now, and the next process starts faster")

# Sizes are symbols in the program: another batch size needs no second program.
compiled.value_and_grad(W1, W2, x[:7], y[:7])
print("7 samples in place of 32: the same program" if compiled.source == program else "another program")

"""The fixed texts of generated programs."""

HEADER = """\
import math

import numpy as np

try:
    from tinygrad_edu.compile.backend.llvm_statements import direct
    from tinygrad_edu.compile.backend.intrinsics import copy, dot, gather, njit, room, uniform, view
except ImportError:  # the same numbers without Numba, slowly
    from types import SimpleNamespace

    # NumPy's functions give inf and nan where Python's own raise.
    own = math
    math = SimpleNamespace(**vars(math) | {name: f for name, f in vars(np).items() if name in vars(math)})
    math.lgamma = lambda x: own.lgamma(x) if x > 0.0 or x % 1.0 != 0.0 else own.inf  # poles at 0, -1, -2, ...

    def dot(a, b, out):  # as the eager product: np.dot has 0 for 0·∞ where the inner axis is 1 long
        np.matmul(a, b, out=out)

    def njit(**options):
        return lambda function: function

    def direct(**options):
        return lambda function: lambda given: function(*given)

    def view(memory, at, shape):
        return memory.reshape(-1)[at : at + int(np.prod(shape))].reshape(shape)

    room = view  # memory that nothing else is read or written through
    tanh_by_table = np.tanh

    def stack(like, shape):
        return np.empty(shape, like.dtype)

    def stopped(control):
        return control[0] != 0

    def gather(source, order, place, out):
        out[...] = source[order.reshape(-1)[place : place + len(out)]]

    def copy(source, out):
        out[...] = source

    def array_at(kind):
        from ctypes import c_char

        def found(addresses, k, shape):
            size = int(np.prod(shape)) * np.dtype(kind).itemsize
            return np.frombuffer((c_char * size).from_address(int(addresses[k])), kind).reshape(shape)

        return found

    float64_at, float32_at, int64_at = map(array_at, (np.float64, np.float32, np.int64))

    def uniform(source):
        from ctypes import CFUNCTYPE, c_double, c_void_p

        return CFUNCTYPE(c_double, c_void_p)(int(source[0]))(int(source[1]))

"""
PRANGE = """\
try:
    from numba import prange
except ImportError:
    prange = range

"""
# Pieces of a program have no entry points for Python, which saves a third of their compile time (5 pieces: 0.55 → 0.4
# s).
# "contract": product and sum may become one instruction, rounded once (float64 exp: 1.4 ns instead of 2.3).
# "arcp": x / y may become x · (1/y), which pays off where y is constant in a loop (Adam: 76 → 57 µs).
INLINED = """\
# The pieces of the program, put where they are used; they cannot be called from Python.
inlined = njit(error_model="numpy", forceinline=True, no_cpython_wrapper=True, no_cfunc_wrapper=True{})

"""
CONTRACT = ', fastmath={"contract"}'
FAST = ', fastmath={"contract", "arcp"}'
# A loop with a sum is vectorized only if its items may be added in another order; this allows it for one addition.
PLUS = """\
@njit(fastmath={"contract", "reassoc"}, forceinline=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
def plus(total, item):  # in several partial sums
    return total + item

"""
# Indices are checked against their axes before all loops: see lookups.py.
ENTRY = """\
@njit(error_model="numpy", forceinline=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
def entry(index, n):  # -1 is the last one
    return index + n if index < 0 else index

"""
# control: [stop if not 0, whole epochs done, 1 after NaN]; a run that is stopped or meets NaN goes back one epoch.
RATE = "rates[int(t - first) - 1]"  # of the current step, in EPOCHS
EPOCHS = """\
    n = X.shape[0]
{sizes}
    # every parameter and its gradient stand at the same place of two flat buffers
    at = 0
{parameters}
{vectors}
    before = view(saved, 0, (at,))
    first = t
    for epoch in range(losses.size):
        copy(state, saved)
{keep}
        total = 0.0
        for start in range(0, n, batch):
            if {asked}:
                break
            size = {size}
{batch}
{step}
            total += loss * size
            t += 1.0
            lr = rates[int(t - first) - 1]
{clip}
{update}
        squares, moved = 0.0, 0.0
        for i in range(g.size):
            squares {plus_squares} g[i] * g[i]
            moved {plus_moved} (w[i] - before[i]) * (w[i] - before[i])
        losses[epoch] = total / n + 0.0 * moved  # NaN where the last step has made a weight NaN or infinite
        if control[0] != 0 or {bad}:
            control[2] = control[0] == 0
            copy(saved, state)
{restore}
{leave_bad}
            return
        norms[epoch], changes[epoch] = math.sqrt(squares), math.sqrt(moved)
        control[1] = epoch + 1
{stop}
{leave}"""
# The samples of a batch are gathered in their order; without an order they are read in place.
IN_TURN = "{name} = view({array}, start * {columns}, {shape})"
IN_ORDER = """\
{name}, {name}_rows = view({memory}, {place}, {shape}), view({memory}, {place}, (size, {columns}))
gather({array}, orders, epoch * n + start, {name}_rows)
{place} += size * {columns}"""
# Like optim.clip_by_value: NaN stays NaN.
CLIP_VALUE = """\
for i in range(g.size):
    if g[i] > clip_value:
        g[i] = clip_value
    elif g[i] < -clip_value:
        g[i] = -clip_value
"""
# Like optim.clip_by_norm.
CLIP = """\
squares = 0.0
for i in range(g.size):
    squares {plus_squares} g[i] * g[i]
if math.sqrt(squares) + 1e-6 > clip_norm and squares - squares == 0.0:
    factor = clip_norm / (math.sqrt(squares) + 1e-6)
    for i in range(g.size):
        g[i] *= factor"""

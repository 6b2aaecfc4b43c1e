"""exp, expm1, log, log1p, tanh and erf as plain arithmetic, which a compiler turns into vector instructions.

A call of the C library in a loop prevents the whole loop from being vectorised (4 to 25 ns an element). These take 0.5
to 5 ns: no branch, no table, only sums, products, one quotient, selections and the bits of a float's exponent. Their
text replaces the table's `math.exp` and so on in generated modules, unless `accurate=True`.

Within 3 ulp for float64 and for float32, denormal numbers included (tests/compile/backend/test_kernels.py). Limits
are exact: exp(-inf) = 0, log(0) = -inf, log(-1) = nan, tanh and erf reach ±1, and NaN stays NaN. expm1 and
log1p of -0 give 0.

Coefficients: our own minimax polynomials, by a Remez exchange in 40 digits for the least relative error of the result
(absolute for erf of large x), then rounded; each docstring states that error before rounding. Float32 runs the same
functions with the constants and shorter polynomials in FLOAT32.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from tinygrad_edu.core.aliases import ArrayLike, Samples

SHIFT = 1.5 * 2.0**52  # adding it rounds x to an integer, which is then in the lowest bits
BIAS = 1023.0  # offset of the stored exponent
LOG2_E = 1.4426950408889634
# log 2 in two parts, the first with 32 bits, so that its product with an exponent is exact
LN2_HIGH = 0.6931471803691238
LN2_LOW = 1.9082149292705877e-10
EXP_OVERFLOWS, EXP_VANISHES, EXPM1_SETTLES = 710.0, -746.0, -40.0
EXP_LARGEST = 709.782712893384  # log of the largest float
SMALLEST_NORMAL = 2.0**-1022
SCALE, SCALE_BITS = 2.0**54, 54.0  # a factor that makes a denormal number normal, and its exponent
ERF_SETTLES = 6.0


def power_of_two(n: ArrayLike) -> Any:
    """2ⁿ for a whole n above -1024 and below 1024: n + 1023, shifted to the bits of the exponent."""
    return np.int64(np.float64(n + (SHIFT + BIAS)).view(np.int64) << 52).view(np.float64)


def exponent(x: ArrayLike) -> Any:
    """The n of x = f·2ⁿ with √½ ≤ f < √2, for positive normal x. (4330... are the bits of 2⁵²)"""
    raised = np.float64(x).view(np.int64) + 0x00095F619980C433
    return np.int64((raised >> 52) + 0x4330000000000000).view(np.float64) - (4503599627370496.0 + BIAS)


def fraction(x: ArrayLike) -> Any:
    """The f of x = f·2ⁿ. (3FE6... are the bits of √½)"""
    raised = np.float64(x).view(np.int64) + 0x00095F619980C433
    return np.int64((raised & 0x000FFFFFFFFFFFFF) + 0x3FE6A09E667F3BCD).view(np.float64)


def exp_polynomial(r: ArrayLike) -> Any:
    """(eʳ - 1 - r)/r² for |r| ≤ log(2)/2; error 1.8e-17 of eʳ - 1. By pairs: four steps wait for each other."""
    s = r * r
    low = (0.008333333333389573 * r + 0.04166666666657676) * s + (0.16666666666666588 * r + 0.5000000000000006)
    middle = (2.7557407603395096e-06 * r + 2.4801505275283553e-05) * s + (
        0.00019841269718949832 * r + 0.0013888888931563536
    )
    return ((2.5053753203499624e-08 * r + 2.762603732364633e-07) * (s * s) + middle) * (s * s) + low


def log_polynomial(z: ArrayLike) -> Any:
    """(2·artanh(s) - 2s)/s³ at z = s², for |s| ≤ (√2 - 1)/(√2 + 1); error 1.2e-18 of the logarithm."""
    p = 0.14796261108529246 * z + 0.1531402111658917
    p = p * z + 0.18183565407293018
    p = p * z + 0.2222219855379485
    p = p * z + 0.28571428742561855
    p = p * z + 0.39999999999413965
    return p * z + 0.6666666666666734


def erf_polynomial(z: ArrayLike) -> Any:
    """erf(x)/x at z = x², for |x| ≤ 1; error 7.3e-18."""
    p = -7.779470462045632e-10 * z + 1.3710981466848314e-08
    p = p * z - 1.6206314008193444e-07
    p = p * z + 1.644713160417576e-06
    p = p * z - 1.4924712304690757e-05
    p = p * z + 0.00012055293577039872
    p = p * z - 0.0008548325929319047
    p = p * z + 0.005223977606118561
    p = p * z - 0.026866170643111476
    p = p * z + 0.11283791670944185
    p = p * z - 0.3761263890318352
    return p * z + 1.1283791670955126


def log_erfc_polynomial(x: ArrayLike) -> Any:
    """log(1 - erf(x)) for 1 ≤ x ≤ 6; error 3e-17 of erf, absolute."""
    t = x - 2.0
    p = 1.740311787347883e-11 * t - 8.416542342484505e-11
    p = p * t - 1.5226798313875537e-10
    p = p * t + 2.619857840187078e-09
    p = p * t - 1.4233562075617764e-08
    p = p * t + 5.767171313012459e-08
    p = p * t - 1.728755254097525e-07
    p = p * t + 2.037934660516162e-07
    p = p * t + 1.9520014090626983e-06
    p = p * t - 2.0706536358132636e-05
    p = p * t + 0.000135309383231256
    p = p * t - 0.0007323993532344801
    p = p * t + 0.003570756343140952
    p = p * t - 0.016465118140496393
    p = p * t - 0.9237508418239944
    p = p * t - 4.418160805994332
    return p * t - 5.364941264616633


def exp(x: ArrayLike) -> Any:
    """eˣ = 2ⁿ·eʳ with n = x/log 2, rounded; 2ⁿ in two factors, so that it neither overflows nor vanishes early."""
    x = EXP_OVERFLOWS if x > EXP_OVERFLOWS else x
    x = EXP_VANISHES if x < EXP_VANISHES else x
    n = x * LOG2_E + SHIFT - SHIFT
    half = 0.5 * n + SHIFT - SHIFT
    r = x - n * LN2_HIGH - n * LN2_LOW
    y = (1.0 + (r + r * r * exp_polynomial(r))) * power_of_two(half) * power_of_two(n - half)
    # needed because LLVM may fuse the last product into a sum, which would not overflow
    return math.inf if x > EXP_LARGEST else y


def expm1(x: ArrayLike) -> Any:
    """Twice its half, because 2¹⁰²⁴ is not a float."""
    x = EXP_OVERFLOWS if x > EXP_OVERFLOWS else x
    y = 2.0 * expm1_half(x)
    return math.inf if x > EXP_LARGEST else y


def expm1_half(x: ArrayLike) -> Any:
    """(eˣ - 1)/2 = 2ⁿ⁻¹·(eʳ - 1) + (2ⁿ⁻¹ - ½), for x that does not overflow."""
    x = EXPM1_SETTLES if x < EXPM1_SETTLES else x
    n = x * LOG2_E + SHIFT - SHIFT
    r = x - n * LN2_HIGH - n * LN2_LOW
    power = power_of_two(n - 1.0)
    return power * (r + r * r * exp_polynomial(r)) + (power - 0.5)


def tanh(x: ArrayLike) -> Any:
    """(e^(2x) - 1)/(e^(2x) + 1), at -|x|, where nothing overflows."""
    h = expm1_half(-2.0 * math.fabs(x))
    return math.copysign(h / (1.0 + h), x)


def erf(x: ArrayLike) -> Any:
    """An odd polynomial near 0, 1 - e^(log(1 - erf x)) elsewhere."""
    a = math.fabs(x)
    a = ERF_SETTLES if a > ERF_SETTLES else a
    near, far = a * erf_polynomial(a * a), -expm1(log_erfc_polynomial(a))
    return math.copysign(near if a < 1.0 else far, x)


def log(x: ArrayLike) -> Any:
    """n·log 2 + log f for x = f·2ⁿ."""
    scaled = x * SCALE if x < SMALLEST_NORMAL else x
    n = exponent(scaled) - (SCALE_BITS if x < SMALLEST_NORMAL else 0.0)
    return log_limits(log_sum(n, fraction(scaled) - 1.0), x)


def log1p(x: ArrayLike) -> Any:
    """log u for u = 1 + x, where f gets back what u lost by rounding; 2⁻ⁿ in two factors."""
    u = 1.0 + x
    n = exponent(u)
    lost = x - (u - 1.0)
    return log_limits(log_sum(n, fraction(u) - 1.0 + lost * (0.5 * power_of_two(1.0 - n))), u)


def log_sum(n: ArrayLike, f: Any) -> Any:
    """n·log 2 + log(1 + f), where log(1 + f) = 2·artanh(s) = f - (f²/2 - s·(f²/2 + ...)) for s = f/(2 + f)."""
    s = f / (2.0 + f)
    z = s * s
    h = 0.5 * f * f
    return n * LN2_HIGH - (h - (s * (h + z * log_polynomial(z)) + n * LN2_LOW) - f)


def log_limits(y: Samples, x: ArrayLike) -> Any:
    """y for positive finite x; inf and NaN stay; -inf at 0, NaN below."""
    y = y if x < math.inf else x
    return y if x > 0.0 else (-math.inf if x == 0.0 else math.nan)


def power_of_two_32(n: ArrayLike) -> Any:
    return np.int32(np.float32(n + (SHIFT + BIAS)).view(np.int32) << 23).view(np.float32)


def exponent_32(x: ArrayLike) -> Any:
    raised = np.int32(np.float32(x).view(np.int32) + 0x004AFB0D)
    return np.int32((raised >> 23) + 0x4B000000).view(np.float32) - (8388608.0 + BIAS)


def fraction_32(x: ArrayLike) -> Any:
    raised = np.int32(np.float32(x).view(np.int32) + 0x004AFB0D)
    return np.int32((raised & 0x007FFFFF) + 0x3F3504F3).view(np.float32)


def exp_polynomial_32(r: ArrayLike) -> Any:
    """The polynomial of exp for float32; error 1.3e-8."""
    return (0.0013882543 * (r * r) + (0.00836652 * r + 0.0416672)) * (r * r) + (0.16666543 * r + 0.49999997)


def log_polynomial_32(z: ArrayLike) -> Any:
    """The polynomial of log for float32; error 8.1e-10."""
    return (0.2987197 * z + 0.39977533) * z + 0.66666776


def erf_polynomial_32(z: ArrayLike) -> Any:
    """The polynomial of erf for float32; error 1.2e-9."""
    p = 7.853866e-05 * z - 0.0008010195
    p = p * z + 0.0051883277
    p = p * z - 0.026853813
    p = p * z + 0.112835854
    p = p * z - 0.37612626
    return p * z + 1.1283791


def log_erfc_polynomial_32(x: ArrayLike) -> Any:
    """The polynomial of log erfc for float32, for x ≤ 4; error 1e-9."""
    p = 0.00018557205 * x - 0.0029395882
    p = p * x + 0.021805242
    p = p * x - 0.10303721
    p = p * x - 0.63822585
    p = p * x - 1.1270399
    return p * x - 0.0003537458


FUNCTIONS: Mapping[str, Any] = {f.__name__: f for f in (exp, expm1, log, log1p, tanh, erf)}
FLOAT32: Mapping[str, Any] = {
    "SHIFT": 1.5 * 2.0**23,
    "BIAS": 127.0,
    "LN2_HIGH": 0.693359375,  # 10 bits
    "LN2_LOW": -0.00021219444,
    "EXP_OVERFLOWS": 89.0,
    "EXP_LARGEST": 88.72283935546875,
    "EXP_VANISHES": -104.0,
    "EXPM1_SETTLES": -18.0,
    "SMALLEST_NORMAL": 2.0**-126,
    "SCALE": 2.0**25,
    "SCALE_BITS": 25.0,
    "ERF_SETTLES": 4.0,
    "power_of_two": power_of_two_32,
    "exponent": exponent_32,
    "fraction": fraction_32,
    "exp_polynomial": exp_polynomial_32,
    "log_polynomial": log_polynomial_32,
    "erf_polynomial": erf_polynomial_32,
    "log_erfc_polynomial": log_erfc_polynomial_32,
}


def kernels(dtype: str) -> Mapping[str, Any]:
    """The replacements by name in a program that computes with this dtype."""
    return {**FUNCTIONS, **FLOAT32} if dtype == "float32" else FUNCTIONS

"""What NumPy and SciPy call PyTorch's functions and their options, where the names differ."""

NUMPYS_NAMES = {
    "acos": "arccos", "asin": "arcsin", "atan": "arctan", "acosh": "arccosh", "asinh": "arcsinh", "atanh": "arctanh",
    "atan2": "arctan2", "neg": "negative", "mul": "multiply", "sub": "subtract", "div": "true_divide",
    "cat": "concatenate", "permute": "transpose", "amax": "max", "amin": "min", "movedim": "moveaxis", "pow": "power",
    "clamp": "clip", "eq": "equal", "ne": "not_equal", "lt": "less", "le": "less_equal", "gt": "greater",
    "ge": "greater_equal", "take_along_dim": "take_along_axis", "mm": "matmul", "bmm": "matmul", "mv": "matmul",
    "expand": "broadcast_to", "repeat": "tile", "unsqueeze": "expand_dims", "trapz": "trapezoid",
    "tensor_split": "array_split", "linalg.vecdot": "vecdot", "unflatten": "no such name", "split": "no such name",
}  # fmt: skip
SCIPYS_NAMES = {
    "digamma": "digamma", "erf": "erf", "erfc": "erfc", "erfinv": "erfinv", "lgamma": "gammaln", "logit": "logit",
    "sigmoid": "expit", "i0": "i0", "xlogy": "xlogy", "logsumexp": "logsumexp", "softmax": "softmax",
    "log_softmax": "log_softmax", "igamma": "gammainc", "igammac": "gammaincc", "mvlgamma": "multigammaln",
    "polygamma": "polygamma",
}  # fmt: skip
OPTIONS = {"dim": "axis", "keepdim": "keepdims", "correction": "ddof", "unbiased": ""}  # "" for one that is left out

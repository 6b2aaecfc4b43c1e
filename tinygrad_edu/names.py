"""The names that arguments take, for editors and type checkers. Generated from the tables: do not edit.

`make format` writes this file anew, and `tests/test_names.py` fails where it is not what the tables say. Nothing reads
it at run time: a row of a table is known by its name as soon as it is declared.

Each is `Literal[...] | str`: an editor completes the names, and a name that stands in a variable, or that a program
has declared itself, passes a type checker too. An unknown one is told at run time, with the closest that there is.
"""

from typing import Literal

# fmt: off

ActivationName = Literal[
    "abs", "acos", "asin", "asinh", "atan", "celu", "clip", "cos", "cosh", "elu", "erf", "exp", "expm1", "gelu",
    "gelu_tanh", "hard_sigmoid", "hard_swish", "hard_tanh", "hardsigmoid", "hardswish", "hardtanh", "identity",
    "leaky_relu", "log", "log1p", "log_sigmoid", "logistic", "logsigmoid", "mish", "neg", "pos", "reciprocal", "relu",
    "relu6", "selu", "sigmoid", "sign", "silu", "sin", "sinh", "softmax", "softplus", "softsign", "sqrt", "square",
    "swish", "tan", "tanh",
] | str

BackEndName = Literal[
    "scalar", "tensor",
] | str

InitializerName = Literal[
    "glorot_normal", "glorot_uniform", "he_normal", "he_uniform", "lecun_normal", "lecun_uniform", "normal",
    "orthogonal", "scikit_learn", "uniform", "zeros",
] | str

LearningRateName = Literal[
    "adaptive", "constant", "invscaling",
] | str

LossName = Literal[
    "bce", "bce_with_logits", "cross_entropy", "delta_rule", "hinge", "huber", "kl_div", "mae", "mse", "multi_margin",
    "nll", "poisson",
] | str

NormName = Literal[
    "batch", "layer",
] | str

OptimizerName = Literal[
    "adadelta", "adagrad", "adam", "adamax", "adamw", "asgd", "lbfgs", "lion", "nadam", "radam", "rmsprop", "rprop",
    "sgd",
] | str

OrderName = Literal[
    "given", "shuffled", "sorted", "stratified", "weighted",
] | str

ScikitLearnLossName = Literal[
    "bce", "bce_with_logits", "cross_entropy", "delta_rule", "hinge", "huber", "log_loss", "mae", "mse", "poisson",
    "squared_error",
] | str

SolverName = Literal[
    "adadelta", "adagrad", "adam", "adamax", "adamw", "asgd", "lbfgs", "lion", "nadam", "radam", "rmsprop", "rprop",
    "sgd",
] | str

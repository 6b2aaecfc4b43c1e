"""What to write for a name that NumPy, torch or micrograd have and a Value or a Tensor does not."""

from __future__ import annotations

import operator
from types import FunctionType
from typing import Any

from tinygrad_edu.core.aliases import ArrayLike, Node
from tinygrad_edu.errors import RAISED, GraphError

# name: what to write here instead of x.name
OF_TENSOR = {
    "view": "x.reshape(shape)",
    "permute": "x.transpose(axes)",
    "t": "x.T",
    "mT": "np.swapaxes(x, -1, -2)",
    "unsqueeze": "np.expand_dims(x, axis)",
    "masked_fill": "np.where(mask, value, x)",
    "argmax": "np.argmax(x, axis)",
    "argmin": "np.argmin(x, axis)",
    "argsort": "np.argsort(x, axis)",
    "any": "np.any(x.data)",
    "all": "np.all(x.data)",
    "nonzero": "np.nonzero(x.data)",
    "numel": "x.size",
    "dim": "x.ndim",
    "clone": "+x, a node of its own in the graph, or Tensor(x.data) for a new leaf",
    "copy": "+x, a node of its own in the graph, or x.data.copy() for the plain numbers",
    "astype": "Tensor(x.data, dtype=...) for a new leaf: an operation keeps its dtype",
    "float": "Tensor(x.data, dtype=np.float32) for a new leaf",
    "double": "Tensor(x.data, dtype=np.float64) for a new leaf",
    "tolist": "x.data.tolist()",
    "round": "np.round(x.data)",
    "repeat": "np.concatenate([x, x]) or np.broadcast_to(x, shape)",
    "expand": "np.broadcast_to(x, shape)",
    "cat": "np.concatenate([x, y])",
    "chunk": "np.split(x, sections)",
    "mm": "x @ y",
    "bmm": "x @ y",
    "fill": "x.data = np.full(x.shape, value)",
    "requires_grad_": "x.requires_grad = True",
    "is_leaf": "not x.parents",
    "grad_fn": "x.op and x.parents",
    "retain_grad": "x.grad, which inner nodes keep after backward()",
    "cpu": "x itself: a Tensor's array lies in the memory of the CPU",
    "cuda": "x itself: this library computes on the CPU",
    "to": "x itself: this library computes on the CPU; for another dtype Tensor(x.data, dtype=...)",
    "at": "np.where(mask, value, x) in place of x.at[mask].set(value)",
    "partials": "x.op and x.parents: a Tensor keeps no derivatives, backward() computes them",
}
# Names of NumPy's arrays and numbers: a function that is traced and catches the AttributeError of a node, or asks
# hasattr(x, "real"), would go another way than with what it is given otherwise.
OF_NUMPY = {
    **{"flat": "x.reshape(-1)", "base": "x.parents", "device": "x itself: this library computes on the CPU"},
    **dict.fromkeys(["real", "conj", "conjugate"], "x itself: it holds real numbers"),
    **dict.fromkeys(["imag"], "np.zeros_like(x): it holds real numbers"),
    **{name: f"np.{name}(x.data, ...)" for name in ("argpartition", "choose", "resize")},
    **{"compress": "np.compress(condition, x)", "partition": "x = np.partition(x, kth)"},
    "searchsorted": "np.searchsorted(x.data, values)",
    "put": "np.where(condition, new, x), which makes a new array",
    **{
        name: f"x.data.{name}"
        for name in (
            "byteswap", "ctypes", "dump", "dumps", "flags", "getfield", "setfield", "setflags", "strides", "to_device",
            "tobytes", "tofile", "as_integer_ratio", "fromhex", "hex", "is_integer", "itemsize", "nbytes",
        )
    },
}  # fmt: skip
OF_TENSOR |= OF_NUMPY
ALSO_OF_NUMPY = {"copy", "tolist", "round", "repeat", "fill", "argmax", "argmin", "argsort", "any", "all", "nonzero"}
ONE_NUMBER = "x.data, since a Value is one number; for arrays take tg.Tensor, or an array of Values"
OF_VALUE = dict.fromkeys(
    ["shape", "ndim", "size", "dtype", "reshape", "T", "sum", "mean", "max", "min", "astype", "numpy", "requires_grad"],
    ONE_NUMBER,
) | {
    "clone": "+x, a new node in the graph, or x.detach(), a new leaf",
    "copy": "+x, a new node in the graph, or x.detach(), a new leaf",
    "zero_grad": "x.grad = 0.0",
    **dict.fromkeys(["m", "v", "_m", "_v", "t", "velocity", "momentum", "_vis_color", "_vis_label"], "a dict by node"),
    "_backward": "x.partials, the derivatives by x.parents: nodes hold numbers here, no functions",
    "_local_grads": "x.partials",
    "_children": "x.parents",
}

# name that is nearly one of ours, or another word for it: what to write. Python suggests the nearest name at the end
# of a traceback, but not in a notebook, and never another word.
SLIPS_OF_NODES = {
    **dict.fromkeys(["backwards", "backprop", "back", "run_backward"], "x.backward()"),
    **dict.fromkeys(["grads", "gradients", "derivative"], "x.grad"),
    **dict.fromkeys(["value", "val"], "x.data"),
    **dict.fromkeys(["name", "names"], "x.label"),
    **dict.fromkeys(["parent", "children", "inputs", "prev"], "x.parents"),
    "operation": "x.op",
    "detached": "x.detach()",
}
SLIPS_OF_VALUE = {
    **SLIPS_OF_NODES,
    "gradient": "x.grad",
    **dict.fromkeys(["zero_grads", "zerograd", "zero_grad_", "reset_grad"], "x.grad = 0.0"),
    **dict.fromkeys(
        ["softmax", "log_softmax", "cross_entropy", "logsumexp"],
        "tg.ops.softmax([a, b, c]) or log_softmax, logsumexp, which take a list of Values: each needs several numbers",
    ),
    "matmul": "x * y: a Value is one number",
    "step": "optimizer.step(), or x.data -= lr * x.grad",
}
SLIPS_OF_TENSOR = {
    **SLIPS_OF_NODES,
    **dict.fromkeys(["zero_grads", "zerograd", "reset_grad"], "x.grad = None"),
    "step": "optimizer.step(), or x.data -= lr * x.grad",
}
LAYER = "layer.weight, a row of numbers for each neuron: a layer keeps all of its neurons in one array"
SLIPS_OF_MODULE = {
    **dict.fromkeys(["neurons", "w", "W", "weights", "kernel", "coefs_"], LAYER),
    **dict.fromkeys(["b", "biases", "intercepts_"], "layer.bias"),
    **dict.fromkeys(["params", "parameter", "trainable_variables"], "model.parameters()"),
    **dict.fromkeys(["zerograd", "zero_grads"], "model.zero_grad()"),
    **dict.fromkeys(["backward", "backwards", "backprop"], "loss.backward(): the gradients are those of a loss"),
    **dict.fromkeys(["grad", "grads"], "model.gradients(), or layer.weight.grad"),
    **dict.fromkeys(["step", "update"], "optimizer.step(), with an optimizer such as tg.optim.SGD"),
    **dict.fromkeys(["forwards", "forward_pass", "call"], "model(X)"),
    "n_params": "sum(p.size for p in model.parameters())",
}


class Missing:
    """An attribute that does not exist here: reading it says what to use. One that a program sets wins.

    A descriptor for each name, because a class with `__getattr__` pays for it at every attribute that it has (25 ns
    each under Python 3.11, which makes an operation on Values a fifth slower).
    """

    def __init__(self, name: str, instead: str) -> None:
        self.name, self.instead = name, instead

    def __get__(self, x: object, kind: type) -> Any:
        advice = f"Write {self.instead}{of_evaluation(x) if self.name in PREDICTING else ''}"
        error = AttributeError(f"{kind.__name__!r} object has no attribute {self.name!r}. {advice}")
        if RAISED.in_trace is not None and (self.name in OF_NUMPY or self.name in ALSO_OF_NUMPY):
            RAISED.in_trace.append(error)
        raise error


PREDICTING = frozenset(["predict", "predict_classes", "predict_proba", "classify"])


def of_evaluation(x: Any) -> str:
    """What to write before a prediction by a model, or by a run's, with layers that act differently in training."""
    held = "" if hasattr(x, "modules") else "run."
    model = x.model if held and hasattr(x, "model") else x
    inside = model.modules() if hasattr(model, "modules") else ()
    modal = dict.fromkeys(type(each).__name__ for each in inside if each.training and acts_by_mode(type(each)))
    if not modal:
        return ""
    return (
        f", after {held}model.eval(): in training mode, which it is in, {' and '.join(modal)} would change the answer. "
        f"{held}model.train() goes back, before you train on"
    )


def acts_by_mode(kind: type) -> bool:
    """Does a method of this class read `self.training`?"""
    methods = [each for base in kind.__mro__ if base.__name__ != "Module" for each in vars(base).values()]
    return any("training" in each.__code__.co_names for each in methods if isinstance(each, FunctionType))


class NameSlip(Missing):
    """A slip of the pen in a name that programs set: as an attribute of the program's own it would do nothing."""

    def __set__(self, x: Node, value: ArrayLike) -> None:
        kind = type(x).__name__
        raise AttributeError(f"a {kind} takes no attribute {self.name!r}: did you mean {self.instead}?")


SET = ("requires_grad", "label", "grad", "data")  # names of a Tensor that programs set
LONG = 6  # letters of a name from which a missing letter leaves no other word ("rad" for "grad" is one)


def slips_of(name: str) -> set[str]:
    """The name with two letters that changed places, one that is doubled; of a long name also one missing, an s more.

    >>> sorted(slips_of("data"))
    ['adta', 'daat', 'daata', 'dataa', 'datta', 'ddata', 'dtaa']
    """
    places = range(len(name))
    found = {name[:i] + name[i + 1 : i + 2] + name[i] + name[i + 2 :] for i in places}
    found |= {name[: i + 1] + name[i:] for i in places}
    if len(name) >= LONG:  # `labels` and `grads` are ordinary words
        found |= {name[:i] + name[i + 1 :] for i in places} | {name + "s"}
    return found - {name}


def names_to_show(x: Node) -> list[str]:
    """dir(x) without the names that only say what to write instead."""
    hidden = {name for kind in type(x).__mro__ for name, each in vars(kind).items() if isinstance(each, Missing)}
    return [name for name in object.__dir__(x) if name not in hidden]


def refuse_subclass(kind: Any, **options: Any) -> None:
    """Errors: GraphError for a subclass of Tensor outside of this library."""
    if not kind.__module__.startswith("tinygrad_edu."):
        raise GraphError(
            f"class {kind.__name__}: a Tensor cannot be subclassed, because the engine looks for the class Tensor "
            f"itself and would take a {kind.__name__} for a constant without a gradient. Set attributes on a Tensor "
            "(w.name = ...), keep it in an object of yours, or make a layer of nn.Module"
        )


def refuse_slips(kind: Any) -> None:
    """Let a class that takes attributes of a program's own refuse names that are meant to be others, and subclasses."""
    refuse: Any = refuse_subclass
    kind.__dir__, kind.__init_subclass__ = names_to_show, classmethod(refuse)
    for name in SET:
        for slip in slips_of(name) | (
            {"require_gradient", "requires_gradient", "require_grads"} if "_" in name else set()
        ):
            if not hasattr(kind, slip):
                setattr(kind, slip, NameSlip(slip, f"x.{name}"))


def read_only(name: str) -> Any:
    """What the engine keeps in the slot _name: read as x.name; set by a program, the gradient would be wrong."""

    def refuse(x: Node, value: ArrayLike) -> None:
        raise AttributeError(
            f"x.{name} says how x was computed, and cannot be set: take another name, as in x.my_{name}"
        )

    return property(operator.attrgetter(f"_{name}"), refuse)


class Elsewhere(Missing):
    """A missing name of a node, which takes no new attributes: setting it also explains what to do."""

    def __set__(self, x: Node, value: ArrayLike) -> None:
        raise AttributeError(
            f"a {type(x).__name__} takes no attribute {self.name!r}: it holds only what the engine needs. "
            f"Keep yours in a dict by node, as in {self.name} = {{x: ...}}"
        )


def tell(back_end: type, names: dict[str, str], descriptor: type[Missing] = Elsewhere) -> None:
    """Let a class answer for the names of other libraries that it does not have.

    >>> from tinygrad_edu import Value
    >>> Value(2.0).copy()
    Traceback (most recent call last):
        ...
    AttributeError: 'Value' object has no attribute 'copy'. Write +x, a new node in the graph, or x.detach(), a new leaf
    >>> Value(2.0).m = 0.0
    Traceback (most recent call last):
        ...
    AttributeError: a Value takes no attribute 'm': it holds only what the engine needs. Keep yours in a dict \
by node, as in m = {x: ...}
    """
    for name, instead in names.items():
        if not hasattr(back_end, name):
            setattr(back_end, name, descriptor(name, instead))
    shows: Any = back_end
    shows.__dir__ = names_to_show

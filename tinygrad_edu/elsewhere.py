"""What other libraries call things, and what to write here: "Coming from ..." and the errors read this table."""

from __future__ import annotations

import importlib.util
import opcode
import sys
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any, NamedTuple

from tinygrad_edu import foreign_names
from tinygrad_edu.spelling import near_names


class Spelling(NamedTuple):
    """One line of the page, and the names under which people look for it here."""

    library: str
    theirs: str
    ours: str  # an expression or two, joined by " and "; all names in it exist
    # where to look for the name: (module without `tinygrad_edu.`, name), as in "nn.MSELoss"
    sought: tuple[str, ...] = ()


SPELLINGS = (
    Spelling("micrograd", "from micrograd.engine import Value", "tg.Value", ("engine",)),
    Spelling("micrograd", "MLP(3, [4, 4, 1])", 'tg.nn.MLP([3, 4, 4, 1], activation="relu", backend="scalar")'),
    Spelling("micrograd", "Neuron(2)", 'tg.nn.Linear(2, 1, backend="scalar")', ("nn.Neuron",)),
    Spelling("micrograd", "Layer(2, 3)", 'tg.nn.Linear(2, 3, backend="scalar")', ("nn.Layer",)),
    Spelling("micrograd", "y._prev, y._op", "y.parents and y.op"),
    Spelling("micrograd", "y._backward", "y.partials"),
    Spelling("micrograd", "draw_dot(y)", "tg.draw(y)", ("draw_dot", "trace")),
    Spelling("PyTorch", "torch.tensor(x)", "tg.Tensor(x)", ("tensor", "as_tensor", "from_numpy", "array")),
    Spelling("PyTorch", "torch.randn(3, 4)", "np.random.default_rng(0).normal(size=(3, 4))",
             ("randn", "rand", "random")),
    Spelling("PyTorch", "torch.zeros(3, 4)", "tg.Tensor(np.zeros((3, 4)))", ("zeros", "ones", "eye", "arange")),
    Spelling("PyTorch", "torch.cat([a, b], dim=1)", "np.concatenate([a, b], axis=1)", ("cat",)),
    Spelling("PyTorch", "torch.stack([a, b])", "np.stack([a, b])", ("stack",)),
    Spelling("PyTorch", "torch.manual_seed(0)", "tg.nn.MLP([2, 8, 1], seed=0) and tg.nn.Linear(2, 8, rng=0)",
             ("manual_seed", "set_seed")),
    Spelling("PyTorch", "torch.exp(x), torch.tanh(x)", "np.exp(x) and np.tanh(x)", ("exp", "tanh", "log")),
    Spelling("PyTorch", "torch.relu(x), F.softmax(x, 1)", "tg.ops.relu(x) and tg.ops.softmax(x, 1)",
             ("relu", "sigmoid", "softmax")),
    Spelling("PyTorch", "F.relu(x), F.mse_loss(p, t)", "tg.ops.relu(x) and tg.nn.losses.mse(p, t)",
             ("functional", "nn.functional")),
    Spelling("PyTorch", "torch.inference_mode(), torch.set_grad_enabled(False)", "tg.no_grad()",
             ("inference_mode", "set_grad_enabled", "enable_grad", "is_grad_enabled")),
    Spelling(
        "PyTorch", "torch.autograd.grad(f(x), x, create_graph=True)", "tg.grad(f)(tg.Tensor(x))", ("autograd",),
    ),
    Spelling("PyTorch", "class Own(torch.autograd.Function)", "tg.operation", ("Function",)),
    Spelling("PyTorch", "torch.func.vmap", "tg.vmap", ("func",)),
    Spelling("PyTorch", "torch.compile(f)", "tg.jit(f)"),
    Spelling("PyTorch", "nn.MSELoss()(p, t)", "tg.nn.losses.mse(p, t)", ("nn.MSELoss",)),
    Spelling("PyTorch", "nn.L1Loss()(p, t)", "tg.nn.losses.mae(p, t)", ("nn.L1Loss",)),
    Spelling("PyTorch", "nn.SmoothL1Loss(), nn.HuberLoss()", "tg.nn.losses.huber",
             ("nn.SmoothL1Loss", "nn.HuberLoss")),
    Spelling("PyTorch", "nn.BCELoss()(p, t)", "tg.nn.losses.bce(p, t)", ("nn.BCELoss",)),
    Spelling("PyTorch", "nn.BCEWithLogitsLoss()(z, t)", "tg.nn.losses.bce_with_logits(z, t)",
             ("nn.BCEWithLogitsLoss",)),
    Spelling("PyTorch", "nn.CrossEntropyLoss()(z, c)", "tg.nn.losses.cross_entropy(z, c)", ("nn.CrossEntropyLoss",)),
    Spelling("PyTorch", "nn.NLLLoss()(logp, c)", "tg.nn.losses.nll(logp, c)", ("nn.NLLLoss",)),
    Spelling("PyTorch", "nn.KLDivLoss()(logp, q)", "tg.nn.losses.kl_div(logp, q)", ("nn.KLDivLoss",)),
    Spelling("PyTorch", "nn.init.xavier_uniform_(layer.weight)", 'tg.nn.Linear(3, 4, init="glorot_uniform")',
             ("nn.init.xavier_uniform_", "nn.init.xavier_normal_")),
    Spelling("PyTorch", "nn.init.kaiming_normal_(layer.weight)", 'tg.nn.Linear(3, 4, init="he_normal")',
             ("nn.init.kaiming_normal_", "nn.init.kaiming_uniform_")),
    Spelling("PyTorch", "nn.init.normal_(w, 0.0, 0.02), nn.init.constant_(w, 0.1)",
             "w.data.normal_(0.0, 0.02) and w.data.fill_(0.1)",
             ("nn.init.normal_", "nn.init.uniform_", "nn.init.constant_", "nn.init.zeros_", "nn.init.ones_")),
    Spelling("PyTorch", "nn.InstanceNorm2d(8, affine=True)", "tg.nn.GroupNorm(8, 8)",
             ("nn.InstanceNorm1d", "nn.InstanceNorm2d")),
    Spelling("PyTorch", "nn.ZeroPad2d(1)(x)", "np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))",
             ("nn.ZeroPad2d", "nn.ConstantPad1d", "nn.ConstantPad2d")),
    Spelling("PyTorch", "nn.PixelShuffle(r)(x), of x (n, c·r·r, h, w)",
             "x.reshape(n, c, r, r, h, w).permute(0, 1, 4, 2, 5, 3).reshape(n, c, h * r, w * r)", ("nn.PixelShuffle",)),
    Spelling("PyTorch", "nn.Upsample(scale_factor=2)(x)", "x.repeat(2, axis=-2).repeat(2, axis=-1)",
             ("nn.Upsample", "nn.UpsamplingNearest2d")),
    Spelling("PyTorch", "nn.Unflatten(1, (2, 3))(x)", "x.reshape(len(x), 2, 3)", ("nn.Unflatten",)),
    Spelling("PyTorch", "nn.PReLU()", "np.where(x > 0.0, x, slope * x)", ("nn.PReLU",)),
    Spelling("PyTorch", "nn.ParameterList([w, v])", "[tg.nn.Parameter(w), tg.nn.Parameter(v)]",
             ("nn.ParameterList", "nn.ParameterDict")),
    Spelling("PyTorch", "nn.LSTM(3, 8, batch_first=True)", "tg.nn.LSTM(3, 8)"),
    Spelling("PyTorch", "y, weights = nn.MultiheadAttention(8, 2, batch_first=True)(q, k, v)",
             "tg.nn.MultiHeadAttention(8, 2)(q, k, v, need_weights=True)", ("nn.MultiheadAttention",)),
    Spelling("PyTorch", "nn.utils.clip_grad_norm_(p, 1.0)", "tg.optim.clip_by_norm(p, 1.0)", ("nn.utils",)),
    Spelling("PyTorch", "optim.lr_scheduler.StepLR(optimizer, 30)", "tg.optim.lr_scheduler.StepLR"),
    Spelling("PyTorch", "optim.lr_scheduler.OneCycleLR(optimizer, 0.1, 100)", "tg.optim.lr_scheduler.OneCycleLR"),
    Spelling("PyTorch", "DataLoader(data, batch_size=32)", "tg.data.batches(X, y, 32)",
             ("data.DataLoader", "data.Dataset", "data.TensorDataset")),
    Spelling("PyTorch", "model.state_dict()", "model.state_dict()"),
    Spelling("PyTorch", "torch.save(model.state_dict(), f)", 'model.save("model.safetensors")', ("save",)),
    Spelling("PyTorch", "model.load_state_dict(torch.load(f))", 'model.load("model.safetensors")', ("load",)),
    Spelling("PyTorch", "model.cuda()", 'model.to("cpu")', ("nn.Module.cuda",)),
    Spelling("PyTorch", "model.half()", "model.float()", ("nn.Module.half",)),
    Spelling("PyTorch", "values, indices = x.max(1)", "x.max(dim=1)"),
    Spelling("PyTorch", "x.std(), x.var(), which divide by n - 1", "x.std(correction=1) and x.var(correction=1)"),
    Spelling("PyTorch", "optim.SGD(p, 0.1, 0.9, 0, 1e-4)", "tg.optim.SGD(p, 0.1, 0.9, weight_decay=1e-4)"),
    Spelling("PyTorch", "optim.RMSprop(p), whose alpha is 0.99", "tg.optim.RMSprop(p, alpha=0.99)"),
    Spelling("PyTorch", "optim.Rprop(p), whose lr is 0.01", "tg.optim.Rprop(p, lr=0.01)"),
    Spelling("PyTorch", "a torch.nn.Module that is trained", "tg.from_torch(module)"),
    Spelling("Keras", "Sequential([Dense(16), Dense(1)])", "tg.nn.MLP([2, 16, 1])", ("Sequential", "nn.Dense")),
    Spelling("Keras", "Conv2D(6, 5), MaxPooling2D(2)", "tg.nn.Conv2d(1, 6, 5) and tg.nn.MaxPool2d(2)",
             ("nn.Conv2D", "nn.MaxPooling2D")),
    Spelling("Keras", "model.compile(...); model.fit(X, y, epochs=9)",
             'tg.fit(model, X, y, loss="mse", optimizer="adam", epochs=9)', ("nn.Module.fit", "nn.Module.compile")),
    Spelling("Keras", "validation_split=0.2, EarlyStopping(patience=5)",
             'tg.fit(model, X, y, loss="mse", optimizer="adam", epochs=9, validation=0.2, patience=5)'),
    Spelling("Keras", "ModelCheckpoint(path)", "tg.train.Checkpoint(path)"),
    Spelling("Keras", "model.predict(X)", "model(X)", ("nn.Module.predict",)),
    Spelling("Keras", "fitted.predict(X)", "run.model(X)", ("train.Run.predict",)),
    Spelling("Keras", "model.summary()", "print(model)", ("nn.Module.summary",)),
    Spelling("Keras", 'history.history["loss"]', "run.loss_curve", ("train.Run.history", "train.Run.losses")),
    Spelling("Keras", 'history.history["val_loss"]', "run.validation_curve", ("train.Run.val_loss",)),
    Spelling("Keras", "a model, or its JSON", "tg.from_keras(model)"),
    Spelling("scikit-learn", "from sklearn.neural_network import MLPClassifier", "tg.estimators.MLPClassifier",
             ("MLPClassifier", "MLPRegressor")),
    Spelling("scikit-learn", "StandardScaler().fit_transform(X)", "tg.data.standardize(X)", ("data.StandardScaler",)),
    Spelling("scikit-learn", "make_moons(200)", "tg.data.moons(200)", ("data.make_moons",)),
    Spelling("scikit-learn", "make_circles(100)", "tg.data.circles(100)", ("data.make_circles",)),
    Spelling("scikit-learn", "clf.loss_curve_, a bad one", "tg.clinic.diagnose(clf, X, y)"),
    Spelling("JAX", "jax.grad(f), jax.vmap(f), jax.jit(f)", "tg.grad(f) and tg.vmap(f) and tg.jit(f)"),
    Spelling("JAX", "jax.numpy.tanh(x)", "np.tanh(x)", ("numpy",)),
    Spelling("JAX", "jax.lax.scan(f, h, xs)", "tg.scan(f, h, xs)", ("lax",)),
    Spelling("JAX", "jax.jacfwd(f), jax.jacrev(f)", "tg.jacobian(f)", ("jacfwd", "jacrev")),
    Spelling("JAX", "jax.lax.stop_gradient(x)", "x.detach()", ("stop_gradient",)),
    Spelling("JAX", "@jax.custom_vjp, @jax.custom_jvp", "tg.operation",
             ("custom_vjp", "custom_jvp", "custom_gradient")),
    Spelling("JAX", "jax.lax.cond(c, f, g, x)", "np.where(c, f(x), g(x))", ("cond", "switch")),
    Spelling("JAX", "jax.tree.map(lambda p, g: p - rate * g, params, grads)",
             "{name: p - rate * grads[name] for name, p in params.items()}", ("tree", "tree_util", "tree_map")),
    Spelling("JAX", "jax.checkpoint(f)", "f", ("checkpoint", "remat")),
    Spelling("JAX", "jax.make_jaxpr(f)(x)", "tg.jit(f)", ("make_jaxpr",)),
    Spelling("JAX", "x.at[i].set(v)", "np.where(np.arange(len(x)) == i, v, x)"),
    Spelling("JAX", "jax.random.normal(key, (3, 4))", "np.random.default_rng(0).normal(size=(3, 4))",
             ("PRNGKey",)),
    Spelling("autograd", "elementwise_grad(f)(x)", "tg.grad(lambda x: np.sum(f(x)))(x)",
             ("elementwise_grad", "egrad")),
    Spelling("autograd", "make_vjp(f)(x), make_jvp(f)(x)", "tg.vjp(f, x) and tg.jvp(f, (x,), (v,))",
             ("make_vjp", "make_jvp", "linearize")),
    Spelling("autograd", "hessian_vector_product(f)(x, v)", "tg.hvp(f, x, v)",
             ("hessian_vector_product", "hessian_tensor_product", "make_hvp", "make_ggnvp")),
    Spelling("autograd", "grad_and_aux(f)(x)", "tg.grad(f, has_aux=True)(x)", ("grad_and_aux",)),
    Spelling("autograd", "multigrad_dict(f)", "tg.grad(f)", ("multigrad_dict", "grad_named")),
    Spelling("autograd", "check_grads(f)(x)", "tg.gradcheck(f, x)", ("check_grads", "test_util")),
    Spelling("autograd", "@primitive, defvjp(f, ...)", "tg.operation", ("primitive", "defvjp", "extend")),
    Spelling("MyGrad", "mg.tensor(x), mg.no_autodiff", "tg.Tensor(x) and tg.no_grad()", ("no_autodiff",)),
)  # fmt: skip
SHELVES = (
    *("", "nn", "nn.losses", "nn.init", "optim", "optim.schedules", "optim.lr_scheduler", "clinic", "data", "train"),
    *("estimators", "ops"),
)
SOUGHT = {name: Spelling("", "", ours) for name, ours in foreign_names.replacements().items()}
SOUGHT |= {name: spelling for spelling in SPELLINGS for name in spelling.sought}


def advice(module: str, name: str, known: Iterable[str]) -> str:
    """The text of an AttributeError: what to write for a name of another library, or the nearest names.

    >>> print(advice("nn", "MSELoss", ["Linear"]))
    module 'tinygrad_edu.nn' has no attribute 'MSELoss'. For nn.MSELoss()(p, t) of PyTorch write tg.nn.losses.mse(p, t)
    >>> print(advice("nn", "Liner", ["Linear", "MLP"]))
    module 'tinygrad_edu.nn' has no attribute 'Liner'. Did you mean Linear?
    >>> print(advice("nn", "Adam", ["Linear", "MLP"]))
    module 'tinygrad_edu.nn' has no attribute 'Adam'. It is tg.optim.Adam
    """
    package = ".".join(filter(None, ["tinygrad_edu", module]))
    place = f"module '{package}' has no attribute {name!r}"
    if name.startswith("_") or is_module(f"{package}.{name}"):
        return place
    if instead := replacement_of(module, name):
        return f"{place}. {instead}"
    names = sorted(known)
    near = near_names(name, names, most=3) or [x for x in names if x.lower() == name.lower()]
    return f"{place}. Did you mean {' or '.join(near)}?" if near else f"{place}. It has: {', '.join(names)}"


def replacement_of(module: str, name: str) -> str:
    """What to write for a name of another library, or where in the package it is, in a sentence; "" if not known.

    >>> replacement_of("", "MSELoss"), replacement_of("nn", "argmin")
    ('For nn.MSELoss()(p, t) of PyTorch write tg.nn.losses.mse(p, t)', 'Write np.argmin: NumPy takes Tensors')
    """
    spelling = SOUGHT.get(".".join(filter(None, [module, name])))
    if spelling is None and (shelf := on_a_shelf(name)):
        return f"It is {shelf}"
    spelling = spelling or next((x for each, x in SOUGHT.items() if each.rpartition(".")[2] == name), None)
    if spelling is None:
        return f"Write np.{name}: NumPy takes Tensors" if in_numpy(name) else ""
    return f"For {spelling.theirs} of {spelling.library} write {spelling.ours}" * bool(spelling.library) or (
        f"Write {spelling.ours}"
    )


def in_numpy(name: str) -> bool:
    """Is it a function or a module of NumPy, which is not loaded for that?"""
    found = getattr(sys.modules.get("numpy"), name, None)
    return callable(found) or isinstance(found, ModuleType)


def is_module(path: str) -> bool:
    """Is it a module that `from package import module` is about to load? It asks the package for an attribute first,
    and nothing else may be imported in the midst of that."""
    try:
        return importlib.util.find_spec(path) is not None
    except ImportError:  # the parent is a module, not a package
        return False


def on_a_shelf(name: str) -> str:
    """Where in the package a public name is, "tg.optim.Adam"; "" if nowhere, or without NumPy.

    >>> on_a_shelf("mlp"), on_a_shelf("mse"), on_a_shelf("erf"), on_a_shelf("no_such_name")
    ('tg.nn.MLP', 'tg.nn.losses.mse', 'tg.ops.erf', '')
    """
    public: dict[str, str] = {}
    for shelf in SHELVES:
        try:
            module = importlib.import_module(".".join(filter(None, ["tinygrad_edu", shelf])))
            names = getattr(module, "__all__", None) or dir(module)
        except ImportError:  # NumPy or scikit-learn is not installed
            continue
        for each in names:
            public.setdefault(each, ".".join(filter(None, ["tg", shelf, each])))
    return public.get(name) or next((place for each, place in public.items() if each.lower() == name.lower()), "")


def refuse_import(path: str) -> None:
    """Errors: ModuleNotFoundError for `import tinygrad_edu.nn.functional`, a module of other libraries: what to write.

    >>> refuse_import("tinygrad_edu.nn.functional")
    Traceback (most recent call last):
        ...
    ModuleNotFoundError: No module named 'tinygrad_edu.nn.functional'. For F.relu(x), F.mse_loss(p, t) of PyTorch \
write tg.ops.relu(x) and tg.nn.losses.mse(p, t)
    """
    package, _, name = path.rpartition(".")
    module = package.partition(".")[2]
    if ".".join(filter(None, [module, name])) in SOUGHT:
        raise ModuleNotFoundError(f"No module named {path!r}. {replacement_of(module, name)}", name=path, path=path)


def unknown_error(text: str) -> Exception:
    """The error for a name that a module does not have, for its `__getattr__` to raise.

    Of `from tinygrad_edu import jacfwd` Python shows its own ImportError in place of an AttributeError, and the advice
    would be lost; so there, which the caller's instruction tells, it is an ImportError itself.
    """
    caller = sys._getframe(2)
    imports = opcode.opname[caller.f_code.co_code[caller.f_lasti]] == "IMPORT_FROM"
    # a name and an object of None: else Python adds a suggestion of its own, the nearest spelling
    return ImportError(text) if imports else AttributeError(text, name=None, obj=None)


def habits(module: str, known: list[str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of a module: an error with advice, and the public names only.

    >>> unknown, listed = habits("tinygrad_edu.nn", ["MLP"])
    >>> listed()
    ['MLP']
    """

    def unknown(name: str) -> Any:
        if name.startswith("__"):  # asked by Python and tools, which expect the plain message
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        if (path := f"{module}.{name}") in sys.modules:  # Ctrl-C came after it was loaded, before its name was bound
            return sys.modules[path]
        raise unknown_error(advice(module.partition(".")[2], name, known))

    return unknown, lambda: sorted(known)


def instead_of(class_name: str) -> dict[str, str]:
    """Attributes that one of our classes does not have -> what to write instead."""
    start = f"{class_name}."
    return {name.removeprefix(start): x.ours for name, x in SOUGHT.items() if name.startswith(start)}

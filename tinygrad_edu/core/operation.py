"""What an operation is, and the one place where a call is handed to a back end.

An elementwise `Operation` is a function of plain floats and its partial derivatives. It is called on anything:

    a number            the function itself
    an ndarray          NumPy's function of that name (or SciPy's), else the same function run on arrays
    Value, Tensor, ...  whatever the class says in `__apply__(operation, arguments)`

An `ArrayOperation` (matmul, sum, reshape, ...) is called on arrays, on Tensors (`__apply_array__`), and on lists or
object arrays of Values, over which its function runs as ordinary NumPy code.
"""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable, Sequence
from typing import Any

from tinygrad_edu.core.aliases import ArrayLike, Option
from tinygrad_edu.core.formulas.array_readings import Body, bind_for_arrays, for_arrays
from tinygrad_edu.core.formulas.ieee_floats import elementwise
from tinygrad_edu.core.formulas.limits import Curve
from tinygrad_edu.core.formulas.readings import NUMBERS, bind, ieee, in_precision, of_shape, plain_array, values_to_save
from tinygrad_edu.core.modes import MODES, UNUSUAL
from tinygrad_edu.core.one_name import in_our_words
from tinygrad_edu.errors import OperandError, ShapeError, TinygradError

Box = Sequence[tuple[float, float]]
PullBack = Callable[..., tuple[Any, ...]] | tuple[Callable[..., Any], ...]
EVERYWHERE: Sequence[Box] = ([(-3.0, 3.0)],)

TABLE: dict[str, Operation] = {}
ARRAY_TABLE: dict[str, ArrayOperation] = {}
COMPOSED: dict[str, Composed] = {}


def back_end(arguments: Sequence[Any], protocol: str) -> Callable[..., Any] | None:
    """The method named `protocol` of the first argument that has one: Value's or Tensor's."""
    for argument in arguments:
        if argument.__class__ not in NUMBERS:
            apply = getattr(argument, protocol, None)
            if apply is not None:
                return apply  # type: ignore[no-any-return]
    return None


class Operation(Curve):
    """One row of the table: y = function(x₁, x₂, ...) of floats, and partials(y, x₁, x₂, ...) = (∂y/∂x₁, ...).

    `domain` lists boxes (an interval for each argument; the last one repeats) away from kinks and poles,
    where tests may draw points. `saves` says for each of y, x₁, x₂, ... whether the partials read its value.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        partials: Callable[..., tuple[Any, ...]] | None,
        domain: Sequence[Box],
        numpy: str,
        scipy: str,
        activation: bool = True,
    ) -> None:
        functools.update_wrapper(self, function)
        self.name: str = function.__name__
        self.function, self.partials, self.domain = function, partials, domain
        self.activation = activation
        self.numpy_name, self.scipy_name = numpy, scipy
        self.parameters = tuple(inspect.signature(function).parameters)
        self.defaults: tuple[float, ...] = function.__defaults__ or ()
        self.quick: dict[type, Callable[..., Any]] = {}  # fast versions for one argument, by its class
        self.pull: Callable[..., Any] | None = None  # hand-written pull-back (vector-Jacobian product) on arrays
        self.saves = values_to_save(partials, 1 + len(self.parameters)) if partials else ()

    def __repr__(self) -> str:
        return f"<operation {self.name}({', '.join(self.parameters)})>"

    def __reduce__(self) -> str:
        return self.name  # pickle and copy by name, so that the table's own row comes back

    def __call__(self, *arguments: ArrayLike) -> Any:
        quick = self.quick.get(arguments[0].__class__) if len(arguments) == 1 else None
        if quick is not None and not UNUSUAL:
            return quick(arguments[0])
        arguments = self.complete(arguments)
        apply = back_end(arguments, "__apply__")
        if apply is not None:
            return apply(self, arguments)
        if all(argument.__class__ in NUMBERS for argument in arguments):
            return self.on_floats(*arguments)
        return self.on_arrays(*[plain_array(self.name, argument) for argument in arguments])

    def complete(self, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments with the defaults filled in."""
        missing = len(self.parameters) - len(arguments)
        if 0 < missing <= len(self.defaults):
            return arguments + self.defaults[-missing:]
        if missing:
            raise OperandError(
                f"{self.name} takes ({', '.join(self.parameters)}), but was given {len(arguments)} arguments"
            )
        return arguments

    @functools.cached_property
    def float_function(self) -> Callable[..., Any]:
        """The function for floats alone: the operations that it calls are bound to their float functions."""
        return bind(self.function, "float_function")

    @functools.cached_property
    def ieee_function(self) -> Callable[..., Any]:
        """The function for floats that give inf and nan where Python's own raise."""
        return bind(self.function, "ieee_function")

    @functools.cached_property
    def float_partials(self) -> Callable[..., tuple[Any, ...]]:
        """The partials for floats alone."""
        return bind(self.partials, "float_function") if self.partials else lambda *_: (0.0,) * len(self.parameters)

    def on_floats(self, *arguments: float) -> Any:
        """function(*arguments); if Python's math raises, IEEE 754's inf or nan, as in NumPy."""
        try:
            return self.float_function(*arguments)
        except (ArithmeticError, ValueError):
            return ieee(self.on_arrays, arguments)

    def partials_on_floats(self, y: float, arguments: Sequence[float]) -> tuple[Any, ...]:
        """partials(y, *arguments), with inf or nan where Python's arithmetic raises."""
        try:
            return self.float_partials(y, *arguments)
        except (ArithmeticError, ValueError):
            assert self.partials is not None
            return tuple(float(d) for d in ieee(self.partials, (y, *arguments)))

    def on_arrays(self, *arguments: ArrayLike) -> Any:
        """The operation over arrays, element by element, with NumPy's broadcasting."""
        if not any(is_object(argument) for argument in arguments):
            return self.array_function(*arguments)
        import numpy

        with numpy.errstate(invalid="ignore"):  # NumPy 2.5 warns where an object that holds NaN is compared
            if self.partials:
                return numpy.frompyfunc(self, len(arguments), 1)(*arguments)  # an object array of Values
            return self.array_function(*arguments)

    @functools.cached_property
    def array_function(self) -> Callable[..., Any]:
        """NumPy's function of this name if there is one, else SciPy's, else our own run on arrays."""
        if self.scipy_name:
            try:
                return in_precision(getattr(importlib.import_module("scipy.special"), self.scipy_name), self.parameters)
            except ImportError:
                return elementwise(self.ieee_function, len(self.parameters))
        own = getattr(importlib.import_module("numpy"), self.numpy_name, None)
        return own or in_precision(bind_for_arrays(self.function), self.parameters)

    @functools.cached_property
    def array_partials(self) -> Callable[..., tuple[Any, ...]]:
        """The partials for arrays alone."""
        return bind_for_arrays(self.partials) if self.partials else self.float_partials

    def partials_on_arrays(self, y: ArrayLike, arguments: Sequence[Any]) -> tuple[Any, ...]:
        """partials(y, *arguments) of arrays and plain numbers, with inf or nan where Python divides by the number 0."""
        try:
            return self.array_partials(y, *arguments)
        except ArithmeticError:
            return self.array_partials(y, *map(of_numpy, arguments))


def is_flat(operation: Operation | ArrayOperation | None) -> bool:
    """Does it have no derivative, like a comparison? What is made of truth values has no gradient."""
    return isinstance(operation, Operation) and operation.partials is None


class ArrayOperation(Body):
    """An operation on whole arrays: y = function(*arrays, **options), and its pull-back
    vjp(g, y, *arrays, **options) = (g·∂y/∂array₁, ...), written with operations, so that it runs on
    arrays and, for higher order, on Tensors. `linear` says that the pull-back reads shapes only.
    If it is costly, vjp is a tuple of functions, one for each array: only those that are needed are called.

    A compiled program has loops for a few primitives, which `compile` knows. Any other row says how to compile it:
    made_of(*arrays, **options)   its body, written with operations
    shape(*arrays, **options)     with a body: the shape of y. The trace then keeps y as one node, which the row's own
                                  pull-back differentiates, and puts in the body afterwards
    instead                       without a body: what to write in a compiled function instead

    careful(g, y, *arrays)        the pull-back once more, slower, where entries of g that are 0 add 0 beside infinite
                                  ones too: it is called if the other one gives NaN
    """

    def __init__(
        self,
        function: Callable[..., Any],
        vjp: PullBack,
        numpy: str,
        linear: bool,
        shape: Callable[..., tuple[Any, ...]] | None = None,
        made_of: Callable[..., Any] | None = None,
        instead: str = "",
        careful: Callable[..., tuple[Any, ...]] | None = None,
    ) -> None:
        functools.update_wrapper(self, function)
        self.name: str = function.__name__
        self.vjp: Callable[..., tuple[Any, ...]]
        self.pulls = parts = vjp if isinstance(vjp, tuple) else ()
        whole = lambda *x, **options: tuple([part(*x, **options) for part in parts])  # noqa: E731
        self.vjp = whole if isinstance(vjp, tuple) else vjp
        self.function, self.numpy_name = function, numpy
        self.linear, self.shape, self.made_of, self.instead = linear, shape, made_of, instead
        self.careful = careful
        parameters = inspect.signature(function).parameters.values()
        self.arrays = [p.name for p in parameters if p.kind is p.POSITIONAL_ONLY]
        self.variadic = any(p.kind is p.VAR_POSITIONAL for p in parameters)
        self.options = {p.name: p.default for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
        self.pull: Callable[..., Any] | None = None  # hand-written pull-back (vector-Jacobian product) on arrays

    def __repr__(self) -> str:
        return f"<array operation {self.name}>"

    def __reduce__(self) -> str:
        return self.name

    def evaluate(self, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """The result from the back end of the first array that has one; for plain arrays, from the function."""
        arrays, options = self.sort_arguments(arguments, options)
        apply = back_end(arrays, "__apply_array__")
        if apply is not None:
            return apply(self, arrays, options)
        y = self.function(*[plain_array(self.name, array) for array in arrays], **options)
        return y.item() if is_object(y) and y.ndim == 0 else y  # for an array of Values, the single Value

    @functools.cached_property
    def array_pulls(self) -> tuple[Callable[..., Any], ...]:
        """The functions of a pull-back that has one for each array, for plain arrays alone."""
        return tuple(map(for_arrays, self.pulls))

    @functools.cached_property
    def array_vjp(self) -> Callable[..., tuple[Any, ...]]:
        """The pull-back for plain arrays alone."""
        return self.vjp if self.pulls else for_arrays(self.vjp)

    def sort_arguments(
        self, arguments: tuple[Any, ...], options: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """(arrays, options with their defaults): concatenate([a, b], 1) becomes (a, b), axis=1."""
        count = 1 if self.variadic else len(self.arrays)
        if len(arguments) == count and not options and not self.variadic:  # the usual case, ten times faster
            return arguments, self.options
        options = in_our_words(self.name, options, self.options)
        arrays = tuple(arguments[0]) if self.variadic else arguments[:count]
        named = dict(zip(self.options, arguments[count:], strict=False))
        if self.variadic and any(getattr(x, "shape", ()) for x in named.values()):
            raise OperandError(f"{self.name} takes its arrays in one list: {self.name}([a, b], axis=0)")
        strange = options.keys() - self.options.keys() | options.keys() & named.keys()  # unknown, or given twice
        if strange or len(arguments) < count or len(arguments) > count + len(self.options):
            raise OperandError(
                f"{self.name} takes {count} array{'s' * (count > 1)} and the options {list(self.options)}, each once; "
                f"given: {len(arguments)} positional arguments, options {sorted(options)}"
            )
        return arrays, self.options | named | options


class Composed(Body):
    """A function written with operations only: it needs no derivative of its own.

    `calls_others`: it runs a user's function, whose errors are not about shapes.
    """

    calls_others = False

    def __init__(self, function: Callable[..., Any], numpy: str, method: bool = True) -> None:
        functools.update_wrapper(self, function)
        self.name, self.function, self.numpy_name, self.method = function.__name__, function, numpy, method

    def evaluate(self, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """The function, and its errors about shapes with our words."""
        try:
            found = self.function(*arguments, **options)
            return found if MODES.memory is None else MODES.memory.settle(self.name, found, arguments)
        except (ValueError, IndexError, ZeroDivisionError) as error:
            if self.calls_others or isinstance(error, TinygradError):
                raise
            raise ShapeError(f"{self.name}{of_shape(arguments)}: {error}") from None


def op(
    partials: Callable[..., tuple[Any, ...]] | None = None,
    domain: Sequence[Box] = EVERYWHERE,
    numpy: str = "",
    scipy: str = "",
    activation: bool = True,
    kind: type[Operation] = Operation,
) -> Callable[[Callable[..., Any]], Operation]:
    """Declare an elementwise operation: the decorated function of floats becomes a row of TABLE.

    `partials(y, *x)` gives ∂y/∂x from output and inputs, written with operators and operations; an argument
    whose value it does not need is named with a leading underscore. None: not differentiable.
    `numpy`, `scipy`: the array function's name if it is not the operation's own. `activation`: False for a function
    of one argument that no layer would use (a rounding, a logarithm of another base). `kind`: a class of its own.
    """

    def declare(function: Callable[..., Any]) -> Operation:
        operation = kind(function, partials, domain, numpy or function.__name__, scipy, activation)
        TABLE[operation.name] = operation
        return operation

    return declare


def array_op(
    vjp: PullBack, numpy: str = "", linear: bool = False, **compiled: Option
) -> Callable[[Callable[..., Any]], ArrayOperation]:
    """Declare an operation on whole arrays: positional-only parameters are arrays, the others options.

    `compiled`: shape=, made_of=, instead= or careful=, as `ArrayOperation` says.
    """

    def declare(function: Callable[..., Any]) -> ArrayOperation:
        operation = ArrayOperation(function, vjp, numpy or function.__name__, linear, **compiled)
        ARRAY_TABLE[operation.name] = operation
        return operation

    return declare


def compose(numpy: str = "", method: bool = True) -> Callable[[Callable[..., Any]], Composed]:
    """Declare a function that is written with operations and is found by name like one.

    One body, several readings: it computes on arrays, differentiates on Tensors, and is compiled in a trace.
    `numpy`: NumPy's name for it, "-" for none. `method`: False if x.sort() would look like a change of x itself.
    """

    def declare(function: Callable[..., Any]) -> Composed:
        entry = Composed(function, numpy or function.__name__, method)
        COMPOSED[entry.name] = entry
        return entry

    return declare


def of_numpy(x: ArrayLike) -> Any:
    """A plain number as one of NumPy's, whose division by 0 gives inf or nan."""
    import numpy

    return numpy.float64(x) if x.__class__ in NUMBERS else x


def is_object(x: ArrayLike) -> bool:
    """Is x an array of objects, which here are Values?"""
    return getattr(getattr(x, "dtype", None), "kind", "") == "O"

"""Parameters: numbers that training changes, as Tensors or as NumPy arrays of Values, made, read and filled."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import Any

import numpy as np

from tinygrad_edu.core.aliases import ArrayLike, Dtype
from tinygrad_edu.core.conversions.conversion import float_array, is_float
from tinygrad_edu.core.conversions.printing import preview
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.core.value import Value
from tinygrad_edu.errors import DtypeError, OperandError, SettingError, ShapeError, TinygradError

BACK_ENDS = ("tensor", "scalar")


def count_numbers(arrays: Mapping[str, Any]) -> int:
    """How many numbers the arrays hold; a shared array counts once."""
    return sum(array.size for array in {id(array): array for array in arrays.values()}.values())


class LazyParameter(Tensor):
    """A parameter of a lazy layer before its first input: an optimizer takes it, and it has no numbers yet.

    With the first input the same object becomes the Tensor that the layer trains. What is written into its data before
    is lost then, as in PyTorch. Errors: SettingError where its shape is asked for.
    """

    __slots__ = ()

    def __init__(self, label: str) -> None:
        super().__init__(np.empty(0), requires_grad=True, label=label)

    def refuse(self) -> Any:
        raise SettingError(
            f"{self.label} of a lazy layer has no shape before its first input: call the model once, as in model(X[:1])"
        )

    shape = ndim = size = T = property(refuse)

    def numel(self) -> Any:
        return self.refuse()

    def __len__(self) -> int:
        return int(self.refuse())

    def __repr__(self) -> str:
        return f"LazyParameter(label={self.label!r}, no numbers before the first input)"

    def become(self, made: Tensor) -> None:
        """Take the numbers of a Tensor, and be one."""
        self.assign(made.array)
        self.__class__ = Tensor  # type: ignore[assignment]

    @staticmethod
    def undo(parameter: Tensor) -> None:
        """Without numbers once more, where the first input was refused."""
        parameter.assign(np.empty(0))
        parameter.__class__ = LazyParameter


def refuse_to_compute(parameter: LazyParameter, *_: Any, **__: Any) -> Any:
    """Errors: SettingError."""
    return parameter.refuse()


for name in ("add", "sub", "mul", "truediv", "pow", "matmul"):
    for side in ("", "r"):
        setattr(LazyParameter, f"__{side}{name}__", refuse_to_compute)
for name in ("__neg__", "__getitem__", "__iter__", "sum", "mean", "norm", "square", "abs", "reshape"):
    setattr(LazyParameter, name, refuse_to_compute)


def is_parameter(attribute: Any) -> bool:
    """Is it an array that training changes, or one that is frozen, which has needed a gradient before?

    Errors: OperandError for one that holds Values beside other things.
    """
    if isinstance(attribute, Tensor):
        if attribute.requires_grad:
            attribute._parameter = True
        return getattr(attribute, "_parameter", False)
    if isinstance(attribute, np.ndarray) and attribute.dtype.kind == "O":
        of_values = [isinstance(x, Value) for x in attribute.flat]
        if any(of_values) and not all(of_values):
            other = attribute.flat[of_values.index(False)]
            raise OperandError(
                f"an array of a module mixes Values with {preview(other)}: an array of parameters may hold Values only"
            )
        return all(of_values)
    return False


def needs_gradient(parameter: ArrayLike) -> bool:
    """Is it trained, and not frozen? A Value always is."""
    return getattr(parameter, "requires_grad", True)


def trained(parameters: Iterable[Any]) -> list[Any]:
    """Those of the parameters that are not frozen."""
    return [p for p in parameters if getattr(p, "requires_grad", True)]


class Parameters(list[Any]):
    """The parameters of a module in a list, of which next() gives one after the other, as of PyTorch's generator."""

    given = 0

    def __next__(self) -> Any:
        if self.given == len(self):
            raise StopIteration
        self.given += 1
        return self[self.given - 1]


def parameters_in(leaves: Iterable[tuple[str, Any]]) -> list[tuple[str, Value | Tensor]]:
    """(name, parameter) of the parameters among what a module contains, each under its first name."""
    seen: set[int] = set()
    found: list[tuple[str, Value | Tensor]] = []
    for name, array in leaves:
        if id(array) in seen or not is_parameter(array):
            continue
        seen.add(id(array))
        if isinstance(array, np.ndarray):
            found += [(index_name(name, at), array.item(at)) for at in np.ndindex(array.shape)]
        else:
            found.append((name, array))
    return found


def without_results(leaves: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Without the results that a forward pass has kept on its module, as in `self.out = self.linear(x)`.

    They depend on parameters of the module. A weight that was computed where it was made, Parameter(x) * 0.1, does not:
    it stays, and an optimizer refuses it by name.
    """
    if not any([is_computed(leaf) for _, leaf in leaves]):  # noqa: C419  (a generator takes twice as long)
        return leaves
    own = {id(x) for _, leaf in leaves if is_parameter(leaf) for x in nodes_in(leaf) if not x.parents}
    return [(name, leaf) for name, leaf in leaves if not (is_computed(leaf) and depends_on(nodes_in(leaf), own))]


def nodes_in(leaf: Any) -> list[Any]:
    return [leaf] if isinstance(leaf, Tensor) else list(leaf.flat)


def is_computed(leaf: Any) -> bool:
    """Is it a Tensor, or an array of Values, that is the result of an operation?"""
    if isinstance(leaf, Tensor):
        return bool(leaf.requires_grad and leaf.parents)
    nodes = isinstance(leaf, np.ndarray) and leaf.dtype.kind == "O"
    return bool(nodes and any(getattr(x, "parents", ()) for x in leaf.flat))


def depends_on(nodes: list[Any], own: set[int]) -> bool:
    """Is one of these leaves among what the nodes were computed from?"""
    waiting, seen = list(nodes), set(map(id, nodes))
    while waiting:
        x = waiting.pop()
        if id(x) in own:
            return True
        new = [p for p in x.parents if isinstance(p, (Value, Tensor)) and id(p) not in seen]
        seen.update(map(id, new))
        waiting += new
    return False


def is_kept(attribute: Any) -> bool:
    """A Tensor that needs no gradient: a constant, or a parameter that is frozen."""
    return isinstance(attribute, Tensor) and not attribute.requires_grad and not attribute.parents


def Parameter(data: ArrayLike, requires_grad: bool = True, dtype: Dtype = None) -> Tensor:  # noqa: N802  (PyTorch's name)
    """A Tensor that training changes, for an attribute of a module.

    data: the numbers.
    requires_grad: whether it is trained, and not frozen; True.
    dtype: "float64" or "float32".

    >>> Parameter([1.0, 2.0])
    Tensor([1., 2.], requires_grad=True)
    """
    made = Tensor(data, requires_grad=requires_grad, dtype=dtype)
    made._parameter = True
    return made


def parameter(array: np.ndarray[Any, Any], backend: str, label: str, dtype: Dtype = None) -> Any:
    """Make a parameter of that back end: a Tensor of that dtype, or a NumPy array of labelled Values."""
    return make_parameter(array, backend, label, dtype, requires_grad=True)


def buffer(array: np.ndarray[Any, Any], backend: str, label: str, dtype: Dtype = None) -> Any:
    """Make a buffer, numbers that are kept but not trained, for an attribute named in `buffer_names`."""
    return make_parameter(array, backend, label, dtype, requires_grad=False)


def make_parameter(array: np.ndarray[Any, Any], backend: str, label: str, dtype: Dtype, requires_grad: bool) -> Any:
    if backend not in BACK_ENDS:
        raise SettingError(f"backend={backend!r}: the back ends are {' and '.join(map(repr, BACK_ENDS))}")
    if backend == "tensor":
        return Tensor(array, requires_grad=requires_grad, label=label, dtype=dtype)
    if dtype is not None and np.dtype(dtype) != np.float64:
        raise DtypeError(
            f'Values are Python\'s floats, which have 64 bits: dtype={dtype!r} needs the back end "tensor"'
        )
    values = np.empty(array.shape, dtype=object)
    for index in np.ndindex(array.shape):
        values[index] = Value(float(array[index]), label=index_name(label, index))
    return values


def index_name(name: str, index: tuple[int, ...]) -> str:
    return f"{name}[{','.join(map(str, index))}]"


class Unused:
    """Marks a parameter whose gradient was cleared before an optimizer had used it. A copy of it is the same class."""


def clear(x: Value | Tensor) -> None:
    """Reset the gradient: to 0 for a Value, to None for a Tensor."""
    if not isinstance(x, Tensor):
        x.grad, x._spent = 0.0, Unused if x.grad and x._spent is False else False
    elif x.gradient is not None:
        if x._spent is not x.gradient and x._spent is not x.gradient.base:
            x._spent = Unused
        x.gradient = None


def copy_numbers_of(array: ArrayLike) -> np.ndarray[Any, Any]:
    """A copy of the plain numbers in a Tensor, an array of Values or a plain array."""
    if isinstance(array, Tensor):
        return array.array.copy()
    return each(array, "data") if array.dtype.kind == "O" else array.copy()


def gradient(array: ArrayLike) -> np.ndarray[Any, Any]:
    if not isinstance(array, Tensor):
        return each(array, "grad")
    return np.zeros_like(array.array) if array.gradient is None else np.array(array.gradient)


def refuse_names(arrays: Mapping[str, Any], state: Mapping[str, Any]) -> None:
    """Check that a state has the module's names. Errors: SettingError."""
    missing, unknown = sorted(arrays.keys() - state.keys()), sorted(state.keys() - arrays.keys())
    if missing or unknown:
        parts = [f"{word} {names}" for word, names in (("missing", missing), ("unknown", unknown)) if names]
        raise SettingError(f"load_state_dict: names differ: {', '.join(parts)}")


def fit_state(
    arrays: Mapping[str, Any], state: Mapping[str, Any], may_lack: Container[str] = ()
) -> dict[str, np.ndarray[Any, Any]]:
    """The numbers of a state for each array, checked: its names, shapes and dtypes are those of the arrays."""
    refuse_no_state(state)
    arrays = {name: array for name, array in arrays.items() if name in state or name not in may_lack}
    refuse_names(arrays, state)
    new = {name: fitting(name, array, state[name]) for name, array in arrays.items()}
    refuse_two_answers(arrays, new)
    return new


def fitting(name: str, array: ArrayLike, given: Any) -> np.ndarray[Any, Any]:
    """The numbers given for one parameter, checked."""
    try:
        new = float_array(given, dtype=float) if array.dtype.kind in "fO" else as_whole_numbers(array, given)
    except TinygradError as error:
        raise type(error)(f"load_state_dict: {name}: {error}") from None
    if new.shape != array.shape:
        raise ShapeError(f"load_state_dict: {name} has shape {array.shape} in the model, {new.shape} in the state")
    return new


def refuse_no_state(state: object) -> None:
    """Errors: OperandError."""
    if not isinstance(state, Mapping):
        raise OperandError(
            f"load_state_dict takes a dict of arrays by name, as model.state_dict() gives, not {type(state).__name__}"
        )


def refuse_no_array(name: str, buffer: object) -> None:
    """Errors: OperandError."""
    if not (buffer is None or isinstance(buffer, (np.ndarray, Tensor))):
        raise OperandError(
            f"register_buffer({name!r}): a buffer is a NumPy array or a Tensor, not {type(buffer).__name__}: "
            "np.array(x) makes one of numbers and lists"
        )


def refuse_two_answers(arrays: Mapping[str, Any], new: Mapping[str, np.ndarray[Any, Any]]) -> None:
    """One array under two names, such as a tied weight, takes one set of numbers. Errors: SettingError."""
    first: dict[int, str] = {}
    for name, array in arrays.items():
        other = first.setdefault(id(array), name)
        if other != name and not np.array_equal(new[other], new[name], equal_nan=new[name].dtype.kind == "f"):
            raise SettingError(f"load_state_dict: {other} and {name} are one array here, but differ in the state")


def as_whole_numbers(array: ArrayLike, given: Any) -> np.ndarray[Any, Any]:
    """The numbers for a buffer of another kind, such as counts or a mask: as they are, and none of them rounded.

    Errors: DtypeError where its dtype does not hold one of them.
    """
    numbers = np.asarray(getattr(given, "array", given))
    if numbers.dtype.kind in "biuf":
        with np.errstate(invalid="ignore", over="ignore"):
            new = numbers.astype(array.dtype)
            if np.array_equal(new.astype(numbers.dtype), numbers):
                return new
    raise DtypeError(f"its dtype is {array.dtype}, which does not hold {preview(numbers)}")


def refuse_dtypes(arrays: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """Check that a file has the module's dtypes: float32 is not silently read as float64, nor the other way."""
    for name in arrays.keys() & found.keys():
        own, given = copy_numbers_of(arrays[name]).dtype, found[name].dtype
        if own.newbyteorder("=") != given.newbyteorder("="):
            raise DtypeError(f"{name} is {own}, and the file holds {given}: load_state_dict converts it")


def each(values: np.ndarray[Any, Any], attribute: str) -> np.ndarray[Any, Any]:
    flat = [getattr(value, attribute) for value in values.flat]
    return np.array(flat, dtype=float).reshape(values.shape)


def fill(array: ArrayLike, new: np.ndarray[Any, Any]) -> None:
    """Write numbers into a parameter or a buffer."""
    if isinstance(array, Tensor):
        array.data = new.astype(array.dtype)
    elif array.dtype.kind != "O":
        array[...] = new
    else:
        for index in np.ndindex(array.shape):
            array[index].data = float(new[index])


def convert(array: ArrayLike, dtype: Dtype) -> None:
    """Convert a parameter or a buffer to another float dtype, in place."""
    if not is_float(dtype):
        raise DtypeError(f"astype({dtype!r}): parameters are float32 or float64")
    if isinstance(array, Tensor):
        array.data, array.grad = array.array.astype(dtype), None
    elif array.dtype.kind == "O" and np.dtype(dtype) != np.float64:
        raise DtypeError(f"astype({dtype!r}): Values are Python's floats, which have 64 bits")

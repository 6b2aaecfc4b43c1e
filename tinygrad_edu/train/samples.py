"""The arrays that a model is trained on, checked: finite numbers, one row for each sample, in the model's dtype."""

from __future__ import annotations

import inspect
import numbers
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from typing import Any

import numpy as np

from tinygrad_edu import checks
from tinygrad_edu.core.aliases import Dtype, Samples
from tinygrad_edu.core.column_names import column_names, refuse_other_columns
from tinygrad_edu.core.formulas.readings import refuse_masked
from tinygrad_edu.core.losses.target_advice import fix_of_classes
from tinygrad_edu.core.modes import no_grad
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.errors import DtypeError, SettingError, ShapeError
from tinygrad_edu.nn.layer_modes import modes_kept
from tinygrad_edu.nn.losses import Loss
from tinygrad_edu.nn.module import Module, modules_inside
from tinygrad_edu.nn.parameters import parameters_in
from tinygrad_edu.train.own_code import for_model, for_own_code, runs_own_code

Array = np.ndarray[Any, Any]
ROWS = 2  # samples used to try a form of the data


def dtype_of_parameters(model: Module) -> Any:
    """The dtype of the first Tensor among the parameters; float64 for Values."""
    return dtype_of(model.named_parameters())


def dtype_of(named: Iterable[tuple[str, Any]]) -> Any:
    """`dtype_of_parameters`, of (name, parameter)."""
    return next((p.dtype for _, p in named if isinstance(p, Tensor)), np.dtype(float))


def parameters_of(model: Any) -> Any:
    """The parameters that an optimizer trains. Errors: SettingError if it is not a model."""
    if isinstance(model, type):
        raise SettingError(
            f"model={model.__name__} is a class: make a model of it, as in nn.MLP([2, 8, 1]) or {model.__name__}(...)"
        )
    if not hasattr(model, "named_parameters"):
        raise SettingError(f"fit trains a model, such as nn.MLP([2, 4, 1]) or your own Module, not {model!r:.80}")
    return model.parameters()


def as_samples(data: Samples, name: str, dtype: Dtype) -> Array:
    """An array with a row for each sample, finite and in that dtype; a plain row of numbers is one column."""
    return in_rows(check_samples(data, name), dtype)


def in_rows(array: Array, dtype: Dtype) -> Array:
    """A plain row of numbers as one column, in that dtype."""
    return np.ascontiguousarray(array if array.ndim > 1 else array[:, None], dtype=dtype)


def as_sample_array(data: Samples, name: str) -> Array:
    """Errors: ShapeError where the rows of a list, or the arrays of a tuple, differ in shape; DtypeError for what is
    no plain array: one of scipy.sparse, or one with masked entries."""
    refuse_masked(data)
    if hasattr(data, "toarray"):
        raise DtypeError(
            f"{name} is a sparse {type(data).__name__}: write {name}.toarray(), or train batches of its rows"
        )
    if isinstance(data, (Iterator, Set, Mapping)):
        rows = f"np.column_stack(list({name}.values()))" if isinstance(data, Mapping) else f"list({name})"
        raise DtypeError(
            f"{name} is a {type(data).__name__}: one array is needed, or a list of rows in their order, such as {rows}"
        )
    try:
        return np.asarray(getattr(data, "array", data))
    except ValueError:
        raise ShapeError(
            f"{name} is a {type(data).__name__} of {len(data)}, which differ in shape: one array is needed, with a row "
            "of as many numbers for each sample. Put several inputs side by side into one array, and split it in "
            "forward"
        ) from None


def check_samples(data: Samples, name: str) -> Array:
    """Finite numbers, one row or one number for each sample."""
    array = as_sample_array(data, name)
    if array.dtype.kind not in "fiub":
        raise DtypeError(f"{name} holds {first_of_another_kind(array)}: numbers are needed{how_to_number(name, array)}")
    if not array.ndim:
        raise ShapeError(f"{name} is one number: one row for each sample is needed")
    bad = array[:0] if looks_finite(array) else ~np.isfinite(array)
    if bad.any():
        raise SettingError(
            f"{name} holds {checks.entries_that_are(int(bad.sum()))} NaN or infinite, the first at index "
            f"{tuple(int(i[0]) for i in np.nonzero(bad))}: remove or replace them"
        )
    return array


def first_of_another_kind(array: Array) -> str:
    """What in it cannot be a number, in words."""
    found = next((x for x in array.flat if not isinstance(x, numbers.Real)), None)
    return f"text, such as {str(found)!r}" if isinstance(found, str) else f"{array.dtype}"


def how_to_number(name: str, array: Array) -> str:
    """How text becomes numbers."""
    if not any(isinstance(x, str) for x in array.flat):
        return ""
    if name.startswith("y"):
        return f". Classes become their numbers by np.unique({name}, return_inverse=True)[1]"
    return ". Write float(text), or one column for each category, as pandas.get_dummies makes them"


def looks_finite(array: Array) -> bool:
    """Are all entries finite, as far as one fast look can tell? It may say no where a sum of large ones overflows.

    NaN and infinity go into a sum of squares as they go into a sum. BLAS adds squares up as fast as it can read them
    (36 MB in 1.0 ms, `sum` in 1.7).
    """
    if array.dtype.kind != "f":
        return True
    with np.errstate(all="ignore"):
        if array.flags.c_contiguous and array.dtype in (np.float32, np.float64):
            flat = array.reshape(-1)
            return bool(np.isfinite(np.dot(flat, flat)))
        return bool(np.isfinite(array.sum()))


def samples_and_targets(model: Module, loss: Any, X: Samples, y: Samples) -> tuple[Array, Array]:
    """X and y for this model and loss: whole numbers stay what they are as indices and as classes.

    Errors: DtypeError, ShapeError, SettingError for what does not fit.
    """
    inputs, labels = inputs_for(model, X), as_sample_array(y, "y")
    same_length(inputs, np.atleast_1d(labels), "y")
    in_a_column = labels.shape[1:] == (1,)
    if getattr(loss, "takes_class_numbers", False) and (labels.ndim == 1 or in_a_column or labels.dtype.kind in "iu"):
        outputs = output_shape(model, inputs)
        if labels.ndim == 1 or labels.shape[1:] == outputs[1:-1] or (in_a_column and len(outputs) == 2):
            return inputs, classes(labels, outputs[-1])
    columns = as_samples(y, "y", inputs.dtype if inputs.dtype.kind == "f" else dtype_of_parameters(model))
    if labels.ndim == 1 and len(output_shape(model, inputs)) == 1:  # beside (n,), a column would become (n, n)
        columns = columns.reshape(-1)
    if labels.dtype.kind in "iu" and not isinstance(loss, Loss):
        forms = [columns, np.ascontiguousarray(labels, dtype=np.int64)]
        if labels.ndim == 1 and (output_shape(model, inputs) or (1,))[-1] > 1:
            forms.reverse()  # a column beside several outputs would be repeated for each of them
        return inputs, first_that_works(lambda t: loss(model(inputs[:ROWS]), t[:ROWS]), model, forms)
    return inputs, check_targets(columns, loss)


def held_out_as(data: Sequence[Array], held_out: Sequence[Array]) -> tuple[Array, ...]:
    """Held-out samples in the form of those for training: a column becomes a row beside rows, and the reverse."""
    forms = {(), (1,)}
    pairs = zip(held_out, data, strict=False)
    return tuple(a.reshape(-1, *b.shape[1:]) if {a.shape[1:], b.shape[1:]} == forms else a for a, b in pairs)


def validation_pair(validation: Samples, X: Samples) -> Any:
    """(X, y), with the columns of the training. Errors: SettingError, ShapeError."""
    if not (isinstance(validation, (tuple, list)) and len(validation) == 2):
        raise SettingError(f"validation={validation!r:.40}: give (X, y), or a share of the samples")
    refuse_other_columns("the validation's X", validation[0], column_names(X), "the model is trained on")
    return validation


def inputs_for(model: Module, X: Samples) -> Array:
    """X in the model's dtype; whole numbers as such, and in their own shape, for a model that looks rows up by them.

    Does it? A layer may say so, as Embedding does. Of another model it shows when numbers with a point are an error.
    """
    array, (modules, leaves) = check_samples(X, "X"), modules_inside(model)
    numbers = in_rows(array, dtype_of(parameters_in(leaves)))
    if any([getattr(module, "takes_indices", False) for _, module in modules]):  # noqa: C419  (half the time)
        return np.ascontiguousarray(array, dtype=np.int64) if (array == np.floor(array)).all() else numbers
    if array.ndim == 1 and runs_own_code(model) and takes_a_row(model, numbers.reshape(-1)):
        return numbers.reshape(-1)
    if array.dtype.kind not in "iu":
        return numbers
    return first_that_works(lambda x: model(x[:ROWS]), model, (numbers, np.ascontiguousarray(array, dtype=np.int64)))


def takes_a_row(model: Module, numbers: Array) -> bool:
    """Does it give a result for each of plain numbers in a row? What it computes of a column may differ."""
    some = numbers[:3]
    try:
        with aside(model):
            output = model(*for_model(model, None, [some.copy()]))
        return bool(np.shape(output)[:1] == some.shape)
    except Exception:  # the user's own code may raise anything
        return False


def first_that_works(call: Callable[[Array], Any], model: Module, forms: Sequence[Array]) -> Array:
    """The first form of an array that a call takes; where none does, the one of which it refuses the numbers alone, or
    the first: its error is then the user's."""
    fitting = []
    for form in forms:
        try:
            with aside(model):
                call(*for_model(model, None, [form]))
            return form
        except SettingError:
            fitting.append(form)
        except Exception:  # the user's own code may raise anything
            continue
    return (fitting or forms)[0]


@contextmanager
def aside(model: Module) -> Iterator[None]:
    """A look at what a model gives, without gradients, dropout or statistics of a batch."""
    with modes_kept(model), no_grad():
        model.eval()
        yield


def output_shape(model: Module, inputs: Array) -> tuple[int, ...]:
    """The shape of what the model gives for one sample."""
    if not len(inputs):
        return (0, 0)
    with aside(model):
        output = model(*for_own_code(model, None, inputs[:1]))
    return tuple(np.shape(output[0] if isinstance(output, tuple) else output))


def as_classes(y: Samples) -> Array:
    """Classes as whole numbers, which they are not in a file: only where every entry is one.

    >>> as_classes([0.0, 2.0]), as_classes([0.5, 2.0])
    (array([0, 2]), array([0.5, 2. ]))
    """
    numbers = np.asarray(getattr(y, "array", y))
    if numbers.ndim == 1 and numbers.dtype.kind == "f" and np.isfinite(numbers).all():
        return numbers.astype(np.int64) if np.array_equal(numbers, np.round(numbers)) else numbers
    return numbers


def check_targets(y: Array, loss: Any) -> Array:
    """Targets that the loss can mean, all of them: the last batch is not to be the first to be refused."""
    if isinstance(loss, Loss):
        loss.check(loss.name, np.zeros_like(y), y)
    return y


def same_length(inputs: Array, other: Array, name: str) -> Array:
    if len(inputs) != len(other):
        raise ShapeError(f"X has {len(inputs)} rows and {name} has {len(other)}: each sample needs one {WHAT[name]}")
    return other


WHAT = {"y": "target", "sample_weight": "weight"}


def extent(y: Array) -> str:
    """The smallest and the largest target, or the first and the last of texts and other objects."""
    ends = [y.min(), y.max()] if y.dtype.kind in "fiub" else sorted({str(each) for each in y.flat})
    return f"from {ends[0]} to {ends[-1]}"


def classes(y: Array, count: int) -> Array:
    """Class numbers, each of which the model has an output for."""
    in_a_column = y.ndim == 2 and y.shape[1] == 1
    if in_a_column or y.dtype.kind not in "iu" or (y.size and not 0 <= y.min() <= y.max() < count):
        outputs = f"{count} output{'s' * (count > 1)}"
        told = f"y of shape {y.shape} holds classes {extent(y)} ({y.dtype}), the model has {outputs}"
        rows = y.shape[:1] if in_a_column else y.shape
        needed = f": class numbers of shape {rows} from 0 to {count - 1} are needed." if count > 1 else "."
        raise SettingError(f"{told}{needed}{fix_of_classes(y, rows, count, 'y')}".removesuffix("."))
    return np.ascontiguousarray(y, dtype=np.int64)


def check_takes_weights(loss: Any, drawn: bool) -> None:
    """Errors: SettingError for weights beside a loss of the user's that has no argument for them."""
    if isinstance(loss, Loss):
        return
    try:
        names = inspect.signature(loss).parameters.values()
    except (TypeError, ValueError):  # what cannot be asked is called
        return
    if not drawn and not any(x.name == "sample_weight" or x.kind is x.VAR_KEYWORD for x in names):
        raise SettingError(
            "sample_weight goes to the loss, and loss has no such argument: write def loss(output, y, sample_weight), "
            'or take a loss of tg.nn.losses; shuffle="weighted" draws samples by their weights with any loss'
        )


def check_weights(sample_weight: Samples, X: Array, dtype: Dtype) -> Array:
    """A weight for each sample, none below 0 and not all 0."""
    found = as_samples(sample_weight, "sample_weight", dtype)[:, 0]
    same_length(X, found, "sample_weight")
    if found.min() < 0.0 or not found.any():
        raise SettingError(
            f"sample_weight runs from {found.min():g} to {found.max():g}: none may be below 0, and at least one must "
            "be above 0"
        )
    return np.ascontiguousarray(found)


def hold_out(data: tuple[Array, ...], settings: Any) -> Any:
    """A share of the samples, drawn from the seed, held out for validation."""
    share, n = float(settings.validation), len(data[0])
    if not 0.0 <= share <= 1.0:
        raise SettingError(f"validation={share:g}: a share of the samples lies between 0 and 1; or give (X, y)")
    count = round(share * n)
    if not 0 < count < n:
        raise SettingError(f"validation={share:g} of {n} samples holds out {count}: both parts need at least one")
    drawn = np.random.default_rng([settings.seed, 2]).permutation(n)
    kept, out = np.sort(drawn[count:]), np.sort(drawn[:count])
    return tuple(np.ascontiguousarray(a[kept]) for a in data), tuple(a[out] for a in data)

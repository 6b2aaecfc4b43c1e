"""PyTorch's words for what a model is asked on a machine with one place and two dtypes: model.to("cpu"), .double()."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Self

from tinygrad_edu import checks
from tinygrad_edu.core.aliases import ArrayLike, Dtype, Option
from tinygrad_edu.core.conversions.conversion import dtype_asked
from tinygrad_edu.core.one_name import places_of, rename
from tinygrad_edu.errors import SettingError
from tinygrad_edu.pen import names_of, unknown_argument


class TorchNames:
    """Methods of a Module under PyTorch's names."""

    if TYPE_CHECKING:  # attributes of Module used below
        astype: Any
        named_buffers: Any
        parameters: Any
        wait_for: Any  # only in a lazy layer

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "__init__" in vars(cls) and cls.__module__.startswith("tinygrad_edu.nn."):
            cls.__init__ = on_the_cpu(cls.__init__)  # type: ignore[method-assign]

    def to(self, target: ArrayLike = None, *_: ArrayLike, device: Option = None, dtype: Dtype = None) -> Self:
        """The model itself, its parameters converted where a dtype is given; the device is the CPU.

        target: "cpu", "float32", "float64", or what has a dtype. Errors: DtypeError for another
        dtype or device.

        >>> from tinygrad_edu import nn
        >>> nn.Linear(2, 1).to("cpu").to("float32").weight.dtype
        dtype('float32')
        """
        asked = dtype_asked("model", target, device, dtype)
        return self if asked is None else self.astype(asked)

    def cpu(self) -> Self:
        """The model itself: its parameters lie in the memory of the CPU."""
        return self

    def float(self) -> Self:
        """All parameters and buffers as float32."""
        return self.astype("float32")  # type: ignore[no-any-return]

    def double(self) -> Self:
        """All parameters and buffers as float64."""
        return self.astype("float64")  # type: ignore[no-any-return]

    def buffers(self) -> Iterator[Any]:
        """The buffers, which are kept but not trained."""
        yield from (buffer for _, buffer in self.named_buffers())

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Train all parameters from now on, or, with False, freeze them; the model itself.

        Errors: SettingError for False where they are Values, which always have a gradient.

        >>> from tinygrad_edu import nn
        >>> layer = nn.Linear(2, 1).requires_grad_(False)
        >>> [p.requires_grad for p in layer.parameters()]
        [False, False]
        """
        for p in self.parameters():
            if hasattr(p, "requires_grad_"):
                p.requires_grad_(requires_grad)
            elif not requires_grad:
                raise SettingError(
                    "requires_grad_(False): Values always have a gradient. Leave them out of the optimizer, as in "
                    "optim.SGD(model.layers[1].parameters(), lr=0.1)"
                )
        return self

    def add_module(self, name: str, module: Any) -> None:
        """Make a module the attribute `name`."""
        setattr(self, name, module)

    register_module = register_parameter = add_module


def on_the_cpu(init: Callable[..., None]) -> Callable[..., None]:
    """The constructor of a layer that takes, and forgets, device="cpu". Errors: SettingError for another device.

    Of an argument that the layer does not have it says which one was meant.
    """
    known = names_of(init)

    @functools.wraps(init)
    def start(self: Any, *arguments: Any, **options: Any) -> None:
        device = options.pop("device", None)
        if device is not None and str(device).split(":")[0] != "cpu":
            name = type(self).__name__
            raise SettingError(f"{name}(device={str(device)!r}): this library computes on the CPU: leave device out")
        if known is not None and not options.keys() <= known.keys():
            raise unknown_argument(type(self).__name__, options, known)
        init(self, *arguments, **options)

    return start


def torch_arguments(**names: str) -> Callable[[type], Any]:
    """Let a layer's constructor take PyTorch's names of arguments too: `num_features` for our `features`.

    Of recurrent layers `batch_first`, too. Errors: SettingError where time is to come first, or for a third argument
    that is a number of layers in PyTorch.
    """

    def decorate(layer: type) -> type:
        init = layer.__init__  # type: ignore[misc]
        places = places_of(init)[1:]

        @functools.wraps(init)
        def of_either_name(self: Any, *arguments: Any, **options: Any) -> None:
            if not names.keys().isdisjoint(options):
                options = rename(layer.__name__, places[: len(arguments)], options, names)
            if "input_size" in names:
                arguments = in_our_order(layer.__name__, arguments, options)
            init(self, *arguments, **options)

        layer.__init__ = of_either_name  # type: ignore[misc]
        return layer

    return decorate


def in_our_order(name: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> tuple[Any, ...]:
    """The arguments of a recurrent layer by place, without the number of layers, PyTorch's third.

    Errors: SettingError for options that have no counterpart, and for more than three arguments in PyTorch's order.
    """
    if name.endswith("Cell"):
        checks.flag("bias", arguments[2] if len(arguments) > 2 else True, name)
        return arguments
    refuse_time_first(name, options)
    if len(arguments) < 3 or not isinstance(arguments[2], int) or isinstance(arguments[2], bool):
        return arguments
    if len(arguments) > 3 or "num_layers" in options:
        raise SettingError(
            f"{name}{tuple(arguments)}: the third argument is num_layers in PyTorch: write "
            f"{name}({arguments[0]}, {arguments[1]}, num_layers={arguments[2]}), and what follows it by name too"
        )
    options["num_layers"] = arguments[2]
    return arguments[:2]


def refuse_time_first(name: str, options: dict[str, Any]) -> None:
    """Take, and forget, batch_first=True. Errors: SettingError where time is to come first."""
    if not options.pop("batch_first", True):
        raise SettingError(
            f"{name}(batch_first=False): series are (batch, time, features) here. Leave it out and give "
            "x.swapaxes(0, 1)"
        )


def batch_comes_first(layer: type) -> Any:
    """Let an attention layer's constructor take batch_first=True, as all programs for PyTorch give it."""
    init = layer.__init__  # type: ignore[misc]

    @functools.wraps(init)
    def start(self: Any, *arguments: Any, **options: Any) -> None:
        refuse_time_first(layer.__name__, options)
        init(self, *arguments, **options)

    layer.__init__ = start  # type: ignore[misc]
    return layer

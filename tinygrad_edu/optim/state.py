"""`optimizer.state()`, and what to write for `optimizer.state[p]` of PyTorch, where `state` is a dict."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from tinygrad_edu.errors import SettingError

HERE = (
    "optimizer.state is a method here, state(), and not PyTorch's dict by parameter. The memory of a parameter p is "
    "optimizer.memory[i], its number of steps optimizer.t[i], with i = [q is p for q in optimizer.params].index(True); "
    "a new optimizer has forgotten everything"
)
SLIPS = {
    "state_dict": "before = optimizer.state(), and run.save(path) or train.Checkpoint(path) for a file",
    "load_state_dict": "optimizer.load_state(before), and fit(..., resume_from=path) for a file",
    "add_param_group": "a new optimizer of all parameters, such as optim.SGD(model.parameters(), lr=0.1)",
    "defaults": "optimizer.options, and optimizer.lr",
}


class StateMethod:
    """A method that tells programs written for PyTorch where its entries are."""

    def __init__(self, method: Callable[..., Any]) -> None:
        self.method, self.__doc__ = method, method.__doc__

    def __get__(self, owner: Any, kind: Any = None) -> Any:
        return self if owner is None else BoundState(self.method, owner)

    def __set__(self, owner: Any, value: Any) -> NoReturn:
        raise SettingError(f"optimizer.state = ...: {HERE}")


class BoundState:
    """The method of one optimizer."""

    def __init__(self, method: Callable[..., Any], owner: Any) -> None:
        self.method, self.owner, self.__doc__ = method, owner, method.__doc__

    def __call__(self) -> Any:
        return self.method(self.owner)

    def __getitem__(self, p: Any) -> Any:
        """What a step of one's own remembers of the parameter. Errors: SettingError where a rule does that."""
        if hasattr(self.owner, "rule"):
            self.refuse()
        return self.owner.kept.setdefault(id(p), {})

    def refuse(self, *_: Any) -> NoReturn:
        """Errors: SettingError with what to write."""
        raise SettingError(HERE)

    __setitem__ = __delitem__ = __contains__ = __iter__ = __len__ = refuse
    get = items = keys = values = clear = pop = setdefault = update = refuse

"""Where the model keeps what a compiled step draws from and changes besides the parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinygrad_edu.errors import TraceError


def places_in_model(used: Sequence[Any], known: Sequence[Any], what: str) -> list[int]:
    """Where each stands among those of the model. Errors: TraceError for one of a layer outside of it."""
    places = {id(x): i for i, x in enumerate(known)}
    if any(id(x) not in places for x in used):
        raise TraceError(
            f"each step changes a {what} that is not part of the model, such as one in the loss: make it an attribute "
            "of the model to have it compiled"
        )
    return [places[id(x)] for x in used]

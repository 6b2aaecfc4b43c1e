"""`python -m tests.literal_names` writes tinygrad_edu/names.py anew from the tables; `make format` runs it too."""

import textwrap
from collections.abc import Iterable
from pathlib import Path

import tinygrad_edu
from tinygrad_edu.core.operation import TABLE
from tinygrad_edu.data.batching import ORDERS
from tinygrad_edu.estimators import choices
from tinygrad_edu.estimators.network import SCHEDULES
from tinygrad_edu.nn.activations import FUNCTIONS, OTHER_NAMES, is_activation
from tinygrad_edu.nn.init import INITIALIZERS
from tinygrad_edu.nn.layers import NORMS
from tinygrad_edu.nn.losses import LOSSES
from tinygrad_edu.nn.parameters import BACK_ENDS
from tinygrad_edu.optim import optimizer_classes

FILE = Path(tinygrad_edu.__file__).with_name("names.py")
HEAD = '''"""The names that arguments take, for editors and type checkers. Generated from the tables: do not edit.

`make format` writes this file anew, and `tests/test_names.py` fails where it is not what the tables say. Nothing reads
it at run time: a row of a table is known by its name as soon as it is declared.

Each is `Literal[...] | str`: an editor completes the names, and a name that stands in a variable, or that a program
has declared itself, passes a type checker too. An unknown one is told at run time, with the closest that there is.
"""

from typing import Literal

# fmt: off
'''


def own(kinds: Iterable[str]) -> list[str]:
    return sorted(dict.fromkeys(kinds))


def tables() -> dict[str, list[str]]:
    """What each type is made from."""
    activations = [name for name, row in TABLE.items() if is_activation(row)]
    return {
        "ActivationName": own([*activations, *FUNCTIONS, *OTHER_NAMES]),
        "BackEndName": own(BACK_ENDS),
        "InitializerName": own(INITIALIZERS),
        "LearningRateName": own(SCHEDULES),
        "LossName": own(LOSSES),
        "NormName": own(NORMS),
        "OptimizerName": own(each.lower() for each in optimizer_classes()),
        "OrderName": own(ORDERS),
        "ScikitLearnLossName": own([*choices.USUAL_LOSSES, *choices.LOSSES]),
        "SolverName": own(choices.SOLVERS),
    }


def module() -> str:
    """The text of tinygrad_edu/names.py."""
    parts = [HEAD]
    for kind, names in tables().items():
        listed = textwrap.fill(", ".join(f'"{name}"' for name in names), 115)
        parts.append(f"{kind} = Literal[\n{textwrap.indent(listed, '    ')},\n] | str\n")
    return "\n".join(parts)


if __name__ == "__main__":
    FILE.write_text(module(), encoding="utf-8")

"""A network as JavaScript: it predicts and trains by the loops that the library's compiler makes, in a browser or Node.

The loops are those of train/compiled/program.py, written by compile/languages; assets/network.js is what stands around
them, assets/random.js NumPy's random numbers.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from tinygrad_edu.compile.languages.javascript import JavaScript
from tinygrad_edu.core.aliases import Model, Samples
from tinygrad_edu.errors import SettingError
from tinygrad_edu.interop.prediction import PredictionProgram
from tinygrad_edu.interop.programs import NetworkProgram, network_program

FRAME = """\
// Made by tinygrad_edu from its table of operations: {what} of one network.
const {name} = (() => {{
"use strict";
{parts}
return {{create, {more}info: program.info}};
}})();
"""


def training_program(
    model: Model,
    X: Samples,
    y: Samples,
    *,
    loss: Any,
    optimizer: Any,
    batch_size: int | None = None,
    clip_norm: float | None = None,
    clip_value: float | None = None,
    tol: float | None = None,
    patience: int | None = None,
    accurate: bool = False,
    name: str = "network",
    module: bool = False,
) -> str:
    """JavaScript that predicts and trains as `fit` does: `const network = (() => {...})();`, without dependencies.

    model, X, y, loss, optimizer, batch_size, clip_norm, clip_value, tol, patience, accurate: as for `fit`; the text
    holds the present weights and no sample. name: of the constant; module=True: an ES module that exports it as its
    default.
    `network.create(weights?)` gives an object with weights, settings, train(X, y, epochs, order?), predict(X),
    activations(X). Errors: TraceError for a model, loss or optimizer that cannot be compiled, or not to JavaScript;
    SettingError for a name that is not an identifier.

    >>> from tinygrad_edu import nn
    >>> from tinygrad_edu.data import xor_gate
    >>> text = training_program(nn.MLP([2, 4, 1]), *xor_gate(), loss="mse", optimizer="adam")
    >>> "function epochs_of(" in text, "import" in text
    (True, False)
    """
    settings: dict[str, Any] = {
        "batch_size": batch_size,
        "clip_norm": clip_norm,
        "clip_value": clip_value,
        "tol": tol,
        "patience": patience,
        "accurate": accurate,
    }
    return write(network_program(model, X, y, loss=loss, optimizer=optimizer, **settings), name, module)


def write(program: PredictionProgram, name: str = "network", module: bool = False) -> str:
    """The text for a program that was traced. Errors: SettingError for a name that is not an identifier."""
    if not re.fullmatch(r"[A-Za-z_$][\w$]*", name, re.ASCII) or name in JavaScript.reserved:
        raise SettingError(f"name={name!r:.60}: a JavaScript identifier is needed, such as network")
    trains = isinstance(program, NetworkProgram)
    assets = ["common.js", *(["random.js", "network.js"] if trains else ["predict.js"])]
    text = FRAME.format(
        name=name,
        what="forward, loss, backward and update" if trains else "forward",
        parts="\n".join([describe(program), *map(asset, assets)]),
        more="Generator, " * trains,
    )
    return text + f"export default {name};\n" * module


def asset(name: str) -> str:
    return (Path(__file__).parent / "assets" / name).read_text(encoding="utf-8")


def describe(program: PredictionProgram) -> str:
    """The generated functions, and what the assets have to know of them."""
    writer = program.writer(JavaScript())
    rate = ""
    if isinstance(program, NetworkProgram):
        rate = ",\n    rate: rate_of" * program.write_rate(writer, "rate_of")
        program.write_training(writer, "epochs_of")
        asked = program.write_rule(writer, "loss")
        rate += f",\n    stops: (rule, loss) => {asked}" * bool(asked)
    program.write_prediction(writer, "outputs_of")
    functions = ",\n".join(f"    {name}: s => {text}" for name, text in program.sizes_in_language(writer).items())
    facts = script_safe(json.dumps(program.facts(), allow_nan=False))
    return f"{writer.text}\nconst program = Object.assign({facts}, {{\n{functions}{rate}\n}});"


def script_safe(text: str) -> str:
    """JSON that stays one piece inside a page's script element."""
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")

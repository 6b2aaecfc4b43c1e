"""The published speed: `python -m bench --readme` writes the page with its chart, and five rows of README.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from bench.speed import chart, first_call
from bench.speed.child import Result
from bench.speed.machine import machine
from bench.speed.report import Cell, cells, duration, line, number
from bench.speed.workload import OURS, Workload
from bench.speed.workloads import ROWS

README, PAGE, CHART = Path("README.md"), Path("docs/explanation/speed.md"), Path("docs/speed.svg")
BEGIN, END = "<!-- by python -m bench --readme -->", "<!-- end of what it writes -->"
# Short names for rows of `python -m bench`, in the order of the table.
LABELS = {
    "moons step, scalars": "`Value`: MLP 2-16-16-1, 100 samples, forward + backward",
    "moons step, tape": "the same, replayed by `tg.jit`",
    "gpt step, scalars": "`Value`: a GPT of one layer, 5 letters, forward + backward",
    "eager chain, soft": "`Tensor`: 200 operations (mul, tanh, add, sin) on 8 numbers",
    "eager chain, steep": "the same with sub, exp, div, sigmoid",
    "jit call": "`tg.jit`: sum(w·w) of two numbers, 1,000 calls",
    "jit call 24-8-2": "`tg.jit`: 24-8-2, 200 rows, loss and all gradients, 1,000 calls",
    "train 2-16-16-1": "`fit`: 2-16-16-1, 100 samples, 1,000 steps, float64",
    "train 2-16-16-1 float32": "the same in float32",
    "train 2-3-1 online": "`fit`: XOR 2-3-1, 100,000 steps of one sample",
    "train 2-3-1 online float32": "`fit`: XOR 2-3-1, the same steps in float32",
    "train 900-64-10 batch 32": "`fit`: 900-64-10, Adam, batch 32, float32",
    "train 900-64-10 batch 128": "the same, batch 128",
    "train 784-512-512-10 batch 128": "`fit`: 784-512-512-10, Adam, batch 128, float32",
    "elementwise": "`tg.jit`: tanh(x)·sigmoid(x) + x², summed, 10⁶ float32",
    "1,000 seeds of XOR": "`fit_many`: 1,000 seeds of XOR 2-4-1, 2,000 epochs",
    "estimators body metrics": "`MLPClassifier`: 11 rows, 200 epochs",
    "estimators grid": "grid search of 757 fits",
    "estimators 900-64-10 batch 32": "`MLPClassifier`: 900-64-10, batch 32, one epoch",
}
# Rows in README, as (row, peer): one of each kind, among them one that we lose.
CHOSEN = (
    ("moons step, scalars", "micrograd"),
    ("train 2-16-16-1 float32", "jax"),
    ("train 900-64-10 batch 32", "torch"),
    ("train 2-3-1 online float32", "jax"),
    ("estimators grid", "sklearn"),
)
PEERS = {
    "bench.speed.forty_lines": "`Value` in 40 lines",
    "torch": "torch eager",
    "jax": "JAX, jit",
    "casadi": "CasADi",
    "pytensor": "PyTensor",
    "sklearn": "scikit-learn",
}
SHAPES = [name for name in ROWS if name.startswith("estimators ") and name not in LABELS]

# Rows that `python -m bench` prints but the page omits: the same nets in three ways, against one peer.
UNPUBLISHED = [name for name in ROWS if name.startswith(("letters, ", "gpt step, arrays", "lenet, "))]

Results = Mapping[str, Result]  # by name of the row


def write(results: Results, day: str) -> None:
    """The page, the chart and README's rows. Errors: LookupError for a row not measured, or no place for the table."""
    missing = [name for name in [*LABELS, *SHAPES, first_call.FIRST_CALL.name] if name not in results]
    if missing:
        raise LookupError(f"{PAGE} shows all rows, and these were not measured: {', '.join(missing)}")
    for file, new in ((PAGE, block(results, day)), (README, digest(results))):
        file.write_text(replaced(file.read_text(encoding="utf-8"), new, file), encoding="utf-8")
    chart.write([ROWS[name] for name in LABELS], results, CHART, name_of_bar)


def name_of_bar(cell: Cell) -> str:
    """The row and the peer in the table's words; an SVG has no code font."""
    return f"{LABELS[cell.workload.name]} vs. {peer_name(cell)}".replace("`", "")


def peer_name(cell: Cell) -> str:
    return PEERS.get(cell.package, cell.package)


def replaced(text: str, new: str, file: Path = README) -> str:
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise LookupError(f"{file} has no {BEGIN} ... {END}")
    return f"{before}{BEGIN}\n\n{new}\n\n{END}{after}"


def block(results: Results, day: str) -> str:
    """What stands between the two marks."""
    introduction = (
        f"The times are medians of runs that take turns, on {machine()}, with 2 threads each (one where there are no "
        f"arrays) and without the time to compile; {day}, `python -m bench`. Every library runs in a process of its "
        "own. The ratio says how many times as fast ours is."
    )
    head = "| workload | against | ours | theirs | ratio |\n|---|---|--:|--:|--:|"
    table = "\n".join([head, *lines(results)])
    if "| **" in table:
        introduction += " It is bold where ours is slower."
    picture = f"![How many times as fast as each peer, by workload](../{CHART.name})"
    return "\n\n".join([introduction, picture, table, beside(results)])


def digest(results: Results) -> str:
    """README's rows: the label with what "the same" refers to, the peer, the ratio."""
    chosen = [
        line([whole_label(name), peer_name(cell), ratio(cell)])
        for name, peer in CHOSEN
        if isinstance(row := ROWS[name], Workload)
        for cell in cells([row], results)
        if cell.package == peer
    ]
    return "\n".join(["| workload | against | ratio |\n|---|---|--:|", *chosen])


def whole_label(name: str) -> str:
    """The label of a row as it stands alone: "the same in float32" is about the row above it."""
    names = list(LABELS)
    label, above = LABELS[name], LABELS[names[names.index(name) - 1]]
    return label if not label.startswith("the same") else above.replace("float64", "float32")


def lines(results: Results) -> Iterator[str]:
    rows = {name: row for name, row in ROWS.items() if name in LABELS and isinstance(row, Workload)}
    for name, label in LABELS.items():
        for cell in cells([rows[name]], results):
            timings = results[name].timings
            ours, theirs = duration(timings[OURS].median), duration(timings[cell.package].median)
            yield line([label, peer_name(cell), ours, theirs, ratio(cell)])


def ratio(cell: Cell) -> str:
    return f"**{number(cell.ratio)}x**" if cell.lost else f"{number(cell.ratio)}x"


def beside(results: Results) -> str:
    """What has no row of its own."""
    seconds = results[first_call.FIRST_CALL.name].quantities
    rows = [row for row in map(ROWS.__getitem__, SHAPES) if isinstance(row, Workload)]
    others = [cell.ratio for cell in cells(rows, results)]
    return (
        f"A training program of a new structure takes {seconds['cold']:.1f} s at its first call, and "
        f"{seconds['from the disk']:.1f} s in a new process, which reads it from the disk (Numba's own first call "
        f"takes {seconds[first_call.NUMBA]:.1f} s). On {len(others)} more shapes, from 10 x 2 to 50,000 x 200, the "
        f"estimators are {min(others):.1f} to {max(others):.0f} times as fast as scikit-learn."
    )

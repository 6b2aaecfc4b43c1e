"""bench: its commands, the model of an all-reduce, and the rows of README and of the page."""

import subprocess
import sys

import pytest

from bench import eager, growth, scaling
from bench.speed import chart, command, first_call, readme
from bench.speed.child import Result
from bench.speed.timing import Timing
from bench.speed.workload import OURS, is_installed
from bench.speed.workloads import PROBES, ROWS, WORKLOADS
from tests.test_bench import ROOT
from tinygrad_edu.cli import parser

pytestmark = pytest.mark.slow


# The commands


def run(*arguments):
    return subprocess.run([sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_command_writes_table_and_chart(tmp_path):
    done = run("bench", "chain, soft", "--rounds", "2", "--out", str(tmp_path / "made"))
    assert (done.returncode, done.stderr) == (0, "")  # no progress bar, because it is not a terminal
    text = (tmp_path / "made" / "bench.md").read_text(encoding="utf-8")
    assert f"| eager chain, soft | 1 | {OURS} |" in text
    assert text in done.stdout
    drawable = is_installed("torch") and is_installed("matplotlib")
    assert (tmp_path / "made" / "bench.svg").exists() == drawable
    assert ("](bench.svg)" in text) == drawable


def test_the_command_names_the_rows_it_has():
    done = run("bench", "no such row")
    assert done.returncode == 1
    assert all(name in done.stderr for name in ROWS)


@pytest.mark.parametrize("rounds", ["0", "-1", "x"])
def test_rounds_are_a_number_above_0(rounds, capsys):
    with pytest.raises(SystemExit) as caught:
        command.main(["--rounds", rounds])
    assert caught.value.code == 2
    assert "is not a whole number above 0" in capsys.readouterr().err


def test_quick_measures_the_subset(tmp_path, monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(
        command, "in_own_process", lambda row, rounds, tick: asked.append((row.name, rounds)) or Result()
    )
    command.main(["--quick", "--out", str(tmp_path)])
    assert dict(asked) == command.SUBSET
    asked.clear()
    command.main(["--quick", "elementwise", "--rounds", "1", "--out", str(tmp_path)])
    assert asked == [("elementwise", 1)]
    assert f"wrote {tmp_path / 'bench.md'}" in capsys.readouterr().out


def test_what_is_wrong_is_said_in_one_sentence(tmp_path):
    with pytest.raises(SystemExit, match=r"^no row is called 'dance'; there are: moons[^\n]*$"):
        command.main(["dance", "--out", str(tmp_path)])


def test_the_package_has_no_command_that_would_run_a_folder_called_bench():
    assert "bench" not in parser().format_help()


# bench.growth


def test_time_and_memory_by_size_have_the_slope_of_the_work():
    def prepare(n):
        return lambda: [i for _ in range(n) for i in range(2_000)][:1]

    for memory, unit in ((False, "s,"), (True, "MB,")):
        table = growth.row(growth.Growth("a list", "items", (10, 40, 160), prepare, "1", 3, memory))
        what, of, sizes, measured, slope, wanted = table.strip("| ").split(" | ")
        assert (what, of, sizes, wanted) == ("a list", "items", "10 to 160", "1")
        assert measured.count(unit) == 2
        assert 0.7 < float(slope) < 1.3


@pytest.mark.parametrize("row", [growth.GROWTH[0], growth.GROWTH[2]], ids=["Value", "Tensor"])
def test_the_work_of_a_row_can_be_done_again(row):
    work = row.prepare(10)
    work()
    work()


# bench.eager


def test_eager_programs_have_the_values_of_their_peers():
    pytest.importorskip("torch")
    measured = [(ours(), theirs()) for _, _, ours, theirs in eager.rows(["MLP 2-16", "embedding"])]
    assert len(measured) == 4
    assert all(a == pytest.approx(b, rel=1e-4) for a, b in measured)
    little, much = eager.in_turn(lambda: 0.0, lambda: float(sum(range(1000))), 3)
    assert 0.0 < little < much


# bench.scaling


def test_the_model_of_an_all_reduce_is_fitted_back_from_its_own_points():
    latency, bandwidth = scaling.fitted({n: scaling.ring(2, 8.0 * n, 3e-6, 2e9) for n in scaling.SIZES})
    assert (latency, bandwidth) == pytest.approx((3e-6, 2e9))
    assert scaling.ring(1, 8e6, latency, bandwidth) == 0.0


def test_efficiency_is_1_on_one_machine_and_falls_with_what_is_not_shared():
    network = (5e-6, 12.5e9)
    assert scaling.efficiency(1, 0.04, 0.01, 8e6, network) == 1.0
    free = [scaling.efficiency(p, 0.04, 0.0, 0.0, (0.0, 1.0)) for p in scaling.MACHINES]
    assert free == pytest.approx([1.0] * len(free))
    assert scaling.efficiency(4, 0.04, 0.01, 0.0, (0.0, 1.0)) == pytest.approx(0.05 / (4 * 0.02))


def test_the_report_names_what_was_measured_and_the_errors_of_the_model(tmp_path):
    found = {"one": 5.0, "half": 3.0, "two": 3.5, "all_reduce": {"1000": 1e-5, "10000": 5e-5}, "parameters": 1000}
    text = scaling.report(found, 5e-6, 1e9)
    assert "a step takes 5000.00 ms in 1 process (4000.00 ms for the rows, 1000.00 ms" in text
    assert "| 1,000 | 10.0 µs | 18.0 µs | +80% |" in text
    assert "| 1,024 |" in text
    if chart.available():
        assert scaling.draw(found, tmp_path / "scaling.svg")
        assert (tmp_path / "scaling.svg").stat().st_size > 5000


# The published table, and README's rows


def between_the_marks(file):
    text = (ROOT / file).read_text(encoding="utf-8")
    return text.partition(readme.BEGIN)[2].partition(readme.END)[0]


def test_the_page_shows_every_row_and_every_peer():
    table = between_the_marks(readme.PAGE)
    for name, label in readme.LABELS.items():
        for package in ROWS[name].peers.keys() - {OURS}:
            assert f"| {label} | {readme.PEERS.get(package, package)} |" in table
    shown = readme.LABELS.keys() | set(readme.SHAPES) | {p.name for p in PROBES}
    assert shown | set(readme.UNPUBLISHED) == ROWS.keys()
    assert not shown & set(readme.UNPUBLISHED)
    assert (ROOT / readme.CHART).exists()


def test_the_rows_of_the_readme_are_rows_of_the_page_and_one_is_a_loss_if_there_is_one():
    page, rows = between_the_marks(readme.PAGE), between_the_marks(readme.README)
    for name, peer in readme.CHOSEN:
        peer = readme.PEERS.get(peer, peer)
        (theirs,) = [line for line in page.splitlines() if line.startswith(f"| {readme.LABELS[name]} | {peer} |")]
        assert f"| {readme.whole_label(name)} | {peer} | {theirs.split(' | ')[-1]}" in rows
    assert ("**" in rows) == ("**" in page)


def everything_measured():
    found = {w.name: Result({p: Timing(1.0, [1.0 if p == OURS else 4.0]) for p in w.peers}) for w in WORKLOADS}
    found["elementwise"].timings["jax"] = Timing(1.0, [0.5])
    quantities = {"cold": 1.26, "from the disk": 0.34, first_call.NUMBA: 0.31}
    return {**found, first_call.FIRST_CALL.name: Result(quantities=quantities)}


def test_the_readme_is_written_between_its_marks(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / readme.PAGE).parent.mkdir(parents=True)
    for file in (readme.README, readme.PAGE):
        file.write_text(f"above\n{readme.BEGIN}\nold\n{readme.END}\nbelow\n", encoding="utf-8")
    readme.write(everything_measured(), "1 May 2026")
    text = readme.PAGE.read_text(encoding="utf-8")
    assert text.startswith("above\n")
    assert text.endswith("below\n")
    assert "\nold\n" not in text
    assert f"| {readme.LABELS['elementwise']} | JAX, jit | 1.00 s | 500 ms | **0.500x** |" in text
    assert "takes 1.3 s at its first call, and 0.3 s in a new process" in text
    assert "On 12 more shapes, from 10 x 2 to 50,000 x 200, the estimators are 4.0 to 4 times as fast" in text
    readme.write(everything_measured(), "1 May 2026")
    assert readme.PAGE.read_text(encoding="utf-8") == text
    assert "| grid search of 757 fits | scikit-learn | 4.00x |" in readme.README.read_text(encoding="utf-8")


def test_the_readme_needs_all_rows_and_a_place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LookupError, match="were not measured: moons step, scalars"):
        readme.write({}, "today")
    with pytest.raises(LookupError, match="has no <!-- by python"):
        readme.replaced("no marks", "table")
    with pytest.raises(LookupError, match="name none"):
        command.run(["moons"], False, 1, tmp_path, for_readme=True)

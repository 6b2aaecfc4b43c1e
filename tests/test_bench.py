"""bench: every peer gives our answer, the numbers are those that were measured, and what is missing is named."""

import functools
import itertools
import json
import mmap
import os
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numba
import numpy as np
import pytest

from bench import scaling
from bench.speed import chart, command, first_call, memory, readme, threads
from bench.speed.child import Result, environment, in_own_process
from bench.speed.peer import Peer, peers_of, threads_of
from bench.speed.report import cells, duration, markdown, number
from bench.speed.timing import Timing, measure, probed, speedups, timed
from bench.speed.workload import OURS, Probe, Workload, is_installed
from bench.speed.workloads import PROBES, ROWS, WORKLOADS
from tinygrad_edu.cli import parser

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
PAIRS = [
    pytest.param(w, package, id=f"{w.name}-{package}", marks=[pytest.mark.torch] if package == "torch" else [])
    for w in WORKLOADS
    for package in w.peers
    if package != OURS
]
by_name = pytest.mark.parametrize("workload", WORKLOADS, ids=lambda w: w.name)


@pytest.mark.parametrize(("workload", "package"), PAIRS)
def test_every_peer_gives_our_answer(workload, package):
    if not is_installed(package):
        pytest.skip(f"{package} is not installed")
    np.testing.assert_allclose(workload.peers[package]()(), our_answer(workload.name), rtol=workload.rtol, atol=0.0)


@functools.cache
def our_answer(name):
    return list(ROWS[name].peers[OURS]()())


@by_name
def test_every_run_of_ours_gives_the_same_answer(workload):
    run = workload.peers[OURS]()
    run()
    assert list(run()) == our_answer(workload.name)


# The table


@by_name
def test_we_stand_first_and_requirements_name_peers(workload):
    assert next(iter(workload.peers)) == OURS
    assert workload.at_least.keys() | workload.repeats.keys() <= workload.peers.keys() - {OURS}


def test_names_of_rows_are_distinct():
    assert len(ROWS) == len(WORKLOADS) + len(PROBES)


def test_the_subset_names_rows_and_has_no_more_rounds_than_they():
    assert all(rounds <= ROWS[name].rounds for name, rounds in command.SUBSET.items())


# What is measured of ours alone


def test_the_first_call_is_timed_in_new_processes_with_one_cache(monkeypatch):
    monkeypatch.setattr(first_call, "in_a_new_process", lambda cache, what: caches.append(cache) or len(caches))
    caches = []
    assert first_call.cold_and_from_disk() == {"cold": 1, "from the disk": 2, first_call.NUMBA: 3}
    assert len(set(caches)) == 1
    assert not Path(caches[0]).exists()


def test_a_first_call_from_the_disk_is_quicker_than_a_compiler(tmp_path):
    cold, warm = (first_call.in_a_new_process(str(tmp_path), "first_call") for _ in range(2))
    assert 0.0 < warm < cold / 2


@pytest.mark.skipif(not memory.STATM.exists(), reason="reads the resident size from Linux")
def test_memory_that_grows_is_seen_and_memory_that_is_reused_is_not():
    kept = []
    assert memory.growth(lambda: kept.append(pages(2_000_000))) >= memory.PARTS * 2000 * 0.9
    assert memory.growth(lambda: pages(2_000_000).close()) < 2500


def pages(size):
    """Memory straight from the system: an array might fit where an earlier one was."""
    taken = mmap.mmap(-1, size)
    taken.write(bytes(size))
    return taken


@pytest.mark.skipif(not memory.STATM.exists(), reason="reads the resident size from Linux")
def test_the_parts_of_the_memory_row_run():
    assert memory.growths(steps=1000).keys() == memory.MEMORY.at_most.keys()


# The driver, on rows of its own


def ticking():
    return lambda: [float(sum(range(100)))]


TOY = Workload("toy", "a sum", {OURS: ticking, "micrograd": ticking, "not_a_package": ticking}, {"micrograd": 3.0})
WEIGHT = Probe("weight", "how heavy", lambda: {"big": 3.0, "small": 0.5}, {"big": 2.0, "small": 1.0}, "kg")


@pytest.fixture
def toy(monkeypatch):
    monkeypatch.setattr("bench.speed.workload.is_installed", lambda package: package != "not_a_package")
    monkeypatch.setattr("bench.speed.machine.version", lambda package: "1.0")
    return TOY


def test_a_run_is_repeated_until_its_turn_is_over(monkeypatch):
    clock, calls = itertools.count(0.0, 0.008), []  # 8 ms from one look at it to the next
    monkeypatch.setattr("bench.speed.timing.perf_counter", lambda: next(clock))

    def run():
        calls.append(1)
        return [len(calls)]

    assert timed(run, 0.02) == (pytest.approx(0.008), [3])
    assert timed(run) == (pytest.approx(0.008), [4])


def test_peers_take_turns(toy, monkeypatch):
    monkeypatch.setattr("bench.speed.timing.TURN", 0.0)
    calls, ticks = [], []

    def counting(package):
        return lambda: lambda: calls.append(package) or [1.0]

    counted = replace(toy, peers={package: counting(package) for package in toy.peers})
    timings = measure(counted, 3, lambda: ticks.append(len(calls)))
    assert calls == [OURS, "micrograd"] * 4  # a first call, then three rounds
    assert ticks == [4, 6, 8]
    assert all(t.first > 0.0 and t.median > 0.0 and len(t.runs) == 3 for t in timings.values())


def test_the_time_of_a_part_is_multiplied(toy, monkeypatch):
    monkeypatch.setattr("bench.speed.timing.timed", lambda run, turn: (2.0, run()))
    timings = measure(replace(toy, repeats={"micrograd": 100.0}), rounds=2)
    assert (timings[OURS].first, timings[OURS].runs) == (2.0, [2.0, 2.0])
    assert (timings["micrograd"].first, timings["micrograd"].runs) == (200.0, [200.0, 200.0])


@pytest.mark.parametrize("wrong", [[1.001], [float("nan")], [1.0, 1.0]])
def test_a_wrong_answer_has_no_time(toy, wrong):
    wrongly = replace(toy, peers={OURS: lambda: lambda: [1.0], "micrograd": lambda: lambda: wrong})
    with pytest.raises(ArithmeticError, match=r"toy: micrograd answers .*, tinygrad_edu \[1.0\] .*1e-12"):
        measure(wrongly, rounds=1)


def test_a_ratio_is_their_time_over_ours():
    assert speedups({OURS: Timing(9.0, [2.0]), "micrograd": Timing(9.0, [7.0, 8.0, 90.0])}) == {"micrograd": 4.0}


def test_quartiles_against_numpy():
    runs = np.random.default_rng(0).exponential(size=11).tolist()
    assert Timing(0.0, runs).quartiles == pytest.approx(tuple(np.percentile(runs, [25, 75])))
    assert Timing(0.0, [3.0]).quartiles == (3.0, 3.0)


def test_a_quantity_is_the_median_of_the_rounds():
    numbers = iter([5.0, 1.0, 2.0])
    assert probed(replace(WEIGHT, measure=lambda: {"big": next(numbers), "small": 0.0}), 3) == {
        "big": 2.0,
        "small": 0.0,
    }


# A process of its own


@pytest.mark.parametrize("number", [1, 2])
def test_the_threads_of_a_row_are_in_force(number, tmp_path):
    pytest.importorskip("threadpoolctl")
    lines = ["import numpy, scipy.linalg, numba"]
    if is_installed("jax"):
        lines += ["import jax", "jax.numpy.ones(4).block_until_ready()"]
    lines += ["import torch"] * is_installed("torch")
    lines += [
        "import json",
        "from bench.speed.threads import threads_in_force",
        "print(json.dumps(threads_in_force()))",
    ]
    variables = environment(number, str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], env=variables, cwd=ROOT, capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout)
    assert found.keys() >= {"numba", *(name for name in ("torch",) if is_installed(name))}
    assert set(found.values()) == {number}


def test_a_row_is_measured_in_a_process_of_its_own():
    ticks = []
    result = in_own_process(ROWS["eager chain, soft"], 2, lambda: ticks.append(1))
    assert (len(ticks), result.failure) == (2, "")
    assert len(result.timings[OURS].runs) == 2
    assert result.timings[OURS].median > 0.0


def test_each_peer_works_in_a_process_of_its_own_and_they_end_together():
    row = ROWS["moons step, tape"]
    with peers_of(replace(row, peers={OURS: row.peers[OURS], "micrograd": row.peers[OURS]})) as peers:
        processes = [each.process for each in peers.values()]
        seconds, answer = peers[OURS].work()
        assert len({os.getpid(), *(each.pid for each in processes)}) == len(peers) + 1
        assert threads_of(peers)["numba"] == numba.get_num_threads()
    assert seconds > 0.0
    assert answer == our_answer(row.name)
    assert all(each.returncode is not None for each in processes)


def test_a_peer_whose_process_ends_is_named():
    with (
        closing(Peer("no such row", OURS)) as gone,
        pytest.raises(RuntimeError, match="no such row: tinygrad_edu ended"),
    ):
        gone.work()


def test_what_interrupts_us_ends_the_process_too(monkeypatch):
    ended = []
    monkeypatch.setattr(subprocess.Popen, "kill", lambda self: ended.append(self.pid) or self.terminate())

    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        in_own_process(ROWS["eager chain, soft"], 10**6, interrupted)
    assert len(ended) == 1


def test_the_variables_hold_one_number_and_the_rest_of_the_environment_stays(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    found = environment(3, str(tmp_path))
    assert {found[name] for name in threads.VARIABLES} == {"3"}
    assert found["PYTHONPATH"].split(os.pathsep) == [str(ROOT), "elsewhere"]
    assert found["PATH"] == os.environ["PATH"]


def test_a_row_that_fails_says_why_and_the_others_are_reported(toy, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(ROWS, toy.name, toy)  # not in the table that the other process reads
    monkeypatch.setattr(chart, "available", lambda: False)
    with pytest.raises(command.MeasurementError, match=f"could not be measured: {toy.name}; "):
        command.run(["toy", "chain, soft"], False, 1, tmp_path)
    text = (tmp_path / "bench.md").read_text(encoding="utf-8")
    assert "toy: **could not be measured**: KeyError: 'toy' (`python -m bench.speed.child 'toy' 1" in text
    assert f"| eager chain, soft | 1 | {OURS} |" in text
    assert chart.ADVICE in capsys.readouterr().out


# The report


def made_up(ours, theirs):
    return {TOY.name: Result({OURS: Timing(1.0, [ours]), "micrograd": Timing(9.0, [theirs])}, threads={"openblas": 1})}


def table(toy, ours, theirs, **more):
    return markdown([toy], made_up(ours, theirs), "1 May 2026", **more)


NONE = "## Losing cells\n\nNone.\n"
OUTCOMES = [  # our time, theirs, the cells, the list of losing cells
    (1e-3, 4e-3, "| 4.00 ms to 4.00 ms | 4.00x | 3x: met |", NONE),
    (
        2e-3,
        4e-3,
        "| 2.00x | 3x: **MISSED** |",
        "## Losing cells\n\n- toy against micrograd: 2.00x, required 3x (missed)\n",
    ),
    (8e-3, 4e-3, "| 0.500x **LOST** | 3x: **MISSED** |", "- toy against micrograd: 0.500x, required 3x (missed)\n"),
]


@pytest.mark.parametrize(("ours", "theirs", "row", "losing"), OUTCOMES)
def test_lost_and_missed_cells_are_marked_and_listed(toy, ours, theirs, row, losing):
    text = table(toy, ours, theirs)
    assert row in text
    assert losing in text


def test_a_cell_can_be_lost_and_yet_as_fast_as_required(toy):
    text = table(replace(toy, at_least={"micrograd": 0.4}), 2.0, 1.0)
    assert "| 0.500x **LOST** | 0.4x: met |" in text
    assert "- toy against micrograd: 0.500x, required 0.4x\n" in text


def test_a_cell_without_a_requirement_has_an_empty_place(toy):
    assert "| 4.00x |  |" in table(replace(toy, at_least={}), 1.0, 4.0)


def test_the_report_names_machine_date_versions_threads_and_what_is_missing(toy):
    text = table(toy, 1.0, 4.0)
    assert "toy: not_a_package is not installed, skipped" in text
    assert f"Python {sys.version.split()[0]}; 1 May 2026" in text
    assert f"{OURS} 1.0, micrograd 1.0, numpy 1.0" in text
    assert f"| toy | 1 | {OURS} | 1.00 s |" in text
    assert "a sum (threads in force: openblas 1)" in text
    assert "![" not in text
    assert "openblas 1 **instead of 2**)" in table(replace(toy, threads=2), 1.0, 4.0)
    assert "](bench.svg)" in table(toy, 1.0, 4.0, chart="bench.svg")


def test_limits_have_a_table_of_their_own(toy):
    text = markdown([WEIGHT], {"weight": Result(quantities=WEIGHT.measure())}, "today")
    assert "| weight | 2 | big | 3.00 kg | 2 kg: **MISSED** |" in text
    assert "| weight | 2 | small | 0.500 kg | 1 kg: met |" in text
    assert "- weight, big: 3.00 kg, at most 2 kg (missed)\n" in text
    assert "| workload |" not in text
    assert "| limit |" not in markdown([WEIGHT], {"weight": Result(failure="it broke")}, "today")


def test_a_limit_that_the_system_cannot_tell_is_named(tmp_path, toy, monkeypatch):
    monkeypatch.setitem(ROWS, "weight", replace(WEIGHT, needs="/not/here"))
    assert command.measured({"weight": 1}) == {}
    assert "- weight: this system has no /not/here, skipped" in markdown([ROWS["weight"]], {}, "today")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(2.5, "2.50 s"), (1234.5, "1,234 s"), (4e-3, "4.00 ms"), (2.34e-5, "23.4 µs"), (7e-8, "70.0 ns")],
)
def test_durations_have_three_digits(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("x", "text"), [(0.853, "0.853"), (4.0, "4.00"), (99.96, "100."), (1234.5, "1,234"), (0.0, "0.00")]
)
def test_numbers_have_three_digits(x, text):
    assert number(x) == text


# The chart

RATIOS = [
    (replace(TOY, name="won & met", at_least={"micrograd": 3.0}), 40.0),
    (replace(TOY, name="lost <", at_least={"micrograd": 0.8}), 0.5),
    (replace(TOY, name="free", at_least={}), 1.5),
]


def charted():
    rows = [row for row, _ in RATIOS]
    results = {row.name: Result({OURS: Timing(1.0, [1.0]), "micrograd": Timing(1.0, [r])}) for row, r in RATIOS}
    return rows, results


def test_bars_run_from_1_to_the_ratio_and_marks_stand_where_it_is_required():
    pytest.importorskip("matplotlib")
    axes = chart.figure(cells(*charted())).axes[0]
    assert axes.get_xscale() == "log"
    bars = [(bar.get_x() + bar.get_width(), tuple(bar.get_facecolor())) for bar in axes.patches]
    assert [round(end, 9) for end, _ in bars] == [40.0, 0.5, 1.5]
    assert bars[0][1] == bars[2][1] != bars[1][1]
    assert [lines.get_segments()[0][0][0] for lines in axes.collections] == [3.0, 0.8]
    low, high = axes.get_xlim()
    assert low < 0.5
    assert high > 40.0


def test_the_chart_is_svg_with_its_text_and_the_same_each_time(tmp_path):
    pytest.importorskip("matplotlib")
    paths = [tmp_path / "a.svg", tmp_path / "b.svg"]
    assert all(chart.write([*charted()[0], WEIGHT], charted()[1], path) for path in paths)
    texts = [node.text for node in ElementTree.parse(paths[0]).iter("{http://www.w3.org/2000/svg}text")]
    assert {"won & met vs. micrograd", "lost < vs. micrograd", "40.0x", "0.500x", "required"} <= set(texts)
    assert paths[0].read_bytes() == paths[1].read_bytes()


def contrast(colour, ground):
    """Of WCAG 2.1: (L₁ + 0.05) / (L₂ + 0.05), L the relative luminance."""

    def luminance(text):
        parts = [int(text[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [x / 12.92 if x <= 0.03928 else ((x + 0.055) / 1.055) ** 2.4 for x in parts]
        return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))

    high, low = sorted((luminance(colour), luminance(ground)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("ground", ["#ffffff", "#0d1117", "#000000"])
@pytest.mark.parametrize("colour", [chart.INK, chart.FASTER, chart.SLOWER, chart.MARK])
def test_colours_show_on_light_and_dark_grounds(colour, ground):
    assert contrast(colour, ground) > (4.2 if colour == chart.INK else 3.0) - 0.01  # 3: WCAG's least for graphics


@pytest.mark.parametrize(
    "results", [{}, {TOY.name: Result({OURS: Timing(1.0, [1.0])})}, {TOY.name: Result(failure="x")}]
)
def test_without_a_ratio_there_is_no_chart(results, tmp_path):
    assert not chart.write([TOY], results, tmp_path / "a.svg")
    assert not (tmp_path / "a.svg").exists()


# The commands


def run(*arguments):
    return subprocess.run([sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_command_writes_table_and_chart(tmp_path):
    done = run("bench", "chain, soft", "--rounds", "2", "--out", str(tmp_path / "made"))
    assert (done.returncode, done.stderr) == (0, "")  # no bar: that is no terminal
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
    assert readme.LABELS.keys() | set(readme.SHAPES) | {p.name for p in PROBES} == ROWS.keys()
    assert (ROOT / readme.CHART).exists()


def test_the_rows_of_the_readme_are_rows_of_the_page_and_one_is_a_loss():
    page, rows = between_the_marks(readme.PAGE), between_the_marks(readme.README)
    for name, peer in readme.CHOSEN:
        peer = readme.PEERS.get(peer, peer)
        (theirs,) = [line for line in page.splitlines() if line.startswith(f"| {readme.LABELS[name]} | {peer} |")]
        assert f"| {readme.whole_label(name)} | {peer} | {theirs.split(' | ')[-1]}" in rows
    assert "**" in rows


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

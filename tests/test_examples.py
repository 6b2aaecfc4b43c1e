"""The guided path, 01 to 16: each program runs as its first lines say, prints its evidence, and writes its picture."""

import ast
import re
import runpy
import sys

import pytest

from tests.example_runs import EXAMPLES
from tests.example_runs import example as path
from tinygrad_edu.draw import render

pytestmark = pytest.mark.slow

# number: (what it must print, the pictures that it writes)
EVIDENCE = {
    "01": (r"a   -0\.91513696 +-0\.9151369\d +\d+e-1\d\n", ()),
    "02": (r"against backward\(\): the same\n.* the gradient is 7 = 3 \+ 3 \+ 1\n", ()),
    "03": (r"6 nodes: 3 operations", ("03_graph.svg", "03_neuron.html", "03_layers.svg")),
    "04": (r"0\.600 .* 35\.5 +multiplied by -1\.1000 +-1\.1000\n", ("04_descent.svg",)),
    "05": (r"one neuron, XOR: loss 0\.\d+ -> 0\.2500\n(.|\n)*2-4-1 network, XOR: loss 0\.\d+ -> 0\.0", ("05_xor.svg",)),
    "06": (r"largest relative difference of the losses on the way: \de-1[2-6]\n", ("06_xor.svg",)),
    "07": (r"times 1\.0: slope (1\.9\d|2\.0\d)\n.*times 1\.001: slope 1\.0\d\n", ("07_taylor.svg",)),
    "08": (r"dot\(x, W1, t1\)(.|\n)*7 samples in place of 32: the same program\n", ()),
    "09": (r"inverse_time\(lr=0\.1, decay=1\.0\): both hold\n", ("09_optimizers.svg",)),
    "10": (
        r"Two mistakes together(.|\n)*\n  10_\w+\.py:\d+: back = d2 @ (.|\n)*"
        r"One mistake(.|\n)*\n  10_\w+\.py:\d+: d1 = back (.|\n)*All 6 gradients are right",
        (),
    ),
    "11": (
        r"Healthy(.|\n)*1\. symmetric_init(.|\n)*0 of 5 seeds reach the goal; only initial weights from(.|\n)*"
        r":\s+(?:5\s+of\s+5|12\s+of\s+12);\s+as\s+a\s+control(.|\n)*1\. lr_too_low(.|\n)*repaired: lr_too_low",
        (),
    ),
    "13": (
        r"Values +\d+\.\d\d ms a document, first loss (3\.\d{12}), \de-1[5-9] from the compiled one\n"
        r"Tensors +\d+\.\d\d ms a document, first loss \1, \de-1[4-9] from",
        (),
    ),
    "14": (r"reads (9[5-9]|100)%\n(.|\n)*one without convolutions reads", ("14_lenet.svg",)),
    "15": (r"loss 2\.\d\d -> 0\.\d\d\npairs of letters, counted: 1\.\d\d\nit writes: ", ()),
    "16": (r"of 500 new questions it answers (9\d|100)%(.|\n)*(9\d|100)% on the digit", ("16_attention.svg",)),
    # at rate 0.3 one of the forty seeds is borderline: rounding, and so the processor, decides
    "12": (r"0\.30 +(98|100)% +\d+ +0%\n +1\.00 +0% +never +100%\n", ("12_sweep.svg",)),
}
NUMBERED = pytest.mark.parametrize("number", EVIDENCE)


def test_the_path_has_no_gap_and_every_program_is_listed_here():
    numbers = sorted(file.name[:2] for file in EXAMPLES.glob("[0-9]*.py"))
    assert numbers == sorted(EVIDENCE)
    assert [int(number) for number in numbers] == list(range(1, len(numbers) + 1))


@NUMBERED
def test_an_example_is_short_and_says_first_what_one_learns(number):
    text = path(number).read_text(encoding="utf-8")
    assert len(text.splitlines()) < 120
    opening = ast.get_docstring(ast.parse(text))
    assert opening.startswith(f"{number}. ")
    assert "You will learn" in opening
    assert f"python examples/{path(number).name}" in opening


@NUMBERED
@pytest.mark.skipif(not render.available(), reason="needs Graphviz: the extra viz")
def test_an_example_shows_its_evidence_and_its_picture(number, seen):
    _, record = seen(number)
    evidence, pictures = EVIDENCE[number]
    assert re.search(evidence, record["output"]), record["output"]
    assert sorted(record["written"]) == sorted(pictures)
    assert all("<svg" in text for text in record["written"].values())
    assert str(EXAMPLES.parent) not in record["output"], "a path of this machine would stand on the built page"


@pytest.mark.parametrize("number", ["04", "07"])
def test_without_matplotlib_an_example_says_what_to_install(number, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    runpy.run_path(str(path(number)), run_name="__main__")
    assert 'pip install "tinygrad_edu[viz]"' in capsys.readouterr().out
    assert not list(tmp_path.glob("out/*"))

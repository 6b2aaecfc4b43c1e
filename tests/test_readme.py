"""README.md as a landing page: short, its links lead somewhere, its commands exist, its pictures are what it shows."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tinygrad_edu import cli

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
LONGEST = 155  # lines


def test_it_is_short():
    assert len(README.splitlines()) <= LONGEST


@pytest.mark.parametrize("page", ["README.md", "docs/how-to/find-out-why.md"])
def test_a_proof_is_shown_to_its_end(page):
    """How many seeds learn after the one change, and with the control; cut off before them it proves nothing."""
    proofs = re.findall(r"Proof: ([^>`]*?)\n   (?:Remedy|\d)", (ROOT / page).read_text(encoding="utf-8"))
    assert proofs
    assert all(re.search(r"; only .*: +12 of 12;\s+as a control, .*: 0 of 5\.$", each, re.DOTALL) for each in proofs)


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)#]+)", README))))
def test_its_links_and_pictures_are_there(target):
    assert (ROOT / target).is_file()


@pytest.mark.parametrize("target", sorted(set(re.findall(r"`make ([a-z-]+)`", README))))
def test_its_targets_of_make_exist(target):
    assert f"\n{target}:" in (ROOT / "Makefile").read_text(encoding="utf-8")


@pytest.mark.parametrize("command", sorted(set(re.findall(r"tinygrad-edu ([a-z]+)", README))))
def test_its_commands_exist(command, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.parser().parse_args([command, "--help"])
    assert ended.value.code == 0


@pytest.mark.parametrize("module", sorted(set(re.findall(r"`python -m ([a-z.]+)", README))))
def test_its_modules_exist(module):
    assert importlib.util.find_spec(module)


def labels(text):
    """What stands in a picture, without its measures: these differ between versions of Graphviz."""
    return re.findall(r"<text[^>]*>([^<]*)</text>", text)


@pytest.fixture(scope="module")
def pictures():
    """docs/pictures.py, which draws them."""
    spec = importlib.util.spec_from_file_location("pictures", ROOT / "docs" / "pictures.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["animate", "playground"])
def test_a_photograph_shows_the_words_of_today(pictures, name):
    """The fingerprint that was kept with it; `python docs/pictures.py pages` takes it anew."""
    Image = pytest.importorskip("PIL.Image", reason="needs the extra viz")
    with Image.open(pictures.PHOTOGRAPHS / f"{name}.png") as image:
        assert image.text["words"] == pictures.fingerprint(name), f"python {pictures.__file__} pages"


def test_its_pictures_are_those_of_its_programs(pictures):
    pytest.importorskip("pygraphviz", reason="needs the extra viz")
    for file, drawing in pictures.drawings().items():
        assert labels(drawing._repr_svg_()) == labels((ROOT / file).read_text(encoding="utf-8")), (
            f"python {pictures.__file__}"
        )


@pytest.mark.slow
def test_one_run_on_two_ranks(tmp_path):
    pytest.importorskip("mpi4py")
    mpiexec, program = Path(sys.executable).with_name("mpiexec"), ROOT / "examples" / "data_parallel.py"
    command = [str(mpiexec), "-n", "2", sys.executable, str(program)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "2 ranks against one process" in done.stdout

"""The built package: what is in it, and that it runs from an empty environment in another folder."""

import importlib.util
import os
import re
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

import tinygrad_edu

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
EXAMPLES = [path for path in (ROOT / "examples").iterdir() if path.suffix in (".py", ".ipynb", ".svg")]
VERSION = tinygrad_edu.__version__
DATA = {"py.typed", "data/iris.csv", "data/lynx.csv", "cases/rsnns_elman_lynx.json"}


def run(*command, **options):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=600, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder with the source archive and the wheel that is made of it."""
    pytest.importorskip("build", reason="needs the extra test")
    pytest.importorskip("hatchling", reason="needs the extra test")
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT)
    return folder


@pytest.fixture(scope="module")
def wheel(built):
    (found,) = built.glob("*.whl")
    return found


def test_the_wheel_holds_every_file_of_the_package_and_nothing_else(wheel):
    ignored = {"__pycache__"}
    files = [path for path in (ROOT / "tinygrad_edu").rglob("*") if path.is_file() and not ignored & set(path.parts)]
    expected = {path.relative_to(ROOT).as_posix() for path in files}
    expected |= {f"tinygrad_edu-{VERSION}.data/data/share/tinygrad_edu/examples/{path.name}" for path in EXAMPLES}
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert held == expected
    assert {f"tinygrad_edu/{name}" for name in DATA} <= held


def test_the_wheel_says_what_it_is(wheel):
    archive = zipfile.ZipFile(wheel)
    (metadata,) = [archive.read(n).decode() for n in archive.namelist() if n.endswith(".dist-info/METADATA")]
    assert "\nRequires-Python: >=3.11\n" in metadata
    assert "\nLicense-Expression: MIT\n" in metadata
    (entry,) = [archive.read(n).decode() for n in archive.namelist() if n.endswith("entry_points.txt")]
    assert "tinygrad-edu = tinygrad_edu.cli:main" in entry


def test_the_page_of_a_registry_has_no_link_that_leads_nowhere(wheel):
    archive = zipfile.ZipFile(wheel)
    (metadata,) = [archive.read(n).decode() for n in archive.namelist() if n.endswith(".dist-info/METADATA")]
    page = metadata.split("\n\n", 1)[1]
    assert page.startswith("# tinygrad_edu\n")
    assert "the tutorial (`docs/tutorial/index.md`)" in page
    assert not re.findall(r"\]\((?!https://)|<!--|<img|\[[a-z ]+\]:", page)
    said = {word for word in re.findall(r"`([\w/-]+\.(?:md|py))`", page) if "/" in word or word.isupper()}
    assert said
    assert all((ROOT / name).is_file() for name in said)


def test_registries_would_take_them(built, wheel):
    pytest.importorskip("twine", reason="needs the extra test")
    pytest.importorskip("check_wheel_contents", reason="needs the extra test")
    run(sys.executable, "-m", "twine", "check", "--strict", *built.iterdir())
    run(sys.executable, "-m", "check_wheel_contents", wheel)


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """An environment with nothing but the wheel; the libraries that it needs are those of this one."""
    folder = tmp_path_factory.mktemp("environment")
    own_pip = importlib.util.find_spec("pip") is None  # environments made by uv have no pip
    venv.create(folder, with_pip=own_pip)
    scripts = folder / ("Scripts" if os.name == "nt" else "bin")
    python = scripts / "python"
    purelib = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    pip = [python, "-m", "pip"] if own_pip else [sys.executable, "-m", "pip", "--python", python]
    run(*pip, "install", "-qq", "--disable-pip-version-check", "--no-deps", "--no-index", wheel)
    import numpy

    libraries = Path(numpy.__file__).parents[1]
    (purelib / "libraries.pth").write_text(f"{libraries}\n", encoding="utf-8")
    return scripts


def test_demo_and_case_run_from_another_folder(installed, tmp_path):
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    options = {"cwd": tmp_path, "env": environment}
    where = run(installed / "python", "-c", "import tinygrad_edu; print(tinygrad_edu.__file__)", **options)
    # imported from the installation, not from the checkout
    assert str(installed.parent.resolve()) in str(Path(where.strip()).resolve())
    assert "Largest relative difference" in run(installed / "tinygrad-edu", "demo", "--steps", "40", **options)
    assert (tmp_path / "out").is_dir()
    assert "delta_rule" in run(installed / "tinygrad-edu", "case", "delta_rule", "--quick", **options)
    shipped = "from tinygrad_edu import data; print(len(data.iris()[0]), len(data.lynx()), len(data.glyphs(5)[0]))"
    assert run(installed / "python", "-c", shipped, **options).split() == ["150", "114", "5"]
    copied = run(installed / "tinygrad-edu", "examples", "mine", **options)
    assert f"wrote {len([path for path in EXAMPLES if path.suffix != '.svg'])} files into mine" in copied
    assert "chain rule" in (tmp_path / "mine" / "01_chain_rule_by_hand.py").read_text(encoding="utf-8")

"""docs/how-to/symptoms.md: no cause is missing on it, and its curves are those of its program."""

import re

import pytest

from tests.built_site import DOCS, loaded
from tinygrad_edu.clinic.diagnosis.causes.table import BY_CODE, PROVED_OTHERWISE

PAGE = (DOCS / "how-to" / "symptoms.md").read_text(encoding="utf-8")
CURVES = re.findall(r"\(pictures/(curve-\w+\.png)\)", PAGE)


def test_it_names_every_cause_and_no_other():
    advice = [line for line in PAGE.splitlines() if line.startswith("- `")]
    named = {code for line in advice for code in re.findall(r"`(\w+)`", line.partition(":")[0])}
    assert named == {*BY_CODE, *PROVED_OTHERWISE}, "say in docs/how-to/symptoms.md where a new cause shows"


@pytest.mark.parametrize("name", CURVES)
def test_a_curve_is_that_of_the_program(name):
    """`python docs/pictures.py curves` draws them anew."""
    Image = pytest.importorskip("PIL.Image", reason="needs the extra viz")
    pictures = loaded("pictures")
    with Image.open(pictures.PHOTOGRAPHS / name) as image:
        assert image.text["program"] == pictures.fingerprint_of_curves(), f"python {pictures.__file__} curves"


def test_each_of_its_runs_is_shown():
    assert {f"curve-{name}.png" for name in re.findall(r'^\.\.\. +"(\w+)": {', PAGE, re.M)} == {*CURVES}

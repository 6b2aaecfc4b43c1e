"""How the pages look where that follows from a text: what is wrapped, and what is offered."""

import pytest

from tests.browser import resize
from tests.built_site import DOCS, ROOT, loaded

STYLE = (DOCS / "wide.css").read_text(encoding="utf-8")


def test_a_table_that_a_program_prints_keeps_its_lines_on_a_telephone():
    """Wrapped, its last column stood at the left of the next line."""
    ran = loaded("programs").Ran
    table, wide = "step h   slope\n1e-3     1.99", "a  b\n" + 130 * "x"
    for output, kind in {table: "{.text .columns}", "a sentence": "text", wide: "{.text .narrow-columns}"}.items():
        assert f"```{kind}\n" in ran("print()", output, {}).markdown
    assert ".language-text.columns pre > code { white-space: pre;" in STYLE
    assert ".narrow-columns pre > code { white-space: pre;" in STYLE.partition("@media (max-width: 44rem)")[2]


def test_a_page_from_the_disk_offers_no_search():
    """Browsers allow none there, as the start page says; the button for it stayed on a telephone."""
    assert "extra_javascript: [from-disk.js]" in (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert 'classList.add("from-disk")' in (DOCS / "from-disk.js").read_text(encoding="utf-8")
    assert '.from-disk label[for="__search"]' in STYLE


def test_a_comment_follows_its_line_on_a_telephone():
    """Aligned with the comments above it, it was wrapped after its first word."""
    line = 'f(x)      <span class="c1"># why</span>'
    found = loaded("generate").on_page_content(f"<pre>{line}</pre>")
    assert found == '<pre>f(x)<span class="gap">      </span><span class="c1"># why</span></pre>'
    assert ".language-pycon .gap { white-space: normal; }" in STYLE.partition("@media (max-width: 44rem)")[2]


def test_the_help_of_a_command_keeps_its_columns_on_a_telephone():
    page = loaded("generate").on_page_markdown("<!-- generated: commands -->")
    assert page.count("```{.text .columns}\nusage: ") == page.count("usage: ") > 8


def test_the_table_of_speed_is_a_list_on_a_telephone():
    """Its last column, the ratio for which one comes, was beyond the screen."""
    narrow = STYLE.partition("@media (max-width: 44rem)")[2]
    assert "table:not([class]):has(thead th:nth-child(5)) td:nth-child(5) { margin-left: auto; }" in narrow
    head = next(
        line for line in (DOCS / "explanation/speed.md").read_text(encoding="utf-8").splitlines() if line[:1] == "|"
    )
    assert head == "| workload | against | ours | theirs | ratio |"


CUT_OFF = """
  return [...document.querySelectorAll("pre code")].filter(code => code.scrollWidth > code.clientWidth)
    .map(code => code.textContent.split("\\n").sort((a, b) => b.length - a.length)[0]);
"""


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 1440])  # from the second on letters of programs are larger
def test_no_program_is_cut_off_on_a_small_laptop(site, browser, width):
    """Lines have up to 120 characters; the bar that would scroll them is seen only where the pointer is."""
    resize(browser, width)
    cut = {}
    for page in site.rglob("*.html"):
        browser.get(page.as_uri())
        cut |= {line: page.name for line in browser.execute_script(CUT_OFF) if len(line) <= 120}
    assert cut == {}

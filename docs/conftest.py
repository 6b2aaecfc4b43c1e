"""The pages are tests: what a recipe adds to a table is taken out again, and pictures go to a folder of the test."""

from collections.abc import Iterator

import pytest

collect_ignore = [
    "docstrings.py",
    "generate.py",
    "programs.py",
    "registry_page.py",
]  # parts of two builds: of the site, which needs the extra `docs`, and of the wheel, which needs hatchling


@pytest.fixture(autouse=True)
def as_it_was(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    from tinygrad_edu.clinic.diagnosis.causes import table as causes
    from tinygrad_edu.clinic.diagnosis.symptoms.limits import LIMITS
    from tinygrad_edu.clinic.diagnosis.symptoms.symptom import SYMPTOMS
    from tinygrad_edu.clinic.examiner.catalogue import CATALOGUE
    from tinygrad_edu.core.operation import TABLE

    tables = [TABLE, CATALOGUE, causes.BY_CODE, SYMPTOMS, LIMITS]
    before, rows_before = [dict(table) for table in tables], len(causes.CAUSES)
    monkeypatch.chdir(tmp_path_factory.mktemp("page"))
    yield
    for table, rows in zip(tables, before, strict=True):
        for name in table.keys() - rows.keys():
            del table[name]
    del causes.CAUSES[rows_before:]

"""Words of others on the report page are drawn as they are: no formula, no error."""

from dataclasses import replace
from types import ModuleType

from dicomnode.errors import printable
from dicomnode.report.page import ReportHeader, page, page_as_pdf
from parts.hostile import WORDS


def test_a_page_is_drawn_whatever_stands_in_it(example: ModuleType) -> None:
    words = tuple(map(printable, WORDS.values()))
    found = example.findings()
    models = tuple(
        replace(one, name=word, trained_on=word)
        for one, word in zip(found.models, (WORDS["a formula"], " ".join(words)), strict=False)
    )
    header = ReportHeader(facts=" ".join(words), software=WORDS["a formula"])
    for warnings in (words, words[::-1]):
        hostile = replace(found, warnings=warnings, models=models)
        assert page(hostile, header).shape == (1200, 1600, 3)
    assert page_as_pdf(hostile, header).startswith(b"%PDF")

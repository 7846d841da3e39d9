import re

import pytest
from pydicom import Dataset

from dicomnode.dicom.elements import Elements
from dicomnode.dicom.exam.dynamic_range import dynamic_range_db, warn_of_source
from dicomnode.recipe import Recipe

TABLE = {"Acme  Imager 5": 52.0, "Other One": 66.0}


def header(text=None, manufacturer=None, model=None):
    found = Dataset()
    if text is not None:
        found.ProcessingFunction = text
    if manufacturer is not None:
        found.Manufacturer = manufacturer
    if model is not None:
        found.ManufacturerModelName = model
    return Elements(dataset=found, file="a.dcm")


@pytest.mark.parametrize(
    ("text", "settings_db", "expected"),
    [
        ("LOG COMPRESSION 55 dB", None, (55.0, "tag")),
        ("DR 62.5dB; persistence 2", None, (62.5, "tag")),
        ("LOG COMPRESSION 55 dB", 48.0, (48.0, "settings")),
        ("gain 12 dB", None, (60.0, "default")),
        ("", None, (60.0, "default")),
        (None, None, (60.0, "default")),
    ],
)
def test_settings_win_over_the_tag_and_the_tag_over_the_default(text, settings_db, expected):
    assert dynamic_range_db(header(text), settings_db) == expected


@pytest.mark.parametrize(
    ("found", "settings_db", "expected"),
    [
        (header(None, "ACME", "Imager 5 "), None, (52.0, "vendor")),
        (header("gain 12 dB", "acme imager", "5"), None, (52.0, "vendor")),
        (header("DR 55 dB", "ACME", "Imager 5"), None, (55.0, "tag")),
        (header(None, "ACME", "Imager 5"), 48.0, (48.0, "settings")),
        (header(None, "ACME", "Imager 55"), None, (60.0, "default")),
        (header(None, "ACME"), None, (60.0, "default")),
        (header(), None, (60.0, "default")),
    ],
)
def test_the_sites_table_of_scanners_comes_after_the_tag(found, settings_db, expected):
    assert dynamic_range_db(found, settings_db, TABLE) == expected


@pytest.mark.parametrize(
    ("settings_db", "by_model", "said"),
    [
        (600.0, {}, "dynamic_range_db: expected 30 to 100 dB, found 600"),
        (float("nan"), {}, "dynamic_range_db: expected 30 to 100 dB, found nan"),
        (None, {"A B": 5.0}, "dynamic_range_by_model: 'A B': expected 30 to 100 dB, found 5"),
        (None, {" ": 60.0}, 'expected a scanner as in its headers, "Manufacturer Model", found'),
        (None, {"A B": 60.0, "a  b": 50.0}, "expected each scanner once, found 'a  b'"),
    ],
)
def test_what_no_scanner_has_is_refused(settings_db, by_model, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        Recipe(dynamic_range_db=settings_db, dynamic_range_by_model=by_model)


def test_a_sound_statement_is_accepted():
    Recipe(dynamic_range_db=60.0, dynamic_range_by_model=TABLE)


def test_an_assumed_range_is_told_in_the_words_of_a_reader():
    (said,) = warn_of_source(header(None, "ACME", "Imager 5"), "default")
    assert "60 dB are assumed" in said
    assert "'ACME Imager 5' is not known" in said
    assert "dynamic_range" not in said
    assert warn_of_source(header(), "vendor") == ()

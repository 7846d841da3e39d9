import pytest
from pydicom import Dataset

from dicomnode.dicom.exam.dynamic_range import dynamic_range_db


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
    header = Dataset()
    if text is not None:
        header.ProcessingFunction = text
    assert dynamic_range_db(header, settings_db) == expected

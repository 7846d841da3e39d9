"""An element is read as what it must be, or refused with its name."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.tag import Tag

from dicomnode.dicom.elements import Elements, tag_text
from dicomnode.errors import InputError


def stored(keyword: str, vr: str, content: bytes) -> Elements:
    """An element as it lies in a file."""
    dataset = Dataset()
    tag = Tag(keyword)
    raw = RawDataElement(tag, vr, len(content), content, 0, False, True)
    dataset._dict[tag] = raw
    return Elements(dataset=dataset, file="a.dcm")


def made(keyword: str, vr: str, value: object) -> Elements:
    dataset = Dataset()
    dataset[keyword] = DataElement(Tag(keyword), vr, value)
    return Elements(dataset=dataset, file="a.dcm")


def interval(elements: Elements) -> float:
    return elements.number("FrameTime", 0.5, 60_000, "ms")


def count(elements: Elements) -> int:
    return elements.whole("NumberOfFrames", 1, 2**31 - 1)


INTERVALS = {
    "text": (b"66.7", "66.7"),
    "blanks around it": (b" 66.7 ", "66.7"),
    "a zero byte behind it": (b"66.7\0", "66.7"),
    "an exponent": (b"6.67E+1 ", "66.7"),
    "a sign": (b"+66.7 ", "66.7"),
}
NO_INTERVALS = {
    "empty": (b"", "none"),
    "blank": (b"  ", "none"),
    "two values": (b"66\\66 ", "2 values"),
    "one and an empty one": (b"66\\", "2 values"),
    "digits of another alphabet": (b"1\xf3", r"'1\\xf3'"),
    "superscript": (b"6\xb2", r"'6\\xb2'"),
    "grouped digits": (b"1_0 ", "1_0"),
    "no number": (b"nan ", "nan"),
    "infinite": (b"inf ", "inf"),
    "overflowing": (b"1e999 ", "1e999"),
    "zero": (b"0 ", "0"),
    "negative": (b"-66.7 ", "-66.7"),
    "huge": (b"66700000", "66700000"),
    "a comma": (b"66,7", "'66,7'"),
    "hexadecimal": (b"0x42", "'0x42'"),
    "a name": (b"Doe^Jane", "other text"),
    "a long text": (b"66.7 ms between two frames", "other text"),
}


@pytest.mark.parametrize("case", INTERVALS)
def test_a_number_is_read_however_it_is_padded(case: str) -> None:
    content, expected = INTERVALS[case]
    assert interval(stored("FrameTime", "DS", content)) == float(expected)


@pytest.mark.parametrize("case", NO_INTERVALS)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_what_is_no_number_in_its_range_is_refused_with_file_tag_and_finding(case: str) -> None:
    content, found = NO_INTERVALS[case]
    one = "one value, " if found.endswith(" values") else ""
    expected = (
        rf"^a\.dcm: FrameTime \(0018,1063\): expected {one}0\.5 to 60000 ms, "
        rf"found {found}$"
    )
    with pytest.raises(InputError, match=expected) as caught:
        interval(stored("FrameTime", "DS", content))
    assert caught.value.code == "bad-element"


@pytest.mark.parametrize(
    ("vr", "value", "found"),
    [
        ("SQ", [Dataset()], "a sequence"),
        ("SQ", [], "none"),
        ("OB", b"66.7", "'66.7'"),
        ("OB", b"\xff\xfe", "other text"),
        ("PN", "Doe^Jane", "other text"),
        ("FD", [66.7, 66.7], "2 values"),
        ("FD", float("nan"), "nan"),
        ("US", 0, "0"),
    ],
)
def test_another_kind_of_value_is_refused(vr: str, value: object, found: str) -> None:
    with pytest.raises(InputError, match=f"found {found}$"):
        interval(made("FrameTime", vr, value))


@pytest.mark.parametrize(("vr", "value"), [("FD", 66.7), ("LO", "66.7"), ("FD", [66.7])])
def test_the_same_number_in_another_representation_is_read(vr: str, value: object) -> None:
    assert interval(made("FrameTime", vr, value)) == pytest.approx(66.7)


@pytest.mark.parametrize(
    ("content", "found"),
    [(b"1.5 ", "1.5"), (b"0 ", "0"), (b"-3", "-3"), (b"99999999999 ", "99999999999")],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_whole_number_is_whole_and_in_range(content: bytes, found: str) -> None:
    expected = "a whole number" if "." in found else "at least 1"
    with pytest.raises(InputError, match=f"expected {expected}, found {found}$"):
        count(stored("NumberOfFrames", "IS", content))


def test_an_absent_element_is_none() -> None:
    nothing = Elements(dataset=Dataset(), file="a.dcm")
    assert not nothing.states("FrameTime")
    assert nothing.text("PatientID") == nothing.words("Manufacturer") == ""
    assert list(nothing.numbers("FrameTimeVector")) == list(nothing.items("SourceImageSequence"))
    with pytest.raises(InputError, match=r"found none$"):
        nothing.uid("SOPInstanceUID")


def test_an_item_is_named_by_sequence_and_number() -> None:
    item = Dataset()
    item.PhysicalDeltaX = [0.1, 0.1]
    regions = made("SequenceOfUltrasoundRegions", "SQ", [Dataset(), item])
    (_, second) = regions.items("SequenceOfUltrasoundRegions")
    where = r"SequenceOfUltrasoundRegions \(0018,6011\), item 2, PhysicalDeltaX \(0018,602C\)"
    with pytest.raises(
        InputError, match=f"^a.dcm: {where}: expected one value, 0 to 1 cm, found 2 values$"
    ):
        second.number("PhysicalDeltaX", 0, 1, "cm")


Reader = Callable[[Elements], object]
READERS: dict[str, Reader] = {
    "number": interval,
    "whole": lambda elements: elements.whole("FrameTime", 1, 9),
    "numbers": lambda elements: elements.numbers("FrameTime"),
    "text": lambda elements: elements.text("FrameTime"),
    "uid": lambda elements: elements.uid("FrameTime"),
    "words": lambda elements: elements.words("FrameTime"),
    "tags": lambda elements: elements.tags("FrameTime"),
    "items": lambda elements: list(elements.items("FrameTime")),
}
VALUES = st.one_of(
    st.none(),
    st.text(max_size=20),
    st.binary(max_size=20),
    st.floats(),
    st.integers(),
    st.lists(st.text(max_size=3), max_size=3),
    st.lists(st.floats(), max_size=3),
    st.just([Dataset()]),
)


@pytest.mark.parametrize("reader", READERS)
@given(value=VALUES)
def test_whatever_is_there_is_read_or_refused_by_name(reader: str, value: object) -> None:
    dataset = Dataset()
    element = DataElement(Tag("FrameTime"), "OB", b"")
    element._value = value  # what a reader of files may come up with
    dataset[element.tag] = element
    complaint = ""
    try:
        READERS[reader](Elements(dataset=dataset, file="a.dcm"))
    except InputError as error:
        complaint = str(error)
    assert not complaint or complaint.startswith(f"a.dcm: {tag_text('FrameTime')}: expected ")

"""Text whose bytes are not what SpecificCharacterSet says: kept as it came, and told.

pydicom puts U+FFFD in place of bytes that it cannot decode. Here they are read byte for byte
instead, as ISO_IR 100, so that a result carries the same bytes under that character set, or the
same letters as UTF-8 where other text of the header does not fit it (PS3.3 C.12.1.1.2).
"""

from collections.abc import Iterator

from pydicom import Dataset
from pydicom.charset import python_encoding
from pydicom.dataelem import DataElement
from pydicom.multival import MultiValue

from dicomnode.dicom.elements import Elements, tag_text

__all__ = ["TEXT", "Misread", "declare_text", "is_beyond", "read_byte_for_byte"]

LATIN_1 = "ISO_IR 100"
UTF_8 = "ISO_IR 192"
TEXT = ("LO", "LT", "PN", "SH", "ST", "UC", "UT")
"""Value representations in the declared character set (PS3.5 6.1.2.3)."""
DEFAULT = (None, "", "ISO_IR 6")
"""Without a character set text is in ISO 646, whose bytes are below 128 (PS3.5 6.1.2.2)."""
KEYWORD = "SpecificCharacterSet"

Misread = tuple[Dataset, DataElement]
"""The dataset whose character set holds, and an element that is not in it."""


def is_beyond(owner: Dataset, content: bytes) -> bool:
    """Whether bytes are none of the default repertoire, ISO 646, where that is what holds."""
    return owner.get(KEYWORD) in DEFAULT and not content.isascii()


def read_byte_for_byte(element: DataElement, content: bytes) -> None:
    """Undo a decoding that has lost bytes."""
    text = content.decode("latin-1").rstrip(" \0")
    one_value = element.VR in ("LT", "ST", "UT") or "\\" not in text
    element.value = text if one_value else text.split("\\")


def declare_text(dataset: Dataset, misread: list[Misread], file: str) -> Iterator[str]:
    """Declare a character set in which all text can be written as it was read; say so."""
    yield from _unknown(dataset, file)
    declared = {id(owner): _stated(owner, file) for owner, _ in misread}
    for owner in {id(owner): owner for owner, _ in misread}.values():
        setattr(owner, KEYWORD, LATIN_1 if _fits_latin_1(owner) else UTF_8)
    for owner, element in misread:
        name = tag_text(element.keyword) if element.keyword else str(element.tag)
        stated = declared[id(owner)] or "ISO 646"
        yield (
            f"{name}: expected text in {stated}, as {tag_text(KEYWORD)} states, found bytes that "
            f"are none: carried on as they came, as {getattr(owner, KEYWORD)}; "
            "the text may be wrong"
        )


def _unknown(dataset: Dataset, file: str) -> Iterator[str]:
    """Text in an unknown character set was read byte for byte: carry it on as UTF-8."""
    stated = _stated(dataset, file)
    if all(name in python_encoding for name in stated.split("\\")):
        return
    setattr(dataset, KEYWORD, UTF_8)
    yield (
        f"{tag_text(KEYWORD)}: expected a defined term (PS3.3 C.12.1.1.2), found {stated!r}; text "
        "may be wrong"
    )


def _stated(dataset: Dataset, file: str) -> str:
    return Elements(dataset=dataset, file=file).words(KEYWORD)


def _text(element: DataElement) -> str:
    value = element.value
    each = value if isinstance(value, MultiValue) else [value]
    return "\\".join(map(str, each))


def _fits_latin_1(dataset: Dataset) -> bool:
    """Whether all text under a dataset's character set could be written in ISO_IR 100."""
    for element in dataset:
        if element.VR == "SQ":
            inheriting = [item for item in element.value if KEYWORD not in item]
            if not all(map(_fits_latin_1, inheriting)):
                return False
        elif element.VR in TEXT:
            try:
                _text(element).encode("latin-1")
            except UnicodeEncodeError:
                return False
    return True

"""A source's header as results may copy from it: every element of its own kind."""

from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.valuerep import PersonName

from dicomnode.dicom.elements import number_of

__all__ = ["fitting"]

TEXT = frozenset("AE AS CS DA DT LO LT PN SH ST TM UC UI UR UT".split())  # noqa: SIM905
DECIMAL = frozenset(("DS", "IS"))
WHOLE = frozenset(["SL", "SS", "SV", "UL", "US", "UV"])
REAL = frozenset(("FD", "FL"))
NUMBERS = DECIMAL | WHOLE | REAL


def fitting(dataset: Dataset) -> Dataset:
    """Return the dataset without what is of another value representation than PS3.6 gives it.

    A sequence where a name should be would make each result as broken as its source. A single
    text or number that was only labelled wrongly is labelled rightly.
    """
    made = Dataset()
    if hasattr(dataset, "file_meta"):
        made.file_meta = dataset.file_meta
    for element in dataset:
        fits = _fitting(element)
        if fits is not None:
            made[element.tag] = fits
    return made


def _fitting(element: DataElement) -> DataElement | None:
    if not dictionary_has_tag(element.tag):
        return element
    own = dictionary_VR(element.tag).split(" or ")
    if element.VR == "SQ" and "SQ" in own:
        return DataElement(element.tag, "SQ", [fitting(item) for item in element.value])
    if element.VR in own:
        return element if _holds(element) else None
    value = _as(own[0], element.value)
    return None if value is None else DataElement(element.tag, own[0], value)


def _holds(element: DataElement) -> bool:
    """Whether an element of numbers holds numbers: pydicom leaves text that is none as it is."""
    if element.VR not in NUMBERS or element.is_empty:
        return True
    each = element.value if element.VM > 1 else [element.value]
    return all(number_of(one) is not None for one in each)


def _as(vr: str, value: object) -> str | int | float | None:
    """A value as this representation has it, or None."""
    number = number_of(value)
    if vr in TEXT and isinstance(value, (str, PersonName)):
        return str(value)
    if vr in DECIMAL and number is not None:
        return f"{number:.12g}"
    if vr in WHOLE and number is not None and number.is_integer() and number >= 0:
        return int(number)
    return number if vr in REAL else None

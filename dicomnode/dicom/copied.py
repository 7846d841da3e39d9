"""Copies of the source's elements in a result, mended where they would make it invalid."""

from copy import deepcopy
from datetime import datetime, tzinfo

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from dicomnode.dicom.modules import PATIENT_AND_STUDY, TYPE_2, item_needs

__all__ = ["copy_element", "copy_patient_and_study", "mended", "time_zone"]


def copy_patient_and_study(dataset: Dataset, header: Dataset) -> None:
    """Write the source's patient and study into a result; what it does not say is left empty."""
    for keyword in PATIENT_AND_STUDY:
        copy_element(keyword, header, dataset)
    if time_zone(header) is None and "TimezoneOffsetFromUTC" in dataset:
        del dataset.TimezoneOffsetFromUTC
    for keyword in TYPE_2:
        if keyword not in dataset:
            setattr(dataset, keyword, None)


def copy_element(keyword: str, header: Dataset, dataset: Dataset) -> None:
    """Write an element of the source into a result, or take it out where there is nothing."""
    element = mended(header, keyword)
    if element is not None:
        dataset[keyword] = element
    elif keyword in dataset:
        del dataset[keyword]


def mended(header: Dataset, keyword: str) -> DataElement | None:
    """Return a copy of an element, of a sequence only what says something; None if that is nothing.

    PS3.3 gives each of these sequences one or more items; one without, or with items that lack
    what they must have, would make the result as invalid as its source.
    """
    if keyword not in header:
        return None
    element = deepcopy(header[keyword])
    if element.VR == "SQ":
        _mend(element)
        if not element.value:
            return None
    return element


def _mend(sequence: DataElement) -> None:
    """Take out empty elements (none of an item is of type 2), then items without what they need."""
    for item in sequence.value:
        for element in list(item):
            if element.VR == "SQ":
                _mend(element)
            if element.is_empty or (element.VR == "SQ" and not element.value):
                del item[element.tag]
    needed = item_needs(sequence.keyword)
    sequence.value = [
        item
        for item in sequence.value
        if len(item) and all(any(item.get(keyword) for keyword in some) for some in needed)
    ]


def time_zone(header: Dataset) -> tzinfo | None:
    """Return the zone that the source states, or None where it states none that exists."""
    try:
        return datetime.strptime(str(header.get("TimezoneOffsetFromUTC") or ""), "%z").tzinfo
    except ValueError:
        return None

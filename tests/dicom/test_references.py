"""Sources of every class a clip comes in, those retired too, are referenced as what they are."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from types import ModuleType

import pytest
from pydicom.dataset import Dataset

from dicomnode.dicom.exam.clip import ULTRASOUND
from dicomnode.dicom.results.seg import segmentation
from dicomnode.dicom.results.sr import report


def classes(dataset: Dataset, uid: str) -> Iterator[str]:
    """Classes by which a dataset refers to an instance, at any depth."""
    for element in dataset.iterall():
        if element.VR == "SQ":
            for item in element.value:
                if item.get("ReferencedSOPInstanceUID") == uid:
                    yield str(item.ReferencedSOPClassUID)


@pytest.mark.parametrize("sop_class", ULTRASOUND)
def test_a_source_is_referenced_by_its_own_class(
    example: ModuleType, judged: Callable[[str, Dataset], list[str]], sop_class: str
) -> None:
    header, found = example.header(), example.findings()
    header.SOPClassUID = sop_class
    exam = example.exam()
    exam = replace(exam, clips=(replace(exam.clips[0], header=header),))
    context = replace(example.context(), sources=(header,))
    seg = segmentation(exam, found, context)
    sr = report(exam, found, context, seg)
    for dataset, least in ((seg, len(seg.SegmentSequence) + 1), (sr, 3)):
        told = list(classes(dataset, header.SOPInstanceUID))
        assert len(told) >= least
        assert set(told) == {sop_class}
    shared = seg.SharedFunctionalGroupsSequence[0]
    assert shared.PixelMeasuresSequence[0].PixelSpacing == list(found.spacing_mm)
    assert judged("dsrdump", sr) == []

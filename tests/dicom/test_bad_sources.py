"""Sources that say too little, or nonsense: results are valid all the same and invent nothing."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import UID

from conformance import example
from dicomnode.dicom import codes
from parts.accepted import unexpected
from parts.outputs import Files, small_set
from parts.sources import UNSAID, contradicts_its_side, empties

Judge = Callable[[str, Dataset | Path], list[str]]
Change = Callable[[Dataset], None]

OPTIONAL = (
    "ReferencedPatientSequence",
    "OtherPatientIDsSequence",
    "ReferencedStudySequence",
    "ProcedureCodeSequence",
    "ReasonForPerformedProcedureCodeSequence",
    "IssuerOfAccessionNumberSequence",
    "PhysiciansOfRecordIdentificationSequence",
    "RequestAttributesSequence",
    "AnatomicRegionSequence",
)
LATERALITY = "272741003"


def says_nothing(header: Dataset) -> None:
    for keyword in (*UNSAID, "Manufacturer", "SeriesNumber", "Modality", "SeriesDescription"):
        del header[keyword]


def adds_private_elements(header: Dataset) -> None:
    block = header.private_block(0x0029, "ACME 1.0", create=True)
    block.add_new(1, "LO", "private")
    block.add_new(2, "SQ", [Dataset()])
    block.add_new(3, "UN", b"\xfe\xff\x00")


def empties_sequences(header: Dataset) -> None:
    for keyword in OPTIONAL:
        setattr(header, keyword, Sequence())


def empties_items(header: Dataset) -> None:
    for keyword in OPTIONAL:
        setattr(header, keyword, [Dataset()])


def breaks_items(header: Dataset) -> None:
    header.ProcedureCodeSequence = [item(CodeMeaning="Mamma")]
    header.ReferencedStudySequence = [item(ReferencedSOPInstanceUID="1.2.3")]
    header.OtherPatientIDsSequence = [item(PatientID="OTHER-1")]
    header.IssuerOfAccessionNumberSequence = [item(UniversalEntityIDType="ISO")]
    request = header.RequestAttributesSequence[0]
    request.RequestedProcedureCodeSequence = [item(CodeMeaning="Mamma")]


def empties_requests(header: Dataset) -> None:
    request = header.RequestAttributesSequence[0]
    request.RequestedProcedureID = request.ScheduledProcedureStepID = None
    request.RequestedProcedureCodeSequence = Sequence()


def states_no_time_zone(header: Dataset) -> None:
    header.TimezoneOffsetFromUTC = "CEST"


def states_an_impossible_time_zone(header: Dataset) -> None:
    header.TimezoneOffsetFromUTC = "+9900"


def states_no_side(header: Dataset) -> None:
    del header.Laterality


def states_both_sides(header: Dataset) -> None:
    header.Laterality = "B"


def contradicts_its_side_with_both(header: Dataset) -> None:
    header.ImageLaterality = "B"


def contradicts_its_side_in_the_anatomy(header: Dataset) -> None:
    header.AnatomicRegionSequence = [breast("R")]


def names_two_breasts(header: Dataset) -> None:
    del header.Laterality
    header.AnatomicRegionSequence = [breast("L"), breast("R")]


def has_long_uids(header: Dataset) -> None:
    for number, keyword in enumerate(("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")):
        setattr(header, keyword, f"2.25.{'9' * 58}{number}")


def item(**elements: str) -> Dataset:
    made = Dataset()
    for keyword, value in elements.items():
        setattr(made, keyword, value)
    return made


def breast(side: str) -> Dataset:
    region = codes.code_item(codes.BREAST)
    region.AnatomicRegionModifierSequence = [codes.code_item(codes.LATERALITY[side])]
    return region


SIDELESS = (
    states_no_side,
    states_both_sides,
    contradicts_its_side,
    contradicts_its_side_with_both,
    contradicts_its_side_in_the_anatomy,
    names_two_breasts,
)
OTHERS = (
    says_nothing,
    empties,
    adds_private_elements,
    empties_sequences,
    empties_items,
    breaks_items,
    empties_requests,
    states_no_time_zone,
    states_an_impossible_time_zone,
    has_long_uids,
)


class Results:
    """Outputs of changed sources, each made once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: dict[Change, Files] = {}

    def files(self, change: Change) -> Files:
        if change not in self._made:
            folder = self._folder / str(len(self._made))
            folder.mkdir()
            header = example.header()
            change(header)
            self._made[change] = small_set(folder, header)
        return self._made[change]

    def datasets(self, change: Change) -> dict[str, Dataset]:
        return {kind: dcmread(path) for kind, path in self.files(change).items()}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return Results(tmp_path_factory.mktemp("results"))


def content(report: Dataset) -> Iterator[Dataset]:
    for child in report.get("ContentSequence", ()):
        yield child
        yield from content(child)


@pytest.mark.parametrize("change", [*SIDELESS, *OTHERS])
def test_results_are_valid(change: Change, results: Results, judged: Judge) -> None:
    for kind, path in results.files(change).items():
        assert unexpected("dciodvfy", judged("dciodvfy", path)) == []
        if kind in ("sr", "refusal"):
            assert judged("dsrdump", path) == []


@pytest.mark.parametrize("change", [says_nothing, empties])
def test_what_the_source_does_not_say_is_empty(change: Change, results: Results) -> None:
    for dataset in results.datasets(change).values():
        assert [keyword for keyword in UNSAID if dataset[keyword].value] == []


def test_private_elements_are_not_carried_on(results: Results) -> None:
    for dataset in results.datasets(adds_private_elements).values():
        assert [element for element in dataset.iterall() if element.tag.is_private] == []


@pytest.mark.parametrize("change", [empties_sequences, empties_items])
def test_sequences_without_content_are_absent(change: Change, results: Results) -> None:
    for dataset in results.datasets(change).values():
        assert [keyword for keyword in OPTIONAL if keyword in dataset] == []


def test_items_that_say_enough_are_kept_as_they_are(results: Results) -> None:
    code = codes.code_item(codes.IMAGING_PROCEDURE)
    code.CodingSchemeVersion = "2025"
    other = item(PatientID="OTHER-1", TypeOfPatientID="TEXT")

    def adds(header: Dataset) -> None:
        breaks_items(header)
        header.ProcedureCodeSequence.append(deepcopy(code))
        header.OtherPatientIDsSequence.append(deepcopy(other))

    for dataset in results.datasets(adds).values():
        assert list(dataset.ProcedureCodeSequence) == [code]
        assert list(dataset.OtherPatientIDsSequence) == [other]
        assert "ReferencedStudySequence" not in dataset


@pytest.mark.parametrize("change", [states_no_time_zone, states_an_impossible_time_zone])
def test_a_time_zone_that_does_not_exist_is_absent(change: Change, results: Results) -> None:
    for dataset in results.datasets(change).values():
        assert "TimezoneOffsetFromUTC" not in dataset
        assert (dataset.ContentDate, dataset.ContentTime) == ("20250102", "110000")


def sides(made: dict[str, Dataset]) -> dict[str, object]:
    """The side that each kind of output states, None where it states none."""
    found: dict[str, object] = {
        kind: made[kind].Laterality or None for kind in ("overlay", "keyframe", "report")
    }
    region = made["seg"].SegmentSequence[0].AnatomicRegionSequence[0]
    modifiers = region.get("AnatomicRegionModifierSequence", ())
    found["seg"] = modifiers[0].CodeMeaning[0] if modifiers else None
    stated = {
        child.ConceptCodeSequence[0].CodeMeaning[0]
        for child in content(made["sr"])
        if child.ValueType == "CODE" and child.ConceptNameCodeSequence[0].CodeValue == LATERALITY
    }
    found["sr"] = stated.pop() if stated else None
    assert not stated
    return found


def states_the_right_side(header: Dataset) -> None:
    header.Laterality = header.ImageLaterality = "R"


def test_a_side_that_is_known_is_in_every_result(results: Results) -> None:
    assert set(sides(results.datasets(states_the_right_side)).values()) == {"R"}


@pytest.mark.parametrize("change", SIDELESS)
def test_a_side_that_is_not_known_is_in_none(change: Change, results: Results) -> None:
    assert set(sides(results.datasets(change)).values()) == {None}


def test_long_uids_are_copied_and_those_made_from_them_fit(results: Results) -> None:
    for dataset in results.datasets(has_long_uids).values():
        assert len(dataset.StudyInstanceUID) == 64
        uids = [str(element.value) for element in dataset.iterall() if element.VR == "UI"]
        assert [uid for uid in uids if not UID(uid).is_valid] == []
        assert f"2.25.{'9' * 58}0" in uids

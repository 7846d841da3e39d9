"""What all results share: identity without a clock, patient and study unchanged."""

from dataclasses import replace
from datetime import timedelta
from io import BytesIO
from types import ModuleType

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from dicomnode.dicom import codes
from dicomnode.dicom.context import Context, derived_uid, exam_context, laterality, stamp
from dicomnode.errors import OutputError
from dicomnode.kinds import KINDS

SC = "1.2.840.10008.5.1.4.1.1.7"


def stamped(context: Context) -> Dataset:
    dataset = Dataset()
    stamp(dataset, context, "report", SC)
    return dataset


def read_back(dataset: Dataset) -> Dataset:
    file = BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    file.seek(0)
    return pydicom.dcmread(file)


@given(st.lists(st.text(), max_size=5))
def test_a_derived_uid_is_valid_and_always_the_same(parts: list[str]) -> None:
    uid = derived_uid(*parts)
    assert uid.is_valid
    assert uid.startswith("2.25.")
    assert uid == derived_uid(*parts)


def test_parts_are_kept_apart() -> None:
    assert derived_uid("ab", "c") != derived_uid("a", "bc")


def test_uids_do_not_depend_on_the_clock(example: ModuleType) -> None:
    first = example.context()
    later = replace(first, when=first.when + timedelta(days=3))
    assert first.instance_uid("seg") == later.instance_uid("seg")
    assert stamped(first).SeriesInstanceUID == stamped(later).SeriesInstanceUID


def test_another_model_recipe_or_injection_gives_other_uids(example: ModuleType) -> None:
    exam, models, when = example.exam(), example.models(), example.context().when
    changed = (replace(models[0], sha256="0" * 64), *models[1:])
    read_otherwise = (replace(models[0], manifest_sha256="0" * 64), *models[1:])
    contexts = [
        exam_context(exam, models=models, recipe="recipe 1", when=when),
        exam_context(exam, models=changed, recipe="recipe 1", when=when),
        exam_context(exam, models=read_otherwise, recipe="recipe 1", when=when),
        exam_context(exam, models=models, recipe="recipe 2", when=when),
        exam_context(replace(exam, injection=2), models=models, recipe="recipe 1", when=when),
    ]
    assert len({context.instance_uid("seg") for context in contexts}) == 5


def test_every_kind_is_a_series_of_its_own(example: ModuleType) -> None:
    context = example.context()
    assert len({context.series_uid(kind) for kind in KINDS}) == len(KINDS)
    assert len({context.instance_uid(kind) for kind in KINDS}) == len(KINDS)
    numbers = {kind.number for kind in KINDS.values()}
    assert len(numbers) == len(KINDS)
    assert max(numbers) <= 10, "else it is a number of the next injection"


@pytest.mark.parametrize(
    ("character_set", "name"),
    [
        ("ISO_IR 100", "Müller^Änne"),
        ("ISO_IR 192", "Łukasiewicz^Zoë"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        (None, "Plain^Name"),
    ],
)
def test_patient_and_study_are_copied_unchanged(
    example: ModuleType, character_set: str | list[str] | None, name: str
) -> None:
    header = example.header()
    header.SpecificCharacterSet = character_set
    header.PatientName = name
    for keyword in ("ReferringPhysicianName", "StudyDescription", "RequestAttributesSequence"):
        del header[keyword]
    context = replace(example.context(), sources=(header,))
    back = read_back(stamped(context))
    assert str(back.PatientName) == name
    assert back.SpecificCharacterSet == (character_set or "")
    for keyword in ("PatientID", "PatientBirthDate", "StudyInstanceUID", "AccessionNumber"):
        assert back[keyword].value == header[keyword].value


def test_the_source_is_not_changed(example: ModuleType) -> None:
    header = example.header()
    before = header.to_json()
    dataset = stamped(replace(example.context(), sources=(header,)))
    dataset.RequestAttributesSequence[0].RequestedProcedureID = "changed"
    dataset.PatientName = "changed"
    assert header.to_json() == before


def test_a_source_without_type_2_elements_gives_empty_ones(example: ModuleType) -> None:
    header = example.header()
    for keyword in ("PatientBirthDate", "StudyID", "AccessionNumber"):
        del header[keyword]
    dataset = stamped(replace(example.context(), sources=(header,)))
    assert dataset["PatientBirthDate"].is_empty
    assert dataset["StudyID"].is_empty


def test_the_time_is_told_on_the_clock_of_the_source(example: ModuleType) -> None:
    header = example.header()
    header.TimezoneOffsetFromUTC = "+0530"
    dataset = stamped(replace(example.context(), sources=(header,)))
    assert (dataset.ContentDate, dataset.ContentTime) == ("20250102", "163000")


def test_a_side_is_told_but_never_guessed() -> None:
    nothing, told, coded = Dataset(), Dataset(), Dataset()
    told.ImageLaterality = "R"
    region = codes.code_item(codes.BREAST)
    region.AnatomicRegionModifierSequence = [codes.code_item(codes.LATERALITY["L"])]
    coded.AnatomicRegionSequence = [region]
    assert [laterality(ds) for ds in (nothing, told, coded)] == [None, "R", "L"]


def test_no_source_is_an_error(example: ModuleType) -> None:
    with pytest.raises(OutputError, match="at least one source instance"):
        replace(example.context(), sources=())


@given(st.text(max_size=80))
def test_plain_text_fits_any_character_set(text: str) -> None:
    assert codes.plain(text).isascii()
    assert len(codes.plain(text, 64)) <= 64
    assert "\\" not in codes.plain(text)


@given(st.text(min_size=1, max_size=60), st.text(min_size=1, max_size=90))
def test_private_codes_fit_their_elements(name: str, meaning: str) -> None:
    code = codes.private(name, meaning)
    assert 0 < len(code.value) <= 16
    assert len(code.meaning) <= 64
    assert code == codes.private(name, meaning)

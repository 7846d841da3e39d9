import hashlib
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread

from dicomnode.errors import InputError, StoreError
from dicomnode.store.spool import Spool, dataset_sha256

STUDY = "1.2.826.0.1.1"


@pytest.fixture
def spool(tmp_path) -> Spool:
    return Spool(tmp_path / "spool")


def keep(spool, path, uid="1.2.3.4"):
    received = spool.incoming / "tmp.dcm"
    shutil.copy(path, received)
    return spool.keep(received, study_uid=STUDY, sop_instance_uid=uid)


def test_a_kept_file_is_the_received_one_and_readable(spool, dicom_file):
    path = dicom_file("a.dcm", comment="hello")
    stored = keep(spool, path)
    kept = spool.absolute(stored.path)
    assert kept.read_bytes() == path.read_bytes()
    assert dcmread(kept).ImageComments == "hello"
    assert stored.size_bytes == path.stat().st_size
    assert not list(spool.incoming.iterdir())


def test_the_hash_is_that_of_the_dataset_bytes(dicom_file):
    path = dicom_file("a.dcm")
    meta_length = dcmread(path).file_meta.FileMetaInformationGroupLength
    dataset = path.read_bytes()[144 + meta_length :]
    assert dataset_sha256(path) == hashlib.sha256(dataset).hexdigest()


def test_another_toolkits_file_meta_is_the_same_instance(spool, dicom_file):
    first = keep(spool, dicom_file("a.dcm", toolkit="ONE"))
    second = keep(spool, dicom_file("b.dcm", toolkit="ANOTHER_LONGER"))
    assert (first.sha256, first.path) == (second.sha256, second.path)


def test_other_bytes_under_one_uid_lie_beside_the_first(spool, dicom_file):
    first = keep(spool, dicom_file("a.dcm", comment="one"))
    second = keep(spool, dicom_file("b.dcm", comment="two"))
    assert first.path != second.path
    assert dcmread(spool.absolute(first.path)).ImageComments == "one"
    assert dcmread(spool.absolute(second.path)).ImageComments == "two"


@pytest.mark.parametrize(
    "uid",
    ["../../x", "1.2/../../x", "/etc/passwd", "", ".", "..", "1..2", "1.2\n", "1.2\0", "1" * 65],
)
def test_a_uid_that_is_a_path_is_refused(spool, dicom_file, uid):
    path = dicom_file("a.dcm")
    for uids in (
        {"study_uid": uid, "sop_instance_uid": "1.2"},
        {"study_uid": "1.2", "sop_instance_uid": uid},
    ):
        with pytest.raises(InputError, match="expected a UID of digits and dots"):
            spool.keep(path, **uids)
    assert path.exists()
    assert not list(spool.objects.iterdir())


@given(uid=st.text(max_size=80))
def test_no_text_leaves_the_objects_directory(tmp_path_factory, uid):
    spool = Spool(tmp_path_factory.mktemp("spool"))
    received = spool.incoming / "tmp.dcm"
    received.write_bytes(bytes(128) + b"DICM\x02\x00\x00\x00UL\x04\x00" + bytes(4) + b"data")
    try:
        stored = spool.keep(received, study_uid=uid, sop_instance_uid=uid)
    except InputError:
        assert received.exists()
    else:
        assert spool.absolute(stored.path).resolve().is_relative_to(spool.objects)


def test_what_is_not_dicom_is_refused(spool, tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"GIF89a" * 100)
    with pytest.raises(InputError, match="expected a DICOM file"):
        spool.keep(path, study_uid="1.2", sop_instance_uid="1.3")


def test_bytes_reach_the_disk_before_the_name_and_the_name_before_the_answer(
    spool, dicom_file, monkeypatch
):
    """Power may fail anywhere: a name must never be there before its bytes."""
    steps = []
    real_fsync, real_replace = os.fsync, Path.replace

    def fsync(descriptor):
        steps.append(("sync", Path(f"/proc/self/fd/{descriptor}").readlink()))
        real_fsync(descriptor)

    def replace(self, target):
        steps.append(("name", Path(target)))
        return real_replace(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    kept = spool.absolute(keep(spool, dicom_file("a.dcm")).path)
    directories = [("sync", directory) for directory in (spool.objects, kept.parents[1])]
    assert steps == [
        *directories,
        ("sync", spool.incoming / "tmp.dcm"),
        ("name", kept),
        ("sync", kept.parent),
    ]


def test_a_full_or_foreign_disk_is_an_error_that_says_so(spool, dicom_file, monkeypatch):
    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="No space left on device"):
        keep(spool, dicom_file("a.dcm"))


def test_sweeping_empties_incoming_only(spool, dicom_file):
    stored = keep(spool, dicom_file("a.dcm"))
    (spool.incoming / "tmpabc.dcm").write_bytes(b"half")
    assert spool.sweep() == 1
    assert not list(spool.incoming.iterdir())
    assert spool.absolute(stored.path).exists()


def test_results_are_moved_out_of_the_workspace(spool, dicom_file):
    work = spool.workspace("17-1")
    path = dicom_file("seg.dcm").rename(work / "seg.dcm")
    content = path.read_bytes()
    stored = spool.publish("17-1", {"seg": path})["seg"]
    assert spool.absolute(stored.path).read_bytes() == content
    assert not path.exists()


def test_directories_are_private_whatever_the_umask(tmp_path, dicom_file):
    before = os.umask(0)
    try:
        spool = Spool(tmp_path / "spool")
        keep(spool, dicom_file("a.dcm"))
        work = spool.workspace("1-1")
        spool.publish("1-1", {"seg": dicom_file("seg.dcm").rename(work / "seg.dcm")})
    finally:
        os.umask(before)
    made = [spool.root, *(path for path in spool.root.rglob("*") if path.is_dir())]
    assert {path: path.stat().st_mode & 0o777 for path in made} == dict.fromkeys(made, 0o700)
    assert len(made) == 10


def test_a_workspace_starts_empty(spool):
    (spool.workspace("1-1") / "left").write_text("by a killed process")
    assert not list(spool.workspace("1-1").iterdir())


def test_a_folder_for_receiving_that_is_away_is_named(spool: Spool) -> None:
    spool.incoming.rmdir()
    with pytest.raises(StoreError, match="incoming in the spool: No such file"):
        spool.free_bytes()

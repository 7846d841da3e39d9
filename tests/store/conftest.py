"""Instances without a network."""

from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

import pytest
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from dicomnode.store.ledger import Ledger
from dicomnode.store.rows import Instance, Output
from parts.postgres import Postgres

STUDY = "1.2.826.0.1.1"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/ledger.sqlite"
    server: Postgres = request.getfixturevalue("postgres")
    return server.new_database()


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    ledger = Ledger(url)
    yield ledger
    ledger.close()


@pytest.fixture
def instance() -> Callable[..., Instance]:
    def make(
        number: int = 1, *, content: str = "a", study: str = STUDY, association: str = "A"
    ) -> Instance:
        uid = f"{study}.{number}"
        return Instance(
            sop_instance_uid=uid,
            sop_class_uid="1.2.840.10008.5.1.4.1.1.3.1",
            study_uid=study,
            series_uid=f"{study}.0",
            transfer_syntax_uid=str(ExplicitVRLittleEndian),
            sha256=content * 64,
            size_bytes=1000,
            path=PurePosixPath(f"objects/00/{uid}-{content}.dcm"),
            calling_ae="SCANNER1",
            host="127.0.0.1",
            association_id=association,
        )

    return make


@pytest.fixture
def output() -> Callable[..., Output]:
    def make(kind: str = "seg", number: int = 1) -> Output:
        return Output(
            kind=kind,
            path=PurePosixPath(f"outputs/00/1-1/{kind}.dcm"),
            sop_class_uid="1.2.840.10008.5.1.4.1.1.66.4",
            sop_instance_uid=f"2.25.{number}",
            sha256="0" * 64,
            size_bytes=10,
        )

    return make


@pytest.fixture
def dicom_file(tmp_path: Path) -> Callable[..., Path]:
    """Write a small instance as a sender's toolkit would."""

    def write(name: str, *, uid: str = "1.2.3.4", comment: str = "", toolkit: str = "ONE") -> Path:
        dataset = Dataset()
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.file_meta.ImplementationVersionName = toolkit
        dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
        dataset.SOPInstanceUID = uid
        dataset.StudyInstanceUID = STUDY
        dataset.ImageComments = comment
        path = tmp_path / name
        dataset.save_as(path, enforce_file_format=True)
        return path

    return write

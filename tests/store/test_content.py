"""No byte of a kept file that means something changes unnoticed."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from dicomnode.errors import DamagedError
from dicomnode.store.content import dataset_sha256
from dicomnode.store.rows import Instance, Output
from dicomnode.store.spool import Spool
from parts.damage import flip

SOP_CLASS = "1.2.840.10008.5.1.4.1.1.7"


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool")


@pytest.fixture
def kept(
    spool: Spool,
    dicom_file: Callable[..., Path],
    instance: Callable[..., Instance],
    output: Callable[..., Output],
) -> dict[str, Instance | Output]:
    """One file, once as what was received and once as a result."""
    path = dicom_file("a.dcm", comment="what was found").rename(spool.objects / "a.dcm")
    same = {
        "path": PurePosixPath("objects/a.dcm"),
        "sha256": dataset_sha256(path),
        "sop_class_uid": SOP_CLASS,
        "sop_instance_uid": "1.2.3.4",
    }
    return {"received": replace(instance(), **same), "result": replace(output(), **same)}


@pytest.mark.parametrize("which", ["received", "result"])
@pytest.mark.parametrize("bits", [1, 0x80])
def test_every_flipped_byte_is_found_but_where_nothing_is_said(
    spool: Spool, kept: dict[str, Instance | Output], which: str, bits: int
) -> None:
    recorded = kept[which]
    path = spool.verified(recorded)
    content = path.read_bytes()
    unnoticed = bytearray()
    for at in range(len(content)):
        flip(path, at, bits)
        complaint = _complaint(spool, recorded)
        path.write_bytes(content)
        assert not complaint or "objects/a.dcm" in complaint
        if not complaint:
            unnoticed.append(content[at])
    assert len(unnoticed) < 128 + 70, "the preamble, the version and who wrote it"
    assert b"1.2.3.4" not in unnoticed


def _complaint(spool: Spool, recorded: Instance | Output) -> str:
    try:
        spool.verified(recorded)
    except DamagedError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("length", [0, 100, 140, 150, 300])
def test_a_file_that_was_cut_is_damaged(
    spool: Spool, kept: dict[str, Instance | Output], length: int
) -> None:
    path = spool.verified(kept["result"])
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(DamagedError, match=r"expected .* in objects/a\.dcm of the spool, found"):
        spool.verified(kept["result"])


def test_what_is_gone_is_named_with_what_to_do(
    spool: Spool, kept: dict[str, Instance | Output]
) -> None:
    spool.verified(kept["result"]).unlink()
    with pytest.raises(DamagedError, match=r"objects/a\.dcm .*no such file.*send the study again"):
        spool.verified(kept["received"])
    with pytest.raises(DamagedError, match=r"objects/a\.dcm .*no such file.*reanalyse"):
        spool.verified(kept["result"])


def test_another_transfer_syntax_under_the_same_bytes_is_damage(
    spool: Spool, kept: dict[str, Instance | Output]
) -> None:
    path = spool.verified(kept["received"])
    path.write_bytes(path.read_bytes().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.2\0"))
    for recorded in kept.values():
        with pytest.raises(DamagedError, match=r"expected \(0002,0010\) 1\.2\.840\.10008\.1\.2\.1"):
            spool.verified(recorded)

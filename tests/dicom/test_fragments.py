"""Frames are found in encapsulated pixel data, however it was cut into fragments."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.encaps import encapsulate

from dicomnode.dicom.decode.fragments import frame_fragments, read_fragments
from dicomnode.errors import InputError

CODESTREAM = st.binary(min_size=16, max_size=60).map(
    lambda body: b"\xff\xd8" + body.replace(b"\xff", b"\x01") + b"\xff\xd9"
)


def frames_in(value: bytes, count: int) -> list[bytes]:
    data = memoryview(value + struct.pack("<II", 0xE0DDFFFE, 0))
    offsets, fragments = read_fragments(data, 0, "a.dcm")
    groups = frame_fragments(data, offsets, fragments, count, "a.dcm")
    return [b"".join(bytes(data[f.start : f.stop]) for f in group) for group in groups]


@given(
    streams=st.lists(CODESTREAM, min_size=1, max_size=6),
    pieces=st.integers(1, 4),
    has_table=st.booleans(),
)
def test_frames_are_found_with_and_without_an_offset_table(
    streams: list[bytes], pieces: int, has_table: bool
) -> None:
    value = encapsulate(streams, fragments_per_frame=pieces, has_bot=has_table)
    found = frames_in(value, len(streams))
    assert [frame.rstrip(b"\x00") for frame in found] == streams


@given(streams=st.lists(CODESTREAM, min_size=2, max_size=6), pieces=st.integers(2, 3))
def test_another_count_is_refused(streams: list[bytes], pieces: int) -> None:
    value = encapsulate(streams, fragments_per_frame=pieces, has_bot=False)
    with pytest.raises(InputError, match=f"expected 1 frames .* found {len(streams)}"):
        frames_in(value, 1)


@given(noise=st.binary(max_size=200))
def test_noise_is_refused_and_never_crashes(noise: bytes) -> None:
    with pytest.raises(InputError, match=r"a\.dcm: PixelData \(7FE0,0010\)"):
        read_fragments(memoryview(noise), 0, "a.dcm")


def test_an_offset_beside_every_fragment_is_refused() -> None:
    value = bytearray(encapsulate([b"\xff\xd8ab\xff\xd9"] * 4, fragments_per_frame=2))
    value[8:12] = np.uint32(3).tobytes()
    with pytest.raises(InputError, match="expected every offset"):
        frames_in(bytes(value), 4)


@pytest.mark.parametrize("padding", [b"", b"\0"])
def test_as_many_fragments_as_frames_may_be_a_coincidence(padding: bytes) -> None:
    one, two, three = (b"\xff\xd8\xff" + bytes([n]) * 7 + b"\xff\xd9" for n in (1, 2, 3))
    value = encapsulate([one[:6], one[6:], two + padding + three], has_bot=False)
    with pytest.raises(InputError, match=r"a\.dcm: PixelData .*found two in fragment 3"):
        frames_in(value, 3)


def test_what_the_offset_table_says_is_one_frame_is_one() -> None:
    twice = b"\xff\xd8\xffab\xff\xd9" * 2
    assert frames_in(encapsulate([twice, twice]), 2) == [twice, twice]


def test_fragments_without_bytes_are_no_frames() -> None:
    streams = [b"\xff\xd8\xff" + bytes([n]) * 5 + b"\xff\xd9" for n in range(3)]
    value = encapsulate(streams, has_bot=False)
    empty = struct.pack("<HHI", 0xFFFE, 0xE000, 0)
    assert frames_in(value[:8] + empty + value[8:], 3) == streams


def test_an_offset_table_of_broken_offsets_is_refused() -> None:
    value = struct.pack("<HHI", 0xFFFE, 0xE000, 6) + bytes(6)
    with pytest.raises(InputError, match=r"a\.dcm: PixelData \(7FE0,0010\): .*found 6 bytes"):
        frames_in(value, 1)

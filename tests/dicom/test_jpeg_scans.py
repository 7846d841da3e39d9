"""Bytes of a JPEG that were overwritten are found; what an encoder wrote never is."""

import io
from collections.abc import Callable

import numpy as np
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import gaussian_filter

from dicomnode.dicom.decode.entropy import TOLD, check_scan
from parts.codestreams import jpeg_of

RNG = np.random.default_rng(13)
PICTURE = np.clip(
    60 + 900 * gaussian_filter(RNG.normal(size=(160, 200, 3)), (2, 2, 0)), 0, 255
).astype(np.uint8)
PICTURE[:, :30] = PICTURE[:, 170:] = 0
"""Speckle between black margins, as on a screen."""


def by_pillow(pixels: np.ndarray, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", **options)
    return buffer.getvalue()


@settings(max_examples=80, deadline=None)
@given(
    rows=st.integers(1, 70),
    columns=st.integers(1, 70),
    subsampling=st.sampled_from(["444", "422", "420", "440", "411"]),
    is_colour=st.booleans(),
    kind=st.sampled_from(["noise", "flat", "black and white"]),
    seed=st.integers(0, 99),
)
def test_what_libjpeg_wrote_adds_up(
    rows: int, columns: int, subsampling: str, is_colour: bool, kind: str, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    shape = (rows, columns, 3) if is_colour else (rows, columns)
    pixels = {
        "noise": rng.integers(0, 256, shape),
        "flat": np.full(shape, seed * 2),
        "black and white": rng.integers(0, 2, shape) * 255,
    }[kind].astype(np.uint8)
    check_scan(jpeg_of(pixels, subsampling))


OPTIONS: dict[str, dict[str, object]] = {
    "tables of its own": {"optimize": True},
    "restarts": {"restart_marker_blocks": 7},
    "a restart for each row": {"restart_marker_rows": 1},
    "progressive": {"progressive": True},
    "coarse": {"quality": 5},
    "fine": {"quality": 100},
}


@pytest.mark.parametrize("pixels", [PICTURE, PICTURE[..., 0]], ids=["colour", "grey"])
@pytest.mark.parametrize("name", OPTIONS)
def test_what_pillow_wrote_adds_up(name: str, pixels: np.ndarray) -> None:
    check_scan(by_pillow(pixels, **OPTIONS[name]))


@pytest.mark.parametrize("padding", [b"\0\0\0", b"\xff\x00\xff\x00", b"\xff\xff\xff"])
def test_padding_before_the_end_is_no_damage(padding: bytes) -> None:
    whole = jpeg_of(PICTURE).removesuffix(b"\xff\xd9")
    check_scan(whole + padding + b"\xff\xd9")


def zeroed(data: bytes, rng: np.random.Generator, start: int) -> bytes:
    at = int(rng.integers(start, len(data) - 60))
    return data[:at] + bytes(40) + data[at + 40 :]


def flipped(data: bytes, rng: np.random.Generator, start: int) -> bytes:
    changed = bytearray(data)
    for at in rng.integers(start, len(data) - 4, 8):
        changed[at] ^= 1 << int(rng.integers(8))
    return bytes(changed)


@pytest.mark.parametrize("restarts", [0, 25])
@pytest.mark.parametrize("damage", [zeroed, flipped])
def test_damaged_scans_are_found(
    damage: Callable[[bytes, np.random.Generator, int], bytes], restarts: int
) -> None:
    data = by_pillow(PICTURE, quality=90, restart_marker_blocks=restarts)
    start = data.index(b"\xff\xda") + 14
    rng = np.random.default_rng(1)
    found = 0
    for _ in range(100):
        try:
            hurt = damage(data, rng, start)
            simplejpeg.decode_jpeg(hurt)
            check_scan(hurt)
        except ValueError:
            found += 1
    assert found >= 85


def test_what_does_not_add_up_is_told() -> None:
    data = jpeg_of(PICTURE)
    start = data.index(b"\xff\xda") + 14
    place = start + (len(data) - start) // 3
    told = set()
    for offset in range(60):
        hurt = bytearray(data)
        hurt[place + offset] ^= 0x55
        try:
            check_scan(bytes(hurt))
        except ValueError as error:
            told.add(str(error).split(" at block ")[0])
    assert len(told) >= 2
    assert told <= set(TOLD.values())

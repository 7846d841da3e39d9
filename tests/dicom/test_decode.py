"""Frames come out as another reader sees them, or the file is refused by name."""

import io
import subprocess
import tempfile
from pathlib import Path
from types import ModuleType

import av
import imagecodecs
import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.pixels import apply_color_lut, pixel_array
from pydicom.uid import (
    MPEG4HP41,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from dicomnode.dicom.box import Box
from dicomnode.dicom.decode import frames
from dicomnode.errors import InputError
from parts.programs import program
from parts.waiting import PATIENCE_S

RNG = np.random.default_rng(7)
COLOUR = RNG.integers(0, 256, (3, 21, 30, 3), dtype=np.uint8)
GREY = RNG.integers(0, 256, (3, 21, 30), dtype=np.uint8)

US_FILES = 22
JPEG = ("1.2.840.10008.1.2.4.50",)


def read(path: Path, **options: object) -> np.ndarray:
    return np.stack(list(frames(path, **options)))


def oracle(path: Path, index: int | None = None) -> np.ndarray:
    """What other decoders make of a file, or of one frame, as 8-bit RGB.

    Pydicom's own, or DCMTK's where pydicom needs a plugin whose licence keeps it out of here.
    """
    dataset = pydicom.dcmread(path)
    if dataset.file_meta.TransferSyntaxUID == JPEGLosslessSV1:
        with tempfile.TemporaryDirectory() as folder:
            native = Path(folder) / "native.dcm"
            subprocess.run(
                [program("dcmdjpeg"), str(path), str(native)], check=True, timeout=PATIENCE_S
            )
            return oracle(native, index)
    plugin = "pillow" if dataset.file_meta.TransferSyntaxUID in JPEG else ""
    pixels = pixel_array(dataset, index=index, decoding_plugin=plugin)
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        pixels = apply_color_lut(pixels, dataset)
        is_wide = pixels.dtype == np.uint16 and pixels.max() > 255
        return pixels >> 8 if is_wide else pixels
    is_grey = dataset.PhotometricInterpretation.startswith("MONOCHROME")
    return np.repeat(pixels[..., None], 3, axis=-1) if is_grey else pixels


@pytest.mark.shared_data
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_every_real_file_decodes_as_pydicom_does(shared_data: Path) -> None:
    files = sorted((shared_data / "us_dicom").glob("*.dcm"))
    assert len(files) == US_FILES
    for path in files:
        found = read(path).astype(int)
        for index in {0, len(found) // 2, len(found) - 1}:
            expected = oracle(path, index).astype(int)
            assert found[index].shape == expected.shape, path.name
            assert np.abs(found[index] - expected).max() <= 3, path.name


@pytest.mark.shared_data
def test_big_and_little_endian_copies_of_an_image_agree(shared_data: Path) -> None:
    big, little = (
        read(shared_data / "us_dicom" / f"sf_aloka_ssd4000_{order}_palette16.dcm")
        for order in ("explicitBE", "implicitLE")
    )
    np.testing.assert_array_equal(big, little)


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian]
)
def test_uncompressed_frames_are_the_bytes_written(
    tmp_path: Path, wrap: ModuleType, syntax: str
) -> None:
    path = wrap.native(tmp_path / "a.dcm", COLOUR, syntax=syntax)
    np.testing.assert_array_equal(read(path), COLOUR)


def test_big_endian_words_hold_swapped_pairs_of_samples(tmp_path: Path, wrap: ModuleType) -> None:
    swapped = COLOUR.reshape(-1).view(np.uint16).byteswap().tobytes()
    path = wrap.native(tmp_path / "a.dcm", COLOUR, syntax=ExplicitVRBigEndian, PixelData=swapped)
    np.testing.assert_array_equal(read(path), COLOUR)


@pytest.mark.parametrize("pixels", [COLOUR, GREY], ids=["colour", "grey"])
@pytest.mark.parametrize(
    ("syntax", "encode"),
    [
        (JPEGLosslessSV1, lambda frame: imagecodecs.jpeg8_encode(frame, lossless=True)),
        (JPEGLSLossless, imagecodecs.jpegls_encode),
        (
            JPEG2000Lossless,
            lambda frame: imagecodecs.jpeg2k_encode(frame, codecformat="j2k", level=0),
        ),
        (HTJ2KLossless, imagecodecs.htj2k_encode),
    ],
    ids=["JPEG lossless", "JPEG-LS", "JPEG 2000", "HTJ2K"],
)
def test_lossless_codestreams_give_back_their_pixels(
    tmp_path: Path, wrap: ModuleType, syntax: str, encode: object, pixels: np.ndarray
) -> None:
    streams = [encode(frame) for frame in pixels]
    photometric = "RGB" if pixels.ndim == 4 else "MONOCHROME2"
    path = wrap.encapsulated(tmp_path / "a.dcm", streams, pixels, photometric, syntax)
    found = read(path)
    np.testing.assert_array_equal(found, pixels if pixels.ndim == 4 else wrap.grey_rgb(pixels))


@pytest.mark.parametrize("pixels", [COLOUR, GREY], ids=["colour", "grey"])
def test_rle_frames_by_pydicoms_encoder(
    tmp_path: Path, wrap: ModuleType, pixels: np.ndarray
) -> None:
    photometric = "RGB" if pixels.ndim == 4 else "MONOCHROME2"
    path = wrap.native(tmp_path / "a.dcm", pixels, photometric=photometric)
    dataset = pydicom.dcmread(path)
    dataset.compress(RLELossless, encoding_plugin="pydicom", generate_instance_uid=False)
    dataset.save_as(path)
    np.testing.assert_array_equal(read(path), pixels if pixels.ndim == 4 else wrap.grey_rgb(pixels))


def test_planes_one_after_another(tmp_path: Path, wrap: ModuleType) -> None:
    planes = np.ascontiguousarray(np.moveaxis(COLOUR, -1, 1))
    path = wrap.native(
        tmp_path / "a.dcm", COLOUR, PlanarConfiguration=1, PixelData=planes.tobytes()
    )
    np.testing.assert_array_equal(read(path), COLOUR)


@pytest.mark.parametrize("photometric", ["YBR_FULL", "YBR_FULL_422"])
def test_uncompressed_ybr_as_pydicom_converts_it(
    tmp_path: Path, wrap: ModuleType, photometric: str
) -> None:
    content = {}
    if photometric == "YBR_FULL_422":
        content["PixelData"] = RNG.integers(0, 256, 3 * 21 * 30 * 2, dtype=np.uint8).tobytes()
    path = wrap.native(tmp_path / "a.dcm", COLOUR, photometric=photometric, **content)
    expected = oracle(path).astype(int)
    assert np.abs(read(path).astype(int) - expected).max() <= 1


@pytest.mark.parametrize("bits", [8, 16])
def test_palettes_as_pydicom_applies_them(tmp_path: Path, wrap: ModuleType, bits: int) -> None:
    tables = RNG.integers(0, 2**bits, (3, 256)).astype(f"<u{bits // 8}")
    elements = {}
    for name, table in zip(("Red", "Green", "Blue"), tables, strict=True):
        elements[f"{name}PaletteColorLookupTableDescriptor"] = [256, 0, bits]
        elements[f"{name}PaletteColorLookupTableData"] = table.tobytes()
    path = wrap.native(tmp_path / "a.dcm", GREY, photometric="PALETTE COLOR", **elements)
    np.testing.assert_array_equal(read(path), oracle(path))


def test_monochrome1_is_inverted(tmp_path: Path, wrap: ModuleType) -> None:
    path = wrap.native(tmp_path / "a.dcm", GREY, photometric="MONOCHROME1")
    np.testing.assert_array_equal(read(path, colour="luma"), 255 - GREY)


def test_a_box_and_some_frames_are_cut_from_the_whole(tmp_path: Path, wrap: ModuleType) -> None:
    path = wrap.native(tmp_path / "a.dcm", COLOUR)
    box = Box(row=3, column=5, rows=7, columns=11)
    np.testing.assert_array_equal(read(path, box=box, only=[0, 2]), COLOUR[[0, 2], 3:10, 5:16])
    assert not list(frames(path, only=[]))


def test_luma_of_a_jpeg_is_the_luma_of_its_colours(tmp_path: Path, wrap: ModuleType) -> None:
    ramp = np.add.outer(np.arange(32), np.arange(32)) * 4
    pixels = wrap.amber(np.stack([ramp, ramp[::-1]]).astype(np.uint8))
    streams = [imagecodecs.jpeg8_encode(np.ascontiguousarray(frame), level=95) for frame in pixels]
    path = wrap.encapsulated(tmp_path / "a.dcm", streams, pixels, "YBR_FULL_422", JPEGBaseline8Bit)
    expected = pixels @ np.array([0.299, 0.587, 0.114])
    assert np.abs(read(path, colour="luma") - expected).max() <= 6
    assert np.abs(read(path).astype(int) - pixels).mean() <= 6


def test_video_frames_come_in_order(tmp_path: Path, wrap: ModuleType) -> None:
    level = np.arange(6, dtype=np.uint8) * 30 + 40
    grey = np.broadcast_to(level[:, None, None], (6, 64, 96))
    path = wrap.encapsulated(
        tmp_path / "a.dcm", [_mp4(grey)], wrap.grey_rgb(grey), "YBR_FULL_422", MPEG4HP41
    )
    found = read(path, colour="luma", only=[1, 4]).mean(axis=(1, 2))
    np.testing.assert_allclose(found, level[[1, 4]], atol=8)


def _mp4(grey: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("h264", rate=10)
        stream.width, stream.height, stream.pix_fmt = grey.shape[2], grey.shape[1], "yuv420p"
        for image in grey:
            frame = av.VideoFrame.from_ndarray(np.repeat(image[..., None], 3, axis=-1))
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return buffer.getvalue()


FAULTS = {
    "no-frames": ({"NumberOfFrames": 0}, r"a\.dcm: NumberOfFrames \(0028,0008\): .*found 0"),
    "no-pixel-data": ({"PixelData": None}, r"a\.dcm: PixelData \(7FE0,0010\): .*found none"),
    "unsupported-bits": (
        {"BitsAllocated": 16, "BitsStored": 16},
        r"BitsAllocated \(0028,0100\): expected 8",
    ),
    "no-image": ({"Rows": None}, r"Rows \(0028,0010\): expected 1 to 65535, found none"),
    "unsupported-photometric": (
        {"PhotometricInterpretation": "HSV"},
        r"PhotometricInterpretation \(0028,0004\)",
    ),
    "bad-palette": (
        {"PhotometricInterpretation": "PALETTE COLOR", "SamplesPerPixel": 1},
        r"\(0028,1101\)",
    ),
}


@pytest.mark.parametrize("code", FAULTS)
def test_a_faulty_file_is_refused_by_name_and_tag(
    tmp_path: Path, wrap: ModuleType, code: str
) -> None:
    elements, text = FAULTS[code]
    pixels = GREY if code == "bad-palette" else COLOUR
    path = wrap.native(tmp_path / "a.dcm", pixels, **elements)
    with pytest.raises(InputError, match=text) as caught:
        list(frames(path))
    assert caught.value.code == code


@pytest.mark.parametrize("stated", [2, 4, 400])
@pytest.mark.parametrize("compressed", [False, True])
def test_a_wrong_number_of_frames_is_refused(
    tmp_path: Path, wrap: ModuleType, stated: int, compressed: bool
) -> None:
    path = tmp_path / "a.dcm"
    if compressed:
        streams = [imagecodecs.jpeg8_encode(frame) for frame in COLOUR]
        wrap.encapsulated(path, streams, COLOUR, "YBR_FULL_422", JPEGBaseline8Bit)
    else:
        wrap.native(path, COLOUR)
    dataset = pydicom.dcmread(path)
    dataset.NumberOfFrames = stated
    dataset.save_as(path)
    with pytest.raises(InputError, match=rf"expected {stated} frames .*\(0028,0008\).*found"):
        list(frames(path))


def test_a_corrupt_frame_is_refused_by_number(tmp_path: Path, wrap: ModuleType) -> None:
    streams = [imagecodecs.jpegls_encode(frame) for frame in GREY]
    streams[1] = streams[1][:20] + b"\x00" * 40
    path = wrap.encapsulated(tmp_path / "a.dcm", streams, GREY, "MONOCHROME2", JPEGLSLossless)
    with pytest.raises(InputError, match=r"\(7FE0,0010\): expected frame 2 as JPEG-LS") as caught:
        list(frames(path))
    assert caught.value.code == "corrupt-fragment"


@settings(max_examples=60)
@given(keep=st.floats(0.0, 0.999), compressed=st.booleans())
def test_a_file_cut_anywhere_is_refused_and_never_shorter(
    tmp_path_factory: pytest.TempPathFactory, wrap: ModuleType, keep: float, compressed: bool
) -> None:
    path = tmp_path_factory.mktemp("cut") / "a.dcm"
    if compressed:
        streams = [imagecodecs.jpeg8_encode(frame) for frame in COLOUR]
        wrap.encapsulated(path, streams, COLOUR, "YBR_FULL_422", JPEGBaseline8Bit)
    else:
        wrap.native(path, COLOUR)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * keep)])
    with pytest.raises(InputError, match=r"a\.dcm"):
        list(frames(path))


def test_something_else_is_refused_as_no_dicom(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("no DICOM" * 100)
    with pytest.raises(InputError, match=r"a\.txt: expected a DICOM file") as caught:
        list(frames(path))
    assert caught.value.code == "not-dicom"

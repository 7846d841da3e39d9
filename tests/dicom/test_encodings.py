"""Every encoding, held against pydicom, DCMTK and the pixels that were encoded."""

import io
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import av
import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.pixels import apply_color_lut, pixel_array
from pydicom.uid import (
    HEVCMP51,
    JPEG2000,
    MPEG2MPHL,
    MPEG2MPML,
    MPEG4HP41,
    UID,
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)
from scipy.ndimage import gaussian_filter

from dicomnode.dicom.decode import frames
from dicomnode.errors import InputError
from parts.codestreams import jpeg_of, rle_of
from parts.programs import program

RNG = np.random.default_rng(11)
SMOOTH = gaussian_filter(RNG.normal(size=(2, 48, 64, 3)), (0, 3, 3, 0))
COLOUR = np.clip(128 + 400 * SMOOTH, 0, 255).astype(np.uint8)
GREY = np.ascontiguousarray(COLOUR[..., 0])
LOSSY = 40
"""Difference that lossy compression of these pixels stays below."""


def read(path: Path, **options: object) -> np.ndarray:
    return np.stack(list(frames(path, **options)))


def off(found: np.ndarray, expected: np.ndarray) -> int:
    return int(np.abs(found.astype(int) - expected).max())


def rgb(pixels: np.ndarray) -> np.ndarray:
    return pixels if pixels.shape[-1] == 3 else np.repeat(pixels[..., None], 3, axis=-1)


def by_pydicom(path: Path) -> np.ndarray:
    syntax = pydicom.dcmread(path).file_meta.TransferSyntaxUID
    plugin = "pydicom" if syntax == RLELossless else "pillow" if syntax.is_encapsulated else ""
    return rgb(pixel_array(path, decoding_plugin=plugin))


def by_dcmtk(path: Path) -> np.ndarray:
    syntax = pydicom.dcmread(path).file_meta.TransferSyntaxUID
    tool = {RLELossless: "dcmdrle", JPEGLSLossless: "dcmdjpls", JPEGLSNearLossless: "dcmdjpls"}
    plain = path.with_suffix(".plain.dcm")
    command = [program(tool.get(syntax, "dcmdjpeg")), str(path), str(plain)]
    subprocess.run(command, check=True, timeout=60)
    return rgb(pixel_array(plain))


def j2k(frame: np.ndarray, level: int = 0) -> bytes:
    return imagecodecs.jpeg2k_encode(frame, codecformat="j2k", level=level)


ENCODINGS: dict[str, tuple[UID, Callable[[np.ndarray], bytes], int, tuple[object, ...]]] = {
    "JPEG baseline": (JPEGBaseline8Bit, jpeg_of, LOSSY, (by_pydicom, by_dcmtk)),
    "JPEG extended": (JPEGExtended12Bit, jpeg_of, LOSSY, (by_pydicom, by_dcmtk)),
    "JPEG lossless": (
        JPEGLosslessSV1,
        lambda frame: imagecodecs.jpeg8_encode(frame, lossless=True),
        0,
        (by_dcmtk,),
    ),
    "JPEG-LS": (JPEGLSLossless, imagecodecs.jpegls_encode, 0, (by_dcmtk,)),
    "JPEG-LS near": (
        JPEGLSNearLossless,
        lambda frame: imagecodecs.jpegls_encode(frame, level=3),
        3,
        (by_dcmtk,),
    ),
    "JPEG 2000": (JPEG2000Lossless, j2k, 0, (by_pydicom,)),
    "JPEG 2000 lossy": (JPEG2000, lambda frame: j2k(frame, 60), LOSSY, (by_pydicom,)),
    "HTJ2K": (HTJ2KLossless, imagecodecs.htj2k_encode, 0, ()),
    "RLE": (RLELossless, rle_of, 0, (by_pydicom, by_dcmtk)),
    "RLE, padded": (RLELossless, lambda frame: rle_of(frame, 3), 0, (by_pydicom,)),
}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("pixels", [COLOUR, GREY], ids=["colour", "grey"])
@pytest.mark.parametrize("name", ENCODINGS)
def test_an_encoding_is_read_as_others_read_it(
    tmp_path: Path, wrap: ModuleType, name: str, pixels: np.ndarray
) -> None:
    syntax, encode, loss, oracles = ENCODINGS[name]
    photometric = (
        "MONOCHROME2"
        if pixels.ndim == 3
        else "YBR_FULL"
        if loss == LOSSY and "JPEG 2" not in name
        else "RGB"
    )
    streams = [encode(np.ascontiguousarray(frame)) for frame in pixels]
    path = wrap.encapsulated(tmp_path / "a.dcm", streams, pixels, photometric, syntax)
    found = read(path)
    assert off(found, rgb(pixels)) <= loss
    for oracle in oracles:
        assert off(found, oracle(path)) <= (2 if loss == LOSSY else 0), oracle.__name__


VIDEOS = {
    "MPEG-2 main level": (MPEG2MPML, "mpeg2video", "mpeg2video"),
    "MPEG-2 in a transport stream": (MPEG2MPHL, "mpeg2video", "mpegts"),
    "MPEG-2 in a program stream": (MPEG2MPHL, "mpeg2video", "mpeg"),
    "H.264": (MPEG4HP41, "h264", "h264"),
    "H.264 in MP4": (MPEG4HP41, "h264", "mp4"),
    "H.264 in a transport stream": (MPEG4HP41, "h264", "mpegts"),
    "HEVC": (HEVCMP51, "hevc", "hevc"),
}
MOVING = np.stack([np.roll(GREY[0], 3 * step, axis=1) for step in range(8)])


def video_of(pixels: np.ndarray, codec: str, container: str) -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as target:
        stream = target.add_stream(codec, rate=25, options={"x265-params": "log-level=none"})
        stream.width, stream.height, stream.pix_fmt = pixels.shape[2], pixels.shape[1], "yuv420p"
        stream.bit_rate = 4_000_000
        for image in pixels:
            target.mux(stream.encode(av.VideoFrame.from_ndarray(rgb(image))))
        target.mux(stream.encode())
    return buffer.getvalue()


def video(tmp_path: Path, wrap: ModuleType, syntax: UID, content: bytes) -> Path:
    like = wrap.grey_rgb(MOVING)
    return wrap.encapsulated(tmp_path / "a.dcm", [content], like, "YBR_PARTIAL_420", syntax)


@pytest.mark.parametrize("name", VIDEOS)
def test_a_video_is_read_however_it_is_wrapped(tmp_path: Path, wrap: ModuleType, name: str) -> None:
    syntax, codec, container = VIDEOS[name]
    path = video(tmp_path, wrap, syntax, video_of(MOVING, codec, container))
    found = read(path, colour="luma").astype(int)
    assert found.shape == MOVING.shape
    assert np.abs(found - MOVING).mean() < 5


@pytest.mark.parametrize(
    "content",
    [
        b"ffconcat version 1.0\nfile other.mp4\n",
        b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nm=video 5004 RTP/AVP 96\n",
        b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1/a.ts\n",
        b"RIFF\x00\x00\x00\x00AVI LIST",
        b"\x00\x00",
    ],
    ids=["ffconcat", "SDP", "HLS", "AVI", "empty"],
)
@pytest.mark.parametrize("syntax", [MPEG2MPML, MPEG4HP41, HEVCMP51])
def test_what_is_no_video_opens_nothing(
    tmp_path: Path, wrap: ModuleType, content: bytes, syntax: UID
) -> None:
    other = tmp_path / "other.mp4"
    other.write_bytes(video_of(MOVING, "h264", "mp4"))
    path = video(tmp_path, wrap, syntax, content + b" " * (len(content) % 2))
    with pytest.raises(InputError, match=r"a\.dcm: PixelData \(7FE0,0010\).*no video stream"):
        read(path)


@pytest.mark.parametrize(
    ("syntax", "codec", "container"),
    [(MPEG4HP41, "mpeg2video", "mpeg2video"), (MPEG2MPML, "h264", "h264")],
)
def test_a_video_of_another_transfer_syntax_is_named_as_that(
    tmp_path: Path, wrap: ModuleType, syntax: UID, codec: str, container: str
) -> None:
    path = video(tmp_path, wrap, syntax, video_of(MOVING, codec, container))
    with pytest.raises(InputError, match=r"a\.dcm: .*against TransferSyntaxUID \(0002,0010\)"):
        list(frames(path))


def test_a_video_of_another_size_is_refused(tmp_path: Path, wrap: ModuleType) -> None:
    larger = np.pad(MOVING, ((0, 0), (0, 64), (0, 0)))
    path = video(tmp_path, wrap, MPEG4HP41, video_of(larger, "h264", "h264"))
    with pytest.raises(InputError, match=r"112 × 64 pixels instead of Rows \(0028,0010\) 48"):
        read(path)


NOTICED = [name for name in VIDEOS if name not in ("HEVC", "H.264 in MP4")]
"""Videos in whose middle FFmpeg notices it; what it takes for pictures nobody can tell."""


@pytest.mark.parametrize("name", NOTICED)
@pytest.mark.parametrize("damage", [bytes(200), bytes(range(7, 207))], ids=["zeros", "noise"])
def test_a_damaged_video_is_refused(
    tmp_path: Path, wrap: ModuleType, name: str, damage: bytes
) -> None:
    syntax, codec, container = VIDEOS[name]
    content = bytearray(video_of(MOVING, codec, container))
    middle = len(content) // 2
    content[middle : middle + len(damage)] = damage
    path = video(tmp_path, wrap, syntax, bytes(content))
    with pytest.raises(InputError, match=r"a\.dcm: .*\((7FE0,0010|0028,0008)\)"):
        read(path)


SIZES = {
    "JPEG baseline": b"\xff\xc0",
    "JPEG lossless": b"\xff\xc3",
    "JPEG-LS": b"\xff\xf7",
    "JPEG 2000": b"\xff\x51",
    "HTJ2K": b"\xff\x51",
}


@pytest.mark.parametrize("name", SIZES)
def test_a_codestream_that_claims_another_size_is_never_decoded(
    tmp_path: Path, wrap: ModuleType, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    syntax, encode, _, _ = ENCODINGS[name]
    streams = [bytearray(encode(frame)) for frame in GREY]
    for stream in streams:
        at = stream.index(SIZES[name])
        wide = SIZES[name] == b"\xff\x51"
        start = at + 6 if wide else at + 5
        stream[start : start + (8 if wide else 4)] = (
            (65500).to_bytes(4, "big") * 2 if wide else (65500).to_bytes(2, "big") * 2
        )
    path = wrap.encapsulated(tmp_path / "a.dcm", map(bytes, streams), GREY, "MONOCHROME2", syntax)
    for decoder in ("jpegsof3_decode", "jpegls_decode", "jpeg2k_decode", "htj2k_decode"):
        monkeypatch.setattr(imagecodecs, decoder, None)
    monkeypatch.setattr("simplejpeg.decode_jpeg", None)
    text = r"expected frame 1 .*65500 × 65500 pixels instead of Rows \(0028,0010\) 48 × Columns"
    with pytest.raises(InputError, match=text):
        read(path)


def test_an_image_that_no_screen_shows_is_refused(tmp_path: Path, wrap: ModuleType) -> None:
    path = wrap.native(tmp_path / "a.dcm", GREY, Rows=65500, Columns=65500)
    with pytest.raises(InputError, match=r"Rows \(0028,0010\): expected at most \d+ pixels"):
        read(path)


LABELS = {
    "RGB as 4:2:2": (COLOUR, {"PhotometricInterpretation": "YBR_FULL_422"}, r"\(0028,0004\)"),
    "one RGB frame as 4:2:2": (
        COLOUR[:1],
        {"PhotometricInterpretation": "YBR_FULL_422"},
        r"\(0028,0004\)",
    ),
    "4:2:2 as RGB": (COLOUR, {"PixelData": bytes(2 * 48 * 64 * 2)}, r"\(0028,0004\)"),
    "grey as RGB": (COLOUR, {"PixelData": GREY.tobytes()}, r"\(0028,0004\)"),
    "RGB as grey": (GREY, {"PixelData": COLOUR.tobytes()}, r"\(0028,0004\)"),
    "one sample of RGB": (COLOUR, {"SamplesPerPixel": 1}, r"\(0028,0002\)"),
    "three samples of grey": (
        COLOUR,
        {"PhotometricInterpretation": "MONOCHROME2"},
        r"\(0028,0002\)",
    ),
    "a wavelet's label": (COLOUR, {"PhotometricInterpretation": "YBR_RCT"}, r"\(0028,0004\)"),
    "a video's label": (COLOUR, {"PhotometricInterpretation": "YBR_PARTIAL_420"}, r"\(0028,0004\)"),
    "signed": (GREY, {"PixelRepresentation": 1}, r"\(0028,0103\)"),
    "seven bits": (GREY, {"BitsStored": 7, "HighBit": 6}, r"\(0028,0101\)"),
    "more bits than a byte has": (GREY, {"BitsStored": 12, "HighBit": 11}, r"\(0028,0101\)"),
    "bits elsewhere": (GREY, {"HighBit": 3}, r"\(0028,0102\)"),
}


def test_bits_that_are_not_stated_are_all_bits(tmp_path: Path, wrap: ModuleType) -> None:
    path = wrap.native(
        tmp_path / "a.dcm", GREY, photometric="MONOCHROME2", BitsStored=None, HighBit=None
    )
    np.testing.assert_array_equal(read(path)[..., 0], GREY)


def test_compressed_samples_are_not_signed_either(tmp_path: Path, wrap: ModuleType) -> None:
    streams = [rle_of(frame) for frame in GREY]
    path = wrap.encapsulated(tmp_path / "a.dcm", streams, GREY, "MONOCHROME2", RLELossless)
    dataset = pydicom.dcmread(path)
    dataset.PixelRepresentation = 1
    dataset.save_as(path)
    with pytest.raises(InputError, match=r"PixelRepresentation \(0028,0103\): expected 0"):
        read(path)


def test_a_codestream_of_fewer_bits_than_stated_is_refused(
    tmp_path: Path, wrap: ModuleType
) -> None:
    streams = [
        imagecodecs.jpeg2k_encode(frame >> 3, codecformat="j2k", level=0, bitspersample=5)
        for frame in GREY
    ]
    path = wrap.encapsulated(tmp_path / "a.dcm", streams, GREY, "MONOCHROME2", JPEG2000Lossless)
    with pytest.raises(InputError, match=r"of 5 bits instead of BitsAllocated \(0028,0100\) 8"):
        read(path)


def test_rle_that_does_not_begin_behind_its_header_is_refused(
    tmp_path: Path, wrap: ModuleType
) -> None:
    streams = [bytearray(rle_of(frame)) for frame in GREY]
    for stream in streams:
        stream[4:8] = (66).to_bytes(4, "little")
    path = wrap.encapsulated(
        tmp_path / "a.dcm", map(bytes, streams), GREY, "MONOCHROME2", RLELossless
    )
    with pytest.raises(InputError, match="do not follow the header"):
        read(path)


@pytest.mark.parametrize("name", LABELS)
def test_labels_that_the_length_contradicts_are_named(
    tmp_path: Path, wrap: ModuleType, name: str
) -> None:
    pixels, elements, tag = LABELS[name]
    photometric = str(
        elements.get("PhotometricInterpretation", "RGB" if pixels.ndim == 4 else "MONOCHROME2")
    )
    rest = {k: v for k, v in elements.items() if k != "PhotometricInterpretation"}
    path = wrap.native(tmp_path / "a.dcm", pixels, photometric=photometric, **rest)
    with pytest.raises(InputError, match=rf"a\.dcm: .*{tag}"):
        read(path)


CHANNELS = ("Red", "Green", "Blue")
RAMP = np.arange(256)[::-1]
INDICES = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)


def words(table: np.ndarray) -> bytes:
    return table.astype("<u2").tobytes()


def octets(table: np.ndarray) -> bytes:
    return table.astype("u1").tobytes()


def palette(
    path: Path, wrap: ModuleType, descriptor: list[int], data: bytes, **elements: object
) -> Path:
    pixels = elements.pop("pixels", INDICES)
    tables = {
        f"{channel}PaletteColorLookupTable{kind}": value
        for channel in CHANNELS
        for kind, value in (("Descriptor", descriptor), ("Data", data))
    }
    return wrap.native(path, pixels, photometric="PALETTE COLOR", **{**tables, **elements})


def palette_by_pydicom(path: Path) -> np.ndarray:
    dataset = pydicom.dcmread(path)
    found = apply_color_lut(dataset.pixel_array, dataset)
    return found >> 8 if found.dtype == np.uint16 and found.max() > 255 else found


def palette_by_dcmtk(path: Path) -> np.ndarray:
    picture = path.with_suffix(".ppm")
    command = [program("dcm2pnm"), "+op", str(path), str(picture)]
    subprocess.run(command, check=True, timeout=60, capture_output=True)
    return ppm(picture.read_bytes())


def ppm(content: bytes) -> np.ndarray:
    _, size, _, pixels = content.split(b"\n", 3)
    columns, rows = map(int, size.split())
    return np.frombuffer(pixels, np.uint8).reshape(rows, columns, 3)


PALETTES = {
    "16 bits": ([256, 0, 16], words(RAMP * 257), (palette_by_pydicom, palette_by_dcmtk)),
    "16 bits, dim": ([256, 0, 16], words(RAMP * 200), (palette_by_pydicom, palette_by_dcmtk)),
    "16 bits in the low byte": ([256, 0, 16], words(RAMP), (palette_by_pydicom,)),
    "8 bits": ([256, 0, 8], octets(RAMP), (palette_by_pydicom, palette_by_dcmtk)),
    "8 bits in words": ([256, 0, 8], words(RAMP), (palette_by_pydicom, palette_by_dcmtk)),
    "8 bits in the high byte": ([256, 0, 8], words(RAMP * 256), (palette_by_pydicom,)),
    "8 bits twice": ([256, 0, 8], words(RAMP * 257), (palette_by_pydicom, palette_by_dcmtk)),
    "12 bits": ([256, 0, 12], words(RAMP * 16), (palette_by_dcmtk,)),
    "from 5 on": ([251, 5, 16], words(RAMP[:251] * 257), (palette_by_pydicom, palette_by_dcmtk)),
    "one entry short": ([256, 0, 16], words(RAMP * 257)[:510], (palette_by_dcmtk,)),
}


@pytest.mark.parametrize("name", PALETTES)
def test_a_palette_with_one_reading_is_read_as_others_do(
    tmp_path: Path, wrap: ModuleType, name: str
) -> None:
    descriptor, data, oracles = PALETTES[name]
    path = palette(tmp_path / "a.dcm", wrap, descriptor, data)
    for oracle in oracles:
        np.testing.assert_array_equal(read(path)[0], oracle(path).reshape(16, 16, 3))


def test_no_entries_mean_65536(tmp_path: Path, wrap: ModuleType) -> None:
    table = np.arange(65536)[::-1]
    indices = RNG.integers(0, 65536, (1, 16, 16)).astype(np.uint16)
    path = palette(tmp_path / "a.dcm", wrap, [0, 0, 16], words(table), pixels=indices)
    expected = (table[indices] >> 8).astype(np.uint8)
    np.testing.assert_array_equal(read(path)[..., 0], expected)


def test_signed_indices_begin_below_zero(tmp_path: Path, wrap: ModuleType) -> None:
    path = palette(
        tmp_path / "a.dcm", wrap, [256, -128, 16], words(RAMP * 257), PixelRepresentation=1
    )
    expected = RAMP[INDICES.view(np.int8).astype(int) + 128]
    np.testing.assert_array_equal(read(path)[..., 0], expected)
    np.testing.assert_array_equal(read(path)[0], palette_by_pydicom(path))


def test_segments_are_expanded_as_pydicom_does(tmp_path: Path, wrap: ModuleType) -> None:
    segments = np.array([0, 1, 0, 1, 255, 65535], "<u2").tobytes()
    elements: dict[str, object] = {}
    for channel in CHANNELS:
        elements[f"{channel}PaletteColorLookupTableData"] = None
        elements[f"Segmented{channel}PaletteColorLookupTableData"] = segments
    path = palette(tmp_path / "a.dcm", wrap, [256, 0, 16], b"", **elements)
    found = read(path)[0]
    np.testing.assert_array_equal(found, palette_by_pydicom(path))
    assert np.ptp(found) > 250


AMBIGUOUS = {
    "words for half": ([256, 0, 16], words(RAMP * 257)[:256], {}, r"\(0028,1201\)"),
    "octets stated as words": ([256, 0, 16], octets(RAMP), {}, r"\(0028,1201\)"),
    "a tenth": ([256, 0, 16], words(RAMP * 257)[:50], {}, r"\(0028,1201\)"),
    "octets, short": ([256, 0, 8], octets(RAMP)[:200], {}, r"\(0028,1201\)"),
    "octets, too many": ([200, 0, 8], octets(RAMP), {}, r"\(0028,1201\)"),
    "8 bits that need 16": ([256, 0, 8], words(RAMP * 200), {}, r"\(0028,1101\)"),
    "12 bits that need 16": ([256, 0, 12], words(RAMP * 257), {}, r"\(0028,1101\)"),
    "no bits": ([256, 0, 0], words(RAMP), {}, r"\(0028,1101\)"),
    "32 bits": ([256, 0, 32], words(RAMP), {}, r"\(0028,1101\)"),
    "two numbers": ([256, 0], words(RAMP), {}, r"\(0028,1101\)"),
    "green starts elsewhere": (
        [256, 0, 16],
        words(RAMP * 257),
        {"GreenPaletteColorLookupTableDescriptor": [256, 1, 16]},
        r"\(0028,1102\)",
    ),
    "blue of other depth": (
        [256, 0, 16],
        words(RAMP * 257),
        {"BluePaletteColorLookupTableDescriptor": [256, 0, 8]},
        r"\(0028,1103\)",
    ),
    "blue short": (
        [256, 0, 16],
        words(RAMP * 257),
        {"BluePaletteColorLookupTableData": words(RAMP * 257)[:300]},
        r"\(0028,1203\)",
    ),
    "no data": ([256, 0, 16], b"", {}, r"\(0028,1201\)"),
    "words beside octets": (
        [256, 0, 8],
        octets(RAMP),
        {"GreenPaletteColorLookupTableData": words(RAMP)},
        r"\(0028,1202\)",
    ),
}


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_a_palette_with_more_than_one_reading_is_refused(
    tmp_path: Path, wrap: ModuleType, name: str
) -> None:
    descriptor, data, elements, tag = AMBIGUOUS[name]
    path = palette(tmp_path / "a.dcm", wrap, descriptor, data, **elements)
    with pytest.raises(InputError, match=rf"a\.dcm: .*{tag}") as caught:
        read(path)
    assert caught.value.code == "bad-palette"

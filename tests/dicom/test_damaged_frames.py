"""A damaged frame is never measured: it is left out and told, or its file is refused."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType

import imagecodecs
import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import (
    UID,
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from dicomnode.dicom.decode import Damaged, frames, frames_or_damage
from dicomnode.dicom.exam import Exam, ReadSettings, load_loop, read_study
from dicomnode.dicom.results.overlay import Planes, write_loop
from dicomnode.errors import InputError
from dicomnode.science.motion import register
from dicomnode.science.quality import early
from dicomnode.simulation import recipe_for, simulate
from dicomnode.simulation.writer import write
from parts.codestreams import jpeg_of, rle_of
from parts.planes import as_planes

GREY = np.random.default_rng(5).integers(0, 256, (3, 40, 56), dtype=np.uint8)
Damage = Callable[[bytes], bytes]

ENCODERS: Mapping[str, tuple[UID, Callable[[np.ndarray], bytes]]] = {
    "JPEG": (JPEGBaseline8Bit, jpeg_of),
    "JPEG lossless": (
        JPEGLosslessSV1,
        lambda frame: imagecodecs.jpeg8_encode(frame, lossless=True),
    ),
    "JPEG-LS": (JPEGLSLossless, imagecodecs.jpegls_encode),
    "JPEG 2000": (
        JPEG2000Lossless,
        lambda frame: imagecodecs.jpeg2k_encode(frame, codecformat="j2k", level=0),
    ),
    "HTJ2K": (HTJ2KLossless, imagecodecs.htj2k_encode),
    "RLE": (RLELossless, rle_of),
}
CUTS: Mapping[str, Damage] = {
    "nothing left": lambda stream: b"\0\0",
    "start of image": lambda stream: stream[:2],
    "a third": lambda stream: stream[: len(stream) // 3],
    "two thirds": lambda stream: stream[: len(stream) * 2 // 3],
    "all but 20 bytes": lambda stream: stream[:-20],
    "header zeroed": lambda stream: bytes(64) + stream[64:],
}


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("name", ENCODERS)
def test_a_frame_that_is_cut_is_damaged_and_the_others_are_not(
    tmp_path: Path, wrap: ModuleType, name: str, cut: str
) -> None:
    syntax, encode = ENCODERS[name]
    streams = [encode(frame) for frame in GREY]
    streams[1] = CUTS[cut](streams[1])
    path = wrap.encapsulated(tmp_path / "a.dcm", streams, GREY, "MONOCHROME2", syntax)
    first, second, third = frames_or_damage(path)
    assert isinstance(second, Damaged)
    assert not isinstance(first, Damaged)
    assert not isinstance(third, Damaged)
    assert np.abs(third[..., 0].astype(int) - GREY[2]).mean() < 4
    with pytest.raises(InputError, match=r"a\.dcm: PixelData \(7FE0,0010\): expected frame 2 as"):
        list(frames(path))


@settings(max_examples=150, deadline=None)
@given(
    name=st.sampled_from(sorted(ENCODERS)),
    changes=st.lists(st.tuples(st.integers(0, 900), st.integers(0, 255)), min_size=1, max_size=4),
)
def test_any_bytes_are_a_frame_or_damage(
    tmp_path_factory: pytest.TempPathFactory,
    wrap: ModuleType,
    name: str,
    changes: list[tuple[int, int]],
) -> None:
    syntax, encode = ENCODERS[name]
    stream = bytearray(encode(GREY[0]))
    for at, value in changes:
        stream[at % len(stream)] = value
    path = tmp_path_factory.mktemp("mutated") / "a.dcm"
    wrap.encapsulated(path, [bytes(stream)], GREY[:1], "MONOCHROME2", syntax)
    (frame,) = frames_or_damage(path)
    assert isinstance(frame, Damaged) or frame.shape == (*GREY.shape[1:], 3)


@pytest.mark.parametrize("name", ["JPEG 2000", "HTJ2K"])
def test_tiles_without_a_size_are_damage(tmp_path: Path, wrap: ModuleType, name: str) -> None:
    syntax, encode = ENCODERS[name]
    streams = [bytearray(encode(frame)) for frame in GREY]
    for stream in streams:
        stream[24:32] = bytes(8)
    path = wrap.encapsulated(tmp_path / "a.dcm", map(bytes, streams), GREY, "MONOCHROME2", syntax)
    with pytest.raises(InputError, match="tiles do not cover its image"):
        list(frames(path))


def test_a_jpeg_that_lacks_only_its_end_is_whole(tmp_path: Path, wrap: ModuleType) -> None:
    even, odd, other = (jpeg_of(frame) for frame in GREY)
    whole = [even, odd[:2] + b"\xff\xfe\x00\x03x" + odd[2:], other]
    assert {len(stream) % 2 for stream in whole} == {0, 1}, "one's fragment is padded"
    streams = [stream.removesuffix(b"\xff\xd9") for stream in whole]
    path = wrap.encapsulated(tmp_path / "a.dcm", streams, GREY, "MONOCHROME2", JPEGBaseline8Bit)
    other = wrap.encapsulated(tmp_path / "b.dcm", whole, GREY, "MONOCHROME2", JPEGBaseline8Bit)
    np.testing.assert_array_equal(np.stack([*frames(path)]), np.stack([*frames(other)]))


@pytest.mark.parametrize("padding", [b"\0", b"\xff", b"\xff\xff\xff", b"\x05"])
def test_what_follows_a_full_plane_is_padding_even_where_it_is_no_run(
    tmp_path: Path, wrap: ModuleType, padding: bytes
) -> None:
    streams = [rle_of(frame) + padding for frame in GREY]
    path = wrap.encapsulated(tmp_path / "a.dcm", streams, GREY, "MONOCHROME2", RLELossless)
    np.testing.assert_array_equal(np.stack([*frames(path)])[..., 0], GREY)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    exam = simulate(recipe_for("benign", 9_200_001, preset="small", frames=90, layout="mono-left"))
    path = write(exam, tmp_path_factory.mktemp("clip"))[0]
    streams = [jpeg_of(frame) for frame in frames(path)]
    assert len(streams) == 90
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    dataset.PhotometricInterpretation = "YBR_FULL"
    dataset.PixelData = encapsulate(streams)
    dataset.save_as(path)
    return path


def hurt(clip: Path, target: Path, which: range, damage: Damage) -> Path:
    dataset = pydicom.dcmread(clip)
    count = int(dataset.NumberOfFrames)
    streams = list(generate_frames(dataset.PixelData, number_of_frames=count))
    for index in which:
        streams[index] = damage(streams[index])
    dataset.PixelData = encapsulate(streams)
    dataset["PixelData"].VR = "OB"
    dataset.save_as(target)
    return target


def third(stream: bytes) -> bytes:
    return stream[: len(stream) // 3]


def exam_of(path: Path) -> Exam:
    study = read_study([path], ReadSettings())
    assert [file.reason for file in study.left_out] == []
    return study.exams[0]


@pytest.mark.parametrize("which", [range(30, 42), range(3), range(80, 90), range(0, 90, 6)])
def test_damaged_frames_are_left_out_and_told(clip: Path, tmp_path: Path, which: range) -> None:
    path = hurt(clip, tmp_path / "hurt.dcm", which, third)
    sound, loop = load_loop(exam_of(clip)), load_loop(exam_of(path))
    assert sound.damaged is None
    assert loop.damaged is not None
    assert np.flatnonzero(loop.damaged).tolist() == list(which)
    np.testing.assert_array_equal(loop.times_s, sound.times_s)
    pairs = zip(loop.contrast[~loop.damaged], sound.contrast[~loop.damaged], strict=True)
    assert max(np.abs(a.astype(int) - b).max() for a, b in pairs) <= 1  # of the colour map
    assert not register(loop).kept[loop.damaged].any()
    (warning,) = set(loop.warnings) - set(sound.warnings)
    assert warning.startswith(f"hurt.dcm: PixelData (7FE0,0010): {len(which)} of 90 frames (")
    checks = {check.name: check for check in early(loop).checks}
    assert not checks["damaged frames"].passed
    assert f"(7FE0,0010) that are damaged and left out: {len(which)};" in (
        checks["damaged frames"].message
    )
    changed = {name for name, check in checks.items() if not check.passed}
    passed_before = {check.name for check in early(sound).checks if check.passed}
    assert changed & passed_before == {"damaged frames"}


def test_damage_is_told_by_stretches(clip: Path, tmp_path: Path) -> None:
    path = hurt(clip, tmp_path / "hurt.dcm", range(25, 40), third)
    assert "15 of 90 frames (26 to 40) are damaged" in load_loop(exam_of(path)).warnings[-1]


def test_a_clip_with_too_many_damaged_frames_is_refused(clip: Path, tmp_path: Path) -> None:
    path = hurt(clip, tmp_path / "hurt.dcm", range(30, 60), third)
    with pytest.raises(
        InputError,
        match=r"hurt\.dcm: PixelData \(7FE0,0010\): .* 30 of 90 frames \(31 to 60\).*frame 31",
    ) as caught:
        load_loop(exam_of(path))
    assert caught.value.code == "damaged-frames"


def test_a_clip_of_damaged_frames_is_left_out(clip: Path, tmp_path: Path) -> None:
    path = hurt(clip, tmp_path / "hurt.dcm", range(90), third)
    study = read_study([path, clip], ReadSettings())
    assert [exam.clips[0].path for exam in study.exams] == [clip]
    assert "hurt.dcm: PixelData (7FE0,0010): expected frame 1" in study.left_out[0].reason.text


class Blank:
    """Paints nothing."""

    def paint(self, luma: np.ndarray, chroma: np.ndarray, frame: int) -> None: ...

    def banner(self, width: int) -> Planes:
        return as_planes(np.tile(np.uint8([90, 128, 128]), (8, width, 1)))


def test_the_overlay_shows_a_damaged_frame_as_black(
    clip: Path, tmp_path: Path, example: ModuleType
) -> None:
    path = hurt(clip, tmp_path / "hurt.dcm", range(30, 40), third)
    write_loop(tmp_path / "overlay.dcm", exam_of(path), example.context(), Blank())
    shown = np.stack([frame[:-16].max() for frame in frames(tmp_path / "overlay.dcm")])
    assert len(shown) == 90
    assert shown[30:40].max() < 16
    assert shown[:30].min() > 60

"""Files as no scanner should write them: each made again from a seed and a number."""

import random
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

from pydicom import dcmread, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian

from dicomnode.simulation import recipe_for, simulate, write
from torture.scanner import Clip, clip_of_bytes, clip_of_file

__all__ = ["MUTATIONS", "file_of", "mutated", "sources"]

_LONG = {b"OB", b"OW", b"SQ", b"UN", b"UT", b"OF", b"OD", b"OL", b"UC", b"UR"}
_LENGTHS = (0, 1, 3, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF)
_VALUES = (
    b"",
    b" ",
    b"\0\0",
    b"-1",
    b"0 ",
    b"1\\2\\3 ",
    "1ó".encode(),
    b"NaN ",
    b"1e999 ",
    b"99999999999999999999",
    b"../../etc/passwd",
    b"\xff" * 16,
    b"A" * 70_000,
)


@dataclass(frozen=True)
class _Place:
    """Where an element of the first level lies in the bytes."""

    start: int
    length_at: int
    length_bytes: int
    value: int
    end: int


Mutation = Callable[[random.Random, bytes, Sequence[_Place]], bytes]


def sources(folder: Path) -> list[Clip]:
    """A small simulated exam in several encodings."""
    made = [_simulated(folder / syntax, transfer_syntax=syntax) for syntax in _SIMULATED]
    found = [clip_of_file(path) for path in made]
    return [*found, *(_rewritten(made[0], syntax) for syntax in _REWRITTEN)]


_SIMULATED = ("explicit", "rle", "jpeg")
_REWRITTEN = (ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian)


def _simulated(folder: Path, **choices: str) -> Path:
    recipe = recipe_for(
        "malignant",
        11,
        preset="small",
        rows=52,
        columns=60,
        spacing_mm=0.55,
        frames=10,
        frames_per_s=0.25,
        layout="mono-left",
        tint="grey",
        **choices,
    )
    (path,) = write(simulate(recipe), folder)
    return path


def _rewritten(path: Path, syntax: UID) -> Clip:
    ds = dcmread(path)
    ds.file_meta.TransferSyntaxUID = syntax
    written = BytesIO()
    dcmwrite(
        written,
        ds,
        implicit_vr=syntax.is_implicit_VR,
        little_endian=syntax.is_little_endian,
        force_encoding=True,
    )
    return clip_of_bytes(written.getvalue())


def mutated(clips: Sequence[Clip], seed: int, number: int) -> tuple[str, Clip]:
    """Number ``number``: what was done to which encoding, and the result.

    Its SOP Instance UID is its own, unless the mutation hit it.
    """
    dice = random.Random(f"{seed} {number}")
    clip = dice.choice(clips)
    deflated = clip.syntax == DeflatedExplicitVRLittleEndian
    if deflated:
        clip = replace(clip, dataset=zlib.decompress(clip.dataset, -zlib.MAX_WBITS))
    clip = _renamed(clip, number)
    if stream := deflated and dice.random() < 0.2:
        clip = replace(clip, dataset=_deflate(clip.dataset))
    name = dice.choice(list(MUTATIONS))
    places = [] if stream else _places(clip)
    changed = MUTATIONS[name](dice, clip.dataset, places)
    if deflated and not stream:
        changed = _deflate(changed)
    return f"{name} of {UID(clip.syntax).name}", replace(clip, dataset=changed)


def file_of(clip: Clip) -> bytes:
    """The data set as a file, with meta information that is right."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = clip.sop_class
    meta.MediaStorageSOPInstanceUID = clip.uid
    meta.TransferSyntaxUID = clip.syntax
    head = BytesIO()
    write_file_meta_info(head, meta, enforce_standard=True)
    return bytes(128) + b"DICM" + head.getvalue() + clip.dataset


def _renamed(clip: Clip, number: int) -> Clip:
    """Give the instance a UID of the same length, so that no length in it changes."""
    uid = f"2.25.1{number:06}".ljust(len(clip.uid), "7")
    return replace(clip, uid=uid, dataset=clip.dataset.replace(clip.uid.encode(), uid.encode()))


def _deflate(data: bytes) -> bytes:
    deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    packed = deflate.compress(data) + deflate.flush()
    return packed + bytes(len(packed) % 2)


def _flip_in_header(dice: random.Random, data: bytes, places: Sequence[_Place]) -> bytes:
    end = places[-1].start if places else len(data)
    return _flipped(dice, data, range(max(end, 1)), dice.randint(1, 6))


def _flip_anywhere(dice: random.Random, data: bytes, _places: Sequence[_Place]) -> bytes:
    return _flipped(dice, data, range(len(data)), dice.randint(1, 200))


def _flip_in_pixels(dice: random.Random, data: bytes, places: Sequence[_Place]) -> bytes:
    start = places[-1].start if places else 0
    return _flipped(dice, data, range(start, min(start + 400, len(data))), dice.randint(1, 4))


def _truncate(dice: random.Random, data: bytes, _places: Sequence[_Place]) -> bytes:
    return data[: dice.randrange(len(data))]


def _cut_out(dice: random.Random, data: bytes, _places: Sequence[_Place]) -> bytes:
    at = dice.randrange(len(data))
    return data[:at] + data[at + dice.randint(1, 64) :]


def _put_in(dice: random.Random, data: bytes, _places: Sequence[_Place]) -> bytes:
    at = dice.randrange(len(data))
    return data[:at] + dice.randbytes(dice.randint(1, 64)) + data[at:]


def _lie_about_length(dice: random.Random, data: bytes, places: Sequence[_Place]) -> bytes:
    if not places:
        return data[:1]
    place = dice.choice(places)
    length = dice.choice((*_LENGTHS, place.end - place.value + dice.choice((-2, -1, 1, 2))))
    return _with_length(data, place, length)


def _other_value(dice: random.Random, data: bytes, places: Sequence[_Place]) -> bytes:
    if not places:
        return data[:-1]
    place = dice.choice(places)
    value = dice.choice(_VALUES)
    value += b" " * (len(value) % 2)
    if place.length_bytes == 2:
        value = value[:65_534]
    changed = _with_length(data, place, len(value))
    return changed[: place.value] + value + changed[place.end :]


def _other_kind(dice: random.Random, data: bytes, places: Sequence[_Place]) -> bytes:
    """Another value representation before the same bytes."""
    if not places:
        return data[1:]
    at = dice.choice(places).start + 4
    return (
        data[:at] + dice.choice((b"US", b"DS", b"FD", b"SQ", b"UI", b"??", b"OB")) + data[at + 2 :]
    )


def _delete(dice: random.Random, data: bytes, places: Sequence[_Place]) -> bytes:
    if not places:
        return b""
    place = dice.choice(places)
    return data[: place.start] + data[place.end :]


def _repeat(dice: random.Random, data: bytes, places: Sequence[_Place]) -> bytes:
    if not places:
        return data + data
    place = dice.choice(places)
    return data[: place.end] + data[place.start : place.end] + data[place.end :]


def _nest(dice: random.Random, data: bytes, places: Sequence[_Place]) -> bytes:
    """Sequences within sequences, deeper than any reader's stack, before an element."""
    at = dice.choice(places).start if places else 0
    depth = dice.choice((50, 1_000, 5_000))
    open_ = struct.pack("<HH2sHL", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF)
    item = struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF)
    return data[:at] + (open_ + item) * depth + data[at:]


MUTATIONS: Mapping[str, Mutation] = {
    "bytes flipped in the header": _flip_in_header,
    "bytes flipped before the pixels": _flip_in_pixels,
    "bytes flipped anywhere": _flip_anywhere,
    "truncated": _truncate,
    "bytes cut out": _cut_out,
    "bytes put in": _put_in,
    "a length that lies": _lie_about_length,
    "another value": _other_value,
    "another value representation": _other_kind,
    "an element deleted": _delete,
    "an element repeated": _repeat,
    "sequences nested deeply": _nest,
}
"""What is done, by name; each takes its dice, the bytes and where the elements lie."""


def _flipped(dice: random.Random, data: bytes, where: range, count: int) -> bytes:
    changed = bytearray(data)
    for _ in range(count):
        changed[dice.choice(where)] ^= dice.randint(1, 255)
    return bytes(changed)


def _with_length(data: bytes, place: _Place, length: int) -> bytes:
    order = "<H" if place.length_bytes == 2 else "<L"
    packed = struct.pack(order, length & (0xFFFF if place.length_bytes == 2 else 0xFFFFFFFF))
    return data[: place.length_at] + packed + data[place.length_at + place.length_bytes :]


def _places(clip: Clip) -> list[_Place]:
    """Elements of the first level, up to the pixels."""
    implicit = clip.syntax == ImplicitVRLittleEndian
    found, at, data = [], 0, clip.dataset
    while at + 8 <= len(data):
        place = _place(data, at, implicit=implicit)
        if place.end > len(data):
            break
        found.append(place)
        at = place.end
    return found


def _place(data: bytes, at: int, *, implicit: bool) -> _Place:
    """One element; the pixels, whose length may not be said, reach to the end."""
    if implicit:
        length_at, length_bytes = at + 4, 4
    elif data[at + 4 : at + 6] in _LONG:
        length_at, length_bytes = at + 8, 4
    else:
        length_at, length_bytes = at + 6, 2
    value = length_at + length_bytes
    (length,) = struct.unpack_from("<H" if length_bytes == 2 else "<L", data, length_at)
    end = len(data) if length == 0xFFFFFFFF else value + length
    return _Place(at, length_at, length_bytes, value, end)

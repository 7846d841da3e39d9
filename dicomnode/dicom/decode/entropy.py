"""The coded samples of a JPEG, followed to see that they add up: its decoder does not (T.81 F.2).

libjpeg fills in what it cannot read and says so; what it can read it takes as it is, also where a
byte was overwritten and everything after it is shifted or of another brightness. Followed to its
end without being decoded, such a scan ends too early, has more coefficients than a block, or has
blocks darker than black or brighter than white.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from dicomnode.dicom.decode.codestream import segments
from dicomnode.science.compiled import compiled

__all__ = ["check_scan"]

U8 = NDArray[np.uint8]
Table = NDArray[np.uint16]

QUANTISATION, HUFFMAN, RESTARTS = 0xDB, 0xC4, 0xDD
SEQUENTIAL = (0xC0, 0xC1)
"""Baseline and extended, coded after Huffman: what ultrasound is compressed with."""
WHOLE_BLOCK = 64
SHORT = 10
"""Bits by which most codes are found."""
SLACK = 32
"""What rounding in the encoder may add to eight times a grey level, beyond half a step."""
ENDED, BAD_CODE, TOO_LONG, TOO_BRIGHT, LEFT_OVER = range(5)
TOLD = {
    BAD_CODE: "a code that stands for nothing",
    TOO_LONG: "a block of more than 64 coefficients",
    TOO_BRIGHT: "a block darker than black or brighter than white",
    LEFT_OVER: "bytes left over behind the last block",
}


@dataclass(frozen=True, kw_only=True)
class Scan:
    """What a scan is read by; component of each block of an MCU; tables, steps by component."""

    mcus: int
    interval: int
    component: NDArray[np.int64]
    dc: Table
    ac: Table
    short_ac: Table
    steps: NDArray[np.int64]


def check_scan(data: bytes) -> None:
    """Follow the scan of a JPEG to its end.

    Progressive and multi-scan JPEG, and JPEG without tables of its own, are not looked at.

    Raises
    ------
    ValueError
        Saying what does not add up, and behind how many blocks.
    """
    found = _scan_of(data)
    if found is None:
        return
    scan, start = found
    coded = np.frombuffer(data, np.uint8)[start:]
    tables = (scan.dc, scan.ac, scan.short_ac, scan.steps)
    fault, block = _follow(coded, scan.mcus, scan.interval, scan.component, *tables)
    if fault != ENDED:
        raise ValueError(f"{TOLD[fault]} at block {block} of its scan")


def _scan_of(data: bytes) -> tuple[Scan, int] | None:
    """Tables of the only scan and where its coded bytes begin; None for other kinds."""
    parts, scan_at = segments(data)
    frames = [body for marker, body in parts if marker in SEQUENTIAL]
    if not frames:
        return None
    start = scan_at + 2  # where the length of its header is
    frame, header = frames[0], data[start : start + int.from_bytes(data[start : start + 2], "big")]
    if header[2] != frame[5]:
        return None
    scan = _prepared(
        frame,
        header[2:],
        b"".join(body for marker, body in parts if marker == HUFFMAN),
        b"".join(body for marker, body in parts if marker == QUANTISATION),
        next((int.from_bytes(b, "big") for m, b in reversed(parts) if m == RESTARTS), 0),
    )
    return None if scan is None else (scan, start + len(header))


@lru_cache(maxsize=8)
def _prepared(
    frame: bytes, header: bytes, huffman: bytes, quants: bytes, interval: int
) -> Scan | None:
    """Tables of a scan, which frames of a clip have in common; None where there are too few."""
    rows, columns = int.from_bytes(frame[1:3], "big"), int.from_bytes(frame[3:5], "big")
    tables, steps = _huffman(huffman), _steps(quants)
    chosen = {header[1 + 2 * i]: header[2 + 2 * i] for i in range(header[0])}
    parts = [frame[6 + 3 * i : 9 + 3 * i] for i in range(frame[5])]
    across, down = (max(part[1] >> shift & 15 for part in parts) for shift in (4, 0))
    if any({ids >> 4, 0x10 | ids & 15} - set(tables) for ids in chosen.values()):
        return None
    component: list[int] = []
    for number, (_, sampling, _) in enumerate(parts):
        blocks = (sampling >> 4) * (sampling & 15) if len(parts) > 1 else 1
        component += [number] * blocks
    ac = np.stack([tables[0x10 | chosen[name] & 15] for name, _, _ in parts])
    if len(parts) == 1:
        across = down = 1
    return Scan(
        mcus=-(-rows // (8 * down)) * -(-columns // (8 * across)),
        interval=interval,
        component=np.array(component),
        dc=np.stack([tables[chosen[name] >> 4] for name, _, _ in parts]),
        ac=ac,
        short_ac=_shortened(ac),
        steps=np.array([steps[step] for _, _, step in parts]),
    )


def _steps(quants: bytes) -> dict[int, int]:
    """First step of each quantisation table, that of a block's mean."""
    steps, at = {}, 0
    while at < len(quants):
        wide = quants[at] >> 4
        steps[quants[at] & 15] = int.from_bytes(quants[at + 1 : at + 2 + wide], "big")
        at += 1 + 64 * (1 + wide)
    return steps


def _huffman(data: bytes) -> dict[int, Table]:
    """For each table and the next 16 bits: bits of code and value, and by how much to go on.

    ``bits << 8 | step`` for coefficients, ``bits of the code << 8 | bits of the value`` for means;
    0 where no code begins so.
    """
    tables, at = {}, 0
    while at < len(data):
        name, counts = data[at], data[at + 1 : at + 17]
        table, code, place = np.zeros(1 << 16, np.uint16), 0, at + 17
        for length, count in enumerate(counts, start=1):
            for symbol in data[place : place + count]:
                first = code << 16 - length
                table[first : first + (1 << 16 - length)] = _entry(name, length, symbol)
                code += 1
            place, code = place + count, code << 1
        tables[name], at = table, at + 17 + sum(counts)
    return tables


def _shortened(tables: Table) -> Table:
    """Entries by their first bits, 0 where more are needed: small enough to stay in the cache."""
    alike = tables.reshape(len(tables), 1 << SHORT, -1)
    return np.where((alike == alike[..., :1]).all(axis=-1), alike[..., 0], 0).astype(np.uint16)


def _entry(name: int, length: int, symbol: int) -> int:
    if name < 0x10:
        return length << 8 | symbol
    run, size = symbol >> 4, symbol & 15
    if size == 0:
        return length << 8 | (16 if run == 15 else WHOLE_BLOCK)
    return length + size << 8 | run + 1


@compiled
def _follow(coded, mcus, interval, component, dc, ac, short_ac, steps):  # type: ignore[no-untyped-def]
    """Follow the codes; the fault that is found and the blocks before it."""
    plain = np.zeros(len(coded) + 8, np.uint8)
    means = np.zeros(4, np.int64)
    per_stretch = interval if interval > 0 else mcus
    at = done = 0
    while done < mcus:
        size = 0
        while at < len(coded):
            byte = coded[at]
            if byte == 255:
                if at + 1 >= len(coded):
                    break
                if coded[at + 1] != 0:
                    break
                at += 1
            plain[size] = byte
            size += 1
            at += 1
        plain[size : size + 8] = 0
        while at + 1 < len(coded) and coded[at] == 255 and coded[at + 1] == 255:
            at += 1
        at += 2
        bit = 0
        means[:] = 0
        for _ in range(min(per_stretch, mcus - done)):
            for block in range(len(component)):
                which = component[block]
                place = bit >> 3
                if place > size:
                    return ENDED, done
                word = (
                    np.int64(plain[place]) << 32
                    | np.int64(plain[place + 1]) << 24
                    | np.int64(plain[place + 2]) << 16
                    | np.int64(plain[place + 3]) << 8
                    | np.int64(plain[place + 4])
                )
                word = word << (bit & 7) & 0xFFFFFFFFFF
                entry = dc[which, word >> 24]
                length, width = entry >> 8, entry & 255
                if length == 0 or width > 15:
                    return BAD_CODE, done * len(component) + block
                if width > 0:
                    value = word >> (40 - length - width) & ((1 << width) - 1)
                    if value < 1 << (width - 1):
                        value += 1 - (1 << width)
                    means[which] += value
                    step = steps[which]
                    if abs(2 * means[which] * step) > 2048 + step + 2 * SLACK:
                        return TOO_BRIGHT, done * len(component) + block
                bit += length + width
                k = 1
                while k < WHOLE_BLOCK:
                    place = bit >> 3
                    if place > size:
                        return ENDED, done
                    word = (
                        np.int64(plain[place]) << 16
                        | np.int64(plain[place + 1]) << 8
                        | np.int64(plain[place + 2])
                    )
                    word = word >> (8 - (bit & 7)) & 0xFFFF
                    entry = short_ac[which, word >> (16 - SHORT)]
                    if entry == 0:
                        entry = ac[which, word]
                    if entry == 0:
                        return BAD_CODE, done * len(component) + block
                    bit += entry >> 8
                    step = entry & 255
                    if step != WHOLE_BLOCK and k + step > WHOLE_BLOCK:
                        return TOO_LONG, done * len(component) + block
                    k += step
            done += 1
        first = (bit + 7) >> 3
        if first < size:
            low, high = plain[first], plain[first]
            for place in range(first, size):
                low, high = min(low, plain[place]), max(high, plain[place])
            if not (high == 0 or low == 255):
                return LEFT_OVER, done * len(component)
    return ENDED, done

"""Sorting of contrast clips into injections."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dicomnode.dicom.elements import Elements
from dicomnode.dicom.exam.clip import InspectedClip, continues
from dicomnode.dicom.exam.clock import OVERLAP_S, Placed, apart, overlap, place, tells_start
from dicomnode.dicom.exam.panes import Panes, washes_in
from dicomnode.errors import Reason

__all__ = ["NO_CLOCK", "Injection", "sort_into_injections"]

NO_CLOCK = "no-clock"
"""Code of the reason why a clip gave way to a longer one: nothing tells which came first."""

Run = list[tuple[InspectedClip, float]]
"""Clips and when each starts."""
Part = tuple[list[InspectedClip], Placed]
"""Clips on one clock."""
BASELINE_SHARE = 0.35
"""A clip starts without contrast if it is this near, of the earlier rise, to the earlier start."""


@dataclass(frozen=True, kw_only=True)
class Injection:
    """Clips in order of time, when each starts on the injection's clock, and their common panes."""

    clips: tuple[InspectedClip, ...]
    starts_s: tuple[float, ...]
    panes: Panes
    warnings: tuple[str, ...]


def sort_into_injections(
    clips: Sequence[InspectedClip], *, gap_s: float
) -> tuple[list[Injection], list[tuple[InspectedClip, Reason]]]:
    """Put clips on a clock and cut it where a new injection begins; say which fit nowhere."""
    injections: list[Injection] = []
    left_out: list[tuple[InspectedClip, Reason]] = []
    contrast, unsure = _split(clips)
    for group in _by_geometry(contrast):
        panes = _common_panes(group)
        group += [clip for clip in unsure if continues(clip, group, panes.contrast)]
        unsure = [clip for clip in unsure if all(clip is not other for other in group)]
        parts, reasons = _placed_parts(group, panes, gap_s)
        left_out += reasons
        for part, placed in parts:
            runs = _cut(part, placed, panes, gap_s)
            injections += [_injection(run, placed, panes) for run in runs]
    left_out += [(clip, clip.panes) for clip in unsure if isinstance(clip.panes, Reason)]
    return injections, left_out


def _split(clips: Sequence[InspectedClip]) -> tuple[list[InspectedClip], list[InspectedClip]]:
    contrast = [clip for clip in clips if isinstance(clip.panes, Panes)]
    return contrast, [clip for clip in clips if isinstance(clip.panes, Reason)]


def _by_geometry(clips: Sequence[InspectedClip]) -> list[list[InspectedClip]]:
    groups: dict[tuple[object, ...], list[InspectedClip]] = {}
    for clip in clips:
        assert isinstance(clip.panes, Panes)
        key = (clip.geometry, clip.panes.layout, clip.panes.tinted)
        groups.setdefault(key, []).append(clip)
    return list(groups.values())


def _common_panes(group: Sequence[InspectedClip]) -> Panes:
    """The panes of the longest clip: it showed most of them."""
    longest = max(group, key=lambda clip: len(clip.times_s))
    assert isinstance(longest.panes, Panes)
    return longest.panes


def _clips(group: Sequence[InspectedClip]) -> tuple[list[Elements], list[float]]:
    return [clip.header.elements for clip in group], [clip.duration_s for clip in group]


def _placed_parts(
    group: list[InspectedClip], panes: Panes, gap_s: float
) -> tuple[list[Part], list[tuple[InspectedClip, Reason]]]:
    """Put a group on one clock, or else parts of it that lie far apart, each on its own.

    Where clips of a part contradict one another the others keep their injections.
    """
    placed = place(*_clips(group))
    if placed is not None:
        return [(group, placed)], []
    group, left_out = _with_a_clock(group, gap_s)
    parts = [tuple(range(len(group)))] if left_out else apart(*_clips(group), gap_s)
    if len(parts) == 1 and not left_out:
        return _longest_of_each(group, panes, gap_s)
    found = [_placed_parts([group[index] for index in part], panes, gap_s) for part in parts]
    return (
        [pair for pairs, _ in found for pair in pairs],
        [*left_out, *(reason for _, reasons in found for reason in reasons)],
    )


def _with_a_clock(
    group: list[InspectedClip], gap_s: float
) -> tuple[list[InspectedClip], list[tuple[InspectedClip, Reason]]]:
    """Clips that tell when they were taken, unless the longest of one injection is none of them."""
    told = [clip for clip in group if tells_start(clip.header.elements)]
    longest_s = max(clip.duration_s for clip in group)
    is_longer = all(clip.duration_s < longest_s for clip in told)
    if is_longer and (not told or len(apart(*_clips(told), gap_s)) == 1):
        return group, []
    without = [clip for clip in group if all(clip is not other for other in told)]
    return told, [(clip, _no_clock(clip, "missing", "it is left out")) for clip in without]


def _longest_of_each(
    group: list[InspectedClip], panes: Panes, gap_s: float
) -> tuple[list[Part], list[tuple[InspectedClip, Reason]]]:
    """The longest clip of each injection: by itself it needs no clock, which here is wrong."""
    clash = overlap(*_clips(group)) or "missing, equal or overlapping"
    kept = [_longest(clips) for clips in _injections_of(group, panes, gap_s)]
    others = [clip for clip in group if all(clip is not other for other in kept)]
    then = "only the longest of these clips is analysed"
    return (
        [([clip], _placed([clip])) for clip in kept],
        [(clip, _no_clock(clip, clash, then)) for clip in others],
    )


def _injections_of(
    group: list[InspectedClip], panes: Panes, gap_s: float
) -> list[list[InspectedClip]]:
    """Sort the longest of the clips that overlap, and those that overlap none, into injections."""
    parts = apart(*_clips(group), -OVERLAP_S)
    separate = [_longest([group[index] for index in part]) for part in parts]
    placed = place(*_clips(separate))
    if placed is None:
        return [group]
    runs = _cut(separate, placed, panes, gap_s)
    return [[clip for clip, _ in run] for run in runs]


def _longest(group: list[InspectedClip]) -> InspectedClip:
    return max(group, key=lambda clip: clip.duration_s)


def _placed(group: list[InspectedClip]) -> Placed:
    placed = place(*_clips(group))
    assert placed is not None, "a clip by itself is placed"
    return placed


def _no_clock(clip: InspectedClip, clash: str, then: str) -> Reason:
    told = (
        "not analysed: AcquisitionDateTime (0008,002A), AcquisitionTime (0008,0032) and "
        "ContentTime (0008,0033) do not tell when this clip was taken relative to the other clips "
        f"of the study: {clash}; {then}"
    )
    return Reason(NO_CLOCK, f"{clip.header.path.name}: {told}")


def _cut(group: Sequence[InspectedClip], placed: Placed, panes: Panes, gap_s: float) -> list[Run]:
    """Cut a clock into injections: after a long gap, or where contrast is gone and comes again."""
    runs: list[Run] = []
    for index, start_s in zip(placed.order, placed.starts_s, strict=True):
        clip = group[index]
        if not runs or _is_new(clip, start_s, runs[-1], panes, gap_s):
            runs.append([])
        runs[-1].append((clip, start_s))
    return runs


def _is_new(clip: InspectedClip, start_s: float, run: Run, panes: Panes, gap_s: float) -> bool:
    last, last_start_s = run[-1]
    if start_s - (last_start_s + last.duration_s) > gap_s:
        return True
    curves = [earlier.curve(panes.contrast) for earlier, _ in run]
    together = np.concatenate(curves)
    curve = clip.curve(panes.contrast)
    if not washes_in(together) or not washes_in(curve):
        return False
    base, peak = float(together[0]), float(together.max())
    return bool(curve[0] <= base + BASELINE_SHARE * (peak - base))


def _injection(run: Run, placed: Placed, panes: Panes) -> Injection:
    first_s = run[0][1]
    warnings = [text for clip, _ in run for text in clip.warnings]
    clash = overlap(*_clips([clip for clip, _ in run]))
    if clash is not None:
        warnings.append(f"times of clips contradict one another: {clash}")
    if placed.source == "ContentDate and ContentTime":
        warnings.append(
            "clips are placed by ContentTime (0008,0033), which some scanners stamp when a clip is "
            "stored"
        )
    return Injection(
        clips=tuple(clip for clip, _ in run),
        starts_s=tuple(start_s - first_s for _, start_s in run),
        panes=panes,
        warnings=tuple(warnings),
    )

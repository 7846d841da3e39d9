"""Register a loop: whole pane, then a region of interest, both to a fraction of a pixel.

Two tiers after Ta et al. 2014 (PMC4184933): a coarse search over the whole pane finds where the
probe went, a fine one over the region of interest finds where the tissue of interest went, and
frames that resemble the others least are left out.
"""

from collections.abc import Iterable
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dicomnode.science.faults import faulty
from dicomnode.science.loop import Loop, static_bright
from dicomnode.science.motion.following import CLUELESS_NCC, Coarse, Fine, follow
from dicomnode.science.motion.matching import Matcher, Polisher, shrink
from dicomnode.science.motion.plane import grain_likeness, in_plane
from dicomnode.science.sampling import Motion

__all__ = ["register"]

_SEARCH_MM = 6.0
"""Farthest a pane is looked for from the reference frame."""
_COARSE_PIXELS = 128
"""Longer side of the shrunken pane of the first tier."""
_REGION_PIXELS = 256
"""Longest side of the region of the second tier."""
_OUT_OF_PLANE = 0.5
"""B-mode frames below this share of the usual correlation are left out, whatever comes next."""


def register(
    loop: Loop, region: NDArray[np.bool_] | None = None, *, reference: int | None = None
) -> Motion:
    """Register all frames of a loop to one reference frame near peak contrast.

    The B-mode pane is registered where there is one: its tissue does not change with the bolus,
    and its speckle tells which frames lie in another plane. A single-pane exam falls back on the
    contrast pane itself, on its persistent pattern of enhancement. Before arrival that shows what
    leaks of the tissue instead: those frames are reached through the wash-in, pattern by pattern,
    and interpolated in time where nothing is seen. Whether such a frame is in plane is told by
    its likeness alone.

    Flashes and frames with the probe lifted are not kept.

    Parameters
    ----------
    loop : Loop
    region : ndarray of bool, shape (R, C), optional
        Where the second tier looks; the central half of the pane where not given.
    reference : int, optional
        Reference frame of an earlier registration, kept so that masks stay where they are; a
        frame near peak contrast that resembles the others well where not given.

    Returns
    -------
    Motion
        Translation only: rotation, strain and motion out of plane remain, the last as frames
        that are not kept.
    """
    frames = loop.contrast if loop.bmode is None else loop.bmode
    source: Literal["bmode", "contrast"] = "contrast" if loop.bmode is None else "bmode"
    weight = _weight(loop, source)
    if region is not None and (region.shape != loop.shape or not region.any()):
        raise ValueError(
            f"region: expected pixels in a mask of shape {loop.shape}, "
            f"got {int(region.sum())} in shape {region.shape}"
        )
    if reference is not None and not 0 <= reference < len(frames):
        raise ValueError(
            f"reference: expected a frame from 0 to {len(frames) - 1}, got {reference}"
        )
    start = _peak_frame(loop)
    coarse = _coarse(frames, weight, _search_px(loop))
    fine = _fine(frames, weight, _region_box(loop, region))
    if len(frames) == 1 or not coarse.searchable or not fine.weight.any():
        return _still(loop, start if reference is None else reference, source)
    shift, ncc, lead = _against_mean(coarse, fine, start)
    if source == "contrast":
        shift, ncc = follow(coarse, fine, shift, ncc, lead)
    kept = _kept(ncc)
    if source == "bmode":
        kept &= ncc >= _OUT_OF_PLANE * np.median(ncc)
        kept &= in_plane(grain_likeness(fine, shift, ncc, loop.spacing_mm))
    kept &= ~faulty(loop)
    if reference is None:
        reference = _best_near(start, ncc, kept)
    kept[reference] = True
    shift = _plausible(shift, ncc)
    return Motion(
        shift_px=shift - shift[reference], ncc=ncc, kept=kept, reference=reference, source=source
    )


def _still(loop: Loop, reference: int, source: Literal["bmode", "contrast"]) -> Motion:
    """No motion: there is too little to follow."""
    kept = ~faulty(loop)
    kept[reference] = True
    return Motion(
        shift_px=np.zeros((len(kept), 2)),
        ncc=np.ones(len(kept)),
        kept=kept,
        reference=reference,
        source=source,
    )


def _weight(loop: Loop, source: str) -> NDArray[np.float32]:
    """Weigh what may be looked at: no graphics, nothing that stays with the probe."""
    blocked = ndimage.binary_dilation(loop.graphics, iterations=3)
    if source == "contrast":
        blocked |= static_bright(loop.contrast)
    weight = np.asarray(~blocked, np.float32)
    weight[: round(0.08 * weight.shape[0])] = 0
    return weight


def _peak_frame(loop: Loop) -> int:
    """Index of the frame at which the pane as a whole is brightest, smoothed over time."""
    sparse = loop.contrast[:, ::4, ::4]
    curve = np.array([frame.mean() for frame in sparse])
    return int(np.argmax(ndimage.uniform_filter1d(curve, max(1, len(curve) // 20))))


def _search_px(loop: Loop) -> tuple[int, int]:
    up, across = (
        max(2, min(round(_SEARCH_MM / spacing), round(0.15 * size)))
        for spacing, size in zip(loop.spacing_mm, loop.shape, strict=True)
    )
    return up, across


def _coarse(
    frames: NDArray[np.uint8], weight: NDArray[np.float32], search: tuple[int, int]
) -> Coarse:
    factor = max(1, round(max(weight.shape) / _COARSE_PIXELS))
    counted = shrink((weight * 255).astype(np.uint8), factor) > 200
    return Coarse(
        frames=np.stack([shrink(frame, factor) for frame in frames]),
        weight=counted.astype(np.float32),
        reach=(max(1, search[0] // factor), max(1, search[1] // factor)),
        factor=factor,
    )


def _fine(
    frames: NDArray[np.uint8],
    weight: NDArray[np.float32],
    box: tuple[tuple[int, int], tuple[int, int]],
) -> Fine:
    (row, column), (rows, columns) = box
    counted = weight[row : row + rows, column : column + columns]
    return Fine(frames=frames, weight=counted, corner=(row, column))


def _against_mean(
    coarse: Coarse, fine: Fine, start: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Match all frames against the mean of the aligned frames: first tier, then second, twice each.

    The first template of the first tier is the frame at the start with its neighbours.
    """
    template = coarse.frames[max(0, start - 1) : start + 2].mean(axis=0, dtype=np.float32)
    for _ in range(2):
        matcher = Matcher(template, coarse.weight, coarse.reach)
        matches = [matcher.match(frame) for frame in coarse.frames]
        shift = np.stack([match.shift_px for match in matches]) * coarse.factor
        ncc = np.array([match.ncc for match in matches])
        template = coarse.mean(np.flatnonzero(ncc >= np.median(ncc)), shift)
    shift = _plausible(shift, ncc)
    for _ in range(2):
        best = np.argsort(-ncc, kind="stable")[: max(4, min(40, len(ncc) // 2))]
        polisher = Polisher(fine.mean(best, shift), fine.weight, fine.corner)
        pairs = zip(fine.frames, shift, strict=True)
        shift, ncc = _stacked(polisher.polish(frame, guess) for frame, guess in pairs)
    return shift, ncc, np.array([match.lead for match in matches])


def _stacked(
    found: Iterable[tuple[NDArray[np.float64], float]],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    shifts, nccs = zip(*found, strict=True)
    return np.stack(shifts), np.array(nccs)


def _region_box(
    loop: Loop, region: NDArray[np.bool_] | None
) -> tuple[tuple[int, int], tuple[int, int]]:
    """First pixel and size of the second tier's rectangle."""
    if region is None:
        spans = [(size // 4, size // 2) for size in loop.shape]
    else:
        spans = [_span(np.any(region, axis=1 - axis)) for axis in (0, 1)]
    cut = [_cut(first, size) for first, size in spans]
    return (cut[0][0], cut[1][0]), (cut[0][1], cut[1][1])


def _span(line: NDArray[np.bool_]) -> tuple[int, int]:
    """First pixel and size of what a mask covers, with as much again around it as half of it."""
    where = np.flatnonzero(line)
    margin = max(8, len(where) // 2)
    first = max(0, int(where[0]) - margin)
    return first, min(len(line), int(where[-1]) + 1 + margin) - first


def _cut(first: int, size: int) -> tuple[int, int]:
    surplus = max(0, size - _REGION_PIXELS)
    return first + surplus // 2, size - surplus


def _plausible(shift: NDArray[np.float64], ncc: NDArray[np.float64]) -> NDArray[np.float64]:
    """Replace the shifts of frames that matched nothing by those of their neighbours."""
    sure = ncc >= CLUELESS_NCC
    if not sure.any():
        return np.zeros_like(shift)
    times = np.arange(len(ncc))
    filled = [np.interp(times, times[sure], shift[sure, axis]) for axis in (0, 1)]
    return np.stack(filled, axis=1)


def _kept(ncc: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Keep the frames that resemble the mean about as well as their neighbours in time do."""
    window = int(np.clip(len(ncc) // 5, 5, 31))
    loss = ndimage.median_filter(ncc, size=window, mode="nearest") - ncc
    spread = 1.4826 * float(np.median(np.abs(loss)))
    kept: NDArray[np.bool_] = loss <= max(3.0 * spread, 0.05)
    return kept


def _best_near(start: int, ncc: NDArray[np.float64], kept: NDArray[np.bool_]) -> int:
    """Choose the kept frame that resembles the mean best, near the start frame if there is one."""
    near = np.abs(np.arange(len(ncc)) - start) <= max(2, len(ncc) // 10)
    return int(np.argmax(ncc + 10.0 * kept + 5.0 * near))

"""The contrast pane of a clip: found by tint, wash-in and layout.

Nothing in DICOM marks a contrast pane, so the pixels have to tell. Some frames of the clip, spread
over all of it, are looked at.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dicomnode.dicom.box import Box
from dicomnode.dicom.exam.layout import MOSTLY, Echoes, Layout, arrangements
from dicomnode.errors import Reason

__all__ = ["Layout", "Panes", "find_panes", "level_curve", "washes_in"]

U8 = NDArray[np.uint8]

ONE_HUE = 0.85
"""Length of the mean hue vector of one tint; a Doppler or elasticity scale is far below."""
DOPPLER_SHARE = 0.02
"""From this share of pixels in other hues a grey clip carries a colour scale."""
RISE = 1.4
RISE_GREY = 4.0
"""Wash-in: mean grey level of the pane grows by this ratio and by this many levels."""
CLEARLY = 1.25
DARK_START = 70.0
"""Mean grey level above which a pane at its start shows tissue, not the absence of contrast."""
SHORTEST_WASH_IN_S = 4.0
LUMA = np.array([0.299, 0.587, 0.114])


@dataclass(frozen=True, kw_only=True)
class Panes:
    """Where the panes are. ``bmode`` has the same size as ``contrast`` and shows the same place."""

    contrast: Box
    bmode: Box | None
    layout: Layout
    tinted: bool


def find_panes(
    frames: U8, regions: Sequence[Box], *, duration_s: float | None, has_colour_flow: bool
) -> Panes | Reason:
    """Find the contrast pane, or say in words what the clip shows instead.

    Parameters
    ----------
    frames : ndarray of uint8, shape (T, R, C, 3)
        Frames spread over the clip.
    regions : sequence of Box
        The header's 2D regions; empty takes the whole image.
    duration_s : float or None
        Length of the clip if known: what brightens within a second is the heart, not a bolus.
    has_colour_flow : bool
        Whether the header declares a colour Doppler region.
    """
    if has_colour_flow:
        return Reason("not-ceus", "not CEUS: a region is declared as colour Doppler")
    whole = Box(row=0, column=0, rows=frames.shape[1], columns=frames.shape[2])
    echoes = Echoes.of(frames)
    can_wash_in = duration_s is None or duration_s >= SHORTEST_WASH_IN_S
    reasons: list[Reason] = []
    for boxes, layout in arrangements(echoes, list(regions) or [whole]):
        found = _judge(frames, echoes, boxes, layout, can_wash_in=can_wash_in)
        if isinstance(found, Panes):
            return found
        reasons.append(found)
    return reasons[-1]


def _judge(
    frames: U8, echoes: Echoes, boxes: tuple[Box, ...], layout: Layout, *, can_wash_in: bool
) -> Panes | Reason:
    """Decide which of the boxes is the contrast pane."""
    shares = [echoes.share(box) for box in boxes]
    for box, share in zip(boxes, shares, strict=True):
        if share > DOPPLER_SHARE and echoes.one_hue(box) < ONE_HUE:
            return Reason(
                "not-ceus",
                f"not CEUS: {share:.0%} of the moving echoes are coloured in several hues, as in "
                f"colour Doppler or elastography; one tint was expected",
            )
    tinted = [share > MOSTLY for share in shares]
    curves = [level_curve(frames, box) for box in boxes]
    rising = [can_wash_in and washes_in(curve) for curve in curves]
    contrast = _contrast_index(tinted, rising, curves)
    if contrast is None:
        return _no_contrast(curves, tinted)
    others = [box for i, box in enumerate(boxes) if i != contrast]
    return Panes(
        contrast=boxes[contrast],
        bmode=others[0] if others else None,
        layout=layout,
        tinted=tinted[contrast],
    )


def _contrast_index(
    tinted: list[bool], rising: list[bool], curves: list[NDArray[np.float64]]
) -> int | None:
    """The one tinted pane beside a grey one, else the one that washes in more than the other."""
    if tinted.count(True) == 1 and len(tinted) == 2:
        return tinted.index(True)
    if not any(rising):
        return None
    ratios = [peak / max(start, 1.0) for start, peak in map(_start_and_peak, curves)]
    order = sorted(range(len(curves)), key=lambda i: -ratios[i])
    clear = len(order) == 1 or ratios[order[0]] >= CLEARLY * ratios[order[1]]
    return order[0] if clear and rising[order[0]] else None


def level_curve(frames: U8, box: Box) -> NDArray[np.float64]:
    """Mean grey level of a box in each frame."""
    rows, columns = box.slices
    return np.asarray(frames[:, rows, columns].mean(axis=(1, 2)) @ LUMA)


def washes_in(curve: NDArray[np.float64]) -> bool:
    """Whether a pane starts without contrast and becomes brighter for good."""
    start, peak = _start_and_peak(curve)
    return bool(start < DARK_START and peak >= RISE * start and peak - start >= RISE_GREY)


def _start_and_peak(curve: NDArray[np.float64]) -> tuple[float, float]:
    """Mean of the first samples, and the highest median of three neighbours after them."""
    head = max(1, len(curve) // 8)
    start = float(curve[:head].mean())
    if len(curve) < head + 3:
        return start, start
    triples = np.lib.stride_tricks.sliding_window_view(curve[head:], 3)
    return start, float(np.median(triples, axis=1).max())


def _no_contrast(curves: list[NDArray[np.float64]], tinted: list[bool]) -> Reason:
    told = []
    for curve, is_tinted in zip(curves, tinted, strict=True):
        start, peak = _start_and_peak(curve)
        told.append(f"{'tinted' if is_tinted else 'grey'} pane {start:.0f} to {peak:.0f}")
    return Reason(
        "no-wash-in",
        "not CEUS: no pane washes in (mean grey level from the start to the brightest: "
        f"{'; '.join(told)}) and no tinted pane lies beside a grey one: B-mode",
    )

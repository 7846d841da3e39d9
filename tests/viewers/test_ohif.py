"""A radiologist's view: what OHIF makes of every result, read back from its page and its pixels."""

import re
import time
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from highdicom.color import CIELabColor
from numpy.typing import NDArray
from pydicom import Dataset
from scipy.ndimage import distance_transform_edt

from parts.ohif import Ohif
from parts.waiting import PATIENCE_S

RESULTS = (
    "AI perfusion sub-regions",
    "AI lesion",
    "AI measurements",
    "AI overlay loop",
    "AI key frame",
    "AI report page",
)
PATCH = np.argwhere(np.ones((3, 3))) - 1
"""A pixel and its neighbours: the page's pixels lie between those of the image."""
SHADES = 14.0
"""Greys by which a drawn colour may miss: interpolation and JPEG of a speckled picture."""
OPACITIES = tuple(np.arange(0.2, 0.9, 0.02).tolist())
"""OHIF draws the SEG that was loaded last more firmly than the others."""
LOOK_AGAIN_S = 0.5
COLOUR_STEPS = 3
"""A colour is kept as CIELab in 16 bits, and OHIF rounds it on its way to RGB."""


def masks(seg: Dataset) -> NDArray[np.bool_]:
    return np.asarray(seg.pixel_array, np.bool_).reshape(-1, seg.Rows, seg.Columns)


def colours(seg: Dataset) -> NDArray[np.float64]:
    """RGB of every segment."""
    stored = [segment.RecommendedDisplayCIELabValue for segment in seg.SegmentSequence]
    return np.array([CIELabColor.from_dicom_value(value).to_rgb() for value in stored], float)


def deepest(mask: NDArray[np.bool_]) -> NDArray[np.intp]:
    """The pixel that lies deepest in a mask, and its neighbours."""
    depth = distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    return np.asarray(np.array(np.unravel_index(np.argmax(depth), mask.shape)) + PATCH)


def reference_frame(seg: Dataset) -> int:
    """Number of the source frame that the SEG is of."""
    group = seg.PerFrameFunctionalGroupsSequence[0]
    return int(group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber)


def source_clip(seg: Dataset) -> str:
    """UID of the clip that the SEG is of."""
    instances = seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    return str(instances[0].ReferencedSOPInstanceUID)


def mixed(
    beneath: NDArray[np.float64],
    layers: list[tuple[int, NDArray[np.float64]]],
    opacities: tuple[float, ...],
) -> NDArray[np.float64]:
    """Lay colours over a pixel, each with the opacity of its SEG."""
    for number, colour in layers:
        beneath = (1 - opacities[number]) * beneath + opacities[number] * colour
    return beneath


def listed_as_stored(rows: list[dict[str, str]], seg: Dataset) -> None:
    """Every segment has its name and its colour in the panel, which lists the SEG loaded last."""
    names = [str(segment.SegmentLabel) for segment in seg.SegmentSequence]
    assert [row["name"] for row in rows] == names
    rgb = [[int(n) for n in re.findall(r"\d+", row["colour"])] for row in rows]
    assert np.abs(np.array(rgb) - colours(seg)).max() <= COLOUR_STEPS


def shown_as_stored(
    viewer: Ohif, segs: Sequence[Dataset], frame: NDArray[np.uint8], picture: Path
) -> None:
    """Every segment is drawn over the image at its place, with one opacity for each SEG.

    On a busy machine OHIF paints some time after it says what it shows: a person waits, too.
    """
    give_up_at = time.monotonic() + PATIENCE_S
    while (missed := misses_of(viewer, segs, frame, picture)) and time.monotonic() < give_up_at:
        time.sleep(LOOK_AGAIN_S)
    assert not missed, missed


def misses_of(
    viewer: Ohif, segs: Sequence[Dataset], frame: NDArray[np.uint8], picture: Path
) -> dict[str, float]:
    """By how many greys each segment is drawn wrong, with the opacities that fit best; or empty."""
    parts = np.concatenate([*map(masks, segs)])
    rgb = [(number, colour) for number, seg in enumerate(segs) for colour in colours(seg)]
    points = [deepest(part) for part in parts] + [deepest(~parts.any(axis=0))]
    drawn = viewer.colours(np.concatenate(points), picture).reshape(len(points), -1, 3).mean(axis=1)
    beneath = [frame[tuple(place.T)].astype(float).mean(axis=0) for place in points]
    layers = [[rgb[i] for i in range(len(parts)) if parts[i][tuple(p[4])]] for p in points]
    misses = {
        opacities: [
            float(np.abs(mixed(b, over, opacities) - d).max())
            for b, over, d in zip(beneath, layers, drawn, strict=True)
        ]
        for opacities in product(OPACITIES, repeat=len(segs))
    }
    best = min(misses, key=lambda opacities: max(misses[opacities]))
    if max(misses[best]) < SHADES:
        return {}
    names = [str(part.SegmentLabel) for seg in segs for part in seg.SegmentSequence] + ["outside"]
    return dict(zip(names, misses[best], strict=True))


def test_every_segment_is_listed_and_drawn_at_its_place(
    viewer: Ohif, stored: Any, tmp_path: Path
) -> None:
    listed = viewer.ask("open", study=stored.study_uid, series=stored.series)["series"]
    assert len(listed) == stored.series
    for result in RESULTS:
        assert sum(result in text for text in listed) == len(stored.segs), (result, listed)
    for seg, lesion, frames in zip(stored.segs, stored.lesions, stored.frames, strict=True):
        clip = source_clip(seg)
        # OHIF knows the frames of a clip only once it was shown: before, its SEG loads for ever.
        viewer.ask("show", instance=clip)
        loaded = viewer.ask("load", instance=seg.SOPInstanceUID)
        listed_as_stored(loaded["rows"], seg)
        instance, number = re.findall(r"instances/([\d.]+)/frames/(\d+)", loaded["image"])[0]
        assert (instance, int(number)) == (clip, reference_frame(seg))
        shown_as_stored(viewer, [seg], frames[int(number) - 1], tmp_path / "loaded.png")
        stepped = viewer.ask("step", key="ArrowUp" if int(number) > 1 else "ArrowDown")["frame"]
        shown_as_stored(viewer, [seg], frames[stepped - 1], tmp_path / "stepped.png")
        beside = viewer.ask("load", instance=lesion.SOPInstanceUID)
        listed_as_stored(beside["rows"], lesion)
        back = re.findall(r"frames/(\d+)", beside["image"])[0]
        shown_as_stored(viewer, [seg, lesion], frames[int(back) - 1], tmp_path / "both.png")
    for report, seg in zip(stored.reports, stored.segs, strict=True):
        words, clip = "Probability of cancer: 87.00 %", source_clip(seg)
        shown = viewer.ask("report", instance=report, words=words, other=clip)
        assert re.search(rf"/frames/{reference_frame(seg)}$", shown["image"])
        for words in ("Probability of cancer, lower limit: 71.00 %", "Area: 200.19 mm2"):
            assert words in shown["text"]
    for part in stored.pictures:
        viewer.ask("show", instance=part)

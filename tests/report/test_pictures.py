"""Pictures for people: they always render, show what was found, and stay where the tissue is."""

from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.markers import CARETUP
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.ndimage import binary_dilation, binary_erosion

from dicomnode.errors import Reason
from dicomnode.report.curves import draw_curves
from dicomnode.report.keyframe import keyframe
from dicomnode.report.maps import draw_bmode, draw_contrast
from dicomnode.report.notice import SHORT_NOTICE
from dicomnode.report.page import ReportHeader, page
from dicomnode.report.paint import LoopPainter, banner, layer
from dicomnode.report.regions import draw_regions
from dicomnode.report.style import BAD, CAUTION, DPI, TITLE, number, percent, shorten
from dicomnode.report.tables import (
    draw_answer,
    draw_contributions,
    draw_quality,
    draw_warnings,
)
from dicomnode.science.feature_table import FEATURES, Feature
from dicomnode.science.findings import (
    PALETTE,
    UNRELIABLE,
    Check,
    Diagnosis,
    Findings,
    Quality,
    Region,
)

UNSURE = "the outline is uncertain: doubt 0.71 of 1, at most 0.5 expected; there may be no lesion"
HEADER = ReportHeader(facts="left breast", software="dicomnode")


def page_of(findings: Findings) -> NDArray[np.uint8]:
    picture = page(findings, HEADER)
    assert picture.shape == (1200, 1600, 3)
    assert picture.dtype == np.uint8
    return picture


def answered(full: Findings, decision: Any) -> Findings:
    return replace(full, diagnosis=replace(full.diagnosis, decision=decision))


def not_judged(full: Findings) -> Findings:
    """The same with an outline that is uncertain."""
    check = Check(
        name="outline", value=0.71, limit=0.5, unit="1", passed=False, refuses=False, message=UNSURE
    )
    return replace(
        full,
        diagnosis=Diagnosis.withheld(Reason("uncertain-outline", UNSURE)),
        quality=Quality(grade="D", checks=(*full.quality.checks, check)),
    )


def test_the_title_bar_looks_the_same_whatever_the_answer_is(example: ModuleType) -> None:
    full = example.findings()
    each = [answered(full, kind) for kind in ("malignant", "benign", "indeterminate")]
    grounds = [page_of(found)[:6].reshape(-1, 3) for found in (*each, not_judged(full))]
    assert {to_hex(colour / 255) for ground in grounds for colour in ground} == {TITLE}


def title_of(found: Findings) -> str:
    axes = sheet(1600, 104)
    draw_answer(axes, found, "left breast")
    assert {colour for text, colour in said(axes).items() if text} == {"#ffffff"}
    return "\n".join(said(axes))


@pytest.mark.parametrize("kind", ["malignant", "benign"])
def test_the_title_is_a_probability_with_what_it_assumes(example: ModuleType, kind: str) -> None:
    title = title_of(answered(example.findings(), kind))
    assert title.startswith("Probability of malignancy 87 %\n")
    assert f"the model answers: {kind}" in title
    assert "assumes half of the exams malignant, as of the simulated exams learnt from" in title
    assert "71 to 95 %" in title
    assert "LIKELY" not in title.upper()


def test_the_title_of_an_open_answer_says_so_first(example: ModuleType) -> None:
    title = title_of(answered(example.findings(), "indeterminate"))
    assert title.startswith("Indeterminate\n")
    assert "malignancy 87 % · 71 to 95 %" in title


def test_an_interval_that_ends_at_the_probability_is_not_drawn(example: ModuleType) -> None:
    full = example.findings()
    lines = {}
    for interval in ((0.71, 0.95), (0.87, 0.87)):
        axes = sheet(1600, 104)
        draw_answer(axes, replace(full, diagnosis=replace(full.diagnosis, interval=interval)), "")
        lines[interval] = len(axes.lines)
        assert not any(text.startswith("87") for text in said(axes))
    assert lines[0.71, 0.95] == lines[0.87, 0.87] + 1


def test_where_nothing_is_judged_the_page_says_so_and_why(example: ModuleType) -> None:
    found = not_judged(example.findings())
    title = title_of(found)
    assert title.startswith("Not judged\nthe outline is uncertain: doubt 0.71 of 1, at most 0.5")
    assert "there may be no lesion" in title
    assert "outlined: 16.4 × 15.1 mm" in title
    assert "malignancy" not in title
    assert "simulated" in title
    why, pane, contrast = sheet(500, 164), sheet(), sheet()
    draw_contributions(why, found)
    assert set(said(why)) == {"Nothing was judged."}
    draw_bmode(pane, found)
    draw_contrast(contrast, found)
    assert pane.get_title("right") == "outline uncertain"
    assert "area" not in contrast.get_title("right")


def test_a_failed_check_keeps_its_limit(example: ModuleType) -> None:
    axes = sheet(500, 164)
    draw_quality(axes, not_judged(example.findings()))
    words = " ".join(said(axes))
    assert UNSURE in words
    assert "and 2 more, 2 passed" in words


def test_why_says_what_is_so_by_its_sign_and_what_is_usual(example: ModuleType) -> None:
    axes = sheet(500, 164)
    draw_contributions(axes, example.findings())
    words = list(said(axes))
    at = words.index("peaks 8.0 s earlier than tissue")
    assert words[at + 1] == "−3.1 s"
    assert "rim brighter than core by 6.9 dB" in words
    assert "average exam learnt from" in axes.get_title("right")
    assert not any("B-mode" in text for text in words)
    widths = {round(bar.get_width(), 3) for bar in axes.patches}
    assert min(widths) < 0 < max(widths)
    assert {to_hex(bar.get_facecolor()) for bar in axes.patches} == {TITLE}


@pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature.name)
def test_no_words_of_why_reach_into_the_average(example: ModuleType, feature: Feature) -> None:
    full = example.findings()
    row = replace(full.diagnosis.contributions[0], feature=feature.name)
    for value in (-2.22, 22.2 if feature.unit == "s" else 2.22):
        item = replace(row, value=value, mean=value)
        axes = sheet(500, 164)
        draw_contributions(
            axes, replace(full, diagnosis=replace(full.diagnosis, contributions=(item,)))
        )
        renderer = FigureCanvasAgg(axes.figure).get_renderer()
        words, average = (text.get_window_extent(renderer) for text in axes.texts)
        assert words.x1 < average.x0


def test_without_a_bmode_pane_no_area_of_it_is_named(example: ModuleType) -> None:
    axes = sheet()
    draw_contrast(axes, example.bare_findings())
    assert axes.get_title("right") == "perfusion sub-regions"


def test_the_page_shows_every_sub_region(example: ModuleType) -> None:
    picture = page_of(example.findings())
    table = picture[660:950, 24:60].reshape(-1, 3)
    for region in example.findings().subregions:
        assert (table == region.rgb).all(axis=1).any(), region.name


def sheet(width: float = 760, height: float = 292) -> Axes:
    """Axes of a size on the page, in pixels."""
    return Figure(figsize=(width / DPI, height / DPI), dpi=DPI).add_axes((0, 0, 1, 1))


def said(axes: Axes) -> dict[str, str]:
    """Every text on the axes, with its colour."""
    return {text.get_text(): to_hex(text.get_color()) for text in axes.texts}


def crowded(full: Findings) -> Findings:
    """As many rows as the palette has colours."""
    regions = [replace(full.subregions[n % 4], number=n) for n in range(1, 7)]
    return replace(full, subregions=(*regions, full.subregions[-1]))


def test_the_table_says_how_each_region_stands_against_tissue(example: ModuleType) -> None:
    full = example.findings()
    axes = sheet()
    draw_regions(axes, full)
    words = said(axes)
    assert {"whole lesion", "reference tissue", "arrival (s)", "PE (a.u.)"} <= set(words)
    for region in (*full.subregions[:-1], full.whole):
        assert number(region.parameters["PE"].median) in words
        assert f"{number(region.relative['PE'].median, 2)} ×" in words
        shift = f"{region.relative['TTP'].median:+.1f} s".replace("-", "−")
        assert shift in words
        assert number(region.parameters["arrival"].median) in words
    assert "−2.0 s" in words  # by which contrast is in the fastest sub-region before tissue


def test_without_reference_tissue_the_table_stays_absolute(example: ModuleType) -> None:
    full = example.findings()
    axes = sheet()
    nothing = Region(parameters={}, relative={})
    draw_regions(
        axes,
        replace(
            full,
            subregions=tuple(replace(region, relative={}) for region in full.subregions),
            whole=replace(full.whole, relative={}),
            tissue=nothing,
            curves=tuple(curve for curve in full.curves if curve.name != "reference tissue"),
        ),
    )
    words = said(axes)
    assert "reference tissue" not in words
    assert not any("×" in word or word.startswith(("+", "−")) for word in words)
    assert number(full.whole.parameters["PE"].median) in words


@pytest.mark.parametrize("rows", ["usual", "crowded"])
def test_no_two_texts_of_the_table_overlap(example: ModuleType, rows: str) -> None:
    full = example.findings()
    axes = sheet()
    draw_regions(axes, full if rows == "usual" else crowded(full))
    renderer = FigureCanvasAgg(axes.figure).get_renderer()
    boxes = [
        text.get_tightbbox(renderer).padded(-1) for text in axes.texts if text.get_text().strip()
    ]
    for n, box in enumerate(boxes):
        assert box.y0 > 0
        assert box.x1 < 760
        assert box.count_overlaps(boxes[n + 1 :]) == 0, axes.texts[n].get_text()


@pytest.mark.parametrize(
    ("ari", "words", "alarming"),
    [
        (0.86, "0.86 of 1 in 10 resamplings of the loop · steady against noise", False),
        (0.7, "0.70 of 1 in 10 resamplings of the loop · borders shift", False),
        (0.4, "do not rely on it", True),
        (float("nan"), "do not rely on it", True),
    ],
)
def test_the_table_says_in_words_how_far_the_sub_regions_repeat(
    example: ModuleType, ari: float, words: str, alarming: bool
) -> None:
    full = example.findings()
    axes = sheet()
    draw_regions(axes, replace(full, stability=replace(full.stability, ari=ari)))
    (line,) = [text for text in said(axes) if text.startswith("Sub-regions repeat")]
    assert words in line
    assert (said(axes)[line] == BAD) is alarming
    axes = sheet()
    draw_regions(axes, replace(full, stability=None))
    assert not any("repeat" in text for text in said(axes))


def test_warnings_stand_below_the_answer(example: ModuleType) -> None:
    full = example.findings()
    with_band, without = page_of(full), page_of(replace(full, warnings=()))
    assert to_hex(with_band[110, 1590] / 255) == CAUTION
    assert to_hex(without[110, 1590] / 255) == "#ffffff"
    axes = sheet(1600, 28)
    draw_warnings(axes, full)
    assert example.WARNING in said(axes)
    title = sheet(1600, 104)
    draw_answer(title, full, "")
    assert "1 check failed · 1 warning" in said(title)


def test_more_warnings_than_there_is_room_for_are_counted(example: ModuleType) -> None:
    axes = sheet(1600, 68)
    draw_warnings(axes, replace(example.findings(), warnings=("a", "b", "c", "d")))
    assert {"a", "b", "and 2 more warnings, in the structured report"} <= set(said(axes))
    assert "c" not in said(axes)


def test_arrivals_are_marked_below_the_curves_of_sub_regions(example: ModuleType) -> None:
    full = example.findings()
    lost = replace(full.curves[0], number=UNRELIABLE, name="unreliable")
    axes = sheet(704, 430)
    draw_curves(axes, replace(full, curves=(*full.curves, lost)))
    marks = {
        to_hex(line.get_color()): (line.get_xdata()[0], line.get_ydata()[0])
        for line in axes.lines
        if line.get_marker() == CARETUP
    }
    expected = {
        to_hex(np.array(region.rgb) / 255): (region.parameters["arrival"].median, example.BASELINE)
        for region in full.subregions
        if region.number != UNRELIABLE
    }
    assert marks == expected
    axes = sheet(704, 430)
    draw_curves(axes, example.bare_findings())
    assert not any(line.get_marker() == CARETUP for line in axes.lines)


def test_the_least_that_can_be_found_still_makes_a_page(example: ModuleType) -> None:
    page_of(example.bare_findings())
    keyframe(example.bare_findings())


def test_long_texts_and_many_rows_still_make_a_page(example: ModuleType) -> None:
    full = example.findings()
    long = "a very long text with $dollars$ and _underscores_ " * 8
    regions = tuple(replace(full.subregions[0], number=n, name=long) for n in range(1, 7))
    check = replace(full.quality.checks[0], message=long, value=None)
    findings = replace(
        full,
        subregions=regions,
        quality=replace(full.quality, checks=(check,) * 14),
        diagnosis=replace(
            full.diagnosis,
            decision="indeterminate",
            reasons=(Reason("x", long), Reason("y", long)),
            contributions=tuple(
                replace(item, meaning=long) for item in full.diagnosis.contributions * 3
            ),
        ),
        models=tuple(replace(model, trained_on=long, name=long) for model in full.models * 2),
    )
    page_of(findings)
    keyframe(findings)


@pytest.mark.parametrize("spacing_mm", [(0.1, 0.3), (0.3, 0.1), (0.2, 0.2)])
def test_key_frames_have_the_proportions_of_tissue(
    example: ModuleType, spacing_mm: tuple[float, float]
) -> None:
    findings = replace(example.findings(), spacing_mm=spacing_mm)
    picture = keyframe(findings)
    rows, columns = findings.contrast_image.shape
    width = (picture.shape[1] - 12) / 2
    assert width / 900 == pytest.approx(columns * spacing_mm[1] / (rows * spacing_mm[0]), rel=0.01)


SHAPE = (201, 151)
"""Of a pane of the made-up exam."""


def pane_at(row: int, column: int) -> tuple[slice, slice]:
    return slice(row, row + SHAPE[0]), slice(column, column + SHAPE[1])


def grey_planes(
    rows: int, columns: int, level: int = 128
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    luma = np.full((rows, columns), level, np.uint8)
    return luma, np.full((2, rows, (columns + 1) // 2), 128, np.uint8)


def in_rgb(luma: NDArray[np.uint8], chroma: NDArray[np.uint8]) -> NDArray[np.uint8]:
    wide = np.moveaxis(np.repeat(chroma, 2, axis=-1), 0, -1)[:, : luma.shape[1]]
    picture = np.concatenate([luma[..., None], wide], axis=-1)
    return np.asarray(Image.fromarray(picture, "YCbCr").convert("RGB"))


def painted(
    found: Findings, column: int = 0, shift: tuple[float, float] = (0, 0)
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A black image of odd width, painted from a column on."""
    shifts = np.tile(shift, (len(found.times_s), 1)).astype(float)
    moved = replace(found, shift_px=shifts, kept=np.ones(len(found.times_s), np.bool_))
    planes = grey_planes(SHAPE[0], 201, 0)
    LoopPainter(moved, pane_at(0, column)).paint(*planes, 0)
    return planes


def middle_of_colour(chroma: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Row and column of chroma about which colour lies."""
    strength = np.abs(chroma.astype(float) - 128).sum(axis=0)
    places = np.indices(strength.shape)
    return np.asarray((places * strength).sum(axis=(1, 2)) / strength.sum())


@pytest.mark.parametrize("column", [0, 1, 40, 41])
@pytest.mark.parametrize("shift", [(7, -4), (0, -3), (-2, 1), (0, 0)])
def test_paint_moves_with_the_tissue(
    example: ModuleType, column: int, shift: tuple[int, int]
) -> None:
    found = example.findings()
    still, moved = painted(found, 20), painted(found, column, shift)
    by = shift[1] + column - 20
    assert np.array_equal(np.roll(still[0], (shift[0], by), (0, 1)), moved[0])
    expected = middle_of_colour(still[1]) + np.array([shift[0], by / 2])
    assert np.allclose(middle_of_colour(moved[1]), expected, atol=0.15)


@pytest.mark.parametrize("shift", [(0.5, 0), (0, 0.5)])
def test_paint_lies_between_pixels(example: ModuleType, shift: tuple[float, float]) -> None:
    still, half = painted(example.findings())[0], painted(example.findings(), 0, shift)[0]
    one = np.roll(still, (1, 0) if shift[0] else (0, 1), (0, 1))
    assert np.abs(half - (still.astype(float) + one) / 2).max() <= 1


def test_the_last_column_of_an_odd_image_is_coloured(example: ModuleType) -> None:
    whole = example.findings()
    found = replace(
        whole,
        subregion_map=np.full_like(whole.subregion_map, 2),
        lesion_mask=np.zeros_like(whole.lesion_mask),
    )
    planes = grey_planes(*SHAPE)
    LoopPainter(found, pane_at(0, 0)).paint(*planes, found.reference_frame)
    assert SHAPE[1] % 2 == 1
    assert (planes[1][:, 20:-20, -1] != 128).any(axis=0).all()


def test_the_outline_over_bmode_leaves_the_colours_beside_it(
    example: ModuleType,
) -> None:
    found = example.findings()
    alone, both = grey_planes(201, 320), grey_planes(201, 320)
    LoopPainter(found, pane_at(0, 0)).paint(*alone, found.reference_frame)
    LoopPainter(found, pane_at(0, 0), pane_at(0, 60)).paint(*both, found.reference_frame)
    line = np.zeros((201, 320), np.bool_)
    line[pane_at(0, 60)] = binary_dilation(found.lesion_mask, iterations=3)
    line[pane_at(0, 60)] &= ~binary_erosion(found.lesion_mask, iterations=3)
    away = ~(line[:, ::2] | line[:, 1::2])
    assert (alone[1][:, away] != 128).any()
    assert np.array_equal(alone[1][:, away], both[1][:, away])


@pytest.mark.parametrize("column", [40, 41])
def test_paint_lies_in_its_pane_with_the_colours_of_the_palette(
    example: ModuleType, column: int
) -> None:
    findings = example.findings()
    painter = LoopPainter(findings, pane_at(10, column))
    planes = grey_planes(230, 251)
    painter.paint(*planes, findings.reference_frame)
    pane = in_rgb(*planes)[pane_at(10, column)]
    for number_, rgb in PALETTE.items():
        mask = findings.subregion_map == number_
        if mask.sum() > 200:
            toward = np.sign(np.array(rgb) - 128)
            moved = np.median(pane[mask], axis=0) - 128
            assert (toward * moved > 0).all()
    away = ~binary_dilation(findings.lesion_mask, iterations=3)
    assert (pane[away] == 128).all()
    expected = 255 * layer(findings)[..., :3] + 128 * (1 - layer(findings)[..., 3:])
    inside = binary_erosion(findings.lesion_mask, iterations=3)
    error = np.abs(pane[inside] - expected[inside])
    assert np.median(error) <= 2


def test_paint_leaves_the_image_alone_outside_and_in_frames_left_out(example: ModuleType) -> None:
    findings = example.findings()
    painter = LoopPainter(findings, pane_at(0, 0), pane_at(0, 160))
    grey = np.random.default_rng(2).integers(0, 256, (201, 320), np.uint8)
    _, chroma = grey_planes(201, 320)
    left_out, kept = (grey.copy(), chroma.copy()), (grey.copy(), chroma.copy())
    painter.paint(*left_out, 7)
    painter.paint(*kept, findings.reference_frame)
    assert np.array_equal(left_out[0], grey)
    assert (left_out[1] == 128).all()
    assert np.array_equal(kept[0][:40], grey[:40])
    for pane in (pane_at(0, 0), pane_at(0, 160)):
        assert not np.array_equal(kept[0][pane], grey[pane])
    colour = (kept[1] != 128).any(axis=(0, 1))
    assert colour[:76].any()
    assert not colour[76:].any()  # the outline over B-mode is white


@pytest.mark.parametrize("shift", [(300, 0), (-400.5, 20), (0, 149.5), (-90, -80)])
def test_paint_never_leaves_its_pane(example: ModuleType, shift: tuple[float, float]) -> None:
    findings = replace(
        example.findings(), shift_px=np.tile(shift, (example.FRAMES, 1)).astype(float)
    )
    planes = grey_planes(260, 220)
    pane = pane_at(30, 35)
    LoopPainter(findings, pane).paint(*planes, 0)
    planes[0][pane] = 128
    planes[1][:, pane[0], 35 // 2 : (35 + SHAPE[1] + 1) // 2] = 128
    assert (planes[0] == 128).all()
    assert (planes[1] == 128).all()


@pytest.mark.parametrize("width", [64, 331, 640, 1600])
def test_a_banner_is_as_wide_as_asked(example: ModuleType, width: int) -> None:
    strip = banner(example.findings(), width)
    assert strip.shape[1:] == (width, 3)
    assert strip.max() > 200


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, str]]:
    """Where each text that is drawn ends, and the text."""
    written: list[tuple[float, str]] = []
    draw_text = ImageDraw.ImageDraw.text

    def text(self: ImageDraw.ImageDraw, xy: tuple[float, float], words: str, **how: Any) -> None:
        written.append((xy[0] + how["font"].getlength(words), words))
        draw_text(self, xy, words, **how)

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", text)
    return written


@pytest.mark.parametrize("width", [331, 640, 1600])
def test_a_banner_says_that_nothing_is_judged(
    example: ModuleType, width: int, written: list[tuple[float, str]]
) -> None:
    banner(example.findings(), width)
    assert "judged" not in " ".join(words for _, words in written)
    written.clear()
    banner(not_judged(example.findings()), width)
    assert "Not judged: the outline is uncertain" in " ".join(words for _, words in written)
    assert max(end for end, _ in written) <= width


@pytest.mark.parametrize("width", [181, 331, 640])
def test_a_banner_cuts_no_notice(
    example: ModuleType, width: int, written: list[tuple[float, str]]
) -> None:
    banner(example.findings(), width)
    assert max(end for end, _ in written) <= width
    assert SHORT_NOTICE in " ".join(words for _, words in written)


def test_numbers_are_written_for_people() -> None:
    assert [number(value) for value in (0.04, 11.28, 203.4, 0, None, float("nan"), -1.5)] == [
        "0.0400",
        "11.3",
        "203",
        "0",
        "–",
        "–",
        "-1.50",
    ]
    assert [percent(value) for value in (0.999, 0.001, 0.0, 0.87)] == [
        ">99 %",
        "<1 %",
        "0 %",
        "87 %",
    ]
    assert shorten("abcdef", 4) == "abc…"

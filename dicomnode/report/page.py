"""The report page: one page a radiologist reads in ten seconds."""

from dataclasses import dataclass
from io import BytesIO

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from dicomnode.report.curves import draw_curves
from dicomnode.report.maps import MAPS, aspect, draw_bmode, draw_contrast, draw_map
from dicomnode.report.notice import NOTICE, training_notice
from dicomnode.report.regions import draw_regions
from dicomnode.report.style import BACKGROUND, DPI, INK, MUTED, SIZES, blank, picture
from dicomnode.report.tables import (
    draw_answer,
    draw_contributions,
    draw_models,
    draw_quality,
    draw_warnings,
    warning_lines,
)
from dicomnode.science.findings import Findings

__all__ = ["ReportHeader", "page", "page_as_pdf"]

WIDTH_PX, HEIGHT_PX = 1600, 1200
IMAGE_TOP_PX, IMAGE_WIDTH_PX, IMAGE_HEIGHT_PX = 142, 372, 470


@dataclass(frozen=True, kw_only=True)
class ReportHeader:
    """What the page says about the exam besides the findings. No names: pixels cannot be edited.

    Attributes
    ----------
    facts : str
        A few words, e.g. "left breast · injection 1 · 2025-01-02".
    software : str
        Name and version of what made the page.
    """

    facts: str = ""
    software: str = ""


def page(findings: Findings, header: ReportHeader) -> NDArray[np.uint8]:
    """Render the report page, shape (1200, 1600, 3)."""
    return picture(_drawn(findings, header))


def page_as_pdf(findings: Findings, header: ReportHeader) -> bytes:
    """Render the same page as a PDF file; the same findings give the same bytes."""
    file = BytesIO()
    nameless = {"CreationDate": None, "Producer": None, "Creator": header.software}
    with rc_context({"pdf.fonttype": 42}):
        _drawn(findings, header).savefig(file, format="pdf", metadata=nameless)
    return file.getvalue()


def _drawn(findings: Findings, header: ReportHeader) -> Figure:
    figure = Figure(figsize=(WIDTH_PX / DPI, HEIGHT_PX / DPI), dpi=DPI, facecolor=BACKGROUND)
    draw_answer(_axes(figure, 0, 0, 1600, 104), findings, header.facts)
    band = _warning_height(findings)
    if band:
        draw_warnings(_axes(figure, 0, 104, 1600, band), findings)
    top, height = IMAGE_TOP_PX + band, _image_height(findings) - band
    for left, draw in ((24, draw_bmode), (412, draw_contrast)):
        draw(_axes(figure, left, top, IMAGE_WIDTH_PX, height), findings)
    for column, name in enumerate(MAPS):
        draw_map(_axes(figure, 820 + column * 262, top, 184, 270), findings, name)
    table = top + height + 44
    draw_regions(_axes(figure, 24, table, 760, min(948 - table, 420)), findings)
    draw_curves(_axes(figure, 872, 462 + band, 704, 430 - band), findings)
    draw_contributions(_axes(figure, 24, 980, 500, 164), findings)
    draw_quality(_axes(figure, 560, 980, 500, 164), findings)
    draw_models(_axes(figure, 1096, 980, 480, 164), findings)
    _footer(_axes(figure, 0, 1160, 1600, 40), findings, header)
    return figure


def _warning_height(findings: Findings) -> float:
    lines = len(warning_lines(findings))
    return 8 + 20 * lines if lines else 0


def _image_height(findings: Findings) -> float:
    """Return the height of a pane in tissue's proportions, so that the table can follow it."""
    rows, columns = findings.contrast_image.shape
    height = IMAGE_WIDTH_PX * rows * aspect(findings) / columns
    return float(min(height, IMAGE_HEIGHT_PX))


def _axes(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Add axes at a place given in pixels from the top left."""
    bottom = HEIGHT_PX - top - height
    return figure.add_axes(
        (left / WIDTH_PX, bottom / HEIGHT_PX, width / WIDTH_PX, height / HEIGHT_PX)
    )


def _footer(axes: Axes, findings: Findings, header: ReportHeader) -> None:
    blank(axes, face="#eef1f4")
    texts = [text for text in (NOTICE, training_notice(findings)) if text]
    axes.text(
        *(0.015, 0.5, " · ".join(texts)),
        fontsize=SIZES["text"],
        color=INK,
        fontweight="bold",
        va="center",
        parse_math=False,
    )
    axes.text(
        *(0.985, 0.5, header.software),
        fontsize=SIZES["small"],
        color=MUTED,
        ha="right",
        va="center",
        parse_math=False,
    )

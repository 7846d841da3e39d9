"""The quality checks of an exam as a table: name, limit, and what failing one means."""

from dataclasses import dataclass
from typing import Literal

from dicomnode.science.quality.evidence import GAIN_NOISE_DB

__all__ = ["OUTLINE", "PIXEL_FRAMES", "RULES", "Grade", "Rule"]

Grade = Literal["A", "B", "C", "D"]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One check: what is measured, against which limit, and what failing means.

    ``words`` is a format string over ``value`` and ``limit``, in ``unit``; for the dynamic range
    also over the range stated, its source and the one estimated. ``failed`` takes its place where
    the check fails and that needs other words.
    """

    name: str
    code: str
    limit: float
    unit: str
    bound: Literal["at least", "at most"]
    refuses: bool
    words: str
    failed: str = ""
    at_best: Grade = "B"
    """The best grade of an exam that fails it, whatever else it passes. With D nothing is judged,
    and this check is the reason."""
    early: bool = False
    """Whether it can be told from the loop alone, before motion and segmentation."""


PIXEL_FRAMES = "frames for pixel fits"
OUTLINE = "outline"

RULES: tuple[Rule, ...] = (
    Rule(
        name="bolus",
        code="no-bolus",
        limit=2.0,
        unit="dB",
        bound="at least",
        refuses=True,
        early=True,
        words="mean echo power of the contrast pane rises by {value:.1f} dB beyond any step of "
        "gain; a bolus whose wash-in is recorded raises it by {limit:.0f} dB or more",
    ),
    Rule(
        name="enhancing area",
        code="no-bolus",
        limit=0.1,
        unit="1",
        bound="at least",
        refuses=True,
        early=True,
        words="{value:.0%} more of the contrast pane brightens than darkens; "
        "a bolus brightens {limit:.0%} or more",
    ),
    Rule(
        name="frames",
        code="too-few-frames",
        limit=10,
        unit="1",
        bound="at least",
        refuses=True,
        early=True,
        words="{value:.0f} frames; a time-intensity curve needs {limit:.0f} or more",
    ),
    Rule(
        name=PIXEL_FRAMES,
        code="few-frames",
        limit=50,
        unit="1",
        bound="at least",
        refuses=False,
        early=True,
        words="{value:.0f} frames; curves of single pixels are steady from {limit:.0f} on",
    ),
    Rule(
        name="frame rate",
        code="slow-frame-rate",
        limit=1.0,
        unit="Hz",
        bound="at least",
        refuses=False,
        early=True,
        words="{value:.2f} frames per second; wash-in is resolved from {limit:.0f} on",
    ),
    Rule(
        name="frames left out",
        code="motion",
        limit=0.2,
        unit="1",
        bound="at most",
        refuses=False,
        words="{value:.0%} of the frames left out for motion; up to {limit:.0%} is usual",
    ),
    Rule(
        name="usable frames",
        code="unusable-motion",
        limit=0.4,
        unit="1",
        bound="at least",
        refuses=True,
        words="{value:.0%} of the frames are in plane, without flash and with the probe on the "
        "skin; at least {limit:.0%} are needed",
    ),
    Rule(
        name="registration",
        code="unusable-motion",
        limit=0.1,
        unit="1",
        bound="at least",
        refuses=True,
        words="frames resemble their mean after registration with a correlation of {value:.2f}; "
        "below {limit:.1f} they have nothing in common that could be followed",
    ),
    Rule(
        name="frame similarity",
        code="motion",
        limit=0.3,
        unit="1",
        bound="at least",
        refuses=False,
        words="frames resemble their mean after registration with a correlation of {value:.2f}; "
        "{limit:.1f} or more is wanted",
    ),
    Rule(
        name="excursion",
        code="motion",
        limit=4.0,
        unit="mm",
        bound="at most",
        refuses=False,
        words="tissue moves up to {value:.1f} mm; up to {limit:.0f} mm is followed reliably",
    ),
    Rule(
        name="saturation",
        code="saturation",
        limit=0.05,
        unit="1",
        bound="at most",
        refuses=False,
        words="{value:.1%} of the lesion's samples near the peak are at the top of the grey "
        "scale; up to {limit:.0%} is harmless",
    ),
    Rule(
        name="measurable samples",
        code="unusable-saturation",
        limit=0.6,
        unit="1",
        bound="at least",
        refuses=True,
        words="{value:.0%} of the lesion's samples near the peak are below the top of the grey "
        "scale; at least {limit:.0%} are needed",
    ),
    Rule(
        name="flash",
        code="flash",
        limit=0.0,
        unit="1",
        bound="at most",
        refuses=False,
        early=True,
        words="{value:.0f} frames flash (bubble destruction or a knock) and are left out; "
        "none should",
    ),
    Rule(
        name="bubble loss",
        code="flash",
        limit=3.0,
        unit="dB",
        bound="at most",
        refuses=False,
        early=True,
        words="mean echo power falls by {value:.1f} dB across a flash; a fall of more than "
        "{limit:.0f} dB is bubbles destroyed, and what follows is refilling, not wash-out",
    ),
    Rule(
        name="probe lifted",
        code="probe-lifted",
        limit=0.0,
        unit="1",
        bound="at most",
        refuses=False,
        early=True,
        words="{value:.0%} of the frames show no tissue (probe lifted) and are left out; "
        "none should",
    ),
    Rule(
        name="damaged frames",
        code="damaged-frames",
        limit=0.0,
        unit="1",
        bound="at most",
        refuses=False,
        early=True,
        words="frames of PixelData (7FE0,0010) that are damaged and left out: {value:.0f}; none "
        "should be",
    ),
    Rule(
        name="gain change",
        code="gain-change",
        limit=GAIN_NOISE_DB,
        unit="dB",
        bound="at most",
        refuses=False,
        early=True,
        words="the gain steps by {value:.1f} dB; up to {limit:.1f} dB is noise (where frames are "
        "more than 0.4 s apart, the first 12 s of the bolus cannot be told)",
    ),
    Rule(
        name=OUTLINE,
        code="uncertain-outline",
        limit=0.5,
        unit="1",
        bound="at most",
        refuses=False,
        at_best="D",
        words="doubt about the outline is {value:.2f} of 1; from {limit:.1f} on it is uncertain",
        failed="the outline is uncertain: doubt {value:.2f} of 1, at most {limit:.1f} expected; "
        "there may be no lesion",
    ),
    Rule(
        name="dynamic range known",
        code="dynamic-range-assumed",
        limit=1.0,
        unit="1",
        bound="at least",
        refuses=False,
        at_best="C",
        words="{stated_db:.0f} dB {source}; ratios of brightness are right as far as that is",
        failed="the scanner's dynamic range is not known and {stated_db:.0f} dB are {source}; "
        "ratios of brightness are wrong as far as that is, and transit times with them",
    ),
    Rule(
        name="dynamic range",
        code="dynamic-range",
        limit=0.75,
        unit="1",
        bound="at least",
        refuses=False,
        words="speckle shows a range of {estimate_db:.0f} dB, {value:.0%} of the "
        "{stated_db:.0f} dB taken ({source}); persistence and compounding only ever make it "
        "show more, so below {limit:.0%} the picture contradicts that range",
    ),
    Rule(
        name="baseline",
        code="late-start",
        limit=1.0,
        unit="s",
        bound="at least",
        refuses=False,
        words="{value:.1f} s recorded before contrast arrives in the lesion; "
        "{limit:.0f} s or more is wanted, or the arrival is not in the loop",
    ),
    Rule(
        name="wash-out recorded",
        code="short-loop",
        limit=20.0,
        unit="s",
        bound="at least",
        refuses=False,
        words="{value:.0f} s recorded after the lesion's peak; "
        "wash-out needs {limit:.0f} s or more",
    ),
)
"""Every check, in the order of the report. The limits are this project's choice, no standard."""

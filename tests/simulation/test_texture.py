"""The contrast pane's texture beside that of the one real breast clip there is."""

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from dicomnode.dicom.exam import ReadSettings, load_loop, read_study
from dicomnode.science.loop import Loop, linearise
from dicomnode.simulation import cohort, simulate

EXAMS = 16
AROUND_MM = 1.5
"""What is uneven over more than this is anatomy, not grain."""
BEYOND = 1.25
"""A real value may lie this factor beyond those of a dozen simulated exams."""
RANGE_DB = 60.0
"""Assumed of both, since the real clip does not state its own."""


def texture(loop: Loop) -> dict[str, float]:
    """Grain (mm), sparsity and histogram of the middle of the pane, where contrast is brightest."""
    brightest = np.argsort(loop.contrast.mean(axis=(1, 2)))[-3:]
    rows, columns = loop.shape
    middle = (slice(rows // 5, -rows // 6), slice(columns // 7, -columns // 7))
    grey = loop.contrast[(brightest, *middle)].astype(np.float64)
    sigma = AROUND_MM / np.array(loop.spacing_mm)
    fine = grey - np.stack([gaussian_filter(frame, sigma) for frame in grey])
    spectrum = np.abs(np.fft.fft2(fine)) ** 2
    alike = np.fft.ifft2(spectrum).real.mean(axis=0)
    power = linearise(grey.astype(np.uint8), RANGE_DB).astype(np.float64)
    level = np.stack([gaussian_filter(frame, sigma) for frame in power])
    relative = power / level
    return {
        "grain, axial": width(alike[:, 0]) * loop.spacing_mm[0],
        "grain, lateral": width(alike[0]) * loop.spacing_mm[1],
        "share of bright grains": float(np.mean(relative > 4)),
        "share of dark gaps": float(np.mean(relative < 0.1)),
        "middle grey": float(np.median(grey)),
        "bright grey": float(np.percentile(grey, 95)),
    }


def width(correlation: np.ndarray) -> float:
    """Full width at half maximum of an autocorrelation, in samples."""
    share = correlation / correlation[0]
    below = int(np.argmax(share < 0.5))
    return 2 * (below - 1 + (share[below - 1] - 0.5) / (share[below - 1] - share[below]))


@pytest.mark.shared_data
def test_the_real_clips_texture_lies_among_the_simulated(
    shared_data: Path, wrap: ModuleType, tmp_path: Path
) -> None:
    path = wrap.wrap_real_clip(shared_data, tmp_path / "real.dcm")
    (exam,) = read_study([path], ReadSettings()).exams
    real = texture(load_loop(exam))
    drawn = cohort(41, EXAMS, frames=40, frames_per_s=0.7, clips=1)
    simulated = [texture(simulate(recipe).loop) for recipe in drawn]
    for name, value in real.items():
        values = [each[name] for each in simulated]
        least, most = min(values) / BEYOND, max(values) * BEYOND
        assert least <= value <= most, f"{name}: {value:.3g}, simulated {values}"

"""Find where a template lies in a frame: weighted normalised cross-correlation, then polishing."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import fft

__all__ = ["Match", "Matcher", "Polisher", "crop", "shrink"]

_BESIDE = 4
"""Pixels around a peak that belong to it."""


def shrink(frame: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """Average blocks of ``factor`` × ``factor`` pixels; a remainder at the far edges is cut."""
    rows, columns = (size // factor for size in frame.shape)
    cut = frame[: rows * factor, : columns * factor]
    summed = cut.reshape(rows, factor, -1).sum(axis=1, dtype=np.uint32)
    summed = summed.reshape(rows, columns, factor).sum(axis=2, dtype=np.uint32)
    means = (summed + factor * factor // 2) // (factor * factor)
    return np.asarray(means, np.uint8)


class Match(NamedTuple):
    """Where a template lies in a frame, how alike they are there, and how much less elsewhere."""

    shift_px: NDArray[np.float64]
    ncc: float
    lead: float
    """NCC at the peak over that at the best place more than a few pixels off."""


class Matcher:
    """Normalised cross-correlation of one template with many frames, by FFT.

    The correlation at shift s is ``Σ w (T - T̄) F(x + s)`` over the square root of the template's
    and the frame's weighted variances, so neither gain nor offset of a frame moves the peak.

    Parameters
    ----------
    template : ndarray of float32, shape (R, C)
    weight : ndarray of float32, shape (R, C)
        What of the template counts, 0 to 1; set to 0 here within ``search`` of the edges.
    search : (int, int)
        Largest shift looked for, in rows and columns.
    """

    def __init__(
        self,
        template: NDArray[np.float32],
        weight: NDArray[np.float32],
        search: tuple[int, int],
    ) -> None:
        inner = np.zeros_like(weight)
        (rows, columns), (up, across) = weight.shape, search
        inner[up : rows - up, across : columns - across] = 1
        weight = weight * inner
        self._total = float(weight.sum())
        if self._total <= 0:
            raise ValueError(f"weight: expected pixels that count beyond {search} of the edges")
        centred = (template - (weight * template).sum() / self._total).astype(np.float32)
        self._energy = float((weight * centred**2).sum())
        self._size = tuple(fft.next_fast_len(size, real=True) for size in weight.shape)
        self._template = np.conj(fft.rfft2(weight * centred, self._size))
        self._weight = np.conj(fft.rfft2(weight, self._size))
        self._lags = np.ix_(np.arange(-up, up + 1), np.arange(-across, across + 1))
        self._search = np.array(search)

    def match(self, frame: NDArray[np.uint8]) -> Match:
        """Find the frame's content against the template, to a fraction of a pixel."""
        surface = self._surface(frame.astype(np.float32))
        peak = np.unravel_index(int(np.argmax(surface)), surface.shape)
        part = [_vertex(np.take(surface, peak[1 - axis], 1 - axis), peak[axis]) for axis in (0, 1)]
        shift = np.array(peak, np.float64) - self._search + part
        return Match(shift_px=shift, ncc=float(surface[peak]), lead=_lead(surface, peak))

    def _surface(self, frame: NDArray[np.float32]) -> NDArray[np.float32]:
        frame = frame - np.float32(frame.mean())
        seen = fft.rfft2(frame, self._size)
        cross = self._correlate(self._template, seen)
        first = self._correlate(self._weight, seen)
        second = self._correlate(self._weight, fft.rfft2(frame * frame, self._size))
        total, template_energy = np.float32(self._total), np.float32(max(self._energy, 1e-6))
        energy = np.maximum(second - first * first / total, np.float32(1e-3) * total)
        return np.asarray(cross / np.sqrt(energy * template_energy), np.float32)

    def _correlate(
        self, known: NDArray[np.complex64], seen: NDArray[np.complex64]
    ) -> NDArray[np.float32]:
        lags: NDArray[np.float32] = fft.irfft2(known * seen, self._size)[self._lags]
        return lags


def _lead(surface: NDArray[np.float32], peak: tuple[np.intp, ...]) -> float:
    """Height of the peak above everything that is not beside it."""
    rest = surface.copy()
    rest[tuple(slice(max(0, at - _BESIDE), at + _BESIDE + 1) for at in peak)] = -1.0
    return float(surface[peak] - rest.max())


def _vertex(line: NDArray[np.float32], peak: np.intp) -> float:
    """Offset of the vertex of the parabola through the peak and its two neighbours."""
    if not 0 < peak < len(line) - 1:
        return 0.0
    before, top, after = (float(line[peak + step]) for step in (-1, 0, 1))
    bend = before - 2 * top + after
    return 0.5 * (before - after) / bend if bend < 0 else 0.0


class Polisher:
    """Gauss-Newton refinement of a shift on a rectangle of full-resolution pixels.

    Minimises the squared difference between frame and template, each brought to zero mean and
    unit variance; the step is divided by the correlation, because decorrelated speckle flattens
    the slope by just that factor.

    Parameters
    ----------
    template : ndarray of float32, shape (r, c)
    weight : ndarray of float32, shape (r, c)
    corner : (int, int)
        Row and column of the rectangle's first pixel on the reference frame.
    """

    def __init__(
        self,
        template: NDArray[np.float32],
        weight: NDArray[np.float32],
        corner: tuple[int, int],
    ) -> None:
        self._weight = weight / max(float(weight.sum()), 1e-9)
        self._corner = corner
        self._template = self._standard(template)
        rows, columns = (np.gradient(self._template, axis=axis) for axis in (0, 1))
        slopes = np.stack((rows, columns))
        self._weighted = (slopes * self._weight).reshape(2, -1).astype(np.float32)
        self._inverse = np.linalg.pinv(self._weighted @ slopes.reshape(2, -1).T)

    def polish(
        self, frame: NDArray[np.uint8], shift_px: NDArray[np.float64], steps: int = 4
    ) -> tuple[NDArray[np.float64], float]:
        """Refine a shift that is right within about half a speckle; give it and its NCC."""
        shift, ncc = shift_px.copy(), 0.0
        for _ in range(steps):
            seen = self._standard(crop(frame, self._corner, self._template.shape, shift))
            ncc = float((self._weight * seen * self._template).sum())
            error = (seen - self._template).ravel()
            move = -self._inverse @ (self._weighted @ error) / max(ncc, 0.3)
            shift = shift + np.clip(move, -1.0, 1.0)
            if np.abs(move).max() < 0.01:
                break
        return shift, ncc

    def _standard(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        centred = image - float((self._weight * image).sum())
        spread = float((self._weight * centred * centred).sum()) ** 0.5
        standard: NDArray[np.float32] = centred / np.float32(max(spread, 1e-6))
        return standard


def crop(
    frame: NDArray[np.uint8],
    corner: tuple[int, int],
    size: tuple[int, ...],
    shift_px: NDArray[np.float64],
) -> NDArray[np.float32]:
    """Sample a rectangle of the reference frame in a frame shifted by ``shift_px``, bilinearly."""
    whole = np.floor(shift_px).astype(int)
    part = (shift_px - whole).astype(np.float32)
    rows, columns = (
        np.clip(np.arange(size[axis] + 1) + corner[axis] + whole[axis], 0, frame.shape[axis] - 1)
        for axis in (0, 1)
    )
    box = np.take(np.take(frame, rows, axis=0), columns, axis=1).astype(np.float32)
    box = box[:-1] + part[0] * (box[1:] - box[:-1])
    mixed: NDArray[np.float32] = box[:, :-1] + part[1] * (box[:, 1:] - box[:, :-1])
    return mixed

"""Echo power from scatterers: the point spread acts on the field, then the power is taken.

I = |h ∗ (√C · n)|², n complex Gaussian. Multiplying speckle onto a finished map instead would leave
every edge sharp and make sub-regions far easier to find than they are.

Planes hold real and imaginary parts of every look one after the other: shape (2·looks, H, W).
"""

import numpy as np
from numpy.typing import NDArray

from dicomnode.science.compiled import compiled

__all__ = [
    "Scatterers",
    "compress",
    "concentration",
    "contrast_field",
    "echo_power",
    "grain_weights",
    "psf_kernel",
    "turn",
]

Image = NDArray[np.float32]


class Scatterers:
    """A field of scatterers that is renewed a little from frame to frame.

    Parameters
    ----------
    rng : numpy.random.Generator
        Its only source of chance.
    shape : (int, int)
        Rows and columns of the tissue grid.
    looks : int
        Independent looks that the scanner averages.
    persistence : float
        AR(1) coefficient between frames: 0 renews the field wholly, 1 freezes it.
    """

    def __init__(
        self, rng: np.random.Generator, shape: tuple[int, int], *, looks: int, persistence: float
    ) -> None:
        self._rng = rng
        self._persistence = np.float32(persistence)
        self.innovation: Image = np.empty((2 * looks, *shape), np.float32)
        self._rng.standard_normal(dtype=np.float32, out=self.innovation)
        self.field: Image = self.innovation.copy()

    def advance(self) -> None:
        """Go on to the next frame."""
        self._rng.standard_normal(dtype=np.float32, out=self.innovation)
        _advance(self.field, self.innovation, self._persistence)


@compiled
def _advance(field: Image, innovation: Image, persistence: np.float32) -> None:
    fresh = np.float32(np.sqrt(np.float32(1.0) - persistence * persistence))
    flat, new = field.ravel(), innovation.ravel()
    for i in range(flat.size):
        flat[i] = persistence * flat[i] + fresh * new[i]


@compiled
def concentration(
    table: Image,
    start: np.float32,
    numbers: NDArray[np.uint8],
    delay_steps: Image,
    gain: Image,
) -> Image:
    """Contrast agent per pixel at one instant.

    ``start`` is the table column of the instant; each pixel reads its tissue's curve
    ``delay_steps`` earlier and scales it by its own ``gain``.
    """
    out = np.empty(numbers.shape, np.float32)
    last = table.shape[1] - 1
    for r in range(numbers.shape[0]):
        for c in range(numbers.shape[1]):
            column = int(start - delay_steps[r, c])
            column = min(max(column, 0), last)
            out[r, c] = gain[r, c] * table[numbers[r, c], column]
    return out


@compiled
def grain_weights(
    amount: Image, density: np.float32, diffuse: np.float32
) -> tuple[Image, Image, Image]:
    """How a site's scatterer n is weighted: below and above a limit of its own power |n|².

    A share ``diffuse`` of the agent is spread over all sites (capillaries); the rest sits in the
    sites that are occupied, with probability p = min(1, amount · density), so that little agent
    makes few bright grains. The mean power is ``amount`` whatever p is, because a complex Gaussian
    n kept where |n|² > −ln p has mean power q = p (1 − ln p).

    Returns
    -------
    limit, low, high : ndarray of float32, shape (H, W)
        The limit on re² + im², and the amplitudes below and above it. They are for parts of
        variance 1, hence the halves.
    """
    limit, low, high = np.empty_like(amount), np.empty_like(amount), np.empty_like(amount)
    lumped = np.float32(1.0) - diffuse
    for r in range(amount.shape[0]):
        for c in range(amount.shape[1]):
            p = min(max(amount[r, c] * density, np.float32(1e-4)), np.float32(1.0))
            threshold = -np.log(p)
            q = p * (np.float32(1.0) + threshold)
            mean = diffuse + lumped + np.float32(2.0) * np.sqrt(diffuse * lumped * q)
            scale = np.sqrt(np.float32(0.5) * amount[r, c] / mean)
            limit[r, c] = np.float32(2.0) * threshold
            low[r, c] = scale * np.sqrt(diffuse)
            high[r, c] = low[r, c] + scale * np.sqrt(lumped / q)
    return limit, low, high


@compiled
def contrast_field(
    weights: tuple[Image, Image, Image],
    field: Image,
    fixed: Image,
    innovation: Image,
    noise_amplitude: Image,
) -> Image:
    """Scatterer amplitudes of one frame: bubbles, fixed tissue and noise.

    The noise is this frame's innovation half a picture away, where it has nothing to do with the
    bubbles here.
    """
    limit, low, high = weights
    out = np.empty(field.shape, np.float32)
    rows, columns = limit.shape
    for k in range(0, field.shape[0], 2):
        for r in range(rows):
            far = (r + rows // 2) % rows
            for c in range(columns):
                re, im = field[k, r, c], field[k + 1, r, c]
                weight = high[r, c] if re * re + im * im >= limit[r, c] else low[r, c]
                noise = noise_amplitude[r, c]
                out[k, r, c] = weight * re + fixed[k, r, c] + noise * innovation[k, far, c]
                out[k + 1, r, c] = (
                    weight * im + fixed[k + 1, r, c] + noise * innovation[k + 1, far, c]
                )
    return out


def psf_kernel(sigma_px: float, offset_px: float) -> Image:
    """Gaussian point spread amplitude off centre by ``offset_px``, unit energy.

    Unit energy (not unit sum) keeps the mean power of a field of independent scatterers.
    """
    reach = int(np.ceil(2.7 * sigma_px)) + 1
    k = np.exp(-((np.arange(-reach, reach + 1) - offset_px) ** 2) / (2 * sigma_px**2))
    return np.asarray(k / np.sqrt((k * k).sum()), np.float32)


def echo_power(
    amplitude: Image, sigma_px: tuple[float, float], shift_px: tuple[float, float], margin: int
) -> Image:
    """Mean power over the looks, (H − 2·margin, W − 2·margin).

    The tissue is moved by ``shift_px`` without interpolating: whole pixels by reading elsewhere,
    the rest in the point spread itself.
    """
    whole = [int(np.floor(s + 0.5)) for s in shift_px]
    down = psf_kernel(sigma_px[0], whole[0] - shift_px[0])
    along = psf_kernel(sigma_px[1], whole[1] - shift_px[1])
    top = margin - whole[0] - len(down) // 2
    left = margin - whole[1] - len(along) // 2
    rows, columns = amplitude.shape[1] - 2 * margin, amplitude.shape[2] - 2 * margin
    return np.asarray(_echo_power(amplitude, down, along, top, left, rows, columns))


@compiled
def _echo_power(
    amplitude: Image, down: Image, along: Image, top: int, left: int, rows: int, columns: int
) -> Image:
    out = np.zeros((rows, columns), np.float32)
    across = np.empty((rows + len(down) - 1, columns), np.float32)
    line = np.empty(columns, np.float32)
    share = np.float32(2.0 / amplitude.shape[0])
    for k in range(amplitude.shape[0]):
        for r in range(across.shape[0]):
            across[r] = 0.0
            for j in range(len(along)):
                tap = along[j]
                source = amplitude[k, top + r, left + j : left + j + columns]
                for c in range(columns):
                    across[r, c] += tap * source[c]
        for r in range(rows):
            line[:] = 0.0
            for j in range(len(down)):
                tap = down[j]
                source = across[r + j]
                for c in range(columns):
                    line[c] += tap * source[c]
            for c in range(columns):
                out[r, c] += share * line[c] * line[c]
    return out


@compiled
def compress(
    power: Image, depth_gain: Image, full_scale: float, range_db: float
) -> NDArray[np.uint8]:
    """Log-compressed grey level, 255 at ``full_scale``."""
    out = np.empty(power.shape, np.uint8)
    slope = np.float32(255.0 * 10.0 / np.log(10.0) / range_db)
    zero = np.float32(255.0 - slope * np.log(full_scale) + 0.5)
    for r in range(power.shape[0]):
        for c in range(power.shape[1]):
            total = power[r, c] * depth_gain[r, c]
            level = zero + slope * np.log(max(total, np.float32(1e-20)))
            out[r, c] = np.uint8(min(max(level, np.float32(0.0)), np.float32(255.0)))
    return out


@compiled
def turn(here: Image, beside: Image, plane_angle: np.float32) -> Image:
    """Fixed scatterers as seen from a plane that has slipped: cos·here + sin·beside."""
    cosine, sine = np.float32(np.cos(plane_angle)), np.float32(np.sin(plane_angle))
    out = np.empty(here.shape, np.float32)
    one, other, new = here.ravel(), beside.ravel(), out.ravel()
    for i in range(new.size):
        new[i] = cosine * one[i] + sine * other[i]
    return out

"""Features of a lesion: what a radiologist would say of its perfusion, as numbers."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dicomnode.science.feature_table import FEATURES, fraction_of
from dicomnode.science.findings import UNRELIABLE
from dicomnode.science.subregions.codebook import KINDS, kind
from dicomnode.science.texture import texture

__all__ = ["lesion_features"]

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

_RIM_SHARE = 0.4
"""The rim is what lies within this share of the lesion's greatest depth from its edge."""
_DEFECT = 0.2
"""A pixel below this share of the lesion's upper-quartile PE is a perfusion defect."""


def lesion_features(
    *,
    subregion_map: NDArray[np.uint8],
    names: tuple[str, ...],
    maps: Mapping[str, NDArray[np.floating]],
    lesion: Mask,
    ring: Mask,
    tissue: Mapping[str, Floats],
    spacing_mm: tuple[float, float],
    enlargement_ratio: float | None,
) -> dict[str, float]:
    """Compute :data:`FEATURES` of one lesion.

    Parameters
    ----------
    subregion_map : ndarray of uint8, shape (R, C)
        From :func:`dicomnode.science.subregions.assign`.
    names : tuple of str
        The codebook's sub-regions.
    maps : mapping of name to ndarray, shape (R, C)
        PE, TTP, mTT, RT and WO50 at least; only finite pixels count.
    lesion, ring : ndarray of bool, shape (R, C)
        The lesion and what surrounds it.
    tissue : mapping of name to ndarray
        Parameters of the reference tissue on the same clock; medians are taken.
    spacing_mm : (float, float)
        Row and column spacing.
    enlargement_ratio : float or None
        Area on contrast over area on B-mode; None where it could not be measured.

    Returns
    -------
    dict of name to float
        Finite. A feature that the lesion does not define (no reliable pixel, no ring, no tissue)
        has the neutral value of :data:`FEATURES`: 0, or 1 for the enlargement ratio.
    """
    reliable = lesion & (subregion_map != UNRELIABLE) & (subregion_map > 0)
    pixel = _pixel_maps(maps)
    found = {
        **_sub_region_shares(subregion_map, reliable, names),
        "interface_density": _interface_density(subregion_map, reliable, spacing_mm),
        **_rim_against_core(pixel, lesion, reliable, spacing_mm),
        "enlargement_ratio": np.nan if enlargement_ratio is None else enlargement_ratio,
        **_lesion_against_tissue(pixel, reliable, tissue),
        **_within_lesion(pixel, reliable),
        "ring_log_pe": _median(pixel["log_pe"], ring) - _median(pixel["log_pe"], reliable),
        "ring_ttp": _median(pixel["ttp"], ring) - _median(pixel["ttp"], reliable),
        **_texture(pixel["log_pe"], reliable, ring, spacing_mm),
    }
    return {
        feature.name: float(found[feature.name])
        if np.isfinite(found[feature.name])
        else feature.neutral
        for feature in FEATURES
    }


def _texture(
    log_pe: Floats, reliable: Mask, ring: Mask, spacing_mm: tuple[float, float]
) -> dict[str, float]:
    lesion, around = (texture(log_pe, where, spacing_mm) for where in (reliable, ring))
    return {
        "texture_contrast": lesion.contrast if lesion else np.nan,
        "texture_correlation": lesion.correlation if lesion else np.nan,
        "texture_entropy": lesion.entropy if lesion else np.nan,
        "ring_texture_entropy": around.entropy if around else np.nan,
    }


def _pixel_maps(maps: Mapping[str, NDArray[np.floating]]) -> dict[str, Floats]:
    values = {name: np.asarray(maps[name], np.float64) for name in maps}
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return {
            "log_pe": np.log(values["PE"]),
            "log_mtt": np.log(values["mTT"]),
            "ttp": values["TTP"],
            "rise": values["RT"],
            "wash_out": values["WO50"],
        }


def _finite(values: Floats, where: Mask) -> Floats:
    chosen = values[where]
    return chosen[np.isfinite(chosen)]


def _median(values: Floats, where: Mask) -> float:
    chosen = _finite(values, where)
    return float(np.median(chosen)) if chosen.size else np.nan


def _spread(values: Floats, where: Mask) -> float:
    chosen = _finite(values, where)
    return float(np.subtract(*np.percentile(chosen, [75, 25]))) if chosen.size else np.nan


def _sub_region_shares(
    labels: NDArray[np.uint8], reliable: Mask, names: tuple[str, ...]
) -> dict[str, float]:
    shares = dict.fromkeys(KINDS, 0.0)
    total = int(np.count_nonzero(reliable))
    for number, name in enumerate(names, start=1):
        shares[kind(name)] += np.count_nonzero(reliable & (labels == number)) / max(total, 1)
    present = np.array([share for share in shares.values() if share > 0])
    entropy = float(-(present * np.log(present)).sum() / np.log(len(KINDS)))
    named = {fraction_of(each): share for each, share in shares.items()}
    return {**named, "subregion_entropy": max(entropy, 0.0)}


def _interface_density(
    labels: NDArray[np.uint8], reliable: Mask, spacing_mm: tuple[float, float]
) -> float:
    """Length of borders between reliable pixels of different label over their area, 1/mm."""
    length_mm = 0.0
    for axis in (0, 1):
        ahead, behind = (slice(1, None), slice(None)), (slice(None, -1), slice(None))
        one, other = (ahead, behind) if axis == 0 else (ahead[::-1], behind[::-1])
        both = reliable[one] & reliable[other]
        length_mm += np.count_nonzero(both & (labels[one] != labels[other])) * spacing_mm[1 - axis]
    area_mm2 = np.count_nonzero(reliable) * spacing_mm[0] * spacing_mm[1]
    return length_mm / area_mm2 if area_mm2 else np.nan


def _rim_against_core(
    pixel: Mapping[str, Floats], lesion: Mask, reliable: Mask, spacing_mm: tuple[float, float]
) -> dict[str, float]:
    padded = np.pad(lesion, 1)
    depth_mm = ndimage.distance_transform_edt(padded, sampling=spacing_mm)[1:-1, 1:-1]
    rim = reliable & (depth_mm <= _RIM_SHARE * depth_mm.max(initial=0.0))
    core = reliable & ~rim
    return {
        "rim_core_log_pe": _median(pixel["log_pe"], rim) - _median(pixel["log_pe"], core),
        "rim_core_ttp": _median(pixel["ttp"], rim) - _median(pixel["ttp"], core),
    }


def _lesion_against_tissue(
    pixel: Mapping[str, Floats], reliable: Mask, tissue: Mapping[str, Floats]
) -> dict[str, float]:
    reference = _pixel_maps({name: np.atleast_1d(tissue[name]) for name in tissue})
    everywhere = np.ones(reference["log_pe"].shape, bool)
    against = {
        name: _median(pixel[name], reliable) - _median(reference[name], everywhere)
        for name in ("log_pe", "ttp", "log_mtt")
    }
    return {
        "relative_log_pe": against["log_pe"],
        "relative_ttp": against["ttp"],
        "relative_log_mtt": against["log_mtt"],
    }


def _within_lesion(pixel: Mapping[str, Floats], reliable: Mask) -> dict[str, float]:
    log_pe = _finite(pixel["log_pe"], reliable)
    limit = np.percentile(log_pe, 75) + np.log(_DEFECT) if log_pe.size else np.nan
    return {
        "wash_out_50s": _median(pixel["wash_out"], reliable),
        "defect_fraction": float(np.mean(log_pe < limit)) if log_pe.size else np.nan,
        "ttp": _median(pixel["ttp"], reliable),
        "mtt": float(np.exp(_median(pixel["log_mtt"], reliable))),
        "rise_time": _median(pixel["rise"], reliable),
        "heterogeneity_pe": _spread(pixel["log_pe"], reliable),
        "heterogeneity_ttp": _spread(pixel["ttp"], reliable),
    }
